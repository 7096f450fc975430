"""Fast spanning tree, as vde_switch 2.3.2 speaks it: loops between switches are cut, one tree a VLAN.

Read first: `switch/bpdu.py`. Source: behaviour and frames of vde_switch 2.3.2, held equal by a differential test
(`tests/interop/test_fstp_vde_switch.py`). It has the shape of RSTP (IEEE 802.1D-2004 §17), and does not work with it.

Theory of operation. Every switch knows the best way to the root that it has heard of: a `Way`, compared field by field,
lower is better; its own (cost 0, no root port) while it takes itself for the root. A port is in one of these roles:

    role               learns, forwards   becomes so
    root               yes                the best way was heard here
    designated         yes                at first; when the neighbour says that here is its root port; when nobody has
                                          spoken here for two history periods (16 s); when the root is lost
    alternate/backup   no                 when another port becomes the root port and a switch has spoken here;
                                          when a neighbour with the same root but a longer way says that it is not
                                          its root port (so both ends of a surplus cable are blocked)
    edge               yes                by command: BPDUs are neither sent nor taken here

    heard                                       then
    its way is ours                             the root lives; agree again if asked to
    at the root port, or a better way           follow it, whatever it is: block all other ports where a switch has
                                                spoken, tell them, and agree at the root port, upon which the other
                                                end unblocks its port
    same root, longer way, it is our child      unblock the port
    same root, longer way, it is not            block the port
    a worse root                                answer with ours

A change of topology makes the switch forget the VLAN's addresses (`TopologyChanged`) and tell its unblocked neighbours
by a BPDU with the flag TC; these do the same. Hellos leave every 4 s. The root is lost with the root port, or after
three hellos without it; the switch takes itself for the root then.

What differs from vde_switch, and is understood by it:

 - No echoes. vde_switch believes a neighbour even when that repeats what it has heard from us, so that a dead root can
   live on in a ring, each round with new ways and open circles. Here a BPDU from a child is never a way; and for
   250 ms after a root is lost, a neighbour that was not nearer to it than we were is not believed: then all neighbours
   are asked (by telling them ours).
 - Blocked neighbours too are told of a new way at once, not at the next hello; a neighbour that asks twice for
   agreement gets it twice. Convergence waits for no hello, unless a cable dies unnoticed (16 s).
 - A root worse than ourselves, offered at the root port, is not followed: we are the root then, and block every port
   with a switch until that agrees. vde_switch follows the worse root until it dies.
 - Hostile or stale BPDUs: information older than its maximum age is ignored; costs do not wrap, a way that costs more
   than the field holds is none, and its port is blocked; our own BPDUs come back only over a loop, and block the higher
   port of it (vde_switch: both); other protocols' BPDUs do not make a port look like a switch's; a port sends at
   most 32 BPDUs (hellos not counted) a second, and BPDUs cause at most 8 flushes of a VLAN a second: what is more waits
   for the end of the second and is then done once, so nothing is lost.
 - `enable` and the end of an edge speak at once. A tagged port can be an edge. A root port that becomes an edge loses
   the root at once.

Not supported: RSTP, STP, MSTP; redundant paths over a shared segment (a hub, or several cables in one port): where more
than two ends speak, a port may be blocked and opened every hello; authentication (a BPDU cannot be trusted: make
ports to untrusted guests edges); costs by speed (no VDE port has one: 20,000,000 each).

Times are nanoseconds of a clock that never steps back.
"""

from collections import deque

from switch.bpdu import ROLE_DESIGNATED, ROLE_MASK, ROLE_ROOT, SECOND, Bpdu, Flags, bridge_id, parse, port_id
from switch.fstp_tree import Port, Tree, Way
from switch.fstp_view import (
    Event,
    FstpPortView,
    FstpView,
    PortActive,
    PortInactive,
    Role,
    RootChanged,
    StateChanged,
    TopologyChanged,
)
from vde.errors import WireError

__all__ = [
    "Event",
    "Fstp",
    "FstpPortView",
    "FstpView",
    "PortActive",
    "PortInactive",
    "Role",
    "RootChanged",
    "StateChanged",
    "TopologyChanged",
]

