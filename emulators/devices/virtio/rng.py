"""The virtio entropy device.

Specification: VIRTIO 1.2, 5.4. Boards: malta; any with PCI.
Read first: `emulators.devices.virtio.pci`.

No features, one queue. The octets come from the board's outside, so that a run with a seed can be repeated.

| threat | stopped by |
|---|---|
| requests of gigabytes | `LONGEST_ANSWER` octets each; the device may answer less (5.4.6) |
"""

from collections.abc import Callable
from typing import Final

from emulators.devices.virtio.pci import VirtioPci
from emulators.dma import Dma

QUEUE_SIZE: Final = 8  # chosen
LONGEST_ANSWER: Final = 4096  # chosen


class VirtioRng(VirtioPci):
    """One source.

    Args:
        entropy: answers so many random octets.
    """

    def __init__(self, name: str, *, entropy: Callable[[int], bytes], dma: Dma, transitional: bool = True) -> None:
        super().__init__(
            name, kind=4, class_code=0x00FF00, dma=dma, features=0, queues=(QUEUE_SIZE,), transitional=transitional
        )
        self._entropy = entropy

    def config_space(self) -> bytes:
        """None."""
        return b""

    def handle_queue(self, index: int) -> None:
        """Fill all buffers."""
        queue = self.queues[0]
        for chain in queue.take_all():
            wanted = min(chain.writable_octets, LONGEST_ANSWER)
            queue.use(chain, chain.write(self._entropy(wanted)) if wanted else 0)
        queue.want_kicks(True)
        if queue.flush():
            self.queue_interrupt()
