"""The virtio network device.

Specification: VIRTIO 1.2, 5.1. Boards: malta; any with PCI.
Read first: `emulators.devices.virtio.pci`.

Features: MAC, STATUS, MTU (if the board names one), MRG_RXBUF, CTRL_VQ, CTRL_RX, CTRL_RX_EXTRA, CTRL_MAC_ADDR; CSUM,
HOST_TSO4, HOST_TSO6 and HOST_ECN (`emulators.devices.virtio.segmentation`): frames leave whole and with checksums.
Queues: 0 receives, 1 sends, 2 control.

Not supported: UDP segmentation, receive offloads (every frame arrives with a finished one), VLAN filter, several queue
pairs, announcements.

Theory: one notification sends everything that the queue holds, with one transfer for the ring, one for the descriptors
and one a buffer. Arriving frames go straight into buffers; without buffers they wait in `queue`, and only then does the
device ask to be notified about new buffers: while buffers last, refilling costs the guest no access.

| threat | stopped by |
|---|---|
| frames without an end | `LONGEST_FRAME`; longer ones are dropped and counted |
| checksum and segment headers that lie (CVE-2021-3748 and its kin) | checked against the frame, which is dropped |
| control commands of gigabytes, a million addresses | `LONGEST_COMMAND`, `MOST_ADDRESSES`: then everything passes |
| floods from the cable | `QUEUE_FRAMES`; the rest is missed and counted |
| buffers smaller than a header | broken |
"""

from collections import deque
from collections.abc import Callable
from struct import Struct
from typing import Final

from emulators.device import State
from emulators.devices.virtio.pci import F_VERSION_1, VirtioPci
from emulators.devices.virtio.queue import Broken, Chain
from emulators.devices.virtio.segmentation import GSO_ECN, GSO_TCPV4, GSO_TCPV6, finish_checksum, segments
from emulators.dma import Dma, DmaFault
from emulators.snapshot import SnapshotError, take, take_counts, take_frames

F_CSUM: Final = 1 << 0  # 5.1.3
F_MTU: Final = 1 << 3
F_MAC: Final = 1 << 5
F_HOST_TSO4: Final = 1 << 11
F_HOST_TSO6: Final = 1 << 12
F_HOST_ECN: Final = 1 << 13
F_MRG_RXBUF: Final = 1 << 15
F_STATUS: Final = 1 << 16
F_CTRL_VQ: Final = 1 << 17
F_CTRL_RX: Final = 1 << 18
F_CTRL_RX_EXTRA: Final = 1 << 20
F_CTRL_MAC_ADDR: Final = 1 << 23
OFFLOADS: Final = F_CSUM | F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_ECN
CONTROLS: Final = F_CTRL_VQ | F_CTRL_RX | F_CTRL_RX_EXTRA | F_CTRL_MAC_ADDR
FEATURES: Final = F_MAC | F_MRG_RXBUF | F_STATUS | OFFLOADS | CONTROLS

RECEIVE, SEND, CONTROL = 0, 1, 2  # 5.1.2

# 5.1.4: u8 address[6] · u16 status · u16 queue pairs · u16 mtu
_CONFIG: Final = Struct("<6sHHH")
STATUS_LINK_UP: Final = 1

# 5.1.6: u8 flags · u8 gso_type · u16 hdr_len · u16 gso_size · u16 csum_start · u16 csum_offset · u16 num_buffers
_HEADER: Final = Struct("<BBHHHHH")
HEADER_NEEDS_CSUM: Final = 1
LEGACY_HEADER: Final = 10  # without num_buffers

RX, MAC_TABLE = 0, 1  # 5.1.6.5: classes
RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST = 0, 1, 2, 3, 4, 5
MAC_TABLE_SET, MAC_ADDR_SET = 0, 1
ACK_OK, ACK_ERR = b"\0", b"\1"

LONGEST_FRAME: Final = 65550  # chosen: the largest MTU and its header
QUEUE_FRAMES: Final = 256  # chosen
QUEUE_SIZE: Final = 256  # chosen
LONGEST_COMMAND: Final = 8192  # chosen: two tables of some 680 addresses
MOST_ADDRESSES: Final = 64  # chosen; more, and all unicast or multicast passes (5.1.6.5.2 allows it)
BROADCAST: Final = b"\xff" * 6


