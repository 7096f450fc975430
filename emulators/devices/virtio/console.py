"""The virtio console device: one port, or several with names.

Specification: VIRTIO 1.2, 5.3. Boards: malta; any with PCI.
Read first: `emulators.devices.virtio.pci`.

Features: SIZE, EMERG_WRITE; with more than one port MULTIPORT. Queues: 0 and 1 are port 0's (receive, transmit), with
MULTIPORT 2 and 3 control, 4 and 5 port 1's, and so on. Port 0 is a console; the others are named ports, which a Linux
guest has as /dev/virtio-ports/NAME.

Not supported: hot-plugging of ports.

Theory: a port's input waits in `pending` until the guest offers buffers; with MULTIPORT also until the guest opened the
port. What a guest writes goes out at once.

| threat | stopped by |
|---|---|
| input without end, a guest that does not read | `PENDING_OCTETS` a port; the rest is dropped and counted |
| requests of gigabytes | `LONGEST_WRITE`: beyond, octets are dropped |
| control messages about ports that do not exist | counted |
| control messages that nobody takes | `PENDING_MESSAGES` |
"""

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final

from emulators.device import State
from emulators.devices.virtio.pci import VirtioPci
from emulators.devices.virtio.queue import Broken
from emulators.dma import Dma, DmaFault
from emulators.snapshot import SnapshotError, take, take_int

F_SIZE: Final = 1 << 0  # 5.3.3
F_MULTIPORT: Final = 1 << 1
F_EMERG_WRITE: Final = 1 << 2

CONTROL_RECEIVE, CONTROL_SEND = 2, 3  # 5.3.2
# 5.3.4: u16 cols · u16 rows · u32 max_nr_ports · u32 emerg_wr
_CONFIG: Final = Struct("<HHII")
EMERGENCY_AT: Final = 8
# 5.3.6.2: u32 port · u16 event · u16 value
_MESSAGE: Final = Struct("<IHH")
DEVICE_READY, DEVICE_ADD, DEVICE_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME = range(8)

QUEUE_SIZE: Final = 64  # chosen
PENDING_OCTETS: Final = 65536  # chosen
PENDING_MESSAGES: Final = 256  # chosen
LONGEST_WRITE: Final = 65536  # chosen
MOST_PORTS: Final = 16  # chosen


