import xml.etree.ElementTree as ET

import pytest

from emulators.cpus.ppc import Cpu, Vm
from emulators.gdb.powerpc import ALTIVEC0, OEA, OEA0, VSCR, PowerpcRegisters
from emulators.gdb.registers import registers_of


def state(model: str = "750", **values: int) -> dict[str, int]:
    cpu = Cpu(Vm(), model)
    cpu.set_state(values)
    return cpu.state()


@pytest.mark.parametrize("model", ["7400", "750"])
def test_the_description_numbers_all_registers(model: str) -> None:
    now = state(model)
    registers = registers_of(now)
    assert isinstance(registers, PowerpcRegisters)
    tree = ET.fromstring(registers.description.decode())
    sizes = {int(reg.attrib["regnum"]): int(reg.attrib["bitsize"]) for reg in tree.iter("reg")}
    assert sorted(sizes) == list(range(registers.count()))
    assert {number: 8 * len(registers.read(now, number)) for number in sizes} == sizes


def test_registers_are_big_endian() -> None:
    now = state(r1=0x11223344, f1=0x4000000000000000, pc=0x100, cr=0x80000000)
    registers = PowerpcRegisters(now)
    assert registers.read(now, 1) == b"\x11\x22\x33\x44"
    assert registers.read(now, 33) == b"\x40" + bytes(7)
    assert registers.read(now, 64) == b"\0\0\1\0"
    assert registers.read(now, 66) == b"\x80\0\0\0"
    assert registers.jump(now, 0x200) == {"pc": 0x200}
    assert not registers.in_delay_slot(now)


def test_what_stays_is_not_written_and_the_version_cannot_be() -> None:
    now = state(r1=1)
    registers = PowerpcRegisters(now)
    assert registers.write(now, 1, b"\0\0\0\1") == {}
    assert registers.write(now, 1, b"\0\0\0\2") == {"r1": 2}
    assert registers.write(now, OEA0 + OEA.index("srr0"), b"\0\0\0\4") == {"srr0": 4}
    assert registers.write(now, OEA0 + OEA.index("pvr"), b"\0\0\0\4") == {}
    with pytest.raises(ValueError, match="x00"):
        registers.write(now, 0, b"\0")
    with pytest.raises(KeyError):
        registers.read(now, registers.count())


def test_vectors_are_vr_for_gdb_and_v_for_us() -> None:
    now = state("7400", v3=0x0102030405060708090A0B0C0D0E0F10, vscr=0x10000)
    registers = PowerpcRegisters(now)
    assert b'name="vr31" bitsize="128" type="vec128"' in registers.description
    assert registers.read(now, ALTIVEC0 + 3) == bytes(range(1, 17))
    assert registers.read(now, VSCR) == b"\0\1\0\0"
    assert registers.write(now, ALTIVEC0 + 3, bytes(15) + b"\5") == {"v3": 5}
    assert registers.write(now, VSCR + 1, b"\0\0\0\7") == {"vrsave": 7}
    with pytest.raises(KeyError):
        PowerpcRegisters(state()).read(state(), ALTIVEC0)
