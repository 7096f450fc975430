"""Machines keep time to the tick, whatever their calls look like; what devices raise has a place and a name."""

import contextlib
import functools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.machine import Done, Fault, Halted, Idle, Kicked, Machine, PoweredOff, Reset
from emulators.outside import Bench
from emulators.snapshot import SnapshotError
from tests.emulators.toy import (
    ADD,
    ALARM_BUG,
    ALARM_COUNT,
    ALARM_IN,
    ALARM_OFF,
    ALARM_POLL,
    COMPARE,
    JUMP,
    LET,
    LOAD,
    LOOP,
    PORT_IN,
    PORT_OUT,
    PORT_POWER,
    PORT_RESET,
    RETURN,
    SET,
    STORE,
    WAIT,
    program,
    toy,
)
from vde.errors import InternalError

COUNT = 0x200
"""Where the programs below count."""
SPIN = program((LOAD, COUNT), (ADD, 1), (STORE, COUNT), (JUMP, 0))
ALARM_HANDLER = program((STORE, 0x300), (STORE, ALARM_OFF), (SET, 77_700), (STORE, ALARM_IN), (LOAD, 0x300), RETURN)
ALARMED = program((SET, 50_000), (STORE, ALARM_IN), LET, (LOAD, COUNT), (ADD, 1), (STORE, COUNT), (JUMP, 12))
POLLING = program(
    (LOAD, ALARM_POLL), (LOOP, 0), (LOAD, COUNT), (ADD, 1), (STORE, COUNT), (SET, 33_300), (STORE, ALARM_IN)
)


def word(machine: Machine, gpa: int) -> int:
    return int.from_bytes(machine.vm.read(gpa, 4), "little")


def test_runs_exactly_so_many_ticks() -> None:
    machine = toy(SPIN, Bench())
    assert machine.run_for(10) == Done()
    assert machine.cpu.ticks == 10
    assert machine.run_for(0) == Done()
    assert machine.cpu.ticks == 10
    assert machine.run_for(391) == Done()
    assert (machine.cpu.ticks, word(machine, COUNT)) == (401, 100)


def test_a_timer_fires_at_its_tick_whatever_the_calls() -> None:
    machine = toy(ALARMED, Bench(), ALARM_HANDLER)
    machine.run_for(2)  # the write is the second instruction: the device sees tick 1, so the alarm is at tick 51
    machine.run_for(49)
    assert (machine.cpu.ticks, machine.cpu.state()["lines"]) == (51, 1 << 2)
    assert machine.bus.read(ALARM_COUNT, 4) == 1


def test_the_devices_clock_is_the_ticks() -> None:
    machine = toy(SPIN, Bench())
    machine.run_for(123)
    machine.run_for(1)
    assert machine.now_ns == 124_000
    assert machine.tick_of(124_000) == 124
    assert machine.tick_of(124_001) == 125


def test_a_halted_machine_skips_to_the_next_deadline() -> None:
    machine = toy(program((SET, 9_000_000), (STORE, ALARM_IN), LET, WAIT, (JUMP, 12)), Bench(), ALARM_HANDLER)
    assert machine.run_for(9_002) == Done()
    assert machine.bus.read(ALARM_COUNT, 4) == 1
    assert machine.cpu.icount < 20


