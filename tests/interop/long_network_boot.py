"""Debian's kernel over the network by each of the PC's cards, iPXE's firmware in their ROMs: `make test-pc`."""

import shutil

import pytest

from tests.interop import test_network_boot as short
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]
network = short.network
SCRIPT = """#!ipxe
kernel http://192.0.2.1/vmlinuz console=ttyS0 cryptomgr.notests
initrd http://192.0.2.1/initrd
boot
"""


@pytest.mark.parametrize("model", short.MODELS)
def test_linux_from_a_server(network: short.Network, model: str) -> None:
    """iPXE: an address by DHCP, a script by TFTP, kernel and initial file system by HTTP."""
    image = store.pull("debian-i386", lambda progress: None)
    shutil.copyfile(image.kernel, network.directory / "vmlinuz")
    shutil.copyfile(image.initrd, network.directory / "initrd")
    (network.directory / "script").write_text(SCRIPT)
    told = network.boot(model, "script", "Freeing initrd memory", memory="128M", patience_s=900)
    for asked in ("dhcp 3 from 52:54:00", "tftp done", '"GET /vmlinuz HTTP/1.1" 200', '"GET /initrd HTTP/1.1" 200'):
        assert asked in told, told
