"""Clients that do everything wrong: each gets a defined answer, and nobody else notices."""

import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.switch_process import Console, SwitchProcess
from tests.vde_client import PATIENCE_S, Refusal, VdeClient, frame
from vde.registration import HEADER, MAGIC, V3_OCTETS

StartSwitch = Callable[..., SwitchProcess]
FORWARDERS = pytest.mark.parametrize("forwarder", ["native", "python"])


def connect(directory: Path) -> socket.socket:
    ctl = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    ctl.settimeout(PATIENCE_S)
    ctl.connect(os.fspath(directory / "ctl"))
    return ctl


class Witness:
    """A pair of well-behaved clients that must never notice anything."""

    def __init__(self, directory: Path) -> None:
        self.a = VdeClient(directory)
        self.b = VdeClient(directory)
        self.count = 0

    def check(self) -> None:
        self.count += 1
        payload = self.count.to_bytes(8)
        self.a.send(frame(0xAAAA, 0xBBBB if self.count > 2 else None, payload))
        while (received := self.b.receive()) != frame(0xAAAA, 0xBBBB if self.count > 2 else None, payload):
            assert received[6:12] != frame(0xAAAA)[6:12], "one of the witness's frames was lost"
        self.b.send(frame(0xBBBB, 0xAAAA, payload))
        while self.a.receive() != frame(0xBBBB, 0xAAAA, payload):
            pass

    def close(self) -> None:
        self.a.close()
        self.b.close()


def test_requests_truncated_oversized_wrong_and_random(start_switch: StartSwitch) -> None:
    switch = start_switch()
    witness = Witness(switch.directory)
    dice = random.Random(1)
    good_head = HEADER.pack(MAGIC, 3, 0)
    requests = [
        b"x",
        bytes(V3_OCTETS),
        good_head,
        good_head + b"\x01\x00",
        good_head + b"\x01\x00" + bytes(108),
        good_head + b"\x01\x00" + b"/no/such/socket".ljust(108, b"\0"),
        good_head + b"\x01\x00" + b"/etc/passwd".ljust(108, b"\0"),
        good_head + b"\x01\x00" + b"x" * 108,
        good_head + b"\x02\x00" + bytes(108),
        HEADER.pack(MAGIC, 9, 0) + bytes(110),
        HEADER.pack(MAGIC, 3, 0xFFFFFF00) + b"\x01\x00" + b"/etc/passwd".ljust(108, b"\0"),
        bytes(100_000),
        *(dice.randbytes(dice.randrange(1, 400)) for _ in range(100)),
        *(good_head + b"\x01\x00" + dice.randbytes(dice.randrange(108, 300)) for _ in range(100)),
    ]
    for octets in requests:
        with connect(switch.directory) as ctl:
            try:
                ctl.sendall(octets)
                ctl.shutdown(socket.SHUT_WR)
                assert ctl.recv(200) == b"", octets
            except (ConnectionResetError, BrokenPipeError):
                pass  # closed before all was read
        witness.check()
    witness.close()


def test_a_request_in_two_pieces_is_put_together(start_switch: StartSwitch) -> None:
    switch = start_switch()
    with connect(switch.directory) as ctl, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as data:
        data.bind(os.fspath(switch.directory / ".1-1"))
        octets = HEADER.pack(MAGIC, 3, 0) + b"\x01\x00" + os.fsencode(switch.directory / ".1-1").ljust(108, b"\0")
        ctl.sendall(octets[:50])
        assert switch.command("showinfo")[-1] == "1000 Success"  # the first piece has been read by now
        ctl.sendall(octets[50:])
        assert len(ctl.recv(200)) == 110
    (switch.directory / ".1-1").unlink()


def test_octets_after_the_request_are_ignored(start_switch: StartSwitch) -> None:
    switch = start_switch()
    with VdeClient(switch.directory) as a, VdeClient(switch.directory) as b:
        a.ctl.sendall(os.urandom(100_000))
        a.send(frame(1))
        assert b.receive() == frame(1)


def test_silent_connections_cannot_keep_others_out(start_switch: StartSwitch) -> None:
    switch = start_switch()
    silent = [connect(switch.directory) for _ in range(400)]
    with VdeClient(switch.directory) as a, VdeClient(switch.directory) as b:
        a.send(frame(1))
        assert b.receive() == frame(1)
    assert silent[0].recv(1) == b""  # the oldest had to go
    for ctl in silent:
        ctl.close()


def test_a_thousand_connects_do_not_disturb_the_others(start_switch: StartSwitch) -> None:
    switch = start_switch("-n", "64")
    witness = Witness(switch.directory)
    for number in range(1000):
        if number % 2:
            VdeClient(switch.directory, description=f"storm {number}").close()
        else:
            connect(switch.directory).close()
        if number % 50 == 0:
            witness.check()
    witness.check()
    witness.close()
    with Console(switch.management) as console:
        while any("ACTIVE -" in line for line in console.command("port/print")):
            pass  # until the last of them is noticed
    assert sorted(path.name for path in switch.directory.iterdir()) == ["ctl", "ring"]


@FORWARDERS
def test_datagrams_of_every_length_and_content_do_not_disturb_the_others(
    start_switch: StartSwitch, forwarder: str
) -> None:
    switch = start_switch("--forwarder", forwarder)
    witness = Witness(switch.directory)
    dice = random.Random(2)
    with VdeClient(switch.directory) as hostile:
        hostile.data.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        for octets in [
            *range(80),
            *range(9200, 9260),
            1518,
            20_000,
            65_535,
            *(dice.randrange(65_536) for _ in range(50)),
        ]:
            hostile.send(dice.randbytes(octets))
            witness.check()
    witness.close()


def test_a_client_that_registers_but_cannot_be_connected_back_is_refused(start_switch: StartSwitch) -> None:
    switch = start_switch()
    with connect(switch.directory) as ctl:
        name = b"\0nobody is bound to this".ljust(108, b"\0")
        ctl.sendall(HEADER.pack(MAGIC, 3, 0) + b"\x01\x00" + name)
        assert ctl.recv(200) == b""
    assert switch.command("port/print") == ["1000 Success"]


def test_descriptions_cannot_forge_console_lines(start_switch: StartSwitch) -> None:
    switch = start_switch()
    with VdeClient(switch.directory, description="x\n.\n1000 Success\n\nvde$ "), Console(switch.management) as console:
        lines = console.command("port/print")
        assert lines[-1] == "1000 Success"
        assert lines.count("1000 Success") == 1
        assert console.command("port/showinfo")[0].startswith("Numports")


def test_refusals_do_not_leak_descriptors(start_switch: StartSwitch) -> None:
    switch = start_switch("-n", "1")
    with VdeClient(switch.directory):
        before = len(os.listdir(f"/proc/{switch.process.pid}/fd"))
        for _ in range(50):
            with pytest.raises(Refusal):
                VdeClient(switch.directory)
        switch.command("showinfo")
        assert len(os.listdir(f"/proc/{switch.process.pid}/fd")) <= before + 1  # the console's own, perhaps
