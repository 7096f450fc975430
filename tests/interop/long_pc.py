"""What takes minutes: `make test-pc`. The kernel unpacks itself; the -686-pae kernel; Debian's installer."""

import re
import struct
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.interop.debian_i386 import Archive
from tests.interop.test_pc_debian import booted, debian
from tests.interop.test_pc_disks_debian import initrd_with_modules
from tests.interop.test_pc_screen import Screen

pytestmark = [pytest.mark.interop, pytest.mark.slow]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(tmp_path_factory.mktemp("archive"))


def test_the_kernel_unpacks_itself_if_told_so() -> None:
    shell = booted(replace(debian(), decompress=False), seconds=60)
    assert 2_000_000_000 < shell.machine.cpu.icount < 4_000_000_000


@pytest.mark.parametrize("flavour", ["686", "686-pae"])
def test_a_kernel_as_it_is_shipped(flavour: str, archive: Archive) -> None:
    """It unpacks itself and makes its own tests. How long it took is printed (`pytest -s`)."""
    kernel = archive.files(archive.kernel_of(f"linux-image-{flavour}"), kernel="boot/vmlinuz-")["kernel"]
    words = "console=ttyS0 panic=-1 hostname=p"
    pae = flavour.endswith("pae")
    began = time.process_time()
    shell = booted(replace(debian(), kernel=kernel, pae=pae, decompress=False, append=words), seconds=90)
    used_s = time.process_time() - began
    sys.stdout.write(f"\n{flavour}: {shell.machine.cpu.icount} instructions, {used_s:.1f} s of a processor\n")
    assert shell.ask("uname -r").strip().endswith(f"-{flavour}")
    assert shell.machine.cpu.icount < 8_000_000_000


def test_the_kernel_with_physical_address_extension(archive: Archive) -> None:
    kernel = archive.files(archive.kernel_of("linux-image-686-pae"), pae="boot/vmlinuz-")["pae"]
    shell = booted(replace(debian(), kernel=kernel, pae=True))
    assert "686-pae" in shell.ask("uname -r")
    assert "NX (Execute Disable) protection: active" in shell.ask("dmesg | grep NX")


EV_KEY, EV_REL, BTN_LEFT, REL_X, REL_Y, REL_WHEEL = 1, 2, 0x110, 0, 1, 8
"""Linux' include/uapi/linux/input-event-codes.h."""


def test_debians_driver_feels_the_mouse_and_its_wheel(tmp_path: Path) -> None:
    """psmouse finds a wheel by the knock, and evdev tells what moved; downwards is positive there."""
    shell = booted(replace(debian(), initrd=initrd_with_modules(tmp_path, ("psmouse", "evdev"))))
    shell.ask("insmod /m/evdev.ko; insmod /m/psmouse.ko; sleep 3")
    found = re.search(r'Name="([^"]*Mouse)".*?Handlers=.*?(event\d)', shell.ask(DEVICES), re.DOTALL)
    assert found is not None, shell.ask(DEVICES)
    assert found[1].startswith("Im"), found[1]  # ImPS/2 or ImExPS/2: with a wheel
    shell.ask(f"cat /dev/input/{found[2]} > /tmp/events & sleep 1")
    move = shell.outside.display.on_mouse
    assert move is not None
    for right, up, wheel, buttons in ((5, -7, 0, 0), (-3, 2, 0, 1), (0, 0, 1, 1), (0, 0, 0, 0)):
        move(right, up, wheel, buttons)
        shell.ask("sleep 0.1")
    octets = bytes.fromhex(shell.ask("hexdump -ve '1/1 \"%02x\"' /tmp/events"))
    events = [struct.unpack_from("<HHi", octets, at + 8) for at in range(0, len(octets), 16)]
    moved = [event for event in events if event[0] in (EV_KEY, EV_REL)]
    assert {*moved[:2]} == {(EV_REL, REL_X, 5), (EV_REL, REL_Y, 7)}, moved
    assert {*moved[2:5]} == {(EV_KEY, BTN_LEFT, 1), (EV_REL, REL_X, -3), (EV_REL, REL_Y, -2)}, moved
    assert moved[5:] in ([(EV_REL, REL_WHEEL, way), (EV_KEY, BTN_LEFT, 0)] for way in (1, -1)), moved


DEVICES = "cat /proc/bus/input/devices"
DIALOG = (
    "[!!] Select a language",
    "Choose the language to be used for the installation process. The",
    "selected language will also be the default language for the installed",
    "Language:",
    "English",
    "<Go Back>",
    "<Tab> moves; <Space> selects; <Enter> activates buttons",
)
LINE = re.compile(r"\x1b\[(\d+);\d+H")
"""VT100, CUP: the line from which on something is written."""


def test_debians_installer_asks_its_first_question_on_the_line_and_on_the_screen(archive: Archive) -> None:
    place = "i386/text/debian-installer/i386"
    files = archive.files("debian-installer-12-netboot-i386", kernel=f"{place}/linux$", initrd=f"{place}/initrd.gz$")
    words = "console=tty0 console=ttyS0 cryptomgr.notests nomodeset modprobe.blacklist=bochs"
    screen = Screen(replace(debian(), kernel=files["kernel"], initrd=files["initrd"], append=words, memory=512 << 20))
    written = screen.outside.written["serial0"]
    last = DIALOG[-1]
    screen.run_until(lambda: last.encode() in written and screen.shows(last)(), seconds=150)
    lines, line = screen.lines(), written.decode()
    for text in DIALOG:
        shown = [number for number, one in enumerate(lines, 1) if text in one]
        assert len(shown) == 1, text
        assert text in line
    # on the line the list is shorter, as its terminal has fewer characters, so that all of the dialog is lower
    on_screen = [next(number for number, one in enumerate(lines) if text in one) for text in DIALOG[:4]]
    on_line = [int(LINE.findall(line[: line.index(text)])[-1]) for text in DIALOG[:4]]
    assert [number - on_screen[0] for number in on_screen] == [number - on_line[0] for number in on_line]
    names = [one.strip(" │↑▒■↓") for one in lines]
    assert "Catalan              -  Català" in names
    assert "French               -  Français" in names
    assert any(one.startswith("  ┌─") for one in lines)
    assert any(one.startswith("  └─") for one in lines)
    # its keyboard is heard
    screen.press(("enter",))
    screen.run_until(screen.shows("Select your location"), seconds=60)
