"""Signals that end the switch, from before its first socket until after its last one is gone.

While the event loop runs it receives SIGTERM and SIGINT itself. Before and after that they are noted here: one that
comes while the switch is set up ends it as soon as it runs, and one that comes while it cleans up changes nothing.
Without this, a second reason to end in the middle of the clean-up leaves sockets behind.
"""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def note_signals() -> Iterator[list[signal.Signals]]:
    """Note `ENDING_SIGNALS` in the list that is yielded; on exit what was done with them before is done again."""
    noted: list[signal.Signals] = []

    def note(number: int, _: FrameType | None) -> None:
        noted.append(signal.Signals(number))

    before = {number: signal.signal(number, note) for number in ENDING_SIGNALS}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
