"""From verified packages to a kernel and an initrd, all in memory."""

import lzma
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from vde.errors import WireError
from vde.image import initramfs, modules, uml
from vde.image.deb import Limits, read_files
from vde.image.modinfo import ModuleInfo, parse_module
from vde.image.recipe import Recipe

_KERNEL_OCTETS_MAX = 64 << 20  # chosen, as the next two: about ten times what they are
_MODULE_OCTETS_MAX = 32 << 20
_XZ_OCTETS_MAX = 128 << 20  # memory of the decoder; `xz -9` needs 65 MiB
_BUSYBOX_OCTETS_MAX = 24 << 20
_BUILTIN_OCTETS_MAX = 4 << 20
_LIBRARY_OCTETS_MAX = 32 << 20
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~-]{0,63}")


@dataclass(frozen=True)
class Product:
    """What a recipe gives.

    Attributes:
        kernel_version: as `uname -r` shows it.
        kernel: the kernel's file as Debian ships it.
        archive: the initrd's content, uncompressed.
        initrd: the same, compressed.
        libraries: what a kernel that is a program is started with, by file name.
    """

    kernel_version: str
    kernel: bytes
    archive: bytes
    initrd: bytes
    libraries: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class _Layout:
    """Where things are in the kernel's package: the kernel, in words too; the directories of the modules' versions."""

    kernel: re.Pattern[str]
    shown: str
    modules: tuple[str, ...]


_LAYOUTS = {
    "machine": _Layout(
        re.compile(r"boot/vmlinu[xz]-([^/]+)"), "boot/vmlinuz-* or boot/vmlinux-*", ("lib/modules/", "usr/lib/modules/")
    ),
    "uml": _Layout(re.compile(r"usr/bin/linux\.uml"), "usr/bin/linux.uml", ("usr/lib/uml/modules/",)),
}


def build(
    recipe: Recipe,
    kernel_deb: Path,
    busybox_deb: Path,
    init: bytes,
    work: Path,
    report: Callable[[float], None],
    library_deb: Path | None = None,
) -> Product:
    """Make an image.

    The kernel's package is unpacked once. Which of its 4000 modules are needed is known only at its end, so they wait
    in a file without a name, which vanishes with this process (about 170 MB).

    Args:
        recipe: what is wanted.
        kernel_deb: the kernel's package.
        busybox_deb: the package with the static busybox.
        init: the script for /init.
        work: a directory with room for the unpacked modules.
        report: is called with the fraction done.
        library_deb: the package of the C library, for a kernel that is a program.

    Raises:
        WireError: a package is damaged or not what it should be.
        ImageError: the kernel has not got a module that the recipe needs.
        OSError: no room, no permission.
    """
    busybox = _read_busybox(busybox_deb)
    with tempfile.TemporaryFile(dir=work) as spool:
        found = _unpack(kernel_deb, _LAYOUTS[recipe.kind], spool, lambda fraction: report(fraction * 0.8))
        order = modules.closure(found.facts, found.built_in, recipe.modules, recipe.optional_modules)
        files = {}
        for name in order:
            path, offset, octets = found.places[name]
            spool.seek(offset)
            files[name] = (path, spool.read(octets))
    archive = initramfs.assemble(busybox, init, found.version, order, found.facts, files)
    report(0.9)
    initrd = initramfs.compress(archive)
    kernel, libraries = found.kernel, {}
    if library_deb is not None:
        kernel = uml.relocate(kernel)
        libraries = _read_libraries(library_deb)
    report(1.0)
    return Product(found.version, kernel, archive, initrd, libraries)


@dataclass(frozen=True)
class _Unpacked:
    version: str
    kernel: bytes
    built_in: frozenset[str]
    facts: dict[str, ModuleInfo]
    places: dict[str, tuple[str, int, int]]  # path below /lib/modules/VERSION; offset and octets in the spool


def _unpack(deb: Path, layout: _Layout, spool: BinaryIO, report: Callable[[float], None]) -> _Unpacked:
    kernel_path, kernel = "", b""
    version = ""
    built_in: frozenset[str] = frozenset()
    facts: dict[str, ModuleInfo] = {}
    places: dict[str, tuple[str, int, int]] = {}
    with deb.open("rb") as file:
        size = deb.stat().st_size
        for count, member in enumerate(read_files(file)):
            path = member.path
            top = next((top for top in layout.modules if path.startswith(top)), None)
            if match := layout.kernel.fullmatch(path):
                version = match[1] if match.groups() else version
                if kernel_path:
                    raise WireError(f"{deb.name}: two kernels, {kernel_path} and {path}")
                kernel_path, kernel = path, member.read(_KERNEL_OCTETS_MAX)
            elif top is not None and path.endswith("/modules.builtin"):
                version = version or path.removeprefix(top).split("/")[0]
                built_in = modules.built_in_names(member.read(_BUILTIN_OCTETS_MAX).decode("utf-8", "replace"))
            elif top is not None and path.endswith((".ko", ".ko.xz")):
                content = member.read(_MODULE_OCTETS_MAX)
                if path.endswith(".xz"):
                    path, content = path.removesuffix(".xz"), _plain(content, path)
                info = parse_module(content, modules.module_name(path))
                facts[info.name] = info
                places[info.name] = (path.removeprefix(top), spool.tell(), len(content))
                spool.write(content)
            if count % 64 == 0:
                report(file.tell() / size)
    if not kernel_path:
        raise WireError(f"{deb.name}: no {layout.shown} in it")
    if not _VERSION.fullmatch(version):
        raise WireError(f"{deb.name}: the kernel's version is {version!r}")
    base = f"{version}/"
    for name, (path, offset, octets) in places.items():
        if not path.startswith(base):
            raise WireError(f"{deb.name}: {path} is for another kernel than {version}")
        places[name] = (path.removeprefix(base), offset, octets)
    return _Unpacked(version, kernel, built_in, facts, places)


def _plain(content: bytes, path: str) -> bytes:
    """A module that was compressed: Debian's are since 6.12."""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_OCTETS_MAX)
    try:
        plain = decoder.decompress(content, _MODULE_OCTETS_MAX)
    except lzma.LZMAError as error:
        raise WireError(f"{path}: damaged: {error}") from None
    if not decoder.eof:
        raise WireError(f"{path}: it is cut off, or has more than {_MODULE_OCTETS_MAX} octets")
    return plain


def _read_busybox(deb: Path) -> bytes:
    with deb.open("rb") as file:
        for member in read_files(file, Limits(unpacked_octets=64 << 20)):
            if member.path in ("bin/busybox", "usr/bin/busybox"):
                return member.read(_BUSYBOX_OCTETS_MAX)
    raise WireError(f"{deb.name}: no bin/busybox in it")


def _read_libraries(deb: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with deb.open("rb") as file:
        for member in read_files(file, Limits(unpacked_octets=128 << 20)):
            name = member.path.rpartition("/")[2]
            if name in uml.LIBRARIES and name not in found:
                found[name] = member.read(_LIBRARY_OCTETS_MAX)
    if missing := set(uml.LIBRARIES) - found.keys():
        raise WireError(f"{deb.name}: no {', '.join(sorted(missing))} in it")
    return found