class VirtioConsole(VirtioPci):
    """One device.

    Args:
        outs: takes what the guest writes, by port; port 0 is the console.
        names: of the ports behind port 0.
    """

    def __init__(
        self,
        name: str,
        *,
        outs: Sequence[Callable[[bytes], None]],
        dma: Dma,
        names: Sequence[str] = (),
        transitional: bool = True,
    ) -> None:
        if not 1 <= len(outs) <= MOST_PORTS or len(names) != len(outs) - 1:
            raise ValueError(f"{len(outs)} ports with {len(names)} names")
        self._multiport = len(outs) > 1
        pairs = len(outs) + 1 if self._multiport else 1
        super().__init__(
            name,
            kind=3,
            class_code=0x078000,
            dma=dma,
            features=F_SIZE | F_EMERG_WRITE | (F_MULTIPORT if self._multiport else 0),
            queues=(QUEUE_SIZE,) * 2 * pairs,
            transitional=transitional,
        )
        self._outs = list(outs)
        self._names = ["", *names]
        self._size = (80, 24)
        self.dropped_octets = 0
        self.pending = [b""] * len(outs)
        self.device_reset()

    def device_reset(self) -> None:
        """Nothing is open."""
        self.pending = [b""] * len(self._outs)
        self._open = [False] * len(self._outs)
        self._messages: list[bytes] = []

    # The outside

    def receive(self, octets: bytes, port: int = 0) -> None:
        """Octets for the guest."""
        room = PENDING_OCTETS - len(self.pending[port])
        self.dropped_octets += max(0, len(octets) - room)
        self.pending[port] += octets[:room]
        self._serve(port)

    def ready_octets(self, port: int = 0) -> int:
        """How many octets the port would take now."""
        return PENDING_OCTETS - len(self.pending[port])

    def set_size(self, columns: int, rows: int) -> None:
        """The console's window changed."""
        self._size = (columns & 0xFFFF, rows & 0xFFFF)
        if self.accepted(F_MULTIPORT) and self._open[0]:
            self._say(0, RESIZE, 0, Struct("<HH").pack(rows & 0xFFFF, columns & 0xFFFF))
            self._serve_control()
        else:
            self.config_interrupt()

    # Queues

    def config_space(self) -> bytes:
        """5.3.4."""
        return _CONFIG.pack(*self._size, len(self._outs), 0)

    def config_space_write(self, offset: int, data: bytes) -> None:
        """An octet for the console, without any queue."""
        if offset == EMERGENCY_AT:
            self._outs[0](data[:1])
        else:
            self.mistakes += 1

    def handle_queue(self, index: int) -> None:
        """The driver has something for us."""
        if index == CONTROL_RECEIVE:
            self._serve_control()
        elif index == CONTROL_SEND:
            self._control()
        else:
            port = 0 if index < 2 else index // 2 - 1
            if index & 1:
                self._transmit(index, port)
            else:
                self._serve(port)

    def _transmit(self, index: int, port: int) -> None:
        queue = self.queues[index]
        for chain in queue.take_all():
            self._outs[port](chain.read(LONGEST_WRITE))
            queue.use(chain, 0)
        queue.want_kicks(True)
        if queue.flush():
            self.queue_interrupt()

    def _serve(self, port: int) -> None:
        """Give a port's input to the guest, as far as it has room."""
        queue = self.queues[0 if port == 0 else 2 * port + 2]
        if not self.running or not queue.enabled or (self.accepted(F_MULTIPORT) and not self._open[port]):
            return
        try:
            while self.pending[port]:
                chains = queue.take()
                if not chains:
                    break
                written = chains[0].write(self.pending[port][:LONGEST_WRITE])
                queue.use(chains[0], written)
                self.pending[port] = self.pending[port][written:]
                if not written:
                    raise Broken("a receive buffer without room")
            queue.want_kicks(True)
            if queue.flush():
                self.queue_interrupt()
        except (Broken, DmaFault):
            self.needs_reset()

    def _control(self) -> None:
        queue = self.queues[CONTROL_SEND]
        for chain in queue.take_all():
            octets = chain.read(_MESSAGE.size)
            queue.use(chain, 0)
            if len(octets) < _MESSAGE.size:
                raise Broken(f"a control message of {len(octets)} octets")
            self._hear(*_MESSAGE.unpack(octets))
        queue.want_kicks(True)
        if queue.flush():
            self.queue_interrupt()
        self._serve_control()

    def _hear(self, port: int, event: int, value: int) -> None:
        if event == DEVICE_READY and value:
            for number in range(len(self._outs)):
                self._say(number, DEVICE_ADD, 1)
        elif port >= len(self._outs):
            self.mistakes += 1
        elif event == PORT_READY and value:
            if port == 0:
                self._say(0, CONSOLE_PORT, 1)
                self._say(0, RESIZE, 0, Struct("<HH").pack(self._size[1], self._size[0]))
            else:
                self._say(port, PORT_NAME, 1, self._names[port].encode())
            self._say(port, PORT_OPEN, 1)
        elif event == PORT_OPEN:
            self._open[port] = bool(value)
            self._serve(port)

    def _say(self, port: int, event: int, value: int, more: bytes = b"") -> None:
        if len(self._messages) < PENDING_MESSAGES:
            self._messages.append(_MESSAGE.pack(port, event, value) + more)
        else:
            self.mistakes += 1

    def _serve_control(self) -> None:
        queue = self.queues[CONTROL_RECEIVE]
        if not self.running or not queue.enabled:
            return
        try:
            while self._messages:
                chains = queue.take()
                if not chains:
                    break
                queue.use(chains[0], chains[0].write(self._messages.pop(0)))
            queue.want_kicks(True)
            if queue.flush():
                self.queue_interrupt()
        except (Broken, DmaFault):
            self.needs_reset()

    # State

    def state(self) -> State:
        """All of it."""
        return {
            **super().state(),
            "size": list(self._size),
            "pending": list(self.pending),
            "open": list(self._open),
            "messages": list(self._messages),
            "dropped": self.dropped_octets,
        }

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        size = [take_int({"size": one}, "size", 0xFFFF) for one in take(state, "size", list)]
        pending, opened = take(state, "pending", list), take(state, "open", list)
        messages = take(state, "messages", list)
        ports = len(self._outs)
        if (
            len(size) != 2
            or [type(flag) for flag in opened] != [bool] * ports
            or len(pending) != ports
            or not all(type(octets) is bytes and len(octets) <= PENDING_OCTETS for octets in pending)
            or len(messages) > PENDING_MESSAGES
            or not all(type(octets) is bytes and len(octets) <= 1024 for octets in messages)
        ):
            raise SnapshotError(f"snapshot: {self.name}: its ports")
        dropped = take_int(state, "dropped", 1 << 62)
        super().from_state(state)
        self._size, self.pending, self._open = (size[0], size[1]), pending, opened
        self._messages, self.dropped_octets = messages, dropped
