"""Debian's unmodified kernels for Malta on our board: to a shell, off, again, unpacked or not, saved and restored."""

import functools
import re
from dataclasses import replace

import pytest

from emulators.boards.malta import TICKS_HZ, Params, build
from emulators.devices.rtc.mc146818 import Mc146818
from emulators.machine import Done, Idle, Machine, PoweredOff, Reset
from emulators.outside import Bench
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]

STEP = TICKS_HZ // 50
READY = b"vde-guest ready: "
PROMPT = b":/# "


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
    image = store.pull("debian-malta")
    return Params(kernel=image.kernel, initrd=image.initrd, append=f"{image.default_cmdline} hostname=m")


def booted(params: Params, seconds: float = 15) -> Shell:
    shell = Shell(params)
    ready = shell.run_until(READY, seconds=seconds)
    shell.run_until(PROMPT, seconds=5, since=ready)
    return shell


def test_debian_boots_to_a_shell_and_finds_its_hardware() -> None:
    shell = booted(replace(debian(), nics=("pcnet", "virtio"), append=debian().append + " ip4=192.0.2.7/24"))
    machine = shell.machine
    assert b"hostname=m eth0=192.0.2.7/24 eth1=none" in shell.shown
    assert machine.cpu.icount < 700_000_000
    assert machine.exits < 60_000
    clock = machine.devices["mc146818"]
    assert isinstance(clock, Mc146818)
    assert clock.warps >= 2  # Linux waits for two edges; each wait was cut short

    about_processor = shell.ask("cat /proc/cpuinfo")
    assert "MIPS Malta" in about_processor
    assert "24Kc" in about_processor
    assert "CPU frequency 100.00 MHz" in shell.ask("dmesg | grep frequency")
    assert "16550A" in shell.ask("dmesg | grep ttyS1")
    assert shell.ask("date -u +%F").strip() == "2026-01-01"
    assert shell.ask("for n in /sys/class/net/eth*/device/driver; do basename $(readlink $n); done").split() == [
        "pcnet32",
        "virtio_net",
    ]
    shell.ask("echo first >/dev/ttyS1; echo second >/dev/ttyS2")
    assert shell.outside.written["serial1"] == b"first\r\n"
    assert shell.outside.written["cbus"] == b"second\r\n"
    lines = shell.ask("cat /proc/interrupts")
    assert int(re.search(r"(\d+) +XT-PIC +4 +ttyS0", lines)[1]) > 10  # type: ignore[index]
    assert int(re.search(r"(\d+) +MIPS +7 +timer", lines)[1]) > 100  # type: ignore[index]
    assert shell.ask("awk 'BEGIN { print 1.5 * 2.5, 1 / 3, 10 % 3.25 }'").strip() == "3.75 0.333333 0.25"
    assert int(shell.ask("free -k | awk '/^Mem/ { print $2 }'")) > 100_000
    mistakes = {name: getattr(device, "mistakes", 0) for name, device in machine.devices.items()}
    assert not any(mistakes.values()), mistakes


def test_time_passes_in_the_guest_as_on_the_board() -> None:
    shell = booted(debian())
    before = shell.machine.cpu.ticks
    uptime = float(shell.ask("cut -d' ' -f1 /proc/uptime"))
    shell.ask("sleep 10")
    passed = float(shell.ask("cut -d' ' -f1 /proc/uptime")) - uptime
    assert passed == pytest.approx(10, abs=0.1)
    assert (shell.machine.cpu.ticks - before) / TICKS_HZ == pytest.approx(passed, abs=0.1)
    assert shell.machine.cpu.icount < 800_000_000  # a thousand million ticks passed asleep


def test_power_off() -> None:
    shell = booted(debian())
    shell.type("poweroff\n")
    assert shell.run_to_end(20) == PoweredOff(0)


@pytest.mark.parametrize("command", ["reboot -f", "echo c >/proc/sysrq-trigger"])
def test_reset_by_the_guest_and_after_its_panic(command: str) -> None:
    shell = booted(debian())
    shell.type(command + "\n")
    assert shell.run_to_end(20) == Reset()
    assert (b"sysrq" in shell.shown) == (b"Kernel panic" in shell.shown)


def test_the_kernel_unpacks_itself_if_told_so() -> None:
    shell = booted(replace(debian(), decompress=False), seconds=60)
    assert 2_000_000_000 < shell.machine.cpu.icount < 3_000_000_000


@pytest.mark.parametrize(("mib", "seen_mib"), [(64, 64), (512, 256)])
def test_little_and_much_memory(mib: int, seen_mib: int) -> None:
    """Debian's kernel finds memory beyond 256 MiB and has no use for it (no HIGHMEM), on QEMU's Malta as well."""
    shell = booted(replace(debian(), memory=mib << 20))
    total = int(shell.ask("awk '/^MemTotal/ { print $2 }' /proc/meminfo"))
    assert (seen_mib - 30) << 10 < total < seen_mib << 10
    last = shell.ask("dmesg | grep 'node   0: .mem'").split()[-1].split("-")[-1]
    assert last == ("0x0000000003ffffff]" if mib == 64 else "0x000000009fffffff]")


@pytest.mark.parametrize("ticks", [123_456_789, 345_678_901, 500_000_001])
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
