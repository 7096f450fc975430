"""What labs say about our boards, beside the boards themselves."""

import dataclasses

import pytest

from emulators import board as boards
from vde.lab.commands import CPUS


@pytest.mark.parametrize("board", sorted(CPUS))
def test_the_processors_are_the_boards(board: str) -> None:
    fields = {field.name: field for field in dataclasses.fields(boards.find(board).params)}
    assert fields["cpu"].metadata["choices"] == CPUS[board]
