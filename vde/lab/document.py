"""A YAML 1.2 file as a tree in which every key and value knows its place.

Built from ruamel.yaml's events, not from its loaders: so the limits hold while the file is being read, nothing is
constructed but text, numbers, truth values, lists and mappings, and duplicate keys are seen. Plain scalars follow the
core schema of YAML 1.2 (§10.3.2): `no` is text, `22:22` is text, `0o17` is octal. Merge keys (`<<: *base`) are not part
of YAML 1.2, but Compose and containerlab files use them, so they are understood.

Limits (chosen; a topology that needs more is not written by hand): `MOST_OCTETS`, `MOST_DEPTH`, `MOST_VALUES`; what an
alias stands for counts as often as it is used, so that a few lines cannot become a billion values.

Not supported: tags, several documents, keys that are not scalars.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.reader import ReaderError

from vde.lab.diagnostics import Code, Complaints, Place, shown

MOST_OCTETS = 256 * 1024
MOST_DEPTH = 24
MOST_VALUES = 20_000
MOST_DIGITS = 40  # of a number; longer ones are text

INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

MERGE_KEY = "<<"


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text, a number, a truth value or nothing."""

    place: Place
    value: str | int | float | bool | None
    values: int = 1
    height: int = 1

    def plain(self) -> object:
        """As Python sees it."""
        return self.value


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    place: Place
    items: tuple["Node", ...]
    values: int
    height: int

    def plain(self) -> object:
        """As Python sees it."""
        return [item.plain() for item in self.items]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys, each with its own place, and values, in the file's order."""

    place: Place
    entries: dict[str, tuple[Place, "Node"]]
    values: int
    height: int

    def plain(self) -> object:
        """As Python sees it."""
        return {key: node.plain() for key, (_, node) in self.entries.items()}


Node = Scalar | Sequence | Mapping
Keys = tuple[str | int, ...]
Opening = events.ScalarEvent | events.SequenceStartEvent | events.MappingStartEvent


def find(root: Node, path: Keys, *, key: bool = False) -> Place:
    """The place of the value at a path of keys and list indices, or of what encloses it if there is none.

    Args:
        root: the tree.
        path: from the root.
        key: the place of the last key rather than of its value.
    """
    place = root.place
    node = root
    for step in path:
        match node, step:
            case Mapping(entries=entries), str() if step in entries:
                key_place, node = entries[step]
                place = key_place if key or isinstance(node, Mapping) or step_is_block(node, key_place) else node.place
            case Sequence(items=items), int() if 0 <= step < len(items):
                node = items[step]
                place = node.place
            case _:
                break
    return place


def step_is_block(node: Node, key_place: Place) -> bool:
    """Whether a value has no text of its own to point at: nothing, or a block below its key."""
    return (isinstance(node, Scalar) and node.value is None) or node.place.line != key_place.line


def read_file(path: Path, complaints: Complaints) -> Node | None:
    """The file's tree; None if it cannot be had, and `complaints` says why."""
    try:
        with path.open("rb") as stream:
            octets = stream.read(MOST_OCTETS + 1)
    except OSError as error:
        complaints.add(Code.UNREADABLE, f"the file cannot be read: {error.strerror}", None)
        return None
    return read_octets(octets, complaints)


def read_octets(octets: bytes, complaints: Complaints) -> Node | None:
    """The tree of a file's octets; None, with a complaint, if they are not a mapping in YAML."""
    if len(octets) > MOST_OCTETS:
        complaints.add(Code.TOO_BIG, f"the file has more than {MOST_OCTETS} octets, which is the limit", None)
        return None
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets[: error.start].count(b"\n") + 1
        column = error.start - (octets.rfind(b"\n", 0, error.start) + 1) + 1
        complaints.add(
            Code.UNREADABLE, f"octet 0x{octets[error.start]:02x} is not UTF-8, which is required", Place(line, column)
        )
        return None
    complaints.text = text
    builder = _Builder(complaints)
    try:
        return builder.build(YAML(typ="rt", pure=True).parse(text))
    except _Stop:
        return None
    except ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        complaints.add(Code.SYNTAX, f"character U+{ord(text[error.position]):04X} is not allowed in YAML", place)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part) or "not YAML"
        hint = "indent with spaces" if "'\\t'" in problem else ""
        if error.problem_mark and error.context_mark and error.context_mark.line < error.problem_mark.line:
            hint = f"it begins in line {error.context_mark.line + 1}"
        complaints.add(Code.SYNTAX, problem.replace("\n", " "), _place(mark, mark) if mark else None, hint)
    except (YAMLError, ValueError, AssertionError, AttributeError, IndexError, TypeError) as error:
        # ruamel.yaml lets some of Python's own errors through for malformed input.
        complaints.add(Code.SYNTAX, f"not YAML: {error}".splitlines()[0], None)
    return None


class _Stop(Exception):
    """A complaint was made, and reading cannot go on."""


