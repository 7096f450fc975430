"""The command table: paths, syntax, help, and how a typed line finds its command.

The rules of vde_switch 2.3.2, on which its clients rely:

* The table is ordered. A line means the first command whose **whole path is a prefix of the line**; what follows, less
  leading blanks, is its argument. There are no abbreviations, case matters, no blank is needed: `helpme` is `help me`.
* A menu is a heading of the help table, not a command.
* `help` prints path, syntax and help in columns that vdetelweb cuts by position.

So a command must come before every other one whose path begins with its own, and a new one must be neither. `add`
refuses what would break that.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from switch.console.call import Call

BLANKS = " \t"
MENU_SYNTAX = "============"
HELP_HEADER = ("COMMAND PATH       SYNTAX          HELP", "------------       --------------  ------------")


Handler = Callable[[Call], None]
"""Carries a command out; raises `Refused` with the errno of the status line."""


@dataclass(frozen=True, slots=True)
class Menu:
    """A heading of the help table."""

    path: str
    help: str

    @property
    def syntax(self) -> str:
        """What stands in the column of the syntax."""
        return MENU_SYNTAX


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table.

    Attributes:
        framed: the answer is enclosed in `0000 DATA END WITH '.'` and `.`, also when there are no lines, or an error.
        silent: no status line; the session goes elsewhere (`logout`, `shutdown`, `load`).
    """

    path: str
    syntax: str
    help: str
    handler: Handler
    framed: bool = False
    silent: bool = False


Entry = Menu | Command


class Registry:
    """The ordered table."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def add(self, *entries: Entry) -> None:
        """Append rows.

        Raises:
            ValueError: an earlier command's path begins that of a new one, which could thus never be called.
        """
        for entry in entries:
            if isinstance(entry, Command):
                hidden = self.find(entry.path)
                if hidden is not None:
                    raise ValueError(f"{entry.path} can never be called: {hidden[0].path} is found first")
            self._entries.append(entry)

    def remove(self, *entries: Entry) -> None:
        """Take rows out again."""
        for entry in entries:
            self._entries.remove(entry)

    def find(self, line: str) -> tuple[Command, str] | None:
        """The command that a line means, and its argument."""
        for entry in self._entries:
            if isinstance(entry, Command) and line.startswith(entry.path):
                return entry, line[len(entry.path) :].lstrip(BLANKS)
        return None

    def help(self, prefix: str) -> Iterator[str]:
        """The help table of the rows whose path begins with `prefix`."""
        yield from HELP_HEADER
        for entry in self._entries:
            if entry.path.startswith(prefix):
                yield f"{entry.path:<18} {entry.syntax:<15} {entry.help}"
