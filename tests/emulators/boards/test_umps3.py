"""The umps3 board with kernels of a few words: how machines end, what is wired where, saved machines."""

import json
import re
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulators import board
from emulators.board import Needs
from emulators.boards import umps3
from emulators.loaders import umps
from emulators.machine import Done, Halted, Machine, Outcome, PoweredOff
from emulators.outside import Bench, MemoryDisk
from tests.emulators.spinning import spin_texts
from tests.emulators.umps import tiny
from tests.emulators.umps.tiny import A0, A1, HALT, NOP, PANIC, POWER_OFF, T0, T1, T2, V0, bne, load, lw, ori, sb, sw
from vde.errors import ConfigError

PATIENCE_TICKS = 2_000_000
BOOT_INSTRUCTIONS = 2 + 20
"""Of our boot ROM: the branch and its slot, and from `begin` to the jump's slot."""


def run(machine: Machine, ticks: int = PATIENCE_TICKS) -> Outcome:
    outcome = machine.run_for(ticks)
    assert machine.cpu.ticks <= PATIENCE_TICKS
    return outcome


def test_the_board_is_found_with_its_options() -> None:
    spec = board.find("umps3")
    assert spec.consoles[:2] == ("terminal0", "terminal1")
    assert "printer7" in spec.consoles
    with pytest.raises(ConfigError, match="config is missing"):
        spec.read({})
    with pytest.raises(ConfigError, match="rom: 'other'"):
        spec.read({"config": "m.json", "rom": "other"})


def test_halt(tmp_path: Path) -> None:
    machine, bench = tiny.make(tmp_path, HALT)
    assert run(machine) == Halted(umps3.HALTED, "System halted")
    assert bench.written["terminal0"] == b"System halted \n"


def test_panic(tmp_path: Path) -> None:
    machine, bench = tiny.make(tmp_path, PANIC)
    end = run(machine)
    assert isinstance(end, Halted)
    assert end.code == umps3.PANICKED
    assert end.text.startswith("kernel panic(): exception Bp at pc 0x2000"), end.text
    assert bench.written["terminal0"] == b"kernel panic()\n"


def test_panic_without_a_terminal(tmp_path: Path) -> None:
    machine, _ = tiny.make(tmp_path, PANIC, {"devices": {}})
    end = run(machine)
    assert isinstance(end, Halted)
    assert (end.code, end.text.partition(":")[0]) == (umps3.PANICKED, "kernel panic()")


@pytest.mark.parametrize("rate", [1, 3])
def test_power_off_takes_a_millisecond(tmp_path: Path, rate: int) -> None:
    machine, _ = tiny.make(tmp_path, POWER_OFF, {"clock-rate": rate})
    assert run(machine) == PoweredOff(0)
    assert 1000 * rate < machine.cpu.ticks < 1000 * rate + 60


@pytest.mark.parametrize(
    ("code", "exception"),
    [
        ([*load(T0, 0x3000_0000), tiny.jr(T0), NOP], "IBE at pc 0x30000000, ra 0x"),  # to where nothing is
        ([*load(T0, 0x0000_0000), sw(T0, T0, 0), NOP], "DBE at pc 0x2000"),  # into the ROM
        ([*load(T0, 0x1FC0_0000), sw(T0, T0, 0), NOP], r"DBE at pc 0x2000\w+: sw t0,0\(t0\)"),
        ([*load(T0, 0x2004_0000), lw(T1, T0, 0), NOP], "DBE at pc 0x2000"),  # behind RAM
        ([*load(T0, 0x1000_0518), lw(T1, T0, 0), NOP], "DBE at pc 0x2000"),  # behind the bus registers
        ([0xFFFF_FFFF], "RI at pc 0x2000"),
        # a service that does not exist, and a kernel without a handler
        ([ori(A0, 0, 9), tiny.BREAK, NOP], r"Bp at pc 0x2000\w+: break"),
    ],
)
def test_a_kernel_without_handlers_panics_at_an_exception(tmp_path: Path, code: list[int], exception: str) -> None:
    machine, _ = tiny.make(tmp_path, code)
    end = run(machine)
    assert isinstance(end, Halted)
    assert end.code == umps3.PANICKED
    assert re.match(rf"kernel panic\(\): exception {exception}", end.text), end.text


def test_a_handler_that_is_nowhere_is_told_as_spinning(tmp_path: Path) -> None:
    """An exception at the handler itself begins it again, for ever: at first in the ROM, and then where nothing is."""
    nowhere = [*load(T0, 0x0FFF_F900), *load(T1, 0x3000_0000), *(sw(T1, T0, 4 * word) for word in range(4))]
    machine, _ = tiny.make(tmp_path, [*nowhere, 0xFFFF_FFFF])
    (text,) = spin_texts(machine)
    assert re.match(r"spinning at pc 0x\w+, in the exception at pc 0x30000000", text), text


