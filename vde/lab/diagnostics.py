"""What is wrong with a topology file: places, error codes, and how they are shown.

    lab.vlab.yml:7:13: error V015: 'memory' of node 'web' is 64: an amount of memory with its unit was expected
        memory: 64
                ^^
    hint: write 64M for 64 MiB

All errors of a file are collected and raised at once, in the file's order. At most `MOST_SHOWN` are kept.
"""

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from vde.errors import ConfigError

MOST_SHOWN = 50  # chosen: a hostile file could have as many errors as octets
LINE_SHOWN = 120  # characters of a source line, chosen
LINE_END = re.compile(r"\r\n|\n|\r")  # YAML 1.2 §5.4
NAMES_SHOWN = 40  # chosen: as many as a mapping has keys
VALUE_SHOWN = 60  # characters of a wrong value, chosen


class Code(StrEnum):
    """Error codes; they never change their meaning, and every one has a golden test."""

    UNREADABLE = "V001"  # no file, no permission, not UTF-8
    SYNTAX = "V002"  # not YAML
    TOO_BIG = "V003"  # octets, depth, values, aliases
    DUPLICATE_KEY = "V004"
    YAML_FEATURE = "V005"  # tags, several documents, keys that are not text
    UNKNOWN_KEY = "V010"
    MISSING_KEY = "V011"
    NO_INTERFACE = "V012"
    LATER = "V013"  # a key or value of a later version
    WRONG_TYPE = "V014"
    UNIT = "V015"
    VALUE = "V016"  # of the right type, but not allowed
    NAME = "V017"
    ADDRESS = "V018"  # not an address
    NO_NODE = "V020"
    LINK_ENDS = "V021"
    INTERFACE_TAKEN = "V022"
    PORT = "V023"
    NOT_OF_KIND = "V024"  # a key that this kind of node does not have
    NO_IMAGE = "V030"
    ARCHITECTURE = "V031"
    ADDRESS_CONFLICT = "V032"
    DEPENDENCY = "V040"
    NO_GROUP = "V041"
    CHECK = "V050"
    CAPTURE = "V051"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands in the file: line and column from 1, and how many characters it has on that line."""

    line: int
    column: int
    length: int = 1

    def narrowed(self, part: str, text: str) -> "Place":
        """Where a part of what stands here stands, if it is on the same line; else this place."""
        lines = LINE_END.split(text)
        if self.line > len(lines):
            return self
        found = lines[self.line - 1].find(part, self.column - 1, self.column - 1 + self.length)
        return self if found < 0 else Place(self.line, found + 1, len(part))


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One error."""

    code: Code
    message: str
    place: Place | None = None
    hint: str = ""

    def render(self, file: str, lines: list[str]) -> str:
        """The error as the user sees it, without a final newline."""
        if self.place is None:
            text = f"{file}: error {self.code}: {self.message}"
        else:
            text = f"{file}:{self.place.line}:{self.place.column}: error {self.code}: {self.message}"
            if self.place.line <= len(lines):
                text += "\n" + excerpt(lines[self.place.line - 1], self.place)
        return f"{text}\nhint: {self.hint}" if self.hint else text


def excerpt(line: str, place: Place) -> str:
    """The source line with carets under the place; a long line is cut around it."""
    start = place.column - 1
    if len(line) > LINE_SHOWN:
        cut = max(0, min(start - LINE_SHOWN // 3, len(line) - LINE_SHOWN))
        line, start = line[cut : cut + LINE_SHOWN], start - cut
    length = max(1, min(place.length, len(line) - start))
    return f"    {visible(line)}\n    {' ' * start}{'^' * length}"


def visible(text: str) -> str:
    """The text with one printable character for each that is not (a file cannot control the terminal)."""
    return "".join(c if c.isprintable() else " " if c == "\t" else "?" for c in text)


def shown(value: object) -> str:
    """A value for a message: as YAML would write it on one line, cut when long."""
    text = json.dumps(value, ensure_ascii=False, default=str) if not isinstance(value, str) else f"'{value}'"
    text = visible(text)
    return text if len(text) <= VALUE_SHOWN else text[: VALUE_SHOWN - 1] + "…"


def listed(names: Iterable[str]) -> str:
    """Names for a message, sorted; cut when there are many."""
    ordered = sorted(names)
    return ", ".join(visible(name) for name in ordered[:NAMES_SHOWN]) + (", …" if len(ordered) > NAMES_SHOWN else "")


def did_you_mean(wrong: str, names: Iterable[str]) -> str:
    """`did you mean 'x'?`, or nothing if no name is close."""
    close = difflib.get_close_matches(wrong.lower()[:VALUE_SHOWN], sorted(names), n=1)
    return f"did you mean '{close[0]}'?" if close else ""


class TopologyError(ConfigError):
    """Everything that is wrong with one topology file."""

    def __init__(self, file: str, text: str, diagnostics: list[Diagnostic], dropped: int = 0) -> None:
        self.file = file
        self.diagnostics = sorted(diagnostics, key=lambda d: d.place or Place(0, 0))
        self.dropped = dropped
        lines = LINE_END.split(text)
        parts = [diagnostic.render(file, lines) for diagnostic in self.diagnostics]
        if dropped:
            parts.append(f"{file}: {dropped} more errors are not shown")
        super().__init__("\n".join(parts))

    def as_json(self) -> list[dict[str, object]]:
        """For editors and scripts: one object per error."""
        return [
            {
                "file": self.file,
                "line": d.place.line if d.place else None,
                "column": d.place.column if d.place else None,
                "length": d.place.length if d.place else None,
                "code": str(d.code),
                "message": d.message,
                "hint": d.hint or None,
            }
            for d in self.diagnostics
        ]


class Complaints:
    """Collects a file's errors.

    Args:
        file: the name to show.
        text: the file's text, for the source lines.
    """

    def __init__(self, file: str, text: str = "") -> None:
        self.file = file
        self.text = text
        self.diagnostics: list[Diagnostic] = []
        self.dropped = 0

    def add(self, code: Code, message: str, place: Place | None, hint: str = "") -> None:
        """One more; the same one at the same place only once. What the file says cannot control the terminal."""
        diagnostic = Diagnostic(code, visible(message), place, visible(hint))
        if diagnostic in self.diagnostics:
            return
        if len(self.diagnostics) >= MOST_SHOWN:
            self.dropped += 1
        else:
            self.diagnostics.append(diagnostic)

    def __bool__(self) -> bool:
        return bool(self.diagnostics)

    def raise_any(self) -> None:
        """Raise what was collected, if anything was.

        Raises:
            TopologyError: with all of it.
        """
        if self.diagnostics:
            raise TopologyError(self.file, self.text, self.diagnostics, self.dropped)
