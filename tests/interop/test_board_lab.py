"""Our own boards in one lab: a Malta and two umps3 machines answer each other; consoles, checks and ends."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.test_umps3_programs import configured, ping
from tests.lab_runner import LabRunner

__all__ = ["ping"]  # a fixture
pytestmark = [pytest.mark.interop, pytest.mark.slow]

LAB = """
nodes:
  sw: {kind: switch}
  m: {kind: malta, ipv4: 10.0.5.9/24, memory: 64M, clock: host}
  one: {kind: umps3, config: one/machine.json}
  two: {kind: umps3, config: two/machine.json}
links: [m -- sw, one:eth0 -- sw, two:eth0 -- sw]
checks:
  one-begins: {node: one, console: {send: "1 0\\n", expect: ready}}
  two-finds-one: {node: two, console: {send: "2 1\\n", expect: echo from 1}}
  m-to-one: {node: m, ping: 10.0.5.1, count: 3, within: 60s}
  m-to-two: {node: m, ping: 10.0.5.2, count: 3, within: 60s}
"""


@pytest.fixture
def labs(short_path: Path) -> Iterator[LabRunner]:
    with LabRunner(short_path, fake_guests=False) as runner:
        yield runner


def test_a_malta_and_two_umps3(labs: LabRunner, ping: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(ping, labs.directory / name)
        configured(labs.directory / name, {"eth0": "/run/nowhere", "terminal0": "term0.umps"})
    labs.write(LAB)
    output = labs.vde("up", timeout_s=120)
    for check in ("one-begins", "two-finds-one", "m-to-one", "m-to-two"):
        assert f"check {check}: ok" in output, output
    rows = {line.split()[0]: line for line in labs.vde("ps").splitlines() if line}
    assert "eth0 → sw:" in rows["one"]
    assert "eth0 → sw:" in rows["m"]
    labs.vde("console", "one", "--linger", "1s", stdin=b"q")
    labs.vde("down")
    labs.assert_nothing_is_left()
