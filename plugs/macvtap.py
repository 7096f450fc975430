"""macvtap://INTERFACE — a macvtap interface of this machine: a second network card on one that the host uses.

    ip link add link eth0 name mv0 type macvtap mode bridge && ip link set mv0 up
    chown $USER /dev/tap$(cat /sys/class/net/mv0/ifindex)              or run as root
    vde plug macvtap://mv0 vde:///run/sw.ctl

The interface must be there and up; it keeps its address (frames to other unicast addresses do not come in, unless it is
promiscuous). The host itself cannot be reached through it: macvtap's rule, for every mode.

Wire: one frame a `read` and `write` of /dev/tapN, where N is the interface's index (IFF_TAP, IFF_NO_PI). The link can
be handed over to a forwarder. It breaks when the interface is removed.

Shown with: a macvtap on a veth pair in a network namespace.
Limits: frames of up to 9234 octets, and of the card's MTU. Not supported: vnet headers, several queues.
"""

import contextlib
import errno
import fcntl
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn

import trio

from plugs.hangup import Watched
from plugs.tap import IFF_NO_PI, IFF_TAP, IFNAMSIZ, IFREQ_FLAGS, TUNSETIFF, TapLink
from vde.errors import ConfigError, LinkBroken
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings

_RECIPE = "ip link add link CARD name NAME type macvtap mode bridge"

RTMGRP_LINK, RTM_DELLINK = 1, 17  # linux/rtnetlink.h
NEWS_HEADER = struct.Struct("=IH14xi")  # struct nlmsghdr: length, type; struct ifinfomsg: index
NEWS_OCTETS = 1 << 16


@dataclass(frozen=True)
class Params:
    """No options."""


class MacvtapLink(TapLink):
    """A macvtap's device, which does not tell of the interface's removal: rtnetlink(7) does."""

    def __init__(self, fd: int, interface: str) -> None:
        self._index = socket.if_nametoindex(interface)
        self._news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        try:
            self._news.bind((0, RTMGRP_LINK))
            self._both = Watched(readable=[fd, self._news.fileno()])
            super().__init__(fd, interface, self._both.fd)
        except BaseException:
            self._news.close()
            raise

    def _drain(self) -> list[bytes]:
        frames = super()._drain()
        if not frames:
            with contextlib.suppress(LinkBroken):  # `receive` raises it next
                self._read_news()
        return frames

    def _read_news(self) -> None:
        with contextlib.suppress(OSError):  # BlockingIOError: no more; ENOBUFS: some were lost
            while octets := self._news.recv(NEWS_OCTETS):
                if removed(octets, self._index):
                    self._broken = LinkBroken(f"interface {self._interface}: it was removed")
                    raise self._broken

    def _write_failed(self, error: OSError) -> None:
        self._read_news()
        super()._write_failed(error)

    async def watch(self) -> NoReturn:
        """As `Link.watch`: the interface's removal."""
        while True:
            await self._wait(trio.lowlevel.wait_readable, self._news.fileno())
            self._read_news()

    def close(self) -> None:
        """For whoever made it."""
        trio.lowlevel.notify_closing(self._news)
        super().close()
        self._both.close()
        self._news.close()


def removed(octets: bytes, index: int) -> bool:
    """Does a netlink message say that the interface `index` is gone?"""
    offset = 0
    while offset + NEWS_HEADER.size <= len(octets):
        length, kind, about = NEWS_HEADER.unpack_from(octets, offset)
        if kind == RTM_DELLINK and about == index:
            return True
        offset += max(NEWS_HEADER.size, (length + 3) & ~3)
    return False


@asynccontextmanager
async def open_macvtap(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: the interface's name."""
    fd = _open(address)
    try:
        link = MacvtapLink(fd, address)
    except BaseException:
        os.close(fd)
        raise
    try:
        yield link
    finally:
        link.close()


def _open(interface: str) -> int:
    name = os.fsencode(interface)
    if not 0 < len(name) < IFNAMSIZ or b"/" in name:
        raise ConfigError(f"macvtap://{interface}: a name of 1 to {IFNAMSIZ - 1} octets without '/' was expected")
    try:
        device = f"/dev/tap{socket.if_nametoindex(interface)}"
    except OSError:
        raise ConfigError(f"macvtap://{interface}: there is no such interface; make it: {_RECIPE}") from None
    try:
        fd = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        hint = ""
        if error.errno == errno.ENOENT:
            hint = f"; is {interface} a macvtap? Make one: {_RECIPE}"
        elif error.errno == errno.EACCES:
            hint = f"; as root: chown {os.geteuid()} {device}"
        raise ConfigError(f"macvtap://{interface}: {device}: {error.strerror}{hint}") from None
    try:
        fcntl.ioctl(fd, TUNSETIFF, IFREQ_FLAGS.pack(name, IFF_TAP | IFF_NO_PI))
    except OSError as error:
        os.close(fd)
        raise ConfigError(f"macvtap://{interface}: {device}: {error.strerror}") from None
    return fd


PLUG = PlugSpec("macvtap", open_macvtap, Params, syntax="macvtap://INTERFACE")
