"""A Macintosh that comes up with Open Firmware: OpenBIOS in its ROM, told by fw_cfg what the machine is.

References: QEMU 7.2, hw/ppc/mac_oldworld.c (items, and where a kernel lies that OpenBIOS finds in memory), OpenBIOS
1.1, arch/ppc/qemu (what it reads). The firmware is not changed, and nothing is done for it.

A kernel that the user names lies in memory from the start, as QEMU puts it: vmlinux at 16 MiB, behind a gap of 1 MiB
the initial file system, and behind that its parameters. OpenBIOS enters it with its client interface in r5.
"""

import struct
from pathlib import Path
from typing import Final

from emulators.boards.mac_chipset import BUS_HZ, CLOCK_HZ, TIMEBASE_HZ, Chipset
from emulators.cpus.vm import Vm
from emulators.devices.firmware.fw_cfg import MEMORY_OCTETS, FwCfgMemory
from emulators.devices.firmware.open_firmware import ENTRY, OpenFirmware
from emulators.loaders.elf import EM_PPC, MAGIC, Elf, Segment, Symbols, place, read_elf
from emulators.loaders.mac import Hardware, check_command_line, find_kernel, tree
from vde.errors import ConfigError

OPENBIOS: Final = "openbios"
OPENBIOS_FILES: Final = (Path("/usr/share/qemu/openbios-ppc"), Path("/usr/share/openbios/openbios-ppc"))
ROM, ROM_OCTETS = 0xFFF00000, 1 << 20
FW_CFG: Final = 0xF0000510
"""mac_oldworld.c: CFG_ADDR."""

CLIENT_ENTRY, CLIENT_END = 0x3000, 0x8000
"""Of the client interface served by the host: two instructions, and a stack that ends at the second address."""
KERNEL_AT, GAP, PAGE = 0x01000000, 0x00100000, 0x1000
WIDTH, HEIGHT, DEPTH = 800, 600, 32

# Items: docs/specs/fw_cfg.rst; those of PowerPC machines have bit 15 set (include/hw/ppc/ppc.h)
UUID, MEMORY, NO_GRAPHIC, CPUS, MACHINE, KERNEL, KERNEL_SIZE, COMMAND_LINE, INITRD, INITRD_SIZE, BOOT_DEVICE = range(
    2, 13
)
MOST_CPUS: Final = 15
PPC_WIDTH, PPC_HEIGHT, PPC_DEPTH, PPC_TIMEBASE, PPC_CLOCK, PPC_IS_KVM = range(0x8000, 0x8006)
PPC_BUS: Final = 0x8009
HEATHROW: Final = 2
"""include/hw/ppc/mac.h: ARCH_HEATHROW."""
NEEDED_FOR: Final = frozenset({"disk", "cdrom", "prompt"})
"""What only firmware can start."""
BOOT_DEVICES: Final = {"kernel": "m", "disk": "c", "cdrom": "d", "prompt": "c"}


def find(given: str) -> tuple[str, bytes]:
    """The firmware's name and octets: Debian's OpenBIOS, or the user's file.

    Raises:
        ConfigError: there is none.
    """
    for path in OPENBIOS_FILES if given == OPENBIOS else (Path(given),):
        try:
            return path.name, path.read_bytes()
        except FileNotFoundError:
            if given != OPENBIOS:
                raise ConfigError(
                    f"mac: firmware {given!r}: there is no such file (openbios or a file was expected)"
                ) from None
        except OSError as error:
            raise ConfigError(f"mac: firmware {given!r}: {error.strerror}") from None
    raise ConfigError("mac: no firmware: install Debian's package qemu-system-data, or name a file (--firmware FILE)")


def variables(boot: str) -> bytes:
    """Open Firmware's variables that are not the usual ones."""
    return b"auto-boot?=false\0" if boot == "prompt" else b""


def start(
    vm: Vm,
    chipset: Chipset,
    firmware: tuple[str, bytes],
    *,
    memory_octets: int,
    kernel: tuple[str, bytes] | None,
    initrd: tuple[str, bytes] | None,
    command_line: str,
    boot: str,
    screen: bool,
) -> Symbols:
    """Put firmware into the ROM and what it starts into memory, and tell it; answers the firmware's symbols.

    Args:
        screen: its console is the display and the keyboard, not the serial line.

    Raises:
        ConfigError: something does not fit, or is none.
    """
    if boot == "kernel" and kernel is None:
        raise ConfigError("mac: --boot kernel: which one? --kernel FILE, or --image linux-ppc")
    rom = _rom(firmware)
    vm.add_memory(ROM, ROM_OCTETS, readonly=True)
    place(rom, firmware[0], vm, lambda address: address)
    way = boot or ("kernel" if kernel else "disk")
    items = {
        UUID: bytes(16),
        MEMORY: struct.pack("<Q", memory_octets),
        NO_GRAPHIC: struct.pack("<H", not screen),
        CPUS: struct.pack("<H", 1),
        MOST_CPUS: struct.pack("<H", 1),
        MACHINE: struct.pack("<H", HEATHROW),
        BOOT_DEVICE: struct.pack("<H", ord(BOOT_DEVICES[way])),
        PPC_WIDTH: struct.pack("<H", WIDTH),
        PPC_HEIGHT: struct.pack("<H", HEIGHT),
        PPC_DEPTH: struct.pack("<H", DEPTH),
        PPC_TIMEBASE: struct.pack("<I", TIMEBASE_HZ),
        PPC_CLOCK: struct.pack("<I", CLOCK_HZ),
        PPC_BUS: struct.pack("<I", BUS_HZ),
        PPC_IS_KVM: struct.pack("<I", 0),
    }
    if kernel is not None and way in ("kernel", "prompt"):
        items |= _preload(vm, memory_octets, kernel, initrd, check_command_line(command_line))
    fw_cfg = FwCfgMemory(items=items, files={})
    chipset.pci.memory.map(FW_CFG, MEMORY_OCTETS, fw_cfg, name="fw_cfg")
    chipset.devices["fw_cfg"] = fw_cfg
    return rom.symbols


