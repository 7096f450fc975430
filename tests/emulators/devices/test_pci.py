"""PCI: sizing, windows that move, interrupt lines, saved state; written as firmware and a kernel would do it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.devices.pci.bus import PciBus
from emulators.devices.pci.config import PciFunction
from emulators.snapshot import SnapshotError
from vde.errors import ConfigError


class Echo:
    """Answers what it was asked, and keeps what was written."""

    def __init__(self, tag: int) -> None:
        self.tag = tag
        self.written: list[tuple[int, int, int]] = []

    def read(self, offset: int, size: int) -> int:
        return self.tag << 4 | offset

    def write(self, offset: int, size: int, value: int) -> None:
        self.written.append((offset, size, value))


def card(tag: int = 1, pin: int = 1) -> PciFunction:
    function = PciFunction(
        f"card{tag}", vendor=0x1022, device=0x2000, class_code=0x020000, subsystem_vendor=0x1AF4, subsystem=tag, pin=pin
    )
    function.add_bar(0, 32, Echo(tag), io=True)
    function.add_bar(1, 4096, Echo(tag + 8))
    return function


class Board:
    def __init__(self, *cards: PciFunction) -> None:
        self.levels: list[tuple[int, bool]] = []
        self.bus = PciBus([lambda level, i=i: self.levels.append((i, level)) for i in range(4)])  # type: ignore[misc]
        for at, function in enumerate(cards, 11):
            self.bus.add(function, at)


def test_identity_and_an_empty_slot() -> None:
    bus = Board(card()).bus
    assert bus.config_read(11 << 3, 0, 4) == 0x2000_1022
    assert bus.config_read(11 << 3, 2, 2) == 0x2000
    assert bus.config_read(11 << 3, 0x0B, 1) == 2
    assert bus.config_read(12 << 3, 0, 4) == 0xFFFF_FFFF
    assert bus.config_read(11 << 3 | 1, 0, 2) == 0xFFFF
    bus.config_write(12 << 3, 4, 2, 7)
    bus.config_write(11 << 3, 0, 4, 0)
    assert bus.config_read(11 << 3, 0, 4) == 0x2000_1022


def test_sizing_as_firmware_does_it() -> None:
    bus = Board(card()).bus
    bus.config_write(11 << 3, 0x10, 4, 0xFFFF_FFFF)
    assert bus.config_read(11 << 3, 0x10, 4) == 0xFFFF_FFE1
    bus.config_write(11 << 3, 0x14, 4, 0xFFFF_FFFF)
    assert bus.config_read(11 << 3, 0x14, 4) == 0xFFFF_F000
    bus.config_write(11 << 3, 0x18, 4, 0xFFFF_FFFF)
    assert bus.config_read(11 << 3, 0x18, 4) == 0
    bus.config_write(11 << 3, 0x30, 4, 0xFFFF_FFFE)
    assert bus.config_read(11 << 3, 0x30, 4) == 0


def test_windows_follow_command_and_base_registers() -> None:
    bus = Board(card()).bus
    bus.config_write(11 << 3, 0x10, 4, 0x1001)
    bus.config_write(11 << 3, 0x14, 4, 0x1200_0000)
    assert bus.io.read(0x1004, 4) == 0xFFFF_FFFF
    bus.config_write(11 << 3, 4, 2, 1)
    assert bus.io.read(0x1004, 4) == 0x14
    assert bus.memory.read(0x1200_0010, 4) == 0xFFFF_FFFF
    bus.config_write(11 << 3, 4, 2, 3)
    assert bus.memory.read(0x1200_0010, 4) == 0x90 | 0x10
    for i, octet in enumerate((0x00, 0x20, 0x00, 0x00)):  # an octet at a time
        bus.config_write(11 << 3, 0x10 + i, 1, octet)
    assert bus.io.read(0x2004, 1) == 0x14
    assert bus.io.find(0x1004, 4) is None
    bus.config_write(11 << 3, 4, 2, 0)
    assert not bus.io.windows()
    assert not bus.memory.windows()


def test_an_overlap_hides_the_later_device_until_it_moves() -> None:
    bus = Board(card(1), card(2)).bus
    fixed = Echo(7)
    bus.io.map(0x3F8, 8, fixed, name="serial")
    for devfn in (11 << 3, 12 << 3):
        bus.config_write(devfn, 4, 2, 1)
        bus.config_write(devfn, 0x10, 4, 0x1000)
    assert bus.hidden_windows == 1
    assert bus.io.read(0x1000, 1) == 0x10
    bus.config_write(11 << 3, 0x10, 4, 0x3E0)  # over the serial line
    assert bus.io.read(0x3F8, 1) == 0x70
    assert bus.io.read(0x1000, 1) == 0x20
    assert bus.hidden_windows == 1
    bus.config_write(11 << 3, 0x10, 4, 0x400)
    assert bus.io.read(0x400, 1) == 0x10
    assert bus.hidden_windows == 0


def test_command_and_status_bits() -> None:
    function = card()
    Board(function)
    function.config_write(4, 4, 0xFFFF_FFFF)
    assert function.config_read(4, 2) == 0x0557
    function.set_pci_status(0x2000)
    assert function.config_read(6, 2) == 0x2000
    function.config_write(6, 2, 0x0800)
    assert function.config_read(6, 2) == 0x2000
    function.config_write(6, 2, 0x2000)
    assert function.config_read(6, 2) == 0


def test_pins_share_lines_by_slot() -> None:
    cards = [card(n) for n in range(5)]  # devices 11 … 15: lines 3, 0, 1, 2, 3
    board = Board(*cards)
    cards[0].set_interrupt(True)
    cards[4].set_interrupt(True)
    cards[0].set_interrupt(False)
    assert board.levels == [(3, True)]
    cards[4].set_interrupt(False)
    cards[1].set_interrupt(True)
    assert board.levels == [(3, True), (3, False), (0, True)]


def test_interrupt_disable_holds_the_line_and_keeps_the_status() -> None:
    function = card()
    board = Board(function)
    function.config_write(4, 2, 0x400)
    function.set_interrupt(True)
    assert board.levels == []
    assert function.config_read(6, 2) == 8
    assert function.config_read(4, 4) == 0x0008_0400
    function.config_write(4, 2, 0)
    assert board.levels == [(3, True)]
    function.config_write(4, 2, 0x400)
    assert board.levels == [(3, True), (3, False)]


def test_capabilities_form_a_list() -> None:
    function = card()
    first = function.add_capability(9, b"\x10\x01\x04", b"\x00\x00\xff")
    second = function.add_capability(1, bytes(6))
    assert function.config_read(6, 2) == 0x10
    assert function.config_read(0x34, 1) == first
    assert function.config_read(first, 4) == 0x0110 << 16 | second << 8 | 9
    assert function.config_read(second, 2) == 1
    function.config_write(first, 4, 0)
    function.config_write(first + 4, 4, 0x55)
    assert function.config_read(first, 4) == 0x0110 << 16 | second << 8 | 9
    assert function.config_read(first + 4, 1) == 0x55


def test_a_board_without_firmware_assigns() -> None:
    cards = [card(n) for n in range(3)]
    bus = Board(*cards).bus
    bus.assign(io=(0x1000, 0xFFFF), memory=(0x1000_0000, 0x1000_2FFF), line=lambda device, pin: device)
    assert sorted((window.base, window.size) for window in bus.memory.windows()) == [
        (0x1000_0000, 4096),
        (0x1000_1000, 4096),
        (0x1000_2000, 4096),
    ]
    assert [window.base for window in bus.io.windows()] == [0x1000, 0x1020, 0x1040]
    assert cards[2].config_read(0x3C, 2) == 0x010D
    assert cards[0].is_master
    with pytest.raises(ConfigError, match="no room for 4096 addresses of card2"):
        bus.assign(io=(0x1000, 0xFFFF), memory=(0x1000_0000, 0x1000_1FFF), line=lambda device, pin: 0)


def test_a_place_is_given_once() -> None:
    bus = Board(card()).bus
    with pytest.raises(ConfigError, match=r"card2: 11\.0 holds card1"):
        bus.add(card(2), 11)
    with pytest.raises(ConfigError, match=r"no place 32\.0"):
        bus.add(card(2), 32)


def test_state_brings_windows_and_the_line_back() -> None:
    function = card()
    Board(function).bus.assign(io=(0x1000, 0xFFFF), memory=(0x1000_0000, 0x1FFF_FFFF), line=lambda device, pin: 10)
    function.set_interrupt(True)
    saved = function.state()
    again = card()
    board = Board(again)
    again.from_state(saved)
    assert again.state() == saved
    assert board.levels == [(3, True)]
    assert board.bus.io.read(0x1000, 1) == 0x10
    again.reset()
    assert not board.bus.io.windows()
    assert board.levels == [(3, True), (3, False)]


@pytest.mark.parametrize(
    ("name", "value"),
    [("config", bytes(256)), ("config", b""), ("interrupt", 1), ("version", 2), ("mistakes", -1)],
)
def test_a_state_that_no_card_had_is_refused(name: str, value: object) -> None:
    function = card()
    with pytest.raises(SnapshotError):
        function.from_state({**function.state(), name: value})


@pytest.mark.fuzz
@given(
    st.lists(
        st.tuples(
            st.sampled_from([11 << 3, 12 << 3, 13 << 3, 14 << 3]),
            st.integers(0, 260),
            st.sampled_from([1, 2, 4]),
            st.integers(0, 0xFFFF_FFFF),
        ),
        max_size=60,
    )
)
def test_random_configuration_writes(writes: list[tuple[int, int, int, int]]) -> None:
    """Identities stay, windows never overlap, and a saved state is one that can be taken back."""
    cards = [card(n) for n in range(3)]
    bus = Board(*cards).bus
    for devfn, offset, size, value in writes:
        bus.config_write(devfn, offset, size, value & (1 << 8 * size) - 1)
        bus.config_read(devfn, offset, size)
        assert bus.config_read(11 << 3, 0, 4) == 0x2000_1022
    for space in (bus.io, bus.memory):
        ends = [(window.base, window.base + window.size) for window in space.windows()]
        assert all(before[1] <= after[0] for before, after in pairwise(ends))
    for function in cards:
        function.from_state(function.state())
