"""The guest that tests of the board mac boot: `vide image build linux-ppc`'s, or one that VDE_LINUX_PPC names.

VDE_LINUX_PPC is a directory with `vmlinux` and `initramfs.cpio.gz`, whose /init understands ip4=, ip6= and gw=, says
GUEST-READY, and has a shell on the console. Compiling the image takes minutes: where it is missing, tests skip; in CI,
which has begun with it beside the other tests (`.ci/run`), they come last (mark `late`) and wait for it.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from vde.image import store
from vde.image.errors import ImageError
from vde.image.progress import Step

VARIABLE = "VDE_LINUX_PPC"
PATIENCE_S = 600.0


@dataclass(frozen=True)
class PpcImage:
    """What to boot, how it begins its command line, and what it says when it is up."""

    kernel: Path
    initrd: Path
    words: str
    ready: str

    def options(self, append: str) -> list[str]:
        """For `vde guest mac`."""
        return ["--kernel", str(self.kernel), "--initrd", str(self.initrd), "--append", f"{self.words} {append}"]


def find() -> PpcImage:
    """The image; skips the test if there is none."""
    directory = os.environ.get(VARIABLE)
    if directory:
        files = (Path(directory) / "vmlinux", Path(directory) / "initramfs.cpio.gz")
        return PpcImage(*files, "console=ttyPZ0 loglevel=3", "GUEST-READY ppc")
    return find_built()


@cache
def wait_for_it() -> None:
    """Until whoever builds the image has done so, `PATIENCE_S` at most. What went wrong is for who opens it."""
    deadline = time.monotonic() + PATIENCE_S

    def only_wait(step: Step) -> None:
        if not step.text.startswith("waiting") or time.monotonic() > deadline:
            raise ImageError("nobody builds it, or for too long")

    with suppress(ImageError):
        store.pull("linux-ppc", only_wait)


def find_built() -> PpcImage:
    """The image that `vde image build` makes, whose kernel has more drivers; skips the test if there is none."""
    if os.environ.get("CI"):
        wait_for_it()
    try:
        image = store.open_image("linux-ppc")
    except ImageError:
        pytest.skip(f"no PowerPC guest: vde image build linux-ppc takes some minutes; or set {VARIABLE}")
    return PpcImage(image.kernel, image.initrd, image.default_cmdline, "vde-guest ready:")
