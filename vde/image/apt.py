"""A private apt: the machine's sources and keys, another architecture, nothing of the machine's state touched.

apt does what it is trusted for: proxies, credentials and mirrors as configured, signatures of the indexes checked with
the machine's keyrings, hashes of every file. Its lists, caches, locks and logs lie below a directory of ours; dpkg is
never asked and nothing is installed. Hooks that the machine's configuration runs after an update are taken out.

Read first: apt.conf(5), apt-secure(8). Progress comes from `APT::Status-Fd` ("dlstatus:item:percent:text" lines).

Resuming: apt asks a server for the rest of a file only if the partial file carries the server's date, and sets that
date only when it ends in an orderly way. After a kill we set it ourselves, from the protocol log of the fetch that was
killed.
"""

import contextlib
import email.utils
import hashlib
import os
import re
import select
import shutil
import subprocess
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vde.errors import WireError
from vde.image import control
from vde.image.advice import explain
from vde.image.errors import ImageError

_HELPER = "/usr/lib/apt/apt-helper"
_CLEARED = "#clear APT::Update;\n#clear AptCli;\n#clear DPkg;\n#clear APT::Architectures;\n"
_LAST_MODIFIED = re.compile(rb"200%20URI%20Start%0a(?:[^\s]*?%0a)?Last-Modified:%20(.*?)%0a")
_LOG_OCTETS_MAX = 1 << 20
_PACKAGE_OCTETS_MAX = 1 << 30  # chosen: kernels have 50 MB; the index is signed, so this stops mistakes only
_SOURCE_URI = re.compile(r"^'([^'\s]+)' (\S+) (\d+) SHA256:([0-9a-f]{64})$", re.MULTILINE)
_SOURCE_VERSION = re.compile(r"^Version: (\S+)$", re.MULTILINE)
_SAFE_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.:~_-]*")


@dataclass(frozen=True)
class Record:
    """One package of the signed index."""

    package: str
    version: str
    architecture: str
    octets: int
    sha256: str
    depends: str

    @property
    def file_name(self) -> str:
        """A name that no other package content has."""
        return f"{self.package}-{self.sha256[:16]}.deb"


@dataclass(frozen=True)
class SourceFile:
    """One file of a source package.

    Attributes:
        record: its package, version and hash; the architecture is `source`.
    """

    name: str
    uri: str
    record: Record


def machine_source_files() -> tuple[Path, Path]:
    """Where this machine's apt looks for sources: a file and a directory.

    Raises:
        ImageError: there is no apt here.
    """
    command = [_program("apt-config"), "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"]
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    found = dict(re.findall(r"^(LIST|PARTS)='(.*)'$", answer.stdout, re.MULTILINE))
    return Path(found.get("LIST", "/etc/apt/sources.list")), Path(found.get("PARTS", "/etc/apt/sources.list.d"))


