"""Our MIPS engine beside QEMU's translator and GXemul: an integer program, and Debian's kernel. `make bench-cpu`.

    python -m tests.bench.cpu                    three runs of everything
    python -m tests.bench.cpu --runs 5 --only integer

All emulate the same machine (a Malta) with the same files, in turns. Times are wall-clock: of the integer program from
its first word on the serial line to its last; of the boot from the start of the emulator to the shell's ready line.
Million instructions a second are those that our engine counts for the program, over each emulator's time.

CoreMark is not in Debian; the integer program (`integer.c`) has its kinds of work, and is not CoreMark.
"""

import argparse
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic

from tests.bench.machine import description, foreign_load_pct
from vde.image import store

VDE = str(Path(sys.executable).parent / "vde")
SOURCE = Path(__file__).with_name("integer.c")
CC = "mipsel-linux-gnu-gcc"
FLAGS = (
    *("-O2", "-mips32", "-msoft-float", "-G0", "-fno-pic", "-mno-abicalls", "-nostdlib", "-static", "-ffreestanding"),
    *("-Wl,-Ttext=0x80100000", "-Wl,--build-id=none"),
)
ITERATIONS = 3000
IMAGE = "debian-malta"
PATIENCE_S = 40.0
AIM_MIPS, AIM_BOOT_S = 120, 12


class TooLong(Exception):
    """An emulator did not say what was expected; the text has the end of what it said."""


@dataclass
class Contest:
    """One emulator with one task, and the seconds that each run took; `why`: it cannot do it."""

    name: str
    command: Sequence[str]
    first: bytes | None
    last: bytes
    seconds: list[float] = field(default_factory=list)
    why: str = ""

    def run(self) -> None:
        """Measure once."""
        if not self.why:
            try:
                self.seconds.append(measure(self.command, self.first, self.last))
            except TooLong as error:
                self.why = str(error)


def measure(command: Sequence[str], first: bytes | None, last: bytes) -> float:
    """Seconds from `first` (None: from the start) to `last` on the terminal of a command."""
    ours, theirs = pty.openpty()
    start = monotonic()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        try:
            said = b""
            patience = start + PATIENCE_S
            while last not in said:
                if not select.select([ours], [], [], max(0.0, patience - monotonic()))[0]:
                    raise TooLong(f"nothing for {PATIENCE_S:g} s; the last: {said[-60:]!r}")
                try:
                    octets = os.read(ours, 65536)
                except OSError:  # the terminal's other end is closed
                    octets = b""
                if not octets:
                    raise TooLong(f"it has ended; the last: {said[-60:]!r}")
                said += octets
                if first is not None and first in said:
                    start, first = monotonic(), None
            return monotonic() - start
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            os.close(ours)


def instructions(program: Path) -> int:
    """Of the program between its words, as our engine counts them, to 10,000."""
    from emulators.boards import malta
    from emulators.outside import Bench

    outside = Bench()
    machine = malta.build(malta.Params(kernel=program, memory=64 << 20), outside)
    marks = []
    for word in (b"begin\n", b"end\n"):
        while word not in outside.written["serial0"]:
            machine.run_for(10_000)
        marks.append(machine.cpu.icount)
    return marks[1] - marks[0]


def integer_contests(program: Path) -> list[Contest]:
    """Emulators with the integer program."""
    qemu = ("qemu-system-mipsel", "-M", "malta", "-cpu", "24Kf", "-m", "64", "-nodefaults", "-display", "none")
    return [
        Contest("ours", (VDE, "guest", "malta", "--memory", "64M", "--kernel", str(program)), b"begin", b"end"),
        Contest("QEMU (TCG)", (*qemu, "-serial", "stdio", "-kernel", str(program)), b"begin", b"end"),
        Contest("GXemul", ("gxemul", "-q", "-e", "malta", "-M", "64", str(program)), b"begin", b"end"),
    ]


def boot_contests() -> list[Contest]:
    """Emulators with Debian's kernel and our initial file system."""
    image = store.pull(IMAGE)
    words = image.command_line("")
    qemu = ("qemu-system-mipsel", "-M", "malta", "-cpu", "24Kf", "-m", "128", "-nodefaults", "-display", "none")
    ours = (VDE, "guest", "malta", "--image", IMAGE)
    ready = b"vde-guest ready:"
    boot = ("-serial", "stdio", "-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", words)
    return [
        Contest("ours, kernel unpacked by the loader", ours, None, ready),
        Contest("ours, kernel unpacks itself", (*ours, "--no-decompress"), None, ready),
        Contest("QEMU (TCG), kernel unpacks itself", (*qemu, *boot), None, ready),
        Contest("GXemul", ("gxemul", "-q", "-e", "malta", "-M", "128", str(image.kernel)), None, b"Linux version"),
    ]


def table(contests: Sequence[Contest], count: int | None) -> str:
    """Markdown: medians, and least and largest."""
    rows = ["| emulator | seconds |" + (" MIPS |" if count else ""), "|---|---:|" + ("---:|" if count else "")]
    for contest in contests:
        if not contest.seconds:
            rows.append(f"| {contest.name} | – ({contest.why}) |" + (" – |" if count else ""))
            continue
        middle = median(contest.seconds)
        shown = f"{middle:.2f} ({min(contest.seconds):.2f}–{max(contest.seconds):.2f})"
        rows.append(f"| {contest.name} | {shown} |" + (f" {count / middle / 1e6:,.0f} |" if count else ""))
    return "\n".join(rows)


def in_turns(contests: Sequence[Contest], runs: int, tell: Callable[[str], None]) -> None:
    """Measure all of them, so often, one after the other."""
    for run in range(runs):
        for contest in contests:
            load = foreign_load_pct()
            contest.run()
            shown = f"{contest.seconds[-1]:.2f} s" if not contest.why else contest.why
            tell(f"run {run + 1}: {contest.name}: {shown} (others used {load:.0f} % before)")


def main() -> int:
    """0: measured; 1: ours did not do it; 2: something is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cpu", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=("integer", "boot"))
    args = parser.parse_args()
    missing = [tool for tool in (CC, "qemu-system-mipsel", "gxemul") if shutil.which(tool) is None]
    if missing:
        sys.stderr.write(f"bench-cpu: {', '.join(missing)} missing (setup/packages)\n")
        return 2

    def tell(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    lines = [f"machine: {description()}"]
    ours: list[Contest] = []
    if args.only != "boot":
        with TemporaryDirectory(prefix="vde") as directory:
            program = Path(directory) / "integer"
            subprocess.run([CC, *FLAGS, f"-DITERATIONS={ITERATIONS}", "-o", program, SOURCE], check=True)
            count = instructions(program)
            contests = integer_contests(program)
            in_turns(contests, args.runs, tell)
        ours.append(contests[0])
        lines += ["", f"Integer program, {count / 1e6:,.0f} million instructions (aim: {AIM_MIPS} MIPS):", ""]
        lines.append(table(contests, count))
    if args.only != "integer":
        contests = boot_contests()
        in_turns(contests, args.runs, tell)
        ours.append(contests[0])
        lines += ["", f"Debian's 4kc-malta kernel to the shell's ready line (aim: {AIM_BOOT_S} s):", ""]
        lines.append(table(contests, None))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if all(contest.seconds for contest in ours) else 1


if __name__ == "__main__":
    sys.exit(main())
