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

from vde.errors import ConfigError
from vde.lab.diagnostics import Code
from vde.lab.units import DURATION_PATTERN, MEMORY_PATTERN, parse_duration_ns, parse_memory, wrong
from vde.wire.impairments import SETTINGS, Impairments, merge
from vde.wire.schedule import Entry, parse_entry


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


BARE = frozenset({"gap", "queue-frames", "ber"})  # numbers without a unit
FROM_FILES = frozenset({"trace", "distribution"})  # may name a file, which the wire reads


@dataclass(frozen=True)
class Impairment:
    """One of a wire's settings, for `Annotated[str, Impairment(NAME)]`: the text that the wire understands."""

    name: str

    def parse(self, value: object) -> str:
        """The text.

        Raises:
            PydanticCustomError: the wire would refuse it.
        """
        setting = SETTINGS[self.name]
        expected = f"text such as wires have it ({setting.syntax}) was expected"
        match value:
            case bool() if setting.syntax == "yes|no":
                return "yes" if value else "no"
            case bool():
                raise wrong(Code.WRONG_TYPE, expected)
            case int() | float() if self.name in BARE:
                text = str(value)
            case int() | float():
                raise wrong(Code.UNIT, f"a quantity with its unit was expected ({setting.help})".replace("%%", "%"))
            case str() if len(value) <= 256:
                text = value
            case _:
                raise wrong(Code.WRONG_TYPE, expected)
        if text == "none" or self.name in FROM_FILES:
            return text
        try:
            setting.parse(text, lambda path: "")
        except ConfigError as error:
            raise wrong(Code.VALUE, str(error).rpartition("': ")[2]) from None
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        types = ["string"]
        if SETTINGS[self.name].syntax == "yes|no":
            types.append("boolean")
        if self.name in BARE:
            types.append("number")
        return {
            "type": types if len(types) > 1 else "string",
            "description": SETTINGS[self.name].help.replace("%%", "%"),
        }


def parse_schedule_entry(value: object) -> Entry:
    """`20s set loss=100%`, as a wire's schedule has it."""
    if not isinstance(value, str) or len(value) > 1024:
        raise wrong(Code.WRONG_TYPE, "text such as '20s set loss=100%' or '20s every 60s down' was expected")
    try:
        entry = parse_entry(value)
        merge(Impairments(delay_ns=1), {key: text for key, text in entry.change.settings if key not in FROM_FILES})
        return entry
    except ConfigError as error:
        raise wrong(Code.VALUE, str(error)) from None


def parse_time_offset_s(value: object) -> int:
    """`-5d`, `+2h`, as `--time-offset` has it → seconds."""
    expected = "an offset with its unit (s, m, h, d), such as -30d or +2h, was expected"
    found = re.fullmatch(TIME_OFFSET_PATTERN, value) if isinstance(value, str) else None
    if not found:
        raise wrong(Code.UNIT, expected)
    seconds = int(found[2]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[3]]
    return -seconds if found[1] == "-" else seconds


def parse_port_forward(value: object) -> str:
    """`8080:web:80`, `127.0.0.1:8080:web:80/udp`."""
    expected = "[HOST:]PORT:NODE:PORT[/tcp|/udp], such as 127.0.0.1:8080:web:80, was expected"
    if not isinstance(value, str):
        raise wrong(Code.WRONG_TYPE, expected)
    found = re.fullmatch(FORWARD_PATTERN, value)
    if not found or not all(1 <= int(found[name]) <= 65535 for name in ("port", "to")):
        raise wrong(Code.VALUE, expected)
    return value


TIME_OFFSET_PATTERN = r"^([-+]?)([0-9]{1,6})([smhd])$"
FORWARD_PATTERN = (
    r"^((?P<host>[0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]{2,45}\]):)?(?P<port>[0-9]{1,5}):"
    r"(?P<node>[A-Za-z0-9][A-Za-z0-9_.-]{0,29}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<to>[0-9]{1,5})(/(?P<proto>tcp|udp))?$"
)
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
FILE = Text(r"^[^\u0000]{1,255}$", Code.VALUE, "a file of 1 to 255 characters")
FILTER = Text(r"^[ -~]{1,1024}$", Code.VALUE, "a filter of at most 1024 printable ASCII characters (pcap-filter(7))")
SELECTOR = Text(r"^[A-Za-z0-9_.:/ *?\[\]-]{1,128}$", Code.NAME, "a link's name, NODE:INTERFACE or a--b")
VNL_TEXT = Text(r"^[^\u0000-\u001f\u007f]{1,4096}$", Code.VALUE, "a VNL such as udp://:5000->10.0.0.2:5000,")
HOST_NAME = Text(r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$", Code.NAME, "a host name of letters, digits and '-'")
ARGUMENT = Text(r"^[^\u0000]{0,4096}$", Code.VALUE, "an argument of at most 4096 characters")
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


SCHEDULE_ENTRY = Parsed(parse_schedule_entry, {"type": "string", "maxLength": 1024})
TIME_OFFSET = Parsed(parse_time_offset_s, _pattern(TIME_OFFSET_PATTERN))
FORWARD = Parsed(parse_port_forward, _pattern(re.sub(r"\?P<[a-z]+>", "?:", FORWARD_PATTERN)))
SIZE = Parsed(parse_memory, _pattern(MEMORY_PATTERN))
MEMORY = Parsed(parse_memory, _pattern(MEMORY_PATTERN))
DURATION = Parsed(parse_duration_ns, _pattern(DURATION_PATTERN))
IPV4 = Parsed(parse_ipv4, _pattern(r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$"))
IPV6 = Parsed(parse_ipv6, _pattern(r"^[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}$"))
GATEWAY = Parsed(parse_gateway, _pattern(r"^[0-9A-Fa-f:.]{2,45}$"))
MAC = Parsed(parse_mac, _pattern(MAC_PATTERN))
LABEL = Parsed(parse_label, {"type": ["string", "number", "boolean", "null"], "maxLength": 256})
