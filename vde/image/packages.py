"""Find the packages that a recipe means, and fetch them."""

import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vde.errors import ConfigError
from vde.image import sources
from vde.image.advice import explain
from vde.image.apt import Apt, Record, machine_source_files
from vde.image.errors import ImageError
from vde.image.progress import Progress, Step
from vde.image.recipe import SUITE, Recipe

# A dependency of a metapackage: "linux-image-6.1.0-50-686 (= 6.1.176-1)"
_KERNEL_DEPENDENCY = re.compile(r"(linux-image-[0-9][a-z0-9.+-]*)(?:\s*\(\s*=\s*([A-Za-z0-9.+:~-]+)\s*\))?")


@dataclass(frozen=True)
class Fetched:
    """Packages on the disk, whose hashes are those of the signed index."""

    kernel: Path
    busybox: Path
    records: tuple[Record, ...]
    library: Path | None = None


def fetch_packages(
    recipe: Recipe, work: Path, progress: Progress, inherited: int, sources_file: Path | None = None
) -> Fetched:
    """Fetch what a recipe is made of.

    Args:
        recipe: what is wanted.
        work: a directory for apt's state and the packages; what an interrupted call left there is used.
        progress: told what is being done.
        inherited: a descriptor that apt's processes keep open (the lock).
        sources_file: apt sources to use in place of the machine's.

    Raises:
        ConfigError: the apt sources are unusable; the text says what to add.
        ImageError: a package is not there or could not be fetched.
    """
    available = sources.read_file(sources_file) if sources_file else sources.read_sources(*machine_source_files())
    chosen = _choose(recipe, available, named=sources_file is not None)
    if not chosen:
        raise ConfigError(missing_source(recipe, sources_file))
    apt = Apt(work / "apt", recipe.architecture, sources.render(chosen, recipe.architecture), (inherited,))
    complaints = apt.update(_reporter(recipe, progress, "fetching the package index"))

    def find(package: str, version: str | None = None) -> Record:
        record = apt.show(package, version)
        if record is not None:
            return record
        apt.forget()
        index = f"the {recipe.suite} index for {recipe.architecture}"
        if complaints:
            failure = f"image {recipe.name}: {index} could not be fetched"
            if recipe.ports:
                failure = f"{failure} from {_places(chosen)}"
            raise ImageError(explain(failure, complaints) + _ports_advice(recipe))
        wanted = package if version is None else f"{package} {version}"
        places = ", ".join(source.origin for source in chosen)
        raise ImageError(f"image {recipe.name}: no package {wanted} in {index} (asked for by {places})")

    kernel = find(recipe.kernel_package)
    if recipe.kind == "machine":
        kernel = find(*kernel_dependency(kernel))
    records = [kernel, find(recipe.busybox_package)]
    if recipe.library_package is not None:
        records.append(find(recipe.library_package))
    if complaints:
        text = f"some package indexes could not be fetched, going on with the others: {complaints[0]}"
        progress(Step(recipe.name, text, note=True))
    for path in work.glob("*.deb*"):  # of older versions
        if not path.name.startswith(tuple(record.file_name for record in records)):
            path.unlink()
    paths = []
    for record in records:
        text = f"downloading {record.package} ({record.octets / 1e6:.1f} MB)"
        paths.append(apt.fetch(record, work, _reporter(recipe, progress, text)))
    return Fetched(paths[0], paths[1], tuple(records), paths[2] if len(paths) > 2 else None)


def _choose(recipe: Recipe, available: list[sources.Source], *, named: bool) -> list[sources.Source]:
    """The sources to ask; `named`: somebody wrote them for this image."""
    if recipe.ports and not named:
        return sources.ports(available, recipe.suite)
    chosen = sources.select(available, recipe.suite)
    if not chosen and not named and recipe.suite != SUITE:
        chosen = sources.borrow(available, recipe.suite)
    return chosen


def _places(chosen: list[sources.Source]) -> str:
    return ", ".join(sorted({uri for source in chosen for uri in source.uris}))


def _ports_advice(recipe: Recipe) -> str:
    """What else there is for those who do not reach Debian ports."""
    if not recipe.ports:
        return ""
    return (
        f"\nAnother mirror of Debian ports can be named: vde image pull --sources FILE {recipe.name}; "
        "vde image build linux-ppc makes a kernel of this kind without it"
    )


def _reporter(recipe: Recipe, progress: Progress, text: str) -> Callable[[float], None]:
    progress(Step(recipe.name, text))
    return lambda fraction: progress(Step(recipe.name, text, fraction))


def kernel_dependency(metapackage: Record) -> tuple[str, str | None]:
    """The kernel that a metapackage stands for: package, and version if it names one.

    Raises:
        ImageError: it depends on no kernel.
    """
    for term in re.split(r"[,|]", metapackage.depends):
        if match := _KERNEL_DEPENDENCY.fullmatch(term.strip()):
            return match[1], match[2]
    raise ImageError(f"{metapackage.package} {metapackage.version} depends on no kernel: {metapackage.depends!r}")


def missing_source(recipe: Recipe, sources_file: Path | None) -> str:
    """Tell what to add when no source offers the suite that the recipes are made of.

    Args:
        recipe: the image that was asked for.
        sources_file: the file that was named instead of the machine's sources.
    """
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", "an unknown system")
    except OSError:
        system = "an unknown system"
    asked = f"{sources_file} has" if sources_file else f"this machine ({system}) has"
    suite = recipe.suite
    suites = f"{suite} {suite}-updates" if suite == SUITE else suite
    archive = "Debian ports" if recipe.ports else "Debian"
    keyring = sources.PORTS_KEYRING if recipe.ports else sources.KEYRING
    return f"""image {recipe.name} is made of packages of {recipe.suite_title}, and {asked} no apt source of it.
Write these lines into a file, say {suite}.sources, with the address of a mirror of {archive} near you:
    Types: deb
    URIs: MIRROR
    Suites: {suites}
    Components: main
    Signed-By: {keyring}
and name it: vde image pull --sources {suite}.sources {recipe.name}
The key is in the package {keyring.stem}. In /etc/apt/sources.list.d the file serves every pull."""
