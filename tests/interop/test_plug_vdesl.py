"""vdesl:// with Debian's libvdeplug-vdesl, over two pseudo-terminals."""

import pytest
import trio

from plugs.registry import open_link
from tests.interop.original_plug import exchange, open_original_plug, quiet, receive_ours
from tests.plugs.pairs.vdesl import open_cable
from tests.plugs.surroundings import TestSurroundings
from tests.tools import NeedTool

pytestmark = pytest.mark.interop
PATIENCE_S = 20


def frame(octets: int) -> bytes:
    return (bytes.fromhex("ffffffffffff 020000000001 88b5") + bytes(range(256)) * 36)[:octets]


@pytest.mark.parametrize("speed", ["", "[speed=115200]"])
async def test_both_directions(need_tool: NeedTool, speed: str) -> None:
    need_tool("vde_plug")
    with trio.fail_after(PATIENCE_S):
        async with open_cable() as cable:
            ours, theirs = cable.terminals
            async with (
                open_link(f"vdesl://{ours}{speed}", TestSurroundings()) as link,
                open_original_plug(f"vdesl://{theirs}{speed}") as original,
            ):
                await exchange(link, original, frame(60))
                await quiet(original)
                for octets in (14, 60, 590, 1514):
                    await link.send([frame(octets)])
                    assert await receive_ours(original) == frame(octets)
                    await original.send([frame(octets)])
                    assert await receive_ours(link) == frame(octets)
                assert not link.statistics().dropped_in
