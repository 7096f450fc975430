"""Where a node is: its control directory, and who may come in. The options that all nodes have."""

import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from switch.control import ControlServer, Registrar
from switch.directory import ControlDirectory, open_directory
from switch.log import Log, Sink
from switch.options import derive_modes
from vde.errors import ConfigError
from vde.plugspec import Surroundings, option

MODE_MASK = 0o666


@dataclass(frozen=True)
class Params:
    """Options of a node."""

    mode: int = option(0o600, "who may use it: permissions of its sockets", least=0, most=0o777, base=8)
    dirmode: int | None = option(
        None, "permissions of its directory (default: from mode)", least=0, most=0o7777, base=8
    )
    grp: str | None = option(None, "group of the directory and its sockets")


@dataclass(frozen=True)
class LearningParams(Params):
    """Options of a node that learns addresses."""

    hashsize: int = option(256, "has no effect: the table grows as it must", least=1, most=1 << 30)
    hashseed: int = option(0, "has no effect: the seed is random", least=0)
    expiretime: int = option(120, "how long an address is known", least=1, most=(1 << 31) - 1, unit="seconds")


def default_path() -> Path:
    """`/tmp/vdenode_USER`, or `/tmp/vdenode_uUID` for a user without a name."""
    uid = os.geteuid()
    try:
        return Path(f"/tmp/vdenode_{pwd.getpwuid(uid).pw_name}")
    except KeyError:
        return Path(f"/tmp/vdenode_u{uid}")


@contextmanager
def open_place(address: str, params: Params, surroundings: Surroundings) -> Iterator[ControlDirectory]:
    """The directory, which is removed at the end.

    Raises:
        ConfigError: it is in use, or cannot be made.
    """
    path = Path(address) if address else default_path()
    mode, dirmode = derive_modes(params.mode, params.dirmode)
    if not address and path.is_symlink():
        raise ConfigError(f"{path}: it is a symbolic link, which somebody else may have put there")
    directory = open_directory(path, mode & MODE_MASK, dirmode, params.grp)
    try:
        yield directory
    finally:
        if (warning := directory.close()) is not None:
            surroundings.warn(warning)


def control_server(registrar: Registrar, directory: ControlDirectory, surroundings: Surroundings) -> ControlServer:
    """Who lets clients in."""
    log = Log(_sink(surroundings.warn))
    return ControlServer(registrar, directory, surroundings.now_ns, log, (directory.mode, directory.gid))


def _sink(warn: Callable[[str], None]) -> Sink:
    def write(priority: int, line: str) -> bool:
        warn(line)
        return True

    return write
