"""bonding:// and a client of it."""

from tests.plugs.netnode_pair import pair_of_node

PAIR = pair_of_node("bonding")
