"""The network cards that a board with PCI offers, by the names that `--nic MODEL,…` has for them.

`card` makes one; a cable's end is joined to its `receive`, `set_link` and `ready_frames`.
"""

from collections.abc import Callable
from typing import Final, Protocol

from emulators.device import Timeline
from emulators.devices.net.e1000 import E1000
from emulators.devices.net.gem import Gem
from emulators.devices.net.ne2000 import Ne2000Pci
from emulators.devices.net.pcnet import PcNet
from emulators.devices.net.rtl8139 import Rtl8139
from emulators.devices.virtio.net import VirtioNet
from emulators.dma import Dma
from emulators.outside import NicEnd
from vde.errors import ConfigError

PCI_MODELS: Final = ("pcnet", "virtio", "e1000", "rtl8139", "ne2000")
MODELS: Final = (*PCI_MODELS, "gem")
"""And the one that belongs to a Macintosh: its driver takes the address from Open Firmware's tree."""


class Jack(Protocol):
    """A card as its cable sees it."""

    def receive(self, frame: bytes, /) -> None:
        """A frame from the cable, without FCS."""
        ...

    def set_link(self, up: bool, /) -> None:
        """The cable is put in or pulled out."""
        ...

    def ready_frames(self) -> int:
        """How many frames the card would take now."""
        ...


def plug_in(cable: NicEnd, jack: Jack) -> None:
    """Join a cable's end to a card."""
    cable.on_frame, cable.on_link, cable.ready_frames = jack.receive, jack.set_link, jack.ready_frames


def card(
    model: str,
    name: str,
    *,
    mac: bytes,
    dma: Dma,
    out: Callable[[bytes], None],
    timeline: Timeline,
    pcnet: str = "Am79C970A",
    warp: Callable[[int], None] = lambda ns: None,
) -> PcNet | VirtioNet | E1000 | Rtl8139 | Ne2000Pci | Gem:
    """A card for a PCI slot.

    Args:
        pcnet: which PCnet the board has.
        warp: asks the machine to let virtual time pass to the given nanosecond.

    Raises:
        ConfigError: there is no such model.
    """
    match model:
        case "pcnet":
            return PcNet(name, mac=mac, dma=dma, out=out, timeline=timeline, model=pcnet, warp=warp)
        case "virtio":
            return VirtioNet(name, mac=mac, dma=dma, out=out)
        case "e1000":
            return E1000(name, mac=mac, dma=dma, out=out, timeline=timeline, warp=warp)
        case "rtl8139":
            return Rtl8139(name, mac=mac, dma=dma, out=out, timeline=timeline, warp=warp)
        case "ne2000":
            return Ne2000Pci(name, mac=mac, out=out, timeline=timeline, warp=warp)
        case "gem":
            return Gem(name, mac=mac, dma=dma, out=out, timeline=timeline)
        case _:
            raise ConfigError(f"network card {model!r} is unknown; there are {', '.join(MODELS)}")
