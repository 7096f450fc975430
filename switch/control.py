"""The control socket: clients register, get a data socket, and stay plugged in until either side closes.

One connection is one endpoint. In vde_switch's order: read the request; connect to the client's data socket (the client
removes its name as soon as it has our answer); take a port; bind our data socket; answer with its name. From then on
the connection is silent: its end, from whichever side, is the end of the endpoint. Every refusal closes the connection.

Who the client is, the kernel says (SO_PEERCRED); a named data socket must belong to that user, so that nobody can make
a switch of another user send frames to a third one's socket.

Limits: those of `pending`. Octets after the request are read and ignored.
"""

import errno
import os
import socket
import stat
import struct
from collections.abc import Callable
from typing import Protocol

import trio

from switch.directory import ControlDirectory
from switch.forwarding.contract import EndpointKind
from switch.log import Log
from switch.pending import Pending
from switch.ports import MODULE_UNIX, Endpoint
from vde import registration
from vde.errors import Refused, WireError
from vde.registration import Request

READ_OCTETS = 4096
PEER_CREDENTIALS = struct.Struct("iII")  # pid, uid, gid: unix(7), SO_PEERCRED


class Registrar(Protocol):
    """What clients register with: `switch.core.Switch`, or a node (`switch.netnode`). Methods may raise `Refused`."""

    def choose_port(self, wanted: int, *, management: bool) -> int:
        """As `Switch.choose_port`."""

    def check_access(self, number: int, uid: int | None) -> None:
        """As `Switch.check_access`."""

    def plug_in(self, endpoint: Endpoint, fd: int, now_ns: int) -> None:
        """As `Switch.plug_in`."""

    def pull_out(self, endpoint_id: int, now_ns: int) -> None:
        """As `Switch.pull_out`."""


class ControlServer:
    """Serves a switch's control directory.

    Args:
        management: mode and group (-1: unchanged) of data sockets for the management port, as for the console's socket.
    """

    def __init__(
        self,
        switch: Registrar,
        directory: ControlDirectory,
        now_ns: Callable[[], int],
        log: Log,
        management: tuple[int, int],
    ) -> None:
        self._switch = switch
        self._directory = directory
        self._now_ns = now_ns
        self._log = log
        self._management = management
        self._pending = Pending()
        self.refused = 0
        """Connections that were closed without becoming an endpoint."""

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(self._directory.ctl))
        task_status.started()
        await trio.serve_listeners(self._serve_client, [listener])

    async def _serve_client(self, stream: trio.SocketStream) -> None:
        try:
            wish = await self._read_request(stream)
            if wish is not None:
                await self._serve_endpoint(stream, wish)
        except (Refused, WireError) as error:
            self._refuse(str(error))
        except (OSError, trio.BrokenResourceError) as error:
            self._refuse(f"client failed while it registered: {error}")
        finally:
            await trio.aclose_forcefully(stream)

    def _refuse(self, reason: str) -> None:
        self.refused += 1
        self._log.warning(reason)

    async def _read_request(self, stream: trio.SocketStream) -> Request | None:
        """None: the client left, or was silent for too long."""
        octets = b""
        with self._pending.registering() as scope:
            while len(octets) < registration.LEAST_OCTETS:
                more = await stream.receive_some(READ_OCTETS)
                if not more:
                    break
                octets += more
        if not octets:
            if scope.cancelled_caught:
                self._refuse("a client connected and did not register")
            return None
        return registration.parse(octets)

    async def _serve_endpoint(self, stream: trio.SocketStream, wish: Request) -> None:
        uid = peer_uid(stream.socket)
        switch = self._switch
        data = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        path = None
        plugged = False
        with trio.CancelScope() as scope:
            try:
                _connect(data, wish.address, uid)
                port = switch.choose_port(wish.port, management=wish.management)
                switch.check_access(port, uid)
                path = self._directory.bind_data_socket(data, port, uid, self._directory.mode, self._directory.gid)
                if wish.management:
                    mode, gid = self._management
                    path.chmod(mode)
                    os.chown(path, -1, gid)
                endpoint = Endpoint(
                    id=stream.socket.fileno(),
                    port=port,
                    kind=EndpointKind.DATAGRAM,
                    module=MODULE_UNIX,
                    description=wish.description,
                    uid=uid,
                    close=scope.cancel,
                )
                switch.plug_in(endpoint, data.fileno(), self._now_ns())
                data.detach()
                plugged = True
                await stream.send_all(registration.emit_reply(os.fspath(path)))
                while await stream.receive_some(READ_OCTETS):
                    pass
            except trio.BrokenResourceError:
                if not plugged:
                    raise
            finally:
                if plugged:
                    switch.pull_out(endpoint.id, self._now_ns())
                data.close()
                if path is not None:
                    path.unlink(missing_ok=True)


def _connect(data: socket.socket, address: bytes, uid: int) -> None:
    """Connect our data socket to the client's. Raises `Refused`."""
    if not address:
        raise Refused(errno.EINVAL, "the client's data socket has no name")
    name = os.fsdecode(address)
    try:
        if address[0]:
            status = os.stat(address)
            if not stat.S_ISSOCK(status.st_mode) or uid not in (0, status.st_uid):
                raise Refused(errno.EACCES, f"Connecting to client data socket {name!r}: it is no socket of user {uid}")
        data.connect(address)
    except OSError as error:
        shown = name.rstrip("\0")
        raise Refused(
            error.errno or errno.EIO, f"Connecting to client data socket {shown!r}: {error.strerror}"
        ) from None


def peer_uid(connection: trio.socket.SocketType) -> int:
    """Who the client is, by the kernel."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size)
    uid = PEER_CREDENTIALS.unpack(credentials)[1]
    assert isinstance(uid, int)
    return uid
