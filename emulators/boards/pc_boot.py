"""The ways in which a PC comes up: Linux by the 32-bit protocol, a multiboot kernel, or firmware.

Without firmware, what it would have done is done here: `Chipset.firmware_done`, the memory map, the ACPI tables below
1 MiB. With firmware, the same facts are told through fw_cfg (`emulators.devices.firmware.fw_cfg`), the boot order
through the clock's memory.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from emulators.boards.pc_chipset import (
    CMOS_BOOT_1,
    CMOS_BOOT_2,
    FIRST_SLOT,
    GSI_TIMER,
    IOAPIC_AT,
    IRQ_CLOCK,
    IRQ_COM1,
    IRQ_COM2,
    IRQ_KEYBOARD,
    IRQ_MOUSE,
    IRQ_SCI,
    IRQ_TIMER,
    LAPIC_AT,
    LAST_SLOT,
    PIRQ_TO_IRQ,
    POWER_PORTS,
    SOUTH_BRIDGE,
    Chipset,
    line,
)
from emulators.devices.firmware.fw_cfg import PORTS, FwCfg
from emulators.loaders import acpi, bzimage, multiboot, rom
from emulators.loaders.bzimage import Booted
from vde.errors import ConfigError

FW_CFG: Final = 0x510
SEABIOS: Final = (Path("/usr/share/seabios/bios-256k.bin"), Path("/usr/share/qemu/bios-256k.bin"))
VGA_BIOS: Final = (Path("/usr/share/seabios/vgabios-stdvga.bin"), Path("/usr/share/vgabios/vgabios.bin"))

IPXE: Final = Path("/usr/lib/ipxe/qemu")
NO_CARD: Final = (0, 0)
IPXE_NAMES: Final = {"ne2000": "ne2k_pci"}
"""Where its names are not ours."""
TRANSITIONAL: Final = {(0x1AF4, 0x1041): (0x1AF4, 0x1000)}
"""VIRTIO 1.2 §4.1.2.1: a network card's numbers, which Debian's ROM names, and those of one that can be driven both
ways, as ours; iPXE's driver takes either."""

LOW_END, EBDA, UPPER, HIGH = 0xA0000, 0x9FC00, 0xE0000, 0x100000
BDA_MEMORY_K: Final = 0x413
PCI_IO: Final = (0xC000, 0xFEFF)
PCI_MEMORY_END: Final = 0xFEBFFFFF
"""Behind it: I/O APIC, local APIC, firmware."""
PCI_MEMORY_STARTS: Final = (0x80000000, 0xC0000000)
"""Where SeaBIOS puts cards (src/fw/pciinit.c), by how much memory there is."""

BOOT_TYPES: Final = {"floppy": 1, "disk": 2, "cdrom": 3, "network": 4}
"""SeaBIOS src/boot.c: nibbles of the boot order in CMOS memory."""
BOOT_ORDERS: Final = {
    "disk": ("disk", "cdrom", "floppy"),
    "cdrom": ("cdrom", "disk", "floppy"),
    "floppy": ("floppy", "disk", "cdrom"),
    "network": ("network", "disk", "cdrom"),
}

# fw_cfg's items that are not files: docs/specs/fw_cfg.rst and include/standard-headers/linux/qemu_fw_cfg.h
ITEM_UUID, ITEM_MEMORY, ITEM_NO_GRAPHIC, ITEM_CPUS, ITEM_BOOT_MENU, ITEM_MOST_CPUS = 2, 3, 4, 5, 0xE, 0xF

DEVICES: Final = (
    ("RTC", "PNP0B00", ((0x70, 2),), (IRQ_CLOCK,)),
    ("KBD", "PNP0303", ((0x60, 1), (0x64, 1)), (IRQ_KEYBOARD,)),
    ("MOU", "PNP0F13", (), (IRQ_MOUSE,)),
)
SERIAL_DEVICES: Final = (
    ("COM1", "PNP0501", ((0x3F8, 8),), (IRQ_COM1,)),
    ("COM2", "PNP0501", ((0x2F8, 8),), (IRQ_COM2,)),
    ("COM3", "PNP0501", ((0x3E8, 8),), (IRQ_COM1,)),
    ("COM4", "PNP0501", ((0x2E8, 8),), (IRQ_COM2,)),
)


