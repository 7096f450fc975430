"""What tests of labs share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab_runner import LabRunner


@pytest.fixture
def labs(short_path: Path) -> Iterator[LabRunner]:
    """`vde` in a directory of its own, with guests that are quick."""
    with LabRunner(short_path) as runner:
        yield runner
