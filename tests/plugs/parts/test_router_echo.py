"""Pings of a router are answered as scapy reads and computes them; nothing else is."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from plugs.parts.router_echo import echo_answer

HOST4, HOST6 = IPv4Address("10.0.2.2").packed, IPv6Address("fd00::2").packed
ETHER = Ether(src="02:00:00:00:00:01", dst="52:55:0a:00:02:02")


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=60), st.booleans())
def test_pings_are_answered(number: int, sequence: int, payload: bytes, options: bool) -> None:
    ip = IP(src="10.0.2.15", dst="10.0.2.2", options=[b"\x01\x01\x01\x00"] if options else [])
    answer = echo_answer(bytes(ETHER / ip / ICMP(id=number, seq=sequence) / payload), HOST4, HOST6)
    assert answer is not None
    found = Ether(answer)
    assert (found.src, found.dst, found[IP].src, found[IP].dst) == (ETHER.dst, ETHER.src, "10.0.2.2", "10.0.2.15")
    assert found[ICMP].type == 0
    assert answer[-len(payload) :] == payload if payload else True
    assert _sum(answer[14 + found[IP].ihl * 4 :]) == 0xFFFF
    again = found.copy()
    del again[IP].chksum
    assert bytes(again[IP])[: found[IP].ihl * 4] == bytes(found[IP])[: found[IP].ihl * 4]


@given(st.integers(0, 0xFFFF), st.binary(max_size=60))
def test_pings_of_ipv6_are_answered(number: int, payload: bytes) -> None:
    request = ETHER / IPv6(src="fd00::f", dst="fd00::2") / ICMPv6EchoRequest(id=number, data=payload)
    answer = echo_answer(bytes(request), HOST4, HOST6)
    expected = Ether(src=ETHER.dst, dst=ETHER.src) / IPv6(src="fd00::2", dst="fd00::f")
    want = bytes(expected / ICMPv6EchoReply(id=number, data=payload))
    assert answer is not None
    assert answer[:56] + answer[58:] == want[:56] + want[58:]
    assert int.from_bytes(answer[56:58], "big") % 0xFFFF == int.from_bytes(want[56:58], "big") % 0xFFFF


@pytest.mark.parametrize(
    "packet",
    [
        IP(dst="10.0.2.3") / ICMP(),
        IP(dst="10.0.2.2") / ICMP(type=0),
        IP(dst="10.0.2.2", flags="MF") / ICMP(),
        IP(dst="10.0.2.2") / UDP() / b"12345678",
        IP(dst="10.0.2.2", ihl=2) / ICMP(),
        IPv6(dst="fd00::3") / ICMPv6EchoRequest(),
        IPv6(dst="fd00::2") / ICMPv6EchoReply(),
    ],
    ids=["another", "a-reply", "a-fragment", "udp", "short-header", "another-of-ipv6", "a-reply-of-ipv6"],
)
def test_nothing_else_is_answered(packet: Packet) -> None:
    assert echo_answer(bytes(ETHER / packet), HOST4, HOST6) is None


@pytest.mark.fuzz
@given(st.sampled_from([b"\x08\x00", b"\x86\xdd"]), st.binary(max_size=80))
def test_random_packets_have_an_answer_of_their_length_or_none(kind: bytes, packet: bytes) -> None:
    frame = bytes(12) + kind + packet
    answer = echo_answer(frame, packet[16:20], packet[24:40])
    assert answer is None or len(answer) == len(frame)


def _sum(octets: bytes) -> int:
    total = sum(int.from_bytes(octets[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
