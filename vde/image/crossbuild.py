"""Images whose kernel no archive has: built here, out of Debian's source packages, with Debian's cross compiler.

A 32-bit PowerPC kernel and a static busybox: `linux-source-6.1` (a package of architecture `all`) and the upstream
tarball of the source package `busybox`, both from the machine's apt sources with the signed index' hashes. The kernel's
configuration is `pmac32.config` on top of `allnoconfig`; busybox' is its own default, static.

The same packages and the same compiler give the same octets: build dates, users and hosts are fixed, and the archive is
assembled by `vde.image.initramfs` as for every other image. Nothing is installed; the compiler has to be (`PACKAGES`).

What a stopped build has done is used by the next one: sources are unpacked once, and make goes on where it was.

Time: four minutes of one processor for the kernel, two for busybox; 1.6 GB of disk until it is done.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vde.errors import ConfigError, WireError
from vde.image import initramfs, sources
from vde.image.advice import explain
from vde.image.apt import Apt, Record, machine_source_files
from vde.image.build import Product
from vde.image.compilation import CONFIGURATION, FIXED
from vde.image.deb import Limits, read_files
from vde.image.errors import ImageError
from vde.image.packages import missing_source
from vde.image.progress import Progress, Step
from vde.image.recipe import Recipe

HOST_INDEX: Final = "amd64"
"""The index that packages of architecture `all` are looked for in."""
COMPILER: Final = "powerpc-linux-gnu-"
PACKAGES: Final = {
    f"{COMPILER}gcc": "gcc-powerpc-linux-gnu",
    "gcc": "gcc",
    "make": "make",
    "bc": "bc",
    "bison": "bison",
    "flex": "flex",
    "xz": "xz-utils",
    "bzip2": "bzip2",
    "tar": "tar",
    "perl": "perl-base",
}
"""What the builds start, and Debian's packages with it; libc6-dev-powerpc-cross besides."""
TARGET_LIBRARY: Final = Path("/usr/powerpc-linux-gnu/lib/libc.a")
NEEDED_OCTETS: Final = 2_500_000_000
KERNEL_STEPS: Final = 1500
BUSYBOX_STEPS: Final = 900
"""About how many lines `make` says; only what is shown depends on it."""
KNOWN: Final[Mapping[tuple[str, ...], tuple[str, str]]] = {
    (
        "ae95fe63d4c553f8d0e6c86cb1ab566f3894a43743eb19ab585cd97d82f26514",  # linux-source-6.1 6.1.192-2
        "faeeb244c35a348a334f4a59e44626ee870fb07b6884d68c10ae8bc19f83a694",  # busybox 1:1.35.0-4+deb12u1
    ): (
        "2a0b6e66a39b16f874df8da18d68e3b9618a57c19ab814f966f6e8c23669e49e",
        "ec11b4396e0790e7f6b54144f5f83f5a650b99c789e5318f185eb1cbd627aea5",
    ),
}
"""SHA-256 of sources, and of what Debian 12's compiler (gcc 12.2.0-13) makes of them with the configuration of now: the
kernel, and the archive before it is compressed (docs/images.md)."""
_TARBALL_OCTETS = 512 << 20
_LINE = re.compile(rb"^\s+(?:CC|AS|AR|LD|HOSTCC|HOSTLD|GEN|UPD|APPLET|OBJCOPY)\b")


@dataclass(frozen=True)
class Fetched:
    """Sources on the disk, whose hashes are those of the signed index."""

    linux: Path
    busybox: Path
    records: tuple[Record, ...]


def check_tools(library: Path = TARGET_LIBRARY) -> None:
    """Raises ImageError: something to build with is missing; the text says what to install."""
    missing = {package for program, package in PACKAGES.items() if shutil.which(program) is None}
    if not library.exists():
        missing.add("libc6-dev-powerpc-cross")
    if missing:
        raise ImageError(f"this image is built here, which needs: apt-get install {' '.join(sorted(missing))}")


