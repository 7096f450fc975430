"""What takes minutes: `make test-malta`. Debian's installer."""

from pathlib import Path

import pytest

from emulators.boards.malta import Params
from tests.interop.test_malta_debian import Shell
from vde.image import sources
from vde.image.apt import Apt, machine_source_files
from vde.image.deb import read_files

pytestmark = [pytest.mark.interop, pytest.mark.slow]

INSTALLER = "debian-installer-12-netboot-mipsel"
FILES = "usr/lib/debian-installer/images/12/mipsel/malta/"


@pytest.fixture(scope="module")
def installer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The kernel and initrd of Debian's installer, by the machine's own apt."""
    work = tmp_path_factory.mktemp("installer")
    chosen = sources.select(sources.read_sources(*machine_source_files()), "bookworm")
    apt = Apt(work / "apt", "mipsel", sources.render(chosen, "mipsel"))
    apt.update(lambda fraction: None)
    record = apt.show(INSTALLER)
    assert record is not None, f"no {INSTALLER} in the archive"
    package = apt.fetch(record, work, lambda fraction: None)
    found: dict[str, Path] = {}
    with package.open("rb") as file:
        for member in read_files(file):
            name = Path(member.path).name
            if FILES in member.path and (name.startswith("vmlinuz") or name == "initrd.gz"):
                found[name.split("-")[0]] = work / name
                (work / name).write_bytes(member.read(64 << 20))
    package.unlink()
    return found["vmlinuz"], found["initrd.gz"]


def test_debians_installer_comes_to_its_first_question(installer: tuple[Path, Path]) -> None:
    kernel, initrd = installer
    shell = Shell(
        Params(
            kernel=kernel, initrd=initrd, append="console=ttyS0 cryptomgr.notests", memory=256 << 20, nics=("pcnet",)
        )
    )
    shell.run_until(b"Select a language", seconds=150)
    shell.run_until(b"English", seconds=10)
