"""What `tests.bench.cpu` runs: guests by processor, and every emulator's way to run them.

A new processor is one more entry in `ARCHITECTURES` (and its first instructions and serial line in
`coremark/port/core_portme.c`).

Bochs, QEMU and our PC get the same disk (`boot_disk.py`), each starts it with its own BIOS, and the clock starts when
the disk's loader is done: only instructions of the guest proper are compared. A Malta's emulators take the kernel's or
the program's file itself.
"""

import json
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from emulators.umps_tools import elf2umps
from tests.bench import boot_disk
from tests.bench.mac_rom import mac_rom
from vde.image import store
from vde.image.errors import ImageError
from vde.image.store import Image

VDE: Final = str(Path(sys.executable).parent / "vde")
COREMARK: Final = Path(__file__).with_name("coremark")
COMMON_FLAGS: Final = ("-O2", "-nostdlib", "-static", "-ffreestanding", "-fno-tree-loop-distribute-patterns")
READY: Final = b"vde-guest ready:"
BOOT_PATIENCE_S, SHIPPED_PATIENCE_S = 60.0, 150.0
MEMORY_MIB: Final = 128
BOCHS_CONFIGURATION: Final = """\
config_interface: textconfig
display_library: term
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
sound: driver=dummy
speaker: enabled=0
panic: action=fatal
log: log.txt
cpu: model=p3_katmai, ips=100000000
clock: sync=none
megs: {memory_mib}
pci: enabled=1, chipset=i440fx
ata0-master: type=disk, mode=flat, path="{disk}", cylinders={cylinders}, heads=16, spt=63
boot: disk
com1: enabled=1, mode=term, dev={terminal}
"""
"""Chosen: 100 million instructions for a second of the guest's, so that its timer costs no more than ours."""


@dataclass
class Contest:
    """One emulator with one task, and what each run took.

    Attributes:
        command: its command line.
        first: the word on the serial line at which the clock starts; None: at the start of the command.
        last: at which it ends.
        proofs: what has to be said until the end, or behind it, for the run to count.
        bochs_disk: it is Bochs with this disk; the command is made for it.
        times: it does the task so often, since once is too short for the clock; its seconds are those for once.
        seconds, processor_s: wall-clock time and processor time of all its threads, a run each.
        why: it cannot do it.
    """

    name: str
    command: Sequence[str]
    first: bytes | None
    last: bytes
    proofs: Sequence[bytes] = ()
    patience_s: float = BOOT_PATIENCE_S
    bochs_disk: Path | None = None
    times: int = 1
    seconds: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)
    why: str = ""


@dataclass(frozen=True)
class Architecture:
    """A guest's processor.

    Attributes:
        tools: programs that are needed.
        compiler, flags: of CoreMark.
        aim: million instructions a second, of ours.
        coremark: emulators with the program.
        boot: emulators with Linux, Debian's where it has a kernel for the processor.
        boot_aim: of ours.
        machine: ours with the program, for counting its instructions.
    """

    tools: Sequence[str]
    compiler: str
    flags: Sequence[str]
    aim: int
    coremark: Callable[[Path, Path], list[Contest]]
    boot: Callable[[Path], list[Contest]]
    boot_aim: str
    machine: str


COREMARK_PROOFS: Final = (b"seedcrc          : 0xe9f5", b"crclist       : 0xe714", b"crcmatrix     : 0x1fd7")
"""CoreMark's own known values for its performance run (core_main.c), on 2000 octets."""
FINISHED: Final = b"finished"


def compile_coremark(architecture: Architecture, program: Path, iterations: int = 0) -> None:
    """The unmodified program with our port."""
    _compile(architecture.compiler, architecture.flags, program, iterations or ITERATIONS)


def _compile(compiler: str, own_flags: Sequence[str], program: Path, iterations: int) -> None:
    flags = (*COMMON_FLAGS, *own_flags)
    definitions = (f"-DITERATIONS={iterations}", f'-DFLAGS="{" ".join(flags)}"')
    sources = (*sorted(COREMARK.glob("*.c")), COREMARK / "port/core_portme.c")
    directories = (f"-I{COREMARK}", f"-I{COREMARK / 'port'}")
    subprocess.run([compiler, *flags, *definitions, *directories, "-o", program, *sources], check=True)


NATIVE_FLAGS: Final = ("-fno-pic", "-no-pie", "-fno-stack-protector", "-Wl,-e,__start,--build-id=none")
NATIVE_TIMES: Final = 50
HOST: Final = "the host itself"
ITERATIONS: Final = 1000
"""Of CoreMark, in each guest."""


