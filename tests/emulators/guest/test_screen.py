"""A guest's screen: what is said on its socket, what a terminal gets, what a terminal's keys become."""

import contextlib
import re
import zlib
from pathlib import Path
from typing import Any

import msgpack
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.devices.input.keys import NAMES
from emulators.devices.video.picture import CP437, Cursor, Frame, TextScreen
from emulators.guest import screen_messages as messages
from emulators.guest.inputs import Key, Pointer
from emulators.guest.screen_keys import Command, TerminalKeys
from emulators.guest.screen_painter import Painter, Size
from emulators.guest.screen_source import CLIENTS, Remote, open_remote, serve
from vde.errors import ConfigError, LinkClosed, WireError

COLOURS = tuple((value, 255 - value, value // 2) for value in range(0, 256, 16))


def text_screen(
    lines: list[bytes], look: int = 7, *, columns: int = 80, rows: int = 25, cursor: Cursor | None = None
) -> TextScreen:
    characters = b"".join(line.ljust(columns) for line in lines).ljust(columns * rows)
    return TextScreen(columns, rows, characters, bytes((look,)) * len(characters), cursor, COLOURS, blinks=True)


screens = st.integers(1, 90).flatmap(
    lambda columns: st.integers(1, 30).flatmap(
        lambda rows: st.builds(
            TextScreen,
            st.just(columns),
            st.just(rows),
            st.binary(min_size=columns * rows, max_size=columns * rows),
            st.binary(min_size=columns * rows, max_size=columns * rows),
            st.none() | st.builds(Cursor, st.integers(0, columns - 1), st.integers(0, rows - 1), st.booleans()),
            st.just(COLOURS),
            st.booleans(),
        )
    )
)


# -- messages


@settings(max_examples=30)
@given(screens)
def test_a_text_screen_survives_its_message(screen: TextScreen) -> None:
    reader = messages.Reader(messages.ANSWER_OCTETS)
    packed = messages.pack(messages.picture(screen))
    for octet in packed[:-1]:
        reader.feed(bytes((octet,)))
        assert reader.next() is None
    reader.feed(packed[-1:])
    message = reader.next()
    assert message is not None
    assert messages.read_picture(message) == screen


def test_a_frame_survives_its_message() -> None:
    frame = Frame(3, 2, bytes(range(18)))
    assert messages.read_picture(messages.picture(frame)) == frame


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"is": "frame", "width": 1 << 14, "height": 1 << 14, "pixels": zlib.compress(bytes(100))},
        {"is": "frame", "width": 4, "height": 4, "pixels": zlib.compress(bytes(1 << 20))},
        {"is": "frame", "width": 4, "height": 4, "pixels": b"\x78\x9cgarbage"},
        {"is": "frame", "width": True, "height": 4, "pixels": b""},
        {"is": "error", "text": "no\x1b[2J"},
        {**messages.picture(text_screen([])), "columns": 0},
        {**messages.picture(text_screen([])), "characters": b""},
        {**messages.picture(text_screen([])), "cursor": [80, 0, False]},
        {**messages.picture(text_screen([])), "cursor": [1, 2]},
        {**messages.picture(text_screen([])), "colours": b""},
    ],
)
def test_pictures_of_a_hostile_guest_are_refused(message: dict[str, Any]) -> None:
    with pytest.raises(WireError) as caught:
        messages.read_picture(message)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "message",
    [
        {"ask": "keys"},
        {"ask": "keys", "keys": [["enter", 1]]},
        {"ask": "keys", "keys": [["\x1b[2J", True]]},
        {"ask": "keys", "keys": [["a", True]] * (messages.KEYS + 1)},
        {"ask": "mouse", "moved": [1, 2], "buttons": 0},
        {"ask": "mouse", "moved": [1, 2, 1 << 40], "buttons": 0},
        {"ask": "mouse", "moved": [0, 0, 0], "buttons": 8},
        {"ask": []},
    ],
)
def test_questions_of_a_hostile_client_are_refused(message: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        messages.read_events(message)


def test_keys_and_movements_survive_their_messages() -> None:
    keys = [Key("ctrl", True), Key("ctrl", False)]
    assert messages.read_events(messages.keys(keys)) == keys
    moved = messages.read_events({"ask": "mouse", "moved": [-5, 3, 1], "buttons": 5})
    assert moved == [Pointer(-5, 3, 1, 5)]


@pytest.mark.fuzz
@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_an_error_or_a_message(octets: bytes, framed: bool) -> None:
    reader = messages.Reader(messages.QUESTION_OCTETS)
    reader.feed(messages.LENGTH.pack(len(octets)) + octets if framed else octets)
    try:
        message = reader.next()
        if message is not None:
            messages.read_events(message)
    except WireError:
        pass


@pytest.mark.fuzz
@given(st.recursive(st.none() | st.integers() | st.binary() | st.text(), lambda part: st.lists(part), max_leaves=5))
def test_any_values_are_an_error_or_a_picture(value: object) -> None:
    for name in ("is", "columns", "rows", "characters", "attributes", "cursor", "colours", "blinks"):
        message = {**messages.picture(text_screen([])), name: value}
        with contextlib.suppress(WireError):
            messages.read_picture(message)


# -- what the terminal gets


class Terminal:
    """Understands what the painter may say, and nothing else."""

    COMMAND = re.compile(r"\x1b\[(\?25[hl]|[0-9;]*[HmJ])")

    def __init__(self, size: Size) -> None:
        self.size = size
        self.cells = [[" "] * size.columns for _ in range(size.rows)]
        self.column = self.row = 0
        self.cursor = False
        self.looks: set[str] = set()

    def feed(self, octets: bytes) -> None:
        text = octets.decode()
        at = 0
        while at < len(text):
            if text[at] != "\x1b":
                assert text[at].isprintable(), repr(text[at])
                self.cells[self.row][self.column] = text[at]
                self.column += 1
                at += 1
                continue
            found = self.COMMAND.match(text, at)
            assert found, repr(text[at : at + 20])
            command = found[1]
            at = found.end()
            if command[-1] == "H":
                row, column = map(int, command[:-1].split(";"))
                self.row, self.column = row - 1, column - 1
                assert 0 <= self.row < self.size.rows
                assert 0 <= self.column < self.size.columns
            elif command == "2J":
                self.cells = [[" "] * self.size.columns for _ in range(self.size.rows)]
            elif command[-1] == "m":
                self.looks.add(command[:-1])
            elif command[0] == "?":
                self.cursor = command[-1] == "h"

    def lines(self) -> list[str]:
        return ["".join(row).rstrip() for row in self.cells]


@pytest.mark.fuzz
@settings(max_examples=40)
@given(st.lists(screens, min_size=1, max_size=3), st.integers(1, 100), st.integers(2, 40), st.booleans(), st.text())
def test_nothing_of_the_guests_reaches_the_terminal_raw(
    shown: list[TextScreen], columns: int, rows: int, true_colour: bool, said: str
) -> None:
    size = Size(columns, rows)
    painter, terminal = Painter(size, true_colour=true_colour), Terminal(size)
    for screen in shown:
        painter.say(said)
        terminal.feed(painter.paint(screen))
        painter.say("")
        terminal.feed(painter.paint(screen))
        assert terminal.cursor == (screen.cursor is not None)
        left = top = 0
        if screen.cursor is not None:
            left = max(0, min(screen.cursor.column - columns + 1, screen.columns - columns))
            top = max(0, min(screen.cursor.row - rows + 1, screen.rows - rows))
        for row in range(min(rows, screen.rows)):
            start = (top + row) * screen.columns + left
            codes = screen.characters[start : start + min(columns, screen.columns)]
            assert terminal.lines()[row] == "".join(CP437[code] for code in codes).rstrip()


def test_a_guest_that_fills_the_screen_with_escape_codes() -> None:
    painter, terminal = Painter(Size(80, 25), true_colour=False), Terminal(Size(80, 25))
    terminal.feed(painter.paint(text_screen([b"\x1b]0;owned\x07\x1b[31m\x9b2J\x90q\r\n\x0e"])))
    assert terminal.lines()[0] == "←]0;owned•←[31m¢2JÉq♪◙♫"


def test_only_what_differs_is_sent() -> None:
    painter = Painter(Size(80, 25), true_colour=True)
    painter.paint(text_screen([b"login: "]))
    again = painter.paint(text_screen([b"login: r"], cursor=Cursor(8, 0, is_block=False)))
    assert len(again) < 80
    assert b"r" in again
    assert painter.paint(text_screen([b"login: r"], cursor=Cursor(8, 0, is_block=False))) == b""
    painter.resize(Size(40, 10))
    assert b"login" in painter.paint(text_screen([b"login: r"]))


def test_colours_with_and_without_many() -> None:
    plain, rich = Terminal(Size(80, 25)), Terminal(Size(80, 25))
    screen = text_screen([b"x"], look=0x9E)  # blinking yellow on blue
    plain.feed(Painter(Size(80, 25), true_colour=False).paint(screen))
    rich.feed(Painter(Size(80, 25), true_colour=True).paint(screen))
    assert "0;93;44;5" in plain.looks
    red, green, blue = COLOURS[14]
    assert any(look.startswith(f"0;38;2;{red};{green};{blue};48;2;") for look in rich.looks)


def test_pixels_are_half_blocks() -> None:
    frame = Frame(320, 200, bytes((255, 0, 0)) * 320 * 200)
    for true_colour in (False, True):
        terminal = Terminal(Size(80, 25))
        terminal.feed(Painter(Size(80, 25), true_colour=true_colour).paint(frame))
        assert terminal.lines()[0].startswith("▀" * 60)
        assert not terminal.cursor


# -- keys


def keys_of(octets: bytes, *, flush: bool = True) -> list[Any]:
    keys = TerminalKeys()
    found = list(keys.feed(octets))
    return found + (list(keys.flush()) if flush else [])


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"aA1!\r", [("a",), ("shift", "a"), ("1",), ("shift", "1"), ("enter",)]),
        (b"\x03\x7f\t", [("ctrl", "c"), ("backspace",), ("tab",)]),
        (b"\x1b[A\x1bOB\x1b[1;5C\x1b[D", [("up",), ("down",), ("ctrl", "right"), ("left",)]),
        (b"\x1bOP\x1b[15~\x1b[24~\x1b[[E", [("f1",), ("f5",), ("f12",), ("f5",)]),
        (b"\x1b[3~\x1b[5;2~\x1b[Z", [("delete",), ("shift", "page_up"), ("shift", "tab")]),
        (b"\x1bx\x1b\x1b[A", [("alt", "x"), ("escape",), ("up",)]),
        (b"\x1b", [("escape",)]),
        (b"\x1b[", [("alt", "left_bracket")]),
        (b"\x1dd\x1d\x1d\x1dq", [Command("d"), ("ctrl", "right_bracket"), Command("q")]),
        ("é€".encode(), []),
        (b"\x1d\x1b", [Command("?")]),
    ],
)
def test_keys_of_terminals(octets: bytes, expected: list[Any]) -> None:
    assert keys_of(octets) == expected


