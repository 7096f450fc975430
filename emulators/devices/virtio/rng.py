"""The virtio entropy device.

Specification: VIRTIO 1.2, 5.4; FIPS 202 (SHAKE256). Boards: malta; any with PCI.
Read first: `emulators.devices.virtio.pci`.

No features, one queue.

Theory: the outside gives a seed once, when the machine is built; every answer is SHAKE256 of the seed, whose first
octets become the next seed. So a machine that is saved and restored goes on to the same octets as one that was not,
and what was answered before cannot be computed from a snapshot. (Two machines restored from one snapshot do get the
same octets: a guest that must not, has to be told.)

| threat | stopped by |
|---|---|
| requests of gigabytes | `LONGEST_ANSWER` octets each; the device may answer less (5.4.6) |
"""

import hashlib
from collections.abc import Callable
from typing import Final

from emulators.device import State
from emulators.devices.virtio.pci import VirtioPci
from emulators.dma import Dma
from emulators.snapshot import SnapshotError, take

QUEUE_SIZE: Final = 8  # chosen
LONGEST_ANSWER: Final = 4096  # chosen
SEED_OCTETS: Final = 32


class VirtioRng(VirtioPci):
    """One source.

    Args:
        entropy: answers so many random octets; called once.
    """

    def __init__(self, name: str, *, entropy: Callable[[int], bytes], dma: Dma, transitional: bool = True) -> None:
        super().__init__(
            name, kind=4, class_code=0x00FF00, dma=dma, features=0, queues=(QUEUE_SIZE,), transitional=transitional
        )
        self._seed = entropy(SEED_OCTETS)

    def config_space(self) -> bytes:
        """None."""
        return b""

    def handle_queue(self, index: int) -> None:
        """Fill all buffers."""
        queue = self.queues[0]
        for chain in queue.take_all():
            wanted = min(chain.writable_octets, LONGEST_ANSWER)
            queue.use(chain, chain.write(self._draw(wanted)) if wanted else 0)
        queue.want_kicks(True)
        if queue.flush():
            self.queue_interrupt()

    def _draw(self, octets: int) -> bytes:
        stream = hashlib.shake_256(self._seed).digest(SEED_OCTETS + octets)
        self._seed = stream[:SEED_OCTETS]
        return stream[SEED_OCTETS:]

    def state(self) -> State:
        """All of it."""
        return {**super().state(), "seed": self._seed}

    def from_state(self, state: State) -> None:
        """Take `state` back. Raises SnapshotError."""
        seed = take(state, "seed", bytes)
        if len(seed) != SEED_OCTETS:
            raise SnapshotError(f"snapshot: {self.name}: a seed of {len(seed)} octets")
        super().from_state(state)
        self._seed = seed
