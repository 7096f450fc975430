"""What an 82540EM does to packets on their way: checksums, segments, VLAN tags. Sans-I/O.

Specification: Intel 317453, §3.2.9 (receive checksum), §3.3.6–3.3.7 (contexts), §3.5 (TCP segmentation), §9 (VLAN).

The chip does not look at headers when it sends: the driver's context says where they are, and it adds, as told. When
it receives it looks for IPv4 with TCP or UDP, and reports whether the checksums are right.

| threat | stopped by |
|---|---|
| offsets beyond the packet | `Lie` is raised, and the packet is not sent |
| segments of no octets, without end (CVE-2016-1981's kin) | an MSS of 0 is a lie; `MOST_SEGMENTS` |
| header lengths longer than the packet (CVE-2010-4343's kin) | a lie |
"""

from dataclasses import dataclass
from typing import Final

from emulators.devices.net.e1000_registers import (
    MOST_SEGMENTS,
    RXCSUM_IPOFL,
    RXCSUM_TUOFL,
    RXD_IPCS,
    RXD_IPE,
    RXD_IXSM,
    RXD_TCPCS,
    RXD_TCPE,
    TUCMD_IP,
    TUCMD_TCP,
)
from emulators.devices.net.internet_checksum import checksum, total

TCP_FIN, TCP_PSH = 0x01, 0x08  # RFC 9293 §3.1
PROTOCOLS: Final = {6: 16, 17: 6}
"""TCP, UDP: where their checksum is."""


class Lie(Exception):
    """A descriptor says of its packet what cannot be."""


@dataclass(frozen=True, slots=True)
class Context:
    """A context descriptor (§3.3.6): where checksums begin, go and end; for segmentation, lengths."""

    ip_start: int = 0
    ip_at: int = 0
    ip_end: int = 0
    start: int = 0
    at: int = 0
    end: int = 0
    command: int = 0
    header: int = 0
    size: int = 0

    @classmethod
    def parse(cls, octets: bytes) -> "Context":
        """The descriptor in 16 octets.

        0 u8 IPCSS · 1 u8 IPCSO · 2 u16 IPCSE · 4 u8 TUCSS · 5 u8 TUCSO · 6 u16 TUCSE · 8 u24 PAYLEN and type
        · 11 u8 TUCMD · 12 u8 status · 13 u8 HDRLEN · 14 u16 MSS
        """
        ip_end, end = int.from_bytes(octets[2:4], "little"), int.from_bytes(octets[6:8], "little")
        size = int.from_bytes(octets[14:16], "little")
        return cls(octets[0], octets[1], ip_end, octets[4], octets[5], end, octets[11], octets[13], size)

    def numbers(self) -> list[int]:
        """For a snapshot, and back by `Context(*numbers)`."""
        return [
            self.ip_start, self.ip_at, self.ip_end, self.start, self.at, self.end,
            self.command, self.header, self.size,
        ]  # fmt: skip


def put_checksum(packet: bytearray, start: int, at: int, end: int) -> None:
    """The checksum from `start` to `end` inclusive (0: the packet's end) goes to `at`. Raises Lie."""
    stop = end + 1 if end else len(packet)
    if start >= len(packet) or at + 2 > len(packet) or stop > len(packet) or stop < start:
        raise Lie(f"a checksum of {start}…{stop} at {at} in {len(packet)} octets")
    packet[at : at + 2] = checksum(bytes(packet[start:stop]))


def segments(packet: bytes, context: Context, *, ip: bool, transport: bool) -> list[bytes]:
    """§3.5: the frames that a large packet becomes. Raises Lie."""
    header, size = context.header, context.size
    body = len(packet) - header
    if not size or header < 14 or body < 0 or body > size * MOST_SEGMENTS:
        raise Lie(f"segments of {size} octets behind {header}, of {len(packet)}")
    ip_at, transport_at = context.ip_start, context.start
    if ip_at + 6 > header or transport_at + (14 if context.command & TUCMD_TCP else 6) > header:
        raise Lie(f"headers at {ip_at} and {transport_at}, in {header} octets")
    sequence = int.from_bytes(packet[transport_at + 4 : transport_at + 8], "big")
    identification = int.from_bytes(packet[ip_at + 4 : ip_at + 6], "big")
    frames = []
    for number, begin in enumerate(range(0, body or 1, size)):
        frame = bytearray(packet[:header] + packet[header + begin : header + begin + size])
        if context.command & TUCMD_IP:
            frame[ip_at + 2 : ip_at + 4] = (len(frame) - ip_at & 0xFFFF).to_bytes(2, "big")
            frame[ip_at + 4 : ip_at + 6] = (identification + number & 0xFFFF).to_bytes(2, "big")
        else:
            frame[ip_at + 4 : ip_at + 6] = (len(frame) - ip_at - 40 & 0xFFFF).to_bytes(2, "big")
        length = len(frame) - transport_at
        if context.command & TUCMD_TCP:
            frame[transport_at + 4 : transport_at + 8] = (sequence + begin & 0xFFFFFFFF).to_bytes(4, "big")
            if begin + size < body:
                frame[transport_at + 13] &= ~(TCP_FIN | TCP_PSH)
        else:
            frame[transport_at + 4 : transport_at + 6] = (length & 0xFFFF).to_bytes(2, "big")
        if ip:
            put_checksum(frame, ip_at, context.ip_at, context.ip_end)
        if transport:  # the driver's sum over the pseudo-header lacks the length
            at = context.at
            if at + 2 > len(frame):
                raise Lie(f"a checksum at {at} of {len(frame)} octets")
            frame[at : at + 2] = (total(bytes(frame[at : at + 2]) + length.to_bytes(2, "big"))).to_bytes(2, "big")
            put_checksum(frame, transport_at, at, context.end)
        frames.append(bytes(frame))
    return frames


def insert_tag(frame: bytes, ethertype: int, tag: int) -> bytes:
    """§9.2."""
    return frame[:12] + ethertype.to_bytes(2, "big") + tag.to_bytes(2, "big") + frame[12:]


def verify(frame: bytes, control: int) -> tuple[int, int]:
    """Status and errors of a received frame (§3.2.9), as RXCSUM wants them; IXSM where nothing was looked at."""
    if not control & (RXCSUM_IPOFL | RXCSUM_TUOFL) or len(frame) < 34 or frame[12:14] != b"\x08\0":
        return RXD_IXSM, 0
    header = 4 * (frame[14] & 15)
    octets = int.from_bytes(frame[16:18], "big")
    if frame[14] >> 4 != 4 or header < 20 or octets < header or 14 + octets > len(frame):
        return RXD_IXSM, 0
    status = errors = 0
    if control & RXCSUM_IPOFL:
        status |= RXD_IPCS
        errors |= 0 if total(frame[14 : 14 + header]) == 0 else RXD_IPE
    at = PROTOCOLS.get(frame[23])
    whole = not int.from_bytes(frame[20:22], "big") & 0x3FFF  # RFC 791: more fragments, fragment offset
    body = frame[14 + header : 14 + octets]
    if control & RXCSUM_TUOFL and at is not None and whole and len(body) >= at + 2 and body[at : at + 2] != b"\0\0":
        status |= RXD_TCPCS
        pseudo = frame[26:34] + bytes((0, frame[23])) + len(body).to_bytes(2, "big")
        errors |= 0 if total(pseudo + body) == 0 else RXD_TCPE
    return status, errors
