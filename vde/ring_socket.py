"""Exchanging `ring_handshake`'s request and answer, with their descriptors, over a trio stream socket."""

import os
import socket
import struct

import trio

from vde._native import Ring
from vde.errors import WireError
from vde.ring_handshake import (
    DESCRIPTION_OCTETS,
    DESCRIPTORS,
    HEADER,
    REASON_OCTETS,
    RingAnswer,
    RingRequest,
    parse_answer,
    parse_request,
    text_octets,
)

_SPARE = 16
"""Descriptors beyond the expected ones that are taken and closed; the kernel closes what is beyond."""


async def receive_request(connection: trio.socket.SocketType) -> RingRequest | None:
    """A connector's request; None if it left without a word.

    Raises:
        WireError: it sent something else, or half of it.
    """
    octets = b""
    wanted = HEADER.size
    while len(octets) < wanted:
        more = await connection.recv(wanted - len(octets))
        if not more:
            if octets:
                raise WireError(f"a request for rings of {len(octets)} octets: {wanted} were expected")
            return None
        octets += more
        if len(octets) == HEADER.size:
            wanted += text_octets(octets, DESCRIPTION_OCTETS)
    return parse_request(octets)


async def send_answer(connection: trio.socket.SocketType, answer: RingAnswer, descriptors: list[int]) -> None:
    """Send an answer, and copies of descriptors if there are any."""
    octets = answer.emit()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"={len(descriptors)}i", *descriptors))]
    sent = await connection.sendmsg([octets], rights if descriptors else [])
    while sent < len(octets):
        sent += await connection.send(octets[sent:])


async def request_ring(connection: trio.socket.SocketType, request: RingRequest) -> Ring | RingAnswer:
    """The connector's part: rings, or the listener's refusal.

    Raises:
        WireError: what listens there speaks something else.
        OSError: the connection failed.
    """
    octets = request.emit()
    while octets:
        octets = octets[await connection.send(octets) :]
    descriptors: list[int] = []
    try:
        answer = await _receive_answer(connection, descriptors)
        if answer.errno:
            return answer
        if len(descriptors) != DESCRIPTORS:
            raise WireError(f"{len(descriptors)} descriptors came with the answer: {DESCRIPTORS} were expected")
        given, descriptors = descriptors, []
        return Ring.join(given)
    except OSError as error:
        if error.errno is None or connection.fileno() < 0:
            raise
        raise WireError(f"the rings cannot be used: {error.strerror or error}") from error
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


async def _receive_answer(connection: trio.socket.SocketType, descriptors: list[int]) -> RingAnswer:
    octets = b""
    wanted = HEADER.size
    room = socket.CMSG_SPACE((DESCRIPTORS + _SPARE) * 4)
    while len(octets) < wanted:
        more, ancillary, _, _ = await connection.recvmsg(wanted - len(octets), room)
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors += struct.unpack(f"={len(data) // 4}i", data[: len(data) // 4 * 4])
        if not more:
            raise WireError("the connection was closed instead of an answer")
        octets += more
        if len(octets) == HEADER.size:
            wanted += text_octets(octets, REASON_OCTETS)
    return parse_answer(octets)