class _Builder:
    def __init__(self, complaints: Complaints) -> None:
        self.complaints = complaints
        self.anchors: dict[str, Node] = {}
        self.values = 0

    def build(self, stream: Iterator[events.Event]) -> Node:
        root: Node | None = None
        for event in stream:
            match event:
                case events.DocumentStartEvent() if root is not None:
                    self.stop(Code.YAML_FEATURE, "a second document begins here: one was expected", event)
                case events.DocumentStartEvent():
                    root = self.node(next(stream), stream, 1)
        if root is None or (isinstance(root, Scalar) and root.value is None):
            self.complaints.add(Code.WRONG_TYPE, "the file is empty: a topology was expected", None)
            raise _Stop
        return root

    def node(self, event: events.Event, stream: Iterator[events.Event], depth: int) -> Node:
        if isinstance(event, events.AliasEvent):
            known = self.anchors.get(event.anchor)
            if known is None:
                self.stop(Code.SYNTAX, f"alias *{event.anchor} has no anchor &{event.anchor} before it", event)
            self.count(known.values, event)
            self.limit_depth(depth + known.height - 1, event)
            return known
        opening = cast(Opening, event)  # the parser's grammar
        self.count(1, opening)
        self.limit_depth(depth, opening)
        if opening.tag is not None:
            self.stop(Code.YAML_FEATURE, f"tag {shown(str(opening.tag))} is not supported", opening)
        node = self.content(opening, stream, depth)
        if opening.anchor is not None:
            self.anchors[opening.anchor] = node
        return node

    def content(self, event: Opening, stream: Iterator[events.Event], depth: int) -> Node:
        place = _place(event.start_mark, event.end_mark)
        match event:
            case events.ScalarEvent():
                return Scalar(place, event.value if event.style else plain_scalar(event.value))
            case events.SequenceStartEvent():
                items = []
                while not isinstance(following := next(stream), events.SequenceEndEvent):
                    items.append(self.node(following, stream, depth + 1))
                values = 1 + sum(item.values for item in items)
                return Sequence(place, tuple(items), values, 1 + max((item.height for item in items), default=0))
            case _:
                return self.mapping(stream, place, depth)

    def mapping(self, stream: Iterator[events.Event], place: Place, depth: int) -> Mapping:
        entries: dict[str, tuple[Place, Node]] = {}
        merged: list[Mapping] = []
        while not isinstance(event := next(stream), events.MappingEndEvent):
            if not isinstance(event, events.ScalarEvent) or event.tag is not None:
                self.stop(Code.YAML_FEATURE, "a key that is not plain text", event)
            self.count(1, event)
            key, key_place = event.value, _place(event.start_mark, event.end_mark)
            value = self.node(next(stream), stream, depth + 1)
            if key == MERGE_KEY and not event.style:
                merged += self.merges(value)
            elif key in entries:
                before = entries[key][0]
                self.complaints.add(
                    Code.DUPLICATE_KEY, f"key {shown(key)} was already given in line {before.line}", key_place
                )
            else:
                entries[key] = key_place, value
        for mapping in merged:
            for key, entry in mapping.entries.items():
                entries.setdefault(key, entry)
        nodes = [node for _, node in entries.values()]
        height = 1 + max((node.height for node in nodes), default=0)
        return Mapping(place, entries, 1 + sum(1 + node.values for node in nodes), height)

    def merges(self, value: Node) -> list[Mapping]:
        wanted = value.items if isinstance(value, Sequence) else (value,)
        mappings = [node for node in wanted if isinstance(node, Mapping)]
        if len(mappings) != len(wanted):
            self.complaints.add(Code.WRONG_TYPE, "'<<' merges a mapping, or a list of mappings", value.place)
        return mappings

    def count(self, values: int, event: events.Event) -> None:
        self.values += values
        if self.values > MOST_VALUES:
            self.stop(
                Code.TOO_BIG, f"the file has more than {MOST_VALUES} values (aliases count as what they repeat)", event
            )

    def limit_depth(self, depth: int, event: events.Event) -> None:
        if depth > MOST_DEPTH:
            self.stop(Code.TOO_BIG, f"values are nested more than {MOST_DEPTH} deep, which is the limit", event)

    def stop(self, code: Code, message: str, event: events.Event) -> NoReturn:
        self.complaints.add(code, message, _place(event.start_mark, event.end_mark))
        raise _Stop


def plain_scalar(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar is by the core schema (YAML 1.2 §10.3.2).

    Infinity and not-a-number stay text: no key of a topology takes them.
    """
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    if len(text) <= MOST_DIGITS:
        if INTEGER.fullmatch(text):
            return int(text, 10 if text.lstrip("+-").isdigit() else 0)
        if FLOAT.fullmatch(text):
            return float(text)
    return text


def _place(start: StringMark, end: StringMark) -> Place:
    length = end.column - start.column if end.line == start.line else 1
    return Place(start.line + 1, start.column + 1, max(1, length))
