"""The PC's ACPI tables: RSDP, RSDT, FADT, FACS, DSDT and, with an I/O APIC, MADT.

Specification: Advanced Configuration and Power Interface 1.0b (1999), chapter 5, whose tables every system takes; the
MADT is that of 2.0c (§5.2.10.4).

What they say: a PCI bus with its windows and the wiring of its interrupt pins (_PRT: fixed interrupts, so the guest
need not know how the south bridge routes), the devices of the ISA bus, how to switch off (_S5), where the PM registers
are. The machine is in ACPI mode from the start: there is no SMI command.

Theory: `Tables` lays them out one behind the other and remembers where pointers and checksums are. `placed` makes
octets for an address; `files` makes what firmware needs to place them itself (fw_cfg's `etc/table-loader`).
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from emulators.loaders import aml

OEM: Final = b"VDEFAB"
OEM_TABLE: Final = b"VDEPC   "
CREATOR: Final = b"VDE "
HEADER: Final = struct.Struct("<4sIBB6s8sI4sI")
"""signature 4, length 4, revision 1, checksum 1, OEM 6, OEM table 8, OEM revision 4, creator 4, its revision 4."""
CHECKSUM_AT: Final = 9
TABLE_ALIGNMENT: Final = 16
FACS_ALIGNMENT: Final = 64  # §5.2.6

FADT_REST: Final = struct.Struct("<IIBBHI4B8I8B4H5B3xI")
"""§5.2.5: FIRMWARE_CTRL 4, DSDT 4, INT_MODEL 1, reserved 1, SCI_INT 2, SMI_CMD 4, ACPI_ENABLE … reserved 4 × 1,
PM1a_EVT PM1b_EVT PM1a_CNT PM1b_CNT PM2_CNT PM_TMR GPE0 GPE1 8 × 4, their lengths, GPE1_BASE and a reserved one 8 × 1,
P_LVL2_LAT P_LVL3_LAT FLUSH_SIZE FLUSH_STRIDE 4 × 2, DUTY_OFFSET DUTY_WIDTH DAY_ALRM MON_ALRM CENTURY 5 × 1,
reserved 3, flags 4."""
FADT_FLAGS: Final = 1 << 0 | 1 << 2 | 1 << 4 | 1 << 5
"""WBINVD works; C1 by HLT; no fixed power button; no fixed sleep button."""
NEVER_C: Final = 0xFFF  # a latency of more than 1000 µs: no such state
RSDP: Final = struct.Struct("<8sB6sBI")
RSDP_OCTETS: Final = 20
RSDP_CHECKSUM_AT, RSDP_RSDT_AT = 8, 16
SOFT_OFF: Final = 0
"""PIIX4 (290562) §7.2.3, SUS_TYP: 000 is soft off."""

# fw_cfg's table loader, docs/specs of QEMU's hw/acpi/bios-linker-loader.c: commands of 128 octets
COMMAND_OCTETS: Final = 128
ALLOCATE, ADD_POINTER, ADD_CHECKSUM = 1, 2, 3
ZONE_HIGH, ZONE_LOW = 1, 2
TABLES_FILE, RSDP_FILE = "etc/acpi/tables", "etc/acpi/rsdp"


@dataclass(frozen=True)
class Pc:
    """What the tables tell.

    Attributes:
        power: port of the power management registers.
        sci: their interrupt.
        memory: windows of the PCI bus, first and last address.
        route: (device, pin 1 … 4) → global interrupt.
        slots: PCI devices, for which wiring is told.
        devices: ISA devices: name, identity, ports (first, count), interrupts.
        lapic, ioapic: addresses of the interrupt controllers, or 0: none.
        overrides: with them: ISA interrupt, global interrupt, level triggered.
    """

    power: int
    sci: int
    memory: Sequence[tuple[int, int]]
    route: Callable[[int, int], int]
    slots: Sequence[int]
    devices: Sequence[tuple[str, str, Sequence[tuple[int, int]], Sequence[int]]] = ()
    lapic: int = 0
    ioapic: int = 0
    overrides: Sequence[tuple[int, int, bool]] = ()


def dsdt(pc: Pc) -> bytes:
    """The definition block's body."""
    windows = [
        aml.word_range(aml.BUS, 0, 0xFF),
        aml.io(0xCF8, 8),
        aml.word_range(aml.PORTS, 0x0000, 0x0CF7),
        aml.word_range(aml.PORTS, 0x0D00, 0xFFFF),
        *(aml.memory_range(first, last, cacheable=last < 1 << 20) for first, last in pc.memory),
    ]
    wiring = [[slot << 16 | 0xFFFF, pin - 1, 0, pc.route(slot, pin)] for slot in pc.slots for pin in (1, 2, 3, 4)]
    isa = [
        aml.device(
            name,
            aml.name("_HID", aml.eisa(identity)),
            aml.name("_UID", index),
            aml.name(
                "_CRS", aml.resources(*(aml.io(*ports) for ports in places), *(aml.irq(number) for number in irqs))
            ),
        )
        for index, (name, identity, places, irqs) in enumerate(pc.devices)
    ]
    bridge = aml.device(
        "PCI0",
        aml.name("_HID", aml.eisa("PNP0A03")),
        aml.name("_ADR", 0),
        aml.name("_UID", 0),
        aml.name("_CRS", aml.resources(*windows)),
        aml.name("_PRT", wiring),
        aml.device("ISA", aml.name("_ADR", 1 << 16), *isa),
    )
    return aml.scope("_SB", bridge) + aml.name("_S5", [SOFT_OFF, SOFT_OFF, 0, 0])