def test_the_machine_describes_itself(tmp_path: Path) -> None:
    registers = (0x00, 0x04, 0x08, 0x10, 0x1C, 0x24, 0x28, 0x3C)
    code = [*load(T0, 0x1000_0000), *load(T1, 0x2000_2000)]
    for at, register in enumerate(registers):
        code += [lw(T2, T0, register), NOP, sw(T2, T1, 4 * at)]
    config = {"clock-rate": 2, "num-ram-frames": 16, "tlb-floor-address": "0x80000000"}
    machine, _ = tiny.make(tmp_path, code + HALT, config)
    assert isinstance(run(machine), Halted)
    found = struct.unpack("<8I", machine.vm.read(0x2000_2000, 32))
    assert found[:4] == (0x2000_0000, 16 * 4096, 0, 0x1FC0_0000)
    assert found[5:] == (2, 0x8000_0000, 1)
    assert found[4] == BOOT_INSTRUCTIONS + 4 + 3 * 4 + 1  # the clock is the number of the instruction that reads it


def test_a_store_of_an_octet_is_a_whole_command(tmp_path: Path) -> None:
    code = [*load(T0, 0x1000_0254), ori(T1, 0, ord("B") << 8 | 2), sw(T1, T0, 12)]
    code += [lw(T2, T0, 8), ori(V0, 0, 3), bne(T2, V0, 2), NOP, 0x1000_FFFB, NOP]  # while busy
    code += [ori(T1, 0, 2), sb(T1, T0, 12), *HALT]
    machine, bench = tiny.make(tmp_path, code)
    assert isinstance(run(machine), Halted)
    assert bench.written["terminal0"].startswith(b"BB")


def test_a_second_processor_is_started_with_a_state(tmp_path: Path) -> None:
    """INITCPU by hand: the state's address goes to the processor's place for states, then it is reset to 0x100."""
    second = 0x2000_3000
    state = 0x2000_2000
    code = [*load(T0, state), *load(T1, 0x0FFF_F000), sw(T0, T1, 140)]
    code += [*load(T2, second), sw(T2, T0, 12), ori(T2, 0, 0x77), sw(T2, T0, 16 + 3 * 4)]  # EPC, and register 4
    code += [*load(T0, 0x1000_0500), ori(T1, 0, 0x100), sw(T1, T0, 8), ori(T1, 0, 1), sw(T1, T0, 4)]
    code += [*load(T1, 0x2000_4000), lw(T2, T1, 0), NOP, bne(T2, 0, 3), NOP, 0x1000_FFFB, NOP, *HALT]
    machine, _ = tiny.make(tmp_path, code, {"num-processors": 2})
    other = [*load(T1, 0x2000_4000), sw(A0, T1, 0), NOP, 0x4200_0020, 0x1000_FFFE, NOP]  # WAIT for ever
    machine.vm.write(second, struct.pack(f"<{len(other)}I", *other))
    assert run(machine) == Halted(umps3.HALTED, "System halted")
    assert machine.vm.read(0x2000_4000, 4) == b"\x77\0\0\0"


DRIVES = {
    "disk2": {"enabled": True, "file": "d.umps"},
    "flash7": {"enabled": True, "file": "f.umps"},
    "eth3": {"enabled": True, "file": "/run/sw", "address": "02:00:00:00:00:33"},
    "eth5": {"enabled": True, "file": "udp://1->host:2"},
    "printer1": {"enabled": True, "file": "p.umps"},
    "terminal0": {"enabled": True, "file": "t0.umps"},
    "terminal6": {"enabled": True, "file": "t6.umps"},
}
DISK = struct.pack("<7I", umps.DISK, 1, 1, 2, 16_666, 100, 80) + bytes(2 * 4096)
FLASH = struct.pack("<3I", umps.FLASH, 2, 1000) + bytes(2 * 4096)


def test_what_it_wants_of_the_outside(tmp_path: Path) -> None:
    tiny.make(tmp_path, HALT)
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"devices": DRIVES}))
    assert umps3.needs(umps3.Params(path)) == Needs(
        {
            "printer1": f"file:{tmp_path}/p.umps",
            "terminal6": f"file:{tmp_path}/t6.umps",
        },
        ("vde:///run/sw", "udp://1->host:2"),
        ((tmp_path / "d.umps", True), (tmp_path / "f.umps", True)),
    )


def test_devices_are_where_their_names_say(tmp_path: Path) -> None:
    bench = Bench([MemoryDisk(DISK), MemoryDisk(FLASH)], 2)
    machine, _ = tiny.make(tmp_path, HALT, {"devices": DRIVES}, bench=bench)
    registers = 0x1000_0000
    assert [machine.bus.read(registers + 0x2C + 4 * line, 4) for line in range(5)] == [4, 0x80, 0x28, 2, 0x41]
    disk, flash = (registers + 0x54 + 16 * (8 * line + unit) for line, unit in ((0, 2), (1, 7)))
    assert (machine.bus.read(disk + 12, 4), machine.bus.read(flash + 12, 4)) == (1 << 16 | 1 << 8 | 2, 2)
    bench.cables[1].on_frame(bytes(60))  # type: ignore[misc]
    assert len(machine.devices["eth5"].state()["queue"]) == 1
    assert machine.devices["eth3"].state()["address"] == bytes.fromhex("020000000033")
    bench.consoles["terminal6"].on_input(b"typed")  # type: ignore[misc]
    assert machine.devices["terminal6"].state()["waiting"] == b"typed"


