"""vdesl:// on pseudo-terminals: settings, lock, silence."""

import os
import termios
from pathlib import Path

import pytest
import trio

from plugs.registry import open_link
from plugs.vdesl import SPEEDS
from tests.plugs.pairs.vdesl import open_cable
from tests.plugs.surroundings import TestSurroundings
from vde.errors import ConfigError, LinkBroken

FRAME = bytes.fromhex("ffffffffffff 020000000001 88b5") + bytes(46)
FRAMED = len(FRAME).to_bytes(2) + FRAME


@pytest.mark.parametrize("speed", [9600, 38400, 4_000_000])
async def test_the_line_is_raw_at_the_wanted_speed_and_as_before_at_the_end(speed: int) -> None:
    async with open_cable() as cable:
        fd = os.open(cable.terminals[0], os.O_RDWR | os.O_NOCTTY)
        try:
            before = termios.tcgetattr(fd)
            async with open_link(f"vdesl://{cable.terminals[0]}[speed={speed}]", TestSurroundings()):
                now = termios.tcgetattr(fd)
                assert now[4:6] == [SPEEDS[speed]] * 2
                assert now[0] == now[1] == now[3] == 0
                assert now[2] & (termios.CSIZE | termios.PARENB | termios.CSTOPB) == termios.CS8
            assert termios.tcgetattr(fd) == before
        finally:
            os.close(fd)


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("/dev/null", ConfigError, "a terminal"),
        ("/dev/nonesuch", LinkBroken, "No such file"),
        ("/dev/null[speed=10000]", ConfigError, "9600, 19200"),
    ],
)
async def test_what_is_no_line_is_told(address: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        async with open_link(f"vdesl://{address}", TestSurroundings()):
            pass


async def test_a_line_has_one_user() -> None:
    async with open_cable() as cable, open_link(f"vdesl://{cable.terminals[0]}", TestSurroundings()):
        with pytest.raises(ConfigError, match="another program"):
            async with open_link(f"vdesl://{cable.terminals[0]}", TestSurroundings()):
                pass


async def test_a_frame_in_pieces_arrives_and_one_that_stops_is_given_up_after_the_silence(short_path: Path) -> None:
    async with open_cable() as cable, open_link(f"vdesl://{cable.terminals[0]}", TestSurroundings()) as link:
        async with trio.open_nursery() as nursery:
            received: list[bytes] = []

            async def receive() -> None:
                received.extend(await link.receive())

            nursery.start_soon(receive)
            for octet in FRAMED:
                cable.write(bytes([octet]))
                await trio.lowlevel.checkpoint()
        assert received == [FRAME]
        cable.write(FRAMED[:30])
        with trio.move_on_after(10) as scope:
            while not link.statistics().dropped_in:
                with trio.move_on_after(0.5):
                    await link.receive()
        assert not scope.cancelled_caught
        assert link.statistics().dropped_in == {"framing": 1}
        cable.write(FRAMED)
        assert await link.receive() == [FRAME]
