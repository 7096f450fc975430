"""What takes minutes: `make test-pc`. The kernel unpacks itself; the -686-pae kernel; Debian's installer."""

from dataclasses import replace

import pytest

from tests.interop.debian_i386 import Archive
from tests.interop.test_pc_debian import Shell, booted, debian

pytestmark = [pytest.mark.interop, pytest.mark.slow]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(tmp_path_factory.mktemp("archive"))


def test_the_kernel_unpacks_itself_if_told_so() -> None:
    shell = booted(replace(debian(), decompress=False), seconds=60)
    assert 2_000_000_000 < shell.machine.cpu.icount < 4_000_000_000


def test_the_kernel_with_physical_address_extension(archive: Archive) -> None:
    kernel = archive.files(archive.kernel_of("linux-image-686-pae"), pae="boot/vmlinuz-")["pae"]
    shell = booted(replace(debian(), kernel=kernel, pae=True))
    assert "686-pae" in shell.ask("uname -r")
    assert "NX (Execute Disable) protection: active" in shell.ask("dmesg | grep NX")


def test_debians_installer_comes_to_its_first_question(archive: Archive) -> None:
    place = "i386/text/debian-installer/i386"
    files = archive.files("debian-installer-12-netboot-i386", kernel=f"{place}/linux$", initrd=f"{place}/initrd.gz$")
    words = "console=ttyS0 cryptomgr.notests"
    shell = Shell(replace(debian(), kernel=files["kernel"], initrd=files["initrd"], append=words, memory=512 << 20))
    shell.run_until(b"Select a language", seconds=150)
    shell.run_until(b"English", seconds=10)
