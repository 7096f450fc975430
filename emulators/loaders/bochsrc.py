"""Bochs' configuration files: what of them our PC has, and the names of the rest.

Reference: bochsrc(5) and the commented sample file of Bochs 2.7.

A line is `option: word, word=value, "quoted, word"`; `#` begins a comment; `#include "FILE"` reads another file;
`$NAME` is of the environment. Later lines win. Unknown options are nobody's fault: people have files of many years.
They are named, each with its file and line, and so are values that could not be followed.

Limits: `MOST_OCTETS` a file, `MOST_LINES` in all, includes `MOST_DEPTH` deep. Errors name file and line.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from emulators.board import Said
from vde.errors import ConfigError

MOST_OCTETS: Final = 1 << 20
MOST_LINES: Final = 20_000
MOST_LINE: Final = 4096
MOST_DEPTH: Final = 8
SHOWN: Final = 40
"""Characters of a name or value in a message. Chosen."""

CPU_MODELS: Final = {
    "i386": "486",
    "i486dx4": "486",
    "pentium": "pentium",
    "pentium_mmx": "pentium",
    "p2_klamath": "pentium2",
    "p3_katmai": "pentium3",
    "bx_generic": "pentium3",
}
BOOT: Final = {"floppy": "floppy", "a": "floppy", "disk": "disk", "c": "disk", "cdrom": "cdrom", "network": "network"}
DISK_MODES: Final = {
    "flat": "",
    "volatile": ",overlay",
    "undoable": ",overlay",
    "vpc": ",format=vpc",
    "vbox": ",format=vdi",
    "vmware4": ",format=vmdk",
}
CLOCKS: Final = {"none": "virtual", "slowdown": "host", "realtime": "host", "both": "host"}
ATA: Final = re.compile(r"ata([0-3])-(master|slave)")
OWN_BIOS: Final = ("BIOS-bochs", "BIOS-qemu", "bios.bin-")
"""Names of BIOSes that come with Bochs: SeaBIOS is ours."""
ISA_NIC_IRQS: Final = (5, 7)
SAME: Final = frozenset({"pci", "keyboard", "mouse", "ata0", "ata1", "vga", "floppy_bootsig_check", "port_e9_hack"})
"""What the PC has in any case, so that there is nothing to say about it."""


@dataclass
class _Machine:
    options: dict[str, object] = field(default_factory=dict)
    floppies: dict[str, str] = field(default_factory=dict)
    drives: dict[tuple[int, str], str] = field(default_factory=dict)
    nics: dict[tuple[str, int], str] = field(default_factory=dict)
    roms: dict[str, str] = field(default_factory=dict)
    consoles: dict[str, str] = field(default_factory=dict)
    clock: str = ""
    unused: dict[str, None] = field(default_factory=dict)


def read(path: Path, environment: Mapping[str, str]) -> Said:
    """What a file says.

    Raises:
        ConfigError: it cannot be read, or a value cannot be one; names file and line.
    """
    machine = _Machine()
    unused: dict[str, str] = {}
    for place, name, words in _lines(path, environment, 0, [MOST_LINES]):
        try:
            _take(machine, name, words)
        except ValueError as error:
            raise ConfigError(f"{place}: {name[:SHOWN]}: {error}") from None
        for what in machine.unused:
            unused.setdefault(what, place)
        machine.unused.clear()
    disks = [machine.floppies[name] for name in sorted(machine.floppies)]
    disks += [machine.drives[place] for place in sorted(machine.drives)]
    if machine.roms:
        machine.options["option_rom"] = tuple(machine.roms[name] for name in sorted(machine.roms))
    return Said(
        options=machine.options,
        nics=tuple(machine.nics[card] for card in sorted(machine.nics)),
        disks=tuple(disks),
        consoles=machine.consoles,
        clock=machine.clock,
        unused=tuple(f"{place}: {what}" for what, place in unused.items()),
    )


def _lines(
    path: Path, environment: Mapping[str, str], depth: int, left: list[int]
) -> Iterator[tuple[str, str, dict[str, str]]]:
    if depth > MOST_DEPTH:
        raise ConfigError(f"{path}: #include: {MOST_DEPTH} files deep at most")
    try:
        with path.open("rb") as file:
            octets = file.read(MOST_OCTETS + 1)
    except OSError as error:
        raise ConfigError(f"bochsrc {path}: {error.strerror}") from None
    if len(octets) > MOST_OCTETS:
        raise ConfigError(f"bochsrc {path}: more than {MOST_OCTETS} octets")
    for number, raw in enumerate(octets.decode("utf-8", "replace").splitlines(), 1):
        left[0] -= 1
        place = f"{path}:{number}"
        if left[0] < 0 or len(raw) > MOST_LINE:
            raise ConfigError(f"{place}: more than {MOST_LINES} lines, or {MOST_LINE} characters in one")
        line = raw.strip()
        if line.startswith("#include"):
            included = _expand(line.removeprefix("#include").strip().strip("\"'"), environment)
            yield from _lines(path.parent / included, environment, depth + 1, left)
            continue
        parts = _split(line)
        if not parts:
            continue
        name, colon, first = parts[0].partition(":")
        if not colon:
            raise ConfigError(f"{place}: {line[:60]!r}: 'option: value' was expected")
        words = {}
        for part in (first, *parts[1:]):
            key, equals, value = part.strip().partition("=")
            if key:
                words[key.strip().lower()] = _expand(value.strip(), environment) if equals else ""
        yield place, name.strip().lower(), words


def _split(line: str) -> list[str]:
    """At commas outside quotes, which go; a comment ends it."""
    parts, part, quoted = [], "", False
    for character in line:
        if character == '"':
            quoted = not quoted
        elif character == "#" and not quoted:
            break
        elif character == "," and not quoted:
            parts.append(part)
            part = ""
        else:
            part += character
    parts.append(part)
    return parts if any(part.strip() for part in parts) else []


def _expand(text: str, environment: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda found: environment.get(found[1], found[0]), text)


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError(f"{text[:SHOWN]!r}: a number was expected") from None


def _take(machine: _Machine, name: str, words: dict[str, str]) -> None:
    ata = ATA.fullmatch(name)
    off = words.get("enabled") == "0"
    if name in ("megs", "memory"):
        machine.options["memory"] = _number(next(iter(words), "") if name == "megs" else words.get("guest", "")) << 20
    elif name == "cpu":
        _cpu(machine, words)
    elif name == "romimage":
        path = words.get("file", "")
        if Path(path).name.startswith(OWN_BIOS) or not path:
            machine.unused["romimage"] = None
        else:
            machine.options["firmware"] = path
    elif name.startswith("optromimage"):
        machine.roms[name] = words.get("file", "")
    elif name in ("floppya", "floppyb"):
        _floppy(machine, name, words)
    elif ata is not None:
        _drive(machine, (int(ata[1]), ata[2]), name, words)
    elif name == "boot":
        first = next(iter(words), "")
        if first not in BOOT:
            raise ValueError(f"{first[:SHOWN]!r}: one of {', '.join(BOOT)} was expected")
        machine.options["boot"] = BOOT[first]
    elif name in ("ne2k", "e1000"):
        _nic(machine, name, words, off=off)
    elif name in ("com1", "com2", "com3", "com4"):
        _serial(machine, name, words, off=off)
    elif name == "clock":
        _clock(machine, words)
    elif name not in SAME and not off:
        machine.unused[name[:SHOWN]] = None


def _cpu(machine: _Machine, words: dict[str, str]) -> None:
    model = words.get("model")
    if model is None:
        return
    if model not in CPU_MODELS:
        machine.unused[f"cpu: model={model[:SHOWN]}"] = None
    machine.options["cpu"] = CPU_MODELS.get(model, "pentium3")


def _floppy(machine: _Machine, name: str, words: dict[str, str]) -> None:
    path = next((words[key] for key in ("image", "1_44", "2_88", "1_2", "720k", "360k", "320k") if key in words), "")
    if not path or words.get("status") == "ejected":
        return
    if path.startswith("/dev/"):
        machine.unused[f"{name}: {path[:SHOWN]}"] = None
        return
    machine.floppies[name] = f"floppy,file={path},{'ro' if words.get('write_protected') == '1' else 'rw'}"


def _drive(machine: _Machine, place: tuple[int, str], name: str, words: dict[str, str]) -> None:
    path, kind = words.get("path", ""), words.get("type", "disk")
    mode = words.get("mode", "flat")
    if kind not in ("disk", "cdrom"):
        raise ValueError(f"type={kind[:SHOWN]}: disk or cdrom was expected")
    if kind == "cdrom":
        if path.startswith("/dev/") or words.get("status") == "ejected" or not path:
            machine.unused[f"{name}: {path[:SHOWN] or 'no disc'}"] = None
        else:
            machine.drives[place] = f"cdrom,file={path},ro"
    elif not path:
        raise ValueError("no path")
    elif mode not in DISK_MODES:
        machine.unused[f"{name}: mode={mode[:SHOWN]}"] = None
    else:
        machine.drives[place] = f"ide,file={path}{DISK_MODES[mode] or ',rw'}"


def _nic(machine: _Machine, name: str, words: dict[str, str], *, off: bool) -> None:
    card = (name, _number(words.get("card", "0")))
    machine.nics.pop(card, None)
    if off:
        return
    module, device = words.get("ethmod", "null"), words.get("ethdev", "")
    if module == "vde":
        vnl = "vde://" + (device.removesuffix("/ctl") or "/tmp/vde.ctl")
    elif module in ("tap", "tuntap"):
        vnl = f"tap://{device.rpartition(':')[2].rpartition('/')[2]}"
    elif module == "slirp":
        vnl = "nat://"
    else:
        vnl = "none"
        if module != "null":
            machine.unused[f"{name}: ethmod={module[:SHOWN]}"] = None
    isa = name == "ne2k" and (words.get("type") == "isa" or ("type" not in words and "ioaddr" in words))
    if isa and _number(words.get("ioaddr", "0x300")) != 0x300:
        machine.unused[f"{name}: ioaddr={words['ioaddr'][:SHOWN]}"] = None
    if isa:
        irq = _number(words.get("irq", "5"))
        if irq in ISA_NIC_IRQS:
            machine.options["isa_irq"] = irq
        else:
            machine.unused[f"{name}: irq={irq} (the card has 5)"] = None
    model = "ne2000-isa" if isa else "ne2000" if name == "ne2k" else name
    mac = f"mac={words['mac']}," if "mac" in words else ""
    machine.nics[card] = f"{model},{mac}{vnl}"


def _serial(machine: _Machine, name: str, words: dict[str, str], *, off: bool) -> None:
    console = f"serial{int(name[-1]) - 1}"
    mode, device = words.get("mode", "null"), words.get("dev", "")
    if off or mode == "null":
        return
    if mode == "file":
        machine.consoles[console] = f"file:{device}"
    elif mode == "term" and device in ("", "/dev/tty"):
        machine.consoles[console] = "stdio"
    else:
        machine.unused[f"{name}: mode={mode[:SHOWN]}"] = None


def _clock(machine: _Machine, words: dict[str, str]) -> None:
    sync, start = words.get("sync", "none"), words.get("time0", "")
    if sync not in CLOCKS:
        raise ValueError(f"sync={sync[:SHOWN]}: one of {', '.join(CLOCKS)} was expected")
    machine.clock = CLOCKS[sync]
    if start.isdigit():
        machine.options["date"] = int(start)
    elif start:
        machine.unused[f"clock: time0={start[:SHOWN]}"] = None
