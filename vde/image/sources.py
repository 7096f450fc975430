"""The machine's apt sources, read, filtered for one suite, and written for a private apt.

Formats: sources.list(5) of apt 2.6, both the one-line style (`*.list`) and the deb822 style (`*.sources`).

What is kept of an entry: where the archive is, how its signature is checked (`Signed-By`, validity). What is put in:
the guest's architecture. What is dropped: other suites and components, and every option that would make apt accept an
archive without a valid signature (`trusted`, `allow-insecure`, `allow-weak`, …): packages for guests come from signed
indexes only.

Not supported: `cdrom:` sources (apt asks for the disc), flat archives (a suite that ends in `/`: they have no
architectures).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vde.errors import ConfigError, WireError
from vde.image import control

COMPONENT = "main"  # kernels and busybox are there; nothing else is asked for
DEBIAN_SUITES = frozenset(
    ("bullseye", "bookworm", "trixie", "forky", "sid", "oldoldstable", "oldstable", "stable", "testing", "unstable")
)
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PORTS = "debian-ports"
"""How mirrors call the archive of Debian ports, beside `debian`."""
PORTS_KEYRING = Path("/usr/share/keyrings/debian-ports-archive-keyring.gpg")
"""Of the package debian-ports-archive-keyring."""
_KEPT_OPTIONS = {
    "signed-by": "Signed-By",
    "check-valid-until": "Check-Valid-Until",
    "valid-until-min": "Valid-Until-Min",
    "valid-until-max": "Valid-Until-Max",
    "check-date": "Check-Date",
    "date-max-future": "Date-Max-Future",
    "inrelease-path": "InRelease-Path",
    "by-hash": "By-Hash",
}
_NO = {"no", "false", "without", "off", "disable", "0"}  # apt's StringToBool
_FILE_LIMIT_OCTETS = 1 << 20  # chosen: a sources file is a few lines; an embedded key a few KiB
_FILE_NAME = re.compile(r"[A-Za-z0-9_.-]+\.(list|sources)")  # sources.list(5), "sources.list.d"


@dataclass(frozen=True)
class Source:
    """One entry of a sources file that offers binary packages.

    Attributes:
        uris: where the archive is.
        suites: the distributions asked for.
        components: the parts asked for.
        origin: file and line, for messages.
        options: kept options by their deb822 name; values may have several lines (an embedded key).
    """

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    origin: str
    options: Mapping[str, str] = field(default_factory=dict)


def parse_one_line(text: str, name: str) -> list[Source]:
    """Parse the one-line style: `deb [option=value …] uri suite component…`.

    Args:
        text: the file.
        name: what messages call it.

    Raises:
        ConfigError: a `deb` line is incomplete.
    """
    found = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].strip()
        kind, _, rest = line.replace("\t", " ").partition(" ")
        if kind != "deb":  # deb-src, comments and blank lines offer no binary packages
            continue
        origin = f"{name}:{number}"
        rest = rest.strip()
        options: dict[str, str] = {}
        if rest.startswith("["):
            inside, closed, rest = rest[1:].partition("]")
            if not closed:
                raise ConfigError(f"{origin}: the option list lacks its closing bracket: {raw.strip()!r}")
            options = _one_line_options(inside.split())
        words = [word.strip('"') for word in rest.split()]
        if len(words) < 2:
            raise ConfigError(f"{origin}: expected 'deb [options] URI SUITE COMPONENT…', found {raw.strip()!r}")
        found.append(Source((words[0],), (words[1],), tuple(words[2:]), origin, options))
    return found


def _one_line_options(words: Iterable[str]) -> dict[str, str]:
    options = {}
    for word in words:
        key, _, value = word.partition("=")
        kept = _KEPT_OPTIONS.get(key.rstrip("+-").lower())
        if kept:
            options[kept] = value.strip('"')
    return options


def parse_deb822(text: str, name: str) -> list[Source]:
    """Parse the deb822 style: paragraphs of `Field: value` with continuation lines.

    Args:
        text: the file.
        name: what messages call it.

    Raises:
        ConfigError: a line is neither field, continuation nor comment, or an entry lacks `URIs` or `Suites`.
    """
    try:
        paragraphs = [(f"{name}:{number}", fields) for number, fields in control.paragraphs(text)]
    except WireError as error:
        raise ConfigError(f"{name}:{error}") from None
    found = []
    for origin, fields in paragraphs:
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").strip().lower() in _NO:
            continue
        for needed in ("URIs", "Suites"):
            if not fields.get(needed.lower(), "").split():
                raise ConfigError(f"{origin}: this entry has no {needed}")
        options = {kept: fields[key] for key, kept in _KEPT_OPTIONS.items() if key in fields}
        uris, suites, components = (tuple(fields.get(key, "").split()) for key in ("uris", "suites", "components"))
        found.append(Source(uris, suites, components, origin, options))
    return found


def read_sources(list_file: Path, parts: Path) -> list[Source]:
    """Read what apt would read.

    Args:
        list_file: usually /etc/apt/sources.list; may be missing.
        parts: usually /etc/apt/sources.list.d; may be missing.

    Raises:
        ConfigError: a file cannot be read or does not follow its format.
    """
    files = [list_file] if list_file.is_file() else []
    if parts.is_dir():
        files += sorted(path for path in parts.iterdir() if _FILE_NAME.fullmatch(path.name) and path.is_file())
    return [source for path in files for source in read_file(path)]


def read_file(path: Path) -> list[Source]:
    """Read one sources file; its style follows from its name.

    Raises:
        ConfigError: it cannot be read or does not follow its format.
    """
    try:
        with path.open("rb") as file:
            octets = file.read(_FILE_LIMIT_OCTETS + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(octets) > _FILE_LIMIT_OCTETS:
        raise ConfigError(f"{path}: larger than {_FILE_LIMIT_OCTETS} octets: is this a sources file?")
    text = octets.decode(errors="replace")
    parse = parse_deb822 if path.suffix == ".sources" else parse_one_line
    return parse(text, str(path))


def select(sources: Iterable[Source], suite: str) -> list[Source]:
    """Keep what offers the component `main` of a release, its updates and its security updates.

    Args:
        sources: everything the machine has.
        suite: the release's code name.
    """
    wanted = {suite, f"{suite}-updates", f"{suite}-security"}
    kept = []
    for source in sources:
        uris = tuple(uri for uri in source.uris if not uri.lower().startswith("cdrom:"))
        suites = tuple(name for name in source.suites if name in wanted)
        if uris and suites and COMPONENT in source.components:
            kept.append(Source(uris, suites, (COMPONENT,), source.origin, source.options))
    return kept


def borrow(sources: Iterable[Source], suite: str) -> list[Source]:
    """What offers `main` of some release of Debian, asked for another one: an archive has all of them side by side.

    For suites that a machine has no source of and should not have, as sid on a stable release. The archive's key signs
    every suite; one that does not fit is refused by apt.

    Args:
        sources: everything the machine has.
        suite: the release that is wanted.
    """
    kept = []
    for source in sources:
        uris = tuple(uri for uri in source.uris if not uri.lower().startswith("cdrom:"))
        if uris and DEBIAN_SUITES.intersection(source.suites) and COMPONENT in source.components:
            options = {key: value for key, value in source.options.items() if key != "InRelease-Path"}
            kept.append(Source(uris, (suite,), (COMPONENT,), source.origin, options))
    return kept


def ports(sources: Iterable[Source], suite: str) -> list[Source]:
    """What offers `main` of Debian ports: sources of it, or else its archive beside the machine's archive of Debian.

    Args:
        sources: everything the machine has.
        suite: the release that is wanted.

    Raises:
        ConfigError: the archive beside Debian's would be asked, but its key is not there.
    """
    own, beside = [], []
    for source in sources:
        if COMPONENT not in source.components:
            continue
        uris = tuple(uri for uri in source.uris if _last(uri) == PORTS)
        if uris and suite in source.suites:
            own.append(Source(uris, (suite,), (COMPONENT,), source.origin, source.options))
        uris = tuple(uri.rstrip("/") + "-ports" for uri in source.uris if _last(uri) == "debian")
        if uris and DEBIAN_SUITES.intersection(source.suites):
            options = {"Signed-By": str(PORTS_KEYRING)}
            beside.append(Source(uris, (suite,), (COMPONENT,), source.origin, options))
    if not own and beside and not PORTS_KEYRING.exists():
        raise ConfigError(
            f"the key of Debian ports is not here: apt-get install debian-ports-archive-keyring ({PORTS_KEYRING})"
        )
    return own or beside


def _last(uri: str) -> str:
    """The last part of a path; of a CD-ROM it is nothing."""
    return "" if uri.lower().startswith("cdrom:") else uri.rstrip("/").rpartition("/")[2]


def render(sources: Iterable[Source], architecture: str, *, of_sources: bool = False) -> str:
    """Write sources for a private apt, in deb822 style.

    Args:
        sources: the selected ones.
        architecture: the guest's, in Debian's spelling.
        of_sources: source packages instead of binary ones.
    """
    paragraphs = []
    for source in sources:
        lines = [
            f"# from {source.origin}",
            f"Types: {'deb-src' if of_sources else 'deb'}",
            f"URIs: {' '.join(source.uris)}",
            f"Suites: {' '.join(source.suites)}",
            f"Components: {' '.join(source.components)}",
            *([] if of_sources else [f"Architectures: {architecture}"]),
            f"Targets: {'Sources' if of_sources else 'Packages'}",
            *(f"{key}:{'' if value.startswith(chr(10)) else ' '}{value}" for key, value in source.options.items()),
        ]
        paragraphs.append("\n".join(lines) + "\n")
    return "\n".join(paragraphs)