def make_image(
    recipe: Recipe, init: bytes, work: Path, progress: Progress, inherited: int, sources_file: Path | None = None
) -> tuple[Product, tuple[Record, ...]]:
    """Fetch, build and assemble. Arguments and errors are those of `fetch_packages` and `build`."""
    check_tools()
    if shutil.disk_usage(work).free < NEEDED_OCTETS and not (work / "linux").exists():
        raise ImageError(f"not enough room in {work}: building {recipe.name} needs {NEEDED_OCTETS / 1e9:.1f} GB")
    fetched = fetch_sources(recipe, work, progress, inherited, sources_file)
    version, kernel = build_kernel(recipe, fetched.linux, work, progress)
    busybox = build_busybox(recipe, fetched.busybox, work, progress)
    progress(Step(recipe.name, "assembling"))
    archive = initramfs.assemble(busybox, init, version, [], {}, {})
    if not is_known(fetched.records, kernel, archive):
        text = "not the octets that the same sources gave elsewhere (docs/images.md): another compiler?"
        progress(Step(recipe.name, text, note=True))
    return Product(version, kernel, archive, initramfs.compress(archive), {}), fetched.records


def is_known(records: Sequence[Record], kernel: bytes, archive: bytes) -> bool:
    """Are these the octets that these sources give? Of other sources nothing is known: yes."""
    expected = KNOWN.get(tuple(record.sha256 for record in records))
    made = tuple(hashlib.sha256(octets).hexdigest() for octets in (kernel, archive))
    return expected is None or made == expected


def fetch_sources(recipe: Recipe, work: Path, progress: Progress, inherited: int, sources_file: Path | None) -> Fetched:
    """Fetch both sources."""
    available = sources.read_file(sources_file) if sources_file else sources.read_sources(*machine_source_files())
    chosen = sources.select(available, recipe.suite)
    if not chosen:
        raise ConfigError(missing_source(recipe, sources_file))
    text = "\n".join((sources.render(chosen, HOST_INDEX), sources.render(chosen, HOST_INDEX, of_sources=True)))
    apt = Apt(work / "apt", HOST_INDEX, text, (inherited,))
    complaints = apt.update(_reporter(recipe, progress, "fetching the package indexes"))
    linux = apt.show(recipe.kernel_package)
    busybox = apt.show_source(recipe.busybox_package, ".orig.tar.")
    if linux is None or busybox is None:
        what = recipe.kernel_package if linux is None else f"source package {recipe.busybox_package}"
        apt.forget()
        if complaints:
            raise ImageError(explain(f"image {recipe.name}: the {recipe.suite} index could not be fetched", complaints))
        raise ImageError(f"image {recipe.name}: no {what} in {recipe.suite}")
    kernel = apt.fetch(linux, work, _reporter(recipe, progress, f"downloading {linux.package} ({_mb(linux)})"))
    report = _reporter(recipe, progress, f"downloading the source of busybox ({_mb(busybox.record)})")
    tarball = apt.fetch_file(busybox.uri, work / busybox.name, busybox.record.sha256, report)
    return Fetched(kernel, tarball, (linux, busybox.record))


def _mb(record: Record) -> str:
    return f"{record.octets / 1e6:.1f} MB"


def _reporter(recipe: Recipe, progress: Progress, text: str) -> Callable[[float], None]:
    progress(Step(recipe.name, text))
    return lambda fraction: progress(Step(recipe.name, text, fraction))


# -- the kernel


