"""The twin of `offload.rs` and `segment.rs`: a virtio-net header and its frame, to ordinary frames. Slow and plain.

Sources: virtio 1.2 §5.1.6, RFC 1071, RFC 9293 §3.1, RFC 768, RFC 791, RFC 8200.
"""

import struct
from dataclasses import dataclass

HEADER = struct.Struct("=BBHHHH")
NEEDS_CSUM = 1
TCPV4, TCPV6, UDP_L4, ECN = 1, 4, 5, 0x80
SEGMENTS_MAX = 1366
TAGS = (0x8100, 0x88A8)


@dataclass(frozen=True)
class Header:
    """See `HEADER`: flags, type, octets of headers, of payload in a segment, start and offset of the checksum."""

    flags: int = 0
    gso_type: int = 0
    hdr_len: int = 0
    gso_size: int = 0
    csum_start: int = 0
    csum_offset: int = 0

    def emit(self) -> bytes:
        return HEADER.pack(self.flags, self.gso_type, self.hdr_len, self.gso_size, self.csum_start, self.csum_offset)


def parse(octets: bytes) -> Header:
    return Header(*HEADER.unpack(octets))


def ordinary(header: Header, frame: bytes) -> list[bytes] | None:
    """What the frame becomes; None: the header is none that it could have."""
    if not header.flags & NEEDS_CSUM and header.gso_type == 0:
        return [frame]
    start, place = header.csum_start, header.csum_start + header.csum_offset
    if not header.flags & NEEDS_CSUM or start < 14 or place + 2 > len(frame) or header.hdr_len > len(frame):
        return None
    network, ethertype = _network(frame)
    if header.gso_type == 0:
        if network is not None and start < network:
            return None
        return [_put(frame, place, checksum(frame[start:]) or 0xFFFF)]
    if network is None or not header.gso_size:
        return None
    is_ipv6 = ethertype == 0x86DD
    kind, is_udp = header.gso_type & ~ECN, header.gso_type == UDP_L4
    if not is_udp and kind != (TCPV6 if is_ipv6 else TCPV4):
        return None
    if len(frame) - network > 65535 or not _network_fits(frame, network, start, ethertype, 17 if is_udp else 6):
        return None
    if is_udp:
        headers = start + 8
    elif start + 12 < len(frame) and frame[start + 12] >> 4 >= 5:
        headers = start + (frame[start + 12] >> 4) * 4
    else:
        return None
    if header.csum_offset != (6 if is_udp else 16) or headers > len(frame):
        return None
    size = header.gso_size
    payloads = [frame[at : at + size] for at in range(headers, len(frame), size)] or [b""]
    if len(payloads) > SEGMENTS_MAX:
        return None
    return [
        _segment(frame[:headers] + payload, network, start, is_ipv6, is_udp, index, index * size, len(payloads))
        for index, payload in enumerate(payloads)
    ]


def checksum(octets: bytes, start: int = 0) -> int:
    octets += bytes(len(octets) % 2)
    total: int = start + sum(word for (word,) in struct.iter_unpack(">H", octets))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _network(frame: bytes) -> tuple[int | None, int]:
    at = 12
    for _ in range(3):
        if len(frame) < at + 2:
            break
        ethertype = int.from_bytes(frame[at : at + 2])
        if ethertype not in TAGS:
            return at + 2, ethertype
        at += 4
    return None, 0


def _network_fits(frame: bytes, network: int, start: int, ethertype: int, protocol: int) -> bool:
    if ethertype == 0x86DD:
        return start == network + 40 and frame[network] >> 4 == 6 and frame[network + 6] == protocol
    if ethertype != 0x0800 or start < network + 20:
        return False
    fragment = int.from_bytes(frame[network + 6 : network + 8]) & 0x3FFF
    length_fits = network + (frame[network] & 0x0F) * 4 == start
    return frame[network] >> 4 == 4 and length_fits and not fragment and frame[network + 9] == protocol


def _segment(
    frame: bytes, network: int, start: int, is_ipv6: bool, is_udp: bool, index: int, begin: int, count: int
) -> bytes:
    octets = len(frame) - start
    if is_ipv6:
        frame = _put(frame, network + 4, octets)
        addresses = frame[network + 8 : network + 40]
    else:
        frame = _put(frame, network + 2, len(frame) - network)
        frame = _put(frame, network + 4, int.from_bytes(frame[network + 4 : network + 6]) + index)
        frame = _put(frame, network + 10, 0)
        frame = _put(frame, network + 10, checksum(frame[network:start]))
        addresses = frame[network + 12 : network + 20]
    pseudo = checksum(addresses, octets + (17 if is_udp else 6)) ^ 0xFFFF
    if is_udp:
        frame = _put(_put(frame, start + 4, octets), start + 6, 0)
        return _put(frame, start + 6, checksum(frame[start:], pseudo) or 0xFFFF)
    tcp = bytearray(frame)
    sequence = int.from_bytes(tcp[start + 4 : start + 8]) + begin
    tcp[start + 4 : start + 8] = (sequence & 0xFFFFFFFF).to_bytes(4)
    if index + 1 < count:
        tcp[start + 13] &= ~0x09  # FIN, PSH
    if index:
        tcp[start + 13] &= ~0x80  # CWR
    frame = _put(bytes(tcp), start + 16, 0)
    return _put(frame, start + 16, checksum(frame[start:], pseudo))


def _put(frame: bytes, at: int, word: int) -> bytes:
    return frame[:at] + (word & 0xFFFF).to_bytes(2) + frame[at + 2 :]
