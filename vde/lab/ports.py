"""Which port every plug takes, where the file does not say.

Decided before anything starts, so that a run does not depend on which guest is the quickest. A node that runs keeps its
port when the file changes, because another one would mean to restart it.

Taps come first: the switch opens them when it starts, and gives them its lowest ports in their order. Then who cannot
ask for a port and gets the lowest free one when it comes: User-Mode Linux with the transport `daemon`.
"""

from collections.abc import Iterator

from vde.lab.links import with_points
from vde.lab.resolved import AnyNode, Cable, Guest, Lab, Plug, Station, Wire, plugs


def allot(lab: Lab, before: Lab | None = None) -> Lab:
    """The lab with every port decided.

    Args:
        lab: as resolved.
        before: what runs now, with its ports.
    """
    taken = {name: set(range(1, len(segment.taps) + 1)) for name, segment in lab.segments().items()}
    for node in lab.nodes.values():
        for attachment in plugs(node).values():
            if attachment.port is not None:
                taken[attachment.segment].add(attachment.port)
    kept = dict(_running(before)) if before else {}
    decided: dict[tuple[str, str], int] = {}
    for again in (False, True):  # first those that run, then the new ones
        for node in sorted(lab.nodes.values(), key=_can_ask):
            for slot, attachment in plugs(node).items():
                if attachment.port is not None or (node.name, slot) in decided:
                    continue
                used = taken[attachment.segment]
                port = kept.get((node.name, slot, attachment.segment))
                if port in used or (port or 0) > lab.segments()[attachment.segment].numports:
                    port = None
                if port is None and again:
                    port = next(number for number in range(1, len(used) + 2) if number not in used)
                if port is not None:
                    used.add(port)
                    decided[node.name, slot] = port
    return with_points(
        lab.model_copy(update={"nodes": {name: _with(node, decided) for name, node in lab.nodes.items()}})
    )


def _can_ask(node: AnyNode) -> bool:
    return not (isinstance(node, Guest) and node.transport == "daemon")


def _running(lab: Lab) -> Iterator[tuple[tuple[str, str, str], int]]:
    """What was allotted (not what a file chose): plug and segment, port."""
    for node in lab.nodes.values():
        for slot, attachment in plugs(node).items():
            if attachment.port is not None and not attachment.chosen:
                yield (node.name, slot, attachment.segment), attachment.port


def _with(node: AnyNode, decided: dict[tuple[str, str], int]) -> AnyNode:
    ports = {
        slot: attachment if attachment.port is not None else attachment.model_copy(update={"port": decided[key]})
        for slot, attachment in plugs(node).items()
        for key in [(node.name, slot)]
    }
    match node:
        case Cable() | Wire():
            return node.model_copy(update={"ends": (ports["0"], ports["1"])})
        case Plug():
            return node.model_copy(update={"attachment": ports[""]})
        case Station():
            nics = (nic.model_copy(update={"attachment": ports.get(nic.interface)}) for nic in node.nics)
            return node.model_copy(update={"nics": tuple(nics)})
        case _:
            return node
