"""`vde tap` and `vde bridge` as a user runs them, in network namespaces of the test's."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop.namespaces import in_namespace
from tests.interop.unprivileged import ROOT
from tests.lab_runner import VDE
from tests.switch_process import PATIENCE_S, SwitchProcess
from tests.tools import NeedTool

pytestmark = pytest.mark.interop
Namespaces = tuple[str, str]
AS_NOBODY = (sys.executable, "-m", "tests.interop.unprivileged")


def vde(*arguments: str, status: int = 0, prefix: tuple[str, ...] = ()) -> str:
    """What a command prints, errors last."""
    done = subprocess.run(
        [*prefix, VDE, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == status, (arguments, done.stdout, done.stderr)
    return done.stdout + done.stderr


@contextmanager
def running(home: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A command that holds what it made; ready. It is interrupted at the end, if it still runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notification:
        place = home / "notify"
        notification.bind(os.fspath(place))
        notification.settimeout(PATIENCE_S)
        environment = os.environ | {"NOTIFY_SOCKET": os.fspath(place)}
        process = subprocess.Popen([VDE, *arguments], stdout=subprocess.PIPE, text=True, env=environment)
        try:
            assert notification.recv(100).startswith(b"READY=1")
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE_S)
            place.unlink()


def links(netns: str) -> dict[str, dict[str, Any]]:
    """The kernel's word, by `ip`."""
    found = json.loads(in_namespace(netns, "ip", "-json", "-details", "address"))
    return {one["ifname"]: one for one in found}


def listed(what: str, netns: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(vde(what, "list", "--json", "--netns", netns))}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_tap_lasts_until_a_signal(two_namespaces: Namespaces, short_path: Path, number: signal.Signals) -> None:
    netns, _ = two_namespaces
    with running(
        short_path, "tap", "create", "tap%d", "--owner", "nobody", "--mac", "02:00:00:00:00:07", "--mtu", "9000",
        "--addr", "10.0.0.1/24", "--addr", "2001:db8::1/64", "--netns", netns,
    ) as process:  # fmt: skip
        found = links(netns)["tap0"]
        assert (found["address"], found["mtu"], found["linkinfo"]["info_data"]["user"]) == (
            "02:00:00:00:00:07", 9000, "nobody",
        )  # fmt: skip
        assert "UP" in found["flags"]
        assert {"10.0.0.1", "2001:db8::1"} <= {one["local"] for one in found["addr_info"]}
        assert listed("tap", netns)["tap0"]["owner"] == 65534
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
    assert set(links(netns)) == {"lo"}


@pytest.mark.slow
def test_a_persistent_tap_stays_until_it_is_deleted(two_namespaces: Namespaces) -> None:
    netns, _ = two_namespaces
    assert vde("tap", "create", "tap0", "--persistent", "--netns", netns) == "tap0\n"
    assert links(netns)["tap0"]["linkinfo"]["info_data"]["persist"] is True
    assert "there is one of that name" in vde("tap", "create", "tap0", "--netns", netns, status=2)
    assert "it is no tap" in vde("tap", "delete", "lo", "--netns", netns, status=2)
    vde("tap", "delete", "tap0", "--netns", netns)
    assert set(links(netns)) == {"lo"}
    assert "there is none" in vde("tap", "delete", "tap0", "--netns", netns, status=2)


def test_a_tap_lasts_as_long_as_a_command_whose_status_is_the_result(two_namespaces: Namespaces) -> None:
    netns, _ = two_namespaces
    found = vde("tap", "create", "tap0", "--netns", netns, "--", "sh", "-c", "ls /sys/class/net; exit 7", status=7)
    assert "tap0" in found.split()
    assert set(links(netns)) == {"lo"}
    assert "No such file" in vde("tap", "create", "tap0", "--netns", netns, "--", "/nonexistent", status=2)
    assert set(links(netns)) == {"lo"}


