"""The plugins: which there are, which are loaded.

A plugin brings a menu of commands, categories of events, and a hook that sees frames. Those of vde_switch are shared
objects that crash it when two of them are loaded; these are part of the switch, and independent of one another. Names
are taken with or without a directory before and `.so` after them, so that old scripts find them.

Not supported: plugins from files.
"""

import errno
import os
from collections.abc import Callable, Sequence
from typing import Protocol

from switch.console.registry import Entry, Registry
from switch.core import Switch
from switch.events import Category
from switch.log import Log
from switch.plugins.dump import Dump
from switch.plugins.iplog import Iplog
from switch.plugins.pdump import Pdump
from vde.errors import Refused


class Plugin(Protocol):
    """What is loaded and unloaded."""

    name: str
    help: str
    categories: Sequence[Category]

    @property
    def entries(self) -> Sequence[Entry]:
        """Rows for the command table."""

    def close(self) -> None:
        """Let go of hooks and files."""


Maker = Callable[[Switch, Log, Callable[[], int]], Plugin]
CATALOGUE: dict[str, Maker] = {plugin.name: plugin for plugin in (Dump, Pdump, Iplog)}


class PluginShelf:
    """The plugins of one console."""

    def __init__(self, switch: Switch, registry: Registry, log: Log, wall_offset_ns: Callable[[], int]) -> None:
        self._switch = switch
        self._registry = registry
        self._log = log
        self._wall_offset_ns = wall_offset_ns
        self._loaded: list[Plugin] = []

    def loaded(self, prefix: str) -> list[Plugin]:
        """Those whose name begins so, oldest first."""
        return [plugin for plugin in self._loaded if plugin.name.startswith(prefix)]

    def load(self, name: str) -> None:
        """Raises `Refused`: EINVAL without a name, ENOENT unknown, EEXIST loaded."""
        if not name:
            raise Refused(errno.EINVAL, f"a name was expected: {', '.join(CATALOGUE)}")
        known = os.path.basename(name).removesuffix(".so")
        if known not in CATALOGUE:
            raise Refused(errno.ENOENT, f"{name!r} is no plugin: there are {', '.join(CATALOGUE)}")
        if any(plugin.name == known for plugin in self._loaded):
            raise Refused(errno.EEXIST, f"{known} is loaded")
        plugin = CATALOGUE[known](self._switch, self._log, self._wall_offset_ns)
        self._loaded.append(plugin)
        self._registry.add(*plugin.entries)
        self._switch.events.define(*plugin.categories)

    def unload(self, prefix: str) -> None:
        """The oldest whose name begins so. Raises `Refused`: ENOENT."""
        found = self.loaded(prefix)
        if not found:
            raise Refused(errno.ENOENT, f"no plugin is loaded whose name begins with {prefix!r}")
        self._remove(found[0])

    def close(self) -> None:
        """The switch ends: captures and logs are completed."""
        for plugin in tuple(self._loaded):
            self._remove(plugin)

    def _remove(self, plugin: Plugin) -> None:
        self._loaded.remove(plugin)
        self._registry.remove(*plugin.entries)
        self._switch.events.remove(*plugin.categories)
        plugin.close()
