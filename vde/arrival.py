"""When the kernel got a datagram: its own time stamps on sockets (socket(7), SO_TIMESTAMP; Linux' SO_TIMESTAMPNS).

A program that is told late of a frame still learns when it came. Works for UDP and for Unix datagrams.
"""

import socket
import struct

SO_TIMESTAMPNS = 35  # asm-generic/socket.h; the message's type is the same number
_STAMP = struct.Struct("@ll")  # struct timespec: tv_sec, tv_nsec
_ROOM_OCTETS = socket.CMSG_SPACE(_STAMP.size)
NS_PER_S = 10**9


def stamp(sock: socket.socket) -> bool:
    """Ask for time stamps from now on. False: this socket has none."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def receive(sock: socket.socket, octets: int) -> tuple[bytes, int]:
    """The next datagram, and its time in ns of the wall clock; 0: it came before `stamp`.

    Raises:
        OSError: as `recv`.
    """
    data, messages, _, _ = sock.recvmsg(octets, _ROOM_OCTETS)
    for level, kind, content in messages:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(content) >= _STAMP.size:
            seconds, nanoseconds = _STAMP.unpack_from(content)
            return data, seconds * NS_PER_S + nanoseconds
    return data, 0
