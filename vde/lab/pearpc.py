"""The configuration file and environment of a node of kind `pearpc`: PearPC, as it is built from its source.

References: ppc(1), ppccfg.example and README of PearPC (2026); vdetaplib(1) of Debian's package vde2. Pure: paths are
arguments, nothing is looked at.

What has to be known about it:

- It joins the network by a tap interface that it makes itself: the first of `ppc0` … `ppc9` that `ifconfig` does not
  find. Without privilege: `libvdetap.so`, loaded before it, makes that interface a port of a VDE switch.
- Then it runs `scripts/ifppc_up.setuid` where it was started, and ends if that fails; so it gets a directory of its
  own with a script there that does nothing. There has to be no setuid program.
- A key that it does not know, and a key that is there twice, end it. So what the user's file says is kept line by
  line, but for what the node says. `headless` is written only where there is no X server: older versions lack it.
- A file's name has no escape for a quotation mark.
- What it writes is about itself. Its guest's display is a window of the host, or, without X server, nowhere.

Not supported: more than one card (both would be one interface); 3Com's card, unless `config` has it installed.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from vde.errors import ConfigError
from vde.lab.resolved import Pearpc

PROGRAM = "ppc"
SOURCE = "PearPC, which no Debian release has: https://github.com/sebastianbiallas/pearpc"
TAP_LIBRARY = Path("/usr/lib/vde2/libvdetap.so")
TAP_PACKAGE = "vde2"
CONFIGURATION = "ppccfg"
SCRIPTS = ("scripts/ifppc_up.setuid", "scripts/ifppc_down.setuid")
NO_SCRIPT = "#!/bin/sh\n"
PLACES = ("master", "slave")
CARDS = ("3c90x", "rtl8139")
USUAL_CARD = "rtl8139"
PROCESSORS: Mapping[str, int] = {"750": 0x00080200, "7400": 0x000C0201}
"""Its processor version register: README, `cpu_pvr`."""
LEAST_MEMORY_OCTETS = 64 << 20
FILE_KEYS = re.compile(r"pci_ide0_(?:master|slave)_image|nvram_file|prom_loadfile|prom_driver_graphic")
MOST_OCTETS = 1 << 20
_SETTING = re.compile(r'\s*(\w+)\s*=\s*(?:"([^"]*)"|(0[xX][0-9a-fA-F]+|\d+))\s*(?:#.*)?')

Settings = dict[str, int | str]


def read(text: str, name: str, directory: Path) -> Settings:
    """What a configuration file of the user's says, its files from `directory`.

    Raises:
        ConfigError: a line that is no setting.
    """
    if len(text) > MOST_OCTETS:
        raise ConfigError(f"{name}: more than {MOST_OCTETS} octets")
    found: Settings = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _SETTING.fullmatch(line.rstrip())
        if match is None:
            raise ConfigError(f'{name}:{number}: {line.strip()[:60]!r}: KEY = NUMBER or KEY = "TEXT" was expected')
        key, value = match[1], match[2]
        if value is None:
            found[key] = int(match[3], 0)
        else:
            found[key] = str(directory / value) if value and FILE_KEYS.fullmatch(key) else value
    return found


def configuration(node: Pearpc, plugged: Mapping[str, object], directory: Path, said: Settings, headless: bool) -> str:
    """The file.

    Args:
        node: which.
        plugged: its interfaces that lead somewhere.
        directory: the topology's, to which files are relative.
        said: what the node's `config` says.
        headless: there is no X server.
    """
    settings = dict(said)
    if headless:
        settings["headless"] = 1
    settings.setdefault("nvram_file", "nvram")
    if node.memory_octets is not None:
        settings["memory_size"] = node.memory_octets
    if node.cpu is not None:
        settings["cpu_pvr"] = PROCESSORS[node.cpu]
    if node.disks:
        for index, place in enumerate(PLACES):
            _place(settings, place, node.disks[index] if index < len(node.disks) else None, directory)
    if node.kernel is not None:
        settings |= {"prom_bootmethod": "force", "prom_loadfile": str(directory / node.kernel)}
        if node.cmdline:
            settings["prom_env_bootargs"] = node.cmdline
    card = "3c90x" if settings.get("pci_3c90x_installed") else USUAL_CARD
    nic = next((nic for nic in node.nics if nic.interface in plugged), None)
    for each in CARDS:
        if f"pci_{each}_installed" in settings or each == card:
            settings[f"pci_{each}_installed"] = int(each == card and nic is not None)
    if nic is not None:
        settings[f"pci_{card}_mac"] = nic.mac
    return "".join(f"{key} = {_value(value)}\n" for key, value in settings.items())


def _place(settings: Settings, place: str, disk: str | None, directory: Path) -> None:
    settings[f"pci_ide0_{place}_installed"] = int(disk is not None)
    if disk is not None:
        kind, name = disk_words(disk)
        settings |= {f"pci_ide0_{place}_image": str(directory / name), f"pci_ide0_{place}_type": kind}


def _value(value: int | str) -> str:
    return f"{value:#x}" if isinstance(value, int) else f'"{value}"'


def disk_words(text: str) -> tuple[str, str]:
    """`[MODEL,]FILE`: PearPC's word for the kind of drive, and the file."""
    model, comma, rest = text.partition(",")
    return ("cdrom" if model == "cdrom" else "hd", rest) if comma and model in ("ide", "cdrom") else ("hd", text)


def complaint(node: Pearpc) -> str | None:
    """What PearPC could not have, or None."""
    if any('"' in text or "\n" in text for text in (*node.disks, node.kernel or "", node.cmdline)):
        return "names and parameters without quotation marks"
    if len(node.disks) > len(PLACES):
        return f"at most {len(PLACES)} disks and CD-ROMs"
    if node.memory_octets is not None and node.memory_octets < LEAST_MEMORY_OCTETS:
        return f"memory: {LEAST_MEMORY_OCTETS >> 20}M or more"
    if node.cpu is not None and node.cpu not in PROCESSORS:
        return f"cpu: {' or '.join(PROCESSORS)}"
    return "one network card" if len(node.nics) > 1 else None


def environment(switch: Path | None, port: int | None) -> dict[str, str]:
    """How its tap interface becomes a switch's port, whatever number it has.

    Args:
        switch: the directory; None: its card leads nowhere.
        port: the switch's.
    """
    if switch is None:
        return {}
    found = {"LD_PRELOAD": str(TAP_LIBRARY), "VDEALLTAP": str(switch)}
    return found if port is None else {**found, "VDEALLTAP_port": str(port)}


def command(program: str, ready_line: str) -> list[str]:
    """The command line, in the node's directory."""
    said = f"echo '{ready_line} pearpc'; exec \"$@\""
    return ["/bin/sh", "-c", said, "sh", program, CONFIGURATION]