class Apt:
    """apt for one architecture, with its state in a directory of ours."""

    def __init__(self, root: Path, architecture: str, sources: str, inherited: Sequence[int] = ()) -> None:
        """Lay the directories out.

        Args:
            root: belongs to this object; what a killed predecessor left there is used.
            architecture: the guest's.
            sources: the text of a `*.sources` file.
            inherited: descriptors that apt's processes shall keep open.

        Raises:
            ImageError: there is no apt here.
            OSError: the directories cannot be made.
        """
        self._get, self._cache = _program("apt-get"), _program("apt-cache")
        if not os.access(_HELPER, os.X_OK):
            raise ImageError(f"{_HELPER} is missing: install the package 'apt' of a Debian or Ubuntu of these years")
        self._root = root
        self._inherited = tuple(inherited)
        for path in ("lists/partial", "cache/archives/partial", "sources.list.d", "empty"):
            (root / path).mkdir(parents=True, exist_ok=True)
        (root / "status").touch()
        (root / "sources.list.d" / "vde.sources").write_text(sources)
        (root / "apt.conf").write_text(_CLEARED)
        settings = {
            "Dir::State": root,
            "Dir::State::lists": root / "lists",
            "Dir::State::status": root / "status",
            "Dir::State::extended_states": root / "extended_states",
            "Dir::Cache": root / "cache",
            "Dir::Cache::archives": "archives",
            "Dir::Cache::pkgcache": "pkgcache.bin",
            "Dir::Cache::srcpkgcache": "",
            "Dir::Log": root,
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": root / "sources.list.d",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": root / "empty",
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "APT::Default-Release": "",
            "APT::Get::AllowUnauthenticated": "false",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowWeakRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "Acquire::Languages": "none",
            "Acquire::GzipIndexes": "true",
        }
        if os.getuid() == 0:
            # The user _apt, which apt becomes under root, cannot write to the caller's cache directory.
            settings["APT::Sandbox::User"] = "root"
        self._options = ["-c", str(root / "apt.conf")]
        for key, value in settings.items():
            self._options += ["-o", f"{key}={value}"]

    def update(self, report: Callable[[float], None]) -> list[str]:
        """Fetch the signed indexes.

        Args:
            report: is called with the fraction done; may raise to stop.

        Returns:
            apt's complaints, empty if all went well. Indexes of before are kept where new ones did not come.
        """
        log = self._root / "update.log"
        status = self._run([self._get, *self._options, "-qq", "update"], log, report)
        # An archive that does not answer is a warning for apt, which then exits with 0.
        failed = status != 0 or any(line.startswith("W: Failed to fetch") for line in _complaints(log))
        return _complaints(log) if failed else []

    def forget(self) -> None:
        """Throw the indexes away, so that the next update cannot stumble over them."""
        shutil.rmtree(self._root / "lists", ignore_errors=True)
        shutil.rmtree(self._root / "cache", ignore_errors=True)

    def show(self, package: str, version: str | None = None) -> Record | None:
        """Look a package up in the indexes.

        Args:
            package: its name.
            version: this one; otherwise the newest.

        Raises:
            ImageError: the index contradicts itself.
        """
        wanted = package if version is None else f"{package}={version}"
        text = self._ask([self._cache, *self._options, "-q", "show", "--no-all-versions", wanted])
        try:
            fields = next((fields for _, fields in control.paragraphs(text)), None)
        except WireError as error:
            raise ImageError(f"the package index is damaged: line {error}") from None
        return None if fields is None else _record(fields)

    def show_source(self, package: str, part: str) -> SourceFile | None:
        """Look a file of the newest source package up in the signed indexes.

        Args:
            package: the source package's name.
            part: what its file's name has in it, such as `.orig.tar.`.
        """
        answer = self._ask([self._get, *self._options, "-qq", "--print-uris", "--download-only", "source", package])
        version = next((match[1] for match in _SOURCE_VERSION.finditer(self._ask_source(package))), "unknown")
        for match in _SOURCE_URI.finditer(answer):
            uri, name, octets, sha256 = match.groups()
            if part in name and not name.endswith(".asc"):
                return SourceFile(name, uri, Record(package, version, "source", int(octets), sha256, ""))
        return None

    def _ask_source(self, package: str) -> str:
        return self._ask([self._cache, *self._options, "-q", "showsrc", "--only-source", package])

    def fetch_file(self, uri: str, target: Path, sha256: str, report: Callable[[float], None]) -> Path:
        """Download a file whose hash the signed index has told.

        Raises:
            ImageError: it could not be had.
        """
        if target.exists() and sha256_of(target) == sha256:
            return target
        log = target.with_name(f"{target.name}.log")
        target.unlink(missing_ok=True)
        command = [_HELPER, *self._options, "-qq", "download-file", uri, str(target), f"SHA256:{sha256}"]
        if self._run(command, log, report) or not target.exists() or sha256_of(target) != sha256:
            raise ImageError(explain(f"{target.name} could not be downloaded", _complaints(log)))
        log.unlink()
        return target

    def fetch(self, record: Record, directory: Path, report: Callable[[float], None]) -> Path:
        """Download a package, or what is missing of it.

        Args:
            record: from `show`.
            directory: where it goes.
            report: is called with the fraction done; may raise to stop.

        Returns:
            The file, whose hash is the index's.

        Raises:
            ImageError: it could not be had.
        """
        target = directory / record.file_name
        if target.exists() and sha256_of(target) == record.sha256:
            return target
        wanted = f"{record.package}={record.version}"
        answer = self._ask([self._get, *self._options, "-qq", "--print-uris", "download", wanted])
        uri = re.match(r"'([^'\s]+)' ", answer)
        if not uri:
            raise ImageError(f"apt does not say where {wanted} is: {answer.strip()[:200]!r}")
        log = directory / f"{record.file_name}.log"
        resumed = _date_partial(target, log)
        command = [_HELPER, *self._options, "-qq", "-o", "Debug::pkgAcquire::Worker=1", "download-file"]
        command += [uri[1], str(target), f"SHA256:{record.sha256}"]
        for attempt in ("resumed", "whole"):
            status = self._run(command, log, report)
            if status == 0 and target.exists() and sha256_of(target) == record.sha256:
                log.unlink()
                return target
            failed = [*directory.glob(f"{record.file_name}.FAILED*")]
            for path in failed:
                path.unlink()
            if attempt == "resumed" and (resumed or failed):
                target.unlink(missing_ok=True)
                continue
            break
        raise ImageError(explain(f"{wanted} could not be downloaded", _complaints(log)))

    def _ask(self, command: Sequence[str]) -> str:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=_environment(), cwd=self._root, check=False
        )
        return answer.stdout.decode("utf-8", "replace")

    def _run(self, command: Sequence[str], log: Path, report: Callable[[float], None]) -> int:
        """Run apt with its output going to a file, reporting progress, ending it when this thread is interrupted."""
        reading, writing = os.pipe()
        try:
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [*_mortal(), *command, "-o", f"APT::Status-Fd={writing}"],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(writing, *self._inherited),
                    env=_environment(),
                    cwd=self._root,
                )
            try:
                os.close(writing)
                writing = -1
                _follow(process, reading, report)
                return process.wait()
            finally:
                _end(process)
        finally:
            os.close(reading)
            if writing >= 0:
                os.close(writing)


