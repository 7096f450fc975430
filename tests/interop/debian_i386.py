"""Files of Debian 12's packages for i386, by the machine's own apt, for tests that want more than the image has."""

import re
from pathlib import Path

from vde.image import sources
from vde.image.apt import Apt, machine_source_files
from vde.image.deb import read_files

FILE_OCTETS = 64 << 20


class Archive:
    """The archive; downloads go to `work`."""

    def __init__(self, work: Path) -> None:
        self._work = work
        chosen = sources.select(sources.read_sources(*machine_source_files()), "bookworm")
        self._apt = Apt(work / "apt", "i386", sources.render(chosen, "i386"))
        self._apt.update(lambda fraction: None)

    def kernel_of(self, metapackage: str) -> str:
        """The package that a metapackage stands for."""
        record = self._apt.show(metapackage)
        assert record is not None, f"no {metapackage} in the archive"
        found = re.search(r"linux-image-[0-9][^ ,]*", record.depends)
        assert found is not None, record.depends
        return found[0]

    def files(self, package: str, **wanted: str) -> dict[str, Path]:
        """Files of a package, by the name that each is given, which match an expression each."""
        record = self._apt.show(package)
        assert record is not None, f"no {package} in the archive"
        fetched = self._apt.fetch(record, self._work, lambda fraction: None)
        found = {}
        with fetched.open("rb") as file:
            for member in read_files(file):
                for name, expression in wanted.items():
                    if re.search(expression, member.path):
                        found[name] = self._work / name
                        found[name].write_bytes(member.read(FILE_OCTETS))
        fetched.unlink()
        assert found.keys() == wanted.keys(), f"{package}: {sorted(wanted)} wanted, {sorted(found)} found"
        return found
