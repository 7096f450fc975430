"""Taps: who may have one, what is said to who may not, and that they carry frames and leave nothing behind."""

import os
import socket
import subprocess
import sys
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from tests.lab_runner import ROOT, VDE, LabRunner
from tests.tools import NeedTool
from tests.vde_client import VdeClient
from vde.lab.errors import LabFailed
from vde.lab.resolved import Tap
from vde.lab.tap import Host, require, survey

NOBODY = 65534
TAP = Tap(name="up", interface="vdetap9", segment="sw")
ADDRESSED = TAP.model_copy(update={"ipv4": IPv4Interface("203.0.113.1/24")})
ADMIN = Host(is_admin=True, tun_writable=True, owners={}, uid=0)
USER = Host(is_admin=False, tun_writable=True, owners={}, uid=1000)
OWNER = Host(is_admin=False, tun_writable=True, owners={"vdetap9": 1000}, uid=1000)

LAB = """
nodes:
  sw: {kind: switch}
  up: {kind: tap, interface: vdetap9, ipv4: 203.0.113.1/24, ipv6: "2001:db8::1/64"}
links: [up -- sw]
"""


@pytest.mark.parametrize(("tap", "host"), [(TAP, ADMIN), (ADDRESSED, ADMIN), (TAP, OWNER)])
def test_who_may(tap: Tap, host: Host) -> None:
    require([tap], host)


@pytest.mark.parametrize(
    ("tap", "host", "text"),
    [
        (
            TAP,
            USER,
            "tap 'up': making the interface vdetap9 takes CAP_NET_ADMIN: run as root, or let the administrator",
        ),
        (TAP, USER, "ip tuntap add vdetap9 mode tap user 1000; ip link set vdetap9 up"),
        (ADDRESSED, USER, "; ip addr add 203.0.113.1/24 dev vdetap9"),
        (ADDRESSED, OWNER, "setting 203.0.113.1/24 on vdetap9 takes CAP_NET_ADMIN"),
        (TAP, Host(False, True, {"vdetap9": 7}, 1000), "takes CAP_NET_ADMIN"),
        (TAP, Host(True, False, {}, 0), "/dev/net/tun cannot be opened"),
        (TAP, Host(True, True, {"vdetap9": None}, 0), "vdetap9 exists and is no tap"),
    ],
)
def test_who_may_not_is_told_what_would_help(tap: Tap, host: Host, text: str) -> None:
    with pytest.raises(LabFailed) as caught:
        require([tap], host)
    assert text in str(caught.value)


def test_all_taps_are_told_at_once() -> None:
    with pytest.raises(LabFailed) as caught:
        require([TAP, TAP.model_copy(update={"name": "other"})], USER)
    assert "tap 'up'" in str(caught.value)
    assert "tap 'other'" in str(caught.value)


def test_the_survey_sees_what_is_no_tap() -> None:
    host = survey(["lo", "vdenone9"])
    assert host.owners == {"lo": None}
    assert host.uid == os.geteuid()


@pytest.fixture
def may_make_taps(need_tool: NeedTool) -> None:
    need_tool("ip")
    host = survey([])
    if not (host.is_admin and host.tun_writable):
        pytest.skip("making a tap takes CAP_NET_ADMIN and /dev/net/tun")


def addresses() -> str:
    shown = subprocess.run(["ip", "-br", "addr", "show", "dev", "vdetap9"], capture_output=True, text=True, check=False)
    return shown.stdout


@pytest.mark.usefixtures("may_make_taps")
def test_a_tap_joins_the_host_and_vanishes(labs: LabRunner) -> None:
    labs.write(LAB)
    assert "up               ready     203.0.113.1/24 2001:db8::1/64" in labs.vde("up")
    assert "203.0.113.1/24" in addresses()
    with (
        VdeClient(Path(labs.nodes()["sw"]["directory"])) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host,
    ):
        host.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"vdetap9")
        host.sendto(b"x", ("203.0.113.77", 9))
        while True:  # until the host asks for that address; it says other things as well
            octets = client.receive()
            if octets[12:14] == b"\x08\x06" and octets[38:42] == socket.inet_aton("203.0.113.77"):
                break
    assert octets[28:32] == socket.inet_aton("203.0.113.1")
    labs.vde("down")
    assert addresses() == ""


