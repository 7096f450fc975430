"""pcap:// — a network interface of this host: what comes in by it is received, what is sent leaves by it.

    pcap://eth0
    pcap://eth0/promisc=off

The interface is promiscuous meanwhile, so that frames to the addresses of a virtual network arrive. What the host
itself sends is not received, nor is what we send given to the host, as with libvdeplug's plug: for that, put a tap and
the interface in a bridge (tap://, macvtap://). The interface must be up; when it goes down or away, the link breaks.

It takes the capability CAP_NET_RAW (`setcap cap_net_raw+ep`, or root), in the interface's network namespace.

A packet socket (packet(7)) is used, not libpcap. What the kernel took from a frame or left undone is restored: VLAN
tags, check sums that the network card would have filled in (veth), TCP segments that were merged (GRO) or not yet cut.
Merged UDP is dropped and counted (`offload`): `ethtool -K eth0 rx-udp-gro-forwarding off`.

Peer: libvdeplug-pcap 0.1 (libpcap), on either end of a veth; the kernel's own network stack. Difference, on purpose:
that one drops every frame whose source is the interface's own address, from wherever it comes; here it is the direction
that counts, so that one may use the interface's address on the virtual network.

Limits: greatest frame: the interface's MTU and 18 octets. Not the loopback interface, which gives back what is sent.
Not supported: filters (BPF), wireless interfaces that accept no other source address than theirs (a bridge does not
work with them either).
"""

import errno
import fcntl
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import trio

from plugs.parts import offload
from vde.descriptor_link import DescriptorLink
from vde.errors import ConfigError, LinkBroken
from vde.frame import HEADER_OCTETS, TAG_OCTETS
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings, option

ETH_P_ALL = 0x0003  # linux/if_ether.h
SOL_PACKET = 263  # linux/socket.h
PACKET_ADD_MEMBERSHIP, PACKET_AUXDATA, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 1, 8, 15, 23  # linux/if_packet.h
PACKET_MR_PROMISC = 1
PACKET_MREQ = struct.Struct("=iHH8s")  # packet(7): mr_ifindex, mr_type, mr_alen, mr_address
AUXDATA = struct.Struct("=IIIHHHH")  # packet(7): tp_status, tp_len, tp_snaplen, tp_mac, tp_net, tp_vlan_tci, _tpid
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 1 << 4, 1 << 6
PACKET_OUTGOING = 4
ARPHRD_ETHER = 1  # linux/if_arp.h
SIOCGIFMTU = 0x8921  # netdevice(7)
IFREQ_MTU = struct.Struct("=16si20x")
READ_OCTETS = offload.HEADER.size + (1 << 16) + 32  # the longest that is merged, with its headers
GONE = (errno.ENETDOWN, errno.ENXIO, errno.ENODEV)


@dataclass(frozen=True)
class Params:
    """Options of pcap://."""

    promisc: bool = option(True, "receive what is sent to others' addresses as well")


class PcapLink(DescriptorLink):
    """A packet socket."""

    def __init__(self, packets: socket.socket, interface: str, mtu_octets: int) -> None:
        super().__init__(packets.fileno())
        self.mtu_octets = mtu_octets
        self._packets = packets
        self._interface = interface
        self._buffer = bytearray(READ_OCTETS)
        self._cut: list[bytes] = []
        """Segments of the frame that was read last, in reverse."""

    async def receive(self) -> list[bytes]:
        """As `Link.receive`."""
        if self._cut:
            await trio.lowlevel.checkpoint()
            if frames := self._drain():
                return frames
        return await super().receive()

    def _read(self) -> bytes | None:
        if self._cut:
            return self._cut.pop()
        view = memoryview(self._buffer)
        octets, control, flags, sender = self._packets.recvmsg_into([view], socket.CMSG_SPACE(AUXDATA.size))
        if sender[2] == PACKET_OUTGOING:
            return None
        if flags & socket.MSG_TRUNC:
            self.counters.drop_in("oversize")
            return None
        frame = bytes(view[offload.HEADER.size : octets])
        header = bytes(view[: offload.HEADER.size])
        frames = [frame] if header == offload.NOTHING_TO_DO else offload.finish(header, frame)
        if frames is None:
            self.counters.drop_in("offload")
            return None
        if (tag := _tag(control)) is not None:
            frames = [one[:12] + tag + one[12:] for one in frames]
        self._cut = frames[:0:-1]
        return frames[0]

    def _read_failed(self, error: OSError) -> None:
        if error.errno in GONE:
            raise LinkBroken(f"the interface {self._interface} is down or gone") from error
        self.counters.drop_in("offload")  # EINVAL: the kernel has no words for what is left to do with a frame

    def _write(self, frame: bytes) -> None:
        self._packets.send(offload.NOTHING_TO_DO + frame)

    def _write_failed(self, error: OSError) -> None:
        if error.errno in GONE:
            raise LinkBroken(f"the interface {self._interface} is down or gone") from error
        self.counters.drop_out({errno.EMSGSIZE: "oversize", errno.ENOBUFS: "full"}.get(error.errno or 0, "refused"))


def _tag(control: list[tuple[int, int, bytes]]) -> bytes | None:
    """The VLAN tag that the kernel took from the frame."""
    for level, kind, octets in control:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA) and len(octets) >= AUXDATA.size:
            fields: tuple[int, ...] = AUXDATA.unpack_from(octets)
            status, tci, tpid = fields[0], fields[5], fields[6]
            if status & TP_STATUS_VLAN_VALID:
                return (tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100).to_bytes(2) + tci.to_bytes(2)
    return None


@contextmanager
def open_packets(interface: str, *, promiscuous: bool) -> Iterator[socket.socket]:
    """A packet socket of one interface.

    Raises:
        ConfigError: a privilege is missing, or it is no Ethernet interface.
        LinkBroken: it is not there.
    """
    try:
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    except PermissionError:
        raise ConfigError(
            f"pcap://{interface}: a packet socket takes the capability CAP_NET_RAW: run as root, or "
            "`setcap cap_net_raw+ep` the program; tap:// and nat:// do without"
        ) from None
    with packets:
        packets.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        packets.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        with suppress(OSError):  # before Linux 4.20 every outgoing frame is read, and dropped by us
            packets.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        try:
            index = socket.if_nametoindex(interface)
            packets.bind((interface, ETH_P_ALL))
            if promiscuous:
                member = PACKET_MREQ.pack(index, PACKET_MR_PROMISC, 0, b"")
                packets.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, member)
        except OSError as error:
            raise LinkBroken(f"pcap://{interface}: {error.strerror}: no such interface (now)") from None
        if (kind := packets.getsockname()[3]) != ARPHRD_ETHER:
            raise ConfigError(f"pcap://{interface}: an Ethernet interface was expected; its type is {kind} (ARPHRD_…)")
        yield packets


def _mtu_octets(packets: socket.socket, interface: str) -> int:
    answer = fcntl.ioctl(packets.fileno(), SIOCGIFMTU, IFREQ_MTU.pack(interface.encode(), 0))
    mtu: int = IFREQ_MTU.unpack(answer)[1]
    return mtu + HEADER_OCTETS + TAG_OCTETS


@asynccontextmanager
async def open_pcap(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: the interface's name."""
    with open_packets(address, promiscuous=params.promisc) as packets:
        link = PcapLink(packets, address, _mtu_octets(packets, address))
        try:
            yield link
        finally:
            link.end()


PLUG = PlugSpec("pcap", open_pcap, Params, syntax="pcap://INTERFACE[/OPTION…]")