def test_more_networks_than_cards(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"3 networks, but .*m.json has 2 eth devices"):
        tiny.make(tmp_path, HALT, {"devices": DRIVES}, bench=Bench([MemoryDisk(DISK), MemoryDisk(FLASH)], 3))


@pytest.mark.parametrize(
    ("disk", "text"),
    [(b"", "0 octets"), (FLASH, "a uMPS3 flash drive file; a disk file"), (DISK[:-1], "its header says 2 blocks")],
)
def test_damaged_drives(tmp_path: Path, disk: bytes, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        tiny.make(tmp_path, HALT, {"devices": DRIVES}, bench=Bench([MemoryDisk(disk), MemoryDisk(FLASH)], 2))


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"boot": {"load-core-file": True, "core-file": "none"}}, "boot.core-file: .*none.*No such file"),
        ({"symbol-table": {"file": "none"}}, "symbol-table.file: .*none.*No such file"),
        ({"symbol-table": {"file": "m.json"}}, "no uMPS3 file"),
        ({"boot": {"load-core-file": True, "core-file": "m.json"}}, "no uMPS3 file"),
    ],
)
def test_files_that_are_not_what_they_should_be(tmp_path: Path, config: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        tiny.make(tmp_path, HALT, config)


def test_roms(tmp_path: Path) -> None:
    tiny.make(tmp_path, HALT)
    path = tmp_path / "m.json"
    path.write_text('{"execution-rom": "none.rom.umps"}')
    with pytest.raises(ConfigError, match=r"none\.rom\.umps.*No such file"):
        umps3.build(umps3.Params(path), Bench())
    path.write_text('{"execution-rom": "bad.rom.umps"}')
    (tmp_path / "bad.rom.umps").write_bytes(struct.pack("<3I", umps.ROM, 2, 1))
    with pytest.raises(ConfigError, match="a ROM of 2 words, of which the file has 1"):
        umps3.build(umps3.Params(path), Bench())


def test_a_rom_of_ones_own_that_ends_at_once(tmp_path: Path) -> None:
    """Behind a ROM's last word is nothing, though a page is the least that memory has."""
    words = [0x1000_0003, NOP, NOP, NOP, *load(T0, 16 + 4 * 9), lw(T1, T0, 0), NOP, 0x1000_FFFF]
    (tmp_path / "e.rom.umps").write_bytes(umps.make_rom(struct.pack(f"<{len(words)}I", *words)))
    config = {"execution-rom": "e.rom.umps", "num-ram-frames": 8}
    (tmp_path / "kernel.core.umps").write_bytes(tiny.core_file(HALT))
    path = tmp_path / "m.json"
    path.write_text(json.dumps(config))
    machine = umps3.build(umps3.Params(path), Bench())
    assert machine.bus.read(0x1000_000C, 4) == 4 * len(words)
    with pytest.raises(ValueError, match="at 0x24"):
        umps3.GuestMemory(machine.vm, [(0, 36)], []).read(36, 4)  # type: ignore[arg-type]


BUSY = [
    *load(T0, 0x1000_0000),
    *load(T1, 0x2000_2000),
    ori(T2, 0, 0x4102),
    sw(T2, T0, 0x260),
    lw(A1, T0, 0x1C),
    lw(V0, T0, 0x25C),
    sw(A1, T1, 0),
    sw(V0, T1, 4),
    bne(T0, 0, -6),
    NOP,
]
"""Transmits, and stores the clock and the status, for ever."""


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.integers(0, 3000), cuts=st.lists(st.integers(1, 700), max_size=8))
def test_a_machine_saved_anywhere_goes_on_to_the_same_state(tmp_path: Path, before: int, cuts: list[int]) -> None:
    end = 6000
    whole, _ = tiny.make(tmp_path, BUSY)
    assert whole.run_for(end) == Done()
    machine, _ = tiny.make(tmp_path, BUSY)
    machine.run_for(before)
    for cut in cuts:
        saved = machine.snapshot()
        machine, _ = tiny.make(tmp_path, BUSY)
        machine.restore(saved)
        machine.run_for(min(cut, end - machine.cpu.ticks))
    machine.run_for(end - machine.cpu.ticks)
    assert machine.cpu.ticks == whole.cpu.ticks == end
    assert machine.state_hash() == whole.state_hash()


def test_symbols_are_in_messages(tmp_path: Path) -> None:
    stab = struct.pack("<I", umps.STAB) + b"00000001 00000000\nmain :FUN:0x200010B0:0x00000100:GLB\n"
    (tmp_path / "kernel.stab.umps").write_bytes(stab)
    machine, _ = tiny.make(tmp_path, HALT)
    assert machine.symbol(tiny.ENTRY + 4) == "main+0x4"
    assert re.match("main", machine.symbol(tiny.ENTRY) or "")