def test_a_sequence_may_come_in_pieces() -> None:
    keys = TerminalKeys()
    assert list(keys.feed(b"\x1b")) == []
    assert keys.waits
    assert list(keys.feed(b"[1")) == []
    assert list(keys.feed(b"5~")) == [("f5",)]
    assert not keys.waits


@pytest.mark.fuzz
@given(st.lists(st.binary(max_size=12), max_size=6))
def test_any_octets_are_known_keys_or_commands(parts: list[bytes]) -> None:
    keys = TerminalKeys()
    for part in [*parts, None]:
        for meaning in keys.flush() if part is None else keys.feed(part):
            if isinstance(meaning, Command):
                assert meaning.letter.isprintable()
            else:
                assert set(meaning) <= NAMES
    assert not keys.waits


# -- the socket


class Still:
    """A screen that shows one thing."""

    board = "test"

    def __init__(self, shown: TextScreen | Frame) -> None:
        self.shown = shown
        self.events: list[Key | Pointer] = []

    async def look(self) -> TextScreen | Frame:
        await trio.lowlevel.checkpoint()
        return self.shown

    async def frame(self) -> Frame:
        await trio.lowlevel.checkpoint()
        return Frame(2, 1, b"abcdef")

    async def press(self, keys: Any) -> int:
        await trio.lowlevel.checkpoint()
        return self.put(keys)

    def put(self, events: Any) -> int:
        self.events += events
        return len(events)


