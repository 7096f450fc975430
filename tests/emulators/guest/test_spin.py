from types import SimpleNamespace
from typing import Any

from emulators.guest.spin import SAMPLES, SpinWatch, interrupts_off

HZ = 100


class Guest:
    """A machine that is where one says."""

    def __init__(self) -> None:
        self.watch = SpinWatch()
        self.tick = 0
        self.told: list[str] = []

    def second(self, eip: int, *, enabled: bool = False, waits: bool = False, for_ever: bool = False) -> None:
        self.see({"eip": eip, "eflags": 0x202 if enabled else 2, "cs.base": 0x10000}, waits=waits, for_ever=for_ever)

    def see(self, state: dict[str, int], *, after: int = HZ, waits: bool = False, for_ever: bool = False) -> None:
        self.tick += after
        cpu = SimpleNamespace(ticks=self.tick, state=lambda: state)
        machine: Any = SimpleNamespace(cpu=cpu, ticks_hz=HZ, symbol=lambda at: "loop+0x2" if at == 0x10102 else None)
        text = self.watch.look(machine, waits=waits, for_ever=for_ever)
        if text is not None:
            self.told.append(text)


def test_a_loop_with_interrupts_off() -> None:
    guest = Guest()
    for _ in range(SAMPLES - 1):
        guest.second(0x100)
    assert guest.told == []
    guest.second(0x102)
    guest.second(0x100)
    assert guest.told == ["spinning at pc 0x00010102 (loop+0x2)"]
    guest.second(0x5000)
    assert guest.told[1:] == [""]


def test_work_and_loops_that_let_interrupts_in_are_none() -> None:
    guest = Guest()
    for second in range(3 * SAMPLES):
        guest.second(0x100, enabled=second % SAMPLES == 0)
        guest.second(0x1000 * second)
    assert guest.told == []


def test_a_wait_that_nothing_ends() -> None:
    guest = Guest()
    guest.second(0x102, waits=True, for_ever=True)
    assert guest.told == ["waits with interrupts off, at pc 0x00010102 (loop+0x2)"]
    guest.second(0x102, enabled=True, waits=True, for_ever=True)
    assert guest.told[1:] == [""]


def test_a_wait_with_interrupts_off_while_a_timer_goes_on() -> None:
    guest = Guest()
    for _ in range(SAMPLES):
        guest.second(0x102, waits=True)
    assert guest.told == ["waits with interrupts off, at pc 0x00010102 (loop+0x2)"]


def test_an_idle_mips_that_is_seen_in_its_timer_handler_does_not_spin() -> None:
    """Samples a second apart may all meet the handler of a timer of 250 Hz, which came out of the same WAIT."""
    guest = Guest()
    for _ in range(3 * SAMPLES):
        guest.see({"pc": 0x80001000, "status": 0xFF01, "errorepc": 0, "epc": 0}, after=HZ // 2, waits=True)
        guest.see({"pc": 0x80000180, "status": 0xFF03, "errorepc": 0, "epc": 0x80001004}, after=HZ // 2)
    assert guest.told == []


def test_a_mips_that_waits_without_interrupts_is_woken_by_what_its_mask_lets_through() -> None:
    guest = Guest()
    for _ in range(2 * SAMPLES):
        guest.see({"pc": 0x80001000, "status": 0xFF00, "errorepc": 0, "epc": 0}, waits=True, for_ever=True)
    assert guest.told == []
    guest.see({"pc": 0x80001000, "status": 0, "errorepc": 0, "epc": 0}, waits=True, for_ever=True)
    assert guest.told[0].startswith("waits with interrupts off, at pc 0x80001000")


def test_processors_that_tell_nothing() -> None:
    assert interrupts_off({"pc": 4, "status": 0}) is None
    assert interrupts_off({"pc": 4, "status": 0, "errorepc": 0}) is True
    assert interrupts_off({"pc": 4, "status": 1, "errorepc": 0}) is False
    assert interrupts_off({"pc": 4, "status": 3, "errorepc": 0}) is True
    umps3 = {"pc": 4, "mtc0_register": 0xFFFFFFFF}
    assert [interrupts_off({**umps3, "status": status}) for status in (0xFF01, 0xFF00, 1)] == [False, True, True]
    assert interrupts_off({**umps3, "status": 0}, waits=True) is False
    assert interrupts_off({"pc": 4, "msr": 0x1032}) is True
    assert interrupts_off({"pc": 4, "msr": 0x9032}) is False
