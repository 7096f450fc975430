"""Kernel parameters for guests."""

from ipaddress import ip_address, ip_interface

import pytest

from vde.errors import ConfigError
from vde.image.cmdline import guest_parameters


def test_everything() -> None:
    text = guest_parameters(
        "a",
        {1: [ip_interface("fd00::1/64")], 0: [ip_interface("10.0.0.1/24"), ip_interface("fd01::1/64")]},
        [ip_address("10.0.0.254"), ip_address("fd00::fe")],
    )
    assert text == ("hostname=a ip4=10.0.0.1/24 ip6=fd01::1/64 ip6.eth1=fd00::1/64 gw=10.0.0.254 gw=fd00::fe")


def test_nothing() -> None:
    assert guest_parameters() == ""


@pytest.mark.parametrize("name", ["", "a b", "a;reboot", "-a", "a-", "x" * 64, "é", "a.b", "init=/x y", "a\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ConfigError, match="1 to 63 letters"):
        guest_parameters(name)


def test_cards_and_gateways_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="expected 0 to 31"):
        guest_parameters(addresses={32: [ip_interface("10.0.0.1/24")]})
    with pytest.raises(ConfigError, match="at most one of each address family"):
        guest_parameters(gateways=[ip_address("10.0.0.1"), ip_address("10.0.0.2")])
