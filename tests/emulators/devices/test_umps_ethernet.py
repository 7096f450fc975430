"""uMPS3's Ethernet card at its registers: modes, the queue, looks that meet commands, saved states."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.devices.umps import ethernet
from emulators.devices.umps.ethernet import INTERRUPT, NAMED, PROMISC, SET_ADDRESS, Ethernet
from emulators.snapshot import SnapshotError
from tests.emulators.devices.registers import Access, accesses, exercise, moved
from tests.emulators.devices.umps_bench import RAM, Bench

STATUS, COMMAND, DATA0, DATA1 = 0, 4, 8, 12
OURS = bytes.fromhex("02a1b2c3d4e5")
OTHER = bytes.fromhex("02ffffffff01")


def card(bench: Bench) -> tuple[Ethernet, list[bytes]]:
    sent: list[bytes] = []
    device = Ethernet(
        name="eth0", irq=bench.asked.append, events=bench.events, dma=bench.dma, send=sent.append, address=OURS
    )
    return device, sent


def does(bench: Bench, device: Ethernet, command: int, data0: int = RAM, data1: int = 0) -> tuple[int, int]:
    """(result, ticks until the result)."""
    device.write(DATA0, 4, data0)
    device.write(DATA1, 4, data1)
    began = bench.tick
    device.write(COMMAND, 4, command)
    while device.busy:
        deadline = bench.events.next_deadline()
        assert deadline is not None
        bench.timeline.now_ns = deadline
        bench.events.handle_timer(deadline)
    return device.read(STATUS, 4), bench.tick - began


def configure(bench: Bench, device: Ethernet, mode: int) -> None:
    assert does(bench, device, ethernet.CONFIGURE, mode << 16)[0] & 0x7F == 1
    device.write(COMMAND, 4, 1)


def frame(to: bytes = OURS, octets: int = 60) -> bytes:
    return to + OTHER + b"\x08\x00" + (bytes(range(256)) * 8)[: octets - 14]


def test_the_configuration_at_the_start() -> None:
    bench = Bench()
    device, _ = card(bench)
    assert does(bench, device, ethernet.READ_CONFIGURATION) == (1, 40)
    assert device.read(DATA0, 4) == (NAMED | PROMISC) << 16 | 0x02A1
    assert device.read(DATA1, 4) == 0xB2C3_D4E5
    assert bench.pending


def test_configuring_with_and_without_an_address() -> None:
    bench = Bench()
    device, _ = card(bench)
    assert does(bench, device, ethernet.CONFIGURE, (SET_ADDRESS | NAMED) << 16 | 0x0203, 0x0405_0607) == (1, 40)
    assert (device.mode, device.address) == (NAMED, bytes.fromhex("020304050607"))
    configure(bench, device, 0)
    assert (device.mode, device.address) == (0, bytes.fromhex("020304050607"))


@pytest.mark.parametrize("scale", [1, 13])
def test_reading_takes_its_time_even_if_there_is_nothing(scale: int) -> None:
    bench = Bench(scale)
    device, _ = card(bench)
    assert does(bench, device, ethernet.READ, RAM, 99) == (1, 1220 * scale)
    assert device.read(DATA1, 4) == 0
    assert does(bench, device, 0) == (1, 200 * scale)


def test_frames_are_read_in_order_and_bit_7_tells_of_more() -> None:
    bench = Bench()
    device, _ = card(bench)
    device.receive(frame(octets=61))
    device.receive(frame(OTHER, octets=100))
    assert does(bench, device, ethernet.READ)[0] == 0x81
    assert device.read(DATA1, 4) == 61
    assert bench.memory.octets[:64] == frame(octets=61) + bytes(3)
    assert does(bench, device, ethernet.READ)[0] == 1
    assert device.read(DATA1, 4) == 100


def test_a_long_frame_is_cut_and_a_full_queue_drops() -> None:
    bench = Bench()
    device, _ = card(bench)
    for _ in range(20):
        device.receive(frame(octets=1600))
    assert device.dropped_frames == 4
    does(bench, device, ethernet.READ)
    assert device.read(DATA1, 4) == 1514


@pytest.mark.parametrize(
    ("mode", "to", "taken"),
    [
        (0, OURS, True),
        (0, OTHER, False),
        (0, b"\xff" * 6, True),
        (0, b"\x01\x00\x5e\x00\x00\x01", True),
        (PROMISC, OTHER, True),
    ],
)
def test_the_filter(mode: int, to: bytes, taken: bool) -> None:
    bench = Bench()
    device, _ = card(bench)
    configure(bench, device, mode)
    device.receive(frame(to))
    does(bench, device, ethernet.READ)
    assert device.read(DATA1, 4) == (60 if taken else 0)


def test_writing_with_and_without_our_name() -> None:
    bench = Bench()
    device, sent = card(bench)
    bench.memory.write(RAM, frame(OTHER, 61))
    assert does(bench, device, ethernet.WRITE, RAM, 61) == (1, 1220)
    configure(bench, device, PROMISC)
    assert does(bench, device, ethernet.WRITE, RAM, 61)[0] == 1
    assert sent == [OTHER + OURS + frame(OTHER, 61)[12:], frame(OTHER, 61)]


@pytest.mark.parametrize("octets", [0, 1, 13])
def test_what_is_no_frame_is_not_sent(octets: int) -> None:
    bench = Bench()
    device, sent = card(bench)
    assert does(bench, device, ethernet.WRITE, RAM, octets)[0] == 1
    assert (sent, device.runts) == ([], 1)


@pytest.mark.parametrize(("address", "octets"), [(RAM, 4097), (RAM, 0xFFFF_FFFF), (RAM + 2, 60), (0x1000_0000, 60)])
def test_a_bad_write_is_answered_at_once(address: int, octets: int) -> None:
    bench = Bench()
    device, sent = card(bench)
    assert does(bench, device, ethernet.WRITE, address, octets) == (7, 0)
    assert bench.pending
    assert not sent


def test_a_read_to_nowhere() -> None:
    bench = Bench()
    device, _ = card(bench)
    device.receive(frame())
    assert does(bench, device, ethernet.READ, 0)[0] == 6


@pytest.mark.parametrize("command", [6, 0x102, 0xFFFF_FFFF])
def test_unknown_commands(command: int) -> None:
    bench = Bench()
    device, _ = card(bench)
    assert does(bench, device, command) == (2, 0)


def test_a_frame_that_arrives_interrupts_at_the_next_look() -> None:
    bench = Bench()
    device, _ = card(bench)
    configure(bench, device, INTERRUPT | PROMISC)  # looks at 40 + 610, 40 + 1220, …
    assert bench.events.next_deadline() is None
    bench.pass_ticks(700)
    device.receive(frame())
    assert not bench.pending
    bench.pass_ticks(1000)
    assert bench.pending
    assert device.read(STATUS, 4) == 0x81
    device.write(COMMAND, 4, 1)
    assert device.read(STATUS, 4) == 0x81  # acknowledged, not read
    assert not bench.pending
    assert does(bench, device, ethernet.READ)[0] == 1


def test_the_look_falls_on_the_tick_at_which_the_original_looks() -> None:
    bench = Bench()
    device, _ = card(bench)
    configure(bench, device, INTERRUPT | PROMISC)
    bench.pass_ticks(700)
    device.receive(frame())
    deadline = bench.events.next_deadline()
    assert deadline == (40 + 1220) * 1000


def test_a_look_within_a_command_ends_it_early() -> None:
    bench = Bench()
    device, sent = card(bench)
    configure(bench, device, INTERRUPT | PROMISC)
    bench.pass_ticks(100)
    bench.memory.write(RAM, frame(OTHER))
    assert does(bench, device, ethernet.WRITE, RAM, 60) == (1, 510)
    assert len(sent) == 1
    device.receive(frame())
    bench.pass_ticks(10_000)  # the command's own end is the look
    assert device.read(STATUS, 4) == 0x81


def test_looks_end_when_the_mode_says_so() -> None:
    bench = Bench()
    device, _ = card(bench)
    configure(bench, device, INTERRUPT)
    configure(bench, device, PROMISC)
    bench.pass_ticks(2000)
    asked = len(bench.asked)
    device.receive(frame())
    bench.pass_ticks(10_000)
    assert bench.asked[asked:] == []


def test_a_card_that_does_not_work() -> None:
    bench = Bench()
    device, sent = card(bench)
    device.working = False
    device.receive(frame())
    assert does(bench, device, ethernet.READ)[0] == 5
    assert does(bench, device, ethernet.WRITE, RAM, 60)[0] == 6
    assert does(bench, device, ethernet.READ_CONFIGURATION)[0] == 1
    assert not sent


def test_a_card_moves_in_the_middle_of_a_write() -> None:
    bench = Bench()
    device, _ = card(bench)
    bench.memory.write(RAM, frame(OTHER))
    device.receive(frame())
    device.write(DATA0, 4, RAM)
    device.write(DATA1, 4, 60)
    device.write(COMMAND, 4, ethernet.WRITE)
    bench.pass_ticks(10)
    other = Bench()
    other.at(10)
    twin, sent = card(other)
    moved(device, lambda: twin)
    other.events.from_state(bench.events.state())
    other.until_quiet()
    assert len(sent) == 1
    does(other, twin, ethernet.READ)
    assert twin.read(DATA1, 4) == 60


@pytest.mark.parametrize(
    "change", [{"address": b"short"}, {"queue": [b""] * 17}, {"queue": ["x"]}, {"mode": 256}, {"polling": 1}]
)
def test_a_damaged_state_is_refused(change: dict[str, object]) -> None:
    device, _ = card(Bench())
    with pytest.raises(SnapshotError):
        device.from_state({**device.state(), **change})


@pytest.mark.fuzz
@given(accesses(16, widths=(4,)), st.lists(st.binary(min_size=14, max_size=2000), max_size=20))
def test_any_accesses_and_any_frames(operations: list[Access], frames: list[bytes]) -> None:
    bench = Bench()
    device, _ = card(bench)
    for number, operation in enumerate(operations):
        exercise(device, bench.timeline, 16, [operation])
        if number < len(frames):
            device.receive(frames[number])
        bench.pass_ticks(700)
    moved(device, lambda: card(bench)[0])
