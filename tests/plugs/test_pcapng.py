"""pcapng://: recording (sizes, sections, several files), playing (times, ends, damage)."""

import os
import resource
import signal
import stat
from pathlib import Path

import pytest
import trio
import trio.testing

from plugs.parts.capture_reader import Captured
from plugs.pcapng import ROTATE_LEAST
from plugs.registry import open_link
from tests.pcapng_reader import read_blocks
from tests.plugs.parts.test_capture_reader import FRAME, interface, packet, pcap, read, section
from tests.plugs.surroundings import TestSurroundings
from vde.errors import ConfigError, LinkBroken, LinkEnded

MS = 1_000


def number(index: int, octets: int = 60) -> bytes:
    return (FRAME[:14] + index.to_bytes(4)).ljust(octets, b"x")


def capture(path: Path, *times_us: int, frames: list[bytes] | None = None) -> Path:
    frames = frames or [number(index) for index in range(len(times_us))]
    blocks = [packet("<", time, frame) for time, frame in zip(times_us, frames, strict=True)]
    path.write_bytes(section() + interface() + b"".join(blocks))
    return path


async def test_what_is_sent_is_in_the_file_at_once_and_the_owners_alone(short_path: Path) -> None:
    here = TestSurroundings()
    path = short_path / "a.pcapng"
    async with open_link(f"pcapng://{path}[name=eth7]", here) as link:
        await link.send([FRAME, number(1, 1514)])
        assert [one.frame for one in read(path.read_bytes())] == [FRAME, number(1, 1514)]
        assert abs(read(path.read_bytes())[0].when_ns - here.wall_ns()) < 10**9
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    blocks = list(read_blocks(path.read_bytes()))
    assert blocks[1].options[2] == b"eth7"


async def test_only_the_beginning_is_recorded(short_path: Path) -> None:
    path = short_path / "a.pcapng"
    async with open_link(f"pcapng://{path}[snaplen=20]", TestSurroundings()) as link:
        await link.send([FRAME, FRAME[:14]])
    blocks = [block for block in read_blocks(path.read_bytes()) if block.kind == 6]
    assert [(block.data, block.fields[4]) for block in blocks] == [(FRAME[:20], 60), (FRAME[:14], 14)]


async def test_a_file_is_replaced_or_appended_to(short_path: Path) -> None:
    path = short_path / "a.pcapng"
    for options, frames in (("", 1), ("", 1), ("[append]", 2), ("[append]", 3)):
        async with open_link(f"pcapng://{path}{options}", TestSurroundings()) as link:
            await link.send([FRAME])
        assert len(read(path.read_bytes())) == frames


@pytest.mark.parametrize("octets", [b"x" * 100, section()[:-1], pcap("<", 0xA1B2C3D4), section() + packet("<", 1)[:-5]])
async def test_nothing_is_appended_to_what_is_no_whole_pcapng_file(short_path: Path, octets: bytes) -> None:
    (short_path / "a").write_bytes(octets)
    with pytest.raises(ConfigError, match="nothing can be appended"):
        async with open_link(f"pcapng://{short_path}/a[append]", TestSurroundings()):
            pass
    assert (short_path / "a").read_bytes() == octets


async def test_files_go_round(short_path: Path) -> None:
    path = short_path / "a.pcapng"
    async with open_link(f"pcapng://{path}[rotate=64k/files=2]", TestSurroundings()) as link:
        for index in range(300):
            await link.send([number(index, 1500)])
    assert sorted(os.listdir(short_path)) == ["a.pcapng", "a.pcapng.1", "a.pcapng.2"]
    found: list[Captured] = []
    for one in (short_path / "a.pcapng.2", short_path / "a.pcapng.1", path):
        assert one.stat().st_size <= ROTATE_LEAST
        found += read(one.read_bytes())
    assert [one.frame for one in found] == [number(index, 1500) for index in range(300 - len(found), 300)]


async def test_no_older_files_are_kept_if_so_said(short_path: Path) -> None:
    path = short_path / "a.pcapng"
    async with open_link(f"pcapng://{path}[rotate=64k/files=0]", TestSurroundings()) as link:
        for index in range(100):
            await link.send([number(index, 1500)])
    assert os.listdir(short_path) == ["a.pcapng"]
    assert read(path.read_bytes())[-1].frame == number(99, 1500)