class VirtioNet(VirtioPci):
    """One card.

    Args:
        mac: its address, 6 octets.
        out: takes the frames that are sent, without FCS.
        mtu: what the guest is told that it may send, without the Ethernet header; None: nothing.
    """

    def __init__(
        self,
        name: str,
        *,
        mac: bytes,
        dma: Dma,
        out: Callable[[bytes], None],
        mtu: int | None = None,
        transitional: bool = True,
    ) -> None:
        if len(mac) != 6:
            raise ValueError(f"an address of {len(mac)} octets")
        super().__init__(
            name,
            kind=1,
            class_code=0x020000,
            dma=dma,
            features=FEATURES | (F_MTU if mtu else 0),
            queues=(QUEUE_SIZE, QUEUE_SIZE, 64),
            transitional=transitional,
        )
        self._out = out
        self._burnt_in = mac
        self._mtu = mtu or 0
        self._link = True
        self.queue: deque[bytes] = deque()
        self.counts = {"sent": 0, "received": 0, "filtered": 0, "missed": 0, "off": 0, "oversize": 0}
        self.device_reset()

    def device_reset(self) -> None:
        """The filter lets everything through until the driver says otherwise."""
        self._mac = self._burnt_in
        self._promiscuous = True
        self._modes = [False] * 6  # by RX_…; 0 is unused
        self._tables: tuple[frozenset[bytes], frozenset[bytes]] = (frozenset(), frozenset())
        self._overflow = [False, False]
        self.queue.clear()

    # The cable

    @property
    def mac(self) -> bytes:
        """The address that the guest uses."""
        return self._mac

    def receive(self, frame: bytes) -> None:
        """A frame from the cable, without FCS."""
        if not self.running or not self._link or not self.queues[RECEIVE].enabled:
            self.counts["off"] += 1
        elif not 14 <= len(frame) <= LONGEST_FRAME:
            self.counts["oversize"] += 1
        elif not (self._promiscuous or self._passes(frame[:6])):
            self.counts["filtered"] += 1
        elif len(self.queue) >= QUEUE_FRAMES:
            self.counts["missed"] += 1
        else:
            self.queue.append(frame)
            if len(self.queue) == 1:
                self._serve()

    def ready_frames(self) -> int:
        """How many frames the queue would take now."""
        return QUEUE_FRAMES - len(self.queue)

    def set_link(self, up: bool) -> None:
        """The cable is put in or pulled out."""
        if up != self._link:
            self._link = up
            self.config_interrupt()

    def _passes(self, to: bytes) -> bool:
        modes = self._modes
        if to == BROADCAST:
            return not modes[RX_NOBCAST]
        if to[0] & 1:
            return not modes[RX_NOMULTI] and (modes[RX_ALLMULTI] or self._overflow[1] or to in self._tables[1])
        return not modes[RX_NOUNI] and (
            to == self._mac or modes[RX_ALLUNI] or self._overflow[0] or to in self._tables[0]
        )

    # Queues

    def config_space(self) -> bytes:
        """5.1.4."""
        return _CONFIG.pack(self._mac, STATUS_LINK_UP if self._link else 0, 1, self._mtu)

    def config_space_write(self, offset: int, data: bytes) -> None:
        """A legacy driver may write the address."""
        if not self.accepted(F_VERSION_1) and offset + len(data) <= 6:
            self._mac = self._mac[:offset] + data + self._mac[offset + len(data) :]
        else:
            self.mistakes += 1

    def driver_ready(self) -> None:
        """Nothing to send yet, and buffers are asked for only when they are needed."""
        self.queues[RECEIVE].want_kicks(False)

    def handle_queue(self, index: int) -> None:
        """The driver has something for us."""
        if index == SEND:
            self._transmit()
        elif index == RECEIVE:
            self._serve()
        else:
            self._control()

    @property
    def _header_octets(self) -> int:
        return _HEADER.size if self.accepted(F_VERSION_1 | F_MRG_RXBUF) else LEGACY_HEADER

    def _transmit(self) -> None:
        queue = self.queues[SEND]
        header_octets = self._header_octets
        for chain in queue.take_all():
            octets = chain.read(header_octets + LONGEST_FRAME + 1)
            queue.use(chain, 0)
            if len(octets) < header_octets:
                raise Broken(f"{len(octets)} octets are no header")
            frame = octets[header_octets:]
            frames = self._prepare(octets, frame) if octets[0] | octets[1] else [frame]
            if not 14 <= len(frame) <= LONGEST_FRAME or frames is None:
                self.mistakes += 1
            elif self._link:
                self.counts["sent"] += len(frames)
                for one in frames:
                    self._out(one)
            else:
                self.counts["off"] += 1
        queue.want_kicks(True)
        if queue.flush():
            self.queue_interrupt()

    def _prepare(self, header: bytes, frame: bytes) -> list[bytes] | None:
        """What the guest left to the device: checksums and segments. None: it asks for what it must not."""
        flags, kind, _, size, start, offset, _ = _HEADER.unpack(header[: _HEADER.size].ljust(_HEADER.size, b"\0"))
        match kind & ~GSO_ECN:
            case 0 if flags & HEADER_NEEDS_CSUM and self.accepted(F_CSUM):
                summed = finish_checksum(frame, start, offset)
                return None if summed is None else [summed]
            case 0:
                return None if flags & HEADER_NEEDS_CSUM else [frame]
            case 1 if self.accepted(F_HOST_TSO4):
                return segments(frame, GSO_TCPV4, size)
            case 4 if self.accepted(F_HOST_TSO6):
                return segments(frame, GSO_TCPV6, size)
            case _:
                return None

    def _serve(self) -> None:
        """Put waiting frames into buffers."""
        queue = self.queues[RECEIVE]
        if not self.queue:
            return
        try:
            while self.queue and self._fill(self.queue[0]):
                self.queue.popleft()
            queue.want_kicks(bool(self.queue))
            if queue.flush():
                self.queue_interrupt()
        except (Broken, DmaFault):
            self.queue.clear()
            self.needs_reset()

    def _fill(self, frame: bytes) -> bool:
        """False: there are not enough buffers."""
        queue = self.queues[RECEIVE]
        header_octets = self._header_octets
        need = header_octets + len(frame)
        chains = queue.take()
        if not chains:
            return False
        room = chains[0].writable_octets
        if room < header_octets:
            raise Broken(f"a receive buffer of {room} octets")
        if room < need:
            if not self.accepted(F_MRG_RXBUF):
                queue.use(chains[0], 0)
                self.counts["oversize"] += 1
                return True
            while room < need:
                more = queue.take()
                if not more or len(chains) >= queue.size:
                    queue.give_back(len(chains) + len(more))
                    return False
                chains += more
                room += more[0].writable_octets
        header = _HEADER.pack(0, 0, 0, 0, 0, 0, len(chains))[:header_octets]
        data = header + frame
        done = 0
        for chain in chains:
            written = chain.write(data[done:] if done else data)
            queue.use(chain, written)
            done += written
        self.counts["received"] += 1
        return True

    # Control

    def _control(self) -> None:
        queue = self.queues[CONTROL]
        for chain in queue.take_all():
            queue.use(chain, self._command(chain))
        queue.want_kicks(True)
        if queue.flush():
            self.queue_interrupt()

    def _command(self, chain: Chain) -> int:
        octets = chain.read(LONGEST_COMMAND)
        if not chain.writable_octets:
            raise Broken("a control command without room for its answer")
        done = self._obey(octets[0], octets[1], octets[2:]) if len(octets) > 2 else False
        if not done:
            self.mistakes += 1
        return chain.write(ACK_OK if done else ACK_ERR, chain.writable_octets - 1)

    def _obey(self, group: int, command: int, data: bytes) -> bool:
        match group, command:
            case 0, 0:
                self._promiscuous = bool(data[0])
            case 0, int(mode) if mode <= RX_NOBCAST:
                self._modes[mode] = bool(data[0])
            case 1, 0:
                return self._set_tables(data)
            case 1, 1 if len(data) == 6:
                self._mac = data
            case _:
                return False
        return True

    def _set_tables(self, data: bytes) -> bool:
        tables, overflow, at = [], [], 0
        for _ in range(2):
            count = int.from_bytes(data[at : at + 4], "little")
            at += 4
            overflow.append(count > MOST_ADDRESSES)
            end = at + 6 * count
            if end > len(data) and len(data) + 2 < LONGEST_COMMAND:
                return False
            tables.append(frozenset(data[i : i + 6] for i in range(at, at + 6 * min(count, MOST_ADDRESSES), 6)))
            at = end
        self._tables, self._overflow = (tables[0], tables[1]), overflow
        return True

    # State

    def state(self) -> State:
        """All of it."""
        return {
            **super().state(),
            "mac": self._mac,
            "filter": [self._promiscuous, *self._modes, *self._overflow],
            "tables": [sorted(table) for table in self._tables],
            "link": self._link,
            "queue": list(self.queue),
            "counts": dict(self.counts),
        }

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        mac, modes = take(state, "mac", bytes), take(state, "filter", list)
        tables, link = take(state, "tables", list), take(state, "link", bool)
        queue = take_frames(state, "queue", QUEUE_FRAMES, LONGEST_FRAME)
        counts = take_counts(state, self.counts)
        if (
            len(mac) != 6
            or [type(mode) for mode in modes] != [bool] * 9
            or len(tables) != 2
            or not all(type(table) is list and len(table) <= MOST_ADDRESSES for table in tables)
            or not all(type(address) is bytes and len(address) == 6 for table in tables for address in table)
        ):
            raise SnapshotError(f"snapshot: {self.name}: its address or filter")
        super().from_state(state)
        self._mac, self._promiscuous, self._modes, self._overflow = mac, modes[0], modes[1:7], modes[7:]
        self._tables = (frozenset(tables[0]), frozenset(tables[1]))
        self._link, self.queue, self.counts = link, queue, counts
