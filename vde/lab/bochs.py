"""The configuration file and command line of a node of kind `bochs`: Debian's Bochs 2.7, as it is.

Reference: bochsrc(5) of Bochs 2.7. Pure: paths are arguments, nothing is looked at.

What has to be known about it:

- Its VDE module connects to the switch's control socket itself, and its path must have less than 16 characters
  (Debian's build ends with "buffer overflow detected" otherwise). So Bochs runs in a directory of its own, where each
  card's network is a symbolic link `net0`, `net1` ….
- Debian's build has the debugger, which waits for a command at the start: it is given `c`.
- Its text display is a pseudo terminal of its own, whose name it writes on the console; the node's console is the first
  serial line.
- Its time is the host's, or slower: a guest that ran ahead would give up on answers.
- SIGTERM goes to the debugger; SIGHUP ends it.
- iPXE on its NE2000 hears nothing at all in about every other start (8 of 14, with ipxe-qemu 1.0.0+git-20190125);
  on its e1000 it does: that is the usual card of a node that boots by it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from vde.lab.resolved import Bochs
from vde.lab.schema import NicModel

PROGRAM, PACKAGE = "bochs", "bochs"
BIOS = "/usr/share/bochs/BIOS-bochs-latest"  # package bochsbios
VGA_BIOS = "/usr/share/bochs/VGABIOS-lgpl-latest"  # package vgabios
BOOT_ROMS: Mapping[NicModel, str] = {
    "ne2k": "/usr/lib/ipxe/qemu/pxe-ne2k_pci.rom",
    "e1000": "/usr/lib/ipxe/qemu/pxe-e1000.rom",
}
"""Package ipxe-qemu; for `boot: network`."""
USUAL_NIC: NicModel = "ne2k"
USUAL_BOOT_NIC: NicModel = "e1000"
CONFIGURATION, COMMANDS = "bochsrc", "commands"
IDE_PLACES = ("ata0-master", "ata0-slave", "ata1-master", "ata1-slave")
MOST_NICS = 4


def network(index: int) -> str:
    """The name of a card's link to its switch's control socket, in the node's directory."""
    return f"net{index}"


def configuration(node: Bochs, plugged: Mapping[str, object], directory: Path) -> str:
    """The file.

    Args:
        node: which.
        plugged: its interfaces that lead somewhere.
        directory: the topology's, to which files are relative.
    """
    lines = [
        "config_interface: textconfig",
        "display_library: term",
        f"romimage: file={BIOS}, options=fastboot",
        f"vgaromimage: file={VGA_BIOS}",
        "sound: driver=dummy",
        "speaker: enabled=0",
        "panic: action=fatal",
        "log: log",
        "clock: sync=slowdown, time0=local",
        "com1: enabled=1, mode=term, dev=/dev/tty",
    ]
    if node.config is not None:
        lines.append(f'#include "{directory / node.config}"')
    lines += [f"megs: {node.memory_octets >> 20}", "pci: enabled=1, chipset=i440fx"]
    if node.cpu:
        lines.append(f"cpu: model={node.cpu}")
    lines += _disks(node.disks, directory)
    if node.boot:
        lines.append(f"boot: {node.boot}")
    for index, nic in enumerate(node.nics):
        model = _model(node, index)
        module = f"ethmod=vde, ethdev={network(index)}" if nic.interface in plugged else "ethmod=null"
        kind = ", type=pci" if model == "ne2k" else ""
        rom = f", bootrom={BOOT_ROMS[model]}" if node.boot == "network" and index == 0 else ""
        lines.append(f"{model}: card={index}, enabled=1{kind}, mac={nic.mac}, {module}{rom}")
    return "\n".join(lines) + "\n"


def _model(node: Bochs, index: int) -> NicModel:
    """What the card is; only the first one boots."""
    usual = USUAL_BOOT_NIC if node.boot == "network" and index == 0 else USUAL_NIC
    return node.nics[index].model or usual


def disk_words(text: str) -> tuple[str, str]:
    """`[MODEL,]FILE`: the model (`ide` by default) and the file."""
    model, comma, rest = text.partition(",")
    return (model, rest) if comma and model in ("ide", "cdrom", "floppy") else ("ide", text)


def _disks(texts: Sequence[str], directory: Path) -> list[str]:
    lines, places, floppies = [], list(IDE_PLACES), ["floppya", "floppyb"]
    for text in texts:
        model, name = disk_words(text)
        path = directory / name
        if model == "floppy":
            lines.append(f'{floppies.pop(0)}: image="{path}", status=inserted')
        elif model == "cdrom":
            lines.append(f'{places.pop(0)}: type=cdrom, path="{path}", status=inserted')
        else:
            lines.append(f'{places.pop(0)}: type=disk, mode=flat, path="{path}"')
    return lines


def complaint(node: Bochs) -> str | None:
    """What Bochs could not have, or None."""
    models = [disk_words(text)[0] for text in node.disks]
    if models.count("floppy") > 2 or len(models) - models.count("floppy") > len(IDE_PLACES):
        return "at most 4 disks and CD-ROMs, and 2 floppies"
    if any('"' in text or "$" in text or "\n" in text for text in (*node.disks, node.config or "", node.cpu or "")):
        return "names without quotes and dollar signs"
    if len(node.nics) > MOST_NICS:
        return f"at most {MOST_NICS} network cards"
    counts = {_model(node, index) for index in range(len(node.nics))}
    return None if counts <= BOOT_ROMS.keys() else f"network cards of {' or '.join(BOOT_ROMS)}"


def command(ready_line: str) -> list[str]:
    """The command line, in the node's directory."""
    said = f"echo '{ready_line} bochs'; exec \"$@\""
    return ["/bin/sh", "-c", said, "sh", PROGRAM, "-q", "-f", CONFIGURATION, "-rc", COMMANDS]
