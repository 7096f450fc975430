"""What is plugged into the PC: network cards, disks, virtio devices, in the order of their slots.

A card of a new model is made in `_nic` or `_disk`, and named in `NIC_MODELS` or `DISK_MODELS`; what is not a card (ISA
devices with fixed ports) has a function of its own here that `plug_in` calls.
"""

from collections.abc import Sequence
from typing import Final

from emulators.boards.pc_chipset import Chipset
from emulators.devices.net.pcnet import PcNet
from emulators.devices.virtio.blk import VirtioBlk
from emulators.devices.virtio.console import VirtioConsole
from emulators.devices.virtio.net import VirtioNet
from emulators.devices.virtio.rng import VirtioRng
from emulators.outside import NicEnd

NIC_MODELS: Final = ("virtio", "pcnet")
DISK_MODELS: Final = ("virtio",)
MOST_NICS, MOST_DISKS = 16, 8
PCNET_CHIP: Final = "Am79C970A"


def plug_in(chipset: Chipset, *, nics: Sequence[str], disks: Sequence[str], rng: bool, virtio_console: bool) -> None:
    """Everything that the user asked for.

    Raises:
        ConfigError: there is no room.
    """
    for index, model in enumerate(nics):
        _nic(chipset, index, model, chipset.outside.nic(index))
    for index, model in enumerate(disks):
        _disk(chipset, index, model)
    if rng:
        chipset.plug(VirtioRng("rng", entropy=chipset.outside.entropy, dma=chipset.dma))
    if virtio_console:
        end = chipset.outside.console("virtio0")
        console = VirtioConsole("virtio0", outs=[end.out], dma=chipset.dma)
        end.on_input, end.ready_octets, end.on_size = console.receive, console.ready_octets, console.set_size
        chipset.plug(console)


def _nic(chipset: Chipset, index: int, model: str, cable: NicEnd) -> None:
    mac = cable.mac or b"\x52\x54\x00" + chipset.outside.entropy(3)
    name, dma = f"nic{index}", chipset.dma
    nic: PcNet | VirtioNet
    if model == "pcnet":
        nic = PcNet(name, mac=mac, dma=dma, out=cable.send, timeline=chipset.timeline, model=PCNET_CHIP)
    else:
        nic = VirtioNet(name, mac=mac, dma=dma, out=cable.send)
    cable.on_frame, cable.on_link, cable.ready_frames = nic.receive, nic.set_link, nic.ready_frames
    chipset.plug(nic)


def _disk(chipset: Chipset, index: int, model: str) -> None:
    disk = chipset.outside.disk(index)
    if disk is not None:
        chipset.plug(VirtioBlk(f"disk{index}", disk=disk, dma=chipset.dma, serial=b"pc-%d" % index))
