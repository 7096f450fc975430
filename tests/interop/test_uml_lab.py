"""User-Mode Linux as a node of a lab: it pings a view through a wire, and is pinged; Debian's own kernel likewise."""

import os
from pathlib import Path

import pytest

from tests.lab_runner import LabRunner
from tests.tools import NeedTool
from vde.image import store
from vde.image.errors import ImageError

pytestmark = [pytest.mark.interop, pytest.mark.slow]

LAB = """
nodes:
  sw: {kind: switch}
  u: {kind: uml, ipv4: 10.0.0.3/24}
  v: {kind: view, ipv4: 10.0.0.1/24}
links:
  - u -- sw
  - {name: slow, endpoints: [v, sw], impair: {delay: 3ms}}
checks:
  one: {node: v, ping: u}
  other: {node: u, ping: v}
"""

OLDER = """
nodes:
  sw: {kind: switch}
  d: {kind: uml, kernel: KERNEL, transport: daemon, ipv4: 10.0.0.1/24}
  o: {kind: uml, kernel: KERNEL, transport: old-vde, ipv4: 10.0.0.2/24}
  v: {kind: view, ipv4: 10.0.0.3/24}
links:
  - v -- sw
  - o -- sw:7
  - d -- sw
checks:
  daemon: {node: v, ping: d}
  old-vde: {node: v, ping: o}
  both: {node: d, ping: o}
"""


def pull() -> None:
    try:
        store.pull("uml")
    except ImageError as error:
        if "no connection" in str(error) and not os.environ.get("CI"):
            pytest.skip(f"no network: {error}")
        raise


def test_debians_own_kernel_joins_by_its_older_drivers(short_path: Path, need_tool: NeedTool) -> None:
    kernel = need_tool("linux.uml")
    if "amx_tile" in Path("/proc/cpuinfo").read_text():
        pytest.skip("Debian 12's User-Mode Linux dies with its first process where the CPU has AMX")
    pull()
    with LabRunner(short_path, fake_guests=False) as labs:
        labs.write(OLDER.replace("KERNEL", kernel))
        output = labs.vde("up", timeout_s=120)
        for check in ("daemon", "old-vde", "both"):
            assert f"check {check}: ok: 3 of 3" in output
        nodes = labs.nodes()
        for name in ("d", "o"):
            said = labs.vde("console", name, "--linger", "2s", stdin=b"uname -r; cat /sys/class/net/eth0/address\n")
            assert "\n6.1." in said
            assert nodes[name]["interfaces"][0]["mac"] in said
        labs.vde("down")
        labs.assert_nothing_is_left()


def test_user_mode_linux_and_a_view_ping_each_other(short_path: Path) -> None:
    pull()
    with LabRunner(short_path, fake_guests=False) as labs:
        labs.write(LAB)
        output = labs.vde("up", timeout_s=120)
        assert "check one: ok: 3 of 3" in output
        assert "check other: ok: 3 of 3" in output
        node = labs.nodes()["u"]
        assert node["interfaces"][0]["mac"] in labs.vde(
            "console", "u", "--linger", "3s", stdin=b"cat /sys/class/net/eth0/address\n"
        )
        labs.vde("down")
        labs.assert_nothing_is_left()
