"""Saved machines: one msgpack map, checked on the way in. A snapshot is hostile input.

Layout: ``{"format": "vde-machine", "version": 1, "board": str, "parts": {name: {...}}}``. Memory and processors are
parts with octets of their own; devices' parts are what their `state()` answered. No pickle; lengths are bounded.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

import msgpack

from vde.errors import ConfigError

FORMAT = "vde-machine"
VERSION = 1
LARGEST_OCTETS = 4 << 30
"""Chosen: more than the memory of any board here."""

LARGEST_COUNT = 1 << 62

T = TypeVar("T")


class SnapshotError(ConfigError):
    """A snapshot that is damaged, of another board, or of a version that this program does not know."""


def pack(board: str, parts: Mapping[str, Any]) -> bytes:
    """A snapshot of `board` with the given parts."""
    whole = {"format": FORMAT, "version": VERSION, "board": board, "parts": dict(parts)}
    return cast(bytes, msgpack.packb(whole, use_bin_type=True))


def unpack(octets: bytes, board: str) -> dict[str, Any]:
    """The parts of a snapshot of `board`.

    Raises:
        SnapshotError: not a snapshot, of another version, or of another board.
    """
    if len(octets) > LARGEST_OCTETS:
        raise SnapshotError(f"snapshot: {len(octets)} octets; at most {LARGEST_OCTETS} are taken")
    try:
        whole = msgpack.unpackb(octets, raw=False, strict_map_key=True)
    except (ValueError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise SnapshotError(f"snapshot: not readable ({error})") from None
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise SnapshotError(f"snapshot: not one of a machine (expected format {FORMAT!r})")
    if whole.get("version") != VERSION:
        raise SnapshotError(f"snapshot: version {whole.get('version')!r}; this program knows {VERSION}")
    if whole.get("board") != board:
        raise SnapshotError(f"snapshot: of board {whole.get('board')!r}, not of {board!r}")
    parts = whole.get("parts")
    if not isinstance(parts, dict):
        raise SnapshotError("snapshot: no parts")
    return parts


def take(state: object, name: str, kind: type[T]) -> T:
    """`state[name]`, of exactly the type `kind`; for devices' `from_state`.

    Raises:
        SnapshotError: it is missing, or of another type.
    """
    value = state.get(name) if isinstance(state, dict) else None
    if type(value) is not kind:
        raise SnapshotError(f"snapshot: {name}: expected {kind.__name__}, got {value!r:.60}")
    return value


def take_int(state: object, name: str, limit: int) -> int:
    """`state[name]`, an integer of 0 … `limit`. Raises SnapshotError."""
    value = take(state, name, int)
    if not 0 <= value <= limit:
        raise SnapshotError(f"snapshot: {name}: {value} is not within 0…{limit}")
    return value


def take_ints(state: object, name: str, count: int, limit: int) -> list[int]:
    """`state[name]`, a list of `count` integers of 0 … `limit`. Raises SnapshotError."""
    values = take(state, name, list)
    if len(values) != count or not all(type(value) is int and 0 <= value <= limit for value in values):
        raise SnapshotError(f"snapshot: {name}: {count} integers of 0…{limit} were expected")
    return list(values)


def take_frames(state: object, name: str, most: int, longest: int) -> deque[bytes]:
    """`state[name]`, at most `most` Ethernet frames of 14 to `longest` octets each. Raises SnapshotError."""
    frames = take(state, name, list)
    if len(frames) > most or not all(type(frame) is bytes and 14 <= len(frame) <= longest for frame in frames):
        raise SnapshotError(f"snapshot: {name}: at most {most} frames of 14 to {longest} octets were expected")
    return deque(frames)


def take_counts(state: object, names: Iterable[str]) -> dict[str, int]:
    """`state["counts"]`, what a device counted, by the names that it has for it. Raises SnapshotError."""
    counts = take(state, "counts", dict)
    return {name: take_int(counts, name, LARGEST_COUNT) for name in names}


def take_version(state: object, known: int) -> None:
    """Check `state["version"]`, which must be `known`. Raises SnapshotError."""
    version = take(state, "version", int)
    if version != known:
        raise SnapshotError(f"snapshot: version {version}; this program knows {known}")
