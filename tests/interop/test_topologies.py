"""The example labs of `topologies/`, each started as its reader would, and looked at from outside."""

import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop.namespaces import in_namespace
from tests.lab_runner import VDE, LabRunner
from tests.tools import NeedTool

pytestmark = [pytest.mark.interop, pytest.mark.slow]
TOPOLOGIES = Path(__file__).parents[2] / "topologies"
PATIENCE_S = 60.0


@pytest.fixture
def labs(short_path: Path) -> Iterator[LabRunner]:
    with LabRunner(short_path, fake_guests=False) as runner:
        yield runner


def up(labs: LabRunner, name: str, *, replace: tuple[str, str] = ("", "")) -> str:
    """Start a copy of a topology; what was said."""
    labs.file = labs.directory / name
    labs.file.write_text((TOPOLOGIES / name).read_text().replace(*replace))
    output = labs.vde("up", name, timeout_s=120)
    assert "FAILED" not in output
    return output


def typed(labs: LabRunner, node: str, command: str, linger: str = "4s") -> str:
    """What a node's shell answers."""
    return labs.vde("console", node, "--linger", linger, stdin=command.encode() + b"\n")


def test_an_impaired_triangle(labs: LabRunner, need_tool: NeedTool) -> None:
    tshark = need_tool("tshark")
    output = up(labs, "impaired-triangle.yaml")
    for check in ("a-to-b", "b-to-c", "c-to-a"):
        assert f"check {check}: ok" in output
    labs.vde("wire", "set", "a--b", "loss=100%", "dir=a>b")
    assert "100% packet loss" in typed(labs, "a", "ping -c 1 -W 1 10.0.1.2")
    labs.vde("wire", "reset", "slow")
    assert " 0% packet loss" in typed(labs, "a", "ping -c 1 -W 3 10.0.1.2")
    labs.vde("down")
    labs.assert_nothing_is_left()
    fields = [word for field in ("frame.interface_name", "ip.dst", "frame.comment") for word in ("-e", field)]
    read = [tshark, "-r", str(labs.directory / "triangle.pcapng"), "-T", "fields", *fields]
    shown = subprocess.run(read, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
    rows = [line.split("\t") for line in shown.splitlines()]
    assert {row[0] for row in rows} == {
        "slow@a:eth0",
        "slow@b:eth0",
        "asym@b:eth1",
        "asym@c:eth0",
        "lossy@a:eth1",
        "lossy@c:eth1",
    }
    slow = [row[2] for row in rows if row[:2] == ["slow@a:eth0", "10.0.1.2"]]
    assert any("waited 784us for the rate; delayed " in comment for comment in slow), "98 octets at 1 Mbit/s"
    assert any("dropped: loss (loss 100%)" in comment for comment in slow)
    assert all("delayed 5ms" in row[2] for row in rows if row[0] == "asym@b:eth1")
    assert all("delayed 20ms" in row[2] for row in rows if row[0] == "asym@c:eth0")


def test_a_nat_uplink(labs: LabRunner) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    output = up(labs, "nat-uplink.yaml", replace=("127.0.0.1:8080", f"127.0.0.1:{port}"))
    assert "check gateway: ok" in output
    assert "check neighbour: ok" in output
    pages = labs.directory / "www"
    pages.mkdir()
    typed(labs, "web", f"cd {pages}; hostname >page; python3 -m http.server 80 &", "1s")
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/page", timeout=PATIENCE_S) as answer:
                assert answer.read() == b"web\n", "the answer comes from inside the view"
            break
        except OSError:
            assert labs.nodes()["web"]["state"] == "ready"
    labs.vde("down")
    labs.assert_nothing_is_left()


def test_two_switches_meet_in_dtls(labs: LabRunner) -> None:
    labs.vde("key", "new", "tunnel.key")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    output = up(labs, "two-switches-dtls.yaml", replace=(":5557", f":{port}"))
    assert "check through-the-tunnel: ok: 3 of 3" in output
    assert "check and-back: ok: 3 of 3" in output
    nodes = labs.nodes()
    assert {name for name, node in nodes.items() if node["kind"] == "cable"} == set(), "nothing else joins them"
    labs.vde("down")
    labs.assert_nothing_is_left()


def test_two_maltas(labs: LabRunner) -> None:
    """On our own emulator: no QEMU is looked for."""
    labs.environment["PATH"] = "/nonexistent"
    output = up(labs, "two-maltas.yaml")
    for check in ("kernel", "a-to-b", "b-to-a"):
        assert f"check {check}: ok" in output
    assert "0% packet loss" in typed(labs, "b", "ping -c 2 10.0.0.1")
    labs.vde("down")
    labs.assert_nothing_is_left()


def test_a_pc_and_a_malta(labs: LabRunner) -> None:
    """Both on our own emulator."""
    labs.environment["PATH"] = "/nonexistent"
    output = up(labs, "pc-and-malta.yaml")
    for check in ("kernel-of-pc", "kernel-of-malta", "pc-to-malta", "malta-to-pc"):
        assert f"check {check}: ok" in output
    labs.vde("down")
    labs.assert_nothing_is_left()


@pytest.fixture
def neighbour(need_tool: NeedTool, short_path: Path) -> Iterator[tuple[str, str]]:
    """A namespace with a bridge `br-lab`, and another one that is plugged into it as 10.0.0.77."""
    need_tool("ip")
    here, far = (f"{short_path.name}{name}" for name in "hf")
    with ExitStack() as stack:
        for name in (here, far):
            subprocess.run(["ip", "netns", "add", name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "del", name], check=True)
        in_namespace(here, "ip", "link", "add", "br-lab", "type", "bridge")
        in_namespace(here, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", far)
        in_namespace(here, "ip", "link", "set", "v0", "master", "br-lab", "up")
        in_namespace(far, "ip", "address", "add", "10.0.0.77/24", "dev", "v1")
        in_namespace(far, "ip", "link", "set", "v1", "up")
        yield here, far


def test_a_lab_in_a_bridge(neighbour: tuple[str, str], labs: LabRunner) -> None:
    here, far = neighbour
    before = in_namespace(here, "ip", "-br", "address")
    labs.command = ["ip", "netns", "exec", here, str(VDE)]
    output = up(labs, "bridged-to-tap.yaml")
    assert "check bridge: ok" in output
    assert "check bridge-from-afar: ok" in output
    assert "in br-lab 10.0.0.254/24" in output
    assert "0% packet loss" in in_namespace(far, "ping", "-c", "1", "-W", "5", "10.0.0.1")
    assert "10.0.0.254/24" in in_namespace(here, "ip", "-br", "address", "show", "br-lab")
    labs.vde("down")
    labs.assert_nothing_is_left()
    assert in_namespace(here, "ip", "-br", "link") != ""
    after = in_namespace(here, "ip", "-br", "address")
    assert names_and_addresses(after) == names_and_addresses(before), "the host's network is as it was"


def names_and_addresses(text: str) -> list[list[str]]:
    """Of `ip -br address`; the state of a link depends on when one looks, and its own address on when it came up."""
    rows = [line.split() for line in text.splitlines()]
    return [[row[0], *(word for word in row[2:] if not word.startswith("fe80"))] for row in rows]
