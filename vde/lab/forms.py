"""Forms of text in a topology: names, interfaces, addresses, quantities. Each is a check, a message and a JSON Schema.

A form raises `PydanticCustomError`, whose type is the error code and whose context has `expected` and `hint`. What it
is about, which value, and where, is added by `vde.lab.wording`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from vde.lab.diagnostics import Code
from vde.lab.units import DURATION_PATTERN, MEMORY_PATTERN, parse_duration_ns, parse_memory, wrong


@dataclass(frozen=True)
class Text:
    """Text that a regular expression describes, for `Annotated[str, Text(…)]`.

    Attributes:
        pattern: anchored with ^ and $, in the dialect that Python and JSON Schema share.
        code: the error when it does not match.
        expected: the noun phrase for the message.
    """

    pattern: str
    code: Code
    expected: str

    def check(self, value: str) -> str:
        """The value.

        Raises:
            PydanticCustomError: it does not match.
        """
        if self.fits(value):
            return value
        raise wrong(self.code, f"{self.expected} was expected")

    def fits(self, value: str) -> bool:
        """Whether it matches."""
        return re.fullmatch(self.pattern, value) is not None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": self.pattern}


@dataclass(frozen=True)
class Parsed:
    """Text that a function turns into something else, for `Annotated[int, Parsed(parse_memory, …)]`."""

    parse: Callable[[object], object]
    json: JsonSchemaValue = field(hash=False)  # unions hash their members

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return self.json


def parse_ipv4(value: object) -> IPv4Interface:
    """`10.0.0.1/24`, an address that a node can have."""
    expected = "an IPv4 address and its prefix length, such as 10.0.0.1/24, was expected"
    if not isinstance(value, str):
        raise wrong(Code.ADDRESS, expected)
    try:
        interface = IPv4Interface(value)
    except ValueError:
        raise wrong(Code.ADDRESS, expected) from None
    _refuse_bare(value, "24", expected)
    if interface.network.prefixlen < 31 and interface.ip in (
        interface.network.network_address,
        interface.network.broadcast_address,
    ):
        raise wrong(Code.ADDRESS, f"an address of a node was expected, not that of the network {interface.network}")
    return interface


def parse_ipv6(value: object) -> IPv6Interface:
    """`fd00::1/64`."""
    expected = "an IPv6 address and its prefix length, such as fd00::1/64, was expected"
    if not isinstance(value, str) or "%" in value:
        raise wrong(Code.ADDRESS, expected)
    try:
        interface = IPv6Interface(value)
    except ValueError:
        raise wrong(Code.ADDRESS, expected) from None
    _refuse_bare(value, "64", expected)
    return interface


def _refuse_bare(value: str, usual: str, expected: str) -> None:
    prefix = value.partition("/")[2]
    if not prefix:
        raise wrong(Code.ADDRESS, expected, f"write {value}/{usual} if the network is a /{usual}")
    if not prefix.isdecimal():
        raise wrong(Code.ADDRESS, expected, "write the prefix as a number of bits")


def parse_gateway(value: object) -> IPv4Address | IPv6Address:
    """`10.0.0.254` or `fd00::1`: no prefix length."""
    if isinstance(value, str) and is_address(value):
        return ip_address(value)
    hint = f"write {value.partition('/')[0]}" if isinstance(value, str) and "/" in value else ""
    raise wrong(Code.ADDRESS, "an address without prefix length was expected", hint)


def parse_mac(value: object) -> str:
    """`02:00:00:00:00:01`, of one station."""
    expected = "a MAC address such as 02:00:00:00:00:01 was expected"
    if not isinstance(value, str) or not re.fullmatch(MAC_PATTERN, value):
        raise wrong(Code.ADDRESS, expected)
    if int(value[:2], 16) & 1:
        raise wrong(Code.ADDRESS, "the address of one station was expected, not a group address (odd first octet)")
    if not int(value.replace(":", ""), 16):
        raise wrong(Code.ADDRESS, expected)
    return value.lower()


def parse_label(value: object) -> str:
    """Any scalar, as text."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() | int() | float() if len(str(value)) <= 256:
            return str(value)
    raise wrong(Code.WRONG_TYPE, "text, a number, true or false (at most 256 characters) was expected")


def is_address(text: str) -> bool:
    """Whether it is an IPv4 or IPv6 address, as a check's `ping` may name one."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,29}$"
INTERFACE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_./-]{0,14}$"
MAC_PATTERN = r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$"

# Part of file names, of socket paths (108 octets) and of host names: hence the set and the length, both chosen.
NAME = Text(
    NAME_PATTERN, Code.NAME, "a name of 1 to 30 letters, digits, '-', '_' and '.', beginning with a letter or digit,"
)
INTERFACE = Text(INTERFACE_PATTERN, Code.NAME, "an interface such as eth0, or a port number,")
# IFNAMSIZ is 16 with the terminating NUL (netdevice(7)); the characters are chosen.
TAP_NAME = Text(r"^[A-Za-z][A-Za-z0-9_.-]{0,14}$", Code.NAME, "an interface name of 1 to 15 characters, such as tap0,")
# No comma: QEMU would read further options behind it.
QEMU_WORD = Text(r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$", Code.VALUE, "one word, without options,")
CMDLINE = Text(r"^[ -~]{0,512}$", Code.VALUE, "text of at most 512 printable ASCII characters")
CONSOLE_TEXT = Text(r"^[^\u0000]{1,1024}$", Code.VALUE, "text of 1 to 1024 characters")
GLOB = Text(r"^[A-Za-z0-9_.*?-]{1,64}$", Code.NAME, "a node's name, in which * and ? may stand for others,")
# One end of a link, and a whole link, as text.
END_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,29}(:[A-Za-z0-9][A-Za-z0-9_./-]{0,14})?"
END = Text(f"^ *{END_PATTERN} *$", Code.LINK_ENDS, "NODE or NODE:INTERFACE, such as web:eth0 or sw1:2,")
LINK = Text(
    f"^ *{END_PATTERN}( +-- +{END_PATTERN}){{1,63}} *$",
    Code.LINK_ENDS,
    "ends joined by ' -- ', such as 'web:eth0 -- sw1:2',",
)


def _pattern(pattern: str) -> JsonSchemaValue:
    return {"type": "string", "pattern": pattern}


MEMORY = Parsed(parse_memory, _pattern(MEMORY_PATTERN))
DURATION = Parsed(parse_duration_ns, _pattern(DURATION_PATTERN))
IPV4 = Parsed(parse_ipv4, _pattern(r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$"))
IPV6 = Parsed(parse_ipv6, _pattern(r"^[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}$"))
GATEWAY = Parsed(parse_gateway, _pattern(r"^[0-9A-Fa-f:.]{2,45}$"))
MAC = Parsed(parse_mac, _pattern(MAC_PATTERN))
LABEL = Parsed(parse_label, {"type": ["string", "number", "boolean", "null"], "maxLength": 256})
