"""A wire's state and statistics for people."""

from collections.abc import Mapping
from typing import Any

DIRECTIONS = ("left-to-right", "right-to-left")
ROWS = (
    "received_frames",
    "received_octets",
    "sent_frames",
    "sent_octets",
    "duplicated",
    "corrupted",
    "reordered",
    "delayed",
    "in_queue_frames",
    "in_queue_octets",
    "in_flight_frames",
    "in_flight_octets",
    "dropped_frames",
)


def show_state(state: Mapping[str, Any]) -> str:
    """Settings, a line for each direction and rule."""
    carried = "; frames bypass the model" if state.get("bypass") else ""
    lines = [
        f"wire {state['name']}: {state.get('left', '?')} — {state.get('right', '?')}; seed {state['seed']}{carried}"
    ]
    for vnl, end in zip((state.get("left"), state.get("right")), state.get("ends", []), strict=False):
        if end["state"] != "connected":
            lines.append(f"  {vnl}: AWAY, {end['state']} after {end['failures']} failures: {end['last_error']}")
    if "markov_state" in state:
        lines.append(f"  state {state['markov_state']}")
    for name in DIRECTIONS:
        side = state[name]
        lines.append(f"  {name}  {'up' if side['up'] else 'DOWN'}  {_settings(side['settings'])}")
        lines += [f"    {rule['match']}: {_settings(rule['settings'])}" for rule in side["rules"]]
    return "\n".join(lines)


def show_statistics(statistics: Mapping[str, Any]) -> str:
    """Counters, a column for each direction."""
    sides = [statistics[name] for name in DIRECTIONS]
    lines = [f"{statistics['name']:<24}{DIRECTIONS[0]:>16}{DIRECTIONS[1]:>16}"]
    rows = [(row.replace("_", " "), [side[row] for side in sides]) for row in ROWS]
    causes = sorted({cause for side in sides for cause in side["dropped"]})
    rows += [(f"  {cause}", [side["dropped"].get(cause, 0) for side in sides]) for cause in causes]
    return "\n".join(lines + [f"{name:<24}{values[0]:>16}{values[1]:>16}" for name, values in rows])


def _settings(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "nothing set"
