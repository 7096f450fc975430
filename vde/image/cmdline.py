"""Kernel parameters that tell a guest its name and addresses (read by its /init, `guest_init.sh`)."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from vde.errors import ConfigError

_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")  # RFC 1123 §2.1, one label
_CARDS_MAX = 32  # chosen: a PCI bus has that many slots


def guest_parameters(
    hostname: str | None = None,
    addresses: Mapping[int, Sequence[IPv4Interface | IPv6Interface]] | None = None,
    gateways: Sequence[IPv4Address | IPv6Address] = (),
) -> str:
    """What to give to an image's `command_line`.

    Args:
        hostname: the guest's name.
        addresses: by card: 0 is eth0, the card with the lowest PCI address.
        gateways: default routers, at most one of each family.

    Raises:
        ConfigError: a name that is none, a card that cannot be, two gateways of one family.
    """
    words = []
    if hostname is not None:
        if not _HOSTNAME.fullmatch(hostname):
            raise ConfigError(f"hostname {hostname!r}: expected 1 to 63 letters, digits and inner hyphens")
        words.append(f"hostname={hostname}")
    for card, interfaces in sorted((addresses or {}).items()):
        if not 0 <= card < _CARDS_MAX:
            raise ConfigError(f"network card {card}: expected 0 to {_CARDS_MAX - 1}")
        suffix = f".eth{card}" if card else ""
        words += [f"ip{interface.version}{suffix}={interface.with_prefixlen}" for interface in interfaces]
    if len({gateway.version for gateway in gateways}) != len(gateways):
        raise ConfigError(f"gateways {', '.join(map(str, gateways))}: at most one of each address family")
    words += [f"gw={gateway}" for gateway in gateways]
    return " ".join(words)
