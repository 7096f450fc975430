"""`depends_on`: which nodes have to be how far before another one is started."""

from collections.abc import Mapping

from vde.lab.diagnostics import Code, Complaints, did_you_mean, shown
from vde.lab.document import find
from vde.lab.inherit import Options
from vde.lab.resolved import Milestone
from vde.lab.schema import Dependency
from vde.lab.validate import Validated

MILESTONES: Mapping[str, Milestone] = {
    "started": "started",
    "service_started": "started",  # Compose
    "ready": "ready",
    "healthy": "ready",  # containerlab
    "service_healthy": "ready",  # Compose
}


def resolve_dependencies(
    validated: Validated, nodes: Mapping[str, Options], complaints: Complaints
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
    circle = _circle(result)
    if circle:
        place = find(validated.tree, nodes[circle[0]].origin("depends_on"), key=True)
        complaints.add(Code.DEPENDENCY, f"nodes depend on each other in a circle: {' → '.join(circle)}", place)
    return result


def _circle(dependencies: Mapping[str, Mapping[str, Milestone]]) -> list[str]:
    """The first circle, its first node again at the end; empty if there is none."""
    done: set[str] = set()
    for start in dependencies:
        path: list[str] = []
        stack = [(start, iter(dependencies[start]))] if start not in done else []
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
                stack.append((other, iter(dependencies[other])))
    return []
