"""CUDA: the microcontroller that has a Macintosh's clock, desktop bus, power switch and parameter memory.

References: Linux drivers/macintosh/via-cuda.c and include/uapi/linux/cuda.h (signals and packets); Apple, "Macintosh
Technology in the Common Hardware Reference Platform" (1995), chapter 11. Boards: mac.

Theory. The host talks to it through a 6522 (`emulators.devices.macio.via6522`), an octet at a time through its shift
register, with three signals of port B, all active low: TIP (the host: a packet is under way), TACK (the host: toggled
for each octet), TREQ (CUDA: it has something to say). Whenever the host has changed TIP or TACK, CUDA does its part
`SHIFT_NS` later and raises the shift register's flag:

| the host | CUDA |
|---|---|
| TIP falls or TACK turns, shifting out | takes the octet |
| TIP falls or TACK turns, shifting in | gives the next octet; with the last one, TREQ rises |
| TIP rises after octets went out | carries the packet out; TREQ falls if there is an answer |
| TIP rises after octets came in | is idle; TREQ falls if there is another packet |
| TACK turns while TIP is high | synchronisation: TREQ follows TACK |

A packet is a type (0 desktop bus, 1 CUDA, 2 error), then a command and its data. The clock counts seconds since 1904.

Emulated: desktop bus packets, autopolling (`POLL_NS`, rate and device list can be set), GetTime and SetTime, power
down, reset, reading and writing parameter memory (256 octets, also as 6805 addresses), one-second mode (accepted, no
packets come), and, answered with nothing more than that they were understood: warm start, file server flag, power
messages, DFAC, power-up time, wake-up. I²C accesses are answered with an error, as with no chip at the address.

Not emulated: the time of single bits, power messages, collisions of both sides' packets (CUDA waits).

| threat | stopped by |
|---|---|
| a packet without end | `PACKET_OCTETS`; the rest is taken and dropped, counted |
| commands of no known kind, too short ones | an error packet |
| events that nobody fetches | the desktop bus' own limits; one answer and one polled packet wait |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import Irq, State, Timeline
from emulators.devices.input.adb import AdbBus, AdbDevice
from emulators.devices.macio.via6522 import ACR_SHIFT_OUT, Via6522
from emulators.snapshot import SnapshotError, take, take_int, take_version

TREQ, TACK, TIP = 0x08, 0x10, 0x20
"""Bits of port B (via-cuda.c)."""

# Packet types, and commands of type 1: include/uapi/linux/adb.h and cuda.h
ADB, CUDA, ERROR = 0, 1, 2
WARM_START, AUTOPOLL, GET_6805, GET_TIME, GET_PRAM, SET_6805, SET_TIME = 0x00, 0x01, 0x02, 0x03, 0x07, 0x08, 0x09
POWER_DOWN, POWER_UP_TIME, SET_PRAM, MS_RESET, SEND_DFAC, RESET_SYSTEM = 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x11
SET_IPL, FILE_SERVER_FLAG, SET_AUTO_RATE, GET_AUTO_RATE, SET_DEVICE_LIST, GET_DEVICE_LIST = (
    0x12,
    0x13,
    0x14,
    0x16,
    0x19,
    0x1A,
)
ONE_SECOND_MODE, POWER_MESSAGES, IIC, WAKE_UP, TIMER_TICKLE, COMBINED_IIC = 0x1B, 0x21, 0x22, 0x23, 0x24, 0x25
UNDERSTOOD: Final = frozenset(
    {WARM_START, POWER_UP_TIME, SEND_DFAC, SET_IPL, FILE_SERVER_FLAG, ONE_SECOND_MODE, POWER_MESSAGES, WAKE_UP}
    | {TIMER_TICKLE}
)
BAD_COMMAND, BAD_PARAMETERS, IIC_FAILED = 0x02, 0x05, 0x05
"""Second octets of error packets."""
STATUS_POLLED, STATUS_NOBODY = 0x40, 0x02
"""Second octets of desktop bus packets (via-cuda.c: "the 0x2 bit indicates no response")."""

SECONDS_1904: Final = 2_082_844_800
"""From 1904 to 1970."""
NS_PER_S: Final = 1_000_000_000
SHIFT_NS: Final = 60_000
"""Eight bits through the shift register. Chosen, near what the chip needs."""
POLL_NS: Final = 11_000_000
"""Between two polls of the desktop bus (chapter 11: 11 ms unless set)."""
PACKET_OCTETS: Final = 128
PRAM_OCTETS: Final = 256
PRAM_6805: Final = 0x0100
"""Where parameter memory is among the 6805's addresses."""


