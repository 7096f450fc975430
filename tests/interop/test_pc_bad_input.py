"""What is wrong with a PC's parts, or with what its guest does, as `vde guest` and `vde screen` show it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulators.boards.bare_i386 import FOREVER, Program
from tests.tools import NeedTool
from vde.image import store

pytestmark = [pytest.mark.interop]
VDE = str(Path(sys.executable).parent / "vde")
PATIENCE_S = 30
GARBAGE = b"\x1b]0;owned\x07\x1b[2J\x1bc\x9b31m\x0e\x85" * 40


def guest(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [VDE, "guest", "pc", *options], capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL
    )


def triple_fault(path: Path) -> Path:
    """It says `x` first."""
    program = Program()
    program.say(b"x")
    program.code(b"\x0f\x0b")  # ud2, without an IDT
    return program.kernel(path)


def test_a_triple_fault_with_no_reboot_ends_the_guest(tmp_path: Path) -> None:
    ended = guest("--kernel", str(triple_fault(tmp_path / "kernel")), "--no-reboot", "--console", "serial0=stdio")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "x"


def test_a_triple_fault_starts_the_machine_again(tmp_path: Path) -> None:
    options = ["--kernel", str(triple_fault(tmp_path / "kernel")), "--console", "serial0=stdio"]
    with subprocess.Popen([VDE, "guest", "pc", *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            signal.alarm(PATIENCE_S)
            assert running.stdout.read(3) == b"xxx"
        finally:
            signal.alarm(0)
            running.terminate()
            running.communicate()


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
