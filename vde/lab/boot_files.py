"""The images that a lab's guests boot from, with the hashes that tell whether a running guest has another one."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from vde.errors import ConfigError
from vde.image import store
from vde.image.errors import ImageError
from vde.image.progress import Progress
from vde.lab.commands import parameters
from vde.lab.messages import ImageFiles
from vde.lab.resolved import Guest, Lab


def image_names(lab: Lab) -> list[str]:
    """Of the images that the lab needs."""
    return sorted({node.image for node in lab.nodes.values() if isinstance(node, Guest) and node.image})


def pull_images(names: Iterable[str], progress: Callable[[str], Progress]) -> dict[str, ImageFiles]:
    """Have images in the cache.

    Args:
        names: which.
        progress: gives, for a name, whom to tell about the pull.

    Raises:
        ImageError: one cannot be had; the text says what to do.
    """
    return {name: _files(store.pull(name, progress(name))) for name in names}


def cached_images(names: Iterable[str]) -> dict[str, ImageFiles]:
    """Those that are in the cache."""
    found = {}
    for name in names:
        try:
            found[name] = _files(store.open_image(name))
        except ImageError:
            continue  # not there: it would be pulled
    return found


def check_command_lines(lab: Lab) -> None:
    """Every guest's kernel gets its whole command line: loaders cut what is too long without a word.

    Raises:
        ConfigError: names the guest, and how long its line may be.
        ImageError: an image is not in the cache.
    """
    for node in lab.nodes.values():
        if isinstance(node, Guest) and node.image:
            try:
                store.open_image(node.image).command_line(f"{parameters(node)} {node.cmdline}".rstrip())
            except ConfigError as error:
                raise ConfigError(f"node {node.name!r}: {error}; shorten cmdline or name") from None


def _files(image: store.Image) -> ImageFiles:
    return ImageFiles(
        kernel=image.kernel,
        initrd=image.initrd,
        kernel_version=image.kernel_version,
        cmdline=image.default_cmdline,
        kernel_sha256=_sha256(image.kernel),
        initrd_sha256=_sha256(image.initrd),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
