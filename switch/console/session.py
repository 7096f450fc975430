"""One dialogue with the console: octets in, octets out. Sans-I/O.

    peer                                   session
     │ ◄───────────────────── banner, prompt: one segment, as vdetelweb reads it
     │ port/create 3\n ─────────────────►
     │ ◄────────────────────── 1000 Success\n\nvde$
     │ port/print\n ────────────────────►
     │ ◄────────────────────── 0000 DATA END WITH '.'\n…\n.\n1000 Success\n\nvde$
     │ ◄────────────────────── 3022 port/- 03\n              at any time, without a prompt
     │ logout\n ────────────────────────►
     │ ◄────────────────────── 9999 END OF SESSION           and the end of the connection

Theory of operation. Input is cut into lines. The original takes every read() for one command, and vdeterm relies on it:
it sends lines without newlines. So a fragment that comes while no line is begun is a line if nothing follows it for
`FRAGMENT_NS` (`next_deadline`, `handle_timer`). The rest of a segment after a newline waits for its own newline.

Lines are carried out one at a time, and no more of them once `REPLY_OCTETS` wait to be sent (`unfinished`): a peer that
sends commands faster than it reads the answers stops itself. `load` puts a script's lines before the peer's. What is to
be sent collects in one outbox, answers and events in the order in which they happened.

Limits (all chosen): `LINE_OCTETS` a line, longer ones are skipped and answered with E2BIG; `EVENT_OCTETS` of events
that the peer has not read, more are lost, and counted in a line `3000 debug/lost N`; `SCRIPT_DEPTH` scripts inside
one another (ELOOP) and `SCRIPT_LINES` lines in all of them (E2BIG).

Not supported: lines of more than one command; editing (vdeterm does that on its side).
"""

import errno
import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from switch.console.call import Call, Desk, Kind
from switch.console.registry import BLANKS, Registry
from switch.console.text import printable
from vde.errors import Refused

PROMPT = b"\nvde$ "
DATA_BEGINS, DATA_ENDS = "0000 DATA END WITH '.'", "."
END_OF_SESSION = b"9999 END OF SESSION"
SUCCESS = "1000 Success"

FRAGMENT_NS = 50_000_000  # chosen: nobody notices it, and the parts of a line that is written in parts come sooner
LINE_OCTETS = 4096
REPLY_OCTETS = 64 << 10
EVENT_OCTETS = 256 << 10
SCRIPT_DEPTH = 8
SCRIPT_LINES = 10_000


class Served(Desk, Protocol):
    """What a dialogue itself needs of the console."""

    @property
    def registry(self) -> Registry:
        """The commands."""


@dataclass(slots=True)
class _Script:
    path: str
    lines: deque[bytes]


