"""agno:// with Debian's libvdeplug-agno, both directions, every option, every length."""

from pathlib import Path

import pytest
import trio

from plugs.registry import open_link
from plugs.surroundings import Here
from tests.interop.original_plug import exchange, open_original_plug, quiet, receive_ours
from tests.plugs.pairs.vxlan import free_ports
from tests.tools import NeedTool

pytestmark = pytest.mark.interop
PATIENCE_S = 20


def frame(octets: int) -> bytes:
    return (bytes.fromhex("ffffffffffff 020000000001 88b5") + bytes(range(256)) * 36)[:octets]


@pytest.mark.parametrize("key", ["000102030405060708090a0b0c0d0e0f", "A1B2C3D4E5F60718293A4B5C6D7E8F90", "01-02"])
@pytest.mark.parametrize("option", ["", "[ethtype=copy]", "[ethtype=ipv4]", "[ethtype=rand]", "[ethtype=0x88b6]"])
async def test_both_directions(need_tool: NeedTool, short_path: Path, key: str, option: str) -> None:
    need_tool("vde_plug")
    (short_path / "key").write_text(key)
    (short_path / "key").chmod(0o600)
    here, there = free_ports(2)
    warnings: list[str] = []
    ours = f"agno://{short_path}/key{option}{{udp://127.0.0.1:{here}->127.0.0.1:{there}}}"
    theirs = f"agno://{short_path}/key{option}{{udp://127.0.0.1:{there}->127.0.0.1:{here}}}"
    with trio.fail_after(PATIENCE_S):
        async with open_link(ours, Here("test", warnings.append)) as link, open_original_plug(theirs) as original:
            await exchange(link, original, frame(60))
            await quiet(original)
            for octets in (14, 15, 29, 30, 31, 60, 61, 1514, 9000, link.mtu_octets):
                await link.send([frame(octets)])
                assert await receive_ours(original) == frame(octets)
                if octets <= 9204:  # the original adds more to a frame than its buffer holds
                    await original.send([frame(octets)])
                    assert await receive_ours(link) == frame(octets)
            assert not link.statistics().dropped_in
    assert len(warnings) == ("A" in key)


async def test_another_key_passes_nothing(need_tool: NeedTool, short_path: Path) -> None:
    need_tool("vde_plug")
    (short_path / "key").write_text("00")
    (short_path / "other").write_text("01")
    here, there = free_ports(2)
    with trio.fail_after(PATIENCE_S):
        ours = f"agno://{short_path}/key{{udp://127.0.0.1:{here}->127.0.0.1:{there}}}"
        theirs = f"agno://{short_path}/other{{udp://127.0.0.1:{there}->127.0.0.1:{here}}}"
        async with open_link(ours, Here("test", lambda text: None)) as link, open_original_plug(theirs) as original:
            while not link.statistics().dropped_in:
                await original.send([frame(60)])
                with trio.move_on_after(0.1):
                    pytest.fail(f"{await link.receive()!r} was received")
            assert set(link.statistics().dropped_in) == {"key"}
