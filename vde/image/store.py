"""The cache of guest images: what is there, getting one, opening one, removing one.

Layout below `cache_directory()`:

    NAME/manifest.json, vmlinuz-…, initrd-…      a finished image; the manifest names its files and their hashes
    NAME/uml-…/linux.uml, libc.so.6, …           a kernel that is a program, and what it is started with
    .work/NAME/                                  apt's state and downloads of an unfinished pull
    .locks/NAME                                  held while an image is pulled or removed

A finished image needs no network and no apt. Its files are verified whenever it is opened. A directory NAME that was
made on one machine can be copied to another.
"""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vde.errors import ConfigError, WireError
from vde.image import initramfs
from vde.image.apt import Record, sha256_of
from vde.image.build import Product, build
from vde.image.crossbuild import make_image
from vde.image.errors import Damaged, ImageError
from vde.image.lock import exclusive
from vde.image.manifest import FILE_NAME, Manifest, StoredFile, StoredPackage, read_manifest
from vde.image.packages import fetch_packages
from vde.image.progress import Progress, Step, silent
from vde.image.recipe import RECIPES, Kind, Recipe, find_recipe

# Indexes 30 MB, apt's cache 35 MB, packages 55 MB, unpacked modules 190 MB; found by watching a pull.
_WORK_OCTETS = 350_000_000

State = Literal["cached", "outdated", "damaged", "absent"]


@dataclass(frozen=True)
class Image:
    """A guest image that is ready to boot.

    Attributes:
        name: the recipe's name.
        architecture: Debian's name of the guest's architecture (`i386`, `mipsel`, `amd64`).
        kernel: the kernel's file.
        initrd: the first root file system's file.
        kernel_version: as the guest's `uname -r` shows it.
        default_cmdline: kernel parameters to begin with.
        cmdline_octets_max: the longest command line that reaches the kernel whole.
        kind: `uml`: the kernel is a program, to be started in its own directory (`vde.host.uml`).
    """

    name: str
    architecture: str
    kernel: Path
    initrd: Path
    kernel_version: str
    default_cmdline: str
    cmdline_octets_max: int
    kind: Kind = "machine"

    def command_line(self, parameters: str) -> str:
        """The whole command line for the kernel.

        Args:
            parameters: what to add to the default, for instance what `guest_parameters` gives.

        Raises:
            ConfigError: a boot loader would cut it off.
        """
        line = f"{self.default_cmdline} {parameters}".rstrip()
        octets = len(line.encode())
        if octets > self.cmdline_octets_max:
            raise ConfigError(
                f"image {self.name}: a kernel command line of {octets} octets, at most {self.cmdline_octets_max} reach "
                f"the kernel: {line!r}"
            )
        return line


@dataclass(frozen=True)
class Entry:
    """A line of `vde image list`.

    Attributes:
        recipe: what the image is made by.
        state: `outdated` means that this version of the program would make it differently; it works.
        kernel_version: of the cached image, else None.
        octets: on the disk.
    """

    recipe: Recipe
    state: State
    kernel_version: str | None
    octets: int


def cache_directory() -> Path:
    """Where images are: `$XDG_CACHE_HOME/vde/images`, by default `~/.cache/vde/images`.

    Raises:
        ImageError: there is neither XDG_CACHE_HOME nor a home directory.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # the XDG specification ignores relative paths
        return Path(base) / "vde" / "images"
    try:
        return Path.home() / ".cache" / "vde" / "images"
    except RuntimeError:
        raise ImageError("no home directory: set HOME or XDG_CACHE_HOME") from None


def open_image(name: str) -> Image:
    """Open a cached image; its files are verified.

    Raises:
        ConfigError: there is no image of that name; the text lists those that there are.
        ImageError: it is not cached, or damaged; the text says how to get it.
    """
    recipe = find_recipe(name)
    directory = cache_directory() / name
    try:
        manifest = read_manifest(directory)
        if manifest is None:
            raise ImageError(f"image {name} is not cached; get it with: vde image pull {name}")
        return _verified(recipe, directory, manifest)
    except Damaged as error:
        raise ImageError(f"image {name} is damaged: {error}; repair it with: vde image pull {name}") from None


def list_images() -> list[Entry]:
    """Every known image and its state, by name. The files' hashes are verified."""
    init = initramfs.guest_init()
    entries = []
    for name in sorted(RECIPES):
        recipe, directory = RECIPES[name], cache_directory() / name
        state: State = "absent"
        version = None
        try:
            manifest = read_manifest(directory)
            if manifest is not None:
                version = manifest.kernel_version
                _verified(recipe, directory, manifest)
                state = "cached" if manifest.recipe == recipe.fingerprint(init) else "outdated"
        except Damaged:
            state = "damaged"
        entries.append(Entry(recipe, state, version, _octets_below(directory)))
    return entries