async def test_a_client_sees_and_types(tmp_path: Path) -> None:
    still = Still(text_screen([b"hello"]))
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, tmp_path / "screen", still)
        async with open_remote(tmp_path / "screen") as source, open_remote(tmp_path / "screen") as other:
            assert await source.look() == still.shown
            assert await other.frame() == Frame(2, 1, b"abcdef")
            keys = [Key("a", True), Key("a", False)] * 1000
            assert await source.press(keys) == 2000
            assert still.events == keys
        nursery.cancel_scope.cancel()
    assert not (tmp_path / "screen").exists()


async def test_nonsense_ends_its_sender_only(tmp_path: Path) -> None:
    still = Still(text_screen([b"hello"]))
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, tmp_path / "screen", still)
        async with open_remote(tmp_path / "screen") as source:
            for nonsense in (b"GET / HTTP/1.1\r\n\r\n", messages.pack({"ask": "keys", "keys": 7}), b"\0\0\0\1\xc1"):
                stream = await trio.open_unix_socket(str(tmp_path / "screen"))
                async with stream:
                    await stream.send_all(nonsense)
                    with pytest.raises(WireError):
                        messages.read_picture(msgpack.unpackb((await stream.receive_some(1000))[4:]))
                    assert await stream.receive_some(1000) == b""
            assert await source.look() == still.shown
        nursery.cancel_scope.cancel()


async def test_clients_beyond_the_limit_wait(tmp_path: Path) -> None:
    still = Still(text_screen([b"hello"]))
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, tmp_path / "screen", still)
        streams = [await trio.open_unix_socket(str(tmp_path / "screen")) for _ in range(CLIENTS + 1)]
        for stream in streams[:CLIENTS]:
            await Remote(stream).look()
        async with trio.open_nursery() as waiting:
            waiting.start_soon(Remote(streams[CLIENTS]).look)
            await trio.testing.wait_all_tasks_blocked()
            await streams[0].aclose()
        for stream in streams:
            await stream.aclose()
        nursery.cancel_scope.cancel()


async def test_a_screen_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        async with open_remote(tmp_path / "screen"):
            pass


async def test_a_guest_that_ends_is_told() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.aclose()
    with pytest.raises(LinkClosed):
        await Remote(ours).look()
