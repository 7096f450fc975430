"""Non-volatile memory behind a mac-io chip: 8 KiB, an octet every 16 addresses.

Reference: Linux arch/powerpc/platforms/powermac/nvram.c (the indirect and the direct layout); "CHRP I/O reference",
section "NVRAM partitions", for what is in it. Boards: mac.

Emulated: reading and writing octets. What the board puts in at the start is the board's.

Not emulated: keeping it from one start of the machine to the next (a snapshot does).

| threat | stopped by |
|---|---|
| accesses between the octets | all ones, counted |
"""

from typing import Final

from emulators.device import State
from emulators.devices.eight_bit import EightBit
from emulators.snapshot import SnapshotError, take, take_int, take_version

OCTETS: Final = 0x2000
SHIFT: Final = 4

PARTITION_HEADER: Final = 16
SYSTEM, FREE = 0x70, 0x7F
"""Signatures of CHRP partitions (IEEE 1275 CHRP binding, table 5)."""


def partition(signature: int, name: bytes, octets: int) -> bytes:
    """A CHRP NVRAM partition: signature 1, checksum 1, length in 16 octets 2 (big-endian), name 12, then its data."""
    head = bytearray((signature, 0)) + (octets // 16).to_bytes(2, "big") + name.ljust(12, b"\0")
    total = head[0] + sum(head[2:])
    while total > 0xFF:  # the checksum folds carries in
        total = (total & 0xFF) + (total >> 8)
    head[1] = total
    return bytes(head) + bytes(octets - PARTITION_HEADER)


def formatted(variables: bytes = b"") -> bytes:
    """The whole memory: Open Firmware's variables (`name=value`, each ending in 0), and free space."""
    system = bytearray(partition(SYSTEM, b"common", 0x1000))
    system[PARTITION_HEADER : PARTITION_HEADER + len(variables)] = variables
    return bytes(system) + partition(FREE, b"\x77" * 12, OCTETS - 0x1000)


class Nvram(EightBit):
    """The memory.

    Args:
        contents: what is in it at the start.
    """

    timed = False

    def __init__(self, contents: bytes = b"") -> None:
        self.contents = bytearray(contents[:OCTETS].ljust(OCTETS, b"\0"))
        self.mistakes = 0

    def read_octet(self, offset: int) -> int:
        """As `EightBit.read_octet`."""
        if offset & (1 << SHIFT) - 1 or offset >> SHIFT >= OCTETS:
            self.mistakes += 1
            return 0xFF
        return self.contents[offset >> SHIFT]

    def write_octet(self, offset: int, value: int) -> None:
        """As `EightBit.write_octet`."""
        if offset & (1 << SHIFT) - 1 or offset >> SHIFT >= OCTETS:
            self.mistakes += 1
            return
        self.contents[offset >> SHIFT] = value

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`."""
        return {"version": 1, "contents": bytes(self.contents), "mistakes": self.mistakes}

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        contents = take(state, "contents", bytes)
        if len(contents) != OCTETS:
            raise SnapshotError(f"snapshot: nvram: {len(contents)} octets")
        self.mistakes = take_int(state, "mistakes", 1 << 62)
        self.contents = bytearray(contents)
