"""A lab's links by name: which one is meant, which of its ends, and where a capture listens to it.

    slow            its name in the file
    web--sw1        the names of its nodes, in any order; also web:eth0--sw1:3, with or without blanks
    web:eth0        the link of that interface; of a capture: this end of it
    up*             all whose names match

Where a capture listens. A link without impairments is heard at its first end; a wire, and a link of more than two ends,
at each of them, but only to what it sends: so every frame is there once, and with it what the wire did to it.
`NODE:INTERFACE` means this end alone, both ways.
"""

import fnmatch
from collections.abc import Iterable, Iterator
from typing import Literal

from vde.lab.resolved import Capture, CapturePoint, Lab, Link, LinkEnd, Tap, Wire, plugs

GLOB = frozenset("*?[")


def select(links: Iterable[Link], text: str) -> list[tuple[Link, LinkEnd | None]]:
    """The links that a text means, each with the end that it means, if it names one. Empty: none."""
    links = list(links)
    wanted = text.strip(" ")
    if named := [link for link in links if link.name == wanted]:
        return [(named[0], None)]
    if "--" in wanted:
        parts = [part.strip(" ") for part in wanted.split("--")]
        for cut in range(1, len(parts)):  # the names of nodes may have hyphens, too
            one, other = "--".join(parts[:cut]), "--".join(parts[cut:])
            if found := [link for link in links if _joins(link, one, other)]:
                return [(link, None) for link in found]
    ends = [(link, end) for link in links for end in link.ends if wanted == str(end) and end.interface]
    if ends:
        return list(ends)
    if GLOB & set(wanted):
        return [(link, None) for link in links if fnmatch.fnmatchcase(link.name, wanted)]
    return []


def names(links: Iterable[Link]) -> list[str]:
    """What can be meant, for a message."""
    return [link.name for link in links]


def _joins(link: Link, one: str, other: str) -> bool:
    if len(link.ends) != 2:
        return False
    first, second = link.ends
    return (_is(first, one) and _is(second, other)) or (_is(first, other) and _is(second, one))


def _is(end: LinkEnd, text: str) -> bool:
    return text in (end.node, str(end))


def with_points(lab: Lab) -> Lab:
    """The lab whose captures know where they listen; ports must be allotted."""
    nodes = {
        name: node.model_copy(update={"points": capture_points(lab, node.selected)})
        if isinstance(node, Capture)
        else node
        for name, node in lab.nodes.items()
    }
    return lab.model_copy(update={"nodes": nodes})


def capture_points(lab: Lab, selected: Iterable[str]) -> tuple[CapturePoint, ...]:
    """Where to listen for what some texts mean, each place once."""
    points: dict[str, CapturePoint] = {}
    for text in selected:
        for link, end in select(lab.links.values(), text):
            for point in _points(lab, link, end):
                points.setdefault(point.name, point)
    return tuple(points.values())


def _points(lab: Lab, link: Link, wanted: LinkEnd | None) -> Iterator[CapturePoint]:
    if wanted is not None:
        yield _point(lab, link, wanted, "both")
    elif len(link.ends) > 2 or link.wires:
        for end in link.ends:
            yield _point(lab, link, end, "out")
    else:
        yield _point(lab, link, link.ends[0], "both")


def _point(lab: Lab, link: Link, end: LinkEnd, ways: Literal["out", "both"]) -> CapturePoint:
    owner = lab.nodes[end.owner]
    if isinstance(owner, Tap):
        segment: str = owner.segment
        found = lab.segments()[segment].taps
        port: int | None = found.index(owner.interface) + 1
    else:
        attachment = plugs(owner)[end.slot]
        segment, port = attachment.segment, attachment.port
    wire, wire_end = None, 0
    for name in link.wires:
        node = lab.nodes[name]
        assert isinstance(node, Wire)
        if str(end) in node.names:
            wire, wire_end = name, node.names.index(str(end))
    shown = end.interface or (str(port) if end.node == segment else "")
    return CapturePoint(
        name=f"{link.name}@{end.node}" + (f":{shown}" if shown else ""),
        link=link.name,
        segment=segment,
        port=port,
        sends_in=end.node != segment,
        ways=ways,
        wire=wire,
        wire_end=wire_end,
    )
