"""wirefilter's console: octets in, octets out. Sans-I/O.

    peer ◄── banner, prompt             "\\nVDE wirefilter …\\n…\\n" "\\nVDEwf$ "
    loss 3\\n ──►
         ◄── 1000 Success\\n\\nVDEwf$     with `0000 DATA END WITH '.'`, lines and `.` before it if there are lines
         ◄── 3802 Node 0 "OK" -> 2 ""\\n     after `markov-debug 1`, at any time
    logout\\n ──►
         ◄── 1-01 Unknown error -1\\n        and the end, as with the original

Lines end with a newline; the adapter ends one that comes without (vdeterm sends such) after a moment, and at the end.

Limits (chosen): `LINE_OCTETS`, longer ones are answered with E2BIG; `SCRIPT_DEPTH` scripts inside one another (ELOOP),
`SCRIPT_LINES` lines in all of them (E2BIG); `EVENT_OCTETS` of events that the peer has not read, more are lost.
"""

import errno
import os
from collections.abc import Callable

from vde.errors import Refused
from vde.wire.filter.commands import HELP, atoi, carry_out_on_nodes, find, show_edges
from vde.wire.filter.pipeline import Filter

PROMPT = "\nVDEwf$ "
ORIGINAL_BANNER = "VDE wirefilter V.2.3.2"
SUCCESS = "1000 Success"
END = "1-01 Unknown error -1"
LINE_OCTETS = 4096
SCRIPT_DEPTH = 8
SCRIPT_LINES = 10_000
EVENT_OCTETS = 64 << 10
EVENT = 3800
ReadScript = Callable[[str], list[bytes]]
"""The lines of a file; raises `Refused`."""


class Console:
    """What the dialogues of one filter share.

    Attributes:
        shutdown_requested: somebody said `shutdown`.
        before_change: called before a command that may change something.
        on_change: called after it.
    """

    def __init__(self, filter_: Filter, read_script: ReadScript, now_ns: Callable[[], int], version: str) -> None:
        self.filter = filter_
        self.read_script = read_script
        self.now_ns = now_ns
        self.banner = f"\n{ORIGINAL_BANNER}\nvde-fabric {version}\n"
        self.blink_socket = ""
        self.blink_id = ""
        self.shutdown_requested = False
        self.before_change: Callable[[], None] = lambda: None
        self.on_change: Callable[[], None] = lambda: None
        self.listeners: list[Session] = []
        filter_.on_node = self._tell

    def _tell(self, node: int, text: str) -> None:
        for session in list(self.listeners):
            session.hear(f"{EVENT + node} {text}\n")

    def load(self, path: str) -> None:
        """The rc file: its answers are not shown.

        Raises:
            Refused: it cannot be read.
        """
        session = Session(self)
        session.load(path, [])


