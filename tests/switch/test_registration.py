"""Clients of every layout plug in, talk, and leave; who may not, is told by the end of the connection."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.switch_process import Console, SwitchProcess
from tests.vde_client import Refusal, VdeClient, frame, tagged

StartSwitch = Callable[..., SwitchProcess]
PATIENCE_S = 20.0
FORWARDERS = pytest.mark.parametrize("forwarder", ["native", "python"])


def another_process(program: str, *arguments: str | Path, user: int | None = None) -> "subprocess.Popen[bytes]":
    """A Python program with `VdeClient` at hand; it becomes another user once it is loaded (only root may read us)."""
    imports = "import os, socket, sys\nfrom pathlib import Path\nfrom vde.registration import Request\n"
    imports += "from tests.vde_client import VdeClient\n"
    if user is not None:
        imports += f"os.setresgid({user}, {user}, {user}); os.setresuid({user}, {user}, {user})\n"
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", imports + program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


@FORWARDERS
def test_two_clients_exchange_frames(start_switch: StartSwitch, forwarder: str) -> None:
    switch = start_switch("--forwarder", forwarder)
    with VdeClient(switch.directory) as a, VdeClient(switch.directory) as b:
        a.send(frame(1))
        assert b.receive() == frame(1)
        b.send(frame(2, 1, b"answer"))
        assert a.receive() == frame(2, 1, b"answer")
        assert b.pending() == []


@FORWARDERS
def test_the_unpacked_layout_with_an_abstract_name_and_unconnected_sends(
    start_switch: StartSwitch, forwarder: str
) -> None:
    switch = start_switch("--forwarder", forwarder)
    with VdeClient(switch.directory) as a, VdeClient(switch.directory, unpacked=True, abstract=True) as uml:
        uml.send(frame(1))
        assert a.receive() == frame(1)
        a.send(frame(2, 1))
        assert uml.receive() == frame(2, 1)


def test_the_clients_own_socket_file_may_go_as_soon_as_it_has_the_reply(start_switch: StartSwitch) -> None:
    switch = start_switch()
    with VdeClient(switch.directory) as a:
        assert [path.name for path in switch.directory.iterdir() if path.name.startswith(".")] == []
        assert Path(a.reply_path).parent == switch.directory
        assert Path(a.reply_path).name.startswith("001.")


@pytest.mark.parametrize("octets", [1514, 9000, 9216 + 4, 9216 + 18])
def test_jumbo_frames_pass_whole(start_switch: StartSwitch, octets: int) -> None:
    switch = start_switch()
    with VdeClient(switch.directory) as a, VdeClient(switch.directory) as b:
        jumbo = frame(1, payload=os.urandom(octets - 14))
        a.send(jumbo)
        assert b.receive() == jumbo


def test_a_frame_over_the_limit_is_counted_and_not_truncated(start_switch: StartSwitch) -> None:
    switch = start_switch("--maxframe", "1600")
    with VdeClient(switch.directory) as a, VdeClient(switch.directory) as b:
        a.send(frame(1, payload=bytes(1601 - 14)))
        a.send(frame(1, payload=b"next"))
        assert b.receive() == frame(1, payload=b"next")
        assert any("oversize" in line.lower() and "1" in line for line in switch.command("port/drops 1"))


@FORWARDERS
def test_tagged_frames_pass_a_fresh_transparent_switch_untouched(start_switch: StartSwitch, forwarder: str) -> None:
    switch = start_switch("--vlan-transparent", "--forwarder", forwarder)
    with VdeClient(switch.directory) as a, VdeClient(switch.directory) as b:
        a.send(tagged(frame(1), 0x6000 | 7))
        assert b.receive() == tagged(frame(1), 0x6000 | 7)


def test_a_fresh_switch_drops_tagged_frames_as_the_original_does(start_switch: StartSwitch) -> None:
    switch = start_switch()
    with VdeClient(switch.directory) as a, VdeClient(switch.directory) as b:
        a.send(tagged(frame(1), 7))
        a.send(frame(1))
        assert b.receive() == frame(1)


def test_a_client_may_ask_for_a_port_and_share_it(start_switch: StartSwitch) -> None:
    switch = start_switch()
    with (
        VdeClient(switch.directory, 7) as a,
        VdeClient(switch.directory, 7) as b,
        VdeClient(switch.directory) as c,
    ):
        c.send(frame(3))
        assert a.receive() == b.receive() == frame(3)
        a.send(frame(1))
        assert c.receive() == frame(1)
        assert b.pending() == []


def test_a_port_out_of_range_is_refused_by_closing(start_switch: StartSwitch) -> None:
    switch = start_switch("-n", "4")
    with VdeClient(switch.directory, 4), pytest.raises(Refusal):
        VdeClient(switch.directory, 5)


def test_a_full_switch_refuses_and_has_room_again_when_one_leaves(start_switch: StartSwitch) -> None:
    switch = start_switch("-n", "2")
    with VdeClient(switch.directory), VdeClient(switch.directory) as last:
        with pytest.raises(Refusal):
            VdeClient(switch.directory)
        with Console(switch.management) as console:
            console.command("debug/add port/-")
            last.close()
            assert console.wait_line("3022") == "3022 port/- 02"
        VdeClient(switch.directory).close()


def test_the_management_port_is_number_0(start_switch: StartSwitch) -> None:
    switch = start_switch()
    with VdeClient(switch.directory, management=True) as manager, VdeClient(switch.directory) as a:
        assert Path(manager.reply_path).name.startswith("000.")
        manager.send(frame(1))
        assert a.receive() == frame(1)


def test_in_hub_mode_nothing_is_sent_to_the_management_port(start_switch: StartSwitch) -> None:
    switch = start_switch("-x")
    with (
        VdeClient(switch.directory, management=True) as manager,
        VdeClient(switch.directory) as a,
        VdeClient(switch.directory) as b,
    ):
        a.send(frame(1))
        assert b.receive() == frame(1)
        manager.send(frame(9))
        assert a.receive() == b.receive() == frame(9)
        assert manager.pending() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_port_reserved_for_a_user_is_refused_to_others_even_with_an_abstract_name(start_switch: StartSwitch) -> None:
    switch = start_switch("-m", "0666", "--dirmode", "0777")
    os.chmod(switch.home.parent, 0o755)
    os.chmod(switch.home, 0o755)
    assert switch.command("port/create 3")[-1] == "1000 Success"
    assert switch.command("port/setuser 3 12345")[-1] == "1000 Success"
    program = "VdeClient(Path(sys.argv[1]), 3, abstract=sys.argv[2] == 'True').close()"
    for uid, abstract, accepted in (
        (12346, False, False),
        (12346, True, False),
        (12345, True, True),
        (12345, False, True),
    ):
        with another_process(program, switch.directory, str(abstract), user=uid) as client:
            _, error = client.communicate(timeout=PATIENCE_S)
        assert (client.returncode == 0) is accepted, (uid, abstract, error)
        assert accepted or b"Refusal" in error


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_client_cannot_make_the_switch_send_to_another_users_socket(start_switch: StartSwitch) -> None:
    switch = start_switch("-m", "0666", "--dirmode", "0777")
    victim = switch.home / "victim"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
        theirs.bind(os.fspath(victim))
        os.chmod(victim, 0o777)
        os.chmod(switch.home.parent, 0o755)
        os.chmod(switch.home, 0o755)
        program = """
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ctl:
    ctl.connect(sys.argv[1] + "/ctl")
    ctl.send(Request(0, False, sys.argv[2].encode(), "").emit())
    assert ctl.recv(200) == b""
