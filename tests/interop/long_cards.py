"""Cards that take minutes: `make test-pc`."""

from pathlib import Path

import pytest

from tests.interop import test_network_cards as short
from tests.tools import NeedTool

pytestmark = [pytest.mark.interop, pytest.mark.slow]
peer = short.peer


@pytest.mark.parametrize("card", short.SLOW_CARDS, ids=lambda card: f"{card.board}-{card.model}")
def test_a_card_under_its_driver(card: short.Card, peer: short.Peer, need_tool: NeedTool, short_path: Path) -> None:
    short.test_a_card_under_its_driver(card, peer, need_tool, short_path)
