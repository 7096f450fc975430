"""Which frames of a switch are a user-mode router's business. No I/O here.

libslirp and passt were made for a line to one guest: they take every frame, whatever its destination address.
passt answers ARP and neighbour solicitations for every address but its guest's. On a switch, either would get into what
two guests say to one another: frames are flooded until an address is learned, and questions always are.

A frame is the router's if it is sent to its address, or to a group and asks for the router: ARP (RFC 826) and neighbour
solicitations (RFC 4861 §4.3) for its addresses, router solicitations (§4.1), DHCP (RFC 2131 §4.1) and DHCPv6 (RFC 8415
§7.2). Frames with a VLAN's tag are not.
"""

from ipaddress import IPv4Address, IPv6Address
from typing import Final

from vde.frame import HEADER_OCTETS, is_group

PREFIX: Final = b"\x52\x55"
"""Of a router's Ethernet address; its IPv4 address follows. libslirp: `special_ethaddr`."""
PREFIX6: Final = b"\x52\x56"
"""Likewise; the last four octets of its IPv6 address follow. libslirp only: `in6_compute_ethaddr`."""
DEFAULT_IPV4: Final = IPv4Address("10.0.2.2")
IPV4, ARP, IPV6 = b"\x08\x00", b"\x08\x06", b"\x86\xdd"  # IEEE 802 numbers: EtherType
ARP_REQUEST, ARP_TARGET = b"\x00\x01", slice(HEADER_OCTETS + 24, HEADER_OCTETS + 28)  # RFC 826
UDP, ICMPV6 = 17, 58  # IANA protocol numbers
IPV4_LEAST, IPV6_HEADER, DHCP_SERVER, DHCPV6_SERVER = 20, 40, 67, 547
ROUTER_SOLICITATION, NEIGHBOUR_SOLICITATION = 133, 135  # RFC 4861 §4.1, §4.3
LINK_LOCAL = b"\xfe\x80"  # RFC 4291 §2.5.6: fe80::/10, of which the next 54 bits are 0


def ethernet_address(host4: IPv4Address | None) -> bytes:
    """The router's."""
    return PREFIX + (host4 or DEFAULT_IPV4).packed


def is_addressed(frame: bytes) -> bool:
    """Is it sent to a group, or to an address such as libslirp's routers have? Of at least 14 octets."""
    return is_group(frame) or frame[:2] in (PREFIX, PREFIX6)


class Door:
    """Of a router with one address of each family."""

    def __init__(self, host4: IPv4Address | None, host6: IPv6Address | None) -> None:
        self.ethernet = ethernet_address(host4)
        self._host4 = host4.packed if host4 is not None else None
        self._hosts6 = {host6.packed} if host6 is not None else set()

    def lets_in(self, frame: bytes) -> bool:
        """Is this frame, of at least 14 octets, the router's business?"""
        kind = frame[12:14]
        if kind == ARP and frame[20:22] == ARP_REQUEST:
            return self._host4 is not None and frame[ARP_TARGET] == self._host4
        if frame[:6] == self.ethernet:
            return True
        if not is_group(frame):
            return False
        if kind == IPV4:
            return _asks_dhcp(frame)
        return kind == IPV6 and self._asks_router(frame[HEADER_OCTETS:])

    def look_out(self, frame: bytes) -> None:
        """See a frame of the router's: it has a link-local address as well, which it chooses itself."""
        source = frame[HEADER_OCTETS + 8 : HEADER_OCTETS + 24]
        if frame[12:14] == IPV6 and source[:2] == LINK_LOCAL and len(source) == 16 and len(self._hosts6) < 2:
            self._hosts6.add(source)

    def _asks_router(self, packet: bytes) -> bool:
        if len(packet) < IPV6_HEADER + 4:
            return False
        protocol, rest = packet[6], packet[IPV6_HEADER:]
        if protocol == UDP:
            return int.from_bytes(rest[2:4], "big") == DHCPV6_SERVER
        if protocol != ICMPV6:
            return False
        if rest[0] == NEIGHBOUR_SOLICITATION:
            return rest[8:24] in self._hosts6
        return rest[0] == ROUTER_SOLICITATION


def _asks_dhcp(frame: bytes) -> bool:
    packet = frame[HEADER_OCTETS:]
    if len(packet) < IPV4_LEAST or packet[9] != UDP:
        return False
    udp = packet[(packet[0] & 15) * 4 :]
    return int.from_bytes(udp[2:4], "big") == DHCP_SERVER
