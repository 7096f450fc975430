"""pcapng:// with Wireshark's tools: they read what we record, we play what they write."""

import json
import subprocess
from pathlib import Path

import pytest

from plugs.registry import open_link
from tests.plugs.surroundings import TestSurroundings
from tests.plugs.test_pcapng import capture, number
from tests.tools import NeedTool
from vde.errors import LinkEnded
from vde.link import Link

pytestmark = pytest.mark.interop
PATIENCE_S = 60


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout


def seen_by_tshark(tshark: str, path: Path) -> list[tuple[str, int, int]]:
    """Interface name, captured and original length of each packet."""
    fields = ("frame.interface_name", "frame.cap_len", "frame.len")
    layers = [
        one["_source"]["layers"]
        for one in json.loads(
            run(tshark, "-r", str(path), "-T", "json", *(word for field in fields for word in ("-e", field)))
        )
    ]
    return [(one[fields[0]][0], int(one[fields[1]][0]), int(one[fields[2]][0])) for one in layers]


async def all_of(link: Link) -> list[bytes]:
    frames: list[bytes] = []
    try:
        while True:
            frames += await link.receive()
    except LinkEnded:
        return frames


async def test_tshark_reads_what_we_record(need_tool: NeedTool, short_path: Path) -> None:
    tshark = need_tool("tshark")
    path = short_path / "a.pcapng"
    async with open_link(f"pcapng://{path}[name=lab0/snaplen=100]", TestSurroundings()) as link:
        await link.send([number(1), number(2, 1514)])
    async with open_link(f"pcapng://{path}[name=lab1/append]", TestSurroundings()) as link:
        await link.send([number(3)])
    seen = seen_by_tshark(tshark, path)
    assert seen[:2] == [("lab0", 60, 60), ("lab0", 100, 1514)]
    assert [lengths for _, *lengths in seen[2:]] == [[60, 60]]  # tshark 4.0 shows a later section's interfaces wrong
    assert run("capinfos", "-Trc", str(path)).split("\t")[1].strip() == "3"


@pytest.mark.parametrize("kind", ["pcapng", "pcap", "nsecpcap", "modpcap"])
async def test_we_play_what_editcap_writes(need_tool: NeedTool, short_path: Path, kind: str) -> None:
    editcap = need_tool("editcap")
    times = (1_700_000_000_000_000, 1_700_000_000_000_000, 1_700_000_000_250_000)
    source = capture(short_path / "a", *times)
    run(editcap, "-F", kind, str(source), str(short_path / "b"))
    vnl = f"pcapng://{short_path}/b[play]"
    if kind == "modpcap":  # Kuznetzov's: not supported, and told
        with pytest.raises(Exception, match="no capture file"):
            async with open_link(vnl, TestSurroundings()):
                pass
        return
    here = TestSurroundings()
    async with open_link(vnl, here) as link:
        began_ns = here.now_ns()
        frames = await all_of(link)
        assert here.now_ns() - began_ns >= 250_000_000
    assert frames == [number(index) for index in range(3)]


async def test_we_play_what_tshark_and_mergecap_write(need_tool: NeedTool, short_path: Path) -> None:
    tshark, mergecap = need_tool("tshark"), need_tool("mergecap")
    one = capture(short_path / "a", 0, 2)
    other = capture(short_path / "b", 1, 3)
    run(mergecap, "-w", str(short_path / "c"), str(one), str(other))
    run(tshark, "-r", str(short_path / "c"), "-w", str(short_path / "d"))
    async with open_link(f"pcapng://{short_path}/d[play/speed=0]", TestSurroundings()) as link:
        assert await all_of(link) == [number(0), number(0), number(1), number(1)]
