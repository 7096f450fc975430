"""Source packages of Debian, for test programs of other projects that are not copied here.

apt fetches and verifies (`vde.image.apt`, with state of its own); what it brings is pinned by hash as well, so that the
programs are the same ones until somebody changes the pin. Kept in `target/sources`.
"""

import fcntl
import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from vde.errors import VdeError
from vde.image import sources
from vde.image.apt import Apt, machine_source_files, sha256_of

SUITE = "bookworm"
KEPT = Path(__file__).parents[2] / "target" / "sources"


@dataclass(frozen=True)
class DebianSource:
    """An upstream archive.

    Attributes:
        package: the source package's name.
        version: the archive's (`dpkg-source`'s upstream part): for people; the hash is what counts.
        sha256: the archive's.
        members: what is unpacked, as tar's wildcards.
    """

    package: str
    version: str
    sha256: str
    members: tuple[str, ...]

    def unpacked(self) -> Path:
        """The directory with the members, paths as in the archive without its first part. Skips the test if there is
        no way to have it."""
        members = hashlib.sha256(repr(self.members).encode()).hexdigest()[:8]
        directory = KEPT / f"{self.package}-{self.sha256[:16]}-{members}"
        KEPT.mkdir(parents=True, exist_ok=True)
        with (KEPT / "lock").open("w") as lock:  # tests run beside each other
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._unpack(directory)
        return directory

    def _unpack(self, directory: Path) -> None:
        if not directory.exists():
            archive = self._archive()
            partial = directory.with_suffix(".partial")
            partial.mkdir(parents=True, exist_ok=True)
            command = [
                "tar",
                "-xf",
                str(archive),
                "-C",
                str(partial),
                "--strip-components=1",
                "--wildcards",
                *self.members,
            ]
            subprocess.run(command, check=True)
            partial.rename(directory)

    def _archive(self) -> Path:
        archive = KEPT / f"{self.package}-{self.version}.orig.tar"
        if archive.exists() and sha256_of(archive) == self.sha256:
            return archive
        try:
            chosen = sources.select(sources.read_sources(*machine_source_files()), SUITE)
            apt = Apt(KEPT / "apt", "amd64", sources.render(chosen, "amd64", of_sources=True))
            apt.update(lambda done: None)
            found = apt.show_source(self.package, ".orig.tar.")
            if found is None:
                pytest.skip(f"Debian's archive has no source package {self.package}")
            if found.record.sha256 != self.sha256:
                pytest.skip(f"{self.package}: the archive has {found.name} by now, not {self.version}: change the pin")
            return apt.fetch_file(found.uri, archive, self.sha256, lambda done: None)
        except (VdeError, OSError) as error:
            pytest.skip(f"the source package {self.package} is not to be had: {error}")


VALGRIND = DebianSource(
    "valgrind",
    "3.19.0",
    "dd5e34486f1a483ff7be7300cc16b4d6b24690987877c3278d797534d6738f02",
    ("*/none/tests/*", "*/tests/*.h", "valgrind-*/include/*", "valgrind-*/config.h"),
)
QEMU = DebianSource(
    "qemu",
    "7.2+dfsg",
    "91aca71520040edc40b8d437aa3004dae614f58e286cf653ee8996c07af2962f",
    ("*/tests/tcg/i386/*",),
)
