"""Our engines beside Bochs, GXemul and QEMU's translator: CoreMark, and Linux. `make bench-cpu`.

    python -m tests.bench.cpu                    three runs of everything: ten minutes
    python -m tests.bench.cpu --runs 5 --only coremark --processor i386

All emulate the same machine with the same files, in turns. Of CoreMark, the time from `begin` to `end` on the serial
line counts, and its own CRCs must come out; of a boot, that to the shell's ready line. Wall-clock seconds are shown,
and the emulator's processor seconds (all threads, to 10 ms), which other programs on the machine disturb less; million
instructions a second are those that our engine counts for the program, over each emulator's processor seconds. The same
program, compiled for the host, says how many times slower a guest is than the host itself.

It is no CoreMark score: see `coremark/README.md`.
"""

import argparse
import os
import pty
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic

from tests.bench import boot_disk
from tests.bench.cpu_guests import (
    ARCHITECTURES,
    BOCHS_CONFIGURATION,
    HOST,
    MEMORY_MIB,
    Architecture,
    Contest,
    compile_coremark,
    native_coremark,
    umps_config,
)
from tests.bench.machine import cpu_ticks, description, end_in_order, foreign_load_pct

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """An emulator did not say what was expected; the text has the end of what it said."""


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    try:
        yield ours, theirs
    finally:
        os.close(theirs)
        os.close(ours)


def bochs(disk: Path, serial: str, directory: Path) -> list[str]:
    """Its command line; its files are in the directory."""
    cylinders = disk.stat().st_size // (boot_disk.CYLINDER_SECTORS * boot_disk.SECTOR)
    configuration, commands = directory / "bochsrc", directory / "commands"
    text = BOCHS_CONFIGURATION.format(disk=disk, cylinders=cylinders, terminal=serial, memory_mib=MEMORY_MIB)
    configuration.write_text(text)
    commands.write_text("c\n")  # Debian's build has the debugger, which waits
    disk.with_name(f"{disk.name}.lock").unlink(missing_ok=True)  # of a run that was ended
    return ["bochs", "-q", "-f", str(configuration), "-rc", str(commands)]


def measure(contest: Contest) -> tuple[float, float]:
    """Wall-clock and processor seconds from the contest's first word to its last."""
    with TemporaryDirectory(prefix="vde") as directory, terminal() as (ours, theirs):
        command, ends = contest.command, theirs
        if contest.bochs_disk is not None:
            command, ends = bochs(contest.bochs_disk, os.ttyname(theirs), Path(directory)), subprocess.DEVNULL
        start = monotonic()
        with subprocess.Popen(command, stdin=ends, stdout=ends, stderr=subprocess.DEVNULL, cwd=directory) as process:
            try:
                return _listen(contest, ours, process, start)
            finally:
                process.kill()
                process.wait()


def _listen(contest: Contest, ours: int, process: "subprocess.Popen[bytes]", start: float) -> tuple[float, float]:
    said, patience = b"", start + contest.patience_s
    ticks, result = 0, None
    first = contest.first
    while result is None or not all(proof in said for proof in contest.proofs):
        if monotonic() > patience or process.poll() is not None:
            state = "it has ended" if process.poll() is not None else f"not within {contest.patience_s:g} s"
            raise Failed(f"{state}; the last: {said[-60:]!r}")
        if not select.select([ours], [], [], 0.2)[0]:
            continue
        said += os.read(ours, 65536)
        if first is not None and first in said:
            start, ticks, first = monotonic(), cpu_ticks(process.pid), None
        if result is None and first is None and contest.last in said:
            result = monotonic() - start, (cpu_ticks(process.pid) - ticks) * TICK_S
    return result


def run(contest: Contest) -> None:
    """Measure once; what failed is not tried again."""
    if contest.why:
        return
    try:
        wall_s, processor_s = measure(contest)
    except Failed as error:
        contest.why = str(error)
        return
    contest.seconds.append(wall_s / contest.times)
    contest.processor_s.append(processor_s / contest.times)


