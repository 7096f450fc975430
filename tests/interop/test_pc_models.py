"""Each processor model: what CPUID says of it, and what it boots.

A Pentium II and III run Debian's kernels. Older ones run firmware and 32-bit loaders: SeaBIOS and GRUB.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from emulators.boards.pc import TICKS_HZ, Params, build
from emulators.cpus.i386 import MODELS
from emulators.devices.video.picture import TextScreen
from emulators.machine import Done, Idle, PoweredOff
from emulators.outside import Bench, MemoryDisk
from tests.emulators.boards.bare_i386 import Program
from tests.emulators.loaders.linux_image import bzimage
from tests.interop.test_pc_debian import booted, debian, processor
from vde.errors import ConfigError

pytestmark = [pytest.mark.interop, pytest.mark.slow]
STEP = TICKS_HZ // 20
GRUB = Path("/usr/lib/grub-rescue/grub-rescue-cdrom.iso")

FPU, DE, PSE, TSC, MSR, CX8, SEP, MTRR, PGE, CMOV, PAT = (1 << bit for bit in (0, 2, 3, 4, 5, 8, 11, 12, 13, 15, 16))
MMX, FXSR, SSE = 1 << 23, 1 << 24, 1 << 25
P5 = FPU | DE | PSE | TSC | MSR | CX8 | MMX
P2 = P5 | SEP | MTRR | PGE | CMOV | FXSR
SIGNATURES = {"486": (0x480, FPU), "pentium": (0x543, P5), "pentium2": (0x652, P2), "pentium3": (0x683, P2 | PAT | SSE)}
"""CPUID.1: EAX (AP-485, table 4) and EDX (SDM vol. 2A, table 3-11)."""


@pytest.mark.parametrize("model", MODELS)
def test_what_cpuid_says(model: str, tmp_path: Path) -> None:
    program = Program()
    for leaf, register in ((1, b"\x90\x90"), (1, b"\x89\xd0")):  # nop; mov eax, edx
        program.code(b"\xb8" + leaf.to_bytes(4, "little"), b"\x0f\xa2", register)  # mov eax, leaf; cpuid
        program.say_hex()
    program.power_off()
    program.stop()
    kernel = program.kernel(tmp_path / "kernel")
    machine = build(Params(kernel=kernel, memory=32 << 20, cpu=model), outside := Bench())
    assert machine.run_for(TICKS_HZ) == PoweredOff(0)
    said = bytes(outside.written["serial0"]).decode()
    assert (int(said[:8], 16), int(said[8:], 16)) == SIGNATURES[model]


@pytest.mark.parametrize("model", ["486", "pentium"])
def test_grubs_menu_by_seabios(model: str) -> None:
    if not GRUB.exists():
        pytest.skip("grub-rescue-pc is not installed (setup/packages)")
    outside = Bench(disk_list=[MemoryDisk(GRUB.read_bytes(), readonly=True)])
    machine = build(Params(memory=32 << 20, cpu=model, boot="cdrom", disks=("cdrom",)), outside)
    assert outside.display.look is not None
    lines: list[str] = []
    while not any("GNU/Linux" in line for line in lines):
        assert isinstance(machine.run_for(STEP), Done | Idle), lines
        assert machine.cpu.ticks < 20 * TICKS_HZ, lines
        shown = outside.display.look()
        lines = shown.lines() if isinstance(shown, TextScreen) else []
    assert any("GNU GRUB  version" in line for line in lines)


def test_debian_on_a_pentium_2() -> None:
    shell = booted(replace(debian(), cpu="pentium2"))
    assert processor(shell) == "6.5 fpu de pse tsc msr cx8 sep mtrr pge cmov mmx fxsr"


@pytest.mark.parametrize(
    ("release", "cpu", "wanted"),
    [
        ("6.1.0-50-686", "pentium", "--cpu pentium2 or later"),
        ("6.1.0-50-686", "486", "--cpu pentium2 or later"),
        ("6.1.0-50-686-pae", "pentium3", "--pae"),
        ("4.9.0-1-586", "486", "--cpu pentium or later"),
    ],
)
def test_a_kernel_for_a_later_processor_is_refused_instead_of_dying_unheard(
    release: str, cpu: str, wanted: str, tmp_path: Path
) -> None:
    octets = bytearray(bzimage(b"", code=b"\xf4" * 64))
    octets[0x20E:0x210] = (0x300).to_bytes(2, "little")
    text = f"{release} (debian-kernel@lists.debian.org) #1".encode()
    octets[0x500 : 0x500 + len(text)] = text
    path = tmp_path / "vmlinuz"
    path.write_bytes(octets)
    with pytest.raises(ConfigError, match=f"the kernel {release} wants .*{wanted}"):
        build(Params(kernel=path, memory=32 << 20, cpu=cpu), Bench())
    for other in (release.removesuffix("-pae") + "-mine", ""):
        octets[0x500:0x580] = other.encode().ljust(0x80, b"\0")
        path.write_bytes(octets)
        build(Params(kernel=path, memory=32 << 20, cpu=cpu), Bench())
