"""Firmware, Debian's kernel and a shell on the PC's own screen and keyboard; and `vde screen` on a terminal."""

import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from emulators.boards.pc import TICKS_HZ, Params, build
from emulators.devices.input.keys import US, chord, strokes
from emulators.devices.video.picture import Frame, TextScreen
from emulators.machine import Done, Idle, Machine, Reset
from emulators.outside import Bench, DiskEnd
from tests.emulators.boards.bare_i386 import Program
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]

STEP = TICKS_HZ // 50
VDE = str(Path(sys.executable).parent / "vde")


class Screen:
    """A machine, its screen and its keyboard, without any real time."""

    def __init__(self, params: Params, disks: Sequence[DiskEnd] = ()) -> None:
        self.outside = Bench(disk_list=disks)
        self.machine: Machine = build(params, self.outside)

    def look(self) -> TextScreen | Frame:
        assert self.outside.display.look is not None
        return self.outside.display.look()

    def lines(self) -> list[str]:
        shown = self.look()
        return shown.lines() if isinstance(shown, TextScreen) else []

    def run_until(self, true: Callable[[], bool], *, seconds: float) -> None:
        end = self.machine.cpu.ticks + int(seconds * TICKS_HZ)
        while not true():
            assert isinstance(self.machine.run_for(STEP), Done | Idle), self.lines()
            assert self.machine.cpu.ticks < end, self.lines()

    def shows(self, text: str) -> Callable[[], bool]:
        return lambda: any(text in line for line in self.lines())

    def press(self, keys: tuple[str, ...]) -> None:
        display = self.outside.display
        assert display.on_key is not None
        for name, down in strokes(keys):
            assert display.ready_keys is not None
            while display.ready_keys() <= 0:
                self.machine.run_for(TICKS_HZ // 1000)
            display.on_key(name, down)

    def type(self, text: str) -> None:
        for character in text:
            self.press(US[character])


@pytest.fixture
def seabios() -> None:
    if not Path("/usr/share/seabios/bios-256k.bin").exists():
        pytest.skip("Debian's package seabios is not installed")


def test_seabios_shows_its_banner_and_takes_ctrl_alt_del(seabios: None) -> None:
    screen = Screen(Params(memory=32 << 20))
    screen.run_until(screen.shows("No bootable device."), seconds=10)
    assert screen.lines()[0].startswith("SeaBIOS (version ")
    for _ in range(10):
        screen.machine.run_for(STEP)
    said = re.sub(rb"\x1b\[?[0-9;?]*[A-Za-z]", b"", bytes(screen.outside.written["serial0"])).decode()
    assert said.split() == " ".join(screen.lines()).split()
    vga = screen.machine.devices["vga"]
    assert getattr(vga, "mistakes", 0) == 0
    screen.press(chord("ctrl-alt-delete"))
    outcome: object = None
    for _ in range(200):
        outcome = screen.machine.run_for(STEP)
        if isinstance(outcome, Reset):
            break
    assert isinstance(outcome, Reset)


def without_times(text: str) -> list[str]:
    return [line for line in re.sub(r"\[ *\d+\.\d+\] ", "", text).replace("\r", "").split("\n") if line.strip()]


def wrapped(lines: list[str], columns: int) -> list[str]:
    return [line[at : at + columns].rstrip() for line in lines for at in range(0, max(1, len(line)), columns)]


def test_a_shell_on_the_first_virtual_console() -> None:
    """The kernel speaks on both consoles; a scrolled line costs fewer exits than it has cells."""
    image = store.open_image("debian-i386")
    words = "console=ttyS0 console=tty0 cryptomgr.notests"
    screen = Screen(Params(kernel=image.kernel, initrd=image.initrd, append=words))
    screen.run_until(screen.shows("Run /init"), seconds=20)
    shown = [line for line in screen.lines() if line]
    kernel = [line for line in bytes(screen.outside.written["serial0"]).decode(errors="replace").split("\r\n") if line]
    expected = wrapped(kernel, 80)
    end = next(at for at in range(len(expected) - 1, -1, -1) if "Run /init" in expected[at])
    begin = next(at for at, line in enumerate(shown) if "Run /init" in line)
    assert shown[: begin + 1] == expected[end - begin : end + 1]
    screen.run_until(screen.shows(":/# "[:-1]), seconds=20)
    screen.type("echo $((6*7)) 'A~_|\"' > /tmp/x; clear; cat /tmp/x; tty\n")
    screen.run_until(lambda: screen.lines()[0] == '42 A~_|"', seconds=5)
    before = screen.machine.exits
    screen.type("i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo line $i; done\n")
    screen.run_until(screen.shows("line 500"), seconds=10)
    assert screen.machine.exits - before < 500 * 120  # cursor, timer, keys; the cells of a line alone are 160
    screen.type("clear; cat /proc/bus/input/devices | grep Name\n")
    screen.run_until(screen.shows("AT Translated Set 2 keyboard"), seconds=5)
    snapshot = screen.machine.snapshot()
    screen.machine.restore(snapshot)
    screen.type("echo alive\n")
    screen.run_until(lambda: "alive" in screen.lines(), seconds=5)


def test_a_frame_buffer_console_by_vga(tmp_path: Path) -> None:
    """`vga=0x314`: 800 × 600, 16 bits: Linux' own driver writes its console there."""
    image = store.open_image("debian-i386")
    words = "console=tty0 console=ttyS0 cryptomgr.notests vga=0x314"
    screen = Screen(Params(kernel=image.kernel, initrd=image.initrd, append=words))
    shown = screen.outside.written["serial0"]
    screen.run_until(lambda: b"vde-guest ready" in shown, seconds=20)
    frame = screen.look()
    assert isinstance(frame, Frame)
    assert (frame.width, frame.height) == (800, 600)
    lit = sum(1 for at in range(0, len(frame.pixels), 3) if frame.pixels[at] > 100)
    assert lit > 5000


def typed_on(terminal: int, octets: bytes, until: bytes, *, seconds: int = 20) -> bytes:
    """What a program shows on its terminal, until it has shown something."""
    os.write(terminal, octets)
    return shown_on(terminal, until, seconds=seconds)


def shown_on(terminal: int, until: bytes, *, seconds: int = 20) -> bytes:
    shown = b""
    signal.alarm(seconds)
    try:
        while until not in shown:
            shown += os.read(terminal, 1 << 16)
    finally:
        signal.alarm(0)
    return shown


def test_vde_screen_on_a_terminal(tmp_path: Path, seabios: None) -> None:
    """The PC's process shows its screen at a socket; a terminal looks, types, and is as before afterwards."""
    path = tmp_path / "screen"
    guest = subprocess.Popen(
        [VDE, "guest", "pc", "--boot", "disk", "--memory", "32M", "--no-rng", "--screen", f"unix:{path}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        assert guest.stdout is not None
        shown = b""
        while b"No bootable device" not in shown:
            octets = os.read(guest.stdout.fileno(), 1 << 16)
            assert octets
            shown += octets
        text = subprocess.run([VDE, "screen", f"unix:{path}", "--text"], check=True, capture_output=True, text=True)
        assert text.stdout.startswith("SeaBIOS (version ")
        picture = tmp_path / "screen.png"
        subprocess.run([VDE, "screen", f"unix:{path}", "--png", picture], check=True)
        with Image.open(picture) as opened:
            assert opened.size == (720, 400)
            assert len(opened.convert("RGB").getcolors() or []) == 2
        parent, child = pty.openpty()
        try:
            termios.tcsetwinsize(child, (25, 80))
            before = termios.tcgetattr(child)
            with subprocess.Popen([VDE, "screen", f"unix:{path}"], stdin=child, stdout=child) as viewer:
                try:
                    live = shown_on(parent, b"No bootable device")
                    assert b"Ctrl-] then" in typed_on(parent, b"\x1d?", b"Ctrl-] then")
                    left = typed_on(parent, b"\x1dq", b"\x1b[?1049l")
                    assert viewer.wait(20) == 0
                finally:
                    viewer.kill()
            assert live.startswith(b"\x1b[?1049h")
            assert b"\x1b[?25h" in left
            assert termios.tcgetattr(child) == before
        finally:
            os.close(parent)
            os.close(child)
        subprocess.run([VDE, "screen", f"unix:{path}", "--key", "ctrl-alt-delete"], check=True)
        again = b""
        while b"SeaBIOS (version" not in again:
            again += os.read(guest.stdout.fileno(), 1 << 16)
    finally:
        guest.send_signal(signal.SIGTERM)
        guest.wait(20)
        assert guest.stdout is not None
        guest.stdout.close()
    assert not path.exists()


def test_pixels_of_a_linear_frame_buffer_as_a_picture(tmp_path: Path) -> None:
    """DISPI: 640 × 480 of 32 bits, filled; `vde screen` saves it, and says that it is no text."""
    program = Program()
    for index, value in ((4, 0), (1, 640), (2, 480), (3, 32), (4, 0x41)):
        program.out(0x1CE, index, 2)
        program.out(0x1CF, value, 2)
    program.out(0xCF8, 0x80001010, 4)  # device 2, base register 0
    program.read(0xCFC, 4)
    program.code(b"\x83\xe0\xf0\x89\xc7")  # and eax, -16; mov edi, eax
    program.code(b"\xb9" + (640 * 480).to_bytes(4, "little"), b"\xb8\x99\x66\x33\x00", b"\xfc\xf3\xab")  # rep stosd
    program.say(b"drawn")
    program.stop()
    path, picture = tmp_path / "screen", tmp_path / "screen.png"
    options = ["--kernel", str(program.kernel(tmp_path / "kernel")), "--screen", f"unix:{path}"]
    with subprocess.Popen(
        [VDE, "guest", "pc", *options, "--console", "serial0=stdio"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as guest:
        try:
            assert guest.stdout is not None
            assert guest.stdout.read(5) == b"drawn"
            subprocess.run([VDE, "screen", f"unix:{path}", "--png", picture], check=True)
            refused = subprocess.run([VDE, "screen", f"unix:{path}", "--text"], capture_output=True, text=True)
        finally:
            guest.terminate()
            guest.communicate()
    with Image.open(picture) as opened:
        assert opened.convert("RGB").getcolors() == [(640 * 480, (0x33, 0x66, 0x99))]
    assert refused.returncode == 2
    assert "the screen shows 640 × 480 pixels, not text: --png FILE saves them" in refused.stderr


def test_a_screen_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    gone = subprocess.run([VDE, "screen", f"unix:{tmp_path}/x", "--text"], capture_output=True, text=True)
    assert gone.returncode == 2
    assert "No such file" in gone.stderr
