"""Pulling from a signed archive, with everything that can go wrong on the way."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.vde.image.archive import Archive, ArchiveServer
from tests.vde.image.openpgp import TEST_KEY, Key
from tests.vde.image.packages import make_kernel_deb
from vde.errors import ConfigError
from vde.image import store
from vde.image.errors import ImageError
from vde.image.progress import Step

UseSources = Callable[..., Path]
pytestmark = pytest.mark.interop  # with Debian's apt


@contextmanager
def command(arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    code = "import sys; from vde.cli.main import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stderr
        process.stderr.close()


def test_pull_makes_an_image_that_needs_no_archive_any_more(
    cache: Path, archive: Archive, server: ArchiveServer, use_sources: UseSources, tmp_path: Path
) -> None:
    use_sources(server.uri)
    steps: list[Step] = []
    image = store.pull("debian-i386", steps.append)
    assert image.kernel.read_bytes() == b"a kernel"
    assert image.kernel_version == "6.1.0-99-test"
    assert image.kernel.is_relative_to(cache)
    texts = list(dict.fromkeys(step.text for step in steps))
    assert [text.split(" ")[0] for text in texts] == ["fetching", "downloading", "downloading", "unpacking"]
    assert all(step.image == "debian-i386" and (step.fraction is None or 0 <= step.fraction <= 1) for step in steps)
    assert not (tmp_path / "hook-ran").exists(), "a hook of the machine's apt configuration was run"
    assert not (cache / ".work" / "debian-i386").exists()

    asked = len(server.requests)
    os.environ["PATH"], path = "/nowhere", os.environ["PATH"]
    try:
        assert store.pull("debian-i386") == image == store.open_image("debian-i386")
    finally:
        os.environ["PATH"] = path
    assert len(server.requests) == asked


def test_the_same_packages_give_the_same_octets(
    cache: Path, archive: Archive, use_sources: UseSources, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_sources(f"file:{archive.root}")
    first = store.pull("debian-i386")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    second = store.pull("debian-i386")
    assert first.initrd != second.initrd
    assert first.initrd.read_bytes() == second.initrd.read_bytes()
    assert (first.kernel.parent / "manifest.json").read_bytes() == (second.kernel.parent / "manifest.json").read_bytes()


def test_refresh_takes_the_newer_kernel_and_drops_the_older(
    cache: Path, archive: Archive, use_sources: UseSources
) -> None:
    use_sources(f"file:{archive.root}")
    old = store.pull("debian-i386")
    del archive.packages[archive.kernel_name()]
    archive.fill(abi="6.1.0-100", kernel=make_kernel_deb("6.1.0-100-test", b"a newer kernel"))
    archive.publish()
    assert store.pull("debian-i386") == old
    new = store.pull("debian-i386", refresh=True)
    assert (new.kernel_version, new.kernel.read_bytes()) == ("6.1.0-100-test", b"a newer kernel")
    assert not old.kernel.exists()
    assert len(list(new.kernel.parent.iterdir())) == 3


def test_a_failed_refresh_leaves_the_image(cache: Path, archive: Archive, use_sources: UseSources) -> None:
    use_sources(f"file:{archive.root}")
    image = store.pull("debian-i386")
    use_sources("http://127.0.0.1:1")
    with pytest.raises(ImageError, match="no connection to the archive"):
        store.pull("debian-i386", refresh=True)
    assert store.open_image("debian-i386") == image


def test_a_damaged_image_is_made_anew(cache: Path, archive: Archive, use_sources: UseSources) -> None:
    use_sources(f"file:{archive.root}")
    image = store.pull("debian-i386")
    image.kernel.write_bytes(b"b kernel")
    with pytest.raises(ImageError, match=r"damaged: .* has changed .*vde image pull debian-i386"):
        store.open_image("debian-i386")
    assert store.pull("debian-i386").kernel.read_bytes() == b"a kernel"


# --- who may say what a package contains -----------------------------------------------------------------------------


@pytest.mark.parametrize("extra", ["", "Trusted: yes\nAllow-Insecure: yes\n"], ids=["plain", "trusted"])
def test_an_unsigned_archive_is_refused_even_if_the_machine_trusts_it(
    cache: Path, archive: Archive, server: ArchiveServer, use_sources: UseSources, extra: str
) -> None:
    use_sources(server.uri, extra=extra)
    archive.publish(signed=False)
    with pytest.raises(ImageError, match=r"signature could not be verified[^$]*apt: E:.*not signed"):
        store.pull("debian-i386")
    assert not any("pool" in path for path, _ in server.requests)


def test_another_key_is_refused(cache: Path, archive: Archive, use_sources: UseSources) -> None:
    archive.key = Key(TEST_KEY.p, TEST_KEY.q, created=1_500_000_000)
    archive.publish()
    use_sources(f"file:{archive.root}")
    with pytest.raises(ImageError, match="debian-archive-keyring"):
        store.pull("debian-i386")


def test_an_index_that_was_changed_after_signing_is_refused(
    cache: Path, archive: Archive, use_sources: UseSources
) -> None:
    archive.publish(index_changes={b"6.1.99-1": b"6.6.66-6"})
    use_sources(f"file:{archive.root}")
    with pytest.raises(ImageError, match="index for i386 could not be fetched"):
        store.pull("debian-i386")


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_package_that_was_changed_is_refused(
    cache: Path, archive: Archive, server: ArchiveServer, use_sources: UseSources, scheme: str
) -> None:
    use_sources(server.uri if scheme == "http" else f"file:{archive.root}")
    path = archive.pool_path(archive.kernel_name())
    octets = bytearray(path.read_bytes())
    octets[200] ^= 1
    path.write_bytes(octets)
    with pytest.raises(ImageError, match="not what the signed index names"):
        store.pull("debian-i386")
    assert not (cache / "debian-i386").exists()
    archive.publish()
    assert store.pull("debian-i386").kernel.read_bytes() == b"a kernel"


def test_a_signed_package_with_rubbish_in_it_is_refused(cache: Path, archive: Archive, use_sources: UseSources) -> None:
    archive.fill(kernel=b"!<arch>\nno package at all")
    archive.publish()
    use_sources(f"file:{archive.root}")
    with pytest.raises(ImageError, match="a package is not what it should be: not a Debian package"):
        store.pull("debian-i386")


# --- what may be missing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("linux-image-686", "no package linux-image-686 in the bookworm index for i386"),
        ("linux-image-6.1.0-99-686", "no package linux-image-6.1.0-99-686 6.1.99-1 in the bookworm index"),
        ("busybox-static", "no package busybox-static"),
    ],
)
def test_a_package_is_missing(cache: Path, archive: Archive, use_sources: UseSources, name: str, message: str) -> None:
    del archive.packages[name]
    archive.publish()
    file = use_sources(f"file:{archive.root}")
    with pytest.raises(ImageError, match=message) as caught:
        store.pull("debian-i386")
    assert f"{file}:1" in str(caught.value)


def test_a_driver_is_missing(cache: Path, archive: Archive, use_sources: UseSources) -> None:
    archive.fill(kernel=make_kernel_deb(drop="/mii"))
    archive.publish()
    use_sources(f"file:{archive.root}")
    with pytest.raises(ImageError, match="no module mii, which pcnet32 needs"):
        store.pull("debian-i386")


def test_a_machine_of_another_release_is_told_what_to_add(
    cache: Path, archive: Archive, use_sources: UseSources, tmp_path: Path
) -> None:
    use_sources(f"file:{archive.root}", suite="trixie")
    with pytest.raises(ConfigError) as caught:
        store.pull("debian-i386")
    text = str(caught.value)
    assert "Debian 12 (bookworm)" in text
    assert "vde image pull --sources bookworm.sources debian-i386" in text
    written = tmp_path / "bookworm.sources"
    lines = [line.removeprefix("    ") for line in text.splitlines() if line.startswith("    ")]
    changed = [f"URIs: file:{archive.root}" if line.startswith("URIs") else line for line in lines]
    changed = [f"Signed-By: {tmp_path / 'key.gpg'}" if line.startswith("Signed-By") else line for line in changed]
    written.write_text("\n".join(changed) + "\n")
    assert store.pull("debian-i386", sources_file=written).kernel.exists()


def test_no_apt_here(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ImageError, match=r"is not on the PATH: .* Install the package 'apt'"):
        store.pull("debian-i386")


def test_the_cache_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ImageError, match="XDG_CACHE_HOME"):
        store.pull("debian-i386")


def test_one_of_several_indexes_cannot_be_fetched(cache: Path, archive: Archive, use_sources: UseSources) -> None:
    use_sources(f"file:{archive.root}", suite="bookworm bookworm-security")
    notes: list[Step] = []
    store.pull("debian-i386", lambda step: notes.append(step) if step.note else None)
    assert [note.text.split(":")[0] for note in notes] == [
        "some package indexes could not be fetched, going on with the others"
    ]


# --- interruptions ---------------------------------------------------------------------------------------------------


def big_kernel() -> bytes:
    return make_kernel_deb(filler=os.urandom(400_000))


def wait_for_octets(process: subprocess.Popen[bytes], work: Path, octets: int) -> None:
    """Wait until apt has written that much of the kernel's package."""
    while not any(path.stat().st_size >= octets for path in work.glob("linux-image-*.deb")):
        assert process.poll() is None


