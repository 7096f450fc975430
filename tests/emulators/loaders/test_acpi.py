"""The PC's ACPI tables: sums, pointers, and what ACPICA's disassembler reads in them."""

import struct
import subprocess
from pathlib import Path

import pytest

from emulators.loaders import acpi, aml
from tests.tools import NeedTool

BASE = 0xE0040


def tables(*, apic: bool = False) -> acpi.Tables:
    return acpi.build(
        acpi.Pc(
            power=0x600,
            sci=9,
            memory=[(0xA0000, 0xBFFFF), (0x80000000, 0xFEBFFFFF)],
            route=lambda device, pin: (10, 10, 11, 11)[(device - 1 + pin - 1) % 4],
            slots=range(1, 32),
            devices=[("RTC", "PNP0B00", [(0x70, 2)], [8]), ("COM1", "PNP0501", [(0x3F8, 8)], [4])],
            lapic=0xFEE00000 if apic else 0,
            ioapic=0xFEC00000 if apic else 0,
            overrides=[(0, 2, False), (9, 9, True)],
        )
    )


def at(octets: bytes, address: int) -> bytes:
    """The table at a physical address."""
    start = address - BASE
    (length,) = struct.unpack_from("<I", octets, start + 4)
    return octets[start : start + length]


@pytest.mark.parametrize("apic", [False, True])
def test_everything_is_found_from_the_pointer(apic: bool) -> None:
    built = tables(apic=apic)
    octets, rsdp = built.placed(BASE), built.rsdp(BASE)
    assert rsdp[:8] == b"RSD PTR "
    assert sum(rsdp) & 0xFF == 0
    rsdt = at(octets, struct.unpack_from("<I", rsdp, 16)[0])
    others = [at(octets, place) for (place,) in struct.iter_unpack("<I", rsdt[36:])]
    assert [table[:4] for table in others] == [b"FACP", b"APIC"] if apic else [b"FACP"]
    facs, dsdt = struct.unpack_from("<II", others[0], 36)
    assert facs % 64 == 0
    assert at(octets, facs)[:4] == b"FACS"
    for table in (rsdt, *others, at(octets, dsdt)):
        assert sum(table) & 0xFF == 0, table[:4]


def test_firmware_places_them_with_the_script() -> None:
    """As SeaBIOS does it: allocate, add addresses, add sums."""
    files = tables().files()
    places = {acpi.TABLES_FILE: 0x7FF0000, acpi.RSDP_FILE: 0xF5000}
    memory = {name: bytearray(files[name]) for name in places}
    script, allocated = files["etc/table-loader"], []
    assert len(script) % 128 == 0
    for start in range(0, len(script), 128):
        (command,), body = struct.unpack_from("<I", script, start), script[start + 4 : start + 128]

        def name(offset: int, body: bytes = body) -> str:
            return body[offset : offset + 56].split(b"\0")[0].decode()

        match command:
            case acpi.ALLOCATE:
                allocated.append(name(0))
            case acpi.ADD_POINTER:
                where, size = struct.unpack_from("<IB", body, 112)
                value = int.from_bytes(memory[name(0)][where : where + size], "little") + places[name(56)]
                memory[name(0)][where : where + size] = value.to_bytes(size, "little")
            case acpi.ADD_CHECKSUM:
                where, first, count = struct.unpack_from("<III", body, 56)
                memory[name(0)][where] = -sum(memory[name(0)][first : first + count]) & 0xFF
            case _:
                raise AssertionError(command)
    assert sorted(allocated) == sorted(places)
    assert bytes(memory[acpi.TABLES_FILE]) == tables().placed(0x7FF0000)
    assert bytes(memory[acpi.RSDP_FILE]) == tables().rsdp(0x7FF0000)


@pytest.mark.interop
def test_acpica_reads_them(need_tool: NeedTool, tmp_path: Path) -> None:
    iasl = need_tool("iasl")
    octets = tables(apic=True).placed(BASE)
    shown = {}
    for where, first, count in tables(apic=True).checksums:
        table = octets[first : first + count]
        path = tmp_path / f"{table[:4].decode()}.dat"
        path.write_bytes(table)
        done = subprocess.run([iasl, "-d", path], capture_output=True, text=True, check=True, timeout=60)
        assert "rror" not in done.stdout + done.stderr, where
        shown[table[:4]] = path.with_suffix(".dsl").read_text()
    dsdt = shown[b"DSDT"]
    for words in ('EisaId ("PNP0A03")', "_S5, Package", "Range Minimum", 'EisaId ("PNP0501")', "Package (0x7C)"):
        assert words in dsdt
    assert "Sub-Table" in shown[b"APIC"] or "Subtable Type : 01 [I/O APIC]" in shown[b"APIC"]
    assert "PM Timer Block Address : 00000608" in shown[b"FACP"]
    source = tmp_path / "DSDT.dsl"
    done = subprocess.run([iasl, "-p", tmp_path / "again", source], capture_output=True, text=True, timeout=60)
    assert " 0 Errors" in done.stdout, done.stdout
    assert (tmp_path / "again.aml").read_bytes()[36:] == (tmp_path / "DSDT.dat").read_bytes()[36:]


@pytest.mark.parametrize("octets", [0, 61, 62, 63, 4092, 4093, 4094, 70_000, 1_048_570, 2_000_000])
def test_package_lengths(octets: int) -> None:
    encoded = aml.length(octets)
    extra = encoded[0] >> 6
    value = encoded[0] & 0x3F if not extra else encoded[0] & 0xF | int.from_bytes(encoded[1:], "little") << 4
    assert value == octets + len(encoded)
    assert len(encoded) == 1 + extra


def test_identities() -> None:
    assert aml.eisa("PNP0A03") == 0x030AD041
