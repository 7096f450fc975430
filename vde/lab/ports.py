"""Which port every plug takes, where the file does not say.

Decided before anything starts, so that a run does not depend on which guest is the quickest. A node that runs keeps its
port when the file changes, because another one would mean to restart it.

Taps come first: the switch opens them when it starts, and gives them its lowest ports in their order.
"""

from collections.abc import Iterator

from vde.lab.resolved import AnyNode, Attachment, Cable, Guest, Lab


def allot(lab: Lab, before: Lab | None = None) -> Lab:
    """The lab with every port decided.

    Args:
        lab: as resolved.
        before: what runs now, with its ports.
    """
    taken = {name: set(range(1, len(segment.taps) + 1)) for name, segment in lab.segments().items()}
    for node in lab.nodes.values():
        for attachment in _plugs(node):
            if attachment.port is not None:
                taken[attachment.segment].add(attachment.port)
    kept = dict(_running(before)) if before else {}
    decided: dict[tuple[str, int], int] = {}
    for again in (False, True):  # first those that run, then the new ones
        for node in lab.nodes.values():
            for index, attachment in enumerate(_plugs(node)):
                if attachment.port is not None or (node.name, index) in decided:
                    continue
                used = taken[attachment.segment]
                port = kept.get((node.name, index, attachment.segment))
                if port in used or (port or 0) > lab.segments()[attachment.segment].numports:
                    port = None
                if port is None and again:
                    port = next(number for number in range(1, len(used) + 2) if number not in used)
                if port is not None:
                    used.add(port)
                    decided[node.name, index] = port
    return lab.model_copy(update={"nodes": {name: _with(node, decided) for name, node in lab.nodes.items()}})


def _plugs(node: AnyNode) -> tuple[Attachment, ...]:
    match node:
        case Guest(nics=nics):
            return tuple(nic.attachment for nic in nics if nic.attachment)
        case Cable(ends=ends):
            return ends
        case _:
            return ()


def _running(lab: Lab) -> Iterator[tuple[tuple[str, int, str], int]]:
    """What was allotted (not what a file chose): plug and segment, port."""
    for node in lab.nodes.values():
        for index, attachment in enumerate(_plugs(node)):
            if attachment.port is not None and not attachment.chosen:
                yield (node.name, index, attachment.segment), attachment.port


def _with(node: AnyNode, decided: dict[tuple[str, int], int]) -> AnyNode:
    plugs = [
        attachment if attachment.port is not None else attachment.model_copy(update={"port": decided[node.name, index]})
        for index, attachment in enumerate(_plugs(node))
    ]
    if isinstance(node, Cable):
        return node.model_copy(update={"ends": tuple(plugs)})
    if isinstance(node, Guest):
        rest = iter(plugs)
        nics = tuple(nic.model_copy(update={"attachment": next(rest)}) if nic.attachment else nic for nic in node.nics)
        return node.model_copy(update={"nics": nics})
    return node
