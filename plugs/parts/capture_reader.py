"""Frames in capture files: pcapng and the older pcap, of either byte order, a piece at a time. Sans-I/O.

Sources: draft-ietf-opsawg-pcapng-03 (sections given below); draft-ietf-opsawg-pcap-04 §4 and §5 for pcap.

    pcap header   magic u32 (0xA1B2C3D4 µs, 0xA1B23C4D ns) · major u16 · minor u16 · 0 i32 · 0 u32 · snap length u32
                  · link type u32: bits 15:0 type, 26 "FCS length is given", 31:28 half of that length
    pcap packet   seconds u32 · fraction u32 · captured u32 · original u32 · octets

Of pcapng the blocks section header, interface, enhanced packet, simple packet and (obsolete) packet are read, others
passed over. A captured FCS is taken off. What is no Ethernet frame, or only the beginning of one, is counted, no more.

Limits, each against a file that somebody else made: a block of `BLOCK_MOST` octets, `INTERFACES_MOST` interfaces in a
section; what is kept is one block and one piece. Not supported: compressed files, pcap with Kuznetzov's magic.
"""

import struct
from dataclasses import dataclass

from vde.errors import WireError
from vde.frame import HEADER_OCTETS
from vde.pcapng import (
    BYTE_ORDER_MAGIC,
    ENHANCED_PACKET,
    INTERFACE_DESCRIPTION,
    LINKTYPE_ETHERNET,
    SECTION_HEADER,
)

