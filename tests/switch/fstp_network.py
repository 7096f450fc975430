"""Switches that only speak the spanning tree, joined by cables, in virtual time."""

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from switch.fstp import Event, Fstp

MS = 1_000_000
SECOND = 1000 * MS

End = tuple[str, int]
"""A switch and one of its ports."""


@dataclass
class Node:
    name: str
    core: Fstp
    events: list[Event] = field(default_factory=list)
    sent: Counter[int] = field(default_factory=Counter)
    """Frames by port."""


@dataclass(frozen=True)
class Cable:
    a: End
    b: End
    delay_ns: int


class Network:
    """All cables carry the VLANs given, untagged for the first, tagged for the others."""

    def __init__(self, vlans: tuple[int, ...] = (0,)) -> None:
        self.now_ns = 1000 * SECOND
        self.vlans = vlans
        self.nodes: dict[str, Node] = {}
        self.cables: list[Cable] = []
        self.silent: set[str] = set()
        """Switches that hang: they neither hear nor speak, and their cables stay."""
        self.looping_ns: Counter[int] = Counter()
        """By VLAN: how long a broadcast could have circled."""
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._serials = itertools.count()

    def add(self, name: str, mac: int, priority: int = 0x8000, *, start_after_ns: int = 0) -> Fstp:
        """A switch; its clock of hellos starts a little later than the others'."""
        core = Fstp(b"\x00\xff" + mac.to_bytes(4, "big"), priority)
        for vlan in self.vlans:
            core.add_vlan(vlan, self.now_ns)
        core.enable(self.now_ns + start_after_ns)
        self.nodes[name] = Node(name, core)
        self._settle(self.nodes[name])
        return core

    def join(self, a: End, b: End, delay_ns: int = MS) -> Cable:
        """Plug a cable in at both ends at once."""
        cable = Cable(a, b, delay_ns)
        assert not any(end in (other.a, other.b) for other in self.cables for end in (a, b))
        self.cables.append(cable)
        for name, port in (a, b):
            for vlan in self.vlans:
                self.nodes[name].core.port_up(vlan, port, tagged=vlan != self.vlans[0], now_ns=self.now_ns)
            self._settle(self.nodes[name])
        return cable

    def cut(self, cable: Cable, *, noticed: bool = True) -> None:
        """Pull it out; `noticed`: the ports go down, else only nothing arrives any more."""
        self.cables.remove(cable)
        if noticed:
            for name, port in (cable.a, cable.b):
                self.port_down(name, port)

    def port_down(self, name: str, port: int) -> None:
        for vlan in self.vlans:
            self.nodes[name].core.port_down(vlan, port, self.now_ns)
        self._settle(self.nodes[name])

    def kill(self, name: str, *, noticed: bool = True) -> None:
        """The switch goes; `noticed`: its cables with it."""
        if noticed:
            for cable in [c for c in self.cables if name in (c.a[0], c.b[0])]:
                self.cables.remove(cable)
                for other, port in (cable.a, cable.b):
                    if other != name:
                        self.port_down(other, port)
            del self.nodes[name]
        else:
            self.silent.add(name)

    def touch(self, name: str) -> None:
        """After calling a core by hand: carry out what it wants."""
        self._settle(self.nodes[name])

    def run(self, duration_ns: int) -> None:
        """Let time pass."""
        end_ns = self.now_ns + duration_ns
        while True:
            looping = {vlan: self.loops(vlan) for vlan in self.vlans}
            alive = [n for n in self.nodes.values() if n.name not in self.silent]
            deadlines = [(d, n.name) for n in alive if (d := n.core.next_deadline()) is not None]
            timer_ns, name = min(deadlines, default=(end_ns + 1, ""))
            frame_ns = self._queue[0][0] if self._queue else end_ns + 1
            next_ns = min(timer_ns, frame_ns)
            for vlan, is_looping in looping.items():
                self.looping_ns[vlan] += is_looping * (min(next_ns, end_ns) - self.now_ns)
            if next_ns > end_ns:
                self.now_ns = end_ns
                return
            self.now_ns = max(self.now_ns, next_ns)
            if frame_ns <= timer_ns:
                heapq.heappop(self._queue)[2]()
            else:
                self.nodes[name].core.handle_timer(self.now_ns)
                self._settle(self.nodes[name])

    def forwards(self, end: End, vlan: int) -> bool:
        return self.nodes[end[0]].core.port_state(vlan, end[1])[1]

    def open_cables(self, vlan: int = 0) -> list[Cable]:
        """Those that frames of the VLAN cross."""
        return [c for c in self.cables if self.forwards(c.a, vlan) and self.forwards(c.b, vlan)]

    def loops(self, vlan: int = 0) -> bool:
        """Is there a circle of open cables?"""
        return len(self._grouped(self.open_cables(vlan))[1]) > 0

    def parts(self, vlan: int = 0) -> list[list[str]]:
        """Switches that frames of the VLAN pass between."""
        return self._grouped(self.open_cables(vlan))[0]

    def reachable(self) -> list[list[str]]:
        """Switches that cables join, blocked or not."""
        return self._grouped(self.cables)[0]

    def check_trees(self) -> None:
        """No circle, and whatever cables join can talk, in every VLAN."""
        for vlan in self.vlans:
            assert not self.loops(vlan), (vlan, self.open_cables(vlan))
            assert self.parts(vlan) == self.reachable(), (
                vlan,
                [self.nodes[n].core.view(vlan, self.now_ns) for n in self.nodes],
            )

    def _grouped(self, cables: list[Cable]) -> tuple[list[list[str]], list[Cable]]:
        """Switches by the part that these cables join them to, and the cables that close a circle."""
        parent = {name: name for name in self.nodes}

        def top(name: str) -> str:
            while parent[name] != name:
                parent[name] = name = parent[parent[name]]
            return name

        surplus = []
        for cable in cables:
            one, other = top(cable.a[0]), top(cable.b[0])
            if one == other:
                surplus.append(cable)
            parent[one] = other
        parts: dict[str, list[str]] = {}
        for name in sorted(self.nodes):
            parts.setdefault(top(name), []).append(name)
        return sorted(parts.values()), surplus

    def _settle(self, node: Node) -> None:
        """Note events, put frames on cables."""
        node.events += self._events(node.core)
        for port, frame in node.core.frames_to_send():
            node.sent[port] += 1
            for cable in self.cables:
                for here, there in ((cable.a, cable.b), (cable.b, cable.a)):
                    if here == (node.name, port):
                        self._carry(cable, there, frame)

    def _carry(self, cable: Cable, there: End, frame: bytes) -> None:
        def arrive() -> None:
            node = self.nodes.get(there[0])
            if cable not in self.cables or node is None or node.name in self.silent:
                return
            vlan = int.from_bytes(frame[14:16], "big") if frame[12:14] == b"\x81\x00" else self.vlans[0]
            node.core.receive(there[1], vlan, frame, self.now_ns)
            self._settle(node)

        heapq.heappush(self._queue, (self.now_ns + cable.delay_ns, next(self._serials), arrive))

    @staticmethod
    def _events(core: Fstp) -> Iterator[Event]:
        while (event := core.next_event()) is not None:
            yield event
