"""What is said on a screen's socket: questions of who looks, answers of the guest's process.

A message is its length, 4 octets, big-endian, and a msgpack map. One answer for each question, in order.

    {"ask": "look"}                            cells in a text mode, else pixels
    {"ask": "frame"}                           pixels in any mode
    {"ask": "keys", "keys": [[name, down], …]} at most `KEYS` of them
    {"ask": "mouse", "moved": [right, up, wheel], "buttons": bits}

    {"is": "text", "columns", "rows", "characters", "attributes", "cursor": [column, row, block] | nil,
     "colours": 48 octets, "blinks"}
    {"is": "frame", "width", "height", "pixels": zlib}
    {"is": "done", "taken": how many}
    {"is": "error", "text"}

Both sides check all that comes: a guest's process may be run by somebody else than who looks, and the other way
round. Sans-I/O.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import Any, Final

import msgpack

from emulators.devices.input.keys import NAMES
from emulators.devices.video.picture import Cursor, Frame, TextScreen
from emulators.guest.inputs import Key, Pointer
from vde.errors import WireError

LENGTH: Final = struct.Struct(">I")
QUESTION_OCTETS: Final = 64 << 10
ANSWER_OCTETS: Final = 64 << 20
"""Chosen: a frame of the whole frame buffer, 16 million pixels of three octets, and some more."""
KEYS: Final = 1024
MOST_COLUMNS, MOST_ROWS = 256, 2048
MOST_PIXELS: Final = 20_000_000
FARTHEST: Final = 1 << 15


def pack(message: dict[str, Any]) -> bytes:
    """A message with its length."""
    body: bytes = msgpack.packb(message, use_bin_type=True)
    return LENGTH.pack(len(body)) + body


class Reader:
    """Messages out of a stream.

    Args:
        most: octets of one message.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._buffer = bytearray()

    def feed(self, octets: bytes) -> None:
        """They have come."""
        self._buffer += octets

    def next(self) -> dict[str, Any] | None:
        """The next whole message; None: more octets are wanted.

        Raises:
            WireError: it is too long, or no map.
        """
        if len(self._buffer) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(self._buffer)
        if length > self._most:
            raise WireError(f"a message of {length} octets; at most {self._most} were expected")
        if len(self._buffer) < LENGTH.size + length:
            return None
        body = bytes(self._buffer[LENGTH.size : LENGTH.size + length])
        del self._buffer[: LENGTH.size + length]
        try:
            message = msgpack.unpackb(body, raw=False, strict_map_key=True)
        except (ValueError, RecursionError, msgpack.exceptions.UnpackException) as error:
            raise WireError(f"not msgpack ({error})") from None
        if not isinstance(message, dict):
            raise WireError("a map was expected")
        return message


def _int(message: dict[str, Any], name: str, least: int, most: int) -> int:
    value = message.get(name)
    if type(value) is not int or not least <= value <= most:
        raise WireError(f"{name}: {value!r:.40}: {least} to {most} was expected")
    return value


def _octets(message: dict[str, Any], name: str, length: int) -> bytes:
    value = message.get(name)
    if not isinstance(value, bytes) or len(value) != length:
        raise WireError(f"{name}: {length} octets were expected")
    return value


# -- pictures


def picture(shown: TextScreen | Frame) -> dict[str, Any]:
    """As a message."""
    if isinstance(shown, Frame):
        return {"is": "frame", "width": shown.width, "height": shown.height, "pixels": zlib.compress(shown.pixels, 1)}
    cursor = shown.cursor
    return {
        "is": "text",
        "columns": shown.columns,
        "rows": shown.rows,
        "characters": shown.characters,
        "attributes": shown.attributes,
        "cursor": None if cursor is None else [cursor.column, cursor.row, cursor.is_block],
        "colours": bytes(part for colour in shown.colours for part in colour),
        "blinks": shown.blinks,
    }


def read_picture(message: dict[str, Any]) -> TextScreen | Frame:
    """Out of a message. Raises WireError."""
    match message.get("is"):
        case "frame":
            return _frame(message)
        case "text":
            return _text(message)
        case "error":
            raise WireError(printable(message.get("text")))
    raise WireError("a picture was expected")


def printable(text: object) -> str:
    """Of a peer: nothing that a terminal would take as a command."""
    shown = text if isinstance(text, str) else repr(text)
    return "".join(character if character.isprintable() else "?" for character in shown[:200])


def _frame(message: dict[str, Any]) -> Frame:
    width, height = _int(message, "width", 1, 1 << 14), _int(message, "height", 1, 1 << 14)
    packed = message.get("pixels")
    if width * height > MOST_PIXELS or not isinstance(packed, bytes):
        raise WireError(f"a picture of {width} × {height} pixels; at most {MOST_PIXELS} were expected")
    try:
        pixels = zlib.decompressobj().decompress(packed, 3 * width * height + 1)
    except zlib.error as error:
        raise WireError(f"pixels: {error}") from None
    if len(pixels) != 3 * width * height:
        raise WireError(f"pixels: {3 * width * height} octets were expected")
    return Frame(width, height, pixels)


def _text(message: dict[str, Any]) -> TextScreen:
    columns, rows = _int(message, "columns", 1, MOST_COLUMNS), _int(message, "rows", 1, MOST_ROWS)
    where = message.get("cursor")
    cursor = None
    if where is not None:
        if not isinstance(where, list) or len(where) != 3 or type(where[2]) is not bool:
            raise WireError("cursor: column, row and shape were expected")
        place = {"column": where[0], "row": where[1]}
        cursor = Cursor(_int(place, "column", 0, columns - 1), _int(place, "row", 0, rows - 1), where[2])
    colours = _octets(message, "colours", 48)
    return TextScreen(
        columns,
        rows,
        _octets(message, "characters", columns * rows),
        _octets(message, "attributes", columns * rows),
        cursor,
        tuple((colours[at], colours[at + 1], colours[at + 2]) for at in range(0, 48, 3)),
        bool(message.get("blinks")),
    )


# -- keys and mouse


def keys(events: Sequence[Key]) -> dict[str, Any]:
    """As a message."""
    return {"ask": "keys", "keys": [[event.name, event.down] for event in events]}


def read_events(message: dict[str, Any]) -> list[Key | Pointer]:
    """Keys or a movement. Raises WireError."""
    if message.get("ask") == "mouse":
        moved = message.get("moved")
        if not isinstance(moved, list) or len(moved) != 3:
            raise WireError("moved: right, up and wheel were expected")
        right, up, wheel = (_int({"moved": by}, "moved", -FARTHEST, FARTHEST) for by in moved)
        return [Pointer(right, up, wheel, _int(message, "buttons", 0, 7))]
    given = message.get("keys")
    if message.get("ask") != "keys" or not isinstance(given, list) or len(given) > KEYS:
        raise WireError(f"look, frame, mouse or at most {KEYS} keys were expected")
    events: list[Key | Pointer] = []
    for one in given:
        if not isinstance(one, list) or len(one) != 2 or one[0] not in NAMES or type(one[1]) is not bool:
            raise WireError(f"{one!r:.40}: a key's name, and whether it goes down, were expected")
        events.append(Key(one[0], one[1]))
    return events
