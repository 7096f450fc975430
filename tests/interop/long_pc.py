"""What takes minutes: `make test-pc`. The kernel unpacks itself; the -686-pae kernel; Debian's installer."""

import re
import sys
import time
from dataclasses import replace

import pytest

from tests.interop.debian_i386 import Archive
from tests.interop.test_pc_debian import booted, debian
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