class Cuda:
    """The microcontroller and the 6522 before it; offsets are the 6522's registers.

    Args:
        irq: the 6522's line.
        timeline: the machine's time.
        start_s: what the clock shows at the start, in seconds since 1970.
        devices: on the desktop bus.
        power_off, reset: what those commands do.
        warp: as `emulators.machine.Events.warp`.
    """

    def __init__(
        self,
        *,
        irq: Irq,
        timeline: Timeline,
        start_s: int,
        devices: tuple[AdbDevice, ...],
        power_off: Callable[[], None],
        reset: Callable[[], None],
        warp: Callable[[int], None] = lambda until_ns: None,
    ) -> None:
        self._timeline = timeline
        self._power_off = power_off
        self._reset = reset
        # firmware that knows CUDA leaves DDRB alone
        self.via = Via6522(irq=irq, timeline=timeline, outputs_b=TIP | TACK, warp=warp)
        self.via.port_b_written = self._signals_changed
        self.bus = AdbBus(devices)
        self._offset_s = start_s + SECONDS_1904
        self.pram = bytearray(PRAM_OCTETS)
        self._signals = TIP | TACK
        self._heard = bytearray()
        self._said = b""
        self._polled = b""
        self._at = 0
        self._reading = False
        self._autopoll = False
        self._poll_ns: int | None = None
        self._rate_ns = POLL_NS
        self._list = 0xFFFF
        self.mistakes = 0

    # -- the host's registers

    def read(self, offset: int, size: int) -> int:
        """As `Device.read`."""
        return self.via.read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        """As `Device.write`."""
        self.via.write(offset, size, value)

    # -- the signals

    def _request(self, on: bool) -> None:
        self.via.inputs_b = self.via.inputs_b & ~TREQ | (0 if on else TREQ)

    def _shift(self) -> None:
        self.via.expected_ns = self._timeline.now_ns + SHIFT_NS

    def _signals_changed(self) -> None:
        before, self._signals = self._signals, self.via.port_b & (TIP | TACK)
        changed = before ^ self._signals
        if not changed:
            return
        if not self._signals & TIP:
            if self.via.control & ACR_SHIFT_OUT:
                self._take(self.via.shift)
            else:
                self._give()
        elif not before & TIP:
            self._ended()
        else:
            self._request(not self._signals & TACK)
            self._shift()

    def _take(self, octet: int) -> None:
        if len(self._heard) < PACKET_OCTETS:
            self._heard.append(octet)
        else:
            self.mistakes += 1
        self._shift()

    def _give(self) -> None:
        self._reading = True
        if self._at < len(self._said):
            self.via.shift = self._said[self._at]
            self._at += 1
            if self._at >= len(self._said):
                self._said, self._at = b"", 0
                self._request(False)
        else:
            self.mistakes += 1
            self.via.shift = 0
        self._shift()

    def _ended(self) -> None:
        """TIP has risen: a packet is over, in one direction or the other."""
        self._reading = False
        if self._heard:
            packet = bytes(self._heard)
            self._heard.clear()
            self._said, self._at = self._answer(packet), 0
        self._offer()
        self._shift()

    def _offer(self) -> None:
        if not self._said and self._polled:
            self._said, self._polled, self._at = self._polled, b"", 0
        self._request(bool(self._said))

    # -- packets

    def _answer(self, packet: bytes) -> bytes:
        kind, body = packet[0], packet[1:]
        if kind == ADB and body:
            return self._adb(body)
        if kind == CUDA and body:
            answer = self._command(body[0], body[1:])
            if isinstance(answer, bytes):
                return bytes((CUDA, 0, body[0])) + answer
            self.mistakes += 1
            return bytes((ERROR, answer, CUDA, body[0]))
        self.mistakes += 1
        return bytes((ERROR, BAD_COMMAND, kind, body[0] if body else 0))

    def _adb(self, body: bytes) -> bytes:
        answer = self.bus.command(body[0], body[1:])
        if answer is None:
            return bytes((ADB, STATUS_NOBODY, body[0]))
        return bytes((ADB, 0, body[0])) + answer

    def _command(self, command: int, data: bytes) -> bytes | int:
        """What a command of type 1 answers; a number: the error."""
        now_s = self._timeline.now_ns // NS_PER_S
        match command:
            case 0x01 if len(data) == 1:
                self._autopoll = data[0] != 0
                self._poll_ns = self._timeline.now_ns + self._rate_ns if self._autopoll else None
                return b""
            case 0x03 if not data:
                return (self._offset_s + now_s & 0xFFFFFFFF).to_bytes(4, "big")
            case 0x09 if len(data) == 4:
                self._offset_s = int.from_bytes(data, "big") - now_s & 0xFFFFFFFF
                return b""
            case 0x02 | 0x07 if len(data) == 2:
                return self._pram(command, data, None)
            case 0x08 | 0x0C if len(data) >= 3:
                return self._pram(command, data, data[2:])
            case 0x0A:
                self._power_off()
                return b""
            case 0x11 | 0x0D:
                self._reset()
                return b""
            case 0x14 if len(data) == 1 and data[0]:
                self._rate_ns = data[0] * 1_000_000
                return b""
            case 0x16:
                return bytes((self._rate_ns // 1_000_000,))
            case 0x19 if len(data) == 2:
                self._list = int.from_bytes(data, "big")
                return b""
            case 0x1A:
                return self._list.to_bytes(2, "big")
            case 0x22 | 0x25:
                return IIC_FAILED
            case _ if command in UNDERSTOOD:
                return b""
            case 0x01 | 0x02 | 0x03 | 0x07 | 0x08 | 0x09 | 0x0C | 0x14 | 0x19:
                return BAD_PARAMETERS
            case _:
                return BAD_COMMAND

    def _pram(self, command: int, data: bytes, new: bytes | None) -> bytes | int:
        at = int.from_bytes(data[:2], "big") - (PRAM_6805 if command in (GET_6805, SET_6805) else 0)
        if not 0 <= at < PRAM_OCTETS:
            return BAD_PARAMETERS
        if new is None:
            return bytes(self.pram[at : at + PACKET_OCTETS])
        room = new[: PRAM_OCTETS - at]
        self.pram[at : at + len(room)] = room
        return b""

    # -- time

    def next_deadline(self) -> int | None:
        """An octet is through, a timer has run out, or the desktop bus is to be polled."""
        soon = [ns for ns in (self.via.expected_ns, self.via.next_deadline(), self._poll_ns) if ns is not None]
        return min(soon) if soon else None

    def handle_timer(self, now_ns: int) -> None:
        """As `Device.handle_timer`."""
        if self.via.expected_ns is not None and self.via.expected_ns <= now_ns:
            self.via.shifted()
        self.via.handle_timer(now_ns)
        if self._poll_ns is not None and self._poll_ns <= now_ns:
            self._poll_ns = now_ns + self._rate_ns
            self._poll()

    def _poll(self) -> None:
        idle = self._signals & TIP and not self._heard and not self._said and self.via.expected_ns is None
        if not idle or self._polled:
            return
        found = self.bus.poll(self._list)
        if found is not None:
            code, data = found
            self._polled = bytes((ADB, STATUS_POLLED, code)) + data
            self._offer()
            self._shift()

    # -- state

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "via": self.via.state(),
            "bus": self.bus.state(),
            "offset": self._offset_s,
            "pram": bytes(self.pram),
            "signals": self._signals,
            "heard": bytes(self._heard),
            "said": self._said,
            "polled": self._polled,
            "at": self._at,
            "reading": self._reading,
            "autopoll": self._autopoll,
            "poll": self._poll_ns,
            "rate": self._rate_ns,
            "list": self._list,
            "mistakes": self.mistakes,
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        pram, heard, said, polled = (take(state, name, bytes) for name in ("pram", "heard", "said", "polled"))
        if len(pram) != PRAM_OCTETS or max(len(heard), len(said), len(polled)) > PACKET_OCTETS + 3:
            raise SnapshotError("snapshot: cuda: packets that cannot be")
        self.via.from_state(take(state, "via", dict))
        self.bus.from_state(take(state, "bus", dict))
        self._offset_s = take_int(state, "offset", 1 << 34)
        self.pram, self._heard, self._said, self._polled = bytearray(pram), bytearray(heard), said, polled
        self._signals = take_int(state, "signals", 0xFF) & (TIP | TACK)
        self._at = take_int(state, "at", len(said))
        self._reading, self._autopoll = take(state, "reading", bool), take(state, "autopoll", bool)
        self._poll_ns = None if state.get("poll") is None else take_int(state, "poll", 1 << 63)
        self._rate_ns = take_int(state, "rate", NS_PER_S)
        self._list = take_int(state, "list", 0xFFFF)
        self.mistakes = take_int(state, "mistakes", 1 << 62)