def pull(name: str, progress: Progress = silent, *, refresh: bool = False, sources_file: Path | None = None) -> Image:
    """Have an image in the cache: nothing is done if it is there and whole.

    What an interrupted pull has fetched is used by the next one. Two pulls of the same image at once are safe: the
    second waits for the first and then uses its result.

    Args:
        name: the image.
        progress: told what is being done; may raise to stop.
        refresh: look for newer packages even if the image is there.
        sources_file: apt sources to use in place of the machine's.

    Raises:
        ConfigError: there is no image of that name, or the apt sources are unusable; the text says what to add.
        ImageError: the packages could not be fetched, verified or stored; the text says what to do.

    Cancellation:
        Whatever `progress` raises, and KeyboardInterrupt, ends apt and leaves the cache whole and the downloads for
        later.
    """
    recipe = find_recipe(name)
    init = initramfs.guest_init()
    root = cache_directory()

    def waiting() -> None:
        progress(Step(name, "waiting for another pull of this image"))

    def assembling(fraction: float) -> None:
        progress(Step(name, "unpacking and assembling", fraction))

    with _disk_errors(root):
        (root / ".locks").mkdir(parents=True, exist_ok=True)
        with exclusive(root / ".locks" / name, waiting) as lock:
            image = None if refresh else _current(recipe, root / name, init)
            if image is not None:
                return image
            work = root / ".work" / name
            work.mkdir(parents=True, exist_ok=True)
            _check_room(work)
            try:
                if recipe.built:
                    product, records = make_image(recipe, init, work, progress, lock, sources_file)
                else:
                    packages = fetch_packages(recipe, work, progress, lock, sources_file)
                    product = build(recipe, packages.kernel, packages.busybox, init, work, assembling, packages.library)
                    records = packages.records
            except WireError as error:
                raise ImageError(f"image {name}: a package is not what it should be: {error}") from None
            image = _install(recipe, root / name, product, records, init)
            shutil.rmtree(work)
            return image


def remove(name: str) -> bool:
    """Remove an image and whatever an unfinished pull of it left.

    Returns:
        Whether there was anything.

    Raises:
        ConfigError: there is no image of that name.
        ImageError: it is being pulled, or cannot be removed.
    """
    find_recipe(name)
    root = cache_directory()
    present = [path for path in (root / name, root / ".work" / name) if path.exists()]
    if not present:
        return False

    def busy() -> None:
        raise ImageError(f"image {name} is being pulled by another process")

    with _disk_errors(root):
        (root / ".locks").mkdir(parents=True, exist_ok=True)
        with exclusive(root / ".locks" / name, busy):
            (root / name / FILE_NAME).unlink(missing_ok=True)  # first: a reader must not find half an image
            for path in present:
                shutil.rmtree(path)
    return True


