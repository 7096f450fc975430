"""The installed disk under work for a long time: `make soak-pc`.

python -m tests.interop.soak_pc MINUTES        makes the disk, installs GRUB, boots over it, works, checks the disk

Packages are installed, verified, used and removed, thousands of files packed, unpacked and compared, round after round;
then the guest is switched off, and e2fsck has to find the file system clean.
"""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.interop.guest_console import ConsoleGuest
from tests.interop.installed_disk import INSTALL_GRUB, PASSWORD, Disk, check_file_system, make_disk
from tests.tools import NeedTool

VDE = str(Path(sys.executable).parent / "vde")
ERRORS = "I/O error|EXT4-fs (error|warning)|exception Emask|BUG: |Oops|Call Trace|hung_task|blocked for more than"
"""As Linux 6.1 words them in its log."""
PATIENCE_S = 3600.0
"""For one command of the guest's. Chosen: a round took more than 15 minutes on a machine with much other work."""


class InstalledGuest(ConsoleGuest):
    """`vde guest pc` with the disk; the console is its first serial line."""

    def __init__(self, disk: str, *options: str) -> None:
        machine = ["--memory", "256M", "--no-rng", "--console", "serial0=stdio", "--disk", disk, *options]
        super().__init__([VDE, "guest", "pc", *machine], patience_s=PATIENCE_S)

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def log_in(self) -> None:
        behind = self.wait_for("installed login: ")
        self.say("root\n")
        behind = self.wait_for("Password: ", behind)
        self.say(PASSWORD + "\n")
        self.wait_for(":~# ", behind)

    def switch_off(self) -> None:
        """The guest ends by itself."""
        self.say("poweroff\n")
        assert self.process.stdout is not None
        while octets := self.process.stdout.read1(1 << 16):  # type: ignore[attr-defined]
            self.transcript += octets
        assert self.process.wait(PATIENCE_S) == 0, self.transcript[-2000:]

    def work(self) -> str:
        """One round."""
        said = self.shell("workload && echo do''ne || echo fail''ed")
        assert "checked " in said, said[-3000:]
        assert "done" in said, said[-3000:]
        return said.strip().splitlines()[-2]


def install_grub(disk: Disk) -> None:
    """A first start without firmware, for GRUB's own installer."""
    words = "root=/dev/sda1 console=ttyS0 cryptomgr.notests"
    files = ["--kernel", str(disk.kernel), "--initrd", str(disk.initrd)]
    with InstalledGuest(f"ide,{disk.path}", *files, "--append", words) as guest:
        guest.log_in()
        said = guest.shell(f"{INSTALL_GRUB} && echo do''ne")
        assert "Installation finished. No error reported." in said, said
        assert "done" in said, said
        guest.switch_off()
    check_file_system(disk.path)


def soak(disk: Disk, seconds: float) -> list[str]:
    """Boots over GRUB and works until the time is over: what each round told."""
    end = time.monotonic() + seconds
    rounds: list[str] = []
    with InstalledGuest(f"ide,{disk.path}", "--boot", "disk") as guest:
        guest.wait_for("GRUB")
        guest.log_in()
        while time.monotonic() < end or not rounds:
            rounds.append(guest.work())
            up_s = float(guest.shell("cat /proc/uptime").split()[0])
            sys.stdout.write(f"round {len(rounds)}: {rounds[-1]}; up for {up_s / 60:.0f} minutes of the guest's time\n")
            sys.stdout.flush()
        errors = guest.shell(f"dmesg | grep -E '{ERRORS}'")
        guest.switch_off()
    check_file_system(disk.path)
    assert not errors.strip(), errors
    return rounds


def main() -> None:
    minutes = float(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="vde-soak-") as work:
        disk = make_disk(Path(work), NeedTool())
        sys.stdout.write("the disk is made\n")
        sys.stdout.flush()
        install_grub(disk)
        sys.stdout.write("GRUB is installed\n")
        sys.stdout.flush()
        rounds = soak(disk, minutes * 60)
        octets = subprocess.run(
            ["du", "-h", str(disk.path)], capture_output=True, text=True, check=True
        ).stdout.split()[0]
        sys.stdout.write(
            f"{len(rounds)} rounds in {minutes:g} minutes; the file system is clean ({octets} on the host)\n"
        )


if __name__ == "__main__":
    main()
