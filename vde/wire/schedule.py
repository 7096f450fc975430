"""What a wire does by itself, when: a schedule over time.

    20s set loss=100%                      once, so long after the wire began
    25s up                                 reset, clear, up, down
    every 30s set delay=10ms dir=left-to-right
    20s every 60s down                     first after 20 s, then every 60 s
    # a comment

Limits (chosen): `MOST_ENTRIES`; every period at least `SHORTEST_NS`.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from vde.errors import ConfigError
from vde.wire.impairments import ALIASES, SETTINGS
from vde.wire.units import format_duration, parse_duration_ns

MOST_ENTRIES = 10_000
SHORTEST_NS = 1_000_000
VERBS = ("set", "reset", "clear", "up", "down")
DIRECTIONS = ("left-to-right", "right-to-left")
_SHORT = {"lr": 0, "a>b": 0, "l>r": 0, "rl": 1, "b>a": 1, "r>l": 1}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a wire, as a schedule and a control connection ask for it.

    Attributes:
        verb: of `VERBS`.
        directions: which it is about.
        rule: the match of the rule that it is about; None: all other frames.
        settings: for `set`.
        replace: `set` also takes back what is not named.
    """

    verb: str
    directions: tuple[str, ...] = DIRECTIONS
    rule: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A change, when, and how often (0: once)."""

    at_ns: int
    period_ns: int
    change: Change

    def __str__(self) -> str:
        return f"{format_duration(self.at_ns)}{f' every {format_duration(self.period_ns)}' if self.period_ns else ''}"


def parse_direction(text: str) -> tuple[str, ...]:
    """`left-to-right`, `right-to-left`, `both`, or short: `lr`, `rl`, `a>b`, `b>a`."""
    if text.lower() in _SHORT:
        return (DIRECTIONS[_SHORT[text.lower()]],)
    if text in DIRECTIONS:
        return (text,)
    if text == "both":
        return DIRECTIONS
    raise ConfigError(f"direction {text[:32]!r}: {', '.join(DIRECTIONS)}, both, lr or rl was expected")


def parse_words(words: Iterable[str]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """`loss=1% dir=lr` → directions and settings; values are not looked at."""
    directions: tuple[str, ...] = DIRECTIONS
    settings: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name in ("dir", "direction") and equals:
            directions = parse_direction(value)
        elif not equals or ALIASES.get(name, name) not in SETTINGS:
            raise ConfigError(f"{word[:64]!r}: NAME=VALUE was expected; names: {', '.join(SETTINGS)}, dir")
        elif ALIASES.get(name, name) in settings:
            raise ConfigError(f"{name} is given twice")
        else:
            settings[ALIASES.get(name, name)] = value
    return directions, tuple(settings.items())


def parse_entry(line: str) -> Entry:
    """One line.

    Raises:
        ConfigError: it is none.
    """
    words = line.split()
    at_ns = period_ns = 0
    if words and words[0] != "every":
        at_ns = parse_duration_ns(words.pop(0))
    if len(words) >= 2 and words[0] == "every":
        period_ns = parse_duration_ns(words[1])
        if period_ns < SHORTEST_NS:
            raise ConfigError(f"every {words[1]}: at least {format_duration(SHORTEST_NS)} was expected")
        at_ns = at_ns or period_ns
        del words[:2]
    verb = words.pop(0) if words else ""
    if verb not in VERBS:
        raise ConfigError(f"{verb[:32]!r}: one of {', '.join(VERBS)} was expected, as in '20s set loss=100%'")
    directions, settings = parse_words(words)
    if settings and verb != "set":
        raise ConfigError(f"{verb} takes no settings")
    return Entry(at_ns, period_ns, Change(verb, directions, None, settings))


def parse_schedule(name: str, text: str) -> tuple[Entry, ...]:
    """A file's text.

    Raises:
        ConfigError: with the line's number.
    """
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                entries.append(parse_entry(line))
            except ConfigError as error:
                raise ConfigError(f"{name}:{number}: {error}") from None
            if len(entries) > MOST_ENTRIES:
                raise ConfigError(f"{name}:{number}: at most {MOST_ENTRIES} entries were expected")
    return tuple(entries)


class Schedule:
    """Entries being carried out, from `origin_ns`."""

    def __init__(self, entries: Iterable[Entry], origin_ns: int) -> None:
        self._due = [(origin_ns + entry.at_ns, serial, entry) for serial, entry in enumerate(entries)]
        heapq.heapify(self._due)

    def next_ns(self) -> int | None:
        """When the next change is due."""
        return self._due[0][0] if self._due else None

    def take(self, now_ns: int) -> Change | None:
        """The next change that is due. One that came round several times meanwhile is due once."""
        if not self._due or self._due[0][0] > now_ns:
            return None
        at_ns, serial, entry = heapq.heappop(self._due)
        if entry.period_ns:
            rounds = (now_ns - at_ns) // entry.period_ns + 1
            heapq.heappush(self._due, (at_ns + rounds * entry.period_ns, serial, entry))
        return entry.change
