"""What the kernel leaves to a network card: check sums to finish, and TCP segments to cut. Sans-I/O.

Before each frame, as struct virtio_net_hdr (Virtual I/O Device version 1.2, §5.1.6; packet(7), PACKET_VNET_HDR), ten
octets in native byte order:

    offset size
    0      1    flags: 1 = the check sum is to be finished
    1      1    type of what is to be cut: 0 none, 1 TCP over IPv4, 4 TCP over IPv6; | 0x80: with ECN
    2      2    length of the headers
    4      2    payload octets of each segment
    6      2    offset where the check sum begins
    8      2    from there, where it is stored; it holds that of the pseudo-header (RFC 9293 §3.1)

Not supported: UDP to be cut (types 3 and 5), TCP in tunnels.
"""

import struct
from collections.abc import Iterator

HEADER = struct.Struct("=BBHHHH")
NEEDS_CHECKSUM = 1
GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_ECN = 0, 1, 4, 0x80
NOTHING_TO_DO = bytes(HEADER.size)
SEGMENTS_MAX = 128  # chosen: 64 KiB in segments of 512 octets
FIN_PSH, CWR = 0x09, 0x80  # RFC 9293 §3.1
TCP_OCTETS, IPV4_OCTETS, IPV6_OCTETS = 20, 20, 40
PROTOCOL_TCP = 6


def checksum(octets: bytes | bytearray) -> int:
    """RFC 1071's, never 0 but 0xFFFF, which is the same number."""
    return 0xFFFF - int.from_bytes(bytes(octets) + bytes(len(octets) % 2)) % 0xFFFF


def finish(header: bytes, frame: bytes) -> list[bytes] | None:
    """The frames that a network card would have made of one; None: it cannot be one's, or is not supported."""
    flags, kind, _, size, start, offset = HEADER.unpack(header)
    kind &= ~GSO_ECN
    if kind == GSO_NONE:
        if not flags & NEEDS_CHECKSUM:
            return [frame]
        place = start + offset
        if place + 2 > len(frame):
            return None
        return [frame[:place] + checksum(frame[start:]).to_bytes(2) + frame[place + 2 :]]
    if kind not in (GSO_TCPV4, GSO_TCPV6) or not flags & NEEDS_CHECKSUM or size == 0:
        return None
    network = _network_header(frame, start, IPV4_OCTETS if kind == GSO_TCPV4 else IPV6_OCTETS)
    if network is None or start + TCP_OCTETS > len(frame):
        return None
    end = start + (frame[start + 12] >> 4) * 4
    if end < start + TCP_OCTETS or end > len(frame) or len(frame) - end > size * SEGMENTS_MAX:
        return None
    return list(_segments(frame, network, start, end, size))


def _network_header(frame: bytes, start: int, least_octets: int) -> int | None:
    """Where the IP header begins: behind the EtherType, and tags if there are any."""
    offset = 14
    while frame[offset - 2 : offset] in (b"\x81\x00", b"\x88\xa8") and offset <= 22:
        offset += 4
    return offset if offset + least_octets <= start else None


def _segments(frame: bytes, network: int, start: int, end: int, size: int) -> Iterator[bytes]:
    is_v4 = frame[network] >> 4 == 4
    addresses = frame[network + 12 : network + 20] if is_v4 else frame[network + 8 : network + 40]
    sequence = int.from_bytes(frame[start + 4 : start + 8])
    payload = frame[end:]
    for number, begin in enumerate(range(0, max(len(payload), 1), size)):
        piece = payload[begin : begin + size]
        head = bytearray(frame[:end])
        if is_v4:
            identity = (int.from_bytes(head[network + 4 : network + 6]) + number) & 0xFFFF
            head[network + 2 : network + 6] = (end - network + len(piece)).to_bytes(2) + identity.to_bytes(2)
            head[network + 10 : network + 12] = bytes(2)
            head[network + 10 : network + 12] = checksum(head[network:start]).to_bytes(2)
        else:
            head[network + 4 : network + 6] = (end - network - IPV6_OCTETS + len(piece)).to_bytes(2)
        head[start + 4 : start + 8] = ((sequence + begin) & 0xFFFFFFFF).to_bytes(4)
        if begin + size < len(payload):
            head[start + 13] &= ~FIN_PSH & 0xFF
        if number:
            head[start + 13] &= ~CWR & 0xFF
        head[start + 16 : start + 18] = bytes(2)
        length = end - start + len(piece)
        pseudo = addresses + length.to_bytes(4) + PROTOCOL_TCP.to_bytes(4)  # RFC 8200 §8.1; the sum is IPv4's as well
        head[start + 16 : start + 18] = checksum(pseudo + head[start:] + piece).to_bytes(2)
        yield bytes(head) + piece
