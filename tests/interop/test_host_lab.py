"""A lab on a network card of the host, with a view that has its own files: one lab, looked at from outside.

The "host" is a network namespace with an end of a veth as its card; the other end is somebody on the same cable.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.namespaces import in_namespace
from tests.lab_runner import VDE, LabRunner
from tests.tools import NeedTool

pytestmark = [pytest.mark.interop, pytest.mark.slow]
LAB = """
nodes:
  sw: {kind: switch}
  card: {kind: host-nic, interface: v0}
  pc: {kind: view, ipv4: 10.0.0.1/24, overlay: changes, hostname: guest-of-the-card, time-offset: +2d}
links:
  - card -- sw
  - {name: line, endpoints: [pc, sw], impair: {delay: 1ms}}
checks:
  beyond: {node: pc, ping: 10.0.0.77, count: 2, within: 30s}
"""
WIRESHARK = """#!/bin/sh
# A stand-in, for how Wireshark is started: what it was given, and then what it would have shown.
echo "$@" >arguments
exec cat >shown.pcapng
"""


@dataclass
class Place:
    """Attributes: `far`: the namespace on the other end of the cable; `told`: what `vde up` said."""

    labs: LabRunner
    far: str
    told: str


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    ip = NeedTool()("ip")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    here, far = f"vdeH{os.getpid()}", f"vdeF{os.getpid()}"
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vde")))
        for name in (here, far):
            subprocess.run([ip, "netns", "add", name], check=True)
            stack.callback(subprocess.run, [ip, "netns", "delete", name], check=True)
        in_namespace(here, ip, "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", far)
        in_namespace(here, ip, "link", "set", "v0", "up")
        in_namespace(far, ip, "address", "add", "10.0.0.77/24", "dev", "v1")
        in_namespace(far, ip, "link", "set", "v1", "up")
        labs = stack.enter_context(LabRunner(directory, fake_guests=False))
        labs.command = [ip, "netns", "exec", here, str(VDE)]
        labs.write(LAB)
        told = labs.vde("up", timeout_s=120)
        yield Place(labs, far, told)
        labs.vde("down")
        labs.assert_nothing_is_left()
        assert "v0" in in_namespace(here, ip, "-br", "link"), "the card itself is left as it was"


def typed(place: Place, command: str, expected: str) -> None:
    """What the view's shell says to a command."""
    console = place.labs.start("console", "pc")
    console.write(command.encode() + b"\n")
    console.wait_for(expected)
    console.interrupt()
    console.wait()


def test_frames_pass_between_the_lab_and_the_cards_network(place: Place, need_tool: NeedTool) -> None:
    assert "check beyond: ok" in place.told
    ping = need_tool("ping")
    assert "2 received" in in_namespace(place.far, ping, "-c", "2", "-i", "0.2", "-W", "10", "10.0.0.1")


def test_a_views_changes_are_in_its_overlay_and_nowhere_else(place: Place) -> None:
    typed(
        place, "hostname; echo made in a lab >/usr/local/vde-test-file; cat /usr/local/vde-test-*", "made in a lab\r\n"
    )
    assert (place.labs.directory / "changes/upper/usr/local/vde-test-file").read_text() == "made in a lab\n"
    assert not Path("/usr/local/vde-test-file").exists()


def test_a_view_has_its_host_name_and_clocks(place: Place) -> None:
    typed(place, "echo is=$(hostname)", "is=guest-of-the-card")
    days = int(float(Path("/proc/uptime").read_text().split()[0]) + 2 * 86400) // 86400
    typed(place, "echo days=$(($(cut -d. -f1 /proc/uptime) / 86400)).", f"days={days}.")


def test_wireshark_is_given_what_crosses_a_link(place: Place, need_tool: NeedTool) -> None:
    tshark, ping = need_tool("tshark"), need_tool("ping")
    directory = place.labs.directory
    (directory / "bin").mkdir()
    program = directory / "bin" / "wireshark"
    program.write_text(WIRESHARK)
    program.chmod(0o755)
    before = place.labs.environment
    place.labs.environment = before | {"PATH": f"{directory}/bin:{before['PATH']}"}
    try:
        capture = place.labs.start("capture", "line", "--wireshark", "--count", "4", "icmp")
        while capture.process.poll() is None:
            in_namespace(place.far, ping, "-c", "1", "-W", "10", "10.0.0.1")
        assert capture.wait() == 0, capture.output
    finally:
        place.labs.environment = before
    assert (directory / "arguments").read_text() == "-k -i -\n"
    fields = ("-T", "fields", "-e", "frame.interface_name", "-e", "icmp.type", "-e", "frame.comment")
    read = [tshark, "-r", str(directory / "shown.pcapng"), *fields]
    rows = subprocess.run(read, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert {tuple(row.split("\t")[:2]) for row in rows} == {("line@sw:2", "8"), ("line@pc:eth0", "0")}
    assert all("delayed 1ms" in row for row in rows)


def test_a_missing_wireshark_is_named(place: Place, tmp_path: Path) -> None:
    before = place.labs.environment
    (tmp_path / "ip").symlink_to(NeedTool()("ip"))
    place.labs.environment = before | {"PATH": str(tmp_path)}
    try:
        assert "apt-get install wireshark" in place.labs.vde("capture", "line", "--wireshark", status=2)
    finally:
        place.labs.environment = before
