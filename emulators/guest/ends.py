"""The ends that a running board is wired to: queues between the machine's thread and trio tasks.

    machine's thread                              trio
    device → NicEnd.send → frames_out    ─ bell → pump → Link.send
    device ← on_frame ← deliver ← frames_in  ←──── pump ← Link.receive
    device → ConsoleEnd.out → octets_out ─ bell → sink
    device ← on_input ← deliver ← octets_in  ←──── source

Limits: a queue of frames has `FRAMES` places, and what does not fit is dropped and counted: a guest that sends faster
than its network takes loses frames, as on a real cable. Octets are never lost: a guest that writes faster than its
console takes is held up, and a source waits while `OCTETS` were typed that the guest has not read.
"""

import collections
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from emulators.guest.doorbell import Doorbell
from emulators.guest.inputs import Cable, Frame, Input, Key, Octets, Pointer
from emulators.outside import ConsoleEnd, DiskEnd, NicEnd, ScreenEnd

FRAMES = 512
"""Chosen: a window of 64 KiB in frames of 1500 octets fits ten times."""
OCTETS = 64 << 10
"""Chosen."""
KEYS = 4096
"""Keys, up and down, that the guest has not read. Chosen: a long line, pasted."""


@dataclass
class NicCounters:
    """Frames of one cable: `sent` by the guest, `received` by it, and those that did not get so far."""

    sent: int = 0
    received: int = 0
    dropped_out: int = 0
    dropped_in: int = 0


class LiveCable:
    """A network card's cable; both queues."""

    def __init__(self, index: int, mac: bytes | None = None) -> None:
        self.index = index
        self.counters = NicCounters()
        self.end = NicEnd(self._send, mac=mac)
        self.bell = Doorbell()
        self.lost = Doorbell()
        """Rings when a frame is dropped."""
        self._out: collections.deque[bytes] = collections.deque()
        self._in: collections.deque[bytes] = collections.deque()
        self._up: bool | None = None
        self._told: bool | None = None

    def _send(self, frame: bytes) -> None:
        if len(self._out) >= FRAMES:
            self.counters.dropped_out += 1
            self.lost.ring()
            return
        self._out.append(frame)
        self.bell.ring()

    def take(self, most: int) -> list[bytes]:
        """trio: frames that the guest sent, at most so many."""
        frames = [self._out.popleft() for _ in range(min(most, len(self._out)))]
        self.counters.sent += len(frames)
        return frames

    def drop(self) -> None:
        """trio: nobody takes what the guest sends."""
        self.counters.dropped_out += len(self._out)
        self._out.clear()

    def put(self, frames: Sequence[bytes]) -> None:
        """trio: frames for the guest."""
        room = max(0, FRAMES - len(self._in))
        self._in.extend(frames[:room])
        if len(frames) > room:
            self.counters.dropped_in += len(frames) - room
            self.lost.ring()

    def plug(self, *, up: bool) -> None:
        """trio: the cable is plugged in, or pulled."""
        self._up = up

    def deliver(self, tell: Callable[[Input], None]) -> bool:
        """machine: give the device what has come. True: some is left that the device does not take yet."""
        if self._up != self._told:
            self._told = self._up
            cable = Cable(self.index, bool(self._up))
            tell(cable)
            cable.apply(self.end)
        while self._in:
            if self.end.ready_frames is not None and self.end.ready_frames() <= 0:
                return True
            frame = Frame(self.index, self._in.popleft())
            self.counters.received += 1
            tell(frame)
            frame.apply(self.end)
        return False

    def forget(self) -> None:
        """machine: it has been reset; the new one's device knows nothing of the cable."""
        self.end.on_frame = self.end.on_link = self.end.ready_frames = None
        self._told = None


