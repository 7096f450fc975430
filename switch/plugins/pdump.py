"""`pdump`: frames to a pcapng file, one interface a port, with direction and nanoseconds.

A frame is stored when it enters a port, and again for every port that it leaves by. `pdump/active 1` begins the file;
after a pause (`pdump/active 0`, then 1) it goes on with a new section.

Differences to vde_switch's plugin: the file is pcapng, not pcap (its default name is the same: readers look at the
octets); `pdump/status` is new; a file that cannot be opened is an error with a reason, and no crash at the next
command; a full disk ends the capture after the last whole block.

Limits: writing happens in the console's thread, not the forwarder's: a disk that stalls delays the console.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Sequence

from switch.console.arguments import atoi
from switch.console.call import Call
from switch.console.registry import Command, Entry, Menu
from switch.core import Switch
from switch.events import Category
from switch.forwarding.contract import Direction, Packet
from switch.log import Log
from switch.plugins.capture import Capture
from switch.plugins.capture_file import CaptureFile
from vde.errors import Refused

DEFAULT_NAME = "vde_dump.cap"
CATEGORY_IN, CATEGORY_OUT = "pdump/packetin", "pdump/packetout"


class Pdump:
    """See the module's text."""

    name = "pdump"
    help = "dump packets to file, in pcapng format"
    categories: Sequence[Category] = (
        Category(CATEGORY_IN, 0o101, "dump incoming packet to file"),
        Category(CATEGORY_OUT, 0o102, "dump outgoing packet to file"),
    )

    def __init__(self, switch: Switch, log: Log, wall_offset_ns: Callable[[], int]) -> None:
        self._switch = switch
        self._log = log
        self._wall_offset_ns = wall_offset_ns
        self._path = DEFAULT_NAME
        self._buffered = False
        self._capture: Capture | None = None
        self._begun: set[str] = set()
        """Files that hold sections of ours: they are continued, others are replaced."""
        self._lost_before = 0
        self._last_ns = 0
        self._totals = {"stored": 0, "lost": 0, "refused": 0}
        self._last_error = ""
        self.entries: Sequence[Entry] = (
            Menu("pdump", "DUMP Packets to file"),
            Command("pdump/active", "0/1", "start dumping data", self._set_active, framed=True),
            Command(
                "pdump/filename",
                "<file>",
                f"set/show output filename (default: {DEFAULT_NAME})",
                self._set_filename,
                framed=True,
            ),
            Command("pdump/buffered", "0/1", "set buffered/unbuffered dump", self._set_buffered),
            Command("pdump/status", "", "show what was stored and what was lost", self._show_status, framed=True),
        )

    def close(self) -> None:
        """See `Plugin`."""
        self._end(self._last_ns)

    # -- commands -----------------------------------------------------------------------------------------------------

    def _set_active(self, call: Call) -> None:
        """Refused: EEXIST it is active, ENOENT it is not, or why the file cannot be opened."""
        if not atoi(call.argument):
            if self._capture is None:
                raise Refused(errno.ENOENT, "no capture is active")
            self._end(call.now_ns)
        elif self._capture is not None:
            raise Refused(errno.EEXIST, f"already dumping to {self._path}")
        else:
            self._capture = self._open(call, self._path)
            self._lost_before = self._switch.forwarder.events_lost()
            self._switch.add_packet_hook(self._store)

    def _set_filename(self, call: Call) -> None:
        """While active, the capture goes on in the new file; if that cannot be opened, in the old one."""
        if call.argument:
            if self._capture is not None and os.path.realpath(call.argument) != os.path.realpath(self._path):
                capture = self._open(call, call.argument)
                self._end(call.now_ns)
                self._capture = capture
                self._lost_before = self._switch.forwarder.events_lost()
                self._switch.add_packet_hook(self._store)
            self._path = call.argument
        call.print(f"dumpfile={self._path}")

    def _set_buffered(self, call: Call) -> None:
        self._buffered = atoi(call.argument) != 0
        if self._capture is not None:
            self._capture.file.buffered = self._buffered
            if not self._buffered:
                with self._stopping_when_it_fails(call.now_ns):
                    self._capture.file.flush()

    def _show_status(self, call: Call) -> None:
        stored, lost, refused = self._totals["stored"], self._totals["lost"], self._totals["refused"]
        if self._capture is not None:
            stored += self._capture.frames
            refused += self._capture.refused
            lost += self._switch.forwarder.events_lost() - self._lost_before
        call.print(f"active={'true' if self._capture is not None else 'false'}")
        call.print(f"dumpfile={self._path}")
        call.print(f"buffered={'true' if self._buffered else 'false'}")
        call.print(f"stored {stored} frames, lost {lost} before they came here, {refused} that the file did not take")
        if self._last_error:
            call.print(f"ended by an error: {self._last_error}")

    # -- frames -------------------------------------------------------------------------------------------------------

    def _store(self, packet: Packet) -> None:
        if self._capture is None:
            return
        self._last_ns = packet.when_ns
        with self._stopping_when_it_fails(packet.when_ns):
            self._capture.store(packet)
        path = CATEGORY_IN if packet.direction is Direction.IN else CATEGORY_OUT
        if self._switch.events.wanted(path):
            self._switch.events.emit(path, f"Pkt: Port {packet.port:04d} len={len(packet.frame):04d}")

    @contextlib.contextmanager
    def _stopping_when_it_fails(self, now_ns: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._fail(error)
            self._end(now_ns)

    def _fail(self, error: OSError) -> None:
        self._last_error = f"{self._path}: {error.strerror}"
        self._log.error(f"pdump: {self._last_error}: the capture ends")

    def _open(self, call: Call, name: str) -> Capture:
        path = os.path.realpath(name)
        try:
            file = CaptureFile(path, append=path in self._begun, buffered=self._buffered)
            try:
                capture = Capture(file, self._wall_offset_ns())
            except OSError:
                file.abandon()
                raise
        except OSError as error:
            call.print(f"ERROR: cannot dump to {name}")
            raise Refused(error.errno or errno.EIO, f"{name}: {error.strerror}") from None
        self._begun.add(path)
        self._last_error = ""
        self._last_ns = call.now_ns
        return capture

    def _end(self, now_ns: int) -> None:
        self._switch.remove_packet_hook(self._store)
        capture, self._capture = self._capture, None
        if capture is None:
            return
        lost = self._switch.forwarder.events_lost() - self._lost_before
        try:
            capture.finish(now_ns, lost)
        except OSError as error:
            if not self._last_error:
                self._fail(error)
        self._totals["stored"] += capture.frames
        self._totals["refused"] += capture.refused
        self._totals["lost"] += lost
