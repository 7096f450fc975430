"""Which frames a rule is for: a small language over the fields of a frame.

    match = term *( "and" term )          term = [ "not" ] field value

| field               | value                                                      | true if                           |
|---------------------|------------------------------------------------------------|-----------------------------------|
| `vlan`              | 0…4095, or `none`                                          | the first 802.1Q tag's VID        |
| `ethertype`         | 0…0xffff, or `ip`, `ip6`, `arp`, `vlan`, `mpls`            | the type behind the tags          |
| `mac` `src` `dst`   | an Ethernet address, or `group`                            | of either end, source, destination|
| `ip` `ip-src` `ip-dst` | an IPv4 or IPv6 address, perhaps `/BITS`                | of either end, source, destination|
| `proto`             | 0…255, or `icmp`, `igmp`, `tcp`, `udp`, `sctp`, `icmp6`, `ospf` | the IP protocol              |
| `port` `port-src` `port-dst` | 0…65535                                           | of TCP, UDP or SCTP               |
| `length`            | `A-B` octets, either may be missing                        | of the frame                      |

A field that a frame does not have (a port in ARP, or in a later fragment) makes a term false, and its `not` true.
IPv6 extension headers hop-by-hop, routing and destination options are passed over, at most `MOST_EXTENSIONS`.

Limits (chosen): `MOST_TERMS`. Not supported: `or` (write two rules), fields of other protocols, octets by offset.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from vde.errors import ConfigError, WireError
from vde.frame import HEADER_OCTETS, TAG_OCTETS, VID_MASK, format_mac, is_group, parse_mac

MOST_TERMS = 16
MOST_TEXT = 512
MOST_TAGS = 4
MOST_EXTENSIONS = 8
TAGS = (0x8100, 0x88A8)  # IEEE 802.1Q-2018 table 9-1
ETHERTYPES = {"ip": 0x0800, "ip6": 0x86DD, "arp": 0x0806, "vlan": 0x8100, "mpls": 0x8847}
PROTOCOLS = {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "sctp": 132, "icmp6": 58, "ospf": 89}
WITH_PORTS = (6, 17, 132)
EXTENSIONS = (0, 43, 60)  # RFC 8200 §4.1: hop-by-hop, routing, destination options
FRAGMENT = 44
Predicate = Callable[["Fields"], bool]


class Fields:
    """The fields of one frame, read when they are asked for."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame

    @cached_property
    def _type_at(self) -> int:
        at = HEADER_OCTETS - 2
        for _ in range(MOST_TAGS):
            if int.from_bytes(self.frame[at : at + 2]) not in TAGS or len(self.frame) < at + 2 + TAG_OCTETS:
                break
            at += TAG_OCTETS
        return at

    @property
    def vlan(self) -> int | None:
        """The VID of the first tag."""
        if self._type_at == HEADER_OCTETS - 2 or self.frame[12:14] != b"\x81\x00":
            return None
        return int.from_bytes(self.frame[14:16]) & VID_MASK

    @property
    def ethertype(self) -> int:
        """Behind the tags."""
        return int.from_bytes(self.frame[self._type_at : self._type_at + 2])

    @cached_property
    def ip(self) -> tuple[bytes, bytes, int, int | None] | None:
        """Source, destination, protocol, and where its header is (None: a later fragment); None: no IP."""
        at = self._type_at + 2
        match self.ethertype:
            case 0x0800:
                return self._ip4(self.frame[at:], at)
            case 0x86DD:
                return self._ip6(self.frame[at:], at)
        return None

    @property
    def ports(self) -> tuple[int, int] | None:
        """Source and destination."""
        if self.ip is None or self.ip[3] is None or self.ip[2] not in WITH_PORTS or len(self.frame) < self.ip[3] + 4:
            return None
        at = self.ip[3]
        return int.from_bytes(self.frame[at : at + 2]), int.from_bytes(self.frame[at + 2 : at + 4])

    @staticmethod
    def _ip4(packet: bytes, at: int) -> tuple[bytes, bytes, int, int | None] | None:
        if len(packet) < 20 or packet[0] >> 4 != 4:
            return None
        first = int.from_bytes(packet[6:8]) & 0x1FFF == 0
        return packet[12:16], packet[16:20], packet[9], at + (packet[0] & 15) * 4 if first else None

    @staticmethod
    def _ip6(packet: bytes, at: int) -> tuple[bytes, bytes, int, int | None] | None:
        if len(packet) < 40 or packet[0] >> 4 != 6:
            return None
        protocol, here = packet[6], 40
        for _ in range(MOST_EXTENSIONS):
            if len(packet) < here + 8:
                break
            if protocol in EXTENSIONS:
                protocol, here = packet[here], here + 8 + packet[here + 1] * 8
            elif protocol == FRAGMENT:
                if int.from_bytes(packet[here + 2 : here + 4]) >> 3:
                    return packet[8:24], packet[24:40], packet[here], None
                protocol, here = packet[here], here + 8
            else:
                break
        return packet[8:24], packet[24:40], protocol, at + here


@dataclass(frozen=True)
class Match:
    """A rule's condition; `text` in its usual spelling."""

    text: str
    terms: tuple[Predicate, ...]

    def fits(self, fields: Fields) -> bool:
        """Is the rule for this frame?"""
        return all(term(fields) for term in self.terms)


