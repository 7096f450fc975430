"""A Bochs configuration file of the kind that people have, up to GRUB's prompt on the screen: `make test-pc`."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.test_network_cards import VDE
from tests.switch_process import SwitchProcess

pytestmark = [pytest.mark.interop, pytest.mark.slow]
FLOPPY = Path("/usr/lib/grub-rescue/grub-rescue-floppy.img")
PATIENCE_S = 120.0
DISK_OCTETS = 306 * 4 * 17 * 512

BOCHSRC = """\
# bochsrc.txt for Bochs 2.x
config_interface: textconfig
display_library: x
plugin_ctrl: unmapped=1, biosdev=1, speaker=1, extfpuirq=1, parallel=1, serial=1, gameport=1
cpu: model=pentium, count=1, ips=50000000, reset_on_triple_fault=1, ignore_bad_msrs=1
megs: 32
romimage: file=$BXSHARE/BIOS-bochs-latest, address=0xfffe0000
vgaromimage: file=$BXSHARE/VGABIOS-lgpl-latest
vga: extension=vbe, update_freq=15
floppya: 1_44="floppy.img", status=inserted
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path="c.img", mode=flat, cylinders=306, heads=4, spt=17, translation=none
boot: floppy
floppy_bootsig_check: disabled=0
ne2k: ioaddr=0x300, irq=5, mac=b0:c4:20:00:00:01, ethmod=vde, ethdev="$SWITCH", script=""
com1: enabled=1, mode=file, dev=serial.txt
parport1: enabled=1, file="parport.out"
clock: sync=realtime, time0=1000000000
log: bochsout.txt
panic: action=ask
error: action=report
info: action=report
debug: action=ignore
debugger_log: -
keyboard: type=mf, serial_delay=250, paste_delay=100000
keyboard_mapping: enabled=1, map=$BXSHARE/keymaps/x11-pc-de.map
mouse: enabled=0
magic_break: enabled=1
private_colormap: enabled=0
"""
NOT_USED = {
    "config_interface": 2,
    "display_library": 3,
    "plugin_ctrl": 4,
    "romimage": 7,
    "vgaromimage": 8,
    "parport1": 17,
    "log": 19,
    "panic": 20,
    "error": 21,
    "info": 22,
    "debug": 23,
    "debugger_log": 24,
    "keyboard_mapping": 26,
    "magic_break": 28,
}


def shown(screen: Path) -> str:
    """The text on it."""
    done = subprocess.run([VDE, "screen", f"unix:{screen}", "--text"], capture_output=True, text=True, check=False)
    return done.stdout


def wait_until(screen: Path, text: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while text not in (now := shown(screen)):
        assert time.monotonic() < deadline, now


def test_a_bochsrc_boots(short_path: Path, start_switch: Callable[..., SwitchProcess]) -> None:
    if not FLOPPY.exists():
        pytest.skip("grub-rescue-pc is not installed (setup/packages)")
    switch = start_switch()
    (short_path / "bochsrc.txt").write_text(BOCHSRC)
    (short_path / "floppy.img").write_bytes(FLOPPY.read_bytes())
    (short_path / "c.img").write_bytes(bytes(DISK_OCTETS))
    screen = short_path / "screen"
    guest = subprocess.Popen(
        [VDE, "guest", "pc", "--bochsrc", "bochsrc.txt", "--screen", f"unix:{screen}"],
        cwd=short_path,
        env=os.environ | {"BXSHARE": "/usr/share/bochs", "SWITCH": str(switch.directory)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(screen, "GNU GRUB")
        subprocess.run([VDE, "screen", f"unix:{screen}", "--type", "c"], check=True)
        wait_until(screen, "grub>")
        subprocess.run([VDE, "screen", f"unix:{screen}", "--type", "ls\n"], check=True)
        wait_until(screen, "(hd0) (fd0)")
        assert "SeaBIOS (version" in (short_path / "serial.txt").read_text()
        assert any("vde guest pc" in line for line in switch.command("port/print"))
    finally:
        guest.send_signal(signal.SIGTERM)
        _, said = guest.communicate(timeout=20)
    assert said.splitlines() == [f"vde guest: bochsrc.txt:{line}: {name}: not used" for name, line in NOT_USED.items()]
    assert guest.returncode == 128 + signal.SIGTERM
