"""A router's answers to pings of its own address. No I/O here.

passt asks its host's kernel to ping, which refuses that to users unless `net.ipv4.ping_group_range` lets them: Debian's
systemd sets it, containers mostly have none. Whether a guest reaches its router shall not depend on that.

RFC 792 (echo, types 8 and 0), RFC 4443 §4 (128 and 129), checksums updated as RFC 1624 §3 says.
"""

from typing import Final

from vde.frame import HEADER_OCTETS

IPV4, IPV6 = b"\x08\x00", b"\x86\xdd"  # IEEE 802 numbers: EtherType
ICMP, ICMPV6 = 1, 58  # IANA protocol numbers
HEADER4, HEADER6, ICMP_LEAST = 20, 40, 8
FRAGMENT: Final = 0x3FFF  # RFC 791 §3.1: more fragments, and the offset
REQUEST4, REPLY4, REQUEST6, REPLY6 = 8, 0, 128, 129


def echo_answer(frame: bytes, host4: bytes | None, host6: bytes | None) -> bytes | None:
    """The answer to an echo request of one frame for `host4` (4 octets) or `host6` (16); None: it is none."""
    kind, packet = frame[12:14], frame[HEADER_OCTETS:]
    if kind == IPV4 and len(packet) >= HEADER4 + ICMP_LEAST:
        where = (packet[0] & 15) * 4
        if packet[16:20] != host4 or packet[9] != ICMP or where < HEADER4 or _word(packet, 6) & FRAGMENT:
            return None
        return _turned(frame, packet, where, slice(12, 16), slice(16, 20), REQUEST4, REPLY4)
    if kind == IPV6 and len(packet) >= HEADER6 + ICMP_LEAST:
        if packet[24:40] != host6 or packet[6] != ICMPV6:
            return None
        return _turned(frame, packet, HEADER6, slice(8, 24), slice(24, 40), REQUEST6, REPLY6)
    return None


def _turned(frame: bytes, packet: bytes, where: int, source: slice, target: slice, old: int, new: int) -> bytes | None:
    if len(packet) < where + ICMP_LEAST or packet[where] != old:
        return None
    answer = bytearray(packet)
    answer[source], answer[target] = packet[target], packet[source]
    answer[where] = new
    total = (~_word(packet, where + 2) & 0xFFFF) + (~(old << 8) & 0xFFFF) + (new << 8)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~total & 0xFFFF or 0xFFFF  # which is the same, but also right where all the rest is zero
    answer[where + 2 : where + 4] = checksum.to_bytes(2, "big")
    return frame[6:12] + frame[:6] + frame[12:14] + bytes(answer)


def _word(packet: bytes, offset: int) -> int:
    return int.from_bytes(packet[offset : offset + 2], "big")