BLOCK_MOST = 16 << 20  # chosen; Wireshark's own limit
INTERFACES_MOST = 4096  # chosen
OBSOLETE_PACKET, SIMPLE_PACKET = 2, 3  # appendix A, §4.4
FIXED_OCTETS = {ENHANCED_PACKET: 20, OBSOLETE_PACKET: 20, SIMPLE_PACKET: 4}
IF_TSRESOL, IF_FCSLEN, IF_TSOFFSET, EPB_FLAGS = 9, 13, 14, 2  # §4.2, §4.3
MICROSECONDS = 1_000_000
SECOND_NS = 1_000_000_000
PCAP_UNITS = {0xA1B2C3D4: 1_000, 0xA1B23C4D: 1}  # nanoseconds of a fraction
PCAP_HEADER_OCTETS, PCAP_PACKET_OCTETS = 24, 16
PCAP_FCS_GIVEN = 1 << 26
GZIP = b"\x1f\x8b"
FCS_MASK = 0xF


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame, without FCS, and when it was captured (nanoseconds since 1970)."""

    when_ns: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class _Interface:
    link_type: int
    snap_octets: int
    ticks_per_s: int = MICROSECONDS
    offset_s: int = 0
    fcs_octets: int = 0

    def when_ns(self, ticks: int) -> int:
        return self.offset_s * SECOND_NS + ticks * SECOND_NS // self.ticks_per_s


class CaptureReader:
    """`feed` it a file's octets, and take what `next_frame` finds in them."""

    def __init__(self) -> None:
        self.offset = 0
        """Of the block or packet that comes next, from the beginning of the file."""
        self.other = 0
        """Packets that are no Ethernet frames, or shorter than 14 octets."""
        self.cut = 0
        """Frames of which only the beginning was captured."""
        self._buffer = bytearray()
        self._begin = 0
        self._order = ""
        """`<` or `>` once the file's (section's) byte order is known."""
        self._pcap: _Interface | None = None
        self._pcap_unit_ns = 0
        self._interfaces: list[_Interface] = []
        self._last_ns = 0

    @property
    def is_between_blocks(self) -> bool:
        """Would the end of the file here cut nothing off?"""
        return self._begin == len(self._buffer) and bool(self._order)

    def feed(self, octets: bytes) -> None:
        """More octets."""
        del self._buffer[: self._begin]
        self._begin = 0
        self._buffer += octets

    def next_frame(self) -> Captured | None:
        """The next frame; None: more octets are needed.

        Raises:
            WireError: this is no capture file, or it is damaged at `offset`. It stays so.
        """
        while True:
            size = self._size_of_next()
            if size == 0 or self._begin + size > len(self._buffer):
                return None
            piece = bytes(self._buffer[self._begin : self._begin + size])
            found = self._read_block(piece) if self._pcap is None else self._read_pcap_packet(piece, self._pcap)
            self._begin += size
            self.offset += size
            if found is not None:
                return found

    def _size_of_next(self) -> int:
        """Octets of the next block, packet or header; 0: not known yet. Finds the byte order."""
        head = self._buffer[self._begin : self._begin + PCAP_PACKET_OCTETS]
        if self._pcap is not None:
            if len(head) < PCAP_PACKET_OCTETS:
                return 0
            captured = self._numbers("II", head, 8)[0]
            if captured > BLOCK_MOST:
                raise WireError(f"a packet of {captured} octets: at most {BLOCK_MOST} were expected")
            return PCAP_PACKET_OCTETS + captured
        if len(head) < 12:
            return 0
        if int.from_bytes(head[:4]) == SECTION_HEADER:  # the same in either order
            self._order = _order_of(bytes(head[8:12]), BYTE_ORDER_MAGIC)
            if not self._order:
                raise WireError("a section header without the byte-order magic")
        elif not self._order:
            return self._find_pcap(bytes(head))
        length = self._numbers("I", head, 4)[0]
        if not 12 <= length <= BLOCK_MOST or length % 4:
            raise WireError(f"a block of {length} octets: 12 to {BLOCK_MOST}, a multiple of 4, was expected")
        return length

    # -- pcap ---------------------------------------------------------------------------------------------------------

    def _find_pcap(self, head: bytes) -> int:
        """The file's header, as if it were a block; read when it is whole."""
        for magic in PCAP_UNITS:
            if _order_of(head[:4], magic):
                return PCAP_HEADER_OCTETS
        hint = ": it is compressed; gunzip it first" if head.startswith(GZIP) else ""
        raise WireError(f"no capture file, neither pcapng nor pcap{hint}")

    def _read_pcap_header(self, piece: bytes) -> None:
        for magic, unit_ns in PCAP_UNITS.items():
            if order := _order_of(piece[:4], magic):
                self._order, self._pcap_unit_ns = order, unit_ns
        snap_octets, link_type = self._numbers("II", piece, 16)
        fcs_octets = (link_type >> 28) * 2 if link_type & PCAP_FCS_GIVEN else 0
        self._pcap = _Interface(link_type & 0xFFFF, snap_octets, fcs_octets=fcs_octets)

    def _read_pcap_packet(self, piece: bytes, interface: _Interface) -> Captured | None:
        seconds, fraction, _, original = self._numbers("IIII", piece, 0)
        when_ns = seconds * SECOND_NS + fraction * self._pcap_unit_ns
        return self._frame(interface, when_ns, piece[PCAP_PACKET_OCTETS:], original, interface.fcs_octets)

    # -- pcapng -------------------------------------------------------------------------------------------------------

    def _read_block(self, piece: bytes) -> Captured | None:
        if not self._order:
            self._read_pcap_header(piece)
            return None
        kind, length = self._numbers("II", piece, 0)
        if self._numbers("I", piece, length - 4)[0] != length:
            raise WireError(f"a block of {length} octets, which is not said at its end")
        body = piece[8:-4]
        if kind == SECTION_HEADER:
            if len(body) < 16:
                raise WireError(f"a section header of {length} octets: at least 28 were expected")
            self._interfaces.clear()
        elif kind == INTERFACE_DESCRIPTION:
            self._read_interface(body)
        elif kind in FIXED_OCTETS:
            return self._read_packet(kind, body)
        return None

    def _read_interface(self, body: bytes) -> None:
        if len(body) < 8:
            raise WireError("an interface description without its fixed part")
        if len(self._interfaces) >= INTERFACES_MOST:
            raise WireError(f"more than {INTERFACES_MOST} interfaces")
        link_type, _, snap_octets = self._numbers("HHI", body, 0)
        ticks, offset_s, fcs_octets = MICROSECONDS, 0, 0
        for code, value in self._options(body[8:]):
            if code == IF_TSRESOL and len(value) == 1:
                ticks = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == IF_TSOFFSET and len(value) == 8:
                offset_s = self._numbers("q", value, 0)[0]
            elif code == IF_FCSLEN and len(value) == 1:
                fcs_octets = value[0]
        self._interfaces.append(_Interface(link_type, snap_octets, ticks, offset_s, fcs_octets))

    def _read_packet(self, kind: int, body: bytes) -> Captured | None:
        fixed = FIXED_OCTETS[kind]
        if len(body) < fixed:
            raise WireError("a packet block without its fixed part")
        number, ticks = 0, None
        if kind == SIMPLE_PACKET:
            original = self._numbers("I", body, 0)[0]
            captured = original
        else:
            high, low, captured, original = self._numbers("IIII", body, 4)
            number = self._numbers("I" if kind == ENHANCED_PACKET else "H", body, 0)[0]
            ticks = high << 32 | low
        if number >= len(self._interfaces):
            raise WireError(f"a packet of interface {number}, of {len(self._interfaces)}")
        interface = self._interfaces[number]
        if kind == SIMPLE_PACKET:
            captured = min(captured, interface.snap_octets or captured, len(body) - fixed)
        if fixed + captured > len(body):
            raise WireError(f"a packet of {captured} octets in a block of {len(body) + 12}")
        when_ns = self._last_ns if ticks is None else interface.when_ns(ticks)
        fcs_octets = interface.fcs_octets
        if kind == ENHANCED_PACKET:
            for code, value in self._options(body[fixed + captured + -captured % 4 :]):
                if code == EPB_FLAGS and len(value) == 4:
                    fcs_octets = self._numbers("I", value, 0)[0] >> 5 & FCS_MASK or fcs_octets
        return self._frame(interface, when_ns, body[fixed : fixed + captured], original, fcs_octets)

    def _options(self, octets: bytes) -> list[tuple[int, bytes]]:
        """Code and value of each, up to the end, or to what is no option."""
        found: list[tuple[int, bytes]] = []
        offset = 0
        while offset + 4 <= len(octets):
            code, length = self._numbers("HH", octets, offset)
            if code == 0 or offset + 4 + length > len(octets):
                break
            found.append((code, octets[offset + 4 : offset + 4 + length]))
            offset += 4 + length + -length % 4
        return found

    # -- both ---------------------------------------------------------------------------------------------------------

    def _frame(
        self, interface: _Interface, when_ns: int, octets: bytes, original: int, fcs_octets: int
    ) -> Captured | None:
        self._last_ns = when_ns
        whole = len(octets) >= original
        if whole and fcs_octets:
            octets = octets[: max(0, len(octets) - fcs_octets)]
        if interface.link_type != LINKTYPE_ETHERNET or len(octets) < HEADER_OCTETS:
            self.other += 1
        elif not whole:
            self.cut += 1
        else:
            return Captured(when_ns, octets)
        return None

    def _numbers(self, layout: str, octets: bytes | bytearray, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + layout, octets, offset)


def _order_of(octets: bytes, magic: int) -> str:
    if octets == magic.to_bytes(4, "little"):
        return "<"
    return ">" if octets == magic.to_bytes(4, "big") else ""