def instructions(architecture: Architecture, program: Path) -> int:
    """Of CoreMark between its words, as our engine counts them, to 10,000."""
    from emulators.boards import mac, malta, pc, umps3
    from emulators.outside import Bench

    outside, line = Bench(), "serial0"
    if architecture.machine == "malta":
        machine = malta.build(malta.Params(kernel=program, memory=MEMORY_MIB << 20), outside)
    elif architecture.machine == "mac":
        rom = str(program.with_name("coremark.rom"))
        machine = mac.build(mac.Params(firmware=rom, boot="prompt", memory=MEMORY_MIB << 20, nics=()), outside)
    elif architecture.machine == "umps3":
        machine, line = umps3.build(umps3.Params(umps_config(program)), outside), "terminal0"
    else:
        from emulators.outside import MemoryDisk

        disk = program.with_name("coremark.img").read_bytes()
        outside.disk_list = [MemoryDisk(disk)]
        machine = pc.build(pc.Params(boot="disk", memory=MEMORY_MIB << 20, disks=("ide",)), outside)
    marks = []
    for word in (b"begin\n", b"end\n"):
        while word not in outside.written[line]:
            machine.run_for(10_000)
        marks.append(machine.cpu.icount)
    return marks[1] - marks[0]


def spread(values: Sequence[float]) -> str:
    return f"{median(values):.3g} ({min(values):.3g}–{max(values):.3g})"


def table(contests: Sequence[Contest], count: int | None) -> str:
    """Markdown: medians, least and largest; of CoreMark's `count` instructions also how much slower than the host."""
    host = next((contest for contest in contests if contest.name == HOST and contest.processor_s), None)
    rows = [
        "| emulator | seconds | processor seconds |" + (" MIPS | times the host's |" if count else ""),
        "|---|---:|---:|" + ("---:|---:|" if count else ""),
    ]
    for contest in contests:
        if not contest.seconds or contest.why:
            rows.append(f"| {contest.name} | – ({contest.why}) | – |" + (" – | – |" if count else ""))
            continue
        took = median(contest.processor_s)
        row = f"| {contest.name} | {spread(contest.seconds)} | {spread(contest.processor_s)} |"
        if count:
            row += f" {count / took / 1e6:,.0f} |" if contest is not host else " – |"
            row += f" {took / median(host.processor_s):,.1f} |" if host is not None else " – |"
        rows.append(row)
    return "\n".join(rows)


def in_turns(contests: Sequence[Contest], runs: int, tell: Callable[[str], None]) -> None:
    """Measure all of them, so often, one after the other."""
    for number in range(runs):
        for contest in contests:
            load = foreign_load_pct()
            run(contest)
            shown = contest.why or f"{contest.seconds[-1]:.2f} s, processor {contest.processor_s[-1]:.2f} s"
            tell(f"run {number + 1}: {contest.name}: {shown} (others used {load:.0f} % before)")


def main() -> int:
    """0: measured; 1: ours did not do it; 2: something is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cpu", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=("coremark", "boot"))
    parser.add_argument("--processor", choices=sorted(ARCHITECTURES))
    args = parser.parse_args()
    end_in_order()
    chosen = {name: one for name, one in ARCHITECTURES.items() if args.processor in (None, name)}
    missing = sorted({tool for one in chosen.values() for tool in one.tools if shutil.which(tool) is None})
    if missing:
        sys.stderr.write(f"bench-cpu: {', '.join(missing)} missing (setup/packages)\n")
        return 2

    def tell(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    lines, ours = [f"machine: {description()}"], []
    with TemporaryDirectory(prefix="vde") as directory:
        for name, architecture in chosen.items():
            if args.only != "boot":
                program = Path(directory) / f"coremark-{name}"
                compile_coremark(architecture, program)
                contests = [*architecture.coremark(program, Path(directory)), native_coremark(Path(directory))]
                count = instructions(architecture, program)
                in_turns(contests, args.runs, tell)
                ours.append(contests[0])
                lines += ["", f"{name}: CoreMark's program, {count / 1e6:,.0f} million instructions "]
                lines[-1] += f"(aim: {architecture.aim} MIPS):"
                lines += ["", table(contests, count)]
            if args.only != "coremark":
                contests = architecture.boot(Path(directory))
                if not contests:
                    continue
                in_turns(contests, args.runs, tell)
                ours.append(contests[0])
                lines += ["", f"{name}: Linux to the shell's ready line (aim of ours: {architecture.boot_aim}):"]
                lines += ["", table(contests, None)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if all(contest.seconds and not contest.why for contest in ours) else 1


if __name__ == "__main__":
    sys.exit(main())
