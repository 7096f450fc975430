"""What all dialogues with one switch share: the command table, the plugins, where the switch lives."""

import os
from collections.abc import Callable, Iterator
from importlib.metadata import version

from switch.console.commands import add_all
from switch.console.registry import Registry
from switch.core import Switch
from switch.log import Log
from switch.plugged import Opener, PlugBoard
from switch.plugins.shelf import PluginShelf
from vde.clock import wall_offset_ns

ORIGINAL_BANNER = "VDE switch V.2.3.2"
"""The version whose commands and layouts these are: clients look for this line."""
SESSIONS_MAX = 128  # chosen


class Console:
    """See the module's text.

    Args:
        directory, mode: the control directory, and the mode of its sockets, as `ds/showinfo` prints them.
        management, management_mode: the management socket, if there is one.
        now_ns: the clock of the whole switch.
        on_shutdown: called by the `shutdown` command.
        opener: of VNLs, for `plug/add`.
        wall_offset_ns: what to add to `now_ns` for time since 1970: for captures and logs.
    """

    def __init__(
        self,
        switch: Switch,
        *,
        directory: str | os.PathLike[str],
        mode: int,
        management: str | os.PathLike[str] | None,
        management_mode: int,
        now_ns: Callable[[], int],
        log: Log,
        on_shutdown: Callable[[], None],
        wall_offset_ns: Callable[[], int] = wall_offset_ns,
        opener: Opener | None = None,
    ) -> None:
        self.switch = switch
        self.directory = os.fspath(directory)
        self.mode = mode
        self.management = None if management is None else os.fspath(management)
        self.management_mode = management_mode
        self.now_ns = now_ns
        self.log = log
        self.on_shutdown = on_shutdown
        self.version = version("vde-fabric")
        self.banner = (ORIGINAL_BANNER, f"vde-fabric {self.version}")
        self.sessions = 0
        """Dialogues with adapters now."""
        self.registry = Registry()
        add_all(self.registry)
        self.plug_board = PlugBoard(switch, opener, now_ns, log)
        self.plugins = PluginShelf(switch, self.registry, log, wall_offset_ns)

    def help(self, prefix: str) -> Iterator[str]:
        """The help table of the rows whose path begins with `prefix`."""
        return self.registry.help(prefix)

    def close(self) -> None:
        """The switch ends: captures and logs are completed."""
        self.plugins.close()
