"""Debian's SeaBIOS on our board: what it finds, what it says, what it starts; iPXE as a card's firmware."""

from pathlib import Path

import pytest

from emulators.boards.pc import TICKS_HZ, Params, build
from emulators.machine import Done, Idle, Reset
from emulators.outside import Bench

pytestmark = [pytest.mark.interop]
SEABIOS = Path("/usr/share/seabios")
IPXE = Path("/usr/lib/ipxe/qemu/pxe-pcnet.rom")
STEP = TICKS_HZ // 20


def run_until(params: Params, text: bytes, *, seconds: float, console: str = "debug") -> Bench:
    outside = Bench(nic_count=len(params.nics))
    machine = build(params, outside)
    shown = outside.written[console]
    while text not in shown:
        assert isinstance(machine.run_for(STEP), Done | Idle), bytes(shown[-2000:])
        assert machine.cpu.ticks < seconds * TICKS_HZ, bytes(shown[-2000:])
    return outside


@pytest.fixture(autouse=True)
def firmware() -> None:
    if not (SEABIOS / "bios-256k.bin").exists():
        pytest.skip("seabios is not installed (setup/packages)")


def test_it_finds_the_machine_and_nothing_to_start() -> None:
    params = Params(memory=32 << 20, nics=("virtio", "pcnet"))
    outside = run_until(params, b"No bootable device", seconds=30)
    said = bytes(outside.written["debug"])
    for text in (
        b"Running on QEMU (i440fx)",
        b"QEMU fw_cfg DMA interface supported",
        b"addr 0x0000000000000000 len 0x0000000002000000 [RAM]",
        b"Moving pm_base to 0x600",
        b"PIIX3/PIIX4 init: elcr=00 0c",
        b"Using pmtimer, ioport 0x608",
        b"ACPI: parse DSDT at ",
        b"Found 2 serial ports",
        b"PS2 keyboard initialized",
    ):
        assert text in said, said.decode(errors="replace")
    assert b"SeaBIOS (version" in outside.written["serial0"]


def test_the_smaller_image_starts_as_well() -> None:
    outside = run_until(Params(memory=32 << 20, firmware=SEABIOS / "bios.bin"), b"No bootable device", seconds=30)
    assert b"Using pmtimer" in outside.written["debug"] or b"Running on QEMU" in outside.written["debug"]


def test_without_anything_to_start_it_resets_after_a_minute() -> None:
    machine = build(Params(memory=16 << 20), outside := Bench())
    for _ in range(20 * 70):
        outcome = machine.run_for(STEP)
        if not isinstance(outcome, Done | Idle):
            break
    assert outcome == Reset(), bytes(outside.written["debug"][-1000:])


def test_a_cards_firmware_starts_from_the_network() -> None:
    if not IPXE.exists():
        pytest.skip("ipxe-qemu is not installed (setup/packages)")
    params = Params(memory=32 << 20, nics=("pcnet",), boot="network", option_rom=(str(IPXE),))
    outside = run_until(params, b"starting execution", seconds=60, console="serial0")
    assert b"Running option rom" in outside.written["debug"]
    assert b"iPXE (http://ipxe.org)" in outside.written["serial0"]
