"""The commands, one file a menu. The order is that of vde_switch's help table; ours follow inside their menus."""

from switch.console.commands import (
    data_sockets,
    debug,
    fstp,
    general,
    learning_table,
    own,
    plug,
    plugin,
    port,
    vlan,
)
from switch.console.registry import Registry


def add_all(registry: Registry) -> None:
    """Fill the table."""
    for module in (data_sockets, general, debug, plugin, learning_table, fstp, port, vlan, plug, own):
        registry.add(*module.ENTRIES)