def memory_map(memory_octets: int) -> list[tuple[int, int, int]]:
    """What is where: address, octets, type."""
    return [
        (0, EBDA, bzimage.E820_RAM),
        (EBDA, LOW_END - EBDA, bzimage.E820_RESERVED),
        (UPPER, HIGH - UPPER, bzimage.E820_RESERVED),
        (HIGH, memory_octets - HIGH, bzimage.E820_RAM),
    ]


def pci_memory(memory_octets: int) -> tuple[int, int]:
    """The addresses for cards."""
    return next(start for start in PCI_MEMORY_STARTS if memory_octets <= start), PCI_MEMORY_END


def tables(memory_octets: int, serial_ports: int, *, apic: bool) -> acpi.Tables:
    """The ACPI tables."""
    return acpi.build(
        acpi.Pc(
            power=POWER_PORTS,
            sci=IRQ_SCI,
            memory=[(0xA0000, 0xBFFFF), pci_memory(memory_octets)],
            route=line,
            slots=[SOUTH_BRIDGE, *range(FIRST_SLOT, LAST_SLOT + 1)],
            devices=[*DEVICES, *SERIAL_DEVICES[:serial_ports]],
            lapic=LAPIC_AT if apic else 0,
            ioapic=IOAPIC_AT if apic else 0,
            overrides=[(IRQ_TIMER, GSI_TIMER, False)]
            + [(number, number, True) for number in sorted({IRQ_SCI, *PIRQ_TO_IRQ})],
        )
    )


def boot_kernel(
    vm: bzimage.Memory,
    chipset: Chipset,
    *,
    memory_octets: int,
    kernel: tuple[str, bytes],
    initrd: tuple[str, bytes] | None,
    modules: Sequence[tuple[str, bytes, str]],
    command_line: str,
    decompress: bool,
    serial_ports: int,
    text_screen: bool,
    screen_info: Callable[[], bytes] = lambda: b"",
) -> Booted:
    """Put a kernel into memory, as firmware and boot loader would have.

    Raises:
        ConfigError: it is no kernel for a PC, or something does not fit.
    """
    chipset.firmware_done(io=PCI_IO, memory=pci_memory(memory_octets))
    built = tables(memory_octets, serial_ports, apic=chipset.lapic is not None)
    at = UPPER + acpi.FACS_ALIGNMENT
    vm.write(UPPER, built.rsdp(at))
    vm.write(at, built.placed(at))
    vm.write(BDA_MEMORY_K, (EBDA >> 10).to_bytes(2, "little"))
    name, octets = kernel
    if bzimage.is_bzimage(octets):
        if modules:
            raise ConfigError(f"pc: {name} is a Linux kernel, which takes an initrd, not modules")
        return bzimage.boot(
            vm,
            memory_octets=memory_octets,
            kernel=octets,
            kernel_name=name,
            memory_map=memory_map(memory_octets),
            initrd=None if initrd is None else initrd[1],
            initrd_name="initrd" if initrd is None else initrd[0],
            command_line=command_line,
            decompress=decompress,
            seed=chipset.outside.entropy(32),
            rsdp=UPPER,
            text_screen=text_screen,
            screen_info=screen_info(),
        )
    if multiboot.find_header(octets) is not None:
        given = [] if initrd is None else [(initrd[0], initrd[1], "")]
        return multiboot.boot(
            vm,
            memory_octets=memory_octets,
            kernel=octets,
            kernel_name=name,
            memory_map=memory_map(memory_octets),
            modules=[*given, *modules],
            command_line=" ".join(filter(None, [name, command_line])),
        )
    raise ConfigError(f"pc: {name}: neither a Linux kernel for PCs (bzImage) nor one with a multiboot header")