"""
        with another_process(program, switch.directory, victim, user=12345) as client:
            _, error = client.communicate(timeout=PATIENCE_S)
        assert client.returncode == 0, error
        assert switch.command("port/print") == ["1000 Success"]


def test_a_killed_client_disappears_from_the_port_list(start_switch: StartSwitch) -> None:
    switch = start_switch()
    program = "client = VdeClient(Path(sys.argv[1])); print('+', flush=True); sys.stdin.read()"
    with (
        another_process(program, switch.directory) as client,
        Console(switch.management) as console,
    ):
        assert client.stdout is not None
        assert client.stdout.read(1) == b"+"
        assert any(" ACTIVE" in line for line in console.command("port/print"))
        console.command("debug/add port/-")
        client.kill()
        console.wait_line("3022 port/- 01")
        client.communicate(timeout=PATIENCE_S)
    assert switch.command("port/print") == ["1000 Success"]
    assert sorted(path.name for path in switch.directory.iterdir()) == ["ctl", "ring"]


def test_closing_an_endpoint_from_the_console_ends_the_clients_connection(start_switch: StartSwitch) -> None:
    switch = start_switch()
    with VdeClient(switch.directory) as a, Console(switch.management) as console:
        lines = console.command("port/print 1")
        number = int(next(line for line in lines if "endpoint ID" in line).split()[3])
        assert console.command(f"port/epclose 1 {number}") == ["1000 Success"]
        a.wait_closed()
