"""How a pull tells what it is doing."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A moment of a pull.

    Attributes:
        image: the image's name.
        text: what is being done.
        fraction: how much of it is done, 0…1; None where nobody knows.
        note: this is a remark that should stay readable, not a step that the next one replaces.
    """

    image: str
    text: str
    fraction: float | None = None
    note: bool = False


# Called a few times a second, from the thread that pulls. An exception that it raises ends the pull, which can be taken
# up again later: a caller under trio checks for its cancellation there.
Progress = Callable[[Step], None]


def silent(step: Step) -> None:
    """Report to nobody."""
