"""Heathrow as one chip: its parts where drivers look for them, NVRAM, feature registers."""

import pytest
from hypothesis import given

from emulators.device import Timeline
from emulators.devices.macio import heathrow as places
from emulators.devices.macio.heathrow import ESCC_OLD_PLACES, ESCC_PLACES, Heathrow, Spread
from emulators.devices.macio.nvram import OCTETS, PARTITION_HEADER, Nvram, formatted
from emulators.devices.pci.config import COMMAND, COMMAND_MEMORY
from emulators.devices.serial.escc import Escc
from tests.emulators.devices.registers import Access, accesses, exercise, moved


class Chip:
    """A mac-io chip with a serial controller and memory, seen through its base register."""

    def __init__(self) -> None:
        self.sent = (bytearray(), bytearray())
        escc = Escc(irqs=(lambda level: None,) * 2, outs=(self.sent[0].extend, self.sent[1].extend))
        self.nvram = Nvram(formatted())
        self.function = Heathrow(
            {
                places.ESCC_OLD: (0x1000, Spread(escc, ESCC_OLD_PLACES), "escc (old)"),
                places.ESCC: (0x1000, Spread(escc, ESCC_PLACES), "escc"),
                places.NVRAM: (OCTETS << 4, self.nvram, "nvram"),
            }
        )
        self.state, self.from_state = self.function.state, self.function.from_state
        self.next_deadline, self.handle_timer = self.function.next_deadline, self.function.handle_timer

    def read(self, offset: int, size: int) -> int:
        return self.function.bars[0].device.read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        self.function.bars[0].device.write(offset, size, value)


def test_the_serial_controller_is_in_two_places() -> None:
    chip = Chip()
    for base, control, data, text in ((0x13000, 0x20, 0x30, b"new"), (0x12000, 0x2, 0x6, b"old")):
        for register, value in ((14, 3), (5, 0x68)):
            chip.write(base + control, 1, register if register < 8 else 0x08 | register - 8)
            chip.write(base + control, 1, value)
        for octet in text:
            chip.write(base + data, 1, octet)
    assert [bytes(sent) for sent in chip.sent] == [b"", b"newold"]
    assert chip.read(0x13001, 1) == 0  # between registers


def test_identity_and_address() -> None:
    function = Chip().function
    assert function.config_read(0, 4) == 0x0010106B
    function.place_bar(0, 0x80800000)
    function.config_write(COMMAND, 2, COMMAND_MEMORY)
    assert function.bar_address(function.bars[0]) == 0x80800000
    function.config_write(0x10, 4, 0xFFFFFFFF)
    assert function.config_read(0x10, 4) == 0xFFF80000


def test_feature_registers_keep_what_is_written() -> None:
    chip = Chip()
    chip.write(0x38, 4, 0x12345678)
    assert chip.read(0x38, 4) == 0x12345678
    assert moved(chip, Chip).read(0x38, 4) == 0x12345678


def test_nvram_holds_an_octet_every_sixteen() -> None:
    chip = Chip()
    chip.write(0x60000 + 16 * 5, 1, 0xA5)
    assert chip.nvram.contents[5] == 0xA5
    assert chip.read(0x60000 + 16 * 5, 1) == 0xA5
    assert chip.read(0x60000 + 16 * 5 + 1, 1) == 0xFF
    assert chip.nvram.mistakes == 1


def test_nvram_is_formatted_as_open_firmware_wants_it() -> None:
    contents = formatted(b"auto-boot?=false\0")
    assert len(contents) == OCTETS
    at, kinds = 0, []
    while at < OCTETS:
        head = contents[at : at + PARTITION_HEADER]
        total = head[0]
        for octet in head[2:]:  # nvpart_checksum of OpenBIOS' packages/nvram.c, put another way
            total += octet
            total = total - 255 if total > 255 else total
        assert total == head[1]
        kinds.append((head[0], head[4:].rstrip(b"\0")))
        at += int.from_bytes(head[2:4], "big") * 16
    assert at == OCTETS
    assert kinds == [(0x70, b"common"), (0x7F, b"\x77" * 12)]
    assert contents[16:].startswith(b"auto-boot?=false\0\0")


@pytest.mark.fuzz
@given(accesses(places.OCTETS))
def test_any_access_is_harmless(operations: list[Access]) -> None:
    chip = Chip()
    exercise(chip, Timeline(), places.OCTETS, operations)
    moved(chip, Chip)
    moved(chip.nvram, Nvram)
