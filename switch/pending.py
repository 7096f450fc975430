"""Connections that have not registered yet: how long they may take, and how many there may be.

Shared by the control socket (`control`) and the ring socket (`rings`). When there are too many, the oldest goes.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import trio

REGISTRATION_S = 10.0  # chosen
PENDING_MAX = 256  # chosen


class Pending:
    """Those of one socket."""

    def __init__(self) -> None:
        self._scopes: OrderedDict[trio.CancelScope, None] = OrderedDict()

    @contextmanager
    def registering(self) -> Iterator[trio.CancelScope]:
        """While a request is read; it is cut short (`cancelled_caught`) when time, or room, is over."""
        if len(self._scopes) >= PENDING_MAX:
            oldest, _ = self._scopes.popitem(last=False)
            oldest.cancel()
        with trio.move_on_after(REGISTRATION_S) as scope:
            self._scopes[scope] = None
            try:
                yield scope
            finally:
                self._scopes.pop(scope, None)
