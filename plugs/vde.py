"""vde://DIRECTORY[PORT] — a client of a switch: vde_switch's, ours, vdeplug4's hub:// and switch://.

    vde:///run/sw.ctl                    any free port
    /run/sw.ctl[7]                       port 7; without a scheme, a path is a switch's directory
    vde:///run/sw.ctl[port=7/mode=660/group=vde2-net]
    vde://                               the default switch
    vde:///run/sw.ctl[0]                 the management port

The default is what ~/.vdeplug/default or ~/.vde2/default.switch is (a link to a directory, or a file whose first line
is a VNL), else /var/run/vde.ctl, else /tmp/vde.ctl. A path that is a regular file stands for the VNL in its first line.

Wire: registration on the stream socket DIRECTORY/ctl (`vde.registration`), then one frame a datagram between two Unix
sockets. PORT may also be a name: DIRECTORY/PORT is tried first, if there is such a socket.

`mode` and `group` are of our socket, and `mode` also of the switch's end; they say who else may send into the link.
Without `group`, and if another user runs the switch, its group may write to our socket, as with libvdeplug.

The link ends (in good order) when the switch closes the port, and breaks when the switch refuses. vde_switch 2.3.2
does not answer when it refuses: after 5 s that is taken for a refusal. The link can be handed over to a forwarder.

Shown with: Debian's vde_switch, ours; as `vde_plug` under User-Mode Linux.
Limits: frames of up to 9234 octets; longer ones are dropped and counted (`oversize`). vde_switch cuts what is longer
than 1518 octets.
"""

import contextlib
import errno
import getpass
import grp
import itertools
import os
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn

import trio

from plugs.parts.hangup import Watched
from plugs.parts.places import widen
from vde import arrival
from vde.descriptor_link import DescriptorLink
from vde.endpoint import EndpointKind, HandedOver
from vde.errors import ConfigError, LinkBroken, LinkClosed, LinkEnded
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings, option
from vde.registration import ADDRESS, DESCRIPTION_OCTETS, SUN_PATH_OCTETS, Request

ANSWER_S = 5.0  # chosen
DEFAULT_FILES = (".vdeplug/default", ".vde2/default.switch")  # below the home directory
DEFAULT_DIRECTORIES = ("/var/run/vde.ctl", "/tmp/vde.ctl")
OTHER_DIRECTORIES = ("/var/run", "/var/tmp", "/tmp")  # for our socket, where the switch's cannot be written
LINE_OCTETS = 16 << 10  # of a file that holds a VNL
PORT_MAX = (1 << 24) - 1  # `Request`
_serials = itertools.count()


@dataclass(frozen=True)
class Params:
    """Options."""

    port: str | None = option(None, "number of the port (0: the management port), or name", aliases=("portgroup",))
    group: str | None = option(None, "group of our socket")
    mode: int = option(0o700, "permissions of our socket, octal", least=0, most=0o777, base=8)


class VdeLink(DescriptorLink):
    """A registered client. Owns its sockets."""

    def __init__(self, control: socket.socket, data: socket.socket, directory: str, far: str) -> None:
        data.setblocking(False)
        control.setblocking(False)
        self._both = Watched(readable=[data.fileno(), control.fileno()])
        super().__init__(self._both.fd, write_fd=data.fileno())
        self._control = control
        self._data = data
        self._directory = directory
        self._far = far

    def note_arrivals(self) -> bool:
        """As `Link.note_arrivals`."""
        self._stamped = self._stamped or arrival.stamp(self._data)
        return self._stamped

    def _read(self) -> bytes | None:
        if self._stamped:
            frame, self._stamp_ns = arrival.receive(self._data, self.mtu_octets + 1)
            return frame or None
        return self._data.recv(self.mtu_octets + 1) or None

    def _read_failed(self, error: OSError) -> None:
        """The switch's end was closed; the control connection tells whether the port was."""

    def _write(self, frame: bytes) -> None:
        self._data.send(frame)

    def _write_failed(self, error: OSError) -> None:
        self._check_control()
        super()._write_failed(error)

    def _drain(self) -> list[bytes]:
        frames = super()._drain()
        if not frames:
            with contextlib.suppress(LinkBroken):  # `receive` raises it next
                self._check_control()
        return frames

    def _check_control(self) -> None:
        """Octets there mean nothing; their end is the port's."""
        try:
            if self._control.recv(4096):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._broken = LinkEnded(f"{self._directory}: the switch closed the port")
        raise self._broken

    async def watch(self) -> NoReturn:
        """As `Link.watch`: the control connection."""
        while True:
            try:
                await trio.lowlevel.wait_readable(self._control)
            except trio.ClosedResourceError:
                raise LinkClosed("the link is closed") from None
            if self._control.fileno() < 0:
                raise LinkClosed("the link is closed")
            self._check_control()

    @property
    def handed_kind(self) -> EndpointKind | None:
        """As `Link.handed_kind`."""
        return EndpointKind.DATAGRAM

    def hand_over(self) -> HandedOver | None:
        """As `Link.hand_over`."""
        return HandedOver(os.dup(self._data.fileno()), EndpointKind.DATAGRAM)

    def take_back(self) -> bool:
        """As `Link.take_back`."""
        return True

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        return {"directory": self._directory, "switch_socket": self._far}

    def close(self) -> None:
        """For whoever made it."""
        self.end()
        trio.lowlevel.notify_closing(self._control)
        self._both.close()
        self._control.close()
        self._data.close()


