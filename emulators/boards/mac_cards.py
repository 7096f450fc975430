"""What is plugged into the Macintosh: network cards, virtio devices, drives.

A card of a new model is made in `_nic` or `_disk`, and named in `NIC_MODELS` or `DISK_MODELS`. IDE disks take the first
free of primary master, primary slave, secondary master, secondary slave; CD-ROMs begin with the secondary master.
"""

from collections.abc import Sequence
from typing import Final

from emulators.boards.mac_chipset import Chipset
from emulators.devices.ata.atapi import CdRom
from emulators.devices.ata.disk import AtaDisk
from emulators.devices.ata.drive import Drive
from emulators.devices.ata.mmc import SECTOR as CD_SECTOR
from emulators.devices.net import models
from emulators.devices.net.gem import Gem
from emulators.devices.virtio.blk import VirtioBlk
from emulators.devices.virtio.console import VirtioConsole
from emulators.devices.virtio.rng import VirtioRng
from emulators.outside import DiskEnd
from vde.errors import ConfigError

NIC_MODELS: Final = models.MODELS
DISK_MODELS: Final = ("virtio", "ide", "cdrom")
MOST_NICS, MOST_DISKS = 16, 8
PCNET_CHIP: Final = "Am79C970A"
PLACES: Final = {"ide": (0, 1, 2, 3), "cdrom": (2, 3, 1, 0)}


def plug_in(chipset: Chipset, *, nics: Sequence[str], disks: Sequence[str], rng: bool, virtio_console: bool) -> None:
    """Everything that the user asked for.

    Raises:
        ConfigError: there is no room.
    """
    for index, model in enumerate(nics):
        cable = chipset.outside.nic(index)
        mac = cable.mac or b"\x52\x54\x00" + chipset.outside.entropy(3)
        nic = models.card(
            model,
            f"nic{index}",
            mac=mac,
            dma=chipset.dma,
            out=cable.send,
            timeline=chipset.timeline,
            pcnet=PCNET_CHIP,
        )
        models.plug_in(cable, nic)
        slot = chipset.plug(nic)
        if isinstance(nic, Gem):
            chipset.ethernet[slot] = mac
    drives: dict[int, Drive] = {}
    for index, model in enumerate(disks):
        disk = chipset.outside.disk(index)
        if disk is None:
            continue
        if model == "virtio":
            chipset.plug(VirtioBlk(f"disk{index}", disk=disk, dma=chipset.dma, serial=b"mac-%d" % index))
        else:
            _drive(drives, index, model, disk)
    chipset.place_drives(drives)
    if rng:
        chipset.plug(VirtioRng("rng", entropy=chipset.outside.entropy, dma=chipset.dma))
    if virtio_console:
        end = chipset.outside.console("virtio0")
        console = VirtioConsole("virtio0", outs=[end.out], dma=chipset.dma)
        end.on_input, end.ready_octets, end.on_size = console.receive, console.ready_octets, console.set_size
        chipset.plug(console)


def _drive(drives: dict[int, Drive], index: int, model: str, disk: DiskEnd) -> None:
    place = next((place for place in PLACES[model] if place not in drives), None)
    if place is None:
        raise ConfigError(f"mac: disk {index}: at most 4 IDE disks and CD-ROMs; others as virtio")
    serial = f"VDE{index:05}"
    if model == "ide":
        drives[place] = AtaDisk(disk, serial=serial)
        return
    if disk.size_octets % CD_SECTOR:
        raise ConfigError(
            f"mac: disk {index}: {disk.size_octets} octets: a CD-ROM has whole sectors of {CD_SECTOR}: truncated?"
        )
    drives[place] = CdRom(disk, serial=serial, power_on=False)