@pytest.mark.usefixtures("may_make_taps")
def test_another_address_keeps_the_switch(labs: LabRunner) -> None:
    labs.write(LAB)
    labs.vde("up")
    before = labs.pids()
    labs.write(LAB.replace("203.0.113.1", "203.0.113.2"))
    labs.vde("up")
    assert labs.pids() == before
    assert "203.0.113.2/24" in addresses()
    assert "203.0.113.1/24" not in addresses()


@pytest.mark.usefixtures("may_make_taps")
def test_a_tap_that_was_there_stays_as_it_was(labs: LabRunner) -> None:
    subprocess.run(["ip", "tuntap", "add", "vdetap9", "mode", "tap"], check=True)
    try:
        subprocess.run(["ip", "addr", "add", "203.0.113.1/24", "dev", "vdetap9"], check=True)
        labs.write(LAB)
        labs.vde("up")
        assert "2001:db8::1/64" in addresses()
        labs.vde("down")
        assert "203.0.113.1/24" in addresses(), "it was not ours"
        assert "2001:db8::1/64" not in addresses(), "this one was"
    finally:
        subprocess.run(["ip", "link", "delete", "vdetap9"], check=True)


@pytest.fixture
def unprivileged(labs: LabRunner) -> LabRunner:
    """The same, as somebody without any privilege."""
    if os.geteuid() != 0:
        return labs
    labs.identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    labs.environment |= {"HOME": str(labs.directory), "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *site_packages()]))}
    # The virtual environment's Python may be in a home directory that is closed: then the system's does.
    system = Path("/usr/bin/python3")
    for command in ([str(VDE)], [str(system), "-m", "vde.cli.main"]):
        labs.command = command
        try:
            labs.vde("--version")
        except (OSError, AssertionError):
            continue
        break
    else:
        pytest.skip(f"user {NOBODY} can run neither {VDE} nor {system} with its packages")
    for path in (labs.directory / "bin").iterdir():
        path.write_text(
            path.read_text().replace(sys.executable, command[0] if command[0] != str(VDE) else sys.executable)
        )
    if command[0] != str(VDE):
        switch = labs.directory / "bin" / "vdeswitch"
        switch.write_text(
            f"#!/bin/sh\nexec {system} -c 'import switch.main; raise SystemExit(switch.main.main())' \"$@\"\n"
        )
        switch.chmod(0o755)
    for path in [labs.directory, *labs.directory.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    return labs


def site_packages() -> list[str]:
    return [path for path in sys.path if path.endswith("-packages")]


def test_a_lab_without_taps_needs_no_privilege(unprivileged: LabRunner) -> None:
    unprivileged.write("nodes: {sw: {kind: switch}, a: {kind: qemu, image: debian-i386}}\nlinks: [a -- sw]\n")
    assert "lab: up\n" in unprivileged.vde("up")
    if os.geteuid() == 0:
        for pid in unprivileged.pids().values():
            assert f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}" in Path(f"/proc/{pid}/status").read_text()
    unprivileged.vde("down")
    unprivileged.assert_nothing_is_left()


def test_a_tap_without_privilege_is_explained_and_nothing_is_started(unprivileged: LabRunner) -> None:
    if os.geteuid() != 0 and survey([]).is_admin:
        pytest.skip("this user has CAP_NET_ADMIN")
    unprivileged.write(LAB)
    output = unprivileged.vde("up", status=1)
    assert "tap 'up': " in output
    assert "starting" not in output
    unprivileged.assert_nothing_is_left()


def test_another_user_is_refused_even_where_the_directory_would_let_it_in(labs: LabRunner) -> None:
    if os.geteuid() != 0:
        pytest.skip("being two users takes root")
    labs.write("nodes: {sw: {kind: switch}}\n")
    labs.vde("up")
    [control] = labs.runtime.glob("vde/*/control")
    for directory in (labs.directory, labs.runtime, labs.runtime / "vde", control.parent):
        directory.chmod(0o755)
    control.chmod(0o777)
    ask = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(20); "
        f's.connect({str(control)!r}); s.sendall(b\'{{"op": "status"}}\\n\'); print(s.recv(10))'
    )
    program = ["/usr/bin/env", "python3", "-c", ask]
    environment = {"PATH": "/usr/bin:/bin"}
    ours = subprocess.run(program, capture_output=True, check=True, env=environment)
    assert ours.stdout.startswith(b"b'{"), "the question itself is right"
    theirs = subprocess.run(
        program, capture_output=True, check=False, env=environment, user=NOBODY, group=NOBODY, extra_groups=[]
    )
    assert theirs.stdout in (b"b''\n", b""), "SO_PEERCRED"
    (labs.runtime / "vde").chmod(0o700)
