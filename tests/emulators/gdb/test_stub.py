"""What GDB asks of a machine, packet by packet, on the toy processor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.gdb.mips import MipsRegisters
from emulators.gdb.stub import MOST_POINTS, Leave, Resume, Stub
from emulators.machine import Debugged, Machine
from emulators.outside import Bench
from tests.emulators.gdb.toy_registers import ToyRegisters
from tests.emulators.toy import ADD, JUMP, LOAD, NOTHING, PORT_POWER, RETURN, SET, STORE, program, toy
from vde.errors import InternalError

CODE = program((LOAD, 0x200), (ADD, 1), (STORE, 0x200), NOTHING, (JUMP, 0))


def start(code: bytes = CODE) -> tuple[Stub, Machine]:
    return Stub(ToyRegisters()), toy(code, Bench(), program(RETURN))


def test_registers() -> None:
    stub, machine = start()
    assert stub.answer(b"g", machine) == b"00000000" * 3
    assert stub.answer(b"P0=78563412", machine) == b"OK"
    assert stub.answer(b"p0", machine) == b"78563412"
    assert stub.answer(b"G" + b"01000000" * 3, machine) == b"OK"
    assert machine.cpu.state()["pc"] == 1
    assert stub.answer(b"p9", machine) == b"E01"
    assert stub.answer(b"P0=12", machine) == b"E01"


def test_memory() -> None:
    stub, machine = start()
    assert stub.answer(b"M300,3:0a0b0c", machine) == b"OK"
    assert stub.answer(b"X303,2:\x00#", machine) == b"OK"
    assert stub.answer(b"m2ff,6", machine) == b"000a0b0c0023"
    assert stub.answer(b"m7ffc,8", machine) == b"00000000"  # as far as there is memory
    assert stub.answer(b"m8000,4", machine) == b"E0e"  # a device is left alone
    assert stub.answer(b"M8000,1:00", machine) == b"E0e"
    assert stub.answer(b"M300,2:00", machine) == b"E01"
    assert stub.answer(b"X0,0:", machine) == b"OK"


def test_a_step_is_one_instruction_and_a_branch_with_its_slot() -> None:
    stub, machine = start(program(*[NOTHING] * 40))
    assert stub.answer(b"s", machine) == b"T05thread:1;"
    assert machine.cpu.state()["pc"] == 8
    machine.kick()
    assert stub.answer(b"vCont;s:1;c", machine) == b"T05thread:1;"
    assert machine.cpu.state()["pc"] == 12
    assert stub.answer(b"s40", machine) == b"T05thread:1;"
    assert machine.cpu.state()["pc"] == 72
    assert stub.answer(b"?", machine) == b"T05thread:1;"


def test_a_step_into_the_end() -> None:
    stub, machine = start(program((SET, 3), (STORE, PORT_POWER)))
    stub.answer(b"s", machine)
    assert stub.answer(b"s", machine) == b"W03"


def test_breakpoints() -> None:
    stub, machine = start()
    assert stub.answer(b"Z0,8,4", machine) == b"OK"
    assert stub.answer(b"Z1,8,4", machine) == b"OK"
    assert stub.answer(b"c", machine) == Resume()
    outcome = machine.run_for(100)
    assert isinstance(outcome, Debugged)
    assert stub.stopped(outcome) == b"T05thread:1;hwbreak:;"
    assert machine.cpu.state()["pc"] == 8
    assert stub.answer(b"z0,8,4", machine) == b"OK"
    assert stub.answer(b"z0,8,4", machine) == b"OK"
    assert machine.run_for(50).__class__.__name__ == "Done"


@pytest.mark.parametrize(("kind", "reply"), [("2", b"watch:200;"), ("3", b"rwatch:200;"), ("4", b"rwatch:200;")])
def test_watchpoints(kind: str, reply: bytes) -> None:
    stub, machine = start()
    assert stub.answer(f"Z{kind},200,4".encode(), machine) == b"OK"
    outcome = machine.run_for(100)
    assert isinstance(outcome, Debugged)
    assert stub.stopped(outcome).endswith(reply)
    stub.disarm(machine)
    assert machine.run_for(50).__class__.__name__ == "Done"


def test_points_are_bounded() -> None:
    stub, machine = start()
    for number in range(MOST_POINTS):
        assert stub.answer(b"Z0,%x,4" % number, machine) == b"OK"
    assert stub.answer(b"Z0,4000,4", machine) == b"E01"
    assert stub.answer(b"Z2,4000,4", machine) == b"E01"


def test_points_are_set_again_in_a_new_machine() -> None:
    stub, machine = start()
    stub.answer(b"Z0,8,4", machine)
    stub.answer(b"Z2,200,4", machine)
    other = toy(CODE, Bench())
    stub.arm(other)
    assert isinstance(other.run_for(100), Debugged)


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        (b"?", b"S05"),
        (b"qAttached", b"1"),
        (b"qC", b"QC1"),
        (b"qfThreadInfo", b"m1"),
        (b"qsThreadInfo", b"l"),
        (b"Hg0", b"OK"),
        (b"T1", b"OK"),
        (b"vCont?", b"vCont;c;C;s;S"),
        (b"vCont;t", b"E01"),
        (b"vMustReplyEmpty", b""),
        (b"D", Leave(kill=False)),
        (b"D;1", Leave(kill=False)),
        (b"k", Leave(kill=True)),
        (b"vKill;1", Leave(kill=True)),
        (b"C05", Resume()),
        (b"!", b""),
        (b"", b""),
        (b"Z0,zz,4", b"E01"),
        (b"Z5,0,4", b""),
        (b"Z2,0,0", b"E01"),
        (b"m", b"E01"),
        (b"mffffffffffffffff,4", b"E0e"),
        (b"qXfer:features:read:target.xml:0,12", b"m" + b"<target/><target/>"),
        (b"qXfer:features:read:target.xml:37b,fff", b"l" + b"<target/>"),
        (b"qXfer:memory-map:read::0,fff", b""),
        (b"qRcmd," + b"ticks".hex().encode(), b"0 ticks, 0 instructions, 0 ns\n".hex().encode()),
    ],
)
def test_answers(packet: bytes, answer: object) -> None:
    stub, machine = start()
    assert stub.answer(packet, machine) == answer


def test_what_is_supported() -> None:
    stub, machine = start()
    said = stub.answer(b"qSupported:multiprocess+;xmlRegisters=i386", machine)
    assert isinstance(said, bytes)
    assert {b"QStartNoAckMode+", b"qXfer:features:read+", b"PacketSize=4000"} <= set(said.split(b";"))
    assert stub.answer(b"QStartNoAckMode", machine) == b"OK"
    assert stub.no_ack


def test_the_state_hash_can_be_asked_for() -> None:
    stub, machine = start()
    said = stub.answer(b"qRcmd," + b"hash".hex().encode(), machine)
    assert isinstance(said, bytes)
    assert bytes.fromhex(said.decode()) == machine.state_hash().encode() + b"\n"


@pytest.mark.fuzz
@given(st.lists(st.one_of(st.binary(max_size=30), st.from_regex(rb"[gGpPmMXcsvZzqQ?DkH][0-9a-f,:;=]{0,20}"))))
def test_whatever_is_asked_is_answered(packets: list[bytes]) -> None:
    """A debugger's packet never raises, but for a bug that the guest's own code shows."""
    stub, machine = start()
    for packet in packets:
        try:
            answer = stub.answer(packet, machine)
        except InternalError:
            return  # it wrote instructions that the toy does not have
        assert isinstance(answer, bytes | Resume | Leave)


def test_mips_registers_are_where_gdb_has_them() -> None:
    state = {f"r{number}": 100 + number for number in range(32)}
    state |= {"hi": 1, "lo": 2, "pc": 3, "status": 4, "cause": 5, "badvaddr": 6}
    registers = MipsRegisters(state)
    assert registers.count() == 38
    numbers = (0, 31, 32, 33, 34, 35, 36, 37)
    assert [registers.read(state, number)[0] for number in numbers] == [100, 131, 4, 2, 1, 6, 5, 3]
    assert registers.write(state, 29, b"\x01\x02\x03\x04") == {"r29": 0x04030201}
    assert registers.write(state, 0, b"\x01\x02\x03\x04") == {}
    assert b"org.gnu.gdb.mips.fpu" in registers.description  # GDB takes none without
    with pytest.raises(KeyError):
        registers.read(state, 38)


@pytest.mark.parametrize(("status", "odd", "change"), [(0, 7, ("f0", 9 << 32 | 6)), (1 << 26, 8, ("f1", 0xB00000009))])
def test_mips_floating_point_registers(status: int, odd: int, change: tuple[str, int]) -> None:
    """One register of the state is a pair of GDB's, unless Status.FR says that it is one."""
    state = {
        "status": status,
        "fcr31": 11,
        "fcr0": 12,
        "f0": 7 << 32 | 6,
        "f1": 0xB << 32 | 8,
        "f31": 1,
        "f30": 1 << 32,
    }
    registers = MipsRegisters(state)
    assert registers.count() == 72
    assert [registers.read(state, number)[0] for number in (38, 39, 69, 70, 71)] == [6, odd, 1, 11, 12]
    assert registers.write(state, 39, bytes((9, 0, 0, 0))) == {change[0]: change[1]}
    assert registers.write(state, 71, bytes(4)) == {}
    assert b'<reg name="f31" bitsize="32" regnum="69" type="ieee_single"/>' in registers.description
