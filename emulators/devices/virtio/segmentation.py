"""What a virtio network device does for its guest before a frame goes out: checksums, and TCP segments.

Specification: VIRTIO 1.2, 5.1.6.2; RFC 1071 (checksum), RFC 9293 (TCP), RFC 791, RFC 8200. Sans-I/O.

A guest that was offered CSUM leaves the sum over the pseudo-header in a TCP or UDP header, and says where. One that was
offered HOST_TSO4 and HOST_TSO6 gives one large frame and the length of a segment; here it becomes the frames that the
guest would have sent, each with lengths, identification, sequence number, flags and checksums of its own.

The headers are read from the frame itself: what the guest says about their length is not used.

Limits: TCP over IPv4 or IPv6 without extension headers, behind at most one VLAN tag.

| threat | stopped by |
|---|---|
| offsets beyond the frame | None is answered: the frame is dropped |
| a million segments of one octet | `LEAST_SEGMENT`, and the longest frame: at most some hundred |
"""

from typing import Final

from emulators.devices.net.internet_checksum import checksum

GSO_NONE, GSO_TCPV4, GSO_TCPV6 = 0, 1, 4  # VIRTIO 1.2, 5.1.6
GSO_ECN: Final = 0x80
LEAST_SEGMENT: Final = 256  # chosen: RFC 9293 §3.7.1 has 536 as default

ETHERNET_OCTETS: Final = 14
TYPE_VLAN, TYPE_IPV4, TYPE_IPV6 = b"\x81\x00", b"\x08\x00", b"\x86\xdd"
PROTOCOL_TCP: Final = 6
TCP_FIN, TCP_PSH, TCP_CWR = 0x01, 0x08, 0x80  # RFC 9293 §3.1


def finish_checksum(frame: bytes, start: int, offset: int) -> bytes | None:
    """`frame` with the checksum over everything from `start` put at `start + offset`; None: not within the frame."""
    at = start + offset
    if start >= len(frame) or at + 2 > len(frame):
        return None
    return frame[:at] + checksum(frame[start:]) + frame[at + 2 :]


def segments(frame: bytes, kind: int, size: int) -> list[bytes] | None:
    """The frames that a large one stands for, with `size` octets of TCP's data each; None: it is not what it says."""
    network = ETHERNET_OCTETS
    ethertype = frame[12:14]
    if ethertype == TYPE_VLAN:
        network += 4
        ethertype = frame[16:18]
    if size < LEAST_SEGMENT or ethertype != (TYPE_IPV4 if kind == GSO_TCPV4 else TYPE_IPV6):
        return None
    if len(frame) < network + 40:
        return None
    if kind == GSO_TCPV4:
        transport = network + 4 * (frame[network] & 15)
        protocol, addresses = frame[network + 9], frame[network + 12 : network + 20]
    else:
        transport = network + 40
        protocol, addresses = frame[network + 6], frame[network + 8 : network + 40]
    if protocol != PROTOCOL_TCP or transport < network + 20 or len(frame) < transport + 20:
        return None
    data = transport + 4 * (frame[transport + 12] >> 4)
    if data < transport + 20 or len(frame) < data:
        return None
    return _cut(frame, kind, size, network, transport, data, addresses)


def _cut(frame: bytes, kind: int, size: int, network: int, transport: int, data: int, addresses: bytes) -> list[bytes]:
    head, ip, tcp = frame[:network], bytearray(frame[network:transport]), bytearray(frame[transport:data])
    sequence = int.from_bytes(tcp[4:8], "big")
    identification = int.from_bytes(ip[4:6], "big")
    flags = tcp[13]
    frames = []
    end = len(frame)
    for number, at in enumerate(range(data, end, size) if end > data else (data,)):
        part = frame[at : at + size]
        length = len(tcp) + len(part)
        if kind == GSO_TCPV4:
            ip[2:4] = (len(ip) + length).to_bytes(2, "big")
            ip[4:6] = (identification + number & 0xFFFF).to_bytes(2, "big")
            ip[10:12] = b"\0\0"
            ip[10:12] = checksum(bytes(ip))
        else:
            ip[4:6] = length.to_bytes(2, "big")
        tcp[4:8] = (sequence + at - data & 0xFFFFFFFF).to_bytes(4, "big")
        now = flags if at + size >= end else flags & ~(TCP_FIN | TCP_PSH)
        tcp[13] = now if number == 0 else now & ~TCP_CWR
        tcp[16:18] = b"\0\0"
        pseudo = addresses + PROTOCOL_TCP.to_bytes(2, "big") + length.to_bytes(2, "big")
        tcp[16:18] = checksum(pseudo + tcp + part)
        frames.append(b"".join((head, ip, tcp, part)))
    return frames
