"""The BPDU of vde_switch's fast spanning tree: the layout of RSTP's, with meanings of its own.

IEEE 802.3 length and LLC, big endian. A tag (81 00, TCI) may stand before the length; then all that follows is 4 octets
further on.

    offset size
    0      6    destination, the bridge group address (IEEE 802.1D-2004 table 7-10)
    6      6    source: the switch's address
    12     2    length: 39
    14     3    LLC: 42 42 03 (IEEE 802.1D-2004 §7.12.3)
    17     2    protocol 0
    19     1    version 2
    20     1    type 2
    21     1    flags, see `Flags`
    22     8    root: priority (2 octets) and address of the switch that is thought to be the root
    30     4    cost of the sender's way to the root
    34     8    bridge: priority and address of the sender
    42     2    port of the sender, see `port_id`
    44     2    age: time since the sender last heard of the root, in 1/256 s
    46     2    max age, in 1/256 s: 40 s
    48     2    hello time, in 1/256 s: 4 s
    50     2    forward delay: 0
    52     1    version 1 length: 0

Source: frames of vde_switch 2.3.2; IEEE 802.1D-2004 §9.3.3 for the layout. The flags are **not** IEEE 802.1w's: two
roles are swapped and the proposal bit says something else, so a real RSTP bridge and this protocol do not understand
each other, although each takes the other's frames for its own.

Limits: vde_switch takes frames from 51 octets on, and so does this; padding behind octet 53 is ignored. The length
field and the destination are not looked at (the forwarder has chosen by destination). Ages from 256 s on, which
vde_switch writes low octet first, read as less than they are; it forgets a root after 16 s, so none are seen.
"""

import struct
from dataclasses import dataclass
from enum import IntFlag

from vde.errors import WireError
from vde.frame import TAG_OCTETS, TPID

GROUP_ADDRESS = bytes.fromhex("0180c2000000")
LENGTH = 39  # LLC and an RST BPDU of 36 octets
LLC = bytes.fromhex("424203")
PROTOCOL = 0
VERSION = 2
TYPE = 2
LEAST_OCTETS = 51  # what vde_switch accepts; a whole one has 53
OCTETS = 53
SECOND = 256  # times are in 1/256 s: IEEE 802.1D-2004 §9.2.8
ID_OCTETS = 8
PORT_ID_PLAIN = 0x800  # ports below have vde_switch's identifier

_TAG_OFFSET = 12
_TCI_OFFSET = 14
_ADDRESSES = struct.Struct(">6s6s")
_BODY = struct.Struct(">H3sHBBB8sI8sHHHHHB")  # from the length on


class Flags(IntFlag):
    """Octet 21. Root port: neither `NOT_ROOT` nor `BACKUP`; designated: `NOT_ROOT | NOT_BACKUP`."""

    TOPOLOGY_CHANGE = 0x01
    BACKUP = 0x02
    """The sender's port is blocked: it waits for the receiver to become its child (802.1w: proposal)."""
    NOT_BACKUP = 0x04
    NOT_ROOT = 0x08
    LEARNING = 0x10
    FORWARDING = 0x20
    AGREEMENT = 0x40
    """A hello, or the answer of a new root port."""
    TOPOLOGY_CHANGE_ACK = 0x80
    """Never set by vde_switch, and ignored."""


ROLE_MASK = Flags.NOT_BACKUP | Flags.NOT_ROOT
ROLE_ROOT = Flags.NOT_BACKUP
ROLE_DESIGNATED = ROLE_MASK


@dataclass(frozen=True, slots=True)
class Bpdu:
    """One BPDU; see the table above.

    Attributes:
        tci: the tag's 16 bits (PCP, DEI, VID); None if the frame is untagged.
        age, max_age, hello, forward_delay: in 1/256 s.
    """

    source: bytes
    flags: Flags
    root: bytes
    cost: int
    bridge: bytes
    port: int
    age: int = 0
    max_age: int = 40 * SECOND
    hello: int = 4 * SECOND
    forward_delay: int = 0
    tci: int | None = None

    def emit(self) -> bytes:
        """The frame, ready for the wire: 53 octets, tagged 57."""
        tag = b"" if self.tci is None else TPID + self.tci.to_bytes(2, "big")
        body = _BODY.pack(
            LENGTH,
            LLC,
            PROTOCOL,
            VERSION,
            TYPE,
            self.flags,
            self.root,
            self.cost,
            self.bridge,
            self.port,
            self.age,
            self.max_age,
            self.hello,
            self.forward_delay,
            0,
        )
        return _ADDRESSES.pack(GROUP_ADDRESS, self.source) + tag + body


def parse(frame: bytes) -> Bpdu:
    """A frame as received.

    Raises:
        WireError: it is too short, or a BPDU of another protocol (STP, MSTP).
    """
    tci = None
    untagged = frame
    if frame[_TAG_OFFSET:_TCI_OFFSET] == TPID:
        tci = int.from_bytes(frame[_TCI_OFFSET : _TCI_OFFSET + 2], "big")
        untagged = frame[:_TAG_OFFSET] + frame[_TAG_OFFSET + TAG_OCTETS :]
    if len(untagged) < LEAST_OCTETS:
        raise WireError(f"a BPDU of {len(untagged)} octets without its tag: at least {LEAST_OCTETS} were expected")
    whole = untagged[:OCTETS].ljust(OCTETS, b"\0")
    _, source = _ADDRESSES.unpack_from(whole)
    (_, llc, protocol, version, kind, flags, root, cost, bridge, port, age, max_age, hello, forward_delay, _) = (
        _BODY.unpack_from(whole, _ADDRESSES.size)
    )
    if llc != LLC:
        raise WireError(f"LLC {llc.hex(' ')}: {LLC.hex(' ')} was expected in a BPDU")
    if (protocol, version, kind) != (PROTOCOL, VERSION, TYPE):
        raise WireError(f"a BPDU of protocol {protocol}, version {version}, type {kind}: 0, 2, 2 were expected")
    return Bpdu(source, Flags(flags), root, cost, bridge, port, age, max_age, hello, forward_delay, tci)


def bridge_id(priority: int, mac: bytes) -> bytes:
    """Eight octets that order switches: the lowest becomes the root. `priority` is taken modulo 65536."""
    return (priority & 0xFFFF).to_bytes(2, "big") + mac


def port_id(port: int) -> int:
    """The 16 bits that stand for a port, 0…65535, in BPDUs; no two ports have the same.

    vde_switch's are 0x80 | port bits 10:4, then port bits 7:0, which repeats from port 2048 on. From there a port is
    its number, or, if that number is already another's identifier, trades places with it.
    """
    if port < PORT_ID_PLAIN:
        return (0x80 | port >> 4) << 8 | port & 0xFF
    high, low = divmod(port, 0x100)
    low_port = (high & 0x7F) << 4 | low & 0x0F
    if port == (0x80 | low_port >> 4) << 8 | low_port & 0xFF:
        return low_port
    return port
