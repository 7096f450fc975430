"""wirefilter's parameters: one full set for each Markov node, and the edges between nodes.

    nodes      0 … n−1, each a name and, for each of `PARAMETERS`, a value for either direction
    edges      weights in per cent; a node's edge to itself is what is left of 100
    current    the node whose values count now; wirefilter begins in 0

Limits (chosen): `MOST_NODES`, and names of `NAME_CHARACTERS`: the original takes any number, and with 10^8 is gone.
"""

import errno
from dataclasses import dataclass, field

from vde.errors import Refused
from vde.wire.filter.values import Value, parse_value

PARAMETERS = ("loss", "lostburst", "delay", "dup", "bandwidth", "speed", "noise", "mtu", "chanbufsize")
MOST_NODES = 256
NAME_CHARACTERS = 256
SHORTEST_MS = 0.1  # chosen: more than ten thousand decisions a second are noise


def _no_values() -> dict[str, list[Value]]:
    return {parameter: [Value(), Value()] for parameter in PARAMETERS}


@dataclass(slots=True)
class Node:
    """One node."""

    name: str = ""
    values: dict[str, list[Value]] = field(default_factory=_no_values)


class Nodes:
    """All of them.

    Attributes:
        period_ms: between decisions about the next node.
        version: counts changes, for whoever keeps something that was computed from the values.
    """

    def __init__(self) -> None:
        self.nodes = [Node()]
        self.edges = [[100.0]]
        self.current = 0
        self.period_ms = 100.0
        self.version = 0

    def __len__(self) -> int:
        return len(self.nodes)

    def value(self, parameter: str, direction: int) -> Value:
        """Of the current node."""
        return self.nodes[self.current].values[parameter][direction]

    def set_value(self, parameter: str, text: str) -> None:
        """What a command says.

        Raises:
            Refused: EINVAL, there is no such node.
        """
        given = parse_value(text)
        self.check(given.node)
        if given.value is not None:
            for direction in given.directions:
                self.nodes[given.node].values[parameter][direction] = given.value
            self.version += 1

    def check(self, number: int) -> int:
        """Is there such a node?

        Raises:
            Refused: EINVAL, no.
        """
        if not 0 <= number < len(self.nodes):
            raise Refused(errno.EINVAL, f"node {number}: 0 to {len(self.nodes) - 1} was expected")
        return number

    def set_count(self, count: int) -> None:
        """Add or remove nodes at the end.

        Raises:
            Refused: EINVAL, out of range.
        """
        if not 1 <= count <= MOST_NODES:
            raise Refused(errno.EINVAL, f"{count} nodes: 1 to {MOST_NODES} was expected")
        for edges in self.edges:
            edges[count:] = [0.0] * max(0, count - len(edges))
        del self.nodes[count:], self.edges[count:]
        while len(self.nodes) < count:
            self.nodes.append(Node())
            self.edges.append([0.0] * count)
        for number in range(count):
            self._complete(number)
        if self.current >= count:
            self.current = 0
        self.version += 1

    def set_edge(self, origin: int, destination: int, weight: float) -> None:
        """The node's edge to itself changes with the others, whatever it is set to.

        Raises:
            Refused: EINVAL, there is no such node.
        """
        self.check(origin)
        self.check(destination)
        self.edges[origin][destination] = weight
        self._complete(origin)

    def _complete(self, number: int) -> None:
        edges = self.edges[number]
        edges[number] = 0.0
        edges[number] = 100.0 - sum(edges)

    def next_node(self, u: float) -> int:
        """The node that 0 ≤ u < 1 leads to from the current one."""
        u *= 100
        for number, weight in enumerate(self.edges[self.current]):
            if number != self.current:
                if u < weight:
                    return number
                u -= max(0.0, weight)
        return self.current