@asynccontextmanager
async def open_vde(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: the switch's directory; nothing: the default one."""
    path, inner = find_switch(address)
    if inner is not None:
        async with surroundings.open_link(inner) as nested:
            yield nested
        return
    try:
        link = await _register(path, params, _describe(surroundings.description))
    except OSError as error:
        raise LinkBroken(f"{path}: {error.strerror}") from error
    try:
        yield link
    finally:
        link.close()


def find_switch(address: str) -> tuple[str, str | None]:
    """The switch's directory, and the VNL that a regular file of that name holds, if it is one.

    Raises:
        ConfigError: the file's first line is no VNL, or one that leads on.
    """
    path = address or _default()
    if not os.path.isfile(path):
        return path, None
    try:
        with open(path, "rb") as file:
            line = os.fsdecode(file.readline(LINE_OCTETS)).strip()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if not line or "\0" in line:
        raise ConfigError(f"{path}: a switch's directory, or a file whose first line is a VNL, was expected")
    if "://" not in line and os.path.isfile(line):
        raise ConfigError(f"{path}: its first line names another file, {line!r}: a VNL was expected")
    return path, line


def _default() -> str:
    home = os.environ.get("HOME")
    for name in DEFAULT_FILES if home else ():
        if os.path.lexists(candidate := os.path.join(home or "", name)):
            return candidate
    for candidate in DEFAULT_DIRECTORIES:
        if os.path.exists(os.path.join(candidate, "ctl")):
            return candidate
    return DEFAULT_DIRECTORIES[0]


def _describe(program: str) -> str:
    """As libvdeplug's: who we are, at most 128 octets."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no entry in the user database
        user = str(os.geteuid())
    text = f"{program} user={user} pid={os.getpid()}"
    if client := os.environ.get("SSH_CLIENT", "").split(" ")[0]:
        text += f" SSH={client}"
    return text.encode(errors="replace")[:DESCRIPTION_OCTETS].decode(errors="ignore")


async def _register(directory: str, params: Params, description: str) -> VdeLink:
    """Raises `OSError`, `LinkBroken`, `ConfigError`."""
    control, port = await _connect(directory, params.port)
    data = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    own = ""
    try:
        widen(data)
        own = _bind(data, directory)
        _permit(own, os.path.join(directory, "ctl"), params)
        request = Request(max(port, 0), params.port == "0", os.fsencode(own), description)
        with trio.move_on_after(ANSWER_S):
            await control.send(request.emit())
            reply = await control.recv(4096)
            if len(reply) != ADDRESS.size:
                raise LinkBroken(f"{directory}: the switch refused {_shown_port(params.port)}")
            far = ADDRESS.unpack(reply)[1].split(b"\0", 1)[0]
            data.connect(far)
            with contextlib.suppress(OSError):
                os.chmod(far, params.mode)  # it is the switch's, and may be another user's
            return VdeLink(socket.socket(fileno=control.detach()), data, directory, os.fsdecode(far))
        raise LinkBroken(
            f"{directory}: no answer from the switch for {ANSWER_S:g} s: vde_switch 2.3.2 refuses "
            f"{_shown_port(params.port)} so"
        )
    except BaseException:
        data.close()
        raise
    finally:
        if own:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(own)
        control.close()


def _shown_port(port: str | None) -> str:
    return "any port" if port is None else f"port {port}"


async def _connect(directory: str, port: str | None) -> tuple[trio.socket.SocketType, int]:
    """A control connection, and the number to ask for there."""
    number = 0
    if port is not None and port.isascii() and port.isdecimal():
        if (number := int(port)) > PORT_MAX:
            raise ConfigError(f"{directory}: port {port}: a number of 0 to {PORT_MAX}, or a name, was expected")
    elif port is not None and ("/" in port or not port):
        raise ConfigError(f"{directory}: port {port!r}: a number, or a name without '/', was expected")
    control = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if port is not None and port != "0":
            with contextlib.suppress(OSError):
                await control.connect(_fitting(os.path.join(directory, port)))
                return control, number
        await control.connect(_fitting(os.path.join(directory, "ctl")))
    except BaseException:
        control.close()
        raise
    return control, number


def _fitting(path: str) -> str:
    if len(os.fsencode(path)) >= SUN_PATH_OCTETS:
        raise ConfigError(f"{path!r} is too long for a socket: at most {SUN_PATH_OCTETS - 1} octets are possible")
    return path


def _bind(data: socket.socket, directory: str) -> str:
    """Bind to a name of ours beside the switch's, or where that is possible."""
    candidates = [(os.path.abspath(directory), "."), *((other, "vde.") for other in OTHER_DIRECTORIES)]
    failure: OSError | None = None
    for place, beginning in candidates:
        for serial in itertools.islice(_serials, 100):
            path = os.path.join(place, f"{beginning}{os.getpid():05d}-{serial:05d}")
            try:
                data.bind(_fitting(path))
            except OSError as error:
                failure = failure or error
                if error.errno != errno.EADDRINUSE:
                    break
            except ConfigError:
                break
            else:
                return path
    assert failure is not None
    raise failure


def _permit(own: str, control: str, params: Params) -> None:
    """Who may send to our socket: libvdeplug's rules."""
    mode = params.mode
    if params.group is not None:
        try:
            number = int(params.group) if params.group.isdecimal() else grp.getgrnam(params.group).gr_gid
        except KeyError:
            raise ConfigError(f"group={params.group}: there is no such group") from None
        try:
            os.chown(own, -1, number)
        except PermissionError:
            raise ConfigError(f"group={params.group}: only root and members may give a socket to a group") from None
    elif not mode & 0o077:
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(control)
            if found.st_uid not in (0, os.geteuid()) and stat.S_ISSOCK(found.st_mode):
                try:
                    os.chown(own, -1, found.st_gid)
                    mode |= 0o070
                except OSError:
                    mode |= 0o077
    os.chmod(own, mode)


PLUG = PlugSpec("vde", open_vde, Params, syntax="vde://DIRECTORY[PORT] | DIRECTORY[PORT]", style="bracket", bare="port")
