import pytest
from hypothesis import given

from emulators.device import Timeline
from emulators.devices.board.malta_fpga import MaltaFpga, Spaced
from emulators.devices.serial.uart16550 import Uart16550
from tests.emulators.devices.registers import Access, Line, accesses, exercise, moved

resets: list[str] = []


def fpga() -> MaltaFpga:
    resets.clear()
    return MaltaFpga(reset=lambda: resets.append("reset"))


def test_the_display() -> None:
    device = fpga()
    for position, character in enumerate(b"LINUX\x07\xff!"):
        device.write(0x418 + 8 * position, 4, character)
    assert device.display == "LINUX..!"
    device.write(0x410, 4, 0xCAFE1234)
    assert device.display == "CAFE1234"
    device.write(0x408, 4, 0x1A5)
    assert device.leds == 0xA5
    assert device.read(0x408, 4) == 0xA5


def test_only_the_magic_number_resets() -> None:
    device = fpga()
    device.write(0x500, 4, 0x41)
    assert not resets
    device.write(0x500, 4, 0x42)
    assert resets == ["reset"]


def test_status_and_switches() -> None:
    device = fpga()
    assert device.read(0x208, 4) == 0x10
    assert MaltaFpga(reset=lambda: None, big_endian=True).read(0x208, 4) == 0x12
    assert device.read(0x200, 4) == 0
    assert device.read(0x210, 4) == 0  # PCI at 33 MHz
    assert device.read(0x508, 4) == 0x0A


def test_nobody_answers_on_the_i2c_bus() -> None:
    device = fpga()
    assert device.read(0xB00, 4) == 3
    device.write(0xB08, 4, 3)
    device.write(0xB10, 4, 1)
    assert device.read(0xB00, 4) == 1
    device.write(0xB08, 4, 0)
    assert device.read(0xB00, 4) == 3


def test_the_uart_has_a_register_in_every_eight_octets() -> None:
    out = bytearray()
    spaced = Spaced(Uart16550(irq=Line(), out=out.extend, timeline=Timeline()))
    spaced.write(0, 4, 0x41)
    spaced.write(4, 4, 0x42)  # between two registers
    spaced.write(7 * 8, 4, 0xFFFFFF5A)
    assert out == b"A"
    assert spaced.read(5 * 8, 4) == 0x60
    assert spaced.read(7 * 8, 1) == 0x5A
    assert spaced.read(7 * 8 + 1, 1) == 0


@pytest.mark.fuzz
@given(accesses(0x1000))
def test_any_access_is_harmless(operations: list[Access]) -> None:
    device = fpga()
    exercise(device, Timeline(), 0x1000, operations)
    assert len(device.display) == 8
    assert device.display.isprintable()
    moved(device, fpga)
