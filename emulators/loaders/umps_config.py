"""uMPS3's machine configuration: the JSON file that uMPS3 makes and reads.

Specification: what uMPS3 3.0.5 writes and reads (its settings dialogue); file names are relative to the configuration.

    num-processors      1 … 16 (1)
    clock-rate          ticks of a microsecond, 1 … 99 (1)
    tlb-size            4, 8, 16, 32 or 64 entries (16)
    tlb-floor-address   "0x…": addresses below it are not translated ("0xffffffff"; "0x00000000": the end of RAM)
    num-ram-frames      of 4096 octets, 8 … 512 (64)
    boot                {"load-core-file": true or false, "core-file": FILE}  (true, "kernel.core.umps")
    bootstrap-rom, execution-rom                                              (those of uMPS3's package)
    symbol-table        {"file": FILE, "asid": 0 … 64}                        ("kernel.stab.umps" if it is there, 64)
    devices             {"disk0" … "terminal7": {"enabled": true or false, "file": FILE}}; eth0 … eth7 may have an
                        "address" too, and their file is a VDE switch, or any VNL

Differs from the original: it puts values that are not possible to the nearest possible one, and passes over keys that
it does not know and addresses that are none; here all of them are told, at once, and nothing is started.

Threats: a file of any size, nested without end, with a key twice (refused).
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vde.errors import ConfigError

LARGEST_OCTETS = 1 << 20
FRAME_OCTETS = 4096
RAM_FRAMES = 64
RAM_BASE = 0x2000_0000
UNITS = 8
KINDS = ("disk", "flash", "eth", "printer", "terminal")
"""Of lines 3 to 7."""
TLB_SIZES = (4, 8, 16, 32, 64)
KERNEL_ASID = 64
PACKAGE = Path("/usr/share/umps3")
BOOT_ROM, EXECUTION_ROM = PACKAGE / "coreboot.rom.umps", PACKAGE / "exec.rom.umps"


@dataclass(frozen=True, slots=True)
class DeviceFile:
    """An installed device. `file`: as written, for an `eth`; made absolute for all others."""

    file: str
    address: bytes | None = None


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """A machine. `core` is None if none is loaded; `symbols` if there are none."""

    name: str
    processors: int = 1
    clock_rate: int = 1
    tlb_size: int = 16
    tlb_floor: int = 0xFFFF_FFFF
    ram_frames: int = RAM_FRAMES
    core: Path | None = None
    boot_rom: Path = BOOT_ROM
    execution_rom: Path = EXECUTION_ROM
    symbols: Path | None = None
    asid: int = KERNEL_ASID
    devices: dict[tuple[str, int], DeviceFile] = field(default_factory=dict)

    @property
    def ram_octets(self) -> int:
        """The size of RAM."""
        return self.ram_frames * FRAME_OCTETS

    def of_kind(self, kind: str) -> list[tuple[int, DeviceFile]]:
        """Installed devices of a kind, by unit."""
        return sorted((unit, device) for (what, unit), device in self.devices.items() if what == kind)


def read_config(path: Path) -> MachineConfig:
    """Read a configuration.

    Raises:
        ConfigError: it cannot be read, or is wrong; all faults at once, each with its key, value and what was expected.
    """
    try:
        with path.open("rb") as file:
            octets = file.read(LARGEST_OCTETS + 1)
    except OSError as error:
        raise ConfigError(f"umps3: {str(path)!r}: {error.strerror}") from None
    return parse_config(octets, str(path), path.parent)


def parse_config(octets: bytes, name: str, folder: Path) -> MachineConfig:
    """As `read_config`, of a file's contents; `folder` is what file names are relative to."""
    if len(octets) > LARGEST_OCTETS:
        raise ConfigError(f"{name}: more than {LARGEST_OCTETS} octets")
    reader = _Reader(name, folder)
    try:
        whole = json.loads(octets, object_pairs_hook=reader.pairs, parse_constant=reader.constant)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{name}:{error.lineno}:{error.colno}: {error.msg} (JSON was expected)") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: octet {error.start}: not UTF-8 (JSON was expected)") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deep (a machine configuration was expected)") from None
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
    if not isinstance(whole, dict):
        raise ConfigError(f"{name}: {_shown(whole)}: an object was expected")
    config = reader.machine(whole)
    if reader.errors:
        raise ConfigError("\n".join(reader.errors))
    return config


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


