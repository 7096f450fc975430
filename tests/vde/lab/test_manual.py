"""docs/labs.md: its files are valid, its error is what is shown, its tables are complete."""

import re
from pathlib import Path

import pytest

from vde.cli.main import build_parser
from vde.lab.diagnostics import Code, TopologyError
from vde.lab.read import load
from vde.lab.schema import Check, File, Group
from vde.lab.wording import keys_of

MANUAL = (Path(__file__).parents[3] / "docs" / "labs.md").read_text()
FILES = re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL)


@pytest.mark.parametrize("text", FILES, ids=range(len(FILES)))
def test_every_file_is_valid(tmp_path: Path, text: str) -> None:
    file = tmp_path / "manual.vlab.yml"
    file.write_text(text)
    load(file)


def test_there_are_files() -> None:
    assert len(FILES) >= 5


def test_the_error_is_what_is_shown(tmp_path: Path) -> None:
    [shown] = re.findall(r"```text\n(.*?)```", MANUAL, re.DOTALL)
    file = tmp_path / "office.vlab.yml"
    file.write_text(
        "nodes:\n  sw: {kind: switch}\n  web: {kind: qemu, image: debian-i386, nics: {eth0: virtio, eth1: virtio}}\n"
        "links:\n  - web:eth3 -- sw\n"
    )
    with pytest.raises(TopologyError) as caught:
        load(file, file.name)
    assert f"{caught.value}\n" == shown


@pytest.mark.parametrize("code", Code)
def test_every_code_is_explained(code: Code) -> None:
    assert code in MANUAL.partition("## Error codes")[2]


@pytest.mark.parametrize("key", sorted({key for model in (File, Group, Check) for key in keys_of(model)}))
def test_every_key_is_explained(key: str) -> None:
    assert f"`{key}" in MANUAL or f"{key}:" in MANUAL


def test_every_command_is_explained() -> None:
    _, modules = build_parser()
    for command in modules.keys() - {"cable", "supervise"}:
        assert f"`vde {command}" in MANUAL or f"`{command}`" in MANUAL
