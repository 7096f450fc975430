"""The guest's first root file system."""

import gzip
import subprocess
from pathlib import Path

import pytest

from tests.tools import NeedTool
from tests.vde.image.packages import APPLETS, VERSION, make_busybox, make_busybox_deb, make_kernel_deb
from vde.errors import WireError
from vde.image import initramfs
from vde.image.build import Product, build
from vde.image.recipe import RECIPES, SUITE, find_recipe


def make(tmp_path: Path, kernel: bytes | None = None) -> Product:
    (tmp_path / "kernel.deb").write_bytes(kernel or make_kernel_deb())
    (tmp_path / "busybox.deb").write_bytes(make_busybox_deb())
    fractions: list[float] = []
    product = build(
        find_recipe("debian-i386"), tmp_path / "kernel.deb", tmp_path / "busybox.deb", b"#!/bin/sh\n", tmp_path,
        fractions.append,
    )  # fmt: skip
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(list(tmp_path.iterdir())) == 2, "the unpacked modules are gone"
    return product


@pytest.mark.interop
def test_what_is_in_it(tmp_path: Path, need_tool: NeedTool) -> None:
    product = make(tmp_path)
    assert (product.kernel_version, product.kernel) == (VERSION, b"a kernel")
    assert gzip.decompress(product.initrd) == product.archive
    root = tmp_path / "root"
    root.mkdir()
    command = [need_tool("cpio"), "-i", "--quiet", "--nonmatching", "dev/*"]
    subprocess.run(command, input=product.archive, check=True, cwd=root)
    assert (root / "init").read_text() == "#!/bin/sh\n"
    assert {path.name for path in (root / "bin").iterdir()} == {"[", "[[", *APPLETS}
    assert (root / "bin/ping").readlink() == Path("busybox")
    modules = root / "lib/modules" / VERSION
    names = {path.stem for path in modules.rglob("*.ko")}
    assert names == {
        "pcnet32", "mii", "virtio_net", "virtio", "virtio_pci", "e1000", "ne2k-pci", "8390", "8139too", "8139cp"
    }  # fmt: skip
    assert "alias pci:v00001022d00002000sv*sd*bc*sc*i* pcnet32\n" in (modules / "modules.alias").read_text()
    assert (
        "kernel/drivers/net/ethernet/amd/pcnet32.ko: kernel/drivers/net/mii.ko\n"
        in (modules / "modules.dep").read_text()
    )


def test_the_same_packages_give_the_same_octets(tmp_path: Path) -> None:
    one, other = make(tmp_path), make(tmp_path)
    assert one == other
    assert one.initrd[4:10] == bytes(4) + b"\x02\xff", "no time and no name in the gzip header"


def test_applets_of_a_busybox_that_lacks_one() -> None:
    assert initramfs.applets(make_busybox())[2:] == APPLETS
    with pytest.raises(WireError, match="busybox lacks the commands ping"):
        initramfs.applets(make_busybox([name for name in APPLETS if name != "ping"]))


@pytest.mark.parametrize("octets", [b"", bytes(1000), b"\0[\0[[\0", b"\0[\0[[\0../../etc\0"])
def test_applets_of_what_is_no_busybox(octets: bytes) -> None:
    with pytest.raises(WireError, match="busybox"):
        initramfs.applets(octets)


def test_the_table_of_applets_is_bounded() -> None:
    with pytest.raises(WireError):
        initramfs.applets(b"\0[\0[[\0" + b"a\0" * 10_000)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (make_kernel_deb(version="../../etc"), "unsafe path"),
        (make_kernel_deb(version="x y"), "the kernel's version is 'x y'"),
        (make_busybox_deb(), "no boot/vmlinuz"),
    ],
)
def test_kernel_packages_that_are_none(tmp_path: Path, kernel: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        make(tmp_path, kernel)


def test_the_guests_init_is_a_shell_script() -> None:
    script = initramfs.guest_init()
    assert script.startswith(b"#!/bin/sh\n")
    subprocess.run(["sh", "-n"], input=script, check=True)


def test_every_recipe_can_be_told_apart() -> None:
    prints = {recipe.fingerprint(b"init") for recipe in RECIPES.values()}
    assert len(prints) == len(RECIPES) >= 2
    assert all(recipe.fingerprint(b"other init") not in prints for recipe in RECIPES.values())
    assert SUITE == "bookworm"
