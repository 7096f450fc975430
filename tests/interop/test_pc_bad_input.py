"""What is wrong with a PC's parts, or with what its guest does, as `vde guest` and `vde screen` show it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulators.boards.bare_i386 import FOREVER, Program
from tests.emulators.loaders.elf_file import elf
from tests.emulators.loaders.test_multiboot import header
from tests.tools import NeedTool
from vde.cli.main import main
from vde.image import store

pytestmark = [pytest.mark.interop]
VDE = str(Path(sys.executable).parent / "vde")
SEABIOS = Path("/usr/share/seabios/bios-256k.bin")
PATIENCE_S = 30
GARBAGE = b"\x1b]0;owned\x07\x1b[2J\x1bc\x9b31m\x0e\x85" * 40


def guest(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [VDE, "guest", "pc", *options], capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL
    )


VOID = b"\xb8\0\0\0\xf0\xff\xe0"  # mov eax, 0xf0000000; jmp eax


def triple_fault(path: Path, code: bytes = b"\x0f\x0b") -> tuple[Path, int]:
    """It says `x` first; where the code is. By default UD2; there is no IDT."""
    program = Program()
    program.say(b"x")
    at = program.here
    program.code(code)
    return program.kernel(path), at


@pytest.mark.parametrize("code", [b"\x0f\x0b", VOID], ids=["ud2", "void"])
def test_a_triple_fault_with_no_reboot_ends_the_guest_and_says_where(code: bytes, tmp_path: Path) -> None:
    kernel, at = triple_fault(tmp_path / "kernel", code)
    ended = guest("--kernel", str(kernel), "--no-reboot", "--console", "serial0=stdio")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "x"
    where = f"pc {at:#010x}, ud2" if code != VOID else "pc 0xf0000000, where no memory is"
    assert ended.stderr == f"vde guest: the machine is not begun again (--no-reboot): triple fault at {where}\n"


def test_a_triple_fault_starts_the_machine_again_and_is_told_once(tmp_path: Path) -> None:
    kernel, at = triple_fault(tmp_path / "kernel")
    options = ["--kernel", str(kernel), "--console", "serial0=stdio"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [VDE, "guest", "pc", *options], stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
    ) as running:
        try:
            assert running.stdout is not None
            signal.alarm(PATIENCE_S)
            assert running.stdout.read(3) == b"xxx"
        finally:
            signal.alarm(0)
            running.terminate()
            _, told = running.communicate()
    assert told.decode() == f"vde guest: the machine begins again: triple fault at pc {at:#010x}, ud2\n"


def test_a_screen_full_of_escape_codes_is_shown_as_characters(tmp_path: Path) -> None:
    """The guest writes them to its text memory; nothing of them comes out of `vde screen`."""
    program = Program()
    for at, octet in enumerate(GARBAGE):
        program.code(b"\xc6\x05", (0xB8000 + 2 * at).to_bytes(4, "little"), bytes((octet,)))  # mov byte [cell], octet
    program.say(b"filled")
    program.code(FOREVER)
    path = tmp_path / "screen"
    options = ["--kernel", str(program.kernel(tmp_path / "kernel")), "--console", "serial0=stdio"]
    command = [VDE, "guest", "pc", *options, "--screen", f"unix:{path}"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            signal.alarm(PATIENCE_S)
            assert running.stdout.read(6) == b"filled"
            shown = subprocess.run([VDE, "screen", f"unix:{path}", "--text"], check=True, capture_output=True).stdout
        finally:
            signal.alarm(0)
            running.terminate()
            running.communicate()
    assert not any(octet < 0x20 and octet != 0x0A for octet in shown)
    text = shown.decode()
    assert not any(0x7F <= ord(character) < 0xA0 for character in text)
    assert text.startswith("←]0;owned•←[2J←c¢31m♫à")


FILES = {
    "mips": elf([(0x100000, header(0), 64)], 0x100000, machine=8),
    "x86-64": b"\x7fELF\x02\x01\x01" + bytes(200),
    "far": elf([(0x10000000, header(0) + b"code", 16)], 0x10000000, machine=3),
    "good": elf([(0x100000, header(0) + b"code", 16)], 0x10000C, machine=3),
    "junk": b"junk" * 100,
    "large": bytes(5 << 20),
    "odd.iso": bytes(3000 * 512 + 512),
    "bochsrc": b"boot: floppy\n",
}
WRONG = {
    "--kernel mips": "mips: a program for MIPS, not for i386",
    "--kernel x86-64": "neither a Linux kernel for PCs (bzImage) nor one with a multiboot header",
    "--kernel junk": "neither a Linux kernel for PCs (bzImage) nor one with a multiboot header",
    "--kernel .": "Is a directory",
    "--kernel far": "16 octets at 0x10000000 (physical 0x10000000) are not in the machine's memory: give it more",
    "--kernel good --initrd large --memory 4M": "large: 5242880 octets do not fit",
    "--kernel good --module large --memory 4M": "large: 5242880 octets do not fit",
    "--kernel good --boot disk": "--kernel has no part in --boot disk",
    "--kernel good --option-rom junk": "--option-rom has no part in --boot kernel",
    "--boot tape": "'tape': kernel or disk or cdrom or floppy or network was expected",
    "--boot disk --firmware junk": "junk: firmware of 400 octets; a multiple of 64K",
    "--boot disk --option-rom junk": "not an option ROM",
    "--boot disk --disk ide,junk": "junk: 400 octets: one or more whole sectors",
    "--boot disk --disk ide,good,rw,ro": "rw or ro",
    "--boot floppy --disk floppy,large": "no floppy disk has 5242880 octets",
    "--boot cdrom --disk cdrom,odd.iso": "truncated",
    "--boot disk --restore junk": "junk: snapshot: not readable",
    "--bochsrc bochsrc --kernel good --restore junk": "junk: snapshot: not readable",  # nothing is said of --boot
    "--boot disk --memory 5G": "'5G': 4M to 3G was expected",
    "--boot disk --cpu z80": "486 or pentium or pentium2 or pentium3 was expected",
    "--boot disk --cpu 486 --pae": "'486' with pae: pentium2 or a later one was expected",
    "--boot disk --cpu pentium2 --sse2": "'pentium2' with sse2: pentium3 or a later one was expected",
    "--boot disk --cpu 486 --apic": "'486' with apic: pentium or a later one was expected",
    "--boot disk --isa-irq 9": "5 or 7 was expected",
    "--boot disk --serial-ports 9": "0 to 4 was expected",
    "--boot disk --nic ne2000-isa --nic ne2000-isa --nic ne2000-isa": "at most 2 cards of the model ne2000-isa",
}


@pytest.mark.parametrize("options", sorted(WRONG))
def test_what_is_wrong_is_said_before_anything_starts(
    options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, octets in FILES.items():
        Path(name).write_bytes(octets)
    assert main(["guest", "pc", *options.split(), "--console", "none"]) == 2
    said = capsys.readouterr()
    assert WRONG[options] in said.err
    assert said.err.count("\n") == 1
    assert not said.out


def test_a_disk_without_a_boot_sector_is_told_by_the_bios(tmp_path: Path) -> None:
    if not SEABIOS.exists():
        pytest.skip("seabios is not installed (setup/packages)")
    disk, console = tmp_path / "disk", tmp_path / "console"
    disk.write_bytes(bytes(1 << 20))
    command = [VDE, "guest", "pc", "--boot", "disk", "--disk", f"ide,{disk}", "--clock", "warp", "--no-reboot"]
    subprocess.run([*command, "--console", f"file:{console}"], stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=True)
    assert b"Booting from Hard Disk...\r\nBoot failed: not a bootable disk" in console.read_bytes()


def test_parts_that_are_damaged_are_named_before_anything_starts(tmp_path: Path, need_tool: NeedTool) -> None:
    kernel = store.pull("debian-i386", lambda progress: None).kernel.read_bytes()
    image = tmp_path / "disk.qcow2"
    subprocess.run([need_tool("qemu-img"), "create", "-q", "-f", "qcow2", str(image), "8M"], check=True)
    with image.open("r+b") as file:
        file.seek(40)  # l1_table_offset, the QCOW2 header's sixth field
        file.write(bytes.fromhex("00000000deadbe00"))
    (tmp_path / "cut").write_bytes(kernel[: len(kernel) // 2])
    (tmp_path / "rom").write_bytes(b"\x55\xaa\x04" + bytes(509))
    for options, words in (
        (["--kernel", "cut"], ("cut off", "cut")),
        (["--boot", "disk", "--option-rom", "rom"], ("says that it has 2048", "rom")),
        (["--boot", "disk", "--disk", "ide,disk.qcow2"], ("disk.qcow2", "damaged")),
    ):
        places = [str(tmp_path / word) if (tmp_path / word).exists() else word for word in options]
        ended = guest(*(place.replace("ide,", f"ide,{tmp_path}/") for place in places))
        assert ended.returncode == 2, (options, ended.stderr)
        assert not ended.stdout
        assert "Traceback" not in ended.stderr
        for word in words:
            assert word in ended.stderr, ended.stderr
