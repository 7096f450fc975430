"""multi:// — many parallel cables to one end: what it sends goes by all of them, what comes by any is received.

    multi:///tmp/vm1[mode=0660]

The control directory (default `/tmp/vdenode_USER`) is joined by clients, as a switch's is; they hear the opener, and
the opener hears them, but not one another. With two ends that are multi://, and several wires between them (`vde_plug
/tmp/vm1 = ssh one.example vde_plug /tmp/vm2`), a wire may be replaced while frames pass; a frame arrives as often as
there are wires.

Peers: libvdeplug's clients; the original is its plug of the same name. Differences, on purpose: as switch:// (the
directory of a dead node is taken over; it runs by itself). A client that does not read loses its own frames.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from switch.netnode.place import Params
from switch.netnode.star import Node, StarLink, open_star
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings


class MultiLink(StarLink):
    """All of them."""

    def _distribute(self, nodes: Sequence[Node], frame: bytes) -> bool:
        taken = [self._offer(node, frame, queued=True) for node in nodes]
        if (missed := taken.count(False)) > 0:
            self.counters.drop_out("full", missed)
        return any(taken)


def open_multi(address: str, params: Params, surroundings: Surroundings) -> AbstractAsyncContextManager[Link]:
    """`address`: the control directory."""
    return open_star(MultiLink(), address, params, surroundings)


PLUG = PlugSpec("multi", open_multi, Params, syntax="multi://[DIRECTORY][[OPTION…]]", style="bracket")
