"""Which programs nodes are, where they are, and which Debian package has them if they are not."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from vde.lab import bochs, pearpc
from vde.lab.errors import LabFailed
from vde.lab.resolved import AnyNode, Bochs, Guest, Pearpc, Segment
from vde.lab.schema import Architecture

QEMU: Mapping[Architecture, tuple[str, str]] = {
    "i386": ("qemu-system-i386", "qemu-system-x86"),
    "mipsel": ("qemu-system-mipsel", "qemu-system-mips"),
    "powerpc": ("qemu-system-ppc", "qemu-system-ppc"),
}
SWITCH = "vdeswitch"
VERSION_S = 20.0  # chosen


def find_program(name: str) -> str | None:
    """Its path: our own is next to the running Python, where pip puts it; others are on $PATH."""
    beside = Path(sys.executable).parent / name
    if name == SWITCH and os.access(beside, os.X_OK):
        return os.fspath(beside)
    return shutil.which(name)


def program_of(node: AnyNode) -> tuple[str, str] | None:
    """The program that a node is, and the Debian package or other place where it comes from."""
    match node:
        case Guest(kind="qemu", architecture=architecture) if architecture != "x86_64":
            return QEMU[architecture]
        case Bochs():
            return bochs.PROGRAM, bochs.PACKAGE
        case Pearpc():
            return pearpc.PROGRAM, pearpc.SOURCE
        case Segment():
            return SWITCH, "this project, whose installation is not complete"
        case _:
            return None


def program_versions(nodes: Iterable[AnyNode]) -> dict[str, str]:
    """What the programs of others say about themselves, for the record."""
    found = {}
    for name in sorted({program[0] for node in nodes if isinstance(node, Guest) and (program := program_of(node))}):
        path = find_program(name)
        if path is not None:
            said = subprocess.run(
                [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=VERSION_S
            )
            found[name] = said.stdout.decode(errors="replace").partition("\n")[0][:200]
    return found


def require_programs(nodes: Iterable[AnyNode]) -> None:
    """See that all the programs are there, before anything is started.

    Raises:
        LabFailed: names every one that is missing, and what to install.
    """
    missing: dict[tuple[str, str], str] = {}
    for node in nodes:
        program = program_of(node)
        if program is not None and find_program(program[0]) is None:
            missing.setdefault(program, node.name)
    if missing:
        lines = [
            f"{program} is not installed, which node '{node}' needs: it comes with {package}"
            + (f" (apt-get install {package})" if " " not in package else "")
            for (program, package), node in sorted(missing.items())
        ]
        raise LabFailed("\n".join(lines))