def test_a_pull_that_was_killed_is_taken_up_where_it_was(
    cache: Path, archive: Archive, server: ArchiveServer, use_sources: UseSources
) -> None:
    archive.fill(kernel=big_kernel())
    archive.publish()
    use_sources(server.uri)
    server.stop_after_octets = 300_000
    with command(["image", "pull", "debian-i386"]) as process:
        assert server.stopped.wait(60)
        wait_for_octets(process, cache / ".work" / "debian-i386", 100_000)
        process.send_signal(signal.SIGKILL)
        process.wait()
    server.stop_after_octets = None
    server.requests.clear()
    server.resumed_at.clear()
    assert store.pull("debian-i386").kernel.read_bytes() == b"a kernel"
    assert len([path for path, _ in server.requests if "linux-image-6." in path]) == 1
    assert max(server.resumed_at) >= 100_000, "the server sent the whole file again"


def test_a_partial_file_that_is_wrong_is_fetched_anew(
    cache: Path, archive: Archive, server: ArchiveServer, use_sources: UseSources
) -> None:
    archive.fill(kernel=big_kernel())
    archive.publish()
    use_sources(server.uri)
    server.stop_after_octets = 300_000
    with command(["image", "pull", "debian-i386"]) as process:
        assert server.stopped.wait(60)
        wait_for_octets(process, cache / ".work" / "debian-i386", 100_000)
        process.send_signal(signal.SIGKILL)
        process.wait()
    server.stop_after_octets = None
    (partial,) = (cache / ".work" / "debian-i386").glob("linux-image-*.deb")
    partial.write_bytes(bytes(partial.stat().st_size))
    assert store.pull("debian-i386").kernel.read_bytes() == b"a kernel"


