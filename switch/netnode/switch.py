"""switch:// — a switch within this process, and a port of it.

    switch:///tmp/s[mode=0660/grp=vde2-net]
    vde_plug null:// switch:///tmp/s            a switch that stands alone
    vde_plug tap://tap0 switch:///tmp/s         and one with a tap

Makes the control directory (default `/tmp/vdenode_USER`), which clients join by `vde:///tmp/s`, or by its path alone;
it is removed at the end. Frames go where their address was last heard from. Tagged frames pass as they are. A client
gets a port of its own, whichever it asked for; there is no console (vdeswitch has one, with VLANs and a spanning tree).

Peers: libvdeplug's clients, QEMU, UML. The original is libvdeplug's plug of the same name. Differences, on purpose: it
runs by itself, while the original moves frames only while its opener waits for some; the directory of a node that was
killed is taken over (there: "File exists"); who asks for the management port is disconnected (there: waits for ever);
addresses are never confused with others whose hash is the same; one VLAN more or less makes no difference (there: VLAN
1025 is taken for VLAN 1). An address is learned for the VLAN of its frame's tag, as there.

Limits: greatest frame: 9234 octets. 65535 ports.
"""

from contextlib import AbstractAsyncContextManager

from switch.netnode.forwarded import open_forwarded
from switch.netnode.place import LearningParams
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings


def open_switch(address: str, params: LearningParams, surroundings: Surroundings) -> AbstractAsyncContextManager[Link]:
    """`address`: the control directory."""
    return open_forwarded(address, params, surroundings, hub=False)


PLUG = PlugSpec("switch", open_switch, LearningParams, syntax="switch://[DIRECTORY][[OPTION…]]", style="bracket")