def find_firmware(given: Path | None) -> bytes:
    """The BIOS: the user's, or Debian's.

    Raises:
        ConfigError: there is none, or it cannot be one.
    """
    for path in SEABIOS if given is None else (given,):
        try:
            return rom.check_bios(path.read_bytes(), str(path))
        except FileNotFoundError:
            if given is not None:
                raise ConfigError(f"pc: firmware {str(path)!r}: there is no such file") from None
        except OSError as error:
            raise ConfigError(f"pc: firmware {str(path)!r}: {error.strerror}") from None
    raise ConfigError("pc: no firmware: install Debian's package seabios, or name a file (--firmware FILE)")


def network_roms(models: Sequence[str]) -> tuple[str, ...]:
    """iPXE for each model of network card that it has firmware for.

    Raises:
        ConfigError: for none of them.
    """
    paths = [IPXE / f"pxe-{IPXE_NAMES.get(model, model)}.rom" for model in dict.fromkeys(models)]
    found = tuple(str(path) for path in paths if path.exists())
    if models and not found:
        raise ConfigError(
            f"pc: --boot network: no firmware for {', '.join(dict.fromkeys(models))}: install Debian's package "
            "ipxe-qemu (which has none for an ne2000-isa), or name a file (--option-rom FILE)"
        )
    return found


def option_files(roms: Sequence[tuple[str, bytes]], cards: Sequence[tuple[int, int]] = ()) -> Mapping[str, bytes]:
    """fw_cfg's names for option ROMs, by which SeaBIOS finds the card that they are for.

    Args:
        roms: file names and contents.
        cards: vendors and devices of the network cards. A ROM for PCI that names no card (Debian's for the RTL8029)
            is for the first of them that has none of its own.

    Raises:
        ConfigError: one is damaged.
    """
    files = {}
    identities = [rom.pci_identity(rom.check_option(image, name)) for name, image in roms]
    for index, identity in enumerate(identities):
        older = TRANSITIONAL.get(identity) if identity is not None else None
        if older in cards and identity not in cards:
            identities[index] = older
    without = [card for card in dict.fromkeys(cards) if card not in identities]
    for (name, image), identity in zip(roms, identities, strict=True):
        if identity == NO_CARD and without:
            identity = without.pop(0)
        # a name that fits fw_cfg and is nobody else's
        files["genroms/" + name[-40:] if identity is None else "pci{:04x},{:04x}.rom".format(*identity)] = image
    return files


def prepare_firmware(chipset: Chipset, *, memory_octets: int, boot: str, serial_ports: int, vga: bool) -> FwCfg:
    """Tell firmware what the machine is. `chipset.files` is complete by now."""
    first, second, third = (BOOT_TYPES[kind] for kind in BOOT_ORDERS[boot])
    chipset.cmos[CMOS_BOOT_2] = second << 4 | first
    chipset.cmos[CMOS_BOOT_1] |= third << 4
    e820 = b"".join(bzimage.E820_ENTRY.pack(*area) for area in [(0, memory_octets, bzimage.E820_RAM)])
    files = {
        "etc/e820": e820,
        **tables(memory_octets, serial_ports, apic=chipset.lapic is not None).files(),
        **chipset.files,
    }
    if serial_ports:
        files["etc/sercon-port"] = struct.pack("<Q", 0x3F8)  # the BIOS' own text, beside a screen or without
    items = {
        ITEM_UUID: bytes(16),
        ITEM_MEMORY: struct.pack("<Q", memory_octets),
        ITEM_NO_GRAPHIC: struct.pack("<H", 0 if vga else 1),
        ITEM_CPUS: struct.pack("<H", 1),
        ITEM_BOOT_MENU: struct.pack("<H", 0),
        ITEM_MOST_CPUS: struct.pack("<H", 1),
    }
    fw_cfg = FwCfg(items=items, files=files, dma=chipset.dma)
    chipset.io.map(FW_CFG, PORTS, fw_cfg, name="fw_cfg")
    chipset.devices["fw_cfg"] = fw_cfg
    return fw_cfg