async def test_a_full_disk_breaks_the_link_and_leaves_whole_blocks(short_path: Path) -> None:
    path = short_path / "a.pcapng"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        async with open_link(f"pcapng://{path}", TestSurroundings()) as link:
            await link.send([FRAME])
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
            with pytest.raises(LinkBroken, match="File too large"):
                await link.send([number(1, 9000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [one.frame for one in read(path.read_bytes())] == [FRAME]


async def play(vnl: str, frames: int) -> list[tuple[int, bytes]]:
    """When each frame came, in milliseconds after the first, and which."""
    here = TestSurroundings()
    found: list[tuple[int, bytes]] = []
    async with open_link(vnl, here) as link:
        while len(found) < frames:
            found += [(here.now_ns(), frame) for frame in await link.receive()]
    return [(round((when - found[0][0]) / 1e6), frame) for when, frame in found]


@pytest.mark.parametrize(
    ("options", "expected_ms"),
    [
        ("play", [0, 0, 250, 1250, 1250]),
        ("play/speed=2", [0, 0, 125, 625, 625]),
        ("play/speed=0.5", [0, 0, 500, 2500, 2500]),
        ("play/speed=0", [0, 0, 0, 0, 0]),
        ("play/gap=0.5", [0, 0, 250, 750, 750]),
    ],
)
async def test_frames_come_at_their_times(
    short_path: Path, autojump_clock: trio.testing.MockClock, options: str, expected_ms: list[int]
) -> None:
    path = capture(short_path / "a", 5000 * MS, 5000 * MS, 5250 * MS, 6250 * MS, 6100 * MS)
    found = await play(f"pcapng://{path}[{options}]", 5)
    assert [when for when, _ in found] == expected_ms
    assert [frame for _, frame in found] == [number(index) for index in range(5)]


async def test_an_old_pcap_is_played(short_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    (short_path / "a").write_bytes(pcap(">", 0xA1B2C3D4, (7, 0, number(0), 0), (8, 500_000, number(1), 0)))
    assert await play(f"pcapng://{short_path}/a[play]", 2) == [(0, number(0)), (1500, number(1))]


async def test_it_ends_in_good_order(short_path: Path) -> None:
    path = capture(short_path / "a", 0, 0)
    async with open_link(f"pcapng://{path}[play]", TestSurroundings()) as link:
        assert len(await link.receive()) == 2
        for _ in range(2):
            with pytest.raises(LinkEnded, match="played to its end"):
                await link.receive()
        assert link.state()["ended"]


async def test_it_begins_again(short_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    path = capture(short_path / "a", 0, 100 * MS)
    found = await play(f"pcapng://{path}[play/loop]", 6)
    assert [when for when, _ in found] == [0, 100, 100, 200, 200, 300]
    assert [frame for _, frame in found] == [number(0), number(1)] * 3


async def test_nothing_to_play_is_no_loop(short_path: Path) -> None:
    path = capture(short_path / "a", 0, frames=[b"short"])
    async with open_link(f"pcapng://{path}[play/loop]", TestSurroundings()) as link:
        with pytest.raises(LinkEnded):
            await link.receive()
        assert link.statistics().dropped_in == {"other": 1}


async def test_only_frames_that_are_too_long_leave_time_for_others(short_path: Path) -> None:
    path = capture(short_path / "a", 0, frames=[bytes(9235)])
    async with open_link(f"pcapng://{path}[play/loop/speed=0]", TestSurroundings()) as link:
        with trio.move_on_after(0.05) as scope:
            await link.receive()
        assert scope.cancelled_caught
        assert link.statistics().dropped_in["oversize"] > 1


async def test_a_damaged_file_is_played_up_to_there(short_path: Path) -> None:
    path = capture(short_path / "a", 0, 0)
    good = path.read_bytes()
    for bad, message in ((b"garbage that is no block", "at octet 232: a block of"), (good[48:100], "cut off")):
        path.write_bytes(good + bad)
        async with open_link(f"pcapng://{path}[play]", TestSurroundings()) as link:
            assert await link.receive() == [number(0), number(1)]
            with pytest.raises(LinkBroken, match=message) as caught:
                await link.receive()
            assert not isinstance(caught.value, LinkEnded)


async def test_what_is_sent_to_a_player_goes_nowhere_and_is_counted(short_path: Path) -> None:
    path = capture(short_path / "a", 0)
    async with open_link(f"pcapng://{path}[play]", TestSurroundings()) as link:
        await link.send([FRAME, FRAME])
        assert link.statistics().dropped_out == {"playing": 2}


async def test_a_cancelled_receive_loses_no_frame(short_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    path = capture(short_path / "a", 0, 1000 * MS)
    async with open_link(f"pcapng://{path}[play]", TestSurroundings()) as link:
        assert await link.receive() == [number(0)]
        for _ in range(3):
            with trio.move_on_after(0.1):
                await link.receive()
        assert await link.receive() == [number(1)]


@pytest.mark.parametrize(
    ("vnl", "message"),
    [
        ("pcapng://", "a file's path"),
        ("pcapng://{home}/none[play]", "No such file"),
        ("pcapng://{home}[play]", "a file was expected"),
        ("pcapng:///dev/null[play]", "a file was expected"),
        ("pcapng:///dev/null", "a file was expected"),
        ("pcapng://{home}/none/file", "No such file"),
        ("pcapng://{home}/text[play]", "no capture file"),
        ("pcapng://{home}/empty[play]", "cut off"),
        ("pcapng://{home}/text[play/speed=-1]", "speed"),
        ("pcapng://{home}/text[play/speed=nan]", "speed"),
        ("pcapng://{home}/text[play/gap=-1]", "gap"),
    ],
)
async def test_what_is_not_possible_is_told(short_path: Path, vnl: str, message: str) -> None:
    (short_path / "text").write_text("some text that is no capture")
    (short_path / "empty").touch()
    with pytest.raises(ConfigError, match=message):
        async with open_link(vnl.format(home=short_path), TestSurroundings()):
            pass