def test_a_halted_machine_skips_to_the_processors_own_timer() -> None:
    machine = toy(program((COMPARE, 5000), LET, WAIT, (JUMP, 8)), Bench(), program((COMPARE, 5000), RETURN))
    assert machine.run_for(50_000) in (Done(), Idle(until_tick=50_000 // 5004 * 5004 + 5000))
    assert machine.cpu.ticks == 50_000
    assert machine.cpu.icount < 100


def test_an_idle_machine_says_until_when() -> None:
    machine = toy(program((SET, 500_000), (STORE, ALARM_IN), LET, WAIT, (JUMP, 12)), Bench(), ALARM_HANDLER)
    assert machine.run_for(1_000_000, skip_idle=False) == Idle(until_tick=501)
    machine.skip_to(100)
    assert machine.cpu.ticks == 100
    assert machine.run_for(1_000_000, skip_idle=False) == Idle(until_tick=501)
    machine.skip_to(501)
    assert machine.run_for(8, skip_idle=False) == Done()
    assert machine.bus.read(ALARM_COUNT, 4) == 1


def test_a_machine_that_waits_for_input_says_so() -> None:
    outside = Bench()
    echo = program((LOAD, PORT_IN), (STORE, PORT_OUT), RETURN)
    machine = toy(program(LET, WAIT, (JUMP, 4)), outside, echo)
    assert machine.run_for(1000) == Idle(until_tick=None)
    assert machine.cpu.ticks == 1000
    receive = outside.consoles["serial0"].on_input
    assert receive is not None
    receive(b"ab")
    machine.run_for(1000)
    assert bytes(outside.written["serial0"]) == b"ab"
    assert machine.cpu.ticks == 2000


def test_polling_a_register_passes_the_time() -> None:
    machine = toy(POLLING + program((JUMP, 0)), Bench())
    machine.run_for(10_000)  # ten milliseconds: five times the bit falls
    assert machine.cpu.ticks == 10_000
    assert word(machine, COUNT) >= 3
    assert machine.cpu.icount < 5000


CASES = {
    "spin": (SPIN, program(RETURN)),
    "alarms": (ALARMED, ALARM_HANDLER),
    "polling": (POLLING + program((JUMP, 0)), program((STORE, 0x300), (STORE, ALARM_OFF), (LOAD, 0x300), RETURN)),
    "both": (program(LET, *[(LOAD, ALARM_POLL)] * 9, (SET, 33_300), (STORE, ALARM_IN), (JUMP, 4)),
             program((STORE, ALARM_OFF), RETURN)),
    "timer": (program((COMPARE, 313), LET, (LOAD, COUNT), (ADD, 3), (STORE, COUNT), WAIT, (JUMP, 8)),
              program((COMPARE, 401), RETURN)),
}  # fmt: skip
TICKS = 6000


@functools.cache
def run_whole(case: str) -> str:
    machine = toy(CASES[case][0], Bench(), CASES[case][1])
    machine.run_for(TICKS)
    assert machine.cpu.ticks == TICKS
    return machine.state_hash()


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=25)
@given(seed=st.integers(0, 1 << 32))
def test_however_a_run_is_cut_the_state_is_the_same(case: str, seed: int) -> None:
    chance = random.Random(seed)
    machine = toy(CASES[case][0], Bench(), CASES[case][1])
    while machine.cpu.ticks < TICKS:
        most = chance.choice((1, 2, 10, 100, 1000))
        step = min(chance.randint(1, most), TICKS - machine.cpu.ticks)
        outcome = machine.run_for(step, skip_idle=chance.random() < 0.5)
        if isinstance(outcome, Idle) and machine.cpu.ticks < TICKS and chance.random() < 0.5:
            last = TICKS if outcome.until_tick is None else min(TICKS, outcome.until_tick)
            machine.skip_to(chance.randint(machine.cpu.ticks, last))
        if chance.random() < 0.1:
            machine.kick()
    assert machine.state_hash() == run_whole(case)


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=25)
@given(at=st.integers(0, TICKS))
def test_a_machine_saved_anywhere_goes_on_the_same(case: str, at: int) -> None:
    machine = toy(CASES[case][0], Bench(), CASES[case][1])
    machine.run_for(at)
    saved, hashed = machine.snapshot(), machine.state_hash()
    other = toy(b"", Bench(), b"")
    other.run_for(17)
    other.restore(saved)
    assert other.state_hash() == hashed
    assert other.snapshot() == saved
    other.run_for(TICKS - at)
    assert other.state_hash() == run_whole(case)


@given(st.data())
def test_a_damaged_snapshot_is_refused_or_taken(data: st.DataObject) -> None:
    machine = toy(ALARMED, Bench(), ALARM_HANDLER)
    machine.run_for(100)
    saved = bytearray(machine.snapshot())
    for _ in range(data.draw(st.integers(1, 4))):
        saved[data.draw(st.integers(0, len(saved) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(SnapshotError):
        toy(b"", Bench()).restore(bytes(saved[: data.draw(st.integers(0, len(saved)))]))


def test_a_snapshot_of_another_machine_is_refused() -> None:
    saved = toy(SPIN, Bench()).snapshot()
    with pytest.raises(SnapshotError, match="ticks a second"):
        toy(SPIN, Bench(), ticks_hz=5).restore(saved)


@pytest.mark.parametrize(
    ("where", "end"), [(PORT_POWER, PoweredOff(7)), (PORT_RESET, Reset())], ids=["power off", "reset"]
)
def test_the_end_is_told_and_lasts(where: int, end: object) -> None:
    machine = toy(program((SET, 7), (STORE, where), (JUMP, 8)), Bench())
    assert machine.run_for(100) == end
    assert machine.end == end
    assert machine.run_for(100) == end
    assert machine.cpu.ticks < 3


def test_the_first_end_counts() -> None:
    machine = toy(SPIN, Bench())
    machine.events.halt(3)
    machine.events.fault("later")
    assert machine.run_for(1) == Halted(3)
    assert not isinstance(machine.end, Fault)


def test_a_kick_ends_a_run() -> None:
    machine = toy(SPIN, Bench())
    machine.kick()
    assert machine.run_for(100) == Kicked()
    assert machine.cpu.ticks == 0
    assert machine.run_for(100) == Done()


def test_a_devices_error_names_the_device_and_the_place() -> None:
    machine = toy(program((STORE, ALARM_BUG)), Bench())
    with pytest.raises(InternalError, match=r"toy: alarm: write of 4 octets at 0x8010: ZeroDivisionError.*pc 0x0"):
        machine.run_for(10)


def test_an_error_of_a_timer_names_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = toy(ALARMED, Bench(), ALARM_HANDLER)

    def broken(now_ns: int) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(machine.devices["alarm"], "handle_timer", broken)
    with pytest.raises(InternalError, match=r"toy: alarm: its timer at 51000 ns: KeyError\('lost'\).*tick 51"):
        machine.run_for(1000)


def test_a_device_that_wants_its_timer_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = toy(SPIN, Bench())
    monkeypatch.setattr("emulators.machine.LIVELOCK", 50)
    monkeypatch.setattr(machine.devices["alarm"], "handle_timer", lambda now_ns: None)
    monkeypatch.setattr(machine.devices["alarm"], "at", 0)
    with pytest.raises(InternalError, match="alarm: wants its timer again and again"):
        machine.run_for(1)


def test_what_the_engine_cannot_do_is_an_error() -> None:
    machine = toy(program(99), Bench())
    with pytest.raises(InternalError, match=r"at 0x00000000 \(63 00 00 00\)"):
        machine.run_for(1)
