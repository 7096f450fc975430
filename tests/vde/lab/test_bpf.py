"""Filters by libpcap: what passes, and what is said about what is no filter."""

import pytest

from tests.vde_client import frame, tagged
from vde.errors import ConfigError
from vde.lab import bpf
from vde.lab.bpf import Filter

ARP = frame(1, None, bytes(28), 0x0806)
TAGGED_ARP = tagged(ARP, 7)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", (True, True)),
        ("  ", (True, True)),
        ("arp", (True, False)),
        ("vlan 7 and arp", (False, True)),
        ("ether src 02:00:00:00:00:01", (True, True)),
        ("not ether broadcast", (False, False)),
        ("greater 64", (False, True)),
    ],
)
def test_what_passes(text: str, fits: tuple[bool, bool]) -> None:
    wanted = Filter(text)
    assert (wanted.fits(ARP), wanted.fits(TAGGED_ARP)) == fits


def test_filters_do_not_disturb_each_other() -> None:
    one, other = Filter("arp"), Filter("not arp")
    assert [(one.fits(octets), other.fits(octets)) for octets in (ARP, frame(1))] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize("text", ["apr", "arp and", "host", "vlan 99999", "(" * 200, "tcp port \udc80"])
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(ConfigError, match="filter"):
        Filter(text)


def test_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpf, "LIBRARY", "libpcap.so.nowhere")
    monkeypatch.setattr(bpf, "_library", bpf._library.__wrapped__)
    with pytest.raises(ConfigError, match=r"install libpcap0\.8"):
        Filter("arp")
