"""The control directory: where clients find the switch, and the sockets in it.

    DIR/ctl        stream socket on which clients register (listen backlog 15 in the original; ours is longer)
    DIR/ring       stream socket on which clients that share memory with the switch register
    DIR/PPP.F      the switch's data socket for port PPP, F its descriptor number
    DIR/.PID-N     clients' data sockets (libvdeplug removes them once it is connected)

Life: made (or found) at the start; a directory whose switch is dead is taken over, with its stale sockets; one whose
switch lives is refused. At the end everything of ours is removed, and the directory if nothing else is in it.
The takeover is done under a lock of the directory, so that two switches started at once do not both take it over.
"""

import contextlib
import errno
import fcntl
import grp
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from vde.errors import ConfigError
from vde.registration import SUN_PATH_OCTETS
from vde.ring_handshake import SOCKET_NAME

BACKLOG = 1024  # chosen: bursts of a thousand clients
DATA_NAME_OCTETS = len("/65535.1048576")  # the longest name that a data socket can have


class ControlDirectory:
    """A directory that this process serves. Make one with `open_directory`."""

    def __init__(self, path: Path, ctl: socket.socket, ring: socket.socket, mode: int, gid: int) -> None:
        self.path = path
        self.ctl = ctl
        self.ring = ring
        self.mode = mode
        self.gid = gid
        """-1: unchanged."""
        self._ctl_inode = os.stat(path / "ctl").st_ino

    def bind_data_socket(self, data: socket.socket, port: int, client_uid: int, mode: int, gid: int) -> Path:
        """Give `data` a name that `client_uid` may send to.

        Under root the client owns it and nobody else may use it; otherwise mode and group decide (vde_switch's rule).
        """
        path = self.path / f"{port:03d}.{data.fileno()}"
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        _bind(data, path)
        if os.geteuid() == 0:
            os.chmod(path, mode & 0o700)
            os.chown(path, client_uid, gid)
        else:
            os.chmod(path, mode)
            _change_group(path, gid)
        return path

    def close(self) -> str | None:
        """Remove what is ours. Returns a warning if the directory had to stay."""
        self.ctl.close()
        self.ring.close()
        with contextlib.suppress(FileNotFoundError):
            if os.stat(self.path / "ctl").st_ino != self._ctl_inode:
                return None  # somebody else has taken over
            (self.path / SOCKET_NAME).unlink(missing_ok=True)
            (self.path / "ctl").unlink()
        _remove_stale_sockets(self.path)
        try:
            self.path.rmdir()
        except FileNotFoundError:
            pass
        except OSError as error:
            return f"Could not remove ctl dir '{self.path}': {error.strerror}"
        return None


def open_directory(path: Path, mode: int, dirmode: int, group: str | None) -> ControlDirectory:
    """Make or take over the directory and listen on its `ctl`.

    Raises:
        ConfigError: no such group, a path that is too long or cannot be made, or a live switch.
    """
    gid = group_number(group)
    real = Path(os.path.realpath(path))
    if len(os.fsencode(real)) + DATA_NAME_OCTETS >= SUN_PATH_OCTETS:
        raise ConfigError(
            f"ctl directory '{real}': its path has {len(os.fsencode(real))} octets, "
            f"at most {SUN_PATH_OCTETS - DATA_NAME_OCTETS - 1} leave room for the sockets' names"
        )
    try:
        real.mkdir()
        created = True
    except FileExistsError:
        created = False
    except OSError as error:
        raise ConfigError(f"Cannot create ctl directory '{real}': {error.strerror}") from None
    try:
        with _locked(real):
            ctl = _listen(real / "ctl")
            ring = _listen(real / SOCKET_NAME)
            _remove_stale_sockets(real)
        _change_group(real, gid)
        os.chmod(real, dirmode)
        for name in (SOCKET_NAME, "ctl"):
            _change_group(real / name, gid)
            os.chmod(real / name, mode)
    except OSError as error:
        if created:
            with contextlib.suppress(OSError):
                (real / SOCKET_NAME).unlink(missing_ok=True)
                (real / "ctl").unlink(missing_ok=True)
                real.rmdir()
        raise ConfigError(f"ctl directory '{real}': {error.strerror}") from None
    return ControlDirectory(real, ctl, ring, mode, gid)


def open_management(path: Path, mode: int, group: str | None) -> socket.socket:
    """Listen on the management socket, in place of a dead one.

    Raises:
        ConfigError: no such group, no permission, or a live switch uses it.
    """
    gid = group_number(group)
    if len(os.fsencode(path)) >= SUN_PATH_OCTETS:
        raise ConfigError(f"management socket '{path}': a socket's path has at most {SUN_PATH_OCTETS - 1} octets")
    try:
        listener = _listen(path)
        _change_group(path, gid)
        os.chmod(path, mode)
    except OSError as error:
        raise ConfigError(f"Could not bind to management socket '{path}': {error.strerror}") from None
    return listener


def group_number(name: str | None) -> int:
    """A group's number, -1 for None. Raises `ConfigError`."""
    if name is None:
        return -1
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(f"No such group '{name}'") from None


def is_dead_socket(path: Path, kind: socket.SocketKind) -> bool:
    """Is this a socket that nobody has open any more?"""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
        with socket.socket(socket.AF_UNIX, kind) as probe:
            probe.setblocking(False)
            probe.connect(os.fspath(path))
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            _bind(listener, path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            if not is_dead_socket(path, socket.SOCK_STREAM):
                raise ConfigError(
                    f"Could not bind to socket '{path}': Address already in use (a switch is running there)"
                ) from None
            path.unlink()
            _bind(listener, path)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _bind(unbound: socket.socket, path: Path) -> None:
    """Bind so that nobody can connect before the mode is set."""
    umask = os.umask(0o177)
    try:
        unbound.bind(os.fspath(path))
    finally:
        os.umask(umask)


def _change_group(path: Path, gid: int) -> None:
    if gid != -1:
        os.chown(path, -1, gid)


def _remove_stale_sockets(path: Path) -> None:
    """Sockets of a killed switch and its clients would keep the directory from ever being removed."""
    for entry in os.scandir(path):
        file = path / entry.name
        if is_dead_socket(file, socket.SOCK_DGRAM):
            with contextlib.suppress(OSError):
                file.unlink()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
