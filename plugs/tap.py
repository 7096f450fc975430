"""tap://INTERFACE — a tap interface of this machine: the kernel at the other end.

    ip tuntap add tap0 mode tap user $USER && ip link set tap0 up     once, as root; afterwards no privilege is needed
    vde plug tap://tap0 vde:///run/sw.ctl
    tap://tap0/up/mtu=9000                                            as root: made, and up, while the link is open

The interface is made if it is missing, which takes CAP_NET_ADMIN, and then goes away with the link. It is brought up,
and its MTU set, only if the options say so. A network namespace is that of the process. See also `vde tap`.

Wire: one frame a `read` and `write` of /dev/net/tun (IFF_TAP, IFF_NO_PI). The link can be handed over to a forwarder.
Where the kernel can, a virtio-net header stands before each frame (IFF_VNET_HDR): a forwarder then takes TCP and UDP in
pieces of 64 KiB, which pass to another tap as they are; `no-offload` forbids it.
It breaks when the interface is removed.

Shown with: the Linux kernel (ping and TCP in a network namespace), vdeplug4's options.
Limits: frames of up to 9234 octets. While the interface is down, frames to it are dropped and counted (`refused`).
Not supported: several queues.
"""

import errno
import fcntl
import os
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn

import trio

from plugs.parts.removal import Removal
from vde.descriptor_link import DescriptorLink
from vde.endpoint import EndpointKind, HandedOver
from vde.errors import ConfigError, LinkBroken, LinkClosed
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings, option
from vde.tun import IFREQ
from vde.tun import open_tap as open_device

TUNSETOFFLOAD = 0x400454D0  # _IOW('T', 208, unsigned int)
VNET_OCTETS = 10  # virtio 1.2 §5.1.6.1: flags (1: unfinished checksum), kind of segments, and what is 0 with them
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFMTU = 0x8913, 0x8914, 0x8922  # linux/sockios.h
IFF_UP = 0x1  # linux/if.h
IFREQ_MTU = struct.Struct("=16si20x")  # ifr_name, ifr_mtu


@dataclass(frozen=True)
class Params:
    """Options."""

    up: bool = option(False, "bring the interface up")
    mtu: int | None = option(None, "its MTU", least=68, most=65521, unit="octets")
    no_offload: bool = option(False, "only whole checksums and frames within the MTU, also for a forwarder")


class TapLink(DescriptorLink):
    """A tap's character device. Owns the descriptor."""

    def __init__(self, fd: int, interface: str, removal: Removal, wait_fd: int | None = None, before: int = 0) -> None:
        """As in `DescriptorLink`.

        Args:
            removal: of the interface; closed with the link.
            wait_fd: what is readable when there are frames, if that is not `fd`.
            before: octets of the virtio-net header before each frame.
        """
        os.set_blocking(fd, False)
        super().__init__(fd if wait_fd is None else wait_fd, write_fd=fd)
        self._device = fd
        self._interface = interface
        self._removal = removal
        self._before = bytes(before)

    def _read(self) -> bytes | None:
        octets = os.read(self._device, len(self._before) + self.mtu_octets + 1)
        if self._before and (octets[0] & 1 or octets[1]):
            self.counters.drop_in("offload")  # was waiting when a forwarder gave the tap back
            return None
        return octets[len(self._before) :]

    def _read_failed(self, error: OSError) -> None:
        if error.errno != errno.EIO:  # it is down
            raise self._removed() from error

    def _write(self, frame: bytes) -> None:
        os.write(self._device, self._before + frame)

    def _write_failed(self, error: OSError) -> None:
        if error.errno == errno.EBADFD:
            raise self._removed() from error
        self.counters.drop_out("refused")

    def _removed(self) -> LinkBroken:
        return LinkBroken(f"interface {self._interface}: it was removed")

    async def watch(self) -> NoReturn:
        """As `Link.watch`: the interface's removal."""
        try:
            await self._removal.wait()
        except trio.ClosedResourceError:
            raise LinkClosed("the link is closed") from None
        raise self._removed()

    @property
    def handed_kind(self) -> EndpointKind | None:
        """As `Link.handed_kind`."""
        return EndpointKind.TAP_VNET if self._before else EndpointKind.TAP

    def hand_over(self) -> HandedOver | None:
        """As `Link.hand_over`."""
        return HandedOver(os.dup(self._device), EndpointKind.TAP_VNET if self._before else EndpointKind.TAP)

    def take_back(self) -> bool:
        """As `Link.take_back`."""
        if self._before:
            fcntl.ioctl(self._device, TUNSETOFFLOAD, 0)
        return True

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        return {"interface": self._interface}

    def close(self) -> None:
        """For whoever made it."""
        self.end()
        self._removal.close()
        os.close(self._device)


@asynccontextmanager
async def open_tap(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: the interface's name; `%d` in it is a number that the kernel chooses."""
    fd, interface, header = open_device(address, f"tap://{address}", offloads=not params.no_offload)
    try:
        _configure(interface, params)
        link = TapLink(fd, interface, Removal(interface), before=VNET_OCTETS if header else 0)
    except BaseException:
        os.close(fd)
        raise
    try:
        yield link
    finally:
        link.close()


def _configure(interface: str, params: Params) -> None:
    name = os.fsencode(interface)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        try:
            if params.mtu is not None:
                fcntl.ioctl(asker, SIOCSIFMTU, IFREQ_MTU.pack(name, params.mtu))
            if params.up:
                _, flags = IFREQ.unpack(fcntl.ioctl(asker, SIOCGIFFLAGS, IFREQ.pack(name, 0)))
                fcntl.ioctl(asker, SIOCSIFFLAGS, IFREQ.pack(name, flags | IFF_UP))
        except OSError as error:
            hint = ": CAP_NET_ADMIN is missing" if error.errno == errno.EPERM else ""
            raise ConfigError(f"tap://{interface}: {error.strerror}{hint}") from None


PLUG = PlugSpec("tap", open_tap, Params, syntax="tap://INTERFACE")
