"""bonding:// — several parallel cables to one end, used in turns: each frame that it sends goes by one of them.

    bonding:///tmp/vm1[mode=0660]

As multi://, but the load is shared: one frame by one client, the next by the next. A client that takes no more just now
is passed over; only if none takes the frame, it waits for the one whose turn it is. Frames by different wires may
overtake one another.

Peers: libvdeplug's clients; the original is its plug of the same name, which does not pass over a client that is full.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from switch.netnode.place import Params
from switch.netnode.star import Node, StarLink, open_star
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings


class BondingLink(StarLink):
    """One after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = 0

    def _distribute(self, nodes: Sequence[Node], frame: bytes) -> bool:
        first = self._turn % len(nodes)
        self._turn = first + 1
        for node in (*nodes[first:], *nodes[:first]):
            if self._offer(node, frame, queued=False):
                return True
        if self._offer(nodes[first], frame, queued=True):
            return True
        self.counters.drop_out("full")
        return False


def open_bonding(address: str, params: Params, surroundings: Surroundings) -> AbstractAsyncContextManager[Link]:
    """`address`: the control directory."""
    return open_star(BondingLink(), address, params, surroundings)


PLUG = PlugSpec("bonding", open_bonding, Params, syntax="bonding://[DIRECTORY][[OPTION…]]", style="bracket")
