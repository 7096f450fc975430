"""Builds uMPS3 programs with the cross compiler and the files of Debian's umps3."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

NeedTool = Callable[[str], str]

FLAGS = [
    "-mips1",
    "-mabi=32",
    "-mfp32",
    "-G",
    "0",
    "-mno-abicalls",
    "-fno-pic",
    "-ffreestanding",
    "-fno-builtin",
    "-std=gnu11",
    "-O1",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffunction-sections",
]
INCLUDE = "/usr/include/umps3"
SHARE = Path("/usr/share/umps3")
LINK = ["-G", "0", "-nostdlib"]
PREFIX = "mipsel-linux-gnu-"

SMALL = """
int counter = 3;
static const char text[] = "hi";
int room[2000];
int f(int x) { return x * counter + text[x & 1]; }
int main(void) { room[3] = f(2); for (;;); }
"""


def library(name: str) -> str:
    """One of the objects of Debian's umps3, which lies in a folder of the host's architecture."""
    (found,) = Path("/usr/lib").glob(f"*/umps3/{name}")
    return str(found)


def compile_object(place: Path, name: str, assembly: str, need_tool: NeedTool) -> Path:
    """An object of assembly source."""
    assembler = need_tool(f"{PREFIX}as")
    source, target = place / f"{name}.s", place / f"{name}.o"
    source.write_text(assembly)
    subprocess.run([assembler, "-mips1", "-mno-shared", "-o", target, source], check=True, timeout=60)
    return target


def build_kernel(place: Path, sources: Sequence[Path], need_tool: NeedTool) -> Path:
    """A kernel as ELF; without sources a small one that does nothing."""
    compiler, linker = need_tool(f"{PREFIX}gcc"), need_tool(f"{PREFIX}ld")
    need_tool("umps3-elf2umps")
    if not sources:
        (place / "small.c").write_text(SMALL)
        sources = [place / "small.c"]
    objects = []
    for source in sources:
        target = place / f"{source.stem}.o"
        command = [compiler, *FLAGS, f"-I{INCLUDE}", f"-I{source.parent}", "-c", str(source), "-o", str(target)]
        subprocess.run(command, check=True, timeout=120)
        objects.append(target)
    kernel = place / "kernel"
    startup = [library("crtso.o"), library("libumps.o")]
    script = SHARE / "umpscore.ldscript"
    subprocess.run([linker, *LINK, "-T", script, *startup, *objects, "-o", kernel], check=True, timeout=60)
    return kernel
