"""macvtap://INTERFACE — a macvtap interface of this machine: a second network card on one that the host uses.

    ip link add link eth0 name mv0 type macvtap mode bridge && ip link set mv0 up
    chown $USER /dev/tap$(cat /sys/class/net/mv0/ifindex)              or run as root
    vde plug macvtap://mv0 vde:///run/sw.ctl

The interface must be there and up; it keeps its address (frames to other unicast addresses do not come in, unless it is
promiscuous). The host itself cannot be reached through it: macvtap's rule, for every mode.

Wire: one frame a `read` and `write` of /dev/tapN, where N is the interface's index (IFF_TAP, IFF_NO_PI). The link can
be handed over to a forwarder. It breaks when the interface is removed.

Shown with: a macvtap on a veth pair in a network namespace. (libvdeplug's own macvtap plug is not in Debian.)
Limits: frames of up to 9234 octets, and of the card's MTU. Not supported: vnet headers, several queues.
"""

import errno
import fcntl
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from plugs.parts.hangup import Watched
from plugs.parts.removal import Removal
from plugs.tap import TapLink
from vde.errors import ConfigError, LinkBroken
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings
from vde.tun import IFF_NO_PI, IFF_TAP, IFNAMSIZ, IFREQ, TUNSETIFF

_RECIPE = "ip link add link CARD name NAME type macvtap mode bridge"


@dataclass(frozen=True)
class Params:
    """No options."""


class MacvtapLink(TapLink):
    """A macvtap's device. Who reads it hears nothing of the interface's removal."""

    def __init__(self, fd: int, interface: str) -> None:
        """Raises `OSError`: the interface is gone."""
        self._removal = Removal(interface)
        self._both = Watched(readable=[fd, self._removal.fd])
        super().__init__(fd, interface, self._removal, self._both.fd)

    def _drain(self) -> list[bytes]:
        frames = super()._drain()
        if not frames and self._removal.happened():
            self._broken = self._removed()
        return frames

    def _write_failed(self, error: OSError) -> None:
        if self._removal.happened():
            raise self._removed() from error
        super()._write_failed(error)

    def close(self) -> None:
        """For whoever made it."""
        super().close()
        self._both.close()


@asynccontextmanager
async def open_macvtap(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: the interface's name."""
    fd = _open(address)
    try:
        link = MacvtapLink(fd, address)
    except OSError as error:
        os.close(fd)
        raise LinkBroken(f"macvtap://{address}: {error.strerror}") from error
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
        fcntl.ioctl(fd, TUNSETIFF, IFREQ.pack(name, IFF_TAP | IFF_NO_PI))
    except OSError as error:
        os.close(fd)
        raise ConfigError(f"macvtap://{interface}: {device}: {error.strerror}") from None
    return fd


PLUG = PlugSpec("macvtap", open_macvtap, Params, syntax="macvtap://INTERFACE")
