"""libvdeplug's module `vdeshm`: where it is, where libvdeplug looks for modules, and putting it there.

libvdeplug (4.0.1, as observed) looks for `libvdeplug_SCHEME.so` in the directories of VDEPLUGIN_PATH and nowhere else,
if that is set; else in the directory `vdeplug` beside itself, in /usr/lib/vdeplug, and where ld.so looks,
LD_LIBRARY_PATH included. There is no place in a user's home: one who is not root sets one of the two variables.
"""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vde.errors import ConfigError

NAME = "libvdeplug_vdeshm.so"
BUILT = Path(__file__).with_name(NAME)
USER_DIRECTORY = Path(".local/lib/vdeplug")  # below the home directory; chosen
OWN_MODULE = "libvdeplug_vde.so"
"""A module that every libvdeplug has: where it is, ours belongs."""
LIBRARY_DIRECTORIES = ("/usr/local/lib", "/usr/lib", "/usr/lib64", "/lib")


@dataclass(frozen=True, slots=True)
class Installed:
    """Where the module is now.

    Attributes:
        variable: what must be in the environment of programs that use it; empty: nothing.
    """

    path: Path
    variable: str


def system_directory(roots: Iterable[str] = LIBRARY_DIRECTORIES) -> Path:
    """libvdeplug's directory of modules.

    Raises:
        ConfigError: there is no libvdeplug.
    """
    for root in roots:
        for pattern in ("vdeplug", "*-linux-*/vdeplug"):
            for found in sorted(Path(root).glob(pattern)):
                if (found / OWN_MODULE).exists():
                    return found.resolve()
    raise ConfigError("libvdeplug has no directory of modules here: apt install libvdeplug2")


def install(directory: Path | None = None, *, user: bool = False) -> Installed:
    """Copy the module into `directory`; without one, into the user's or libvdeplug's own.

    Raises:
        ConfigError: it was not built, or the directory cannot be written; says what to do.
    """
    if not BUILT.exists():
        raise ConfigError(f"{BUILT} was not built: make .venv/.built")
    own = None if user or directory is not None else system_directory()
    where = own or directory or Path.home() / USER_DIRECTORY
    target = where / NAME
    try:
        where.mkdir(parents=True, exist_ok=True)
        fresh = where / f".{NAME}.{os.getpid()}"  # a program that has the old one mapped keeps it
        shutil.copyfile(BUILT, fresh)
        fresh.chmod(0o644)
        fresh.replace(target)
    except OSError as error:
        hint = ": --user installs it for yourself" if own is not None else ""
        raise ConfigError(f"{target}: {error.strerror}{hint}") from error
    return Installed(target, "" if own is not None else _variable(where))


def _variable(where: Path) -> str:
    """With the other modules, which would not be found any more."""
    try:
        return f"VDEPLUGIN_PATH={where}:{system_directory()}"
    except ConfigError:
        return f"VDEPLUGIN_PATH={where}"
