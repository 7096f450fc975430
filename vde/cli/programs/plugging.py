"""Joining two VNLs until one ends or a signal comes: what `vde plug`, `vde_plug` and `vde cable` do."""

import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import trio

from plugs import registry
from vde.cli.programs.joining import join
from vde.errors import LinkClosed, VdeError
from vde.link import Link
from vde.plugspec import Surroundings


@dataclass
class Outcome:
    """How it ended: one of them; neither: somebody closed the links."""

    error: VdeError | None = None
    caught: signal.Signals | None = None


@dataclass
class Junction:
    """Two VNLs.

    Attributes:
        surroundings: of the left and the right one.
        ready: called when both are open.
        wrap: put between the right one and the left.
    """

    left: str
    right: str
    surroundings: tuple[Surroundings, Surroundings]
    ready: Callable[[], None] = field(default=lambda: None)
    wrap: Callable[[Link], Link] = field(default=lambda link: link)

    def run(self) -> Outcome:
        """Until a link ends, or SIGINT, SIGTERM or SIGHUP comes. Everything opened is closed then.

        Raises:
            ConfigError: a VNL is wrong; nothing was opened.
        """
        for vnl in (self.left, self.right):
            registry.check(vnl)
        return trio.run(self._run)

    async def _run(self) -> Outcome:
        outcome = Outcome()
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_take_signals, signals, outcome, nursery.cancel_scope)
                try:
                    left, right = self.surroundings
                    async with left.open_link(self.left) as one, right.open_link(self.right) as other:
                        self.ready()
                        await join(one, self.wrap(other))
                except LinkClosed:
                    pass
                except VdeError as error:
                    outcome.error = error
                nursery.cancel_scope.cancel()
        return outcome


async def _take_signals(signals: AsyncIterator[int], outcome: Outcome, scope: trio.CancelScope) -> None:
    async for number in signals:
        outcome.caught = signal.Signals(number)
        scope.cancel()
