"""A guest's screen on this terminal, live: its cells in colour, its cursor, and the terminal's keys for its keyboard.

    await Viewer(source, "pc1").run()

Ctrl-] begins a command: `q` leaves, `d` is Ctrl-Alt-Del, `1` … `9`, `0` are Alt-F1 … Alt-F10, Ctrl-] itself is sent as
such, `?` shows this. The terminal is as before afterwards, whatever ends the viewer.
"""

import os
import signal
import sys
from collections.abc import Callable

import trio

from emulators.devices.input.keys import strokes
from emulators.devices.video.picture import Frame
from emulators.guest.consoles import raw_terminal
from emulators.guest.inputs import Key
from emulators.guest.screen_keys import Chord, Command, TerminalKeys
from emulators.guest.screen_painter import ENTER, LEAVE, Painter, Size
from emulators.guest.screen_source import Source
from vde.errors import ConfigError

TEXT_S, PIXELS_S = 0.05, 0.25
"""Between two looks. Chosen: what an eye and a terminal follow."""
ESCAPE_S = 0.05
"""How long an ESC may be the beginning of a sequence. Chosen: as ncurses' users set it."""
SAID_S = 5.0
CHUNK_OCTETS = 4096
HELP = "Ctrl-] then: q leaves · d Ctrl-Alt-Del · 1…9, 0 Alt-F1…Alt-F10 · Ctrl-] itself · ? this"
CONSOLES = "1234567890"


def terminal_size() -> Size:
    """Of this terminal."""
    found = os.get_terminal_size(sys.stdout.fileno())
    return Size(found.columns, found.lines)


class Viewer:
    """Shows one screen.

    Args:
        source: the screen.
        name: whose.
        command: is given the letters that are none of the viewer's; None: `q` ends the viewer.
    """

    def __init__(self, source: Source, name: str, command: Callable[[str], None] | None = None) -> None:
        self._source = source
        self._name = name
        self._command = command
        self._keys = TerminalKeys()
        self._look = trio.Event()
        self._said_until = 0.0
        self._painter: Painter | None = None

    def say(self, text: str) -> None:
        """Show a line of ours for a while. Only while `run` runs."""
        if self._painter is not None:
            self._painter.say(text.replace("\n", " · "))
            self._said_until = trio.current_time() + SAID_S
            self._look.set()

    async def run(self) -> None:
        """Until the user leaves.

        Raises:
            ConfigError: this is no terminal.
            LinkClosed: the guest has ended.

        Cancellation: the terminal is as before.
        """
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ConfigError("a screen needs a terminal; --text or --png FILE show it once")
        true_colour = os.environ.get("COLORTERM", "") in ("truecolor", "24bit")
        self._painter = Painter(terminal_size(), true_colour=true_colour)
        with raw_terminal(sys.stdin.fileno()):
            await _write(ENTER)
            try:
                async with trio.open_nursery() as nursery:
                    self.say(f"{self._name} · {HELP}")
                    nursery.start_soon(self._paint, self._painter)
                    nursery.start_soon(self._resize, self._painter)
                    await self._type()
                    nursery.cancel_scope.cancel()
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(1):
                    await _write(LEAVE)

    async def _paint(self, painter: Painter) -> None:
        while True:
            self._look = trio.Event()
            shown = await self._source.look()
            if self._said_until and trio.current_time() > self._said_until:
                painter.say("")
                self._said_until = 0.0
            if octets := painter.paint(shown):
                await _write(octets)
            with trio.move_on_after(PIXELS_S if isinstance(shown, Frame) else TEXT_S):
                await self._look.wait()

    async def _resize(self, painter: Painter) -> None:
        with trio.open_signal_receiver(signal.SIGWINCH) as signals:
            async for _ in signals:
                painter.resize(terminal_size())
                self._look.set()

    async def _type(self) -> None:
        """Until the user leaves, or the terminal ends."""
        keyboard = sys.stdin.fileno()
        while True:
            with trio.move_on_after(ESCAPE_S if self._keys.waits else float("inf")) as patience:
                await trio.lowlevel.wait_readable(keyboard)
            if patience.cancelled_caught:
                meanings = list(self._keys.flush())
            else:
                octets = os.read(keyboard, CHUNK_OCTETS)
                if not octets:
                    return
                meanings = list(self._keys.feed(octets))
            for meaning in meanings:
                if isinstance(meaning, Command) and meaning.letter == "q" and self._command is None:
                    return
                await self._do(meaning)

    async def _do(self, meaning: Chord | Command) -> None:
        chord: Chord
        if isinstance(meaning, Command):
            if meaning.letter == "d":
                chord = ("ctrl", "alt", "delete")
            elif meaning.letter in CONSOLES:
                chord = ("alt", f"f{CONSOLES.index(meaning.letter) + 1}")
            elif self._command is not None and meaning.letter != "?":
                self._command(meaning.letter)
                return
            else:
                self.say(HELP)
                return
        else:
            chord = meaning
        keys = [Key(name, down) for name, down in strokes(chord)]
        if await self._source.press(keys) < len(keys):
            self.say("the guest does not read its keyboard")


async def _write(octets: bytes) -> None:
    """In a thread: a terminal may stand still, and must not be made non-blocking for others."""

    def write() -> None:
        rest = octets
        while rest:
            rest = rest[os.write(sys.stdout.fileno(), rest) :]

    await trio.to_thread.run_sync(write, abandon_on_cancel=True)
