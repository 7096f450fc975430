"""Links → which interface is plugged into which segment: hubs that nobody named, and cables between switches.

| a link of                     | becomes                                                |
|-------------------------------|--------------------------------------------------------|
| a guest (or tap) and a switch | an attachment of the guest                             |
| two switches (or hubs)        | a cable                                                |
| two guests                    | a hub of two ports with both attached                  |
| more than two ends            | a hub with the guests attached, cables to the switches |

What is said of switches holds for hubs. Ports that the file does not choose are allotted by `vde.lab.ports`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vde.lab.diagnostics import Code, Complaints, Place, did_you_mean, listed, shown
from vde.lab.document import Keys, find
from vde.lab.inherit import Options
from vde.lab.resolved import Attachment, Cable, Segment
from vde.lab.schema import MOST_NICS, MOST_PORTS, End, Link
from vde.lab.validate import Validated

GUEST_INTERFACE = re.compile(r"eth(0|[1-9][0-9]?)")
SWITCH_PORT = re.compile(r"(?:eth|port)?([0-9]{1,5})")
USUAL_PORTS = 32  # vde_switch's default
NAME_CHARACTERS = 30


@dataclass(frozen=True)
class LinkEnd:
    """One end of a link, as the file says it."""

    node: str
    interface: str | None
    mac: str | None
    place: Place

    def __str__(self) -> str:
        return self.node if self.interface is None else f"{self.node}:{self.interface}"


@dataclass(frozen=True)
class FileLink:
    """A link, whatever its spelling was."""

    name: str | None
    ends: tuple[LinkEnd, ...]
    place: Place


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
    segments: dict[str, Segment] = field(default_factory=dict)  # implied ones
    cables: dict[str, Cable] = field(default_factory=dict)
    ports: dict[str, dict[int, LinkEnd]] = field(default_factory=dict)  # segment → chosen ports
    plugs: dict[str, int] = field(default_factory=dict)  # segment → how many ports are used


def read_links(validated: Validated) -> Iterator[FileLink]:
    """The file's links in one form."""
    links = validated.file.links
    listing = {None: links} if isinstance(links, list) else dict(links or {})
    for group, members in listing.items():
        for index, link in enumerate(members):
            path: Keys = ("links", index) if group is None else ("links", group, index)
            place = find(validated.tree, path)
            match link:
                case str():
                    ends = tuple(
                        _text_end(text, place, validated.text) for text in re.split(r" +-- +", link.strip(" "))
                    )
                    yield FileLink(None, ends, place)
                case Link():
                    yield FileLink(link.name, _ends(link.endpoints, (*path, "endpoints"), validated), place)
                case _:
                    yield FileLink(None, _ends(link, path, validated), place)


def _ends(ends: list[str | End], path: Keys, validated: Validated) -> tuple[LinkEnd, ...]:
    found = []
    for index, end in enumerate(ends):
        place = find(validated.tree, (*path, index))
        if isinstance(end, str):
            found.append(_text_end(end, place, validated.text))
        else:
            interface = None if end.interface is None else str(end.interface)
            found.append(LinkEnd(end.node, interface, end.mac, place))
    return tuple(found)


def _text_end(text: str, place: Place, source: str) -> LinkEnd:
    """`NODE:INTERFACE`, and where exactly it stands if it is part of a longer text on one line."""
    text = text.strip(" ")
    node, _, interface = text.partition(":")
    return LinkEnd(node, interface or None, None, place.narrowed(text, source))


def wire(validated: Validated, nodes: Mapping[str, Options], complaints: Complaints) -> Wiring:
    """Plug everything in."""
    links = []
    for link in read_links(validated):
        unknown = [end for end in link.ends if end.node not in nodes]
        for end in unknown:
            hint = did_you_mean(end.node, nodes) or f"nodes: {listed(nodes)}"
            complaints.add(Code.NO_NODE, f"there is no node {shown(end.node)}", end.place, hint)
        if not unknown:
            links.append(link)
    return _Wirer(validated, nodes, complaints, links).wire()


