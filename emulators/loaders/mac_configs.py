"""Configuration files of PearPC and of Mac-on-Linux: what of them our Macintosh has, and the names of the rest.

References: PearPC's ppccfg.example (2026); Mac-on-Linux 0.9.73, molrc(5) and its sample files.

PearPC: `key = number` or `key = "text"`, `#` begins a comment. Mac-on-Linux: `key: words`, `#` begins a comment; the
parts about memory, block devices and the network are used. Both join the network by a tap interface: PearPC's is called
`ppc`, Mac-on-Linux' is named. What has no counterpart here is named, each with its file and line.

Limits: `MOST_OCTETS` a file, `MOST_LINE` a line. Errors name file and line.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from emulators.board import Said
from vde.errors import ConfigError

MOST_OCTETS: Final = 1 << 20
MOST_LINE: Final = 4096
PEARPC_INTERFACE: Final = "ppc"
_SETTING = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|(0[xX][0-9a-fA-F]+|\d+))\s*(?:#.*)?')
_PAIR = re.compile(r"(\w+):\s*(.*)")
BOOT_METHODS: Final = ("auto", "select", "force")
PROCESSORS: Final = {0x0008: "750", 0x0004: "604", 0x0009: "604", 0x000C: "7400"}
"""Upper half of the processor version register → model."""


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that say something. Raises ConfigError."""
    try:
        octets = path.read_bytes()[: MOST_OCTETS + 1]
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if len(octets) > MOST_OCTETS:
        raise ConfigError(f"{path}: more than {MOST_OCTETS} octets")
    for number, line in enumerate(octets.decode("utf-8", "replace").splitlines(), 1):
        text = line.strip()
        if len(text) > MOST_LINE:
            raise ConfigError(f"{path}:{number}: a line of {len(text)} characters; at most {MOST_LINE} are taken")
        if text and not text.startswith("#"):
            yield number, text


def read_pearpc(path: Path, environment: Mapping[str, str]) -> Said:
    """What PearPC's configuration says; files are relative to where the program is started, as PearPC's are.

    Raises:
        ConfigError: a line that is no setting, or a value that cannot be.
    """
    found: dict[str, tuple[int, str | int]] = {}
    for number, text in _lines(path):
        match = _SETTING.fullmatch(text)
        if match is None:
            raise ConfigError(f'{path}:{number}: {text[:60]!r}: KEY = NUMBER or KEY = "TEXT" was expected')
        found[match[1]] = (number, int(match[3], 0) if match[3] else match[2])
    used: set[str] = set()
    notes: list[str] = []

    def text_of(key: str, default: str = "") -> str:
        used.add(key)
        value = found[key][1] if key in found else default
        if not isinstance(value, str):
            raise ConfigError(f"{path}:{found[key][0]}: {key}: {value}: a text was expected")
        return value

    def number_of(key: str, default: int = 0) -> int:
        used.add(key)
        value = found[key][1] if key in found else default
        if not isinstance(value, int):
            raise ConfigError(f"{path}:{found[key][0]}: {key}: {value!r}: a number was expected")
        return value

    options: dict[str, object] = {}
    if "memory_size" in found:
        options["memory"] = number_of("memory_size")
    if "cpu_pvr" in found:
        model = PROCESSORS.get(number_of("cpu_pvr") >> 16)
        if model is None:
            notes.append(f"{path}:{found['cpu_pvr'][0]}: cpu_pvr of a processor that there is not")
        else:
            options["cpu"] = model
    disks = []
    for place in ("master", "slave"):
        image, kind = text_of(f"pci_ide0_{place}_image"), text_of(f"pci_ide0_{place}_type")
        if not number_of(f"pci_ide0_{place}_installed") or not image:
            continue
        kind = kind or ("cdrom" if image.endswith(".iso") else "hd")
        if kind not in ("hd", "cdrom", "nativecdrom"):
            line = found[f"pci_ide0_{place}_type"][0]
            raise ConfigError(f"{path}:{line}: pci_ide0_{place}_type: {kind!r}: hd or cdrom was expected")
        disks.append(f"ide,{image}" if kind == "hd" else f"cdrom,{image},ro")
    method = text_of("prom_bootmethod", "auto")
    if method not in BOOT_METHODS:
        line = found["prom_bootmethod"][0]
        raise ConfigError(f"{path}:{line}: prom_bootmethod: {method!r}: {', '.join(BOOT_METHODS)} was expected")
    program = text_of("prom_loadfile")
    if method == "force" and program:
        options |= {"kernel": Path(program), "entry": "open-firmware"}
        if text_of("prom_env_bootargs"):
            options["append"] = text_of("prom_env_bootargs")
    elif method == "select":
        options["boot"] = "prompt"
    else:
        options["boot"] = "disk" if any(disk.startswith("ide,") for disk in disks) or not disks else "cdrom"
    nics = []
    for card in ("rtl8139", "3c90x"):
        mac = text_of(f"pci_{card}_mac")
        if number_of(f"pci_{card}_installed"):
            nics.append(f"rtl8139,{f'mac={mac},' if mac else ''}tap://{PEARPC_INTERFACE}")
            if card == "3c90x":
                notes.append(f"{path}:{found['pci_3c90x_installed'][0]}: pci_3c90x_installed (an rtl8139 in its place)")
    notes += [f"{path}:{line}: {key}" for key, (line, _) in found.items() if key not in used]
    return Said(options, nics=tuple(nics), disks=tuple(disks), unused=tuple(notes))


def read_molrc(path: Path, environment: Mapping[str, str]) -> Said:
    """What Mac-on-Linux' configuration says of memory, disks and the network.

    Raises:
        ConfigError: a line that is no pair, or a value that cannot be.
    """
    options: dict[str, object] = {}
    nics, disks, notes = [], [], []
    boot = ""
    for number, text in _lines(path):
        match = _PAIR.fullmatch(text)
        if match is None:
            notes.append(f"{path}:{number}: {text.split()[0][:40]}")  # if, else, include: its own language
            continue
        key = match[1]
        try:
            words = shlex.split(match[2], comments=True)
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: {key}: {error}") from None
        if key == "ram_size":
            if not words or not words[0].isdigit():
                raise ConfigError(f"{path}:{number}: ram_size: {match[2][:40]!r}: a number of MiB was expected")
            options["memory"] = int(words[0]) << 20
        elif key == "blkdev" and words:
            disk = f"{'cdrom' if '-cd' in words else 'ide'},{words[0]}"
            disks.append(disk if "-rw" in words and "-cd" not in words else f"{disk},ro")
            if "-boot" in words or "-boot1" in words:
                boot = "cdrom" if "-cd" in words else "disk"
        elif key == "netdev" and words and ("-tun" in words or "-tap" in words):
            at = words.index("-hwaddr") if "-hwaddr" in words[:-1] else -1
            nics.append(f"pcnet,{f'mac={words[at + 1]},' if at >= 0 else ''}tap://{words[0]}")
        else:
            notes.append(f"{path}:{number}: {key}")
    options["boot"] = boot or ("disk" if any(disk.startswith("ide,") for disk in disks) or not disks else "cdrom")
    return Said(options, nics=tuple(nics), disks=tuple(disks), unused=tuple(notes))
