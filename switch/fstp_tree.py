"""What the fast spanning tree remembers: ports, the way to the root, what waits. The rules are in `switch/fstp.py`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from switch.fstp_view import Role

WINDOW_NS = 1_000_000_000  # chosen
SEND_MOST = 32  # chosen: a port of a converging network sends fewer
CHANGES_MOST = 8  # chosen: a real change takes one or two
LOST_MOST = 8  # chosen


class Way(NamedTuple):
    """A way to a root: `cost` includes the port that it was heard at; the rest is the neighbour's."""

    root: bytes
    cost: int
    bridge: bytes
    port: int


class Budget:
    """At most so many a window. What is refused waits for `opens_ns`."""

    __slots__ = ("_left", "_most", "opens_ns")

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = 0
        self.opens_ns = 0

    def take(self, now_ns: int) -> bool:
        """Is there one left?"""
        if now_ns >= self.opens_ns:
            self._left = self._most
            self.opens_ns = now_ns + WINDOW_NS
        if self._left == 0:
            return False
        self._left -= 1
        return True


@dataclass(slots=True)
class Port:
    """A member of one VLAN, on a port with a cable."""

    tagged: bool
    edge: bool = False
    backup: bool = False
    heard: bool = False
    """A BPDU came in this history period,"""
    heard_before: bool = False
    """or in the one before."""
    budget: Budget = field(default_factory=lambda: Budget(SEND_MOST))

    @property
    def active(self) -> bool:
        """Does a switch speak here?"""
        return self.heard or self.heard_before


@dataclass(slots=True)
class Tree:
    """One VLAN's instance."""

    vlan: int
    way: Way
    root_port: int | None = None
    heard_ns: int = 0
    bonus_port: int = 0
    bonus_cost: int = 0
    ports: dict[int, Port] = field(default_factory=dict)
    """Untagged ones first, then by number: the order in which vde_switch sends."""
    budget: Budget = field(default_factory=lambda: Budget(CHANGES_MOST))

    lost: dict[bytes, int] = field(default_factory=dict)
    """Roots that were lost a moment ago, and what our way to them cost."""

    def lose(self, way: Way) -> None:
        """Remember a lost way."""
        self.lost[way.root] = min(way.cost, self.lost.pop(way.root, way.cost))
        if len(self.lost) > LOST_MOST:
            del self.lost[next(iter(self.lost))]

    def may_follow(self, root: bytes, cost: int) -> bool:
        """Can a neighbour that says it is `cost` away from `root` know of a way that does not lead through us?"""
        return cost < self.lost.get(root, cost + 1)

    def switches(self) -> Iterator[tuple[int, Port]]:
        """The unblocked ports where a switch has spoken."""
        for port, member in self.ports.items():
            if member.active and not member.backup and not member.edge:
                yield port, member

    def role(self, port: int) -> Role:
        """Of a member."""
        member = self.ports[port]
        if member.edge:
            return Role.EDGE
        if port == self.root_port:
            return Role.ROOT
        return Role.BACKUP if member.backup else Role.DESIGNATED
