"""The cache: states, damage, removal, two processes at once."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vde.errors import ConfigError
from vde.image import store
from vde.image.apt import sha256_of
from vde.image.errors import ImageError
from vde.image.initramfs import guest_init
from vde.image.lock import exclusive
from vde.image.manifest import read_manifest
from vde.image.recipe import RECIPES, find_recipe

HOLD = """
import sys
from pathlib import Path
from vde.image.lock import exclusive
with exclusive(Path(sys.argv[1]), lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


def put_image(cache: Path, name: str = "debian-i386") -> Path:
    """An image in the cache, as `pull` leaves it."""
    directory = cache / name
    directory.mkdir(parents=True)
    kernel, initrd = directory / "vmlinuz-1", directory / "initrd-1"
    kernel.write_bytes(b"kernel")
    initrd.write_bytes(b"initrd")
    recipe = find_recipe(name)
    manifest = {
        "format": 1,
        "name": name,
        "architecture": recipe.architecture,
        "kernel_version": "6.1.0-99-test",
        "recipe": recipe.fingerprint(guest_init()),
        "kernel": {"file": "vmlinuz-1", "octets": 6, "sha256": sha256_of(kernel)},
        "initrd": {"file": "initrd-1", "octets": 6, "sha256": sha256_of(initrd)},
        "archive_sha256": "0" * 64,
        "packages": [{"package": "a", "version": "1", "architecture": "i386", "sha256": "0" * 64}],
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory


def change(directory: Path, **values: object) -> None:
    path = directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def states() -> dict[str, str]:
    return {entry.recipe.name: entry.state for entry in store.list_images()}


def test_an_image_is_opened(cache: Path) -> None:
    directory = put_image(cache)
    assert store.open_image("debian-i386") == store.Image(
        name="debian-i386",
        architecture="i386",
        kernel=directory / "vmlinuz-1",
        initrd=directory / "initrd-1",
        kernel_version="6.1.0-99-test",
        default_cmdline=find_recipe("debian-i386").default_cmdline,
        cmdline_octets_max=2047,
    )
    assert states() == {name: "cached" if name == "debian-i386" else "absent" for name in RECIPES}
    (entry,) = (entry for entry in store.list_images() if entry.state == "cached")
    assert entry.kernel_version == "6.1.0-99-test"
    assert entry.octets == 12 + (directory / "manifest.json").stat().st_size


def test_a_command_line_that_would_be_cut_off(cache: Path) -> None:
    put_image(cache, "debian-malta")
    image = store.open_image("debian-malta")
    assert image.command_line("hostname=a ip4=10.0.0.1/24").endswith(" panic=-1 hostname=a ip4=10.0.0.1/24")
    room = image.cmdline_octets_max - len(image.command_line("x")) + 1
    assert len(image.command_line("x" * room)) == image.cmdline_octets_max
    with pytest.raises(ConfigError, match="image debian-malta: a kernel command line of 201 octets, at most 200 reach"):
        image.command_line("x" * (room + 1))


def test_an_image_that_is_not_there(cache: Path) -> None:
    with pytest.raises(ImageError, match="not cached; get it with: vde image pull debian-i386"):
        store.open_image("debian-i386")
    assert not cache.exists(), "looking makes nothing"


def test_an_image_that_nobody_knows(cache: Path) -> None:
    for use in (store.open_image, store.pull, store.remove):
        with pytest.raises(ConfigError, match=r"unknown image '\.\./x'; known images: debian-i386, debian-malta"):
            use("../x")


def test_an_image_of_another_version_of_the_program_works(cache: Path) -> None:
    change(put_image(cache), recipe="1" * 64)
    assert states()["debian-i386"] == "outdated"
    assert store.open_image("debian-i386").kernel.exists()


def _flip(directory: Path) -> None:
    (directory / "initrd-1").write_bytes(b"initrD")


def _shorten(directory: Path) -> None:
    (directory / "vmlinuz-1").write_bytes(b"kern")


def _lose(directory: Path) -> None:
    (directory / "vmlinuz-1").unlink()


def _cut_manifest(directory: Path) -> None:
    path = directory / "manifest.json"
    path.write_text(path.read_text()[:-30])


def _inflate_manifest(directory: Path) -> None:
    (directory / "manifest.json").write_text(" " * 100_000)


def _escape(directory: Path) -> None:
    change(directory, kernel={"file": "../../../etc/passwd", "octets": 6, "sha256": "0" * 64})


def _other_name(directory: Path) -> None:
    change(directory, name="debian-malta")


def _other_format(directory: Path) -> None:
    change(directory, format=2)


@pytest.mark.parametrize(
    "damage", [_flip, _shorten, _lose, _cut_manifest, _inflate_manifest, _escape, _other_name, _other_format]
)
def test_damage_is_found(cache: Path, damage: Callable[[Path], None]) -> None:
    damage(put_image(cache))
    assert states()["debian-i386"] == "damaged"
    with pytest.raises(ImageError, match=r"image debian-i386 is damaged: .*repair it with: vde image pull debian-i386"):
        store.open_image("debian-i386")


def test_no_manifest_is_no_image(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None


def test_removing(cache: Path) -> None:
    directory = put_image(cache)
    unfinished = cache / ".work" / "debian-i386"
    unfinished.mkdir(parents=True)
    (unfinished / "partial.deb").write_text("x")
    assert store.remove("debian-i386")
    assert not directory.exists()
    assert not unfinished.exists()
    assert not store.remove("debian-i386")


def test_the_cache_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert store.cache_directory() == tmp_path / ".cache/vde/images"
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert store.cache_directory() == Path("/somewhere/vde/images")


def test_a_lock_is_held_until_its_holder_dies(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    assert holder.stdin
    with holder.stdin, holder.stdout:
        assert holder.stdout.readline() == "held\n"
        waited = []

        def waiting() -> None:
            waited.append(True)
            holder.kill()

        with exclusive(lock, waiting) as descriptor:
            assert waited
            assert not os.get_inheritable(descriptor)
        holder.wait()


def test_an_image_that_is_being_pulled_is_not_removed(cache: Path) -> None:
    put_image(cache)
    (cache / ".locks").mkdir()
    with (
        exclusive(cache / ".locks" / "debian-i386", lambda: None),
        pytest.raises(ImageError, match="is being pulled by another process"),
    ):
        store.remove("debian-i386")
    assert store.open_image("debian-i386").kernel.exists()


def test_a_full_disk_is_called_so(tmp_path: Path) -> None:
    with (
        pytest.raises(ImageError, match="is full; make room"),
        store._disk_errors(tmp_path),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")


def test_too_little_room_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    """On a disk of one megabyte, in a mount namespace of its own."""
    code = (
        "import os, sys; os.environ['XDG_CACHE_HOME'] = sys.argv[1]\n"
        "from vde.image.store import pull\npull('debian-i386')"
    )
    script = f'mount -t tmpfs -o size=1m tmpfs "{tmp_path}" && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces on this machine")
    result = subprocess.run(
        [*command, sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "not enough room in" in result.stderr.splitlines()[-1]
    assert "1 MB are free, making an image needs about 350 MB" in result.stderr


def test_a_directory_without_permission(tmp_path: Path) -> None:
    refusal = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "x"))
    with pytest.raises(ImageError, match="Permission denied; the cache can be moved"), store._disk_errors(tmp_path):
        raise refusal
