"""`plugin/…`: what may be added to the switch. Plugins are built in; nothing is loaded from files."""

import errno

from switch.console.call import Call
from switch.console.registry import Command, Menu
from vde.errors import Refused

HEADER = ("NAME                   HELP", "------------           ----")


def list_loaded(call: Call) -> None:
    """Refused: ENOENT, none is loaded whose name begins so."""
    for line in HEADER:
        call.print(line)
    found = call.console.plugins.loaded(call.argument)
    for plugin in found:
        call.print(f"{plugin.name:<22} {plugin.help}")
    if not found:
        raise Refused(errno.ENOENT, f"no plugin is loaded whose name begins with {call.argument!r}")


def add(call: Call) -> None:
    """Refused: EINVAL without a name, ENOENT unknown, EEXIST."""
    call.console.plugins.load(call.argument)


def delete(call: Call) -> None:
    """Refused: ENOENT."""
    call.console.plugins.unload(call.argument)


ENTRIES = (
    Menu("plugin", "PLUGINS MENU"),
    Command("plugin/list", "", "list plugins", list_loaded, framed=True),
    Command("plugin/add", "library", "load a plugin", add),
    Command("plugin/del", "name", "unload a plugin", delete),
)
