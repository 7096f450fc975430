"""The control protocol of a wire: one JSON object a line, each way, on a Unix stream socket. Sans-I/O.

    → {"do": "set", "settings": {"loss": "1%"}, "direction": "left-to-right", "rule": "vlan 10", "replace": false}
    ← {"ok": true, "state": {…}}
    → {"do": "why", "direction": "left-to-right", "number": 1234}
    ← {"ok": true, "why": {"number": 1234, "dropped": "loss", "text": "frame 1234; dropped: loss (loss 1%)", …}}
    → {"do": "rewind"}
    ← {"ok": false, "error": "…", "kind": "config"}

| do                          | with                                                      | answer               |
|-----------------------------|-----------------------------------------------------------|----------------------|
| `set`                       | `settings`, and perhaps `direction`, `rule`, `replace`    | `state`              |
| `reset` `clear` `up` `down` | perhaps `direction`                                       | `state`              |
| `show`                      |                                                           | `state`              |
| `stats`                     |                                                           | `statistics`         |
| `why`                       | `number`, and perhaps `direction`                         | `why`                |
| `watch`                     | perhaps `direction`                                       | `state`, then frames |

`set` merges its settings with those that are set (`impairments.py` lists them; `"none"` takes one back), and with
`replace` it takes all others back. `reset` returns to what the wire was started with, `clear` takes everything away.
`direction`: `left-to-right` (from the first VNL to the second), `right-to-left`, or `both`, which is the default; `why`
without one looks in both, and answers `why` and `why_back`.

After `watch`, every frame that comes to the wire is a line, in the order of arrival, until the connection ends:

    {"frame": "ffffffffffff…", "direction": "left-to-right", "number": 7, "wall_ns": 1760000000000000000,
     "dropped": "loss" or null, "changed": true, "text": "frame 7; dropped: loss (loss 1%)"}

`frame` is as it came, in hexadecimal. A drop that comes later (`codel`) is not known yet. A watcher that does not
read loses frames: {"lost": 12} says how many.

Limits (chosen): `LINE_OCTETS` a request; `MOST_CONNECTIONS`; `WATCH_FRAMES` that a watcher has not read.
"""

import json
from collections.abc import Mapping
from typing import Any

from vde.errors import ConfigError
from vde.wire.model import Wire
from vde.wire.schedule import DIRECTIONS, VERBS, Change, parse_direction

LINE_OCTETS = 64 << 10
MOST_CONNECTIONS = 16
WATCH_FRAMES = 4096
WORDS = (*VERBS, "show", "stats", "why", "watch")
_FIELDS: dict[str, set[str]] = {
    "set": {"direction", "rule", "settings", "replace"},
    "why": {"direction", "number"},
    "show": set(),
    "stats": set(),
    "watch": {"direction"},
} | {do: {"direction"} for do in ("reset", "clear", "up", "down")}


def parse_request(line: bytes) -> dict[str, Any]:
    """One line: a request whose fields are those of its command, each of its type.

    Raises:
        ConfigError: it is none.
    """
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise ConfigError("a JSON object in one line was expected") from None
    if not isinstance(request, dict):
        raise ConfigError("a JSON object was expected")
    do = request.get("do")
    if not isinstance(do, str) or do not in WORDS:
        raise ConfigError(f'"do": one of {", ".join(WORDS)} was expected')
    for name, value in request.items():
        if name != "do" and name not in _FIELDS[do]:
            fields = ", ".join(sorted(_FIELDS[do])) or "nothing more"
            raise ConfigError(f"{do}: {name[:32]!r} is unknown; {fields} was expected")
        if not _typed(name, value):
            raise ConfigError(f"{do}: {name}: a value of another type was expected")
    return request


def _typed(name: str, value: object) -> bool:
    match name:
        case "number":
            return isinstance(value, int) and not isinstance(value, bool)
        case "replace":
            return isinstance(value, bool)
        case "settings":
            return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
        case "rule":
            return value is None or isinstance(value, str)
    return isinstance(value, str)


def change_of(request: Mapping[str, Any]) -> Change:
    """The change that a `set`, `reset`, `clear`, `up` or `down` asks for."""
    return Change(
        request["do"],
        parse_direction(request.get("direction", "both")),
        request.get("rule"),
        tuple(request.get("settings", {}).items()),
        request.get("replace", False),
    )


def carry_out(wire: Wire, request: Mapping[str, Any], now_ns: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a request, carried out.

    Args:
        facts: more for `state`: links, whether frames bypass us.

    Raises:
        ConfigError: it is not possible; nothing has changed.
    """
    do = request["do"]
    if do in VERBS:
        wire.change(change_of(request), now_ns)
    if do == "stats":
        return {"ok": True, "statistics": wire.statistics()}
    if do == "why":
        return {"ok": True, **_why(wire, request)}
    return {"ok": True, "state": {**wire.state(), **facts}}


def refuse(error: Exception) -> dict[str, Any]:
    """The answer to a request that was not possible."""
    return {"ok": False, "error": str(error), "kind": "config" if isinstance(error, ConfigError) else "failed"}


def emit(answer: Mapping[str, Any]) -> bytes:
    """As a line."""
    return json.dumps(answer, separators=(",", ":")).encode() + b"\n"


def _why(wire: Wire, request: Mapping[str, Any]) -> dict[str, Any]:
    number = request.get("number", 0)
    names = parse_direction(request.get("direction", "both"))
    if len(names) == 1:
        return {"why": wire.why(names[0], number)}
    found = {}
    for key, name in zip(("why", "why_back"), DIRECTIONS, strict=True):
        if number <= wire.directions[name].number:
            found[key] = wire.why(name, number)
    if not found:
        wire.why(DIRECTIONS[0], number)
    return found