SECOND_NS = 1_000_000_000
HELLO_NS = 4 * SECOND_NS
ROOT_LOST_NS = 3 * HELLO_NS
HISTORY_HELLOS = 4  # a history period: 16 s
MAX_AGE = 40 * SECOND  # as in the BPDU
OLDEST = 255 * SECOND  # what is sent at most; vde_switch's second octet is not 1/256 s
PORT_COST = 20_000_000  # 802.1D-2004 table 17-3: 1 Mbit/s
COST_MOST = 0xFFFF_FFFF
HOLD_NS = 250_000_000  # chosen: longer than news take through a network


class Fstp:
    """All trees of one switch. Ports and VLANs that were not introduced have no state: they are never blocked.

    `ignored` counts BPDUs that were not acted upon: garbage, other protocols, too old, at an edge or an unknown port.
    """

    def __init__(self, mac: bytes, priority: int = 0x8000) -> None:
        self.mac = mac
        self.priority = priority
        self.bridge_id = bridge_id(priority, mac)
        self.enabled = False
        self.ignored = 0
        self._own = Way(self.bridge_id, 0, b"\xff" * 8, 0)
        self._trees: dict[int, Tree] = {}
        self._frames: list[tuple[int, bytes]] = []
        self._events: deque[Event] = deque()
        self._started_ns: int | None = None
        self._hello_ns = 0
        self._hellos = 0
        self._sends: dict[tuple[int, int], Flags] = {}
        """(VLAN, port) → flags of a BPDU that waits for the port's budget."""
        self._changes: set[int] = set()
        """VLANs whose change of topology waits for their budget."""
        self._holds: dict[int, int] = {}
        """VLAN → when lost roots may be followed again."""

    # Configuration

    def enable(self, now_ns: int) -> None:
        """Begin to speak, and to block."""
        if self.enabled:
            return
        self.enabled = True
        self._hello_ns = now_ns + HELLO_NS
        self._hellos = 0
        for tree in self._trees.values():
            for port in tree.ports:
                self._send(tree, port, Flags(0), now_ns)

    def disable(self, now_ns: int) -> None:
        """Every port learns and forwards; nothing is sent any more."""
        if not self.enabled:
            return
        self.enabled = False
        for tree in self._trees.values():
            for port, member in tree.ports.items():
                if member.active:
                    member.heard = member.heard_before = False
                    self._events.append(PortInactive(tree.vlan, port))
            self._lose_root(tree, now_ns)
            tree.lost.clear()
        self._sends.clear()
        self._changes.clear()
        self._holds.clear()

    def add_vlan(self, vlan: int, now_ns: int) -> None:
        """A new tree, with no ports. Raises `ValueError` if there is one."""
        if vlan in self._trees:
            raise ValueError(f"VLAN {vlan} exists")
        if self._started_ns is None:
            self._started_ns = now_ns
        self._trees[vlan] = Tree(vlan, self._own)
        self._lose_root(self._trees[vlan], now_ns)

    def remove_vlan(self, vlan: int) -> None:
        """The tree and all that it knows. Raises `KeyError` if there is none."""
        for port in self._trees.pop(vlan).ports:
            self._sends.pop((vlan, port), None)
        self._changes.discard(vlan)
        self._holds.pop(vlan, None)

    def port_up(self, vlan: int, port: int, *, tagged: bool, now_ns: int) -> None:
        """An active port has become a member of the VLAN (or is one in a different way): it learns and forwards.

        What was known of it, and its being an edge, is forgotten; no `StateChanged` tells so.
        """
        tree = self._trees[vlan]
        if port in tree.ports and tree.ports[port].active:
            self._events.append(PortInactive(vlan, port))
        tree.ports[port] = Port(tagged)
        tree.ports = dict(sorted(tree.ports.items(), key=lambda item: (item[1].tagged, item[0])))
        self._sends.pop((vlan, port), None)
        self._send(tree, port, Flags(0), now_ns)
        self._change(tree, port, now_ns)

    def port_down(self, vlan: int, port: int, now_ns: int) -> None:
        """The port is no longer active, or no longer a member."""
        tree = self._trees[vlan]
        member = tree.ports.pop(port, None)
        if member is None:
            return
        self._sends.pop((vlan, port), None)
        if member.active:
            self._events.append(PortInactive(vlan, port))
        if port == tree.root_port:
            self._lose_root(tree, now_ns)
        self._change(tree, port, now_ns)

    def set_edge(self, vlan: int, port: int, edge: bool, now_ns: int) -> None:
        """An edge has no switch behind it: BPDUs are neither sent nor taken, it is never blocked.

        Without effect on a port that is not up: `port_up` would forget it.
        """
        tree = self._trees[vlan]
        member = tree.ports.get(port)
        if member is None or member.edge == edge:
            return
        member.edge = edge
        if not edge:
            self._send(tree, port, Flags(0), now_ns)
            return
        self._sends.pop((vlan, port), None)
        if member.active:
            member.heard = member.heard_before = False
            self._events.append(PortInactive(vlan, port))
        self._set_backup(tree, port, member, False)
        if port == tree.root_port:
            self._lose_root(tree, now_ns)
            self._change(tree, port, now_ns)

    def set_bonus(self, vlan: int, port: int, cost: int, now_ns: int) -> None:
        """Make the way through one port of the VLAN cheaper by `cost` (dearer if negative). One port a VLAN has it.

        It counts from the next BPDU that is heard there.
        """
        tree = self._trees[vlan]
        tree.bonus_port, tree.bonus_cost = port, cost

    # Octets, time and events

    def receive(self, port: int, vlan: int, frame: bytes, now_ns: int) -> None:
        """A BPDU as received, with its tag if it had one. Never raises."""
        tree = self._trees.get(vlan)
        member = tree.ports.get(port) if tree else None
        if not self.enabled or tree is None or member is None or member.edge:
            self.ignored += 1
            return
        try:
            bpdu = parse(frame)
        except WireError:
            self.ignored += 1
            return
        if bpdu.age >= min(bpdu.max_age, MAX_AGE):
            self.ignored += 1
            return
        if not member.active:
            self._events.append(PortActive(vlan, port))
        member.heard = True
        if bpdu.bridge == self.bridge_id:
            self._hear_ourselves(tree, port, member, bpdu, now_ns)
            return
        if bpdu.flags & Flags.TOPOLOGY_CHANGE:
            self._change_asked(tree, port, now_ns)
        bonus = tree.bonus_cost if port == tree.bonus_port else 0
        way = Way(bpdu.root, max(0, bpdu.cost + PORT_COST - bonus), bpdu.bridge, bpdu.port)
        role = bpdu.flags & ROLE_MASK
        child = role == ROLE_ROOT
        usable = way.root < self.bridge_id and way.cost <= COST_MOST and not child
        if way == tree.way and usable:
            tree.heard_ns = now_ns
            if port == tree.root_port and bpdu.flags & Flags.BACKUP:
                self._send(tree, port, Flags.AGREEMENT, now_ns)
        elif port == tree.root_port:
            if role == ROLE_DESIGNATED or (way.bridge, way.port) == (tree.way.bridge, tree.way.port):
                self._adopt(tree, way if usable else self._own, port if usable else None, now_ns)
        elif way < tree.way and usable:
            if tree.may_follow(way.root, bpdu.cost):
                self._adopt(tree, way, port, now_ns)
        elif way.root > tree.way.root or (child and way.root < tree.way.root):
            self._send(tree, port, Flags(0), now_ns)
        elif member.backup == child:
            self._set_backup(tree, port, member, not child)
            self._change_asked(tree, port, now_ns)

    def frames_to_send(self) -> list[tuple[int, bytes]]:
        """Ports and what is to leave there, with a tag where it needs one, in order; each is given once."""
        frames, self._frames = self._frames, []
        return frames

    def next_event(self) -> Event | None:
        """What has happened, oldest first."""
        return self._events.popleft() if self._events else None

    def next_deadline(self) -> int | None:
        """When `handle_timer` is to be called. None: never, as things are."""
        if not self.enabled:
            return None
        sends = (self._trees[vlan].ports[port].budget.opens_ns for vlan, port in self._sends)
        changes = (self._trees[vlan].budget.opens_ns for vlan in self._changes)
        return min((self._hello_ns, *sends, *changes, *self._holds.values()))

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due; too early is harmless. Hellos that were missed are not made up for."""
        if not self.enabled:
            return
        for vlan in sorted(self._changes):
            if now_ns >= self._trees[vlan].budget.opens_ns:
                self._change_asked(self._trees[vlan], None, now_ns)
        for (vlan, port), flags in sorted(self._sends.items()):
            if now_ns >= self._trees[vlan].ports[port].budget.opens_ns:
                self._send(self._trees[vlan], port, flags, now_ns)
        for vlan in [vlan for vlan, until_ns in self._holds.items() if now_ns >= until_ns]:
            self._end_hold(self._trees[vlan], now_ns)
        if now_ns < self._hello_ns:
            return
        self._hello_ns += HELLO_NS
        if self._hello_ns <= now_ns:
            self._hello_ns = now_ns + HELLO_NS
        for tree in self._trees.values():
            self._hello(tree, now_ns)
        self._hellos += 1
        if self._hellos % HISTORY_HELLOS == 0:
            for tree in self._trees.values():
                self._turn_history(tree)

    # What is seen of it

    def port_state(self, vlan: int, port: int) -> tuple[bool, bool]:
        """(learning, forwarding); both for what is not known here."""
        tree = self._trees.get(vlan)
        member = tree.ports.get(port) if tree else None
        blocked = member is not None and member.backup
        return not blocked, not blocked

    def view(self, vlan: int, now_ns: int) -> FstpView:
        """What `fstp/print` shows. Raises `KeyError` if there is no such VLAN."""
        tree = self._trees[vlan]
        heard_ns = tree.heard_ns if tree.root_port is not None else self._started_ns or 0
        return FstpView(
            vlan=vlan,
            enabled=self.enabled,
            is_root=tree.way.root == self.bridge_id,
            root=tree.way.root,
            designated=tree.way.bridge,
            root_port=tree.root_port or 0,
            cost=tree.way.cost,
            age_s=(now_ns - heard_ns) // SECOND_NS,
            bonus_port=tree.bonus_port,
            bonus_cost=tree.bonus_cost,
            ports=tuple(
                FstpPortView(port, member.tagged, PORT_COST, tree.role(port)) for port, member in tree.ports.items()
            ),
        )

    # The protocol

    def _hear_ourselves(self, tree: Tree, port: int, member: Port, bpdu: Bpdu, now_ns: int) -> None:
        """Our own BPDU came back: two of our ports, or one and itself, are joined. Root port or else lower stays."""
        root_port_id = None if tree.root_port is None else port_id(tree.root_port)
        if port == tree.root_port or member.backup:
            return
        if bpdu.port == root_port_id or bpdu.port <= port_id(port):
            self._set_backup(tree, port, member, True)
            self._change_asked(tree, port, now_ns)

    def _adopt(self, tree: Tree, way: Way, root_port: int | None, now_ns: int) -> None:
        """Follow a new way: block towards all other switches until they agree, then forward on it."""
        if way.root > tree.way.root:
            self._hold(tree, now_ns)
        tree.way, tree.root_port, tree.heard_ns = way, root_port, now_ns
        self._events.append(RootChanged(tree.vlan, root_port or 0, way.root))
        for port, member in tree.ports.items():
            if port != root_port and member.active:
                if not member.backup:
                    self._set_backup(tree, port, member, True)
                self._send(tree, port, Flags(0), now_ns)
        if root_port is not None:
            self._set_backup(tree, root_port, tree.ports[root_port], False)
            self._send(tree, root_port, Flags.AGREEMENT, now_ns)
        self._change_asked(tree, root_port, now_ns)

    def _lose_root(self, tree: Tree, now_ns: int) -> None:
        """Be the root, as at the beginning: every port forwards."""
        self._hold(tree, now_ns)
        tree.way, tree.root_port = self._own, None
        self._events.append(RootChanged(tree.vlan, 0, self.bridge_id))
        for port, member in tree.ports.items():
            if member.backup:
                self._set_backup(tree, port, member, False)

    def _hold(self, tree: Tree, now_ns: int) -> None:
        """The way to the root is lost: for a while, what is said of that root may be an echo of what we said."""
        if tree.root_port is not None:
            tree.lose(tree.way)
            self._holds[tree.vlan] = now_ns + HOLD_NS

    def _end_hold(self, tree: Tree, now_ns: int) -> None:
        """Believe everybody again, and make them say what they know: who knows a better root will answer."""
        del self._holds[tree.vlan]
        tree.lost.clear()
        for port, member in tree.ports.items():
            if member.active:
                self._send(tree, port, Flags(0), now_ns)

    def _set_backup(self, tree: Tree, port: int, member: Port, backup: bool) -> None:
        member.backup = backup
        self._events.append(StateChanged(tree.vlan, port, learning=not backup, forwarding=not backup))

    def _change_asked(self, tree: Tree, origin: int | None, now_ns: int) -> None:
        """A BPDU has caused a change of topology: as `_change`, if not too often."""
        if tree.budget.take(now_ns):
            self._changes.discard(tree.vlan)
            self._change(tree, origin, now_ns)
        else:
            self._changes.add(tree.vlan)

    def _change(self, tree: Tree, origin: int | None, now_ns: int) -> None:
        """The topology has changed beyond port `origin`. While disabled nothing is known of it."""
        if not self.enabled:
            return
        self._events.append(TopologyChanged(tree.vlan))
        for port, _ in tree.switches():
            if port != origin:
                self._send(tree, port, Flags.TOPOLOGY_CHANGE, now_ns)

    def _hello(self, tree: Tree, now_ns: int) -> None:
        if tree.root_port is not None and now_ns - tree.heard_ns > ROOT_LOST_NS:
            self._lose_root(tree, now_ns)
            self._events.append(TopologyChanged(tree.vlan))
        for port, member in tree.ports.items():
            if not member.edge:
                self._emit(tree, port, member, Flags.AGREEMENT, now_ns)

    def _turn_history(self, tree: Tree) -> None:
        """A port where no switch speaks any more cannot be a backup of anything."""
        for port, member in tree.ports.items():
            if member.backup and not member.active:
                self._set_backup(tree, port, member, False)
            if member.heard_before and not member.heard:
                self._events.append(PortInactive(tree.vlan, port))
            member.heard_before, member.heard = member.heard, False

    def _send(self, tree: Tree, port: int, flags: Flags, now_ns: int) -> None:
        """A BPDU of the present state, now or when the port's budget allows."""
        member = tree.ports[port]
        if not self.enabled or member.edge:
            return
        if member.budget.take(now_ns):
            self._emit(tree, port, member, flags, now_ns)
        else:
            self._sends[tree.vlan, port] = flags | self._sends.get((tree.vlan, port), Flags(0))

    def _emit(self, tree: Tree, port: int, member: Port, flags: Flags, now_ns: int) -> None:
        flags |= self._sends.pop((tree.vlan, port), Flags(0))
        flags |= Flags.BACKUP if member.backup else Flags.NOT_BACKUP | Flags.LEARNING | Flags.FORWARDING
        if port != tree.root_port:
            flags |= Flags.NOT_ROOT
        age_s = 0 if tree.root_port is None else (now_ns - tree.heard_ns) // SECOND_NS
        bpdu = Bpdu(
            source=self.mac,
            flags=flags,
            root=tree.way.root,
            cost=tree.way.cost,
            bridge=self.bridge_id,
            port=port_id(port),
            age=min(age_s * SECOND, OLDEST),
            tci=tree.vlan if member.tagged else None,
        )
        self._frames.append((port, bpdu.emit()))
