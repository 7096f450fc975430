"""Plugs as ports: any VNL, opened, kept open, and opened again when it broke.

    opening ──ok──► connected ──the link ends──► waiting ──time──► opening
       └───────────────fails───────────────────────┘

A plug keeps the port that it was given first. The wait before another attempt doubles from `FIRST_WAIT_S` to
`MOST_WAIT_S`, and begins anew after a connection that lasted `LASTING_S`. A first failure is logged, those that follow
only show in `plug/print`, until it has been connected again.

The switch does not know plugs: whoever starts it gives it an `Opener`. Frames never pass through this module.
Limit (chosen): `PLUGS_MAX` plugs.
"""

import errno
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, NoReturn, Protocol

import trio

from switch.core import SECOND_NS, Switch
from switch.log import Log
from switch.ports import Endpoint
from vde.endpoint import HandedOver
from vde.errors import ConfigError, LinkBroken, LinkClosed, Refused
from vde.link import LinkStatistics

FIRST_WAIT_S, MOST_WAIT_S = 0.5, 30.0  # chosen
LASTING_S = 10.0  # chosen
PLUGS_MAX = 4096
MODULE_PLUG = "plug"
_PORT = re.compile(r"(.*)@([0-9]{1,6})", re.DOTALL)

State = Literal["opening", "connected", "waiting"]


class PortLink(Protocol):
    """An open link, as a descriptor.

    Attributes:
        handed: for the forwarder.
        direct: False: a task of `run` carries the frames.
    """

    @property
    def handed(self) -> HandedOver:
        """As above."""

    @property
    def direct(self) -> bool:
        """As above."""

    async def run(self) -> NoReturn:
        """Until the link ends. Raises `LinkBroken`, `LinkClosed`."""

    def discard(self) -> None:
        """Close `handed`, which nobody took."""

    def statistics(self) -> LinkStatistics:
        """Of the link; a direct one counts nothing."""

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """Of the link."""


class Opener(Protocol):
    """How VNLs are opened. `trusted`: they come from who started the switch, and may run programs."""

    def check(self, vnl: str, *, trusted: bool) -> None:
        """Raises `ConfigError`: it can never be opened."""

    def open(self, vnl: str, *, trusted: bool, warn: Callable[[str], None]) -> AbstractAsyncContextManager[PortLink]:
        """Raises `ConfigError`, `LinkBroken`."""


@dataclass
class Plugged:
    """One plug.

    Attributes:
        number: its name on the console.
        failures: since it was connected last, or ever.
        breaks: connections that ended.
        since_ns: of the state.
        wait_s: before the next attempt.
    """

    number: int
    vnl: str
    port: int
    trusted: bool
    since_ns: int
    state: State = "opening"
    failures: int = 0
    breaks: int = 0
    wait_s: float = 0.0
    last_error: str = ""
    link: PortLink | None = None
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    """Of its task."""


def split_port(text: str) -> tuple[str, int]:
    """`VNL[@PORT]` → VNL and port; 0: any. To end a VNL in `@` and digits, add `@0`."""
    found = _PORT.fullmatch(text)
    return (found[1], int(found[2])) if found else (text, 0)


class PlugBoard:
    """All plugs of a switch."""

    def __init__(self, switch: Switch, opener: Opener | None, now_ns: Callable[[], int], log: Log) -> None:
        self._switch = switch
        self._opener = opener
        self._now_ns = now_ns
        self._log = log
        self._plugs: dict[int, Plugged] = {}
        self._nursery: trio.Nursery | None = None
        self._last_number = 0

    def __iter__(self) -> Iterator[Plugged]:
        return iter(list(self._plugs.values()))

    def add(self, text: str, *, trusted: bool) -> Plugged:
        """`VNL[@PORT]`: opened as soon as `run` runs.

        Raises:
            ConfigError: the VNL is wrong. Refused: the port is (EINVAL, ENOSPC), or there are too many (ENOSPC).
        """
        if self._opener is None:
            raise Refused(errno.ENOSYS, "this switch was started without plugs: start it as vdeswitch")
        if len(self._plugs) >= PLUGS_MAX:
            raise Refused(errno.ENOSPC, f"there are {PLUGS_MAX} plugs already")
        vnl, wanted = split_port(text)
        self._opener.check(vnl, trusted=trusted)
        port = self._switch.choose_port(wanted, management=False)
        now_ns = self._now_ns()
        if port not in self._switch.ports:
            self._switch.create_port(port, now_ns)  # not allocatable: it is ours also while it is not connected
        self._last_number += 1
        plugged = Plugged(self._last_number, vnl, port, trusted, now_ns)
        self._plugs[plugged.number] = plugged
        if self._nursery is not None:
            self._nursery.start_soon(self._keep, plugged, self._opener)
        return plugged

    def remove(self, number: int) -> None:
        """Close it, for good. Raises `Refused` (ENXIO)."""
        plugged = self._plugs.pop(number, None)
        if plugged is None:
            raise Refused(errno.ENXIO, f"there is no plug {number}")
        plugged.scope.cancel()
        if plugged.port in self._switch.ports and not any(one.port == plugged.port for one in self._plugs.values()):
            self._switch.ports.get(plugged.port).allocatable = True

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep all plugs open until cancelled; on return all are closed."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for plugged in self._plugs.values():
                assert self._opener is not None
                nursery.start_soon(self._keep, plugged, self._opener)
            task_status.started()
            await trio.sleep_forever()

    async def _keep(self, plugged: Plugged, opener: Opener) -> None:
        nominal_s = FIRST_WAIT_S
        with plugged.scope:
            while True:
                self._turn(plugged, "opening")
                began_ns = self._now_ns()
                try:
                    async with opener.open(plugged.vnl, trusted=plugged.trusted, warn=self._log.warning) as link:
                        await self._carry(plugged, link)
                except (ConfigError, LinkBroken, LinkClosed, Refused, OSError) as error:
                    self._fail(plugged, str(error))
                if self._now_ns() - began_ns >= LASTING_S * SECOND_NS:
                    nominal_s = FIRST_WAIT_S
                plugged.wait_s = nominal_s
                self._turn(plugged, "waiting")
                await trio.sleep(nominal_s)
                nominal_s = min(2 * nominal_s, MOST_WAIT_S)

    async def _carry(self, plugged: Plugged, link: PortLink) -> None:
        """Until the link ends (raised), or the endpoint is taken out."""
        taken_out = trio.CancelScope()
        endpoint = Endpoint(
            id=link.handed.fd,
            port=plugged.port,
            kind=link.handed.kind,
            module=MODULE_PLUG,
            description=plugged.vnl,
            uid=None,
            close=taken_out.cancel,
        )
        try:
            self._switch.plug_in(endpoint, link.handed.fd, self._now_ns(), link.handed.others, link.handed.overlay)
        except BaseException:
            link.discard()
            raise
        if plugged.failures or plugged.breaks:
            self._log.info(f"plug {plugged.vnl}: connected")
        plugged.failures = 0
        plugged.link = link
        self._turn(plugged, "connected")
        try:
            with taken_out:
                await link.run()
            raise LinkBroken("its descriptor failed, or port/epclose closed it")
        finally:
            plugged.link = None
            plugged.breaks += 1
            self._switch.pull_out(endpoint.id, self._now_ns())

    def _fail(self, plugged: Plugged, why: str) -> None:
        if not plugged.failures:
            self._log.warning(f"plug {plugged.vnl}: {why}; trying again")
        plugged.failures += 1
        plugged.last_error = why

    def _turn(self, plugged: Plugged, state: State) -> None:
        plugged.state, plugged.since_ns = state, self._now_ns()
