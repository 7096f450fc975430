"""SeaBIOS and GRUB on our drives: boot sectors, El Torito, and disks that are none."""

import random
import subprocess
from pathlib import Path

import pytest

from emulators.boards.pc import TICKS_HZ, Params, build
from emulators.machine import Done, Idle
from emulators.outside import Bench, DiskEnd, MemoryDisk
from tests.tools import NeedTool
from vde.errors import ConfigError

pytestmark = [pytest.mark.interop]
STEP = TICKS_HZ // 20
FLOPPY_OCTETS = 1474560
GRUB = Path("/usr/lib/grub-rescue")
BOOTS = {"ide": "disk", "virtio": "disk", "floppy": "floppy", "cdrom": "cdrom"}
SECTORS = 8

# Reads eight sectors behind its own by INT 13h, sums their words up, writes one sector back and tells on port E9h
BOOT_SECTOR = """
    .code16
    .globl _start
_start:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7000, %sp
    movw $0x0208, %ax
    movw $0x8000, %bx
    movw $0x0002, %cx
    movb $0, %dh
    int $0x13
    jc fail
    movw $0x8000, %si
    movw $2048, %cx
    xorw %bx, %bx
    cld
1:  lodsw
    addw %ax, %bx
    loop 1b
    movb $'S', %al
    outb %al, $0xe9
    movb %bl, %al
    outb %al, $0xe9
    movb %bh, %al
    outb %al, $0xe9
    movw $0x0301, %ax
    movw $0x8000, %bx
    movw $0x000c, %cx
    movb $0, %dh
    int $0x13
    jc fail
    movb $'W', %al
    outb %al, $0xe9
    jmp end
fail:
    movb $'F', %al
    outb %al, $0xe9
    movb %ah, %al
    outb %al, $0xe9
end:
    hlt
    jmp end
"""


def run_until(disk: DiskEnd, model: str, text: bytes, *, seconds: float, console: str = "debug") -> bytes:
    outside = Bench(disk_list=[disk])
    machine = build(Params(memory=32 << 20, boot=BOOTS[model], disks=(model,)), outside)
    shown = outside.written[console]
    while text not in shown:
        assert isinstance(machine.run_for(STEP), Done | Idle), bytes(shown[-2000:])
        assert machine.cpu.ticks < seconds * TICKS_HZ, bytes(shown[-2000:])
    machine.run_for(STEP)
    return bytes(shown)


@pytest.fixture(autouse=True)
def firmware() -> None:
    if not Path("/usr/share/seabios/bios-256k.bin").exists():
        pytest.skip("seabios is not installed (setup/packages)")


@pytest.fixture(scope="module")
def boot_sector(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("boot")
    (directory / "boot.s").write_text(BOOT_SECTOR)
    for command in (
        ["as", "--32", "-o", "boot.o", "boot.s"],
        ["ld", "-m", "elf_i386", "-Ttext", "0x7c00", "-o", "boot.elf", "boot.o"],
        ["objcopy", "-O", "binary", "-j", ".text", "boot.elf", "boot.bin"],
    ):
        subprocess.run(command, cwd=directory, check=True)
    return (directory / "boot.bin").read_bytes().ljust(510, b"\0") + b"\x55\xaa"


@pytest.mark.parametrize("model", ["ide", "virtio", "floppy"])
def test_a_boot_sector_reads_and_writes(boot_sector: bytes, model: str, need_tool: NeedTool) -> None:
    need_tool("as")
    data = random.Random(5).randbytes(SECTORS * 512)
    octets = FLOPPY_OCTETS if model == "floppy" else 8 << 20
    disk = MemoryDisk((boot_sector + data).ljust(octets, b"\0"))
    total = sum(int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2)) & 0xFFFF
    answer = b"S" + total.to_bytes(2, "little") + b"W"
    said = run_until(disk, model, answer, seconds=60)
    assert disk.contents[11 * 512 : 12 * 512] == data[:512]
    kinds = {"ide": b"ATA-6 Hard-Disk", "virtio": b"virtio", "floppy": b"Floppy"}
    assert kinds[model] in said


@pytest.mark.parametrize("model", ["ide", "floppy"])
def test_a_boot_sector_without_signature_is_told(model: str) -> None:
    octets = FLOPPY_OCTETS if model == "floppy" else 8 << 20
    said = run_until(MemoryDisk(bytes(octets)), model, b"not a bootable disk", seconds=60, console="serial0")
    assert b"Boot failed" in said


def test_a_disc_without_a_boot_record_is_told() -> None:
    said = run_until(MemoryDisk(bytes(1 << 20)), "cdrom", b"Could not read from CDROM", seconds=60, console="serial0")
    assert b"Boot failed" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "image"),
    [("cdrom", "grub-rescue-cdrom.iso"), ("ide", "grub-rescue-cdrom.iso"), ("floppy", "grub-rescue-floppy.img")],
)
def test_grub_reaches_its_menu(model: str, image: str) -> None:
    if not (GRUB / image).exists():
        pytest.skip("grub-rescue-pc is not installed (setup/packages)")
    disk = MemoryDisk((GRUB / image).read_bytes(), readonly=True)
    run_until(disk, model, b"GNU GRUB", seconds=120, console="serial0")


@pytest.mark.parametrize(
    ("models", "octets", "message"),
    [
        (("floppy",), FLOPPY_OCTETS + 512, "1.44M"),
        (("cdrom",), 3000 * 512 + 512, "truncated"),
        (("ide",) * 5, 512, "at most 4"),
        (("floppy",) * 3, FLOPPY_OCTETS, "at most 2"),
    ],
)
def test_disks_that_the_board_has_no_place_for(models: tuple[str, ...], octets: int, message: str) -> None:
    outside = Bench(disk_list=[MemoryDisk(bytes(octets)) for _ in models])
    with pytest.raises(ConfigError, match=message):
        build(Params(memory=16 << 20, disks=models), outside)