@pytest.mark.slow
def test_a_bridge_joins_a_tap_and_a_veth_and_frames_pass(
    two_namespaces: Namespaces, short_path: Path, start_switch: Any, need_tool: NeedTool
) -> None:
    netns, beyond = two_namespaces
    switch: SwitchProcess = start_switch()
    tap = ("tap", "create", "tap0", "--persistent", "--netns", netns)
    vde(*tap)
    plug = subprocess.Popen(["ip", "netns", "exec", netns, VDE, "plug", "tap://tap0", f"vde://{switch.directory}"])
    try:
        with running(
            short_path, "bridge", "create", "br0", "--port", "tap0", "--veth", f"eth0@{beyond}",
            "--addr", "10.0.0.254/24", "--netns", netns,
        ):  # fmt: skip
            assert links(netns)["tap0"]["master"] == "br0"
            found = listed("bridge", netns)["br0"]
            assert (set(found["ports"]), found["up"]) == ({"tap0", "br0-0"}, True)
            assert "br0" in vde("bridge", "list", "--netns", netns)
            in_namespace(beyond, "ip", "address", "add", "10.0.0.1/24", "dev", "eth0")
            in_namespace(beyond, "ip", "link", "set", "eth0", "up")
            ping = need_tool("ping")
            assert "2 received" in in_namespace(beyond, ping, "-c", "2", "-i", "0.2", "-W", "10", "10.0.0.254")
            view = [str(VDE), "view", "--net", f"vde://{switch.directory}", "--addr", "10.0.0.2/24", "--"]
            asked = subprocess.run(
                [*view, ping, "-c", "2", "-i", "0.2", "-W", "10", "10.0.0.1"],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert "2 received" in asked.stdout, "from the switch through the tap and the bridge to the veth"
        assert set(links(netns)) == {"lo", "tap0"}
        assert "master" not in links(netns)["tap0"]
        assert set(links(beyond)) == {"lo"}
    finally:
        plug.terminate()
        plug.wait(PATIENCE_S)


@pytest.mark.slow
def test_join_and_leave_last(two_namespaces: Namespaces) -> None:
    netns, _ = two_namespaces
    vde("tap", "create", "tap0", "--persistent", "--netns", netns)
    vde("bridge", "create", "br0", "--stp", "--persistent", "--netns", netns)
    vde("bridge", "join", "br0", "tap0", "--netns", netns)
    assert links(netns)["tap0"]["master"] == "br0"
    assert links(netns)["br0"]["linkinfo"]["info_data"]["stp_state"] == 1
    vde("bridge", "leave", "br0", "tap0", "--netns", netns)
    assert "master" not in links(netns)["tap0"]
    assert "is in no bridge" in vde("bridge", "leave", "br0", "tap0", "--netns", netns, status=2)
    vde("tap", "create", "tap1", "--bridge", "br0", "--persistent", "--netns", netns)
    assert links(netns)["tap1"]["master"] == "br0"
    assert "it is no bridge" in vde("bridge", "delete", "tap0", "--netns", netns, status=2)
    vde("bridge", "delete", "br0", "--netns", netns)
    assert set(links(netns)) == {"lo", "tap0", "tap1"}


@pytest.mark.slow
def test_what_cannot_be_finished_leaves_nothing(two_namespaces: Namespaces) -> None:
    netns, _ = two_namespaces
    for arguments in (
        ("tap", "create", "tap0", "--bridge", "none"),
        ("tap", "create", "tap0", "--owner", "no-such-user"),
        ("tap", "create", "tap0", "--mtu", "3"),
        ("tap", "create", "tap0", "--addr", "10.0.0.1"),
        ("bridge", "create", "br0", "--port", "none"),
        ("bridge", "create", "br0", "--veth", "eth0@no-such-namespace"),
        ("bridge", "create", "br0", "--veth", "eth0", "--mac", "07:00:00:00:00:00"),
        ("tap", "create", "tap0", "--persistent", "--", "true"),
    ):
        assert f"vde {arguments[0]}: " in vde(*arguments, "--netns", netns, status=2), arguments
        assert set(links(netns)) == {"lo"}, arguments
    assert "there is no /run/netns/none" in vde("tap", "create", "t", "--netns", "none", status=2)


@pytest.mark.parametrize("arguments", [("tap", "create", "vdeT0"), ("bridge", "create", "vdeT0")])
def test_without_privilege_the_reason_and_the_other_ways_are_told(arguments: tuple[str, ...]) -> None:
    if os.geteuid() != 0:
        pytest.skip("being nobody needs root")
    told = vde(*arguments, status=2, prefix=AS_NOBODY)
    for words in ("CAP_NET_ADMIN is missing", "vde view --net", "nat://"):
        assert words in told
    assert "vdeT0" not in os.listdir("/sys/class/net")


def test_in_a_view_of_ones_own_no_privilege_is_needed() -> None:
    if os.geteuid() != 0:
        pytest.skip("being nobody needs root")
    made = f"{VDE} tap create t0 --persistent && {VDE} bridge create b0 --port t0 --persistent"
    script = f"{made} && ls /sys/class/net/b0/brif"
    assert "t0" in vde("view", "--net", "none", "--", "sh", "-ec", script, prefix=AS_NOBODY).split()
