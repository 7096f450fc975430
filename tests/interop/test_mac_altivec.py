"""Linux on a 7400: it finds AltiVec, and processes keep their vectors."""

import gzip
import subprocess
from pathlib import Path

import pytest

from emulators.boards import mac
from tests.interop import ppc_image
from tests.interop.test_mac_linux import Dialogue
from tests.tools import NeedTool
from vde.image import cpio

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.late]
SOURCE = Path(__file__).with_name("altivec_processes.c")
FLAGS = ("-O1", "-maltivec", "-mabi=altivec", "-static")


def with_program(initrd: Path, program: Path, directory: Path) -> Path:
    """The initial file system with a second archive behind it, which Linux unpacks, too."""
    extra = cpio.Archive()
    extra.file("processes", program.read_bytes(), 0o755)
    octets = gzip.decompress(initrd.read_bytes())
    path = directory / "initrd"
    path.write_bytes(octets + bytes(-len(octets) % 512) + extra.emit())
    return path


def test_linux_keeps_the_vectors_of_processes(tmp_path: Path, need_tool: NeedTool) -> None:
    image, program = ppc_image.find(), tmp_path / "processes"
    subprocess.run([need_tool("powerpc-linux-gnu-gcc"), *FLAGS, "-o", program, SOURCE], check=True)
    initrd = with_program(image.initrd, program, tmp_path)
    guest = Dialogue(mac.Params(kernel=image.kernel, initrd=initrd, append=f"{image.words} loglevel=7", cpu="7400"))
    guest.wait_for(image.ready)
    for bad in ("Oops", "BUG:", "WARNING:", "Call Trace"):
        assert bad not in guest.text
    guest.type("cat /proc/cpuinfo; echo E''ND\n")
    said = guest.wait_for("END")
    assert "cpu\t\t: 7400" in said
    assert "(pvr 000c 0209)" in said
    if "altivec supported" not in said:
        pytest.skip("a kernel without CONFIG_ALTIVEC: vide image build linux-ppc makes one with it")
    guest.type("/processes\n")
    said = guest.wait_for("vectors: ", 60)
    for process in range(3):
        assert f"process {process}: kept, interrupted" in said
    guest.wait_for("passed", 1)
