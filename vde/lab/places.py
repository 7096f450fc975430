"""Where a lab keeps things.

    DIRECTORY OF THE FILE/.vde/LAB/        stays after `vde down`, for reading
        lock                               held by the supervisor
        supervisor.log
        resolved.yml                       what runs, every default filled in
        run.json                           seed, versions, hashes of the images
        logs/NODE.log                      what the node's program wrote
        console/NODE.log                   what the guest wrote on its serial line

    $XDG_RUNTIME_DIR/vde/LAB-HASH/         or /tmp/vde-UID/…; gone when the lab is
        lab.json                           name, file, state directory
        control                            the supervisor's socket
        s/NODE/                            a switch's directory, as any VDE client takes it
        m/NODE                             its console, for unixterm and vdecmd
        u/NODE/                            where a User-Mode Linux keeps its socket
        w/LINK                             a wire's control socket
        d/NODE                             a guest's display, for vde screen
        r/NODE                             where a program says that it is ready (sd_notify(3))

Sockets cannot live next to the file, because the path of a socket has at most 107 octets (unix(7)): `MOST_ROOT_OCTETS`
is what the longest names leave of them. The runtime root must belong to the user alone: /tmp is everyone's.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vde.errors import VdeError

MOST_ROOT_OCTETS = 37  # 107 − "/" LAB-HASH (21) "/s/" NODE (30) "/.PPPPPPP-NNNNN" (libvdeplug's own socket)
LAB_CHARACTERS = 12


class NoPlace(VdeError):
    """A directory that a lab needs cannot be had."""


@dataclass(frozen=True)
class Home:
    """One lab's directories."""

    name: str
    file: Path
    state: Path
    runtime: Path

    @property
    def control(self) -> Path:
        """The supervisor's socket."""
        return self.runtime / "control"

    @property
    def lock(self) -> Path:
        """Whoever has it locked is the supervisor."""
        return self.state / "lock"

    def segment(self, name: str) -> Path:
        """A switch's directory."""
        return self.runtime / "s" / name

    def management(self, name: str) -> Path:
        """A switch's console."""
        return self.runtime / "m" / name

    def wire(self, name: str) -> Path:
        """A wire's control socket."""
        return self.runtime / "w" / name

    def screen(self, name: str) -> Path:
        """The socket of a guest's display."""
        return self.runtime / "d" / name

    def readiness(self, name: str) -> Path:
        """The socket that a program gets as NOTIFY_SOCKET."""
        return self.runtime / "r" / name

    def log(self, name: str) -> Path:
        """What a node's program writes."""
        return self.state / "logs" / f"{name}.log"

    def console(self, name: str) -> Path:
        """What a guest writes on its serial line."""
        return self.state / "console" / f"{name}.log"

    def make_state(self) -> None:
        """Create the state directory.

        Raises:
            NoPlace: it cannot be had.
        """
        try:
            for directory in (self.state / "logs", self.state / "console"):
                directory.mkdir(parents=True, exist_ok=True)
            ignore = self.state.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise NoPlace(f"{self.state}: {error.strerror}: the lab keeps its logs next to its file") from None

    def make_runtime(self) -> None:
        """Create the runtime directory anew.

        Raises:
            NoPlace: it cannot be had.
        """
        check_root(self.runtime.parent)
        try:
            if self.runtime.is_dir():
                shutil.rmtree(self.runtime)  # of a supervisor that was killed
            for name in ("", "s", "m", "w", "r", "d"):
                (self.runtime / name).mkdir(mode=0o700)
            facts = {"name": self.name, "file": os.fspath(self.file), "state": os.fspath(self.state)}
            (self.runtime / "lab.json").write_text(json.dumps(facts))
        except OSError as error:
            shutil.rmtree(self.runtime, ignore_errors=True)
            raise NoPlace(f"{self.runtime}: {error.strerror}") from None

    def remove_runtime(self) -> None:
        """Remove the runtime directory, and its root if it was the last one."""
        if self.runtime.is_dir():
            shutil.rmtree(self.runtime)
        try:
            self.runtime.parent.rmdir()
        except OSError:
            return  # another lab's is there


def home_of(name: str, file: Path, environment: Mapping[str, str], uid: int) -> Home:
    """The directories of a lab, whether they exist or not.

    Args:
        name: the lab's.
        file: its topology.
        environment: for XDG_RUNTIME_DIR.
        uid: whose.
    """
    file = file.resolve()
    state = file.parent / ".vde" / name
    digest = hashlib.blake2b(os.fsencode(state), digest_size=4).hexdigest()
    return Home(name, file, state, runtime_root(environment, uid) / f"{name[:LAB_CHARACTERS]}-{digest}")


def runtime_root(environment: Mapping[str, str], uid: int) -> Path:
    """Where the user's labs have their sockets."""
    given = environment.get("XDG_RUNTIME_DIR", "")
    root = Path(given) / "vde"
    if given.startswith("/") and len(os.fsencode(root)) <= MOST_ROOT_OCTETS and os.path.isdir(given):
        return root
    return Path(f"/tmp/vde-{uid}")


def check_root(root: Path) -> None:
    """Create the runtime root, or see that it is nobody else's.

    Raises:
        NoPlace: it cannot be created, or another user could write to it.
    """
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        found = root.lstat()
    except OSError as error:
        raise NoPlace(f"{root}: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise NoPlace(f"{root} is not a directory of user {os.geteuid()}: remove it, or set XDG_RUNTIME_DIR")
    if found.st_mode & 0o077:
        raise NoPlace(f"{root} has mode {stat.S_IMODE(found.st_mode):04o}: 0700 was expected; chmod it")


def homes(environment: Mapping[str, str], uid: int) -> Iterator[Home]:
    """The labs that have a runtime directory: those that run, and those whose supervisor was killed."""
    root = runtime_root(environment, uid)
    for facts in sorted(root.glob("*/lab.json")):
        try:
            known = json.loads(facts.read_text())
            yield Home(str(known["name"]), Path(known["file"]), Path(known["state"]), facts.parent)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # just being made or removed
