"""A guest's cable and the network that it leads to: frames both ways, in batches.

A network that is not there, or ends, is a cable that was pulled: the guest sees its link go down, and the network is
tried again every `RETRY_S`. A VNL that is wrong is an error at once.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import trio

from emulators.guest.ends import LiveCable
from vde.errors import LinkBroken, LinkClosed
from vde.link import FRAMES_PER_BATCH, Link

RETRY_S = 1.0
"""Chosen: a switch that is started again has its guests back at once, as people see it."""


class Lead:
    """What a cable leads to.

    Args:
        cable: the guest's end.
        vnl: of the network.
        open_link: opens it (`vde.plugspec.Surroundings.open_link`).
        wake: the machine has something to take.
        warn: is told in one line when a network is lost, and when it is back.
    """

    def __init__(
        self,
        cable: LiveCable,
        vnl: str,
        open_link: Callable[[str], AbstractAsyncContextManager[Link]],
        wake: Callable[[], None],
        warn: Callable[[str], None],
    ) -> None:
        self._cable = cable
        self._vnl = vnl
        self._open_link = open_link
        self._wake = wake
        self._warn = warn

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; started when the network is there for the first time.

        Raises:
            ConfigError, LinkBroken: it cannot be opened the first time.
        """
        started = lost = False
        while True:
            try:
                async with self._open_link(self._vnl) as link:
                    self._plug(up=True)
                    if not started:
                        started = True
                        task_status.started()
                    if lost:
                        self._warn(f"{self._vnl}: is back")
                    lost = False
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._receive, link)
                        nursery.start_soon(self._send, link)
            except* (LinkBroken, LinkClosed) as group:
                if not started:
                    raise _first(group) from None
                if not lost:
                    self._warn(f"{self._vnl}: {_first(group)}; it is tried again")
                lost = True
            self._plug(up=False)
            self._cable.drop()
            await trio.sleep(RETRY_S)

    def _plug(self, *, up: bool) -> None:
        self._cable.plug(up=up)
        self._wake()

    async def _receive(self, link: Link) -> None:
        while True:
            self._cable.put(await link.receive())
            self._wake()

    async def _send(self, link: Link) -> None:
        while True:
            await self._cable.bell.wait()
            while frames := self._cable.take(FRAMES_PER_BATCH):
                await link.send(frames)


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group
