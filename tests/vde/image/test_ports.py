"""Debian ports: where its archive is looked for, whose key counts, and kernels with compressed modules."""

import gzip
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.vde.image.archive import Archive, ArchiveServer
from tests.vde.image.openpgp import TEST_KEY, Key
from tests.vde.image.packages import MODULES, TarMember, make_busybox_deb, make_deb, make_kernel_deb, make_module
from vde.cli.main import main
from vde.errors import ConfigError
from vde.image import sources, store
from vde.image.errors import ImageError
from vde.image.sources import Source

UseSources = Callable[..., Path]
KERNEL = "linux-image-6.19.8+deb14-powerpc"
VERSION = "6.19.8+deb14-powerpc"


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An archive called `debian-ports`, and its key where the package puts it."""
    made = Archive(tmp_path / "debian-ports", architecture="powerpc", suite="sid")
    made.packages["linux-image-powerpc"] = ("6.19.8-1", f"{KERNEL} (= 6.19.8-1)", b"metapackages are not fetched")
    deb = make_kernel_deb(VERSION, b"a Mac's kernel", top="./usr/lib/modules", packed=True)
    made.packages[KERNEL] = ("6.19.8-1", "kmod", deb)
    made.packages["busybox-static"] = ("1:1.37.0-10", "", make_busybox_deb())
    made.publish()
    keyring = tmp_path / "ports-key.gpg"
    keyring.write_bytes(made.key.keyring())
    monkeypatch.setattr(sources, "PORTS_KEYRING", keyring)
    return made


@pytest.fixture
def server(ports: Archive) -> Iterator[ArchiveServer]:
    """That archive beside one called `debian`."""
    with ArchiveServer(ports.root.parent) as running:
        yield running


def source(uri: str, suite: str) -> Source:
    return Source((uri,), (suite,), ("main",), "f:1", {"Signed-By": "k"})


def test_a_source_of_ports_comes_first() -> None:
    (found,) = sources.ports([source("http://a/debian", "trixie"), source("http://b/debian-ports/", "sid")], "sid")
    assert (found.uris, found.options) == (("http://b/debian-ports/",), {"Signed-By": "k"})


def test_else_it_is_looked_for_beside_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PORTS_KEYRING", tmp_path)
    machine = [
        source("http://a/debian/", "bookworm"),
        source("http://a/debian-security", "bookworm-security"),
        source("cdrom:[Debian]/debian", "bookworm"),
        source("http://b/ubuntu", "noble"),
    ]
    (found,) = sources.ports(machine, "sid")
    assert (found.uris, found.suites) == (("http://a/debian-ports",), ("sid",))
    assert found.options == {"Signed-By": str(tmp_path)}
    assert sources.ports(machine[1:], "sid") == []


def test_without_its_key_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PORTS_KEYRING", tmp_path / "none")
    with pytest.raises(ConfigError, match="apt-get install debian-ports-archive-keyring"):
        sources.ports([source("http://a/debian", "bookworm")], "sid")


@pytest.mark.interop
def test_an_image_of_it(cache: Path, ports: Archive, server: ArchiveServer, use_sources: UseSources) -> None:
    use_sources(f"{server.uri}/debian")
    image = store.pull("debian-powerpc")
    assert (image.architecture, image.kernel_version) == ("powerpc", VERSION)
    assert image.kernel.read_bytes() == b"a Mac's kernel"
    archive = gzip.decompress(image.initrd.read_bytes())
    for driver in ("amd/pcnet32", "intel/e1000/e1000"):
        assert f"lib/modules/{VERSION}/kernel/drivers/net/ethernet/{driver}.ko\0".encode() in archive
        assert make_module(MODULES[f"drivers/net/ethernet/{driver}"]) in archive, "not unpacked"
    assert any(path.startswith("/debian-ports/pool/") for path, _ in server.requests)


@pytest.mark.interop
def test_the_key_of_ports_is_the_one_that_counts(cache: Path, ports: Archive, use_sources: UseSources) -> None:
    ports.key = Key(TEST_KEY.p, TEST_KEY.q, created=1_500_000_000)
    ports.publish()
    use_sources(f"file:{ports.root.parent}/debian")
    with pytest.raises(ImageError, match="debian-ports-archive-keyring"):
        store.pull("debian-powerpc")


@pytest.mark.interop
def test_where_it_is_not_reached_the_address_is_said(cache: Path, ports: Archive, use_sources: UseSources) -> None:
    use_sources("http://127.0.0.1:1/debian")
    with pytest.raises(ImageError) as caught:
        store.pull("debian-powerpc")
    text = str(caught.value)
    assert "could not be fetched from http://127.0.0.1:1/debian-ports: no connection to the archive" in text
    assert "vde image pull --sources FILE debian-powerpc" in text
    assert "vde image build linux-ppc" in text


@pytest.mark.interop
def test_a_mirror_of_any_name_can_be_given(
    cache: Path, ports: Archive, use_sources: UseSources, tmp_path: Path
) -> None:
    use_sources("http://127.0.0.1:1/ubuntu", suite="noble")
    with pytest.raises(ConfigError, match="mirror of Debian ports near you") as caught:
        store.pull("debian-powerpc")
    lines = [line.removeprefix("    ") for line in str(caught.value).splitlines() if line.startswith("    ")]
    (tmp_path / "elsewhere").symlink_to(ports.root)
    lines = [f"URIs: file:{tmp_path}/elsewhere" if line.startswith("URIs") else line for line in lines]
    written = tmp_path / "ports.sources"
    written.write_text("\n".join(lines) + "\n")
    assert store.pull("debian-powerpc", sources_file=written).kernel_version == VERSION


@pytest.mark.interop
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xfd7zXZ\0 nothing", "pcnet32.ko.xz: damaged"),
        (lzma.compress(bytes(1000))[:-8], "pcnet32.ko.xz: it is cut off"),
        (lzma.compress(bytes((32 << 20) + 1)), "pcnet32.ko.xz: it is cut off, or has more than 33554432 octets"),
    ],
    ids=["rubbish", "short", "large"],
)
def test_compressed_modules_that_are_none(
    cache: Path, ports: Archive, use_sources: UseSources, content: bytes, message: str
) -> None:
    members = [TarMember(f"./boot/vmlinux-{VERSION}", b"k")]
    members.append(TarMember(f"./usr/lib/modules/{VERSION}/kernel/pcnet32.ko.xz", content))
    ports.packages[KERNEL] = ("6.19.8-1", "", make_deb(members))
    ports.publish()
    use_sources(f"file:{ports.root.parent}/debian")
    with pytest.raises(ImageError, match=message):
        store.pull("debian-powerpc")


@pytest.mark.interop
def test_all_images_but_those_that_cannot_be_had(
    cache: Path,
    archive: Archive,
    use_sources: UseSources,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    use_sources(f"file:{archive.root}")
    assert main(["image", "pull", "--all"]) == 1
    said = capsys.readouterr().err
    assert "debian-i386: Linux" in said
    assert "image debian-powerpc is made of packages of Debian ports (sid)" in said
    assert "no package linux-image-4kc-malta" in said
