"""What a command gets: its argument, and what it may ask of the dialogue that it was typed in and of the console.

Commands and plugins know this module, and so do the table and the dialogues; it knows none of them, so that each may be
read, and tested, by itself. `Console` and `Session` are shaped as `Desk` and `Dialogue` say, and the type checker sees
to it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from switch.core import Switch
    from switch.log import Log
    from switch.plugged import PlugBoard


class Kind(Enum):
    """Where a dialogue takes place."""

    SOCKET = auto()
    """The management socket: banner, prompts, farewell."""
    STANDARD_INPUT = auto()
    """No banner, no end by `logout`; prompts are only counted (`prompts`): they go elsewhere than answers do."""
    SCRIPT = auto()
    """The rc file: nobody reads the answers, so there is nobody to send events to."""


class Dialogue(Protocol):
    """What a command may do to the dialogue that it was typed in.

    Attributes:
        last_error: the sentence behind the last error status.
        shutdown_requested: the switch is to end with the dialogue.
    """

    last_error: str
    shutdown_requested: bool

    @property
    def kind(self) -> Kind:
        """Where it takes place."""

    @property
    def in_script(self) -> bool:
        """Does the command come from a script?"""

    def hear(self, line: str) -> None:
        """A subscriber of the switch's event bus."""

    def say_goodbye(self) -> None:
        """The peer gets the farewell and no more."""

    def run_script(self, path: str, lines: Iterable[bytes]) -> None:
        """Carry out a script's lines before anything else; may raise `Refused`."""


class Loaded(Protocol):
    """A plugin, as a list shows it."""

    name: str
    help: str


class Plugins(Protocol):
    """The switch's plugins; errors are `Refused`."""

    def loaded(self, prefix: str) -> Sequence[Loaded]:
        """Those whose name begins so, oldest first."""

    def load(self, name: str) -> None:
        """One more."""

    def unload(self, prefix: str) -> None:
        """The oldest whose name begins so."""


class Desk(Protocol):
    """What all dialogues with one switch share, as far as commands use it."""

    @property
    def switch(self) -> "Switch":
        """The switch that is controlled."""

    @property
    def directory(self) -> str:
        """The control directory."""

    @property
    def mode(self) -> int:
        """Of the directory's sockets."""

    @property
    def management(self) -> str | None:
        """The management socket, if there is one."""

    @property
    def management_mode(self) -> int:
        """Its mode."""

    @property
    def version(self) -> str:
        """Ours."""

    @property
    def banner(self) -> Sequence[str]:
        """The lines that a connection begins with."""

    @property
    def log(self) -> "Log":
        """The switch's."""

    @property
    def plug_board(self) -> "PlugBoard":
        """The ports that are plugs."""

    @property
    def plugins(self) -> Plugins:
        """Which are loaded."""

    def help(self, prefix: str) -> Iterator[str]:
        """The help table of the rows whose path begins so."""


@dataclass(slots=True)
class Call:
    """One command being carried out.

    Attributes:
        argument: what follows the path, without leading blanks; undecodable octets are surrogates.
        lines: the answer so far.
    """

    console: Desk
    session: Dialogue
    argument: str
    now_ns: int
    lines: list[str]

    @property
    def switch(self) -> "Switch":
        """The switch that the console controls."""
        return self.console.switch

    def print(self, line: str) -> None:
        """One line of the answer. Characters that could forge another line are shown as escapes."""
        self.lines.append(line)