def start_asking(
    vm: Vm,
    chipset: Chipset,
    *,
    memory_octets: int,
    kernel: tuple[str, bytes],
    initrd: bytes | None,
    command_line: str,
    hardware: Hardware,
) -> tuple[dict[str, int], OpenFirmware]:
    """Put a kernel into memory that asks Open Firmware (`open_firmware`); answers its registers, and who answers it.

    Raises:
        ConfigError: something does not fit, or is none.
    """
    name, octets = kernel
    elf = find_kernel(octets, name, memory_octets)
    first = min(segment.address for segment in elf.segments)
    end = place(elf, name, vm, lambda address: address - first + KERNEL_AT)
    initrd_at = _page(end + GAP)
    if initrd:
        _put(vm, initrd_at, initrd, "initrd")
    _put(vm, CLIENT_ENTRY, ENTRY, "client interface")
    root = tree(hardware, memory_octets=memory_octets, command_line=check_command_line(command_line))
    taken = [(0, CLIENT_END), (KERNEL_AT, _page(end) - KERNEL_AT)]
    taken += [(initrd_at, _page(len(initrd)))] if initrd else []
    services = OpenFirmware(
        root=root,
        dma=chipset.dma,
        memory_octets=memory_octets,
        taken=taken,
        out=chipset.outside.console("serial0").out,
        timeline=chipset.timeline,
        ended=lambda how: chipset.events.halt(0, f"Open Firmware: {how}"),
    )
    chosen = root.find("/chosen")
    assert chosen is not None
    chosen["stdout"] = services.open("/pci/mac-io/escc/ch-a")
    chosen["stdin"] = services.open("/pci/mac-io/escc/ch-a")
    chipset.devices["open-firmware"] = services
    registers = {"pc": elf.entry - first + KERNEL_AT, "r1": CLIENT_END - 0x100, "r5": CLIENT_ENTRY}
    return registers | {"r3": initrd_at if initrd else 0, "r4": len(initrd) if initrd else 0}, services


def _rom(firmware: tuple[str, bytes]) -> Elf:
    """An ELF file that is linked into the ROM, or the octets that end at its end."""
    name, octets = firmware
    if not octets.startswith(MAGIC):
        if not 0 < len(octets) <= ROM_OCTETS:
            raise ConfigError(f"mac: firmware {name!r}: {len(octets)} octets; the ROM has {ROM_OCTETS}")
        at = (1 << 32) - len(octets)
        return Elf(0, (Segment(at, at, octets, len(octets)),), Symbols())
    rom = read_elf(octets, name, machine=EM_PPC, big_endian=True)
    for segment in rom.segments:
        if segment.address < ROM:
            raise ConfigError(f"mac: firmware {name!r} is linked at {segment.address:#x}, not in the ROM ({ROM:#x})")
    return rom


def _preload(
    vm: Vm, memory_octets: int, kernel: tuple[str, bytes], initrd: tuple[str, bytes] | None, command_line: str
) -> dict[int, bytes]:
    name, octets = kernel
    elf = find_kernel(octets, name, memory_octets)
    first = min(segment.address for segment in elf.segments)
    end = place(elf, name, vm, lambda address: address - first + KERNEL_AT)
    at = _page(end + GAP)
    items = {KERNEL: struct.pack("<I", KERNEL_AT), KERNEL_SIZE: struct.pack("<I", end - KERNEL_AT)}
    parts = [(initrd[0], initrd[1], (INITRD, INITRD_SIZE))] if initrd else []
    for what, data, (item, size) in parts:
        _put(vm, at, data, what)
        items |= {item: struct.pack("<I", at), size: struct.pack("<I", len(data))}
        at = _page(at + len(data))
    _put(vm, at, command_line.encode("ascii") + b"\0", "kernel parameters")
    return items | {COMMAND_LINE: struct.pack("<I", at)}


def _put(vm: Vm, at: int, data: bytes, what: str) -> None:
    try:
        vm.write(at, data)
    except ValueError:
        raise ConfigError(
            f"{what}: {len(data)} octets at {at:#x} are not in the machine's memory: give it more"
        ) from None


def _page(address: int) -> int:
    return address + PAGE - 1 & ~(PAGE - 1)
