"""Which lab a command is about: a file, the name of one that runs, or the only one that can be meant."""

import os
from pathlib import Path

from vde.errors import ConfigError
from vde.lab.errors import NotRunning
from vde.lab.places import Home, homes

SUFFIXES = (".vlab.yml", ".vlab.yaml")


def running_homes() -> list[Home]:
    """The user's labs that have a runtime directory."""
    return list(homes(os.environ, os.geteuid()))


def find_file(given: Path | None) -> Path:
    """The topology file that is given, or the only one here.

    Raises:
        ConfigError: there is none, or more than one.
    """
    if given is not None:
        return given
    here = sorted(path for suffix in SUFFIXES for path in Path().glob(f"*{suffix}"))
    if len(here) == 1:
        return here[0]
    if here:
        raise ConfigError(f"which one? give one of {', '.join(map(str, here))}")
    raise ConfigError("there is no *.vlab.yml here: give the topology's FILE")


def find_running(given: str | None) -> Home:
    """The running lab that is meant: by its file, its name, or because it is the only one here or at all.

    Raises:
        NotRunning: there is none.
        ConfigError: it could be several.
    """
    labs = running_homes()
    if given is None:
        files = {path.resolve() for suffix in SUFFIXES for path in Path().glob(f"*{suffix}")}
        found = [home for home in labs if home.file in files] or labs
        if not found:
            raise NotRunning("no lab is running")
    else:
        path = Path(given)
        found = [home for home in labs if home.file == path.resolve()] or [home for home in labs if home.name == given]
        if not found:
            if path.suffix in (".yml", ".yaml") and not path.exists():
                raise ConfigError(f"{given}: there is no such file")
            raise NotRunning(f"lab '{given}' is not running")
    if len(found) > 1:
        several = ", ".join(f"{home.name} ({home.file})" for home in found)
        raise ConfigError(f"which one? give the FILE of one of {several}")
    return found[0]