def _follow(process: subprocess.Popen[bytes], reading: int, report: Callable[[float], None]) -> None:
    fraction, rest = 0.0, b""
    while True:
        ready, _, _ = select.select([reading], [], [], 0.25)
        if ready:
            data = os.read(reading, 4096)
            if not data:
                return
            *lines, rest = (rest + data[-4096:]).split(b"\n")
            for line in lines:
                if match := re.match(rb"dlstatus:\d+:(\d+(?:\.\d+)?):", line):
                    fraction = min(float(match[1]) / 100, 1.0)
            rest = rest[-4096:]
        elif process.poll() is not None:
            return
        report(fraction)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
    if process.poll() is None:
        process.kill()
        process.wait()


def _mortal() -> list[str]:
    """A prefix that makes the kernel end the command when the calling thread dies, however it dies."""
    setpriv = shutil.which("setpriv")  # util-linux, on every Debian
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise ImageError(
            f"{name} is not on the PATH: images are made out of Debian packages, which apt fetches and verifies. "
            "Install the package 'apt' (Debian, Ubuntu), or copy the image's directory from a machine that has it"
        )
    return path


def _record(fields: dict[str, str]) -> Record:
    try:
        record = Record(
            package=fields["package"],
            version=fields["version"],
            architecture=fields["architecture"],
            octets=int(fields["size"]),
            sha256=fields["sha256"].lower(),
            depends=fields.get("depends", ""),
        )
    except (KeyError, ValueError) as error:
        raise ImageError(f"the index's entry of {fields.get('package', '?')} lacks {error}") from None
    words = (record.package, record.version, record.architecture)
    if not all(_SAFE_WORD.fullmatch(word) for word in words) or not re.fullmatch(r"[0-9a-f]{64}", record.sha256):
        raise ImageError(f"the index's entry of {record.package!r} is malformed")
    if not 0 < record.octets <= _PACKAGE_OCTETS_MAX:
        raise ImageError(f"{record.package} has {record.octets} octets: more than {_PACKAGE_OCTETS_MAX}")
    return record


def _date_partial(target: Path, log: Path) -> bool:
    """Give a partial file the date that its server gave; without it apt begins anew. Returns whether there is one."""
    if not target.exists():
        return False
    with contextlib.suppress(OSError, ValueError, TypeError):
        dates = _LAST_MODIFIED.findall(_tail(log))
        if dates:
            date = email.utils.parsedate_to_datetime(
                urllib.parse.unquote_to_bytes(dates[-1]).decode("ascii", "replace")
            )
            os.utime(target, (date.timestamp(), date.timestamp()))
    return True


def _tail(log: Path) -> bytes:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_OCTETS_MAX))
        return file.read(_LOG_OCTETS_MAX)


def _complaints(log: Path) -> list[str]:
    lines = [line.strip() for line in _tail(log).decode("utf-8", "replace").splitlines()]
    found = [line for line in lines if line.startswith(("E:", "W:"))]
    return list(dict.fromkeys(found or lines[-3:]))[:8]


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