def native_coremark(directory: Path) -> Contest:
    """The same program, compiled for the host's own processor, with nothing between."""
    program = directory / "coremark-native"
    contest = Contest(HOST, (str(program),), b"begin", b"end", (*COREMARK_PROOFS, FINISHED), times=NATIVE_TIMES)
    if platform.machine() == "x86_64":
        _compile("gcc", NATIVE_FLAGS, program, ITERATIONS * NATIVE_TIMES)
    else:
        contest.why = f"coremark/port has nothing for {platform.machine()}"
    return contest


def coremark(name: str, command: Sequence[str], bochs_disk: Path | None = None) -> Contest:
    return Contest(name, command, b"begin", b"end", (*COREMARK_PROOFS, FINISHED), bochs_disk=bochs_disk)


def linux(name: str, command: Sequence[str], bochs_disk: Path | None = None, first: bytes | None = None) -> Contest:
    return Contest(name, command, first, READY, bochs_disk=bochs_disk)


QEMU_WORDS: Final = ("-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-accel", "tcg")
QEMU_MALTA: Final = ("qemu-system-mipsel", "-M", "malta", "-cpu", "24Kf", "-m", str(MEMORY_MIB), *QEMU_WORDS)
QEMU_PC: Final = ("qemu-system-i386", "-M", "pc", "-cpu", "pentium3", "-m", str(MEMORY_MIB), *QEMU_WORDS)
GXEMUL: Final = ("gxemul", "-q", "-e", "malta", "-M", str(MEMORY_MIB))


def malta_coremark(program: Path, _: Path) -> list[Contest]:
    return [
        coremark("ours", (VDE, "guest", "malta", "--kernel", str(program))),
        coremark("QEMU (TCG)", (*QEMU_MALTA, "-kernel", str(program))),
        coremark("GXemul", (*GXEMUL, str(program))),
    ]


def malta_boot(_: Path) -> list[Contest]:
    image = store.pull("debian-malta")
    ours = (VDE, "guest", "malta", "--image", image.name)
    files = ("-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", image.command_line(""))
    gxemul = linux("GXemul", (*GXEMUL, str(image.kernel)))
    gxemul.last = b"Linux version"  # it is not expected to come so far
    return [
        linux("ours, kernel unpacked by the loader", ours),
        linux("ours, kernel unpacks itself", (*ours, "--no-decompress")),
        linux("QEMU (TCG), kernel unpacks itself", (*QEMU_MALTA, *files)),
        gxemul,
    ]


def our_pc(disk: Path) -> tuple[str, ...]:
    return (VDE, "guest", "pc", "--boot", "disk", "--disk", f"ide,{disk},overlay,format=raw")


def qemu_pc(disk: Path) -> tuple[str, ...]:
    return (*QEMU_PC, "-drive", f"file={disk},format=raw,snapshot=on")


def pc_coremark(program: Path, directory: Path) -> list[Contest]:
    disk = directory / "coremark.img"
    disk.write_bytes(boot_disk.program_disk(boot_disk.boot_sector(directory), program))
    return [
        coremark("ours", our_pc(disk)),
        coremark("Bochs", (), disk),
        coremark("QEMU (TCG)", qemu_pc(disk)),
    ]


def as_shipped(image: Image) -> str:
    """The usual words without what makes the boot shorter."""
    return " ".join(word for word in image.command_line("").split() if word != "cryptomgr.notests")


def pc_boot(directory: Path) -> list[Contest]:
    image = store.pull("debian-i386")
    disk = directory / "linux.img"
    disk.write_bytes(
        boot_disk.linux_disk(
            boot_disk.boot_sector(directory), image.kernel, image.initrd, image.command_line(""), MEMORY_MIB << 20
        )
    )
    files = ("--kernel", str(image.kernel), "--initrd", str(image.initrd), "--append", as_shipped(image))
    shipped = linux("ours, as shipped: packed, with the self-tests", (VDE, "guest", "pc", *files, "--no-decompress"))
    shipped.patience_s = SHIPPED_PATIENCE_S
    return [
        linux("ours, from the same disk", our_pc(disk), first=b"go"),
        linux("Bochs, from the same disk", (), disk, first=b"go"),
        linux("QEMU (TCG), from the same disk", qemu_pc(disk), first=b"go"),
        linux("ours, kernel unpacked by the loader, whole run", (VDE, "guest", "pc", "--image", image.name)),
        shipped,
    ]


QEMU_MAC: Final = ("qemu-system-ppc", "-M", "g3beige", "-cpu", "750", "-m", str(MEMORY_MIB), *QEMU_WORDS, "-vga", "std")


