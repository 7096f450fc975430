"""What joins wires to the switch's forwarder: frames of two links, carried without Python."""

from switch.forwarding import patch as forwarding
from vde.endpoint import HandedOver
from vde.wire.process import Counts, PatchBroken


class ForwarderPatch:
    """A `vde.wire.process.Patch`."""

    def __init__(self, left: HandedOver, right: HandedOver) -> None:
        """The descriptors are ours from now on."""
        self._patch = forwarding.Patch()
        waiting: list[tuple[forwarding.Side, HandedOver]] = [("left", left), ("right", right)]
        try:
            while waiting:
                self._patch.plug(*waiting[0])
                del waiting[0]
        except BaseException:
            self._patch.close()
            for _, handed in waiting:
                handed.close()
            raise

    def counts(self) -> Counts:
        """As `Patch.counts`."""
        statistics = self._patch.statistics()
        there, back = statistics.left_to_right, statistics.right_to_left
        return (there.frames, there.octets), (back.frames, back.octets)

    async def run(self) -> None:
        """As `Patch.run`."""
        try:
            await self._patch.run()
        except forwarding.EndBroken as broken:
            raise PatchBroken(0 if broken.side == "left" else 1, str(broken)) from None


def open_patch(left: HandedOver, right: HandedOver) -> ForwarderPatch:
    """A `vde.wire.process.OpenPatch`."""
    return ForwarderPatch(left, right)