def build_kernel(recipe: Recipe, package: Path, work: Path, progress: Progress) -> tuple[str, bytes]:
    """The kernel's version and its stripped ELF file."""
    tree, objects = work / "linux", work / "kernel"
    if not (tree / ".unpacked").exists():
        progress(Step(recipe.name, "unpacking the kernel's source"))
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir()
        tarball = work / "linux.tar.xz"
        _extract(package, f"usr/src/{recipe.kernel_package}.tar.xz", tarball)
        _run(["tar", "-xJf", tarball, "-C", tree, "--strip-components=1"], work, "unpacking")
        tarball.unlink()
        (tree / ".unpacked").touch()
    objects.mkdir(exist_ok=True)
    make: list[str | Path] = ["make", "-C", tree, f"O={objects}", "ARCH=powerpc", f"CROSS_COMPILE={COMPILER}"]
    _run([*make, f"KCONFIG_ALLCONFIG={CONFIGURATION}", "allnoconfig"], work, "configuring the kernel")
    _check_configuration(CONFIGURATION.read_text(), (objects / ".config").read_text())
    report = _reporter(recipe, progress, "building the kernel (some minutes)")
    _run([*make, f"-j{os.cpu_count() or 1}", "vmlinux"], work, "building the kernel", report, KERNEL_STEPS)
    stripped = work / "vmlinux"
    _run([f"{COMPILER}strip", "-s", "-o", stripped, objects / "vmlinux"], work, "stripping the kernel")
    return (objects / "include/config/kernel.release").read_text().strip(), stripped.read_bytes()


def _check_configuration(wanted: str, got: str) -> None:
    """Raises ImageError: options that were asked for did not stick, because others are missing."""
    have = set(got.splitlines())
    lost = [line for line in wanted.splitlines() if line.startswith("CONFIG_") and line not in have]
    if lost:
        raise ImageError(f"this kernel's source does not take {', '.join(lost)}")


def _extract(package: Path, path: str, target: Path) -> None:
    with package.open("rb") as file:
        for member in read_files(file, Limits(unpacked_octets=_TARBALL_OCTETS)):
            if member.path == path:
                target.write_bytes(member.read(_TARBALL_OCTETS))
                return
    raise WireError(f"{package.name}: no {path} in it")


# -- busybox


def build_busybox(recipe: Recipe, tarball: Path, work: Path, progress: Progress) -> bytes:
    """busybox, static."""
    tree = work / "busybox"
    if not (tree / ".unpacked").exists():
        progress(Step(recipe.name, "unpacking the source of busybox"))
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir()
        _run(["tar", "-xf", tarball, "-C", tree, "--strip-components=1"], work, "unpacking")
        (tree / ".unpacked").touch()
    make: list[str | Path] = ["make", "-C", tree, f"CROSS_COMPILE={COMPILER}"]
    _run([*make, "defconfig"], work, "configuring busybox")
    configuration = (tree / ".config").read_text()
    (tree / ".config").write_text(configuration.replace("# CONFIG_STATIC is not set", "CONFIG_STATIC=y"))
    report = _reporter(recipe, progress, "building busybox")
    _run(
        [*make, f"-j{os.cpu_count() or 1}"],
        work,
        "building busybox",
        report,
        BUSYBOX_STEPS,
        {"KCONFIG_NOTIMESTAMP": "1"},
    )
    return (tree / "busybox").read_bytes()


# -- programs


def _run(
    command: Sequence[str | Path],
    work: Path,
    what: str,
    report: Callable[[float], None] = lambda fraction: None,
    steps: int = 1,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a program and its children to their end; on any exception they are all ended.

    Raises:
        ImageError: it failed; the text has its last lines.
    """
    log = work / "build.log"
    variables = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(work), **FIXED, **(environment or {})}
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=variables,
        start_new_session=True,
    )
    assert process.stdout is not None
    done = 0
    try:
        with log.open("wb") as output:
            for line in process.stdout:
                output.write(line)
                if _LINE.match(line):
                    done += 1
                    report(min(done / steps, 0.99))
        status = process.wait()
    except BaseException:
        _end(process)
        raise
    finally:
        process.stdout.close()
    if status:
        last = log.read_bytes()[-1500:].decode("utf-8", "replace").strip()
        raise ImageError(f"{what} failed with status {status} (all of it is in {log}):\n{last}")


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()
