"""Cards that take minutes: `make test-pc`."""

from pathlib import Path

import pytest

from tests.interop import test_network_cards as short
from tests.tools import NeedTool

pytestmark = [pytest.mark.interop, pytest.mark.slow]
peer = short.peer
MODELS = {
    "pcnet": "pcnet32",
    "virtio": "virtio_net",
    "e1000": "e1000",
    "rtl8139": "8139too",
    "ne2000": "ne2k-pci",
    "ne2000-isa": "ne",
}


@pytest.mark.parametrize("card", [*short.CARDS, *short.SLOW_CARDS], ids=lambda card: f"{card.board}-{card.model}")
def test_a_card_under_its_driver(card: short.Card, peer: short.Peer, need_tool: NeedTool, short_path: Path) -> None:
    short.under_its_driver(card, short.TRANSFER_OCTETS, peer, need_tool, short_path)


def test_two_cards_of_each_kind_in_a_pc(peer: short.Peer, start_switch: short.Started) -> None:
    """Twelve, of which the ISA bus's are told where they are; they share three interrupts of PCI, and have two."""
    pairs = [pair for pair in MODELS.items() for _ in range(2)]
    words = "ne.io=0x300,0x320 ne.irq=5,7"
    short.cards_at_once("pc", pairs, peer, start_switch, words=words)
