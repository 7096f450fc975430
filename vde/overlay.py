"""The core of vxlan:// and vxvde://: header, and which address is behind which endpoint. Sans-I/O.

    octet 0   flags: 0x08 "the VNI is valid", the others 0
          1-3 reserved, 0
          4-6 VNI, big-endian
          7   reserved, 0
          8-  Ethernet frame without FCS

Source: RFC 7348 §4 and §5. On receipt, reserved bits are ignored (§5), or must be 0 where `strict` (vxvde).

Frames to a group address, and to one that nobody has used as a source, go to the default destinations (§4.2). What is
known is kept per address and VLAN (the first tag's VID), as libvdeplug's table has it.

Limits: at most `limit` addresses; then a new one takes the place of the one unheard of for the longest time. Peers are
not authenticated: whoever can send a datagram can claim an address.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from vde.errors import WireError
from vde.frame import HEADER_OCTETS, TPID, VID_MASK, is_group

VXLAN_OCTETS = 8  # RFC 7348 §5
FLAG_VNI = 0x08
VNI_MAX = (1 << 24) - 1

Place = TypeVar("Place", bound=Hashable)
"""An endpoint's address, as its adapter has it."""


@dataclass(frozen=True, slots=True)
class Header:
    """The eight octets. `reserved` are the other 36 bits' octets: flags without the VNI flag, octets 1-3, octet 7."""

    vni: int
    reserved: bytes = bytes(5)

    def emit(self) -> bytes:
        """Eight octets."""
        reserved = self.reserved
        return bytes([FLAG_VNI | reserved[0]]) + reserved[1:4] + self.vni.to_bytes(3) + reserved[4:]


def parse(datagram: bytes) -> Header:
    """The header at the beginning of a datagram.

    Raises:
        WireError: too short, or without a VNI.
    """
    if len(datagram) < VXLAN_OCTETS:
        raise WireError(f"a VXLAN datagram of {len(datagram)} octets: at least {VXLAN_OCTETS} were expected")
    if not datagram[0] & FLAG_VNI:
        raise WireError(f"VXLAN flags {datagram[0]:#04x}: {FLAG_VNI:#04x} was expected")
    reserved = bytes([datagram[0] & ~FLAG_VNI]) + datagram[1:4] + datagram[7:8]
    return Header(int.from_bytes(datagram[4:7]), reserved)


def key(address: bytes, frame: bytes) -> tuple[bytes, int]:
    """What the table knows an address by: itself, and the VLAN of the frame (0: untagged)."""
    vlan = int.from_bytes(frame[14:16]) & VID_MASK if frame[12:14] == TPID and len(frame) >= 16 else 0
    return address, vlan


class EndpointTable(Generic[Place]):
    """Which endpoint an address was last heard from."""

    def __init__(self, limit: int, expire_ns: int) -> None:
        self._limit = limit
        self._expire_ns = expire_ns
        self._known: OrderedDict[tuple[bytes, int], tuple[Place, int]] = OrderedDict()
        """Oldest first."""

    def __len__(self) -> int:
        return len(self._known)

    def learn(self, address: tuple[bytes, int], place: Place, now_ns: int) -> None:
        """`address` is heard from `place`."""
        self._known[address] = (place, now_ns)
        self._known.move_to_end(address)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)

    def find(self, address: tuple[bytes, int], now_ns: int) -> Place | None:
        """Where `address` is; None: unknown, or not heard of for too long."""
        found = self._known.get(address)
        if found is None:
            return None
        place, heard_ns = found
        if now_ns - heard_ns > self._expire_ns:
            del self._known[address]
            return None
        return place

    def forget(self, place: Place) -> None:
        """All addresses behind `place`."""
        for address in [address for address, (where, _) in self._known.items() if where == place]:
            del self._known[address]


class Overlay(Generic[Place]):
    """One virtual network: frames to datagrams and destinations, datagrams to frames."""

    def __init__(self, vni: int, *, limit: int, expire_ns: int, strict: bool, leaves: bool) -> None:
        """An empty network.

        Args:
            limit: of the table, addresses.
            expire_ns: how long an address is known.
            strict: reserved bits must be 0.
            leaves: a header alone means that its sender leaves (vxvde); otherwise it is a short frame.
        """
        self.header = Header(vni).emit()
        self.table: EndpointTable[Place] = EndpointTable(limit, expire_ns)
        self._vni = vni
        self._strict = strict
        self._leaves = leaves

    def destination(self, frame: bytes, now_ns: int) -> Place | None:
        """Of a frame of at least 14 octets; None: the default ones."""
        if is_group(frame):
            return None
        return self.table.find(key(frame[:6], frame), now_ns)

    def receive(self, datagram: bytes, sender: Place, now_ns: int) -> bytes | str:
        """The frame in a datagram, or in one word why there is none (`leave` is no fault)."""
        try:
            header = parse(datagram)
        except WireError:
            return "header"
        if self._strict and any(header.reserved):
            return "header"
        if header.vni != self._vni:
            return "vni"
        frame = datagram[VXLAN_OCTETS:]
        if not frame and self._leaves:
            self.table.forget(sender)
            return "leave"
        if len(frame) < HEADER_OCTETS:
            return "short"
        source = frame[6:12]
        if not is_group(source):
            self.table.learn(key(source, frame), sender, now_ns)
        return frame