def madt(pc: Pc) -> bytes:
    """One processor, one I/O APIC (2.0c §5.2.10.4)."""
    body = struct.pack("<II", pc.lapic, 1)  # PCAT_COMPAT: there are 8259s as well
    body += struct.pack("<BBBBI", 0, 8, 0, 0, 1)  # processor 0, APIC 0, enabled
    body += struct.pack("<BBBBII", 1, 12, 1, 0, pc.ioapic, 0)  # I/O APIC 1, from interrupt 0
    for isa, gsi, level in pc.overrides:
        # polarity active high (1); trigger mode edge (1) or level (3)
        body += struct.pack("<BBBBIH", 2, 10, 0, isa, gsi, 0xD if level else 0x5)
    return body + struct.pack("<BBBHB", 4, 6, 0xFF, 0, 1)  # NMI at LINT1 of all


@dataclass
class Tables:
    """Laid out for address 0.

    Attributes:
        octets: all tables but the RSDP.
        pointers: where one is, to which offset.
        checksums: where one is, over which range.
    """

    octets: bytearray = field(default_factory=bytearray)
    pointers: list[tuple[int, int]] = field(default_factory=list)
    checksums: list[tuple[int, int, int]] = field(default_factory=list)
    rsdt: int = 0

    def add(self, signature: bytes, body: bytes, revision: int = 1) -> int:
        """One table with a header; answers its offset."""
        self.octets += bytes(-len(self.octets) % TABLE_ALIGNMENT)
        at, octets = len(self.octets), HEADER.size + len(body)
        self.octets += HEADER.pack(signature, octets, revision, 0, OEM, OEM_TABLE, 1, CREATOR, 1) + body
        self.checksums.append((at + CHECKSUM_AT, at, octets))
        return at

    def placed(self, base: int) -> bytes:
        """The tables for address `base`."""
        octets = bytearray(self.octets)
        for at, target in self.pointers:
            octets[at : at + 4] = (base + target).to_bytes(4, "little")
        for at, start, count in self.checksums:
            octets[at] = -sum(octets[start : start + count]) & 0xFF
        return bytes(octets)

    def rsdp(self, base: int) -> bytes:
        """The pointer to the tables at `base`."""
        octets = bytearray(RSDP.pack(b"RSD PTR ", 0, OEM, 0, base + self.rsdt))
        octets[RSDP_CHECKSUM_AT] = -sum(octets) & 0xFF
        return bytes(octets)

    def files(self) -> dict[str, bytes]:
        """fw_cfg's files, and the script that makes firmware place them."""
        script = _allocate(TABLES_FILE, FACS_ALIGNMENT, ZONE_HIGH)
        for at, _ in self.pointers:
            script += _pointer(TABLES_FILE, TABLES_FILE, at)
        for place in self.checksums:
            script += _checksum(TABLES_FILE, *place)
        script += _allocate(RSDP_FILE, TABLE_ALIGNMENT, ZONE_LOW)
        script += _pointer(RSDP_FILE, TABLES_FILE, RSDP_RSDT_AT)
        script += _checksum(RSDP_FILE, RSDP_CHECKSUM_AT, 0, RSDP_OCTETS)
        octets = bytearray(self.octets)
        for at, target in self.pointers:
            octets[at : at + 4] = target.to_bytes(4, "little")
        rsdp = RSDP.pack(b"RSD PTR ", 0, OEM, 0, self.rsdt)
        return {TABLES_FILE: bytes(octets), RSDP_FILE: rsdp, "etc/table-loader": script}


def build(pc: Pc) -> Tables:
    """The tables of a PC."""
    tables = Tables()
    tables.octets += struct.pack("<4sIIIII40x", b"FACS", 64, 0, 0, 0, 0)  # §5.2.6
    definition = tables.add(b"DSDT", dsdt(pc))
    fadt = tables.add(
        b"FACP",
        FADT_REST.pack(
            *(0, 0, 0, 0, pc.sci, 0, 0, 0, 0, 0),
            *(pc.power, 0, pc.power + 4, 0, 0, pc.power + 8, 0, 0),
            *(4, 2, 0, 4, 0, 0, 0, 0),
            *(NEVER_C, NEVER_C, 0, 0),
            *(0, 0, 0x0D, 0, 0x32),
            FADT_FLAGS,
        ),
    )
    tables.pointers += [(fadt + HEADER.size, 0), (fadt + HEADER.size + 4, definition)]
    others = [fadt]
    if pc.ioapic:
        others.append(tables.add(b"APIC", madt(pc)))
    tables.rsdt = tables.add(b"RSDT", bytes(4 * len(others)))
    tables.pointers += [(tables.rsdt + HEADER.size + 4 * index, target) for index, target in enumerate(others)]
    return tables


def _allocate(file: str, alignment: int, zone: int) -> bytes:
    return struct.pack("<I56sIB", ALLOCATE, file.encode(), alignment, zone).ljust(COMMAND_OCTETS, b"\0")


def _pointer(where: str, to: str, at: int) -> bytes:
    return struct.pack("<I56s56sIB", ADD_POINTER, where.encode(), to.encode(), at, 4).ljust(COMMAND_OCTETS, b"\0")


def _checksum(file: str, at: int, start: int, count: int) -> bytes:
    return struct.pack("<I56sIII", ADD_CHECKSUM, file.encode(), at, start, count).ljust(COMMAND_OCTETS, b"\0")
