"""Debian's unmodified kernels for i386 on our board: to a shell, off, again, unpacked or not, saved and restored."""

import functools
import re
from dataclasses import replace

import pytest

from emulators.boards.pc import TICKS_HZ, Params, build
from emulators.machine import Done, Idle, Machine, PoweredOff, Reset
from emulators.outside import Bench
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]

STEP = TICKS_HZ // 50
READY = b"vde-guest ready: "
PROMPT = b":/# "
FEATURES = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 pn clflush mmx fxsr sse sse2 nx"
"""Linux' names of what CPUID tells; the others in its list are of its own making."""
PENTIUM3 = "6.8 fpu de pse tsc msr cx8 sep mtrr pge cmov mmx fxsr sse"
"""Linux turns `pat` off: the Pentium III's has an erratum (arch/x86/kernel/cpu/intel.c)."""


class Shell:
    """A machine and its first serial line, without any real time."""

    def __init__(self, params: Params) -> None:
        self.outside = Bench(nic_count=len(params.nics))
        self.machine: Machine = build(params, self.outside)
        self.console = self.outside.console("serial0")
        self.shown = self.outside.written["serial0"]

    def run_until(self, text: bytes, *, seconds: float, since: int = 0) -> int:
        """Until the console shows it; answers the offset behind it."""
        end = self.machine.cpu.ticks + int(seconds * TICKS_HZ)
        while (at := self.shown.find(text, since)) < 0:
            outcome = self.machine.run_for(STEP)
            assert isinstance(outcome, Done | Idle), (outcome, bytes(self.shown[-2000:]))
            assert self.machine.cpu.ticks < end, (text, bytes(self.shown[-2000:]))
        return at + len(text)

    def type(self, text: str) -> None:
        assert self.console.on_input is not None
        self.console.on_input(text.encode())

    def ask(self, command: str) -> str:
        since = len(self.shown)
        self.type(f"echo be''gin; {command}; echo e''nd\n")
        begin = self.run_until(b"begin\r\n", seconds=20, since=since)
        end = self.run_until(b"end\r\n", seconds=20, since=begin)
        return self.shown[begin : end - len(b"end\r\n")].decode().replace("\r\n", "\n")

    def run_to_end(self, seconds: float) -> object:
        end = self.machine.cpu.ticks + int(seconds * TICKS_HZ)
        while self.machine.cpu.ticks < end:
            outcome = self.machine.run_for(STEP)
            if not isinstance(outcome, Done | Idle):
                return outcome
        return None


@functools.cache
def debian() -> Params:
    image = store.pull("debian-i386")
    return Params(kernel=image.kernel, initrd=image.initrd, append=f"{image.default_cmdline} hostname=p")


def booted(params: Params, seconds: float = 15) -> Shell:
    shell = Shell(params)
    ready = shell.run_until(READY, seconds=seconds)
    shell.run_until(PROMPT, seconds=5, since=ready)
    return shell


@functools.cache
def at_the_prompt() -> bytes:
    """A machine that has booted, saved: tests that only want a shell need not boot."""
    return booted(debian()).machine.snapshot()


def ready_shell() -> Shell:
    shell = Shell(debian())
    shell.machine.restore(at_the_prompt())
    return shell


def processor(shell: Shell) -> str:
    """Family, model, features: what Linux has found by CPUID."""
    lines = (line.partition(":") for line in shell.ask("cat /proc/cpuinfo").splitlines())
    told = {name.strip(): value.strip() for name, _, value in lines}
    assert told["vendor_id"] == "GenuineIntel"
    assert (told["fpu"], told["fdiv_bug"], told["f00f_bug"]) == ("yes", "no", "no")
    features = [word for word in told["flags"].split() if word in FEATURES.split()]
    return " ".join([f"{told['cpu family']}.{told['model']}", *features])


def test_a_shell_and_what_the_kernel_found() -> None:
    shell = booted(debian())
    assert shell.machine.cpu.icount < 800_000_000
    assert "i686" in shell.ask("uname -m")
    assert processor(shell) == PENTIUM3
    lines = shell.ask("cat /proc/interrupts")
    assert int(re.search(r" 4: +(\d+) +XT-PIC +ttyS0", lines)[1]) > 10  # type: ignore[index]
    assert int(re.search(r" 0: +(\d+) +XT-PIC +timer", lines)[1]) > 50  # type: ignore[index]
    assert "acpi" in lines
    assert shell.ask("awk 'BEGIN { print 1.5 * 2.5, 1 / 3, 10 % 3.25 }'").strip() == "3.75 0.333333 0.25"
    assert int(shell.ask("free -k | awk '/^Mem/ { print $2 }'")) > 90_000
    assert shell.ask("dmesg | grep -i 'firmware bug\\|acpi.*error'") == ""
    assert "00:01.0" in shell.ask("ls /sys/bus/pci/devices")
    mistakes = {name: count for name, one in shell.machine.devices.items() if (count := getattr(one, "mistakes", 0))}
    assert mistakes.keys() <= {"configuration"}, "Linux looks for the other configuration mechanism"


def test_time_passes_in_the_guest_as_on_the_board() -> None:
    shell = ready_shell()
    before, executed = shell.machine.cpu.ticks, shell.machine.cpu.icount
    uptime = float(shell.ask("cut -d' ' -f1 /proc/uptime"))
    shell.ask("sleep 10")
    passed = float(shell.ask("cut -d' ' -f1 /proc/uptime")) - uptime
    assert passed == pytest.approx(10, abs=0.1)
    assert (shell.machine.cpu.ticks - before) / TICKS_HZ == pytest.approx(passed, abs=0.1)
    assert shell.machine.cpu.icount - executed < 200_000_000  # eight tenths of a thousand million ticks passed asleep


def test_power_off() -> None:
    shell = ready_shell()
    shell.type("poweroff\n")
    assert shell.run_to_end(20) == PoweredOff(0)


@pytest.mark.parametrize("command", ["reboot -f", "echo c >/proc/sysrq-trigger"])
def test_reset_by_the_guest_and_after_its_panic(command: str) -> None:
    shell = ready_shell()
    shell.type(command + "\n")
    assert shell.run_to_end(20) == Reset()
    assert (b"sysrq" in shell.shown) == (b"Kernel panic" in shell.shown)


def test_with_an_apic_and_sse2() -> None:
    shell = booted(replace(debian(), apic=True, sse2=True))
    assert processor(shell) == "6.8 fpu de pse tsc msr cx8 apic sep mtrr pge cmov mmx fxsr sse sse2"
    assert re.search(r"IO-APIC +4-edge +ttyS0", shell.ask("cat /proc/interrupts"))


@pytest.mark.parametrize("ticks", [123_456_789, 345_678_901])
def test_a_boot_goes_on_from_where_it_was_saved(ticks: int) -> None:
    params = replace(debian(), nics=("pcnet", "virtio"))
    first = Shell(params)
    first.machine.run_for(ticks)
    saved = first.machine.snapshot()
    second = Shell(params)
    second.machine.restore(saved)
    for shell in (first, second):
        shell.machine.run_for(40_000_000)
    assert second.machine.cpu.ticks == first.machine.cpu.ticks
    assert second.machine.state_hash() == first.machine.state_hash()
