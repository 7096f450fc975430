"""The ring socket: clients that share memory with the switch plug in here, beside those of `ctl`.

`DIR/ring` has the mode and group of `DIR/ctl`. One connection is one endpoint, as there: the request has the same port
and description; who the client is, the kernel says; the connection's end is the end of the endpoint. A refusal is
answered, with an errno and a sentence. The memory and the bells are made by the switch, as large as the client wishes
within bounds (`vde.ring_handshake`, `plugs/native/ring`), and belong to the forwarder from then on.

Limits: those of `pending`.
"""

import errno
import os
from collections.abc import Callable

import trio

from switch.control import READ_OCTETS, peer_uid
from switch.core import Switch
from switch.directory import ControlDirectory
from switch.forwarding.contract import EndpointKind
from switch.log import Log
from switch.pending import Pending
from switch.ports import MODULE_RING, Endpoint
from vde._native import Ring
from vde.errors import Refused, WireError
from vde.frame import TAG_OCTETS
from vde.ring_handshake import RingAnswer, RingRequest, refusal_of_version
from vde.ring_socket import receive_request, send_answer


class RingServer:
    """Serves the ring socket of a switch's directory.

    Args:
        max_frame_octets: the forwarder's.
    """

    def __init__(
        self,
        switch: Switch,
        directory: ControlDirectory,
        now_ns: Callable[[], int],
        log: Log,
        max_frame_octets: int,
    ) -> None:
        self._switch = switch
        self._directory = directory
        self._now_ns = now_ns
        self._log = log
        self._frame_octets = max_frame_octets + TAG_OCTETS  # the forwarder may put a tag in
        self._pending = Pending()
        self.refused = 0
        """Connections that were closed without becoming an endpoint."""

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(self._directory.ring))
        task_status.started()
        await trio.serve_listeners(self._serve_client, [listener])

    async def _serve_client(self, stream: trio.SocketStream) -> None:
        try:
            wish = await self._read_request(stream)
            if wish is not None:
                await self._answer(stream, wish)
        except WireError as error:
            self._refuse(str(error))
        except (OSError, trio.BrokenResourceError) as error:
            self._refuse(f"client failed while it asked for rings: {error}")
        finally:
            await trio.aclose_forcefully(stream)

    def _refuse(self, reason: str) -> None:
        self.refused += 1
        self._log.warning(reason)

    async def _read_request(self, stream: trio.SocketStream) -> RingRequest | None:
        with self._pending.registering():
            return await receive_request(stream.socket)
        self._refuse("a client connected to the ring socket and did not register")
        return None

    async def _answer(self, stream: trio.SocketStream, wish: RingRequest) -> None:
        if (refusal := refusal_of_version(wish)) is not None:
            self._refuse(refusal.reason)
            return await send_answer(stream.socket, refusal, [])
        try:
            await self._serve_endpoint(stream, wish)
        except Refused as error:
            self._refuse(str(error))
            await send_answer(stream.socket, RingAnswer(error.errno, reason=str(error)), [])

    async def _serve_endpoint(self, stream: trio.SocketStream, wish: RingRequest) -> None:
        uid = peer_uid(stream.socket)
        switch = self._switch
        port = switch.choose_port(wish.port, management=wish.management)
        switch.check_access(port, uid)
        try:
            ring, theirs = Ring.create(wish.ring_octets, self._frame_octets)
        except OSError as error:
            raise Refused(error.errno or errno.EIO, f"no rings can be made: {error.strerror}") from None
        answer = RingAnswer(0, ring.ring_octets, ring.frame_octets)
        ours = ring.give_away()
        with trio.CancelScope() as scope:
            endpoint = Endpoint(
                id=stream.socket.fileno(),
                port=port,
                kind=EndpointKind.RING_LISTENER,
                module=MODULE_RING,
                description=wish.description,
                uid=uid,
                close=scope.cancel,
            )
            plugged = False
            try:
                try:
                    switch.plug_in(endpoint, ours[0], self._now_ns(), ours[1:])
                    ours.clear()
                    plugged = True
                    await send_answer(stream.socket, answer, theirs)
                finally:
                    for descriptor in (*ours, *theirs):
                        os.close(descriptor)
                while await stream.receive_some(READ_OCTETS):
                    pass
            except trio.BrokenResourceError:
                pass
            finally:
                if plugged:
                    switch.pull_out(endpoint.id, self._now_ns())
