"""What the contract test needs of a scheme: `tests/plugs/pairs/SCHEME.py` with a `PAIR`."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from vde.link import Link


@dataclass
class Ends:
    """A link and its outside.

    Attributes:
        link: under test.
        outside: what its frames reach, and whose frames reach it: another link, or a peer dressed as one.
        break_outside: the peer goes away, without a word if that is possible.
    """

    link: Link
    outside: Link
    break_outside: Callable[[], None] | None = None


@dataclass(frozen=True)
class PairSpec:
    """How to get the ends.

    Attributes:
        open: (temporary directory) → async context manager of `Ends`.
        receives: False for a sink.
        lossless: a burst of 64 frames arrives whole and in order, as on a socket of this host.
        breaks: `break_outside` makes `receive` or `watch` raise LinkBroken.
        reason: of oversize frames' drop.
    """

    open: Callable[[Path], AbstractAsyncContextManager[Ends]]
    receives: bool = True
    lossless: bool = True
    breaks: bool = False
    needs: tuple[str, ...] = field(default=())
    """Programs, as for `tests.tools.need_tool`; `root` for CAP_NET_ADMIN."""
