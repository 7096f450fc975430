"""The rig, closed after each test."""

from collections.abc import Iterator

import pytest

from tests.switch.console.rig import Rig, open_rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A console in front of a fresh switch."""
    with open_rig() as made:
        yield made
