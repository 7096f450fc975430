"""`depends_on`: which nodes have to be how far before another one is started.

What a node is plugged into comes before it in any case: that counts as well when circles are sought.
"""

from collections.abc import Mapping, Set

from vde.lab.diagnostics import Code, Complaints, did_you_mean, shown
from vde.lab.document import find
from vde.lab.inherit import Options
from vde.lab.resolved import Milestone
from vde.lab.schema import Dependency
from vde.lab.validate import Validated
from vde.lab.wiring import Wiring

MILESTONES: Mapping[str, Milestone] = {
    "started": "started",
    "service_started": "started",  # Compose
    "ready": "ready",
    "healthy": "ready",  # containerlab
    "service_healthy": "ready",  # Compose
}


def resolve_dependencies(
    validated: Validated, nodes: Mapping[str, Options], wires: Wiring, complaints: Complaints
) -> dict[str, dict[str, Milestone]]:
    """By node: the others and their milestones. Unknown names and circles are complained about."""
    result: dict[str, dict[str, Milestone]] = {}
    for name, options in nodes.items():
        place = find(validated.tree, options.origin("depends_on"), key=True)
        wanted: Mapping[str, Dependency | None] = options.get("depends_on", {})
        for other in wanted:
            if other not in nodes:
                hint = did_you_mean(other, nodes)
                complaints.add(
                    Code.DEPENDENCY, f"node '{name}' depends on {shown(other)}, which is no node", place, hint
                )
        result[name] = {
            other: MILESTONES[(dependency or Dependency()).condition]
            for other, dependency in wanted.items()
            if other in nodes
        }
    before = {name: set(others) for name, others in result.items()}
    for guest, interfaces in wires.guests.items():
        before[guest] |= {plugged.attachment.segment for plugged in interfaces.values()} & before.keys()
    for tap, segment in wires.taps.items():
        before[tap] |= {segment} & before.keys()
    for plug, attachment in wires.single.items():
        before[plug] |= {attachment.segment} & before.keys()
    circle = _circle(before)
    if circle:
        guilty = next(name for name in circle if nodes[name].get("depends_on"))
        place = find(validated.tree, nodes[guilty].origin("depends_on"), key=True)
        complaints.add(
            Code.DEPENDENCY,
            f"nodes wait for each other in a circle: {' → '.join(circle)}",
            place,
            "a node always waits for the switch that it is linked to",
        )
    return result


def _circle(dependencies: Mapping[str, Set[str]]) -> list[str]:
    """The first circle, its first node again at the end; empty if there is none."""
    done: set[str] = set()
    for start in dependencies:
        path: list[str] = []
        stack = [(start, iter(sorted(dependencies[start])))] if start not in done else []
        if stack:
            path.append(start)
        while stack:
            _, others = stack[-1]
            other = next(others, None)
            if other is None:
                stack.pop()
                done.add(path.pop())
            elif other in path:
                return [*path[path.index(other) :], other]
            elif other not in done:
                path.append(other)
                stack.append((other, iter(sorted(dependencies[other]))))
    return []
