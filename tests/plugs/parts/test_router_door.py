"""What is a router's business on a switch, and what is not."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP
from scapy.layers.dhcp6 import DHCP6_Solicit
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_RS, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from plugs.parts.router_door import Door, ethernet_address, is_addressed

GUEST, OTHER, ALL, GROUP = "02:00:00:00:00:01", "02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:02"
ROUTER = "52:55:0a:00:02:02"
ROUTER6, LINK_LOCAL = "fd00::2", "fe80::1"


def frame(packet: Packet, to: str) -> bytes:
    return bytes(Ether(src=GUEST, dst=to) / packet)


def door() -> Door:
    made = Door(IPv4Address("10.0.2.2"), IPv6Address(ROUTER6))
    made.look_out(bytes(Ether(src=ROUTER, dst=GUEST) / IPv6(src=LINK_LOCAL, dst="ff02::1") / ICMPv6ND_RA()))
    return made


BUSINESS = [
    ("arp", ARP(op=1, pdst="10.0.2.2"), ALL),
    ("arp-again", ARP(op=1, pdst="10.0.2.2"), ROUTER),
    ("arp-answer", ARP(op=2, pdst="10.0.2.2"), ROUTER),
    ("ipv4", IP(dst="192.0.2.1") / ICMP(), ROUTER),
    ("dhcp", IP(dst="255.255.255.255") / UDP(sport=68, dport=67) / BOOTP(), ALL),
    ("ipv6", IPv6(dst="2001:db8::1") / UDP(), ROUTER),
    ("router-solicitation", IPv6(dst="ff02::2") / ICMPv6ND_RS(), GROUP),
    ("solicitation", IPv6(dst="ff02::1:ff00:2") / ICMPv6ND_NS(tgt=ROUTER6), GROUP),
    ("solicitation-of-its-link-local", IPv6(dst="ff02::1:ff00:1") / ICMPv6ND_NS(tgt=LINK_LOCAL), GROUP),
    ("dhcpv6", IPv6(dst="ff02::1:2") / UDP(sport=546, dport=547) / DHCP6_Solicit(), GROUP),
]
NONE = [
    ("arp-for-another", ARP(op=1, pdst="10.0.2.3"), ALL),
    ("arp-for-another-to-it", ARP(op=1, pdst="10.0.2.3"), ROUTER),
    ("arp-announcement", ARP(op=2, psrc="10.0.2.7", pdst="10.0.2.7"), ALL),
    ("flooded", IP(dst="10.0.2.16") / ICMP(), OTHER),
    ("broadcast", IP(dst="10.0.2.255") / UDP(sport=9, dport=9), ALL),
    ("broadcast-of-no-udp", IP(dst="10.0.2.255") / ICMP(), ALL),
    ("solicitation-of-another", IPv6(dst="ff02::1:ff00:3") / ICMPv6ND_NS(tgt="fd00::3"), GROUP),
    ("advertisement", IPv6(dst="ff02::1") / ICMPv6ND_NA(tgt=ROUTER6), GROUP),
    ("mdns", IPv6(dst="ff02::fb") / UDP(sport=5353, dport=5353), GROUP),
    ("tagged", Dot1Q(vlan=3) / ARP(op=1, pdst="10.0.2.2"), ALL),
]


@pytest.mark.parametrize(("packet", "to"), [case[1:] for case in BUSINESS], ids=[case[0] for case in BUSINESS])
def test_the_routers_business(packet: Packet, to: str) -> None:
    assert door().lets_in(frame(packet, to))


@pytest.mark.parametrize(("packet", "to"), [case[1:] for case in NONE], ids=[case[0] for case in NONE])
def test_other_guests_business(packet: Packet, to: str) -> None:
    assert not door().lets_in(frame(packet, to))


def test_addresses_of_a_router() -> None:
    assert ethernet_address(IPv4Address("10.0.2.2")).hex(":") == ROUTER
    assert ethernet_address(None).hex(":") == ROUTER
    for to in (ROUTER, "52:55:0a:00:02:03", "52:56:00:00:00:02", ALL):
        assert is_addressed(frame(IP(), to))
    assert not is_addressed(frame(IP(), OTHER))


def test_without_a_family_nobody_is_asked_for() -> None:
    assert not Door(None, None).lets_in(frame(ARP(op=1, pdst="10.0.2.2"), ALL))
    assert not Door(None, None).lets_in(frame(IPv6(dst="ff02::1:ff00:2") / ICMPv6ND_NS(tgt=ROUTER6), GROUP))


@pytest.mark.fuzz
@given(st.sampled_from([b"\xff" * 6, bytes.fromhex("333300000002")]), st.sampled_from([b"\x08\x00", b"\x86\xdd"]),
       st.binary(max_size=80))  # fmt: skip
def test_random_packets_are_business_or_none(to: bytes, kind: bytes, packet: bytes) -> None:
    assert door().lets_in(to + bytes(6) + kind + packet) in (False, True)
