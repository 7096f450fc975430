"""What firmware and GRUB start, and takes many minutes: `make test-pc`."""

import re
from pathlib import Path

import pytest

from emulators.boards.pc import TICKS_HZ, Params
from emulators.machine import Done, Idle
from tests.interop.test_pc_grub import at_the_prompt, disk_with, image
from tests.interop.test_pc_screen import Screen

pytestmark = [pytest.mark.interop, pytest.mark.slow]
MEMTEST = Path("/boot/memtest86+ia32.bin")
PASS_S = 2000
"""In virtual time; 1110 were seen."""
LONG_TESTS = {4, 5, 6, 8, 9, 10}
"""Of its eleven; the others take less than the second between two looks."""


def test_memtest86_makes_a_full_pass_over_16_mib_without_an_error(tmp_path: Path) -> None:
    """SeaBIOS starts GRUB from a CD-ROM, GRUB memtest86+ from a disk. It may look at all memory but the firmware's."""
    if not MEMTEST.exists():
        pytest.skip("memtest86+ is not installed (setup/packages)")
    screen = Screen(
        Params(memory=16 << 20, boot="cdrom", disks=("cdrom", "ide"), rng=False),
        [image("grub-rescue-cdrom.iso"), disk_with(tmp_path, memtest=MEMTEST.read_bytes())],
    )
    at_the_prompt(screen)
    screen.type("linux16 (hd0)/memtest\nboot\n")
    screen.run_until(screen.shows("Memtest86+ v6"), seconds=20)
    screen.run_until(screen.shows("Status: Testing"), seconds=30)
    assert screen.lines()[0].endswith("│ Pentium III"), screen.lines()[0]
    assert any(re.match(r"Memory  :   16MB ", line) for line in screen.lines()), screen.lines()
    end = screen.machine.cpu.ticks + PASS_S * TICKS_HZ
    tests = set()
    while not screen.shows("Status: Pass ")():
        assert isinstance(screen.machine.run_for(TICKS_HZ), Done | Idle), screen.lines()
        assert screen.machine.cpu.ticks < end, screen.lines()
        shown = "\n".join(screen.lines())
        found = re.search(r"Test #(\d+)", shown)
        if found is not None:
            tests.add(int(found[1]))
        errors = re.search(r"Errors: (\d+)", shown)
        assert errors is not None, shown
        assert errors[1] == "0", shown
    assert re.search(r"Pass:  1 +Errors: 0", "\n".join(screen.lines())), screen.lines()
    assert tests >= LONG_TESTS, tests