class _Reader:
    """Collects faults."""

    def __init__(self, name: str, folder: Path) -> None:
        self.errors: list[str] = []
        self._name = name
        self._folder = folder

    def pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """An object; a key must not come twice."""
        read: dict[str, Any] = {}
        for key, value in pairs:
            if key in read:
                self.wrong(key, value, f"it once (it was {_shown(read[key])} before)")
            read[key] = value
        return read

    @staticmethod
    def constant(text: str) -> None:
        raise ValueError(f"{text}: a number was expected")

    def wrong(self, key: str, value: Any, expected: str) -> None:
        self.errors.append(f"{self._name}: {key}: {_shown(value)}: {expected} was expected")

    def machine(self, whole: dict[str, Any]) -> MachineConfig:
        values: dict[str, Any] = {}
        readers: dict[str, Callable[[str, Any, dict[str, Any]], None]] = {
            "num-processors": self._number("processors", 1, 16),
            "clock-rate": self._number("clock_rate", 1, 99),
            "tlb-size": self._tlb_size,
            "tlb-floor-address": self._floor,
            "num-ram-frames": self._number("ram_frames", 8, 512),
            "boot": self._boot,
            "bootstrap-rom": self._file("boot_rom"),
            "execution-rom": self._file("execution_rom"),
            "symbol-table": self._symbols,
            "devices": self._devices,
        }
        for key, value in whole.items():
            if key in readers:
                readers[key](key, value, values)
            else:
                self.wrong(key, value, f"no such key; {', '.join(readers)}")
        if "boot" not in whole:
            values["core"] = self._folder / "kernel.core.umps"
        if "symbol-table" not in whole and (self._folder / "kernel.stab.umps").exists():
            values["symbols"] = self._folder / "kernel.stab.umps"
        if values.get("tlb_floor") == 0:
            values["tlb_floor"] = RAM_BASE + values.get("ram_frames", RAM_FRAMES) * FRAME_OCTETS
        return MachineConfig(name=self._name, **values)

    def _number(self, name: str, least: int, most: int) -> Callable[[str, Any, dict[str, Any]], None]:
        def read(key: str, value: Any, values: dict[str, Any]) -> None:
            if type(value) is not int or not least <= value <= most:
                self.wrong(key, value, f"{least} to {most}")
            else:
                values[name] = value

        return read

    def _tlb_size(self, key: str, value: Any, values: dict[str, Any]) -> None:
        if type(value) is not int or value not in TLB_SIZES:
            self.wrong(key, value, "4, 8, 16, 32 or 64")
        else:
            values["tlb_size"] = value

    def _floor(self, key: str, value: Any, values: dict[str, Any]) -> None:
        if not isinstance(value, str) or not re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}", value):
            self.wrong(key, value, 'a hexadecimal address such as "0x80000000"')
            return
        values["tlb_floor"] = int(value, 16)

    def _file(self, name: str) -> Callable[[str, Any, dict[str, Any]], None]:
        def read(key: str, value: Any, values: dict[str, Any]) -> None:
            if (path := self._path(key, value)) is not None:
                values[name] = path

        return read

    def _path(self, key: str, value: Any) -> Path | None:
        if not isinstance(value, str) or not value or "\0" in value:
            self.wrong(key, value, "a file's name")
            return None
        return self._folder / value

    def _object(self, key: str, value: Any, known: tuple[str, ...], needed: tuple[str, ...]) -> dict[str, Any] | None:
        """An object with no other keys than `known`, and all of `needed`."""
        if not isinstance(value, dict):
            self.wrong(key, value, "an object")
            return None
        for inner in value:
            if inner not in known:
                self.wrong(f"{key}.{inner}", value[inner], f"no such key; {', '.join(known)}")
        missing = [inner for inner in needed if inner not in value]
        for inner in missing:
            self.errors.append(f"{self._name}: {key}.{inner}: it is missing")
        return None if missing else value

    def _boot(self, key: str, value: Any, values: dict[str, Any]) -> None:
        boot = self._object(key, value, ("load-core-file", "core-file"), ("load-core-file",))
        if boot is None:
            return
        load, core = boot["load-core-file"], boot.get("core-file")
        if type(load) is not bool:
            self.wrong("boot.load-core-file", load, "true or false")
        elif load:
            values["core"] = self._path("boot.core-file", core)

    def _symbols(self, key: str, value: Any, values: dict[str, Any]) -> None:
        table = self._object(key, value, ("file", "asid"), ("file",))
        if table is None:
            return
        values["symbols"] = self._path("symbol-table.file", table["file"])
        self._number("asid", 0, KERNEL_ASID)("symbol-table.asid", table.get("asid", KERNEL_ASID), values)

    def _devices(self, key: str, value: Any, values: dict[str, Any]) -> None:
        names = {f"{kind}{unit}": (kind, unit) for kind in KINDS for unit in range(UNITS)}
        if not isinstance(value, dict):
            self.wrong(key, value, "an object")
            return
        devices: dict[tuple[str, int], DeviceFile] = {}
        for name, given in value.items():
            if name not in names:
                self.wrong(f"{key}.{name}", given, f"no such device; {', '.join(KINDS)} with 0 to 7 behind it")
            elif (device := self._device(f"{key}.{name}", given, names[name][0])) is not None:
                devices[names[name]] = device
        self._check_shared(devices)
        values["devices"] = devices

    def _device(self, key: str, value: Any, kind: str) -> DeviceFile | None:
        """None: it is not enabled, or wrong."""
        known = ("enabled", "file", "address") if kind == "eth" else ("enabled", "file")
        given = self._object(key, value, known, ("enabled", "file"))
        if given is None:
            return None
        if type(given["enabled"]) is not bool:
            self.wrong(f"{key}.enabled", given["enabled"], "true or false")
            return None
        address = self._address(f"{key}.address", given["address"]) if "address" in given else None
        if not given["enabled"]:
            return None
        path = self._path(f"{key}.file", given["file"])
        if path is None:
            return None
        if kind == "eth" and "://" in given["file"]:
            return DeviceFile(given["file"], address)
        return DeviceFile(str(path), address)

    def _address(self, key: str, value: Any) -> bytes | None:
        if not isinstance(value, str) or not re.fullmatch(r"([0-9a-fA-F]{1,2}:){5}[0-9a-fA-F]{1,2}", value):
            self.wrong(key, value, "a MAC address such as 02:00:00:00:00:01")
            return None
        octets = bytes(int(part, 16) for part in value.split(":"))
        if octets[0] & 1:
            self.wrong(key, value, "a unicast address (an even first octet)")
            return None
        return octets

    def _check_shared(self, devices: dict[tuple[str, int], DeviceFile]) -> None:
        """Two devices cannot have one file."""
        owners: dict[str, str] = {}
        for (kind, unit), device in devices.items():
            if kind == "eth" or device.file == "/dev/null":
                continue
            name = f"devices.{kind}{unit}"
            if device.file in owners:
                self.wrong(f"{name}.file", device.file, f"a file of its own ({owners[device.file]} has this one)")
            owners[device.file] = name