def _install(recipe: Recipe, directory: Path, product: Product, records: tuple[Record, ...], init: bytes) -> Image:
    directory.mkdir(parents=True, exist_ok=True)
    # The hash in each name: a new image never writes over a file that the manifest of now names.
    contents = {
        f"vmlinuz-{product.kernel_version}-{_sha256(product.kernel)[:8]}": product.kernel,
        f"initrd-{product.kernel_version}-{_sha256(product.initrd)[:8]}": product.initrd,
    }
    if recipe.kind == "uml":
        together = _sha256(product.kernel + b"".join(product.libraries.values()))
        place = f"uml-{product.kernel_version}-{together[:8]}"
        (directory / place).mkdir(exist_ok=True)
        contents = {f"{place}/linux.uml": product.kernel, next(reversed(contents)): product.initrd}
        contents |= {f"{place}/{name}": octets for name, octets in product.libraries.items()}
    files = []
    for name, octets in contents.items():
        files.append(StoredFile(file=name, octets=len(octets), sha256=_sha256(octets)))
        _write(directory / name, octets, 0o755 if "/" in name else 0o644)
    manifest = Manifest(
        format=1,
        name=recipe.name,
        architecture=recipe.architecture,
        kernel_version=product.kernel_version,
        recipe=recipe.fingerprint(init),
        kernel=files[0],
        initrd=files[1],
        archive_sha256=hashlib.sha256(product.archive).hexdigest(),
        packages=[
            StoredPackage(package=r.package, version=r.version, architecture=r.architecture, sha256=r.sha256)
            for r in records
        ],
        libraries=files[2:],
    )
    _write(directory / FILE_NAME, (manifest.model_dump_json(indent=2) + "\n").encode())
    named = {FILE_NAME, *(stored.file.split("/")[0] for stored in files)}
    for path in directory.iterdir():
        if path.name not in named and path.is_dir():
            shutil.rmtree(path)
        elif path.name not in named:
            path.unlink()
    return _verified(recipe, directory, manifest)


def _sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def _write(path: Path, octets: bytes, mode: int = 0o644) -> None:
    """Replace a file in one step; a reader, or a power failure, meets the old content or the new."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    if mode & 0o111:
        temporary.chmod(mode)
    temporary.replace(path)


def _verified(recipe: Recipe, directory: Path, manifest: Manifest) -> Image:
    if (manifest.name, manifest.architecture) != (recipe.name, recipe.architecture):
        raise Damaged(f"its manifest is of {manifest.name} for {manifest.architecture}")
    for stored in (manifest.kernel, manifest.initrd, *manifest.libraries):
        path = directory / stored.file
        try:
            if path.stat().st_size != stored.octets or sha256_of(path) != stored.sha256:
                raise Damaged(f"{path} has changed since it was made")
        except OSError as error:
            raise Damaged(f"{path}: {error.strerror}") from None
    return Image(
        name=recipe.name,
        architecture=recipe.architecture,
        kernel=directory / manifest.kernel.file,
        initrd=directory / manifest.initrd.file,
        kernel_version=manifest.kernel_version,
        default_cmdline=recipe.default_cmdline,
        cmdline_octets_max=recipe.cmdline_octets_max,
        kind=recipe.kind,
    )


def _current(recipe: Recipe, directory: Path, init: bytes) -> Image | None:
    with contextlib.suppress(Damaged):
        manifest = read_manifest(directory)
        if manifest is not None and manifest.recipe == recipe.fingerprint(init):
            return _verified(recipe, directory, manifest)
    return None


def _octets_below(directory: Path) -> int:
    if not directory.is_dir():
        return 0
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _check_room(work: Path) -> None:
    free = shutil.disk_usage(work).free
    used = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
    if free + used < _WORK_OCTETS:
        raise ImageError(
            f"not enough room in {work.parent.parent}: {free / 1e6:.0f} MB are free, making an image needs about "
            f"{_WORK_OCTETS / 1e6:.0f} MB; make room, or set XDG_CACHE_HOME to a larger disk"
        )


@contextlib.contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ImageError(f"the disk of {root} is full; make room, or set XDG_CACHE_HOME to a larger one") from None
        where = error.filename or root
        raise ImageError(f"{where}: {error.strerror or error}; the cache can be moved with XDG_CACHE_HOME") from None
