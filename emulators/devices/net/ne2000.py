"""NE2000: a DP8390 with a PROM, packet memory and a data port, on the ISA bus or (RTL8029AS) on PCI.

Specification: National Semiconductor AN-729 "DP839EB-ATN IEEE 802.3 Ethernet" (the board that the NE2000 follows);
Realtek RTL8029AS datasheet. Boards: pc (ISA and PCI), malta (PCI). The chip is `emulators.devices.net.dp8390`: its
registers, what of them is not emulated, and the threats are there.

| port | |
|---|---|
| 0x00–0x0F | the chip's registers, eight bits each |
| 0x10–0x17 | data port: 8, 16 or 32 bits |
| 0x18–0x1F | reset: a read or a write resets the chip |

What the chip sees: the PROM at 0x0000 (16 octets, each twice: address, then 0x57 where the last two are, which is how
drivers know a card with 16 bits) and 32 KiB of packet memory at 0x4000; real cards have 16 KiB or 32.

Not emulated: the EEPROM that some clones keep their settings in, ISA Plug and Play, boot ROM.

| threat | stopped by |
|---|---|
| accesses that straddle registers and data port | octets one by one, each bounded |
| string instructions of any count | as many octets as RBCR says; beyond it ones, and counted |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import Irq, State, Timeline
from emulators.devices.net.dp8390 import Dp8390
from emulators.devices.net.packet_memory import PacketMemory
from emulators.devices.pci.config import PciFunction
from emulators.snapshot import take, take_version

PORTS: Final = 32
DATA, RESET = 0x10, 0x18
MEMORY, MEMORY_OCTETS = 0x4000, 32 << 10
MARK: Final = 0x57  # AN-729: "W" says 16 bits


def prom(mac: bytes) -> bytes:
    """The address PROM as the chip sees it."""
    if len(mac) != 6:
        raise ValueError(f"an address of {len(mac)} octets")
    octets = mac + bytes(8) + bytes((MARK, MARK))
    return bytes(octet for octet in octets for _ in range(2))


class Ne2000:
    """One card on the ISA bus: 32 ports.

    Args:
        mac: its address, 6 octets.
        irq: its interrupt line.
        out: takes the frames that are sent, without FCS.
        realtek: the chip is an RTL8029AS.
        warp: lets time pass for drivers that poll (`emulators.devices.net.polling`).
    """

    def __init__(
        self,
        *,
        mac: bytes,
        irq: Irq,
        out: Callable[[bytes], None],
        timeline: Timeline,
        realtek: bool = False,
        warp: Callable[[int], None] = lambda ns: None,
    ) -> None:
        memory = PacketMemory(MEMORY, MEMORY_OCTETS, prom(mac))
        self.mac = mac
        self.chip = Dp8390(memory=memory, irq=irq, out=out, timeline=timeline, realtek=realtek, warp=warp)
        self.receive, self.set_link, self.ready_frames = self.chip.receive, self.chip.set_link, self.chip.ready_frames

    @property
    def mistakes(self) -> int:
        """What the guest did wrong."""
        return self.chip.mistakes

    @property
    def counts(self) -> dict[str, int]:
        """Frames by what became of them."""
        return self.chip.counts

    def read(self, offset: int, size: int) -> int:
        """One access to the 32 ports."""
        if offset == DATA:
            return self.chip.read_data(size)
        if size == 1:
            return self._read_octet(offset)
        return sum(self._read_octet(offset + lane) << 8 * lane for lane in range(size))

    def write(self, offset: int, size: int, value: int) -> None:
        """One access to the 32 ports."""
        if offset == DATA:
            self.chip.write_data(size, value)
        elif size == 1:
            self._write_octet(offset, value)
        else:
            for lane in range(size):
                self._write_octet(offset + lane, value >> 8 * lane & 0xFF)

    def read_string(self, offset: int, size: int, count: int) -> bytes:
        """`count` accesses of `size` octets to one port (REP INS), as the octets that they give."""
        if offset == DATA:
            return self.chip.read_string(size, count)
        return b"".join(self.read(offset, size).to_bytes(size, "little") for _ in range(count))

    def write_string(self, offset: int, size: int, data: bytes) -> None:
        """Accesses of `size` octets to one port (REP OUTS)."""
        if offset == DATA:
            self.chip.write_string(size, data)
        else:
            for at in range(0, len(data), size):
                self.write(offset, size, int.from_bytes(data[at : at + size], "little"))

    def _read_octet(self, offset: int) -> int:
        if offset < DATA:
            return self.chip.read_octet(offset)
        if offset < RESET:
            return self.chip.read_data(1)
        if offset < PORTS:
            self.chip.reset()
        return 0xFF

    def _write_octet(self, offset: int, value: int) -> None:
        if offset < DATA:
            self.chip.write_octet(offset, value)
        elif offset < RESET:
            self.chip.write_data(1, value)
        elif offset < PORTS:
            self.chip.reset()

    def next_deadline(self) -> int | None:
        """The chip's."""
        return self.chip.next_deadline()

    def handle_timer(self, now_ns: int) -> None:
        """The chip's."""
        self.chip.handle_timer(now_ns)

    def reset(self) -> None:
        """RESET DRV."""
        self.chip.reset()

    def state(self) -> State:
        """All of it."""
        return self.chip.state()

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        self.chip.from_state(state)


class Ne2000Pci(PciFunction):
    """One card on PCI: Realtek's RTL8029AS.

    Args:
        mac, out, timeline, warp: as for `Ne2000`.
    """

    timed = True

    def __init__(
        self,
        name: str,
        *,
        mac: bytes,
        out: Callable[[bytes], None],
        timeline: Timeline,
        warp: Callable[[int], None] = lambda ns: None,
    ) -> None:
        super().__init__(name, vendor=0x10EC, device=0x8029, class_code=0x020000, pin=1)
        self.card = Ne2000(mac=mac, irq=self.set_interrupt, out=out, timeline=timeline, realtek=True, warp=warp)
        self.mac = mac
        self.add_bar(0, PORTS, self.card, io=True)
        self.receive, self.set_link, self.ready_frames = self.card.receive, self.card.set_link, self.card.ready_frames

    @property
    def counts(self) -> dict[str, int]:
        """Frames by what became of them."""
        return self.card.counts

    def next_deadline(self) -> int | None:
        """The chip's."""
        return self.card.chip.next_deadline()

    def handle_timer(self, now_ns: int) -> None:
        """The chip's."""
        self.card.chip.handle_timer(now_ns)

    def reset(self) -> None:
        """RST#."""
        super().reset()
        self.card.reset()

    def state(self) -> State:
        """All of it."""
        return {"version": 1, "function": super().state(), "card": self.card.state()}

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        take_version(state, 1)
        card = take(state, "card", dict)
        super().from_state(take(state, "function", dict))
        self.card.from_state(card)
