"""An interface's removal, as rtnetlink(7) tells it: a tap's descriptor tells only who reads it, a macvtap's nobody.

0  4  length of the message, native order     16  1  family
4  2  type                                    18  2  device type
6  10 flags, sequence, port                   20  4  index of the interface
"""

import contextlib
import socket
import struct

import trio

RTMGRP_LINK, RTM_DELLINK = 1, 17  # linux/rtnetlink.h
HEADER = struct.Struct("=IH14xi")  # struct nlmsghdr: length, type; struct ifinfomsg: index
READ_OCTETS = 1 << 16


class Removal:
    """Of one interface of the network namespace that the thread is in now. `close` it."""

    def __init__(self, interface: str) -> None:
        """Raises `OSError`: there is no such interface."""
        self._index = socket.if_nametoindex(interface)
        self._news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        try:
            self._news.bind((0, RTMGRP_LINK))
        except BaseException:
            self._news.close()
            raise
        self._happened = False

    @property
    def fd(self) -> int:
        """Readable when there is news of interfaces."""
        return self._news.fileno()

    def happened(self) -> bool:
        """Is it gone?"""
        with contextlib.suppress(OSError):  # BlockingIOError: no more; ENOBUFS: some were lost
            while not self._happened:
                self._happened = removed(self._news.recv(READ_OCTETS), self._index)
        return self._happened

    async def wait(self) -> None:
        """Until it is gone. Raises `trio.ClosedResourceError`."""
        while not self.happened():
            if self.fd < 0:
                raise trio.ClosedResourceError
            await trio.lowlevel.wait_readable(self._news)

    def close(self) -> None:
        """Whoever waits is told."""
        if self.fd >= 0:
            trio.lowlevel.notify_closing(self._news)
            self._news.close()


def removed(octets: bytes, index: int) -> bool:
    """Do the messages say that the interface `index` is gone?"""
    offset = 0
    while offset + HEADER.size <= len(octets):
        length, kind, about = HEADER.unpack_from(octets, offset)
        if kind == RTM_DELLINK and about == index:
            return True
        offset += max(HEADER.size, (length + 3) & ~3)
    return False