class Session:
    """See the module's text.

    Attributes:
        closed: the peer said `logout` or `shutdown`: send what there is, then close.
        shutdown_requested: then end the switch as well (`Console.on_shutdown`).
        prompts: (standard input) prompts to be shown since the adapter last set it to 0.
        events_lost: events that the peer did not read in time.
        last_error: the sentence behind the last error status.
    """

    def __init__(self, console: Served, kind: Kind = Kind.SOCKET) -> None:
        self.console = console
        self.kind = kind
        self.closed = False
        self.shutdown_requested = False
        self.prompts = 0
        self.events_lost = 0
        self.last_error = ""
        self.on_event = _nothing
        """Called when an event has been put into an empty outbox from outside `receive`."""
        self._input = bytearray()
        self._deadline_ns: int | None = None
        """When the fragment in `_input` becomes a line; None: not before its newline."""
        self._skipping = False
        self._lines: deque[bytes | None] = deque()
        self._scripts: list[_Script] = []
        self._script_lines = 0
        self._outbox: list[bytes] = []
        self._outbox_octets = 0
        self._event_octets = 0
        self._lost_since_told = 0
        self._working = False

    # -- octets -------------------------------------------------------------------------------------------------------

    def greeting(self) -> bytes:
        """Banner and prompt, in one segment."""
        return "\n".join(self.console.banner).encode() + b"\n" + PROMPT

    def receive(self, data: bytes, now_ns: int) -> bytes:
        """What came from the peer; carries commands out, and returns all that is to be sent now."""
        if not self.closed and data:
            alone = self._deadline_ns is not None or not (self._input or self._skipping)
            self._cut(data)
            fragment = alone and b"\n" not in data and bool(self._input)
            self._deadline_ns = now_ns + FRAGMENT_NS if fragment else None
        return self.go_on(now_ns)

    def next_deadline(self) -> int | None:
        """When `handle_timer` wants to be called, in nanoseconds."""
        return self._deadline_ns

    def handle_timer(self, now_ns: int) -> bytes:
        """The deadline has come, if it has: a fragment is a line. Returns all that is to be sent now."""
        if self._deadline_ns is not None and self._deadline_ns <= now_ns:
            return self.end_of_input(now_ns)
        return self.go_on(now_ns)

    def end_of_input(self, now_ns: int) -> bytes:
        """The peer will send no more: a line without its newline is a line."""
        if self._input and not self._skipping:
            self._lines.append(bytes(self._input))
        self._input.clear()
        self._deadline_ns = None
        return self.go_on(now_ns)

    def go_on(self, now_ns: int) -> bytes:
        """Carry out lines that wait; returns all that is to be sent now. Call it while `unfinished`."""
        self._working = True
        try:
            while not self.closed and self._outbox_octets < REPLY_OCTETS and self._work(now_ns):
                pass
        finally:
            self._working = False
        return self.take()

    @property
    def unfinished(self) -> bool:
        """Are there lines that wait for answers to be sent first?"""
        return not self.closed and bool(self._lines or self._scripts)

    @property
    def in_script(self) -> bool:
        """Does the command that is being carried out come from a script?"""
        return bool(self._scripts)

    def take(self) -> bytes:
        """What is to be sent: answers and events, in order."""
        if self._lost_since_told:
            self._put_line(f"3000 debug/lost {self._lost_since_told}")
            self._lost_since_told = 0
        octets = b"".join(self._outbox)
        self._outbox.clear()
        self._outbox_octets = self._event_octets = 0
        return octets

    def end(self) -> None:
        """The connection has gone."""
        self.closed = True
        self._lines.clear()
        self._scripts.clear()
        self.console.switch.events.unsubscribe_all(self.hear)

    # -- what commands do to their session ----------------------------------------------------------------------------

    def hear(self, line: str) -> None:
        """A subscriber of the switch's event bus."""
        if self._event_octets >= EVENT_OCTETS:
            self.events_lost += 1
            self._lost_since_told += 1
            return
        first = not self._outbox
        self._event_octets += self._put_line(line)
        if first and not self._working:
            self.on_event()

    def say_goodbye(self) -> None:
        """The peer gets the farewell and no more."""
        if self.kind is Kind.SOCKET:
            self._put(END_OF_SESSION)
        self.closed = True

    def run_script(self, path: str, lines: Iterable[bytes]) -> None:
        """Carry out a script's lines before anything else.

        Raises:
            Refused: ELOOP, E2BIG: see the limits.
        """
        if len(self._scripts) >= SCRIPT_DEPTH:
            raise Refused(errno.ELOOP, f"{path}: scripts may load one another {SCRIPT_DEPTH} deep")
        script = _Script(path, deque(lines))
        if not self._scripts:
            self._script_lines = 0
        if self._script_lines + len(script.lines) > SCRIPT_LINES:
            raise Refused(errno.E2BIG, f"{path}: scripts may have {SCRIPT_LINES} lines together")
        self._script_lines += len(script.lines)
        self._scripts.append(script)

    # -- input --------------------------------------------------------------------------------------------------------

    def _cut(self, data: bytes) -> None:
        for piece in _pieces(data):
            ended = piece.endswith(b"\n")
            if not self._skipping:
                self._input += piece[: LINE_OCTETS + 1 - len(self._input)]
            if len(self._input) > LINE_OCTETS and not self._skipping:
                self._input.clear()
                self._skipping = True
            if not ended:
                continue
            self._lines.append(None if self._skipping else bytes(self._input))
            self._input.clear()
            self._skipping = False

    # -- lines --------------------------------------------------------------------------------------------------------

    def _work(self, now_ns: int) -> bool:
        """Carry out one line; False: there is none."""
        if self._scripts:
            script = self._scripts[-1]
            if script.lines:
                line = script.lines.popleft()
                self._put_line(f"vde[{script.path}]: {_text(line, keep_blanks=True)}")
                self._carry_out(line, now_ns)
                return True
            self._scripts.pop()
            self._put_line(SUCCESS)
        elif self._lines:
            next_line = self._lines.popleft()
            if next_line is None:
                self._fail(Refused(errno.E2BIG, f"a line has at most {LINE_OCTETS} octets"))
            else:
                self._carry_out(next_line, now_ns)
        else:
            return False
        if not self._scripts and not self.closed:
            self._prompt()
        return True

    def _carry_out(self, line: bytes, now_ns: int) -> None:
        text = _text(line)
        if not text or text.startswith("#"):
            return
        found = self.console.registry.find(text)
        if found is None:
            self._fail(Refused(errno.ENOSYS, f"{text!r} is no command: help lists them"))
            return
        command, argument = found
        call = Call(self.console, self, argument, now_ns, [])
        refused: Refused | None = None
        try:
            command.handler(call)
        except Refused as error:
            refused = error
        if command.framed:
            self._put_line(DATA_BEGINS)
        self._put_lines(call.lines)
        if command.framed:
            self._put_line(DATA_ENDS)
        if refused is not None:
            self._fail(refused)
        elif not command.silent:
            self._put_line(SUCCESS)

    def _fail(self, refused: Refused) -> None:
        self.last_error = str(refused)
        self._put_line(f"1{refused.errno:03d} {os.strerror(refused.errno)}")

    # -- output -------------------------------------------------------------------------------------------------------

    def _prompt(self) -> None:
        if self.kind is Kind.SOCKET:
            self._put(PROMPT)
        else:
            self.prompts += 1

    def _put(self, octets: bytes) -> None:
        self._outbox.append(octets)
        self._outbox_octets += len(octets)

    def _put_line(self, line: str) -> int:
        octets = printable(line).encode() + b"\n"
        self._put(octets)
        return len(octets)

    def _put_lines(self, lines: list[str]) -> None:
        if lines:
            self._put("".join([printable(line) + "\n" for line in lines]).encode())


def _nothing() -> None:
    """No adapter listens."""


def _pieces(data: bytes) -> list[bytes]:
    """Lines with their newlines; only LF ends one."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _text(line: bytes, *, keep_blanks: bool = False) -> str:
    """A line as commands see it: up to a NUL, without its newline and leading blanks."""
    text = line.split(b"\0", 1)[0].rstrip(b"\n").decode(errors="surrogateescape")
    return text if keep_blanks else text.lstrip(BLANKS)
