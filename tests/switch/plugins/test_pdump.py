"""`pdump`: what is in the file, and what happens when there can be none."""

import os
import resource
import stat
from pathlib import Path

import pytest

from switch.core import SECOND_NS
from tests.pcapng_reader import Block, read_blocks
from tests.switch.console.rig import WALL_NS, Rig
from tests.vde_client import frame, tagged

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
RECEIVED, DROPPED = 4, 5


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pdump(rig: Rig) -> Rig:
    rig.do("plugin/add pdump")
    return rig


def blocks(name: str = "vde_dump.cap") -> list[Block]:
    return list(read_blocks(Path(name).read_bytes()))


def number(block: Block, option: int) -> int:
    return int.from_bytes(block.options[option], "little")


def test_a_capture_from_beginning_to_end(pdump: Rig) -> None:
    one, two = pdump.plug(1)[1], pdump.plug(2)[1]
    pdump.plug(3)
    assert pdump.data("pdump/active 1") == []
    pdump.wait(2)
    pdump.send(one, frame(1))
    pdump.wait(1)
    pdump.send(two, tagged(frame(2), 99))
    assert pdump.data("pdump/active 0") == []
    pdump.send(one, frame(1))

    assert stat.S_IMODE(os.stat("vde_dump.cap").st_mode) == 0o600
    kinds = [block.kind for block in blocks()]
    assert kinds == [SECTION, INTERFACE, *[INTERFACE, PACKET] * 3, PACKET, *[STATISTICS] * 4]
    assert [block.options[2] for block in blocks() if block.kind == INTERFACE] == [
        b"switch",
        b"port1",
        b"port2",
        b"port3",
    ]
    packets = [block for block in blocks() if block.kind == PACKET]
    times = [block.fields[1] << 32 | block.fields[2] for block in packets]
    assert [(block.fields[0], number(block, 2), block.data) for block in packets] == [
        (1, 1, frame(1)),
        (2, 2, frame(1)),
        (3, 2, frame(1)),
        (2, 1, tagged(frame(2), 99)),
    ]
    assert times == [WALL_NS + 3 * SECOND_NS] * 3 + [WALL_NS + 4 * SECOND_NS]
    counts = [(b.fields[0], number(b, RECEIVED), number(b, DROPPED)) for b in blocks() if b.kind == STATISTICS]
    assert counts == [(0, 0, 0), (1, 1, 0), (2, 2, 0), (3, 1, 0)]
    assert pdump.data("pdump/status") == [
        "active=false",
        "dumpfile=vde_dump.cap",
        "buffered=false",
        "stored 4 frames, lost 0 before they came here, 0 that the file did not take",
    ]


def test_after_a_pause_it_goes_on_in_a_new_section(pdump: Rig) -> None:
    one = pdump.plug(1)[1]
    Path("vde_dump.cap").write_text("what was there before")
    for count in (1, 2):
        pdump.data("pdump/active 1")
        pdump.send(one, frame(1))
        pdump.data("pdump/active 0")
        assert [block.kind for block in blocks()] == [
            SECTION,
            INTERFACE,
            INTERFACE,
            PACKET,
            STATISTICS,
            STATISTICS,
        ] * count
    assert pdump.status("pdump/active 0") == 1002


def test_another_file_while_it_is_active(pdump: Rig) -> None:
    one = pdump.plug(1)[1]
    pdump.data("pdump/active 1")
    pdump.send(one, frame(1))
    assert pdump.data("pdump/filename vde_dump.cap") == ["dumpfile=vde_dump.cap"]
    assert pdump.data("pdump/filename two words.cap") == ["dumpfile=two words.cap"]
    pdump.send(one, frame(2), frame(3))
    assert pdump.do("pdump/active 1").endswith("1017 File exists\n")
    pdump.do("plugin/del pdump")
    assert [block.data for block in blocks() if block.kind == PACKET] == [frame(1)]
    assert [block.data for block in blocks("two words.cap") if block.kind == PACKET] == [frame(2), frame(3)]
    assert blocks("two words.cap")[-1].kind == STATISTICS


def test_a_file_that_cannot_be_opened_is_refused_and_nothing_changes(pdump: Rig) -> None:
    one = pdump.plug(1)[1]
    assert pdump.data("pdump/filename /nonexistent/x") == ["dumpfile=/nonexistent/x"]
    assert pdump.do("pdump/active 1") == (
        "0000 DATA END WITH '.'\nERROR: cannot dump to /nonexistent/x\n.\n1002 No such file or directory\n"
    )
    assert pdump.data("why") == ["/nonexistent/x: No such file or directory"]
    pdump.data("pdump/filename good.cap")
    pdump.data("pdump/active 1")
    assert pdump.status("pdump/filename /") == 1021
    assert pdump.data("pdump/filename") == ["dumpfile=good.cap"]
    pdump.send(one, frame(1))
    pdump.data("pdump/active 0")
    assert [block.data for block in blocks("good.cap") if block.kind == PACKET] == [frame(1)]


