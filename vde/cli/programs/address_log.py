"""`vde_plug -L`: which IP addresses come through a link, each once.

Limits: `MOST` addresses; when there are more, the one that was silent longest is forgotten, and told again.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from switch.plugins.iplog import Address, source_address
from vde.link import Link, LinkStatistics

MOST = 1024  # chosen


class AddressLog:
    """Frames in, sentences out."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[Address, int], None] = OrderedDict()

    def receive(self, frame: bytes) -> str | None:
        """What to say of a frame's source; nothing if it is known or there is none."""
        if (found := source_address(frame)) is None:
            return None
        is_known = found in self._seen
        self._seen[found] = None
        self._seen.move_to_end(found)
        if len(self._seen) > MOST:
            self._seen.popitem(last=False)
        address, vlan = found
        return None if is_known else f"VDE-IP{address.version} {address} on vlan {vlan}"


class LoggedLink(Link):
    """A link whose received frames' addresses are told."""

    def __init__(self, link: Link, log: AddressLog, tell: Callable[[str], None]) -> None:
        super().__init__()
        self.mtu_octets = link.mtu_octets
        self._link = link
        self._log = log
        self._tell = tell

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`."""
        await self._link.send(frames)

    async def receive(self) -> list[bytes]:
        """As `Link.receive`."""
        frames = await self._link.receive()
        for frame in frames:
            if (text := self._log.receive(frame)) is not None:
                self._tell(text)
        return frames

    async def watch(self) -> NoReturn:
        """As `Link.watch`."""
        await self._link.watch()

    def statistics(self) -> LinkStatistics:
        """As `Link.statistics`."""
        return self._link.statistics()

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        return self._link.state()