def test_ctrl_c_ends_apt_and_says_how_to_go_on(
    cache: Path, archive: Archive, server: ArchiveServer, use_sources: UseSources
) -> None:
    archive.fill(kernel=big_kernel())
    archive.publish()
    use_sources(server.uri)
    server.stop_after_octets = 300_000
    with command(["image", "pull", "debian-i386"]) as process:
        assert server.stopped.wait(60)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr
        assert process.stderr.read().decode().splitlines()[-1] == (
            "vde image: interrupted; 'vde image pull debian-i386' takes it up again"
        )
    assert store.remove("debian-i386"), "the lock is free and what was fetched is there"
    assert not list(cache.glob("debian-i386*"))


def test_an_exception_of_the_caller_ends_the_pull(
    cache: Path, archive: Archive, server: ArchiveServer, use_sources: UseSources
) -> None:
    class Stop(Exception):
        pass

    def progress(step: Step) -> None:
        if step.text.startswith("downloading"):
            raise Stop

    use_sources(server.uri)
    with pytest.raises(Stop):
        store.pull("debian-i386", progress)
    assert store.pull("debian-i386").kernel.exists()


def test_what_was_fetched_is_enough_when_the_network_is_gone(
    cache: Path, archive: Archive, server: ArchiveServer, use_sources: UseSources
) -> None:
    class Stop(Exception):
        pass

    def progress(step: Step) -> None:
        if step.text.startswith("unpacking"):
            raise Stop

    use_sources(server.uri)
    with pytest.raises(Stop):
        store.pull("debian-i386", progress)
    server.root = server.root / "gone"
    assert store.pull("debian-i386").kernel.exists()


def test_two_pulls_at_once_fetch_once(
    cache: Path, archive: Archive, server: ArchiveServer, use_sources: UseSources
) -> None:
    use_sources(server.uri)
    with command(["image", "pull", "debian-i386"]) as one, command(["image", "pull", "debian-i386"]) as other:
        assert one.wait(60) == other.wait(60) == 0
    assert len([path for path, _ in server.requests if "linux-image-6." in path]) == 1
    assert json.loads((cache / "debian-i386" / "manifest.json").read_text())["name"] == "debian-i386"
