"""What is plugged into the PC: network cards, disks, virtio devices, in the order of their slots.

A card of a new model is made in `_nic` or `_disk`, and named in `NIC_MODELS` or `DISK_MODELS`; what is not a card (ISA
devices with fixed ports) has a function of its own here that `plug_in` calls.
"""

import struct
from collections.abc import Sequence
from typing import Final

from emulators.boards.pc_chipset import Chipset
from emulators.boards.pc_disks import FIXED_MODELS, Bays
from emulators.devices.net import models
from emulators.devices.net.ne2000 import PORTS as NE2000_PORTS
from emulators.devices.net.ne2000 import Ne2000
from emulators.devices.pci.config import PciFunction
from emulators.devices.virtio.blk import VirtioBlk
from emulators.devices.virtio.console import VirtioConsole
from emulators.devices.virtio.rng import VirtioRng
from emulators.outside import NicEnd
from vde.errors import ConfigError

ISA_NIC: Final = "ne2000-isa"
ISA_NIC_PORTS: Final = (0x300, 0x320)
ISA_NIC_IRQS: Final = (5, 7)
"""Chosen: what nothing else here has."""
NIC_MODELS: Final = ("virtio", "pcnet", "e1000", "rtl8139", "ne2000", ISA_NIC)
DISK_MODELS: Final = ("virtio", *FIXED_MODELS)
MOST_NICS, MOST_DISKS = 16, 8
PCNET_CHIP: Final = "Am79C970A"


def plug_in(
    chipset: Chipset, *, nics: Sequence[str], isa_irq: int, disks: Sequence[str], rng: bool, virtio_console: bool
) -> None:
    """Everything that the user asked for.

    Args:
        isa_irq: interrupt of the first network card on the ISA bus.

    Raises:
        ConfigError: there is no room.
    """
    if isa_irq not in ISA_NIC_IRQS:
        raise ConfigError(f"pc: isa-irq: {isa_irq}: {' or '.join(map(str, ISA_NIC_IRQS))} was expected")
    irqs = (isa_irq, *(irq for irq in ISA_NIC_IRQS if irq != isa_irq))
    places = list(zip(ISA_NIC_PORTS, irqs, strict=True))
    for index, model in enumerate(nics):
        _nic(chipset, index, model, chipset.outside.nic(index), places)
    bays = Bays(chipset)
    for index, model in enumerate(disks):
        _disk(chipset, bays, index, model)
    bays.connect()
    if rng:
        chipset.plug(VirtioRng("rng", entropy=chipset.outside.entropy, dma=chipset.dma))
    if virtio_console:
        end = chipset.outside.console("virtio0")
        console = VirtioConsole("virtio0", outs=[end.out], dma=chipset.dma)
        end.on_input, end.ready_octets, end.on_size = console.receive, console.ready_octets, console.set_size
        chipset.plug(console)


def nic_identities(chipset: Chipset) -> list[tuple[int, int]]:
    """Vendor and device of each network card on PCI."""
    cards = [chipset.devices.get(f"nic{index}") for index in range(MOST_NICS)]
    words = [struct.unpack_from("<HH", card.config) for card in cards if isinstance(card, PciFunction)]
    return [(vendor, device) for vendor, device in words]


def _nic(chipset: Chipset, index: int, model: str, cable: NicEnd, places: list[tuple[int, int]]) -> None:
    mac = cable.mac or b"\x52\x54\x00" + chipset.outside.entropy(3)
    name = f"nic{index}"
    if model == ISA_NIC:
        if not places:
            raise ConfigError(f"pc: {name}: at most {len(ISA_NIC_PORTS)} cards of the model {ISA_NIC}")
        _isa_nic(chipset, name, mac, cable, *places.pop(0))
        return
    nic = models.card(
        model,
        name,
        mac=mac,
        dma=chipset.dma,
        out=cable.send,
        timeline=chipset.timeline,
        pcnet=PCNET_CHIP,
        warp=chipset.events.warp,
    )
    models.plug_in(cable, nic)
    chipset.plug(nic)


def _isa_nic(chipset: Chipset, name: str, mac: bytes, cable: NicEnd, base: int, irq: int) -> None:
    """An NE2000 with jumpers: drivers have to be told where it is."""
    nic = Ne2000(mac=mac, irq=chipset.irq(irq), out=cable.send, timeline=chipset.timeline, warp=chipset.events.warp)
    models.plug_in(cable, nic)
    chipset.io.map(base, NE2000_PORTS, nic, name=name)
    chipset.devices[name] = nic


def _disk(chipset: Chipset, bays: Bays, index: int, model: str) -> None:
    disk = chipset.outside.disk(index)
    if disk is None:
        return
    if model in FIXED_MODELS:
        bays.add(index, model, disk)
    else:
        chipset.plug(VirtioBlk(f"disk{index}", disk=disk, dma=chipset.dma, serial=b"pc-%d" % index))
