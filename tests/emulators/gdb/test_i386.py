import xml.etree.ElementTree as ET

import pytest

from emulators.gdb.i386 import I386Registers
from emulators.gdb.registers import registers_of

STATE = {
    **dict.fromkeys(("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"), 0x11223344),
    **dict.fromkeys(("cs", "ss", "ds", "es", "fs", "gs"), 0x10),
    **{f"st{number}": 0x3FFF8000000000000000 for number in range(8)},
    **{f"xmm{number}": 1 << 127 | number for number in range(8)},
    "eip": 0x7C00,
    "eflags": 0x202,
    "cs.base": 0x10000,
    "fcw": 0x37F,
    "mxcsr": 0x1F80,
}


def test_the_description_numbers_all_registers() -> None:
    registers = registers_of(STATE)
    assert isinstance(registers, I386Registers)
    tree = ET.fromstring(registers.description.decode())
    numbers = [int(reg.attrib["regnum"]) for reg in tree.iter("reg")]
    assert numbers == list(range(registers.count()))
    sizes = {int(reg.attrib["regnum"]): int(reg.attrib["bitsize"]) for reg in tree.iter("reg")}
    assert {number: 8 * len(registers.read(STATE, number)) for number in numbers} == sizes


def test_addresses_are_linear() -> None:
    registers = I386Registers(STATE)
    assert registers.read(STATE, 8) == (0x17C00).to_bytes(4, "little")
    assert registers.write(STATE, 8, (0x18000).to_bytes(4, "little")) == {"eip": 0x8000}
    assert registers.jump(STATE, 0x10000) == {"eip": 0}


def test_what_stays_is_not_written() -> None:
    registers = I386Registers(STATE)
    assert registers.write(STATE, 10, b"\x10\0\0\0") == {}
    assert registers.write(STATE, 10, b"\x18\0\0\0") == {"cs": 0x18}
    assert registers.write(STATE, 33, bytes(16)) == {"xmm1": 0}
    with pytest.raises(ValueError, match="x00"):
        registers.write(STATE, 0, b"\0")
    with pytest.raises(KeyError):
        registers.read(STATE, 41)


def test_a_processor_without_sse() -> None:
    registers = I386Registers({name: value for name, value in STATE.items() if name != "mxcsr"})
    assert registers.count() == 32
    assert b"i386.sse" not in registers.description
    with pytest.raises(KeyError):
        registers.read(STATE, 32)