class Session:
    """One dialogue.

    Attributes:
        closed: the peer said `logout` or `shutdown`.
        on_event: called when something is to be sent without having been asked for.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._pending = b""
        self._skipping = False
        self._events: list[str] = []
        self._event_octets = 0
        self._depth = 0
        self._script_lines = 0
        self.closed = False
        self.on_event: Callable[[], None] = lambda: None

    def greeting(self) -> bytes:
        """Banner and prompt."""
        return (self._console.banner + PROMPT).encode()

    @property
    def has_fragment(self) -> bool:
        """Is a line begun?"""
        return bool(self._pending)

    def receive(self, data: bytes) -> bytes:
        """What came; the answers."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        out: list[str] = []
        for line in lines:
            if self.closed:
                break
            if self._skipping or len(line) > LINE_OCTETS:
                self._skipping = False
                out.append(_status(errno.E2BIG) + "\n" + PROMPT)
            else:
                self._line(line, out)
        if len(self._pending) > LINE_OCTETS:
            self._pending, self._skipping = b"", True
        return _encode(out)

    def end_of_line(self) -> bytes:
        """No newline will come: the answer to the line that is begun."""
        line, self._pending = self._pending, b""
        out: list[str] = []
        if line and not self._skipping and not self.closed:
            self._line(line, out)
        return _encode(out)

    def hear(self, line: str) -> None:
        """An event."""
        if self._event_octets < EVENT_OCTETS:
            self._events.append(line)
            self._event_octets += len(line)
            self.on_event()

    def take_events(self) -> bytes:
        """Those that are to be sent."""
        octets = _encode(self._events)
        self._events.clear()
        self._event_octets = 0
        return octets

    def end(self) -> None:
        """The connection has gone."""
        if self in self._console.listeners:
            self._console.listeners.remove(self)

    # -- commands -----------------------------------------------------------------------------------------------------

    def _line(self, octets: bytes, out: list[str]) -> None:
        self._carry_out(octets.split(b"\0")[0].decode(errors="surrogateescape"), out)
        if not self.closed:
            out.append(PROMPT)

    def _carry_out(self, line: str, out: list[str]) -> None:
        """One command: its answer, without the prompt."""
        text = line.strip(" \t\r\n")
        if not text or text.startswith("#"):
            return
        lines: list[str] | None = None
        found = find(text)
        try:
            if found is None:
                raise Refused(errno.ENOSYS, f"{text!r} is no command")
            word, argument = found
            if word in ("help", "showinfo", "showedges", "showcurrent", "load"):
                lines = []
                self._show(word, argument, lines)
            elif word in ("logout", "shutdown"):
                self._end(word, out)
                return
            else:
                self._console.before_change()
                if not carry_out_on_nodes(self._console.filter.nodes, text):
                    self._set(word, argument)
            if word in ("markov-time", "markov-numnodes"):
                self._console.filter.set_period(self._console.now_ns())
            status = SUCCESS
        except Refused as refused:
            status = _status(refused.errno)
        if lines is not None:
            out += ["0000 DATA END WITH '.'\n", *lines, ".\n"]
        out.append(status + "\n")
        self._console.on_change()

    def _end(self, word: str, out: list[str]) -> None:
        if word == "shutdown":
            self._console.shutdown_requested = True
        else:
            out.append(END + "\n")
        if not self._depth or word == "shutdown":
            self.closed = True

    def _set(self, word: str, argument: str) -> None:
        """What is not about nodes' values."""
        nodes = self._console.filter.nodes
        match word:
            case "fifo":
                self._console.filter.fifo = bool(atoi(argument))
            case "markov-setnode":
                nodes.current = nodes.check(atoi(argument))
                nodes.version += 1
            case "markov-debug":
                self.end()
                if atoi(argument) > 0:
                    self._console.listeners.append(self)

    def _show(self, word: str, argument: str, lines: list[str]) -> None:
        nodes = self._console.filter.nodes
        match word:
            case "help":
                lines += [f"{line}\n" for line in HELP]
            case "load":
                self.load(argument, lines)
            case "showcurrent":
                lines.append(f"Current Markov {_node(self._console.filter, nodes.current)}\n")
            case _:
                number = nodes.check(atoi(argument) if argument[:1] in "0123456789+-" and argument else nodes.current)
                if word == "showedges":
                    lines += [f"{_printable(line)}\n" for line in show_edges(nodes, number)]
                else:
                    lines += [f"{_printable(line)}\n" for line in self._information(number)]

    def load(self, path: str, lines: list[str]) -> None:
        """Carry out a script; its lines and their answers become lines.

        Raises:
            Refused: it cannot be read, or is too long or too deep.
        """
        script = self._console.read_script(path)
        if self._depth >= SCRIPT_DEPTH:
            raise Refused(errno.ELOOP, f"{path}: scripts may load one another {SCRIPT_DEPTH} deep")
        if not self._depth:
            self._script_lines = 0
        self._script_lines += len(script)
        if self._script_lines > SCRIPT_LINES:
            raise Refused(errno.E2BIG, f"{path}: scripts may have {SCRIPT_LINES} lines together")
        self._depth += 1
        try:
            for octets in script:
                line = octets.split(b"\0")[0].decode(errors="surrogateescape")
                lines.append(_printable(f"{PROMPT[1:]} ({path}) {line}", first="\n") + ("\n" if line else "\n\n"))
                self._carry_out(line, lines)
        finally:
            self._depth -= 1

    def _information(self, number: int) -> list[str]:
        console, whole = self._console, self._console.filter
        both, values = whole.bidirectional, whole.nodes.nodes[number].values

        def row(title: str, parameter: str) -> str:
            left, right = values[parameter]
            return f"{title:<6} L->R {left}   R->L {right}" if both else f"{title:<6} {left}"

        mtu = [f"{value.value:g}" for value in values["mtu"]]
        queued = [side.queued_octets for side in whole.sides]
        lines = [f"WireFilter: {'bi' if both else 'mono'}directional"]
        if len(whole.nodes) > 1:
            lines.append(f"{_node(whole, number)} Markov-time {whole.nodes.period_ms:g}")
        lines += [row("Loss", "loss"), row("Lburst", "lostburst"), row("Delay", "delay"), row("Dup", "dup")]
        lines += [row("Bandw", "bandwidth"), row("Speed", "speed"), row("Noise", "noise")]
        lines.append(f"MTU    L->R {mtu[0]}     R->L {mtu[1]}   " if both else f"MTU    {mtu[0]}")
        lines.append(row("Cap.", "chanbufsize"))
        sizes = f"L->R {queued[0]}      R->L {queued[1]}   " if both else f"{queued[0]}"
        lines.append(f"Current Delay Queue size:   {sizes}")
        lines.append(f"Fifoness {'TRUE' if whole.fifo else 'FALSE'}")
        lines.append(f"Waiting packets in delay queues {sum(side.waiting for side in whole.sides)}")
        if console.blink_socket:
            lines += [f"Blink socket: {console.blink_socket}", f"Blink id:     {console.blink_id} "]
        return lines


def _node(whole: Filter, number: int) -> str:
    return f'Node {number} "{whole.nodes.nodes[number].name}" (0,..,{len(whole.nodes) - 1})'


def _status(number: int) -> str:
    return f"1{number:03d} {os.strerror(number)}"


def _printable(text: str, first: str = "") -> str:
    """Without what could forge another line."""
    harmless = (c if c.isprintable() or c == "\t" or "\udc80" <= c <= "\udcff" else ascii(c)[1:-1] for c in text)
    return first + "".join(harmless)


def _encode(texts: list[str]) -> bytes:
    return "".join(texts).encode(errors="surrogateescape")
