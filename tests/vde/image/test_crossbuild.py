"""Images that are compiled here: what is missing is said, configurations stick, programs that fail are shown."""

import subprocess
import sys
from pathlib import Path

import pytest

from vde.image import crossbuild, store
from vde.image.apt import _SOURCE_URI, Record
from vde.image.compilation import fingerprint
from vde.image.crossbuild import check_tools
from vde.image.errors import ImageError
from vde.image.initramfs import guest_init
from vde.image.manifest import read_manifest
from vde.image.recipe import find_recipe
from vde.image.sources import Source, render

URIS = """'http://mirror/pool/b/busybox_1.35.0-4%2bdeb12u1.dsc' busybox_1.35.0-4+deb12u1.dsc 2512 SHA256:{0}
'http://mirror/pool/b/busybox_1.35.0.orig.tar.bz2' busybox_1.35.0.orig.tar.bz2 2480624 SHA256:{1}
"""


def test_what_has_to_be_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match=r"apt-get install bc bison .*gcc-powerpc-linux-gnu libc6-dev-powerpc-cross"):
        check_tools(tmp_path / "none")


def test_options_that_did_not_stick_are_named() -> None:
    wanted = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\n"
    crossbuild._check_configuration(wanted, "CONFIG_A=y\nCONFIG_C=m\n")
    with pytest.raises(ImageError, match="does not take CONFIG_C=m"):
        crossbuild._check_configuration(wanted, "CONFIG_A=y\n# CONFIG_C is not set\n")


def test_a_program_that_fails_shows_its_last_words(tmp_path: Path) -> None:
    said: list[float] = []
    script = "print('  CC      a.o'); print('  LD      b'); raise SystemExit('no rule')"
    with pytest.raises(ImageError, match="building failed with status 1") as caught:
        crossbuild._run([sys.executable, "-c", script], tmp_path, "building", said.append, 4)
    assert "no rule" in str(caught.value)
    assert said == [0.25, 0.5]


def test_an_interrupted_build_leaves_no_process(tmp_path: Path) -> None:
    mark = f"vde-{tmp_path.name}-{id(tmp_path)}"

    def stop(fraction: float) -> None:
        raise KeyboardInterrupt

    script = "import time; print('  CC      a.o', flush=True); time.sleep(600)"
    with pytest.raises(KeyboardInterrupt):
        crossbuild._run([sys.executable, "-c", script, mark], tmp_path, "building", stop)
    found = subprocess.run(["pgrep", "-f", mark], capture_output=True, check=False)
    assert found.stdout == b""


def test_source_packages_are_asked_for_beside_binary_ones() -> None:
    source = Source(origin="here", uris=("http://mirror",), suites=("bookworm",), components=("main",), options={})
    assert "Types: deb-src\n" in render([source], "amd64", of_sources=True)
    assert "Architectures" not in render([source], "amd64", of_sources=True)
    assert "Types: deb\n" in render([source], "amd64")


def test_files_of_a_source_package_are_told_apart() -> None:
    found = [match.groups()[1:3] for match in _SOURCE_URI.finditer(URIS.format("0" * 64, "1" * 64))]
    assert found == [("busybox_1.35.0-4+deb12u1.dsc", "2512"), ("busybox_1.35.0.orig.tar.bz2", "2480624")]


def test_an_image_that_was_built_has_the_octets_that_it_has_elsewhere() -> None:
    try:
        image = store.open_image("linux-ppc")
    except ImageError:
        pytest.skip("linux-ppc is not built here: vide image build linux-ppc takes some minutes")
    manifest = read_manifest(image.kernel.parent)
    assert manifest is not None
    if manifest.recipe != find_recipe("linux-ppc").fingerprint(guest_init()):
        pytest.skip("the image was made by another version of the recipe")
    expected = crossbuild.KNOWN.get(tuple(package.sha256 for package in manifest.packages))
    if expected is None:
        pytest.skip(f"other sources than those whose octets are known: {[each.version for each in manifest.packages]}")
    assert (manifest.kernel.sha256, manifest.archive_sha256) == expected


def test_other_octets_of_known_sources_are_told() -> None:
    (sources,) = crossbuild.KNOWN
    records = [Record("p", "1", "all", 1, sha256, "") for sha256 in sources]
    assert not crossbuild.is_known(records, b"kernel", b"archive")
    assert crossbuild.is_known(records[:1], b"kernel", b"archive")


def test_the_configuration_is_part_of_the_recipe() -> None:
    recipe = find_recipe("linux-ppc")
    assert recipe.built
    assert len(fingerprint()) == 64
    assert recipe.fingerprint(b"init") != find_recipe("debian-malta").fingerprint(b"init")
