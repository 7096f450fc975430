"""docs/plugs.md: its table has all schemes, and its example is a plug."""

import importlib.metadata
import re
import sys
import types
from pathlib import Path

import pytest
import trio

from plugs import registry
from tests.plugs.surroundings import TestSurroundings
from tests.vde_client import frame

MANUAL = (Path(__file__).parents[2] / "docs/plugs.md").read_text()


def test_every_scheme_is_in_the_table() -> None:
    named = set(re.findall(r"`([a-z0-9]+)://", MANUAL))
    assert {scheme for scheme in registry.schemes() if scheme != "-"} - named == set()


async def test_the_example_is_a_plug_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", MANUAL, re.DOTALL)
    module = types.ModuleType("mirror")
    monkeypatch.setitem(sys.modules, "mirror", module)
    exec(compile(source, "mirror.py", "exec"), module.__dict__)  # it is our own manual
    point = importlib.metadata.EntryPoint("mirror", "mirror:PLUG", "vde.plugs")
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda group, name="mirror": importlib.metadata.EntryPoints([point] if name == "mirror" else []),
    )
    assert "mirror" in registry.schemes()
    assert registry.find("mirror").page.startswith("mirror:// — sends everything back")
    async with registry.open_link("mirror:///keep=1", TestSurroundings()) as link:
        await link.send([frame(1), frame(2), frame(3)])
        with trio.fail_after(5):
            assert await link.receive() == [frame(1), frame(2)]