def test_buffered_frames_are_written_when_it_ends_or_is_unbuffered(pdump: Rig) -> None:
    one = pdump.plug(1)[1]
    assert pdump.do("pdump/buffered 1") == "1000 Success\n"
    pdump.data("pdump/active 1")
    pdump.send(one, frame(1))
    assert os.stat("vde_dump.cap").st_size == 0
    pdump.do("pdump/buffered 0")
    assert [block.kind for block in blocks()] == [SECTION, INTERFACE, INTERFACE, PACKET]
    pdump.do("pdump/buffered 1")
    pdump.send(one, frame(1))
    pdump.data("pdump/active 0")
    assert [block.kind for block in blocks()][-4:] == [PACKET, PACKET, STATISTICS, STATISTICS]


def test_the_end_of_the_switch_completes_the_file(pdump: Rig) -> None:
    one = pdump.plug(1)[1]
    pdump.do("pdump/buffered 1")
    pdump.data("pdump/active 1")
    pdump.send(one, frame(1))
    pdump.console.close()
    assert blocks()[-1].kind == STATISTICS


@pytest.mark.parametrize("buffered", [0, 1])
def test_a_full_disk_ends_the_capture_and_nothing_else(pdump: Rig, buffered: int) -> None:
    one, two = pdump.plug(1)[1], pdump.plug(2)[1]
    pdump.data("pdump/filename /dev/full")
    pdump.do(f"pdump/buffered {buffered}")
    if buffered:
        pdump.data("pdump/active 1")
        pdump.send(one, *[frame(1)] * 50)
        pdump.data("pdump/active 0")
        pdump.send(two, frame(2))
        assert pdump.data("pdump/status")[-1] == "ended by an error: /dev/full: No space left on device"
    else:
        assert pdump.status("pdump/active 1") == 1028
    pdump.send(one, frame(1))
    assert two.recv(2000) == frame(1)
    assert pdump.data("pdump/status")[0] == "active=false"


def test_a_disk_that_fills_up_leaves_whole_blocks(pdump: Rig) -> None:
    one, two = pdump.plug(1)[1], pdump.plug(2)[1]
    pdump.data("pdump/active 1")
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1001, unlimited[1]))  # the kernel writes 1001 octets, then refuses
    try:
        pdump.send(one, *[frame(1)] * 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    stored = sum(block.kind == PACKET for block in blocks())
    assert 0 < stored < 20
    assert pdump.data("pdump/status")[0] == "active=false"
    assert pdump.data("pdump/status")[-1] == "ended by an error: vde_dump.cap: File too large"
    assert pdump.messages == ["pdump: vde_dump.cap: File too large: the capture ends"]
    assert len([two.recv(2000) for _ in range(10)]) == 10


def test_a_pipe_that_nobody_reads_is_refused(pdump: Rig) -> None:
    os.mkfifo("pipe")
    pdump.data("pdump/filename pipe")
    assert pdump.status("pdump/active 1") == 1006


def test_frames_that_the_file_did_not_take_are_counted(pdump: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    one = pdump.plug(1)[1]
    pdump.data("pdump/active 1")
    pdump.send(one, frame(1))
    two = pdump.plug(2)[1]
    with monkeypatch.context() as patch:
        patch.setattr("switch.plugins.capture_file.CaptureFile.write", lambda self, block: False)
        pdump.send(one, frame(1, 2))
        pdump.send(two, tagged(frame(2), 9), tagged(frame(2), 9))
    pdump.data("pdump/active 0")
    assert pdump.data("pdump/status")[-1] == (
        "stored 1 frames, lost 0 before they came here, 4 that the file did not take"
    )
    statistics = [block for block in blocks() if block.kind == STATISTICS]
    assert [(b.fields[0], number(b, RECEIVED), number(b, DROPPED)) for b in statistics] == [(0, 0, 3), (1, 2, 1)]


def test_frames_that_the_forwarder_lost_are_counted(pdump: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    one = pdump.plug(1)[1]
    pdump.data("pdump/active 1")
    pdump.send(one, frame(1))
    before = pdump.forwarder.events_lost()
    monkeypatch.setattr(pdump.forwarder, "events_lost", lambda: before + 17)
    assert "lost 17 before they came here" in pdump.data("pdump/status")[-1]
    pdump.data("pdump/active 0")
    statistics = [block for block in blocks() if block.kind == STATISTICS]
    assert [(block.fields[0], number(block, DROPPED)) for block in statistics] == [(0, 17), (1, 0)]


def test_its_events_tell_what_is_stored(pdump: Rig) -> None:
    one = pdump.plug(1)[1]
    session = pdump.listen("pdump")
    pdump.send(one, frame(1))
    pdump.data("pdump/active 1")
    pdump.send(one, frame(1))
    assert session.take() == b"3101 pdump/packetin Pkt: Port 0001 len=0060\n"
