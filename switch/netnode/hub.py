"""hub:// — a hub within this process, and a port of it.

    hub:///tmp/h[mode=0666]
    vde_plug null:// hub:///tmp/h

As switch://, but every frame goes to all others.
"""

from contextlib import AbstractAsyncContextManager

from switch.netnode.forwarded import open_forwarded
from switch.netnode.place import Params
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings


def open_hub(address: str, params: Params, surroundings: Surroundings) -> AbstractAsyncContextManager[Link]:
    """`address`: the control directory."""
    return open_forwarded(address, params, surroundings, hub=True)


PLUG = PlugSpec("hub", open_hub, Params, syntax="hub://[DIRECTORY][[OPTION…]]", style="bracket")