def parse_match(text: str) -> Match:
    """See the module's text.

    Raises:
        ConfigError: says which term, and what was expected.
    """
    if len(text) > MOST_TEXT:
        raise ConfigError(f"a match of {len(text)} characters: at most {MOST_TEXT} were expected")
    words = text.lower().replace("=", " ").split()
    spelled: list[str] = []
    terms: list[Predicate] = []
    while words:
        if terms:
            if words[0] == "and":
                del words[0]
            if not words:
                raise ConfigError(f"{text!r}: a term was expected after 'and'")
        negated = words[0] == "not"
        if negated:
            del words[0]
        field = words.pop(0) if words else ""
        if field not in _FIELDS:
            raise ConfigError(f"{text!r}: {field!r}: one of {', '.join(_FIELDS)} was expected")
        if not words:
            raise ConfigError(f"{text!r}: {field} wants a value")
        usual, predicate = _FIELDS[field](field, words.pop(0))
        spelled.append(f"{'not ' if negated else ''}{field} {usual}")
        terms.append(_negate(predicate) if negated else predicate)
        if len(terms) > MOST_TERMS:
            raise ConfigError(f"{text[:64]!r}…: at most {MOST_TERMS} terms were expected")
    if not terms:
        raise ConfigError("a match was expected, such as 'vlan 10' or 'ip 10.0.0.0/8 and proto udp'")
    return Match(" and ".join(spelled), tuple(terms))


def _negate(predicate: Predicate) -> Predicate:
    return lambda fields: not predicate(fields)


def _number(field: str, value: str, most: int, names: dict[str, int]) -> int:
    if value in names:
        return names[value]
    if re.fullmatch(r"0x[0-9a-f]{1,4}|[0-9]{1,5}", value) and int(value, 16 if value[1:2] == "x" else 10) <= most:
        return int(value, 16 if value[1:2] == "x" else 10)
    words = f" or one of {', '.join(names)}" if names else ""
    raise ConfigError(f"{field} {value!r}: 0 to {most}{words} was expected")


def _vlan(field: str, value: str) -> tuple[str, Predicate]:
    if value == "none":
        return value, lambda fields: fields.vlan is None
    wanted = _number(field, value, VID_MASK, {})
    return str(wanted), lambda fields: fields.vlan == wanted


def _ethertype(field: str, value: str) -> tuple[str, Predicate]:
    wanted = _number(field, value, 0xFFFF, ETHERTYPES)
    name = next((name for name, number in ETHERTYPES.items() if number == wanted), f"0x{wanted:04x}")
    return name, lambda fields: fields.ethertype == wanted


def _mac(field: str, value: str) -> tuple[str, Predicate]:
    if value == "group":
        at = {"dst": (0,), "src": (6,), "mac": (0, 6)}[field]
        return value, lambda fields: any(is_group(fields.frame[begin:]) for begin in at)
    try:
        wanted = parse_mac(value)
    except WireError as error:
        raise ConfigError(f"{field}: {error}") from None
    usual = format_mac(wanted)
    match field:
        case "src":
            return usual, lambda fields: fields.frame[6:12] == wanted
        case "dst":
            return usual, lambda fields: fields.frame[:6] == wanted
    return usual, lambda fields: wanted in (fields.frame[:6], fields.frame[6:12])


def _ip(field: str, value: str) -> tuple[str, Predicate]:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ConfigError(f"{field} {value!r}: an IPv4 or IPv6 address, perhaps with /BITS, was expected") from None
    octets, bits = network.network_address.packed, network.max_prefixlen - network.prefixlen
    wanted = int.from_bytes(octets) >> bits
    which = {"ip-src": (0,), "ip-dst": (1,), "ip": (0, 1)}[field]

    def fits(fields: Fields) -> bool:
        found = fields.ip
        if found is None or len(found[0]) != len(octets):
            return False
        return any(int.from_bytes(found[0] if end == 0 else found[1]) >> bits == wanted for end in which)

    return str(network), fits


def _protocol(field: str, value: str) -> tuple[str, Predicate]:
    wanted = _number(field, value, 255, PROTOCOLS)
    name = next((name for name, number in PROTOCOLS.items() if number == wanted), str(wanted))
    return name, lambda fields: fields.ip is not None and fields.ip[2] == wanted


def _port(field: str, value: str) -> tuple[str, Predicate]:
    wanted = _number(field, value, 65535, {})
    which = {"port-src": slice(0, 1), "port-dst": slice(1, 2), "port": slice(0, 2)}[field]
    return str(wanted), lambda fields: fields.ports is not None and wanted in fields.ports[which]


def _length(field: str, value: str) -> tuple[str, Predicate]:
    found = re.fullmatch(r"([0-9]{0,5})-([0-9]{0,5})", value)
    if not found or value == "-":
        raise ConfigError(f"{field} {value!r}: a range of octets, such as 64-1000, 1000- or -128, was expected")
    least, most = int(found[1] or 0), int(found[2] or 99999)
    return value, lambda fields: least <= len(fields.frame) <= most


_FIELDS: dict[str, Callable[[str, str], tuple[str, Predicate]]] = {
    "vlan": _vlan,
    "ethertype": _ethertype,
    "mac": _mac,
    "src": _mac,
    "dst": _mac,
    "ip": _ip,
    "ip-src": _ip,
    "ip-dst": _ip,
    "proto": _protocol,
    "port": _port,
    "port-src": _port,
    "port-dst": _port,
    "length": _length,
}