def mac_coremark(program: Path, directory: Path) -> list[Contest]:
    rom = directory / "coremark.rom"
    rom.write_bytes(mac_rom(program))
    return [
        coremark("ours", (VDE, "guest", "mac", "--firmware", str(rom), "--boot", "prompt")),
        coremark("QEMU (TCG)", (*QEMU_MAC, "-bios", str(rom))),
    ]


def mac_boot(_: Path) -> list[Contest]:
    """Nothing, if the image was not compiled (`vde image build linux-ppc`)."""
    try:
        image = store.open_image("linux-ppc")
    except ImageError:
        return []
    files = ("-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", image.command_line(""))
    ours = (VDE, "guest", "mac", "--image", image.name)
    return [
        linux("ours, by a device tree", ours),
        linux("ours, by OpenBIOS", (*ours, "--firmware", "openbios", "--boot", "kernel")),
        linux("QEMU (TCG), by OpenBIOS", (*QEMU_MAC, *files)),
    ]


UMPS_FRAMES: Final = 512


def umps_objects() -> list[str]:
    """What Debian's umps3 has to link a kernel with, in a folder of the host's architecture."""
    return [str(path) for name in ("crtso.o", "libumps.o") for path in Path("/usr/lib").glob(f"*/umps3/{name}")]


def umps_config(program: Path) -> Path:
    """A machine's configuration with the program as its kernel."""
    if elf2umps.run(["-k", str(program)], "elf2umps") != 0:
        raise RuntimeError(f"{program}: elf2umps did not take it")
    boot = {"load-core-file": True, "core-file": f"{program}.core.umps"}
    terminal = {"terminal0": {"enabled": True, "file": "terminal0"}}
    path = program.with_suffix(".json")
    path.write_text(json.dumps({"num-ram-frames": UMPS_FRAMES, "boot": boot, "devices": terminal}))
    return path


def umps_coremark(program: Path, _: Path) -> list[Contest]:
    debian = coremark("uMPS3 3.0.5", ("umps3",))
    debian.why = "it runs in a window only, where somebody has to press its buttons"
    return [coremark("ours", (VDE, "guest", "umps3", str(umps_config(program)))), debian]


ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "mips": Architecture(
        tools=("mipsel-linux-gnu-gcc", "qemu-system-mipsel", "gxemul"),
        compiler="mipsel-linux-gnu-gcc",
        flags=(
            *("-mips32", "-msoft-float", "-G0", "-fno-pic", "-mno-abicalls"),
            *("-Wl,-Ttext=0x80100000", "-Wl,--build-id=none"),
        ),
        aim=120,
        coremark=malta_coremark,
        boot=malta_boot,
        boot_aim="12 s",
        machine="malta",
    ),
    "i386": Architecture(
        tools=("gcc", "ld", "qemu-system-i386", "bochs"),
        compiler="gcc",
        flags=(
            *("-m32", "-march=pentiumpro", "-mno-sse", "-mno-mmx", "-fno-pic", "-no-pie", "-fno-stack-protector"),
            *("-fno-asynchronous-unwind-tables", "-Wl,-N,-e,__start,-Ttext=0x100000,-Tdata=0x110000,--build-id=none"),
            "-Wl,--no-warn-rwx-segments",  # data in pages of their own: writes beside code are slow in all of them
        ),
        aim=80,
        coremark=pc_coremark,
        boot=pc_boot,
        boot_aim="12 s, as shipped 60 s",
        machine="pc",
    ),
    "ppc": Architecture(
        tools=("powerpc-linux-gnu-gcc", "powerpc-linux-gnu-objcopy", "qemu-system-ppc"),
        compiler="powerpc-linux-gnu-gcc",
        flags=(
            *("-mcpu=750", "-msoft-float", "-mno-sdata", "-fno-pic", "-no-pie", "-fno-stack-protector"),
            *("-fno-asynchronous-unwind-tables", "-Wl,-N,-e,__start,-Ttext=0x100000,--build-id=none"),
            "-Wl,--no-warn-rwx-segments",
        ),
        aim=100,
        coremark=mac_coremark,
        boot=mac_boot,
        boot_aim="3 s by a device tree",
        machine="mac",
    ),
    "umps3": Architecture(
        tools=("mipsel-linux-gnu-gcc", "umps3-elf2umps"),
        compiler="mipsel-linux-gnu-gcc",
        flags=(
            *("-DUMPS3", "-mips1", "-mabi=32", "-mfp32", "-G0", "-fno-pic", "-mno-abicalls"),
            *("-Wl,-T,/usr/share/umps3/umpscore.ldscript,--build-id=none", *umps_objects()),
        ),
        aim=20,
        coremark=umps_coremark,
        boot=lambda _: [],
        boot_aim="",
        machine="umps3",
    ),
}
