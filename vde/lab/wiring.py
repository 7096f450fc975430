"""Links → which interface is plugged into which segment: hubs that nobody named, cables between switches, wires.

| a link of                      | becomes                                    | if it is impaired                  |
|--------------------------------|--------------------------------------------|------------------------------------|
| a guest (or tap…) and a switch | an attachment of the guest                 | the guest on a hub, a wire from it |
| two switches (or hubs)         | a cable                                    | a wire                             |
| two guests                     | a hub of two ports with both attached      | each on a hub, a wire between them |
| more than two ends             | a hub with the guests attached, and cables | a wire for each impaired end       |

What is said of switches holds for hubs. Ports that the file does not choose are allotted by `vde.lab.ports`. A link is
impaired if it or an end of it has `impair` (be that empty: for changes to come), or the link a `schedule`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from vde.errors import ConfigError
from vde.lab.diagnostics import Code, Complaints, Place, did_you_mean, listed, shown
from vde.lab.file_links import FileLink, LinkEnd, read_links, twice
from vde.lab.forms import FROM_FILES
from vde.lab.inherit import Options
from vde.lab.resolved import Attachment, Cable, Link, Segment, Wire
from vde.lab.resolved import LinkEnd as ResolvedEnd
from vde.lab.schema import MOST_NICS, MOST_PORTS
from vde.lab.validate import Validated
from vde.wire.impairments import Impairments, merge

JOINTS = frozenset({"switch", "hub"})
TAPS = frozenset({"tap", "bridge"})  # interfaces of the host that the switch itself opens
PLUGS = frozenset({"nat", "plug", "host-nic"})  # with one end, and no interface that one could name
GUEST_INTERFACE = re.compile(r"eth(0|[1-9][0-9]?)")
SWITCH_PORT = re.compile(r"(?:eth|port)?([0-9]{1,5})")
USUAL_PORTS = 32  # vde_switch's default
NAME_CHARACTERS = 30


@dataclass
class Plugged:
    """A guest's interface: where it is plugged in, and the address that the link gives it."""

    attachment: Attachment
    mac: str | None
    place: Place


@dataclass
class Wiring:
    """What the links come to."""

    guests: dict[str, dict[str, Plugged]] = field(default_factory=dict)  # node → interface →
    taps: dict[str, str] = field(default_factory=dict)  # node → segment
    single: dict[str, Attachment] = field(default_factory=dict)  # nodes of PLUGS
    segments: dict[str, Segment] = field(default_factory=dict)  # implied ones
    cables: dict[str, Cable | Wire] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    ports: dict[str, dict[int, LinkEnd]] = field(default_factory=dict)  # segment → chosen ports
    plugs: dict[str, int] = field(default_factory=dict)  # segment → how many ports are used


@dataclass(frozen=True)
class Joined:
    """An end of a link that was plugged in: its interface as shown, and whose attachment it is, by which slot."""

    end: LinkEnd
    interface: str
    owner: str
    slot: str = ""

    def resolved(self) -> ResolvedEnd:
        """For the lab."""
        return ResolvedEnd(node=self.end.node, interface=self.interface, owner=self.owner, slot=self.slot)


def wire(validated: Validated, nodes: Mapping[str, Options], complaints: Complaints, seed: str) -> Wiring:
    """Plug everything in. `seed`: of the random decisions of wires."""
    links = []
    for link in read_links(validated):
        unknown = [end for end in link.ends if end.node not in nodes]
        for end in unknown:
            hint = did_you_mean(end.node, nodes) or f"nodes: {listed(nodes)}"
            complaints.add(Code.NO_NODE, f"there is no node {shown(end.node)}", end.place, hint)
        if not unknown:
            links.append(link)
    return _Wirer(nodes, complaints, links, seed).wire()


