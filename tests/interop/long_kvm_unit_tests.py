"""Kernels of kvm-unit-tests on the PC: real mode, tasks, paging. GPL and in no Debian package: nothing of it is here.

`KVM_UNIT_TESTS` is a checkout of it that was configured with `--arch=i386` and has the kernels built in its `x86`:
`cmpxchg8b.flat`, `idt_test.flat`, `realmode.flat`, `setjmp.flat`, `sieve.flat`, `taskswitch.flat`, `taskswitch2.flat`.
Part of `make test-programs`.

Those that use its library are started by `vde guest pc --kernel`. They want a local APIC, and a first module with
what they would ask QEMU for. realmode waits in one of its tests for an interrupt that a BIOS keeps coming: GRUB starts
it under SeaBIOS.
"""

import os
import re
import sys
from pathlib import Path

import pytest

from emulators.boards.pc import TICKS_HZ, Params
from tests.interop.guest_console import ConsoleGuest
from tests.interop.test_pc_grub import at_the_prompt, disk_with, image
from tests.interop.test_pc_screen import Screen

pytestmark = [pytest.mark.interop, pytest.mark.slow]
VARIABLE = "KVM_UNIT_TESTS"
VDE = Path(sys.executable).parent / "vde"
MEMORY_MIB = 256
ENVIRONMENT = f"NR_CPUS=1\nMEMSIZE={MEMORY_MIB}\nTEST_DEVICE=0\n"
"""One processor, memory, and no port that ends QEMU."""
DONE = "--- DONE: "
PATIENCE_S = 1800.0
"""The sieve is four thousand million instructions."""


def kernel(name: str) -> Path:
    directory = os.environ.get(VARIABLE)
    if directory is None:
        pytest.skip(f"{VARIABLE} does not name a checkout of kvm-unit-tests (GPL; no Debian package has it)")
    file = Path(directory) / "x86" / f"{name}.flat"
    if not file.exists():
        pytest.fail(f"{VARIABLE}: {file} was not built")
    return file


def guest(name: str, tmp_path: Path) -> list[str]:
    """What the kernel prints on a machine of its own, to its last line."""
    environment = tmp_path / "environment"
    environment.write_text(ENVIRONMENT)
    words = ["--apic", "--memory", f"{MEMORY_MIB}M", "--no-rng", "--clock", "warp"]
    arguments = [str(VDE), "guest", "pc", "--kernel", str(kernel(name)), "--initrd", str(environment), *words]
    with ConsoleGuest(arguments, patience_s=PATIENCE_S) as console:
        console.wait_for("\n", console.wait_for(DONE))
        return console.transcript.decode().splitlines()


def verdicts(lines: list[str]) -> list[str]:
    return [line for line in lines if re.match(r"PASS|FAIL|SKIP|.*[Uu]nhandled", line)]


def test_setjmp(tmp_path: Path) -> None:
    lines = guest("setjmp", tmp_path)
    assert verdicts(lines) == [f"PASS: actual {n} == expected {n}" for n in range(10)]
    assert lines[-2:] == ["SUMMARY: 10 tests", "--- DONE: 0 ---"]


def test_tasks_by_every_way_into_one(tmp_path: Path) -> None:
    """Calls, jumps, interrupts, exceptions with and without codes, an NMI of the local APIC, virtual-8086 tasks."""
    lines = guest("taskswitch2", tmp_path)
    assert [line for line in verdicts(lines) if not line.startswith("PASS: ")] == []
    assert lines[-2:] == ["SUMMARY: 13 tests", "--- DONE: 0 ---"]
    lines = guest("taskswitch", tmp_path)
    assert {"error code 1234", "post fault"} <= {*lines}
    assert lines[-1] == "--- DONE: 0 ---"


@pytest.mark.parametrize(("name", "count"), [("idt_test", 4), ("cmpxchg8b", 1)])
def test_exceptions_and_cmpxchg8b(name: str, count: int, tmp_path: Path) -> None:
    lines = guest(name, tmp_path)
    assert len([line for line in verdicts(lines) if line.startswith("PASS: ")]) == count
    assert lines[-2:] == [f"SUMMARY: {count} tests", "--- DONE: 0 ---"]


def test_sieve_with_and_without_paging(tmp_path: Path) -> None:
    lines = guest("sieve", tmp_path)
    counts = [line for line in lines if "out of" in line]
    below_a_million, below_a_hundred_million = 78498, 5761455  # primes: OEIS A006880
    assert counts == [
        f"static:{below_a_million} out of 1000000",
        f"mapped:{below_a_million} out of 1000000",
        *[f"virtual:{below_a_hundred_million} out of 100000000"] * 3,
    ]
    assert lines[-1] == "--- DONE: 0 ---"


def test_realmode_by_grub(tmp_path: Path) -> None:
    octets = kernel("realmode").read_bytes()
    screen = Screen(
        Params(memory=16 << 20, boot="cdrom", disks=("cdrom", "ide")),
        [image("grub-rescue-cdrom.iso"), disk_with(tmp_path, kernel=octets)],
    )
    at_the_prompt(screen)
    screen.type("multiboot (hd0)/kernel\n")
    screen.run_until(lambda: sum("grub>" in line for line in screen.lines()) == 2, seconds=5)
    before = len(screen.outside.written["serial0"])
    screen.type("boot\n")

    def said() -> str:
        return bytes(screen.outside.written["serial0"][before:]).decode(errors="replace")

    screen.run_until(lambda: re.search(f"{DONE}.*\n", said()) is not None, seconds=20)
    screen.machine.run_for(TICKS_HZ // 10)
    lines = said().splitlines()
    results = verdicts(lines)
    assert [line for line in results if not line.startswith("PASS: ")] == []
    assert {f"PASS: {name}" for name in ("shld", "sti inhibit", "idiv 3", "lss", "smsw", "xadd")} <= {*results}
    assert len(results) > 100, results
    assert lines[-1] == "--- DONE: 0 ---"