class LiveConsole:
    """A console; both directions."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.end = ConsoleEnd(self._write)
        self.bell = Doorbell()
        self.room_bell = Doorbell()
        self._out = bytearray()
        self._in: collections.deque[bytes] = collections.deque()
        self._in_octets = 0
        self._state = threading.Condition()
        self._is_open = True

    def _write(self, octets: bytes) -> None:
        with self._state:
            if len(self._out) >= OCTETS:
                self._state.wait_for(lambda: len(self._out) < OCTETS or not self._is_open)
            if self._is_open:
                self._out += octets
        self.bell.ring()

    def take(self) -> bytes:
        """trio: what the guest wrote."""
        with self._state:
            octets = bytes(self._out)
            self._out.clear()
            self._state.notify_all()
        return octets

    def close(self) -> None:
        """trio: nobody looks any more; the guest is not held up."""
        with self._state:
            self._is_open = False
            self._state.notify_all()

    @property
    def has_room(self) -> bool:
        """trio: may more be typed?"""
        return self._in_octets < OCTETS

    def put(self, octets: bytes) -> None:
        """trio: typed."""
        self._in.append(octets)
        self._in_octets += len(octets)

    def deliver(self, tell: Callable[[Input], None]) -> bool:
        """machine: give the device what was typed. True: some is left that the device does not take yet."""
        while self._in:
            octets = self._in[0]
            ready = self.end.ready_octets
            room = len(octets) if ready is None else min(len(octets), ready())
            if room <= 0:
                return True
            self._in.popleft()
            if room < len(octets):
                self._in.appendleft(octets[room:])
            self._in_octets -= room
            typed = Octets(self.name, octets[:room])
            tell(typed)
            typed.apply(self.end)
            self.room_bell.ring()
        return False

    def forget(self) -> None:
        """machine: it has been reset."""
        self.end.on_input = self.end.on_size = self.end.ready_octets = None


class LiveScreen:
    """A display, whose keys and mouse come through a queue. Who looks, asks the runner."""

    def __init__(self) -> None:
        self.end = ScreenEnd()
        self._in: collections.deque[Key | Pointer] = collections.deque()
        self.dropped = 0

    def put(self, events: Sequence[Key | Pointer]) -> int:
        """trio: what was done to keyboard and mouse; answers how many of them have room."""
        room = max(0, KEYS - len(self._in))
        self._in.extend(events[:room])
        self.dropped += len(events) - len(events[:room])
        return min(room, len(events))

    def deliver(self, tell: Callable[[Input], None]) -> bool:
        """machine: give it to the devices. True: some is left that they do not take yet."""
        while self._in:
            event = self._in[0]
            if isinstance(event, Key) and self.end.ready_keys is not None and self.end.ready_keys() <= 0:
                return True
            self._in.popleft()
            tell(event)
            event.apply(self.end)
        return False

    def forget(self) -> None:
        """machine: it has been reset."""
        self.end.look = self.end.frame = self.end.on_key = self.end.ready_keys = self.end.on_mouse = None


@dataclass
class LiveOutside:
    """What a board that runs for real is built with (`emulators.outside.Outside`).

    Attributes:
        cables, disks_: by position.
        random: where `entropy` comes from.
        consoles: those that the user named; others are made when a board asks, and nobody looks at them.
    """

    cables: list[LiveCable]
    disk_list: list[DiskEnd]
    random: Callable[[int], bytes]
    consoles: dict[str, LiveConsole] = field(default_factory=dict)
    unused: dict[str, ConsoleEnd] = field(default_factory=dict)
    display: LiveScreen = field(default_factory=LiveScreen)

    def console(self, name: str) -> ConsoleEnd:
        """As `Outside.console`."""
        if name in self.consoles:
            return self.consoles[name].end
        return self.unused.setdefault(name, ConsoleEnd(lambda octets: None))

    def screen(self) -> ScreenEnd:
        """As `Outside.screen`."""
        return self.display.end

    def nics(self) -> int:
        """As `Outside.nics`."""
        return len(self.cables)

    def nic(self, index: int) -> NicEnd:
        """As `Outside.nic`."""
        return self.cables[index].end if index < len(self.cables) else NicEnd(lambda frame: None)

    def disks(self) -> int:
        """As `Outside.disks`."""
        return len(self.disk_list)

    def disk(self, index: int) -> DiskEnd | None:
        """As `Outside.disk`."""
        return self.disk_list[index] if index < len(self.disk_list) else None

    def entropy(self, octets: int) -> bytes:
        """As `Outside.entropy`."""
        return self.random(octets)

    def deliver(self, tell: Callable[[Input], None]) -> bool:
        """machine: everything that has come. True: some is left."""
        left = [console.deliver(tell) for console in self.consoles.values()]
        left += [cable.deliver(tell) for cable in self.cables]
        left.append(self.display.deliver(tell))
        return any(left)

    def forget(self) -> None:
        """machine: it is built anew."""
        for console in self.consoles.values():
            console.forget()
        for cable in self.cables:
            cable.forget()
        self.display.forget()
