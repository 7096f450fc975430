"""Clients of every layout plug in, talk, and leave; who may not, is told by the end of the connection."""

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from switch.request import HEADER, MAGIC
from tests.switch_process import Console, SwitchProcess
from tests.vde_client import Refusal, VdeClient, frame, tagged

StartSwitch = Callable[..., SwitchProcess]
FORWARDERS = pytest.mark.parametrize("forwarder", ["native", "python"])


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
    for uid, abstract, expected in ((12346, False, 1), (12346, True, 1), (12345, True, 0), (12345, False, 0)):
        child = os.fork()
        if child == 0:
            try:
                os.setresuid(uid, uid, uid)
                VdeClient(switch.directory, 3, abstract=abstract).close()
            except Refusal:
                os._exit(1)
            except BaseException:
                os._exit(2)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == expected, (uid, abstract)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_client_cannot_make_the_switch_send_to_another_users_socket(start_switch: StartSwitch) -> None:
    switch = start_switch("-m", "0666", "--dirmode", "0777")
    victim = switch.home / "victim"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
        theirs.bind(os.fspath(victim))
        os.chmod(victim, 0o777)
        os.chmod(switch.home.parent, 0o755)
        os.chmod(switch.home, 0o755)
        child = os.fork()
        if child == 0:
            try:
                os.setresuid(12345, 12345, 12345)
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ctl:
                    ctl.connect(os.fspath(switch.directory / "ctl"))
                    path = os.fsencode(victim).ljust(108, b"\0")
                    ctl.send(HEADER.pack(MAGIC, 3, 0) + struct.pack("=H", 1) + path)
                    os._exit(0 if ctl.recv(200) == b"" else 1)
            except BaseException:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_killed_client_disappears_from_the_port_list(start_switch: StartSwitch) -> None:
    switch = start_switch()
    ready, ready_child = os.pipe()
    child = os.fork()
    if child == 0:
        VdeClient(switch.directory)
        os.write(ready_child, b"+")
        signal_wait()
    assert os.read(ready, 1) == b"+"
    with Console(switch.management) as console:
        assert any("ACTIVE" in line for line in console.command("port/print"))
        console.command("debug/add port/-")
        os.kill(child, 9)
        os.waitpid(child, 0)
        console.wait_line("3022 port/- 01")
        assert console.command("port/print") == ["1000 Success"]
    os.close(ready)
    os.close(ready_child)
    assert [path.name for path in switch.directory.iterdir()] == ["ctl"]


def signal_wait() -> None:
    """Wait for the kill."""
    import signal

    while True:
        signal.pause()


def test_closing_an_endpoint_from_the_console_ends_the_clients_connection(start_switch: StartSwitch) -> None:
    switch = start_switch()
    with VdeClient(switch.directory) as a, Console(switch.management) as console:
        lines = console.command("port/print 1")
        number = int(next(line for line in lines if "endpoint ID" in line).split()[3])
        assert console.command(f"port/epclose 1 {number}") == ["1000 Success"]
        a.wait_closed()
