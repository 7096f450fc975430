"""What `nat://` and `slirp://` are asked for, read and checked, before an engine is chosen. No I/O here.

`NatOptions` holds the options as the user wrote them (the plugs' `Params` derive from it), `plan` makes a `Plan` of
addresses of them. Defaults are libslirp's: the network 10.0.2.0/24 with the host at .2, the name server at .3 and the
first guest at .15, and fd00::/64 with the host at fd00::2 and the name server at fd00::3.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from vde.errors import ConfigError
from vde.plugspec import option

FIRST_GUEST = 15  # libslirp's and slirpvde's
NAMESERVER = 3  # likewise
MTU_LEAST, MTU_MOST = 68, 65521  # RFC 791 §3.2; libslirp: IF_MTU_MAX
HOSTNAME_OCTETS = 33  # libslirp copies no more
OFF = ("off", "none", "no", "0")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class NatOptions:
    """Options of both schemes."""

    host: str = option("10.0.2.2/24", "IPv4 address of the host in the network, and its prefix", aliases=("addr",))
    host6: str = option("fd00::2/64", "the same of IPv6; the prefix is advertised", aliases=("addr6",))
    v4: bool | None = option(None, "IPv4; given alone: no IPv6")
    v6: bool | None = option(None, "IPv6; given alone: no IPv4")
    dhcp: str | None = option(None, "first IPv4 address that is lent (default: number 15), or off")
    dns: str | None = option(
        None, "IPv4 address of the DNS proxy (default: number 3), or off", aliases=("vnameserver", "nameserver")
    )
    dns6: str | None = option(
        None, "IPv6 address of the DNS proxy (default: number 3)", aliases=("vnameserver6", "nameserver6")
    )
    hostname: str | None = option(None, "the guest's name, told by DHCP")
    domain: str | None = option(None, "domain name, told by DHCP", aliases=("vdomainname",))
    search: str | None = option(None, "domains that names are looked up in, joined by ','", aliases=("vdnssearch",))
    mtu: int = option(0, "MTU of the network; 0: 1500", least=0, most=MTU_MOST, unit="octets")
    mru: int = option(0, "largest packet that guests send; 0: as mtu", least=0, most=MTU_MOST, unit="octets")
    restrict: bool = option(False, "guests reach nothing but what is forwarded", aliases=("restricted",))
    disable_host_loopback: bool = option(
        False, "guests do not reach the host's 127.0.0.1 and ::1", aliases=("disable_host_loopback",)
    )
    tcpfwd: str | None = option(None, "[HOST:]PORT:[GUEST]:PORT, joined by ',': TCP ports of the host go to a guest")
    udpfwd: str | None = option(None, "the same of UDP")
    unixfwd: str | None = option(None, "[ADDRESS:]PORT:PATH, …: guests' connections go to a Unix socket of the host")
    cmdfwd: str | None = option(None, "[ADDRESS:]PORT:COMMAND, …: guests' connections start a command of the host")
    tftp_server_name: str | None = option(None, "name of the TFTP server, told by DHCP", aliases=("tftp_server_name",))
    tftp_path: str | None = option(None, "directory that guests read by TFTP", aliases=("tftp_path",))
    bootfile: str | None = option(None, "boot file, told by DHCP")


@dataclass(frozen=True)
class Forward:
    """A port of the host that leads to a guest. `host`: None is every address of the host."""

    udp: bool
    host: Address | None
    port: int
    guest: Address
    guest_port: int


@dataclass(frozen=True)
class Service:
    """Connections of guests to (`address`, `port`) go to a Unix socket's path or start a command (`target`).

    `address`: None: number 4 of the network (10.0.2.4), which is libslirp's choice.
    """

    address: IPv4Address | None
    port: int
    target: str


@dataclass(frozen=True)
class Plan:
    """Addresses of a network.

    Attributes:
        host4, host6: the host's, with the prefix; None: not this family.
        dhcp4: the first guest's; `dhcp`: is DHCP to be answered?
        dns4, dns6: the proxy's; `dns`: is there one?
        forwards, unix, commands: in the order given.
        options: as the user wrote them.
    """

    host4: IPv4Interface | None
    host6: IPv6Interface | None
    dhcp4: IPv4Address | None
    dns4: IPv4Address | None
    dns6: IPv6Address | None
    dhcp: bool
    dns: bool
    search: tuple[str, ...]
    forwards: tuple[Forward, ...]
    unix: tuple[Service, ...]
    commands: tuple[Service, ...]
    options: NatOptions


def plan(options: NatOptions) -> Plan:
    """Read and check.

    Raises:
        ConfigError: an address is none, or is not within the network, or a forward cannot be read.
    """
    host4 = _interface4(options.host) if options.v4 or (options.v4 is None and not options.v6) else None
    host6 = _interface6(options.host6) if options.v6 or (options.v6 is None and not options.v4) else None
    if host4 is None and host6 is None:
        raise ConfigError("v4 and v6 are both off: nothing would be left")
    dhcp_off, dns_off = _is_off(options.dhcp), _is_off(options.dns)
    dhcp4 = dns4 = dns6 = None
    if host4 is not None:
        dhcp4 = _within4("dhcp", None if dhcp_off else options.dhcp, host4, FIRST_GUEST)
        dns4 = _within4("dns", None if dns_off else options.dns, host4, NAMESERVER)
        if not dns_off and dns4 == host4.ip:
            raise ConfigError(f"dns={dns4}: the host itself (host=) has this address; another was expected")
    if host6 is not None:
        dns6 = _within6("dns6", options.dns6, host6, NAMESERVER)
    if options.mtu and options.mtu < (1280 if host6 else MTU_LEAST):
        least = 1280 if host6 else MTU_LEAST  # RFC 8200 §5
        raise ConfigError(f"mtu={options.mtu}: at least {least} was expected{' (IPv6)' if host6 else ''}")
    if options.hostname is not None and not 1 <= len(options.hostname.encode()) <= HOSTNAME_OCTETS:
        raise ConfigError(f"hostname={options.hostname}: 1 to {HOSTNAME_OCTETS} octets were expected")
    return Plan(
        host4,
        host6,
        dhcp4,
        dns4,
        dns6,
        dhcp=not dhcp_off,
        dns=not dns_off,
        search=tuple(name for name in (options.search or "").split(",") if name),
        forwards=tuple(_forwards(options.tcpfwd, False, dhcp4)) + tuple(_forwards(options.udpfwd, True, dhcp4)),
        unix=tuple(_services("unixfwd", options.unixfwd)),
        commands=tuple(_services("cmdfwd", options.cmdfwd)),
        options=options,
    )


def _is_off(text: str | None) -> bool:
    return text is not None and text.lower() in OFF


def _interface4(text: str) -> IPv4Interface:
    try:
        found = IPv4Interface(text if "/" in text else f"{text}/24")
    except ValueError:
        raise ConfigError(f"host={text}: an IPv4 address with its prefix (10.0.2.2/24) was expected") from None
    if not 8 <= found.network.prefixlen <= 28:
        raise ConfigError(f"host={text}: a prefix of 8 to 28 bits was expected")
    if found.ip == found.network.network_address:  # as slirpvde: the network alone is enough
        found = IPv4Interface((found.ip + 2, found.network.prefixlen))
    return found


def _interface6(text: str) -> IPv6Interface:
    try:
        found = IPv6Interface(text if "/" in text else f"{text}/64")
    except ValueError:
        raise ConfigError(f"host6={text}: an IPv6 address with its prefix (fd00::2/64) was expected") from None
    if not 8 <= found.network.prefixlen <= 126:
        raise ConfigError(f"host6={text}: a prefix of 8 to 126 bits was expected")
    if found.ip == found.network.network_address:
        found = IPv6Interface((found.ip + 2, found.network.prefixlen))
    return found


def _within4(name: str, text: str | None, host: IPv4Interface, number: int) -> IPv4Address:
    if text is None:
        return host.network.network_address + min(number, host.network.num_addresses - 2)
    try:
        found = IPv4Address(text)
    except ValueError:
        raise ConfigError(f"{name}={text}: an IPv4 address or off was expected") from None
    if found not in host.network:
        raise ConfigError(f"{name}={text}: an address of {host.network} was expected")
    return found


def _within6(name: str, text: str | None, host: IPv6Interface, number: int) -> IPv6Address:
    if text is None:
        return host.network.network_address + number
    try:
        found = IPv6Address(text)
    except ValueError:
        raise ConfigError(f"{name}={text}: an IPv6 address was expected") from None
    if found not in host.network:
        raise ConfigError(f"{name}={text}: an address of {host.network} was expected")
    return found


def _forwards(text: str | None, udp: bool, guest: IPv4Address | None) -> Iterator[Forward]:
    name = "udpfwd" if udp else "tcpfwd"
    for item in (text or "").split(","):
        if not item:
            continue
        pieces = list(_colons(item))
        if len(pieces) == 3:
            pieces.insert(0, "")
        if len(pieces) != 4:
            raise ConfigError(f"{name}={item}: [HOST:]PORT:[GUEST]:PORT was expected (IPv6 addresses in brackets)")
        host, target = (_address(name, item, piece) for piece in (pieces[0], pieces[2]))
        if target is None:
            target = guest
        if target is None:
            raise ConfigError(f"{name}={item}: the guest's address was expected, as there is no IPv4")
        if host is not None and host.version != target.version:
            raise ConfigError(f"{name}={item}: addresses of the same family were expected")
        yield Forward(udp, host, _port(name, item, pieces[1]), target, _port(name, item, pieces[3]))


def _services(name: str, text: str | None) -> Iterator[Service]:
    for item in (text or "").split(","):
        if not item:
            continue
        first, _, rest = item.partition(":")
        address = None
        if "." in first or not first:
            found = _address(name, item, first)
            assert found is None or isinstance(found, IPv4Address)
            address, (first, _, rest) = found, rest.partition(":")
        if not rest:
            raise ConfigError(f"{name}={item}: [ADDRESS:]PORT:TARGET was expected")
        yield Service(address, _port(name, item, first), rest)


def _colons(item: str) -> Iterator[str]:
    piece, depth = "", 0
    for character in item:
        if character == ":" and not depth:
            yield piece
            piece = ""
        else:
            depth += {"[": 1, "]": -1}.get(character, 0)
            piece += character
    yield piece


def _address(name: str, item: str, text: str) -> Address | None:
    if not text:
        return None
    try:
        if text.startswith("[") and text.endswith("]"):
            return IPv6Address(text[1:-1])
        return IPv4Address(text)
    except ipaddress.AddressValueError:
        raise ConfigError(f"{name}={item}: {text!r} is no address") from None


def _port(name: str, item: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535):
        raise ConfigError(f"{name}={item}: {text!r} is no port: a number of 1 to 65535 was expected")
    return int(text)