class _Wirer:
    def __init__(self, nodes: Mapping[str, Options], complaints: Complaints, links: list[FileLink], seed: str) -> None:
        self.nodes = nodes
        self.complaints = complaints
        self.links = links
        self.seed = seed
        self.result = Wiring()
        self.explicit: dict[str, set[str]] = {}
        self.given: dict[str, FileLink] = {}
        self.reserved: set[str] = set()

    def wire(self) -> Wiring:
        for link in self.links:
            self.check_name(link)
            for end in link.ends:
                if end.interface is not None:
                    self.explicit.setdefault(end.node, set()).add(end.interface)
        for link in self.links:
            self.link(link)
        return self.result

    def check_name(self, link: FileLink) -> None:
        if link.name is None:
            return
        if link.name in self.nodes:
            self.complaints.add(Code.DUPLICATE_KEY, f"the link {shown(link.name)} is called as a node is", link.place)
        before = self.given.setdefault(link.name, link)
        if before is not link:
            text = f"a link {shown(link.name)} was already given in line {before.place.line}"
            self.complaints.add(Code.DUPLICATE_KEY, text, link.place)

    def link(self, link: FileLink) -> None:
        if any(self.nodes[end.node].kind is None for end in link.ends):
            return  # reported already
        for end in twice(link):
            self.complaints.add(Code.LINK_ENDS, f"{shown(str(end))} is linked to itself", end.place)
            return
        if len(link.ends) > 2:
            self.shared(link)
        elif any(link.is_impaired(end) for end in link.ends):
            self.impaired(link)
        else:
            self.fast(link)

    def fast(self, link: FileLink) -> None:
        """Two ends, and nothing between them."""
        one, other = link.ends
        leaves = [end for end in link.ends if not self.is_joint(end)]
        if not leaves:
            attachment = self.port(one), self.port(other)
            name = self.cable(link.name or f"{one.node}--{other.node}", *attachment)
            self.remember(name, [_joint(one, name, "0"), _joint(other, name, "1")])
        elif len(leaves) == 1:
            name = self.free_name(link.name or f"{one.node}--{other.node}")
            joint = other if leaves[0] is one else one
            leaf = self.leaf(leaves[0], self.port(joint, leaves[0]))
            ends = [leaf, _joint(joint, leaf.owner, leaf.slot)]
            self.remember(name, ends if leaves[0] is one else ends[::-1])
        else:
            hub = self.implied_hub(link)
            self.remember(hub, [self.leaf(end, self.plug(hub)) for end in leaves])

    def impaired(self, link: FileLink) -> None:
        """Two ends with a wire between them."""
        name = self.free_name(link.name or "--".join(end.node for end in link.ends))
        plugs, joined = [], []
        for slot, end in zip("01", link.ends, strict=True):
            attachment, found = self.near(name, end, slot)
            plugs.append(attachment)
            joined.append(found)
        self.remember(name, joined, (name,))
        settings = self.settings(link, link.ends[0]), self.settings(link, link.ends[1])
        names = str(joined[0].resolved()), str(joined[1].resolved())
        self.result.cables[name] = Wire(
            name=name,
            ends=(plugs[0], plugs[1]),
            names=names,
            impair=settings,
            schedule=link.schedule,
            seed=self.seed,
        )

    def shared(self, link: FileLink) -> None:
        """More than two ends: a hub, and a wire to it for everyone who is impaired."""
        hub = self.implied_hub(link)
        joined, wires = [], []
        for end in link.ends:
            if link.is_impaired(end):
                name = self.free_name(f"{hub}.{end.node}")
                attachment, found = self.near(name, end, "0")
                joined.append(found)
                wires.append(name)
                self.result.cables[name] = Wire(
                    name=name,
                    ends=(attachment, self.plug(hub)),
                    names=(str(found.resolved()), hub),
                    impair=(self.settings(link, end), {}),
                    schedule=link.schedule,
                    seed=self.seed,
                )
            elif self.is_joint(end):
                name = self.cable(f"{end.node}--{hub}", self.port(end), self.plug(hub))
                joined.append(_joint(end, name, "0"))
            else:
                joined.append(self.leaf(end, self.plug(hub)))
        self.remember(hub, joined, tuple(wires))

    def near(self, wire: str, end: LinkEnd, slot: str) -> tuple[Attachment, Joined]:
        """The wire's own plug at an end; and the end, on a hub of its own if it is no switch."""
        if self.is_joint(end):
            return self.port(end), _joint(end, wire, slot)
        hub = self.free_name(f"{wire}.{end.node}")
        self.result.segments[hub] = Segment(name=hub, kind="hub", numports=2, implied=True)
        joined = self.leaf(end, self.plug(hub))
        return self.plug(hub), joined

    def settings(self, link: FileLink, end: LinkEnd) -> dict[str, str]:
        """What happens to frames that an end sends: the end's own word counts more than the link's."""
        given = {**(link.impair or {}), **(end.impair or {})}
        try:
            merge(Impairments(), {key: value for key, value in given.items() if key not in FROM_FILES})
        except ConfigError as error:
            self.complaints.add(Code.VALUE, f"'impair' of {shown(str(end))}: {error}", end.place)
        return given

    def remember(self, name: str, ends: list[Joined], wires: tuple[str, ...] = ()) -> None:
        self.result.links[name] = Link(name=name, ends=tuple(joined.resolved() for joined in ends), wires=wires)

    def is_joint(self, end: LinkEnd) -> bool:
        return self.nodes[end.node].kind in JOINTS

    def implied_hub(self, link: FileLink) -> str:
        name = self.free_name(link.name or "--".join(end.node for end in link.ends[:3]))
        self.result.segments[name] = Segment(name=name, kind="hub", numports=max(2, len(link.ends)), implied=True)
        return name

    def cable(self, wanted: str, one: Attachment, other: Attachment) -> str:
        name = self.free_name(wanted)
        self.result.cables[name] = Cable(name=name, ends=(one, other))
        return name

    def free_name(self, wanted: str) -> str:
        """A name that no node or link has, and from now on this one."""
        name, number = wanted[:NAME_CHARACTERS], 2
        while name in self.nodes or name in self.reserved:
            name, number = f"{wanted[: NAME_CHARACTERS - 6]}.{number}", number + 1
        self.reserved.add(name)
        return name

    def plug(self, segment: str, port: int | None = None) -> Attachment:
        self.result.plugs[segment] = self.result.plugs.get(segment, 0) + 1
        return Attachment(segment=segment, port=port, chosen=port is not None)

    def port(self, end: LinkEnd, leaf: LinkEnd | None = None) -> Attachment:
        """The port of a switch that an end names, or any."""
        if end.mac:
            self.complaints.add(Code.NOT_OF_KIND, f"a port of '{end.node}' has no address of its own", end.place)
        if end.interface is None:
            return self.plug(end.node)
        found = SWITCH_PORT.fullmatch(end.interface)
        limit = self.nodes[end.node].get("numports") or MOST_PORTS
        number = int(found[1]) if found else 0
        if not 1 <= number <= limit:
            self.complaints.add(
                Code.PORT,
                f"{shown(end.interface)} is not a port of '{end.node}': a number from 1 to {limit} was expected",
                end.place,
            )
            return self.plug(end.node)
        if leaf and self.nodes[leaf.node].kind in TAPS:
            self.complaints.add(
                Code.PORT,
                f"the port of a tap cannot be chosen: '{end.node}' opens taps first, at its lowest ports",
                end.place,
                f"write {end.node}",
            )
            return self.plug(end.node)
        before = self.result.ports.setdefault(end.node, {}).setdefault(number, end)
        if before is not end:
            self.complaints.add(
                Code.INTERFACE_TAKEN,
                f"port {number} of '{end.node}' is already linked in line {before.place.line}",
                end.place,
            )
        return self.plug(end.node, number)

    def leaf(self, end: LinkEnd, attachment: Attachment) -> Joined:
        """Plug in what is no switch."""
        kind = self.nodes[end.node].kind
        if kind in TAPS:
            return Joined(end, self.tap(end, attachment), end.node)
        if kind in PLUGS:
            self.single(end, attachment)
            return Joined(end, "", end.node)
        interface = self.guest(end, attachment)
        return Joined(end, interface, end.node, interface)

    def single(self, end: LinkEnd, attachment: Attachment) -> None:
        kind = self.nodes[end.node].kind
        if end.interface is not None:
            text = f"{kind} '{end.node}' has no interface {shown(end.interface)}"
            self.complaints.add(Code.NO_INTERFACE, text, end.place, f"write {end.node}")
        if end.mac:
            text = f"the address of {kind} '{end.node}' cannot be chosen"
            self.complaints.add(Code.NOT_OF_KIND, text, end.place)
        if end.node in self.result.single:
            self.complaints.add(Code.INTERFACE_TAKEN, f"{kind} '{end.node}' is already linked", end.place)
        self.result.single.setdefault(end.node, attachment)

    def tap(self, end: LinkEnd, attachment: Attachment) -> str:
        kind = self.nodes[end.node].kind
        interface: str = self.nodes[end.node].get("interface", end.node)
        if end.interface not in (None, interface):
            self.complaints.add(
                Code.NO_INTERFACE,
                f"{kind} '{end.node}' has no interface {shown(end.interface)} (it has {interface})",
                end.place,
            )
        if end.mac:
            self.complaints.add(Code.NOT_OF_KIND, f"the host chooses the address of {kind} '{end.node}'", end.place)
        if end.node in self.result.taps:
            self.complaints.add(Code.INTERFACE_TAKEN, f"{kind} '{end.node}' is already linked", end.place)
        self.result.taps.setdefault(end.node, attachment.segment)
        return interface

    def guest(self, end: LinkEnd, attachment: Attachment) -> str:
        """The interface, plugged in; empty if there is none to be had."""
        plugged = self.result.guests.setdefault(end.node, {})
        interface = self.interface(end, plugged)
        if interface in plugged:
            line = plugged[interface].place.line
            self.complaints.add(
                Code.INTERFACE_TAKEN, f"{interface} of '{end.node}' is already linked in line {line}", end.place
            )
        elif interface:
            plugged[interface] = Plugged(attachment, end.mac, end.place)
        return interface

    def interface(self, end: LinkEnd, plugged: Mapping[str, Plugged]) -> str:
        """The one that is named, or the next free one; empty, and a complaint, if there is none."""
        declared = self.nodes[end.node].get("nics")
        declared = list(declared) if isinstance(declared, dict) else None
        if end.interface is None:
            taken = plugged.keys() | self.explicit.get(end.node, set())
            candidates = declared if declared is not None else [f"eth{index}" for index in range(MOST_NICS)]
            found = next((name for name in candidates if name not in taken), "")
            if not found:
                has = f"{len(candidates)} interfaces" if declared is None else listed(declared) or "none"
                self.complaints.add(
                    Code.NO_INTERFACE, f"node '{end.node}' has no free interface (it has {has})", end.place
                )
            return found
        if declared is not None and end.interface not in declared:
            has = listed(declared) or "none"
            self.complaints.add(
                Code.NO_INTERFACE,
                f"node '{end.node}' has no interface {shown(end.interface)} (it has {has})",
                end.place,
                did_you_mean(end.interface, declared) or "add it to 'nics'",
            )
            return ""
        if declared is None and not is_guest_interface(end.interface):
            self.complaints.add(
                Code.NO_INTERFACE,
                f"node '{end.node}' has no interface {shown(end.interface)}: eth0 to eth{MOST_NICS - 1} was expected",
                end.place,
            )
            return ""
        return end.interface


def is_guest_interface(name: str) -> bool:
    """Whether a guest can have an interface of that name."""
    found = GUEST_INTERFACE.fullmatch(name)
    return found is not None and int(found[1]) < MOST_NICS


def _joint(end: LinkEnd, owner: str, slot: str) -> Joined:
    """A switch's end of a link, of whose port somebody else has the attachment."""
    return Joined(end, end.interface or "", owner, slot)