class _Wirer:
    def __init__(
        self, validated: Validated, nodes: Mapping[str, Options], complaints: Complaints, links: list[FileLink]
    ) -> None:
        self.validated = validated
        self.nodes = nodes
        self.complaints = complaints
        self.links = links
        self.result = Wiring()
        self.explicit: dict[str, set[str]] = {}

    def wire(self) -> Wiring:
        for link in self.links:
            for end in link.ends:
                if end.interface is not None:
                    self.explicit.setdefault(end.node, set()).add(end.interface)
        for link in self.links:
            self.link(link)
        return self.result

    def link(self, link: FileLink) -> None:
        joints = [end for end in link.ends if self.nodes[end.node].kind in ("switch", "hub")]
        leaves = [end for end in link.ends if self.nodes[end.node].kind in ("qemu", "tap")]
        if len(joints) + len(leaves) < len(link.ends):
            return  # a node whose kind is wrong: reported already
        for end in _twice(link):
            self.complaints.add(Code.LINK_ENDS, f"{shown(str(end))} is linked to itself", end.place)
            return
        if len(link.ends) == 2 and len(joints) == 2:
            self.cable(link, joints[0], joints[1])
        elif len(link.ends) == 2 and len(joints) == 1:
            attachment = self.port(joints[0], leaves[0])
            self.leaf(leaves[0], attachment)
        else:
            hub = self.implied_hub(link)
            for end in leaves:
                self.leaf(end, self.plug(hub))
            for end in joints:
                self.cable(link, end, None, hub)

    def implied_hub(self, link: FileLink) -> str:
        name = self.free_name(link.name or "--".join(end.node for end in link.ends[:3]))
        self.result.segments[name] = Segment(name=name, kind="hub", numports=max(2, len(link.ends)), implied=True)
        return name

    def cable(self, link: FileLink, one: LinkEnd, other: LinkEnd | None, hub: str = "") -> None:
        ends = (self.port(one, None), self.port(other, None) if other else self.plug(hub))
        name = (link.name if other else None) or f"{one.node}--{other.node if other else hub}"
        name = self.free_name(name)
        self.result.cables[name] = Cable(name=name, ends=ends)

    def free_name(self, wanted: str) -> str:
        taken = self.nodes.keys() | self.result.segments.keys() | self.result.cables.keys()
        name, number = wanted[:NAME_CHARACTERS], 2
        while name in taken:
            name, number = f"{wanted[: NAME_CHARACTERS - 6]}.{number}", number + 1
        return name

    def plug(self, segment: str, port: int | None = None) -> Attachment:
        self.result.plugs[segment] = self.result.plugs.get(segment, 0) + 1
        return Attachment(segment=segment, port=port, chosen=port is not None)

    def port(self, end: LinkEnd, leaf: LinkEnd | None) -> Attachment:
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
        if leaf and self.nodes[leaf.node].kind == "tap":
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

    def leaf(self, end: LinkEnd, attachment: Attachment) -> None:
        if self.nodes[end.node].kind == "tap":
            self.tap(end, attachment)
        else:
            self.guest(end, attachment)

    def tap(self, end: LinkEnd, attachment: Attachment) -> None:
        interface = self.nodes[end.node].get("interface", end.node)
        if end.interface not in (None, interface):
            self.complaints.add(
                Code.NO_INTERFACE,
                f"tap '{end.node}' has no interface {shown(end.interface)} (it has {interface})",
                end.place,
            )
        if end.mac:
            self.complaints.add(Code.NOT_OF_KIND, f"the host chooses the address of tap '{end.node}'", end.place)
        if end.node in self.result.taps:
            self.complaints.add(Code.INTERFACE_TAKEN, f"tap '{end.node}' is already linked", end.place)
        self.result.taps.setdefault(end.node, attachment.segment)

    def guest(self, end: LinkEnd, attachment: Attachment) -> None:
        plugged = self.result.guests.setdefault(end.node, {})
        declared = self.nodes[end.node].get("nics")
        declared = list(declared) if isinstance(declared, dict) else None
        interface = end.interface
        if interface is None:
            taken = plugged.keys() | self.explicit.get(end.node, set())
            candidates = declared if declared is not None else [f"eth{index}" for index in range(MOST_NICS)]
            interface = next((name for name in candidates if name not in taken), None)
            if interface is None:
                has = f"{len(candidates)} interfaces" if declared is None else listed(declared) or "none"
                self.complaints.add(
                    Code.NO_INTERFACE, f"node '{end.node}' has no free interface (it has {has})", end.place
                )
                return
        elif declared is not None and interface not in declared:
            has = listed(declared) or "none"
            self.complaints.add(
                Code.NO_INTERFACE,
                f"node '{end.node}' has no interface {shown(interface)} (it has {has})",
                end.place,
                did_you_mean(interface, declared) or "add it to 'nics'",
            )
            return
        elif not is_guest_interface(interface):
            self.complaints.add(
                Code.NO_INTERFACE,
                f"node '{end.node}' has no interface {shown(interface)}: eth0 to eth{MOST_NICS - 1} was expected",
                end.place,
            )
            return
        if interface in plugged:
            line = plugged[interface].place.line
            self.complaints.add(
                Code.INTERFACE_TAKEN, f"{interface} of '{end.node}' is already linked in line {line}", end.place
            )
            return
        plugged[interface] = Plugged(attachment, end.mac, end.place)


def is_guest_interface(name: str) -> bool:
    """Whether a guest can have an interface of that name."""
    found = GUEST_INTERFACE.fullmatch(name)
    return found is not None and int(found[1]) < MOST_NICS


def _twice(link: FileLink) -> Iterator[LinkEnd]:
    """Ends that name the same interface, or the same node without naming one."""
    for index, end in enumerate(link.ends):
        for other in link.ends[index + 1 :]:
            if (end.node, end.interface) == (other.node, other.interface):
                yield other
