"""The Malta board with small programs: memory map, lines, start, power, time, saved states, bad input."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulators import board as boards
from emulators.boards import malta, malta_rom
from emulators.boards.malta import BOARD, Params, build
from emulators.device import Irq
from emulators.dma import Dma
from emulators.machine import Done, Fault, Idle, Machine, PoweredOff, Reset
from emulators.outside import Bench, MemoryDisk
from emulators.snapshot import SnapshotError
from tests.emulators.boards.bare_mips import A0, ENTRY, FPGA, PORTS, SYSTEM, T1, V0, ZERO, Program
from tests.emulators.loaders.elf_file import elf
from tests.emulators.spinning import spin_texts
from vde.errors import ConfigError

MS = malta.TICKS_HZ // 1000
SECOND = malta.TICKS_HZ
SMALL = Params(memory=32 << 20)


def start(program: Program, path: Path, params: Params = SMALL, outside: Bench | None = None) -> tuple[Machine, Bench]:
    outside = outside or Bench(nic_count=len(params.nics))
    return build(replace(params, kernel=program.kernel(path / "kernel")), outside), outside


def idle(path: Path, params: Params = SMALL) -> Machine:
    program = Program()
    program.stop()
    return start(program, path, params)[0]


def said(outside: Bench) -> bytes:
    return bytes(outside.written["serial0"])


def test_a_program_speaks_and_switches_off(tmp_path: Path) -> None:
    program = Program()
    program.say(b"hello\n")
    program.power_off()
    machine, outside = start(program, tmp_path)
    assert machine.run_for(SECOND) == PoweredOff(0)
    assert said(outside) == b"hello\n"
    assert machine.end == PoweredOff(0)


def test_the_monitor_gives_arguments(tmp_path: Path) -> None:
    program = Program()
    program.say_hex(4)  # a0: how many
    program.i("lw", A0, 5, 4)  # a1[1]
    program.i("lbu", A0, A0, 3)
    program.say_hex(A0)
    program.say_hex(7)  # a3
    program.power_off()
    machine, outside = start(program, tmp_path, replace(SMALL, append="abcd=1"))
    machine.run_for(SECOND)
    assert said(outside) == b"00000002" + b"%08x" % ord("d") + b"%08x" % (32 << 20)


@pytest.mark.parametrize("how", ["fpga", "port cf9", "keyboard", "jump"])
def test_ways_to_reset(how: str, tmp_path: Path) -> None:
    program = Program()
    if how == "fpga":
        program.put("sw", FPGA + 0x500, 0x42)
    elif how == "port cf9":
        program.put("sb", PORTS + 0xCF9, 0x06)
    elif how == "keyboard":
        program.put("sb", PORTS + 0x64, 0xFE)
    else:
        program.li(T1, 0xBFC00000)
        program.word(T1 << 21 | 0x08)  # jr t1
        program.word(0)
    program.stop()
    machine, _ = start(program, tmp_path)
    assert machine.run_for(SECOND) == Reset()


def test_the_board_says_what_it_is(tmp_path: Path) -> None:
    program = Program()
    program.get("lw", 0xBFC00010, A0)
    program.say_hex(A0)
    program.power_off()
    machine, outside = start(program, tmp_path)
    machine.run_for(SECOND)
    assert int(said(outside), 16) >> 10 & 0x3F == 1  # Core LV


def test_the_memory_map(tmp_path: Path) -> None:
    machine = idle(tmp_path)
    bus = machine.bus
    bus.write(0x1F000418, 4, ord("V"))
    assert machine.devices["fpga"].state()["text"].startswith(b"V")
    assert bus.read(0x1F000900 + 5 * 8, 4) == 0x60  # the CBUS UART's LSR
    assert bus.read(0x1E000010, 4) == malta_rom.REVISION_VALUE  # flash: the boot code
    assert bus.read(0x180003FD, 1) == 0x60  # serial0's LSR
    assert bus.read(0x18000021, 1) == 0  # 8259
    assert bus.read(0x180001F7, 1) == 0xFF  # no IDE drive
    assert bus.read(0x1F200000, 4) == 0  # nothing
    assert machine.vm.read(malta_rom.BOOT_ROM + malta_rom.REVISION, 4) == malta_rom.REVISION_VALUE.to_bytes(4, "little")


def scan(machine: Machine) -> dict[str, str]:
    """What a kernel finds on the PCI bus."""
    found = {}
    for devfn in range(256):
        machine.bus.write(0x1BE00CF8, 4, 1 << 31 | devfn << 8)
        identity = machine.bus.read(0x1BE00CFC, 4)
        if identity != 0xFFFFFFFF:
            found[f"{devfn >> 3}.{devfn & 7}"] = f"{identity & 0xFFFF:04x}:{identity >> 16:04x}"
    return found


FIXED = {"0.0": "11ab:4620", "10.0": "8086:7110", "10.1": "8086:7111", "10.3": "8086:7113"}


def test_cards_are_in_their_places(tmp_path: Path) -> None:
    assert scan(idle(tmp_path, replace(SMALL, rng=False))) == FIXED
    params = replace(SMALL, nics=("pcnet", "virtio"), virtio_console=True)
    expected = {"11.0": "1022:2000", "12.0": "1af4:1000", "18.0": "1af4:1005", "19.0": "1af4:1003"}
    assert scan(idle(tmp_path, params)) == FIXED | expected


def test_many_cards_share_slots_in_their_order(tmp_path: Path) -> None:
    machine = idle(tmp_path, replace(SMALL, nics=("virtio", "pcnet") * 4, rng=False))
    found = [(place, identity) for place, identity in scan(machine).items() if place not in FIXED]
    assert [place for place, _ in found] == ["11.0", "12.0", "18.0", "18.1", "19.0", "19.1", "20.0", "21.0"]
    assert [identity for _, identity in found] == ["1af4:1000", "1022:2000"] * 4
    machine.bus.write(0x1BE00CF8, 4, 1 << 31 | 18 << 11 | 0x0C)
    assert machine.bus.read(0x1BE00CFC, 4) >> 16 & 0x80  # several functions


def test_cards_have_different_addresses_that_the_user_may_choose(tmp_path: Path) -> None:
    params = replace(SMALL, nics=("virtio", "pcnet", "virtio"))
    own = bytes.fromhex("020000000001")
    program = Program()
    program.stop()
    machine, _ = start(program, tmp_path, params, Bench(nic_count=3, macs={1: own}))
    macs = [machine.devices[f"nic{index}"].mac for index in range(3)]  # type: ignore[attr-defined]
    assert macs[1] == own
    assert len(set(macs)) == 3
    assert all(mac[0] & 3 == 2 for mac in macs)  # locally administered, of one station


def test_disks_are_plugged_in(tmp_path: Path) -> None:
    program = Program()
    program.stop()
    disks = Bench(disk_list=[MemoryDisk(bytes(1 << 20)), MemoryDisk(bytes(512))])
    machine, _ = start(program, tmp_path, replace(SMALL, disks=("virtio", "virtio"), rng=False), disks)
    assert {"disk0", "disk1"} <= set(machine.devices)
    assert list(scan(machine).values()).count("1af4:1001") == 2


def test_too_many_cards(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="35 cards; there is room for 34"):
        idle(tmp_path, replace(SMALL, nics=("virtio",) * 34))


def test_pci_interrupts_arrive_by_the_south_bridge_and_the_8259(tmp_path: Path) -> None:
    """A card in slot 18 asserts INTA#: PIRQA, input 10, vector as programmed, processor line 2."""
    levels: list[tuple[int, bool]] = []
    board = made(
        replace(SMALL, nics=("virtio",) * 3, rng=False), lambda line: lambda level: levels.append((line, level))
    )
    for base, vector in ((0x18000020, 0x00), (0x180000A0, 0x08)):
        board.bus.write(base, 1, 0x11)
        for value in (vector, 4 if vector == 0 else 2, 1, 0):
            board.bus.write(base + 1, 1, value)
    levels.clear()
    card = board.devices["nic2"]
    card.set_interrupt(True)  # type: ignore[attr-defined]
    assert (2, True) in levels
    assert board.bus.read(0x1BE00C34, 4) == 10
    card.set_interrupt(False)  # type: ignore[attr-defined]
    for base in (0x180000A0, 0x18000020):
        board.bus.write(base, 1, 0x20)
    assert levels[-1] == (2, False)


class _NoMemory:
    def read(self, gpa: int, octets: int, /) -> bytes:
        raise ValueError(gpa)

    def write(self, gpa: int, data: bytes, /) -> None:
        raise ValueError(gpa)


@pytest.mark.parametrize(
    ("device", "pin", "line"), [(11, 1, 1), (12, 1, 2), (18, 1, 0), (19, 1, 1), (20, 2, 3), (21, 4, 2)]
)
def test_interrupt_wiring_is_that_of_the_board(device: int, pin: int, line: int) -> None:
    """Against Linux arch/mips/pci/fixup-malta.c: A, B, C, D are 0, 1, 2, 3."""
    assert malta.route(device, pin) == line


def spin_on_the_clock() -> Program:
    """As Linux measures its processor: two beginnings of "update in progress", Count between them."""
    program = Program()

    def wait(level: int, name: str) -> None:
        program.label(name)
        program.put("sb", PORTS + 0x70, 0x0A)
        program.get("lbu", PORTS + 0x71, V0)
        program.i("andi", V0, V0, 0x80)
        program.branch("bne" if level == 0 else "beq", V0, ZERO, name)

    for turn in range(2):
        wait(0, f"low{turn}")
        wait(1, f"high{turn}")
        program.word(0x40004800 | (A0 + turn) << 16)  # mfc0 a0 or a1, Count
    program.word((A0 + 1) << 21 | A0 << 16 | A0 << 11 | 0x23)  # subu a0, a1, a0
    program.say_hex(A0)
    program.power_off()
    return program


def test_a_spin_on_the_clock_takes_a_second_of_virtual_time_and_few_accesses(tmp_path: Path) -> None:
    machine, outside = start(spin_on_the_clock(), tmp_path)
    assert machine.run_for(5 * SECOND) == PoweredOff(0)
    count = int(said(outside), 16)
    assert abs(count - SECOND // 2) < 200  # Count goes at half the rate; two rounds of the loop
    assert machine.exits < 2000
    assert machine.cpu.icount < 20_000


def test_the_clock_shows_the_given_date(tmp_path: Path) -> None:
    machine = idle(tmp_path, replace(SMALL, date=86_400 * 365))
    machine.bus.write(0x18000070, 1, 9)
    assert machine.bus.read(0x18000071, 1) == 0x71


def test_an_idle_machine_wakes_for_its_timers(tmp_path: Path) -> None:
    machine = idle(tmp_path)
    assert isinstance(machine.run_for(10 * MS), Idle | Done)
    assert machine.cpu.ticks == 10 * MS


def test_runs_are_repeatable_however_they_are_cut(tmp_path: Path) -> None:
    whole, _ = start(spin_on_the_clock(), tmp_path)
    whole.run_for(3 * SECOND)
    pieces, _ = start(spin_on_the_clock(), tmp_path)
    for _ in range(4000):
        if not isinstance(pieces.run_for(MS * 3 // 4), Done | Idle):
            break
    assert pieces.end == whole.end
    assert pieces.cpu.ticks == whole.cpu.ticks
    assert pieces.state_hash() == whole.state_hash()


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, SECOND - SECOND // 100))
def test_a_machine_goes_on_as_it_was_saved(tmp_path: Path, at: int) -> None:
    params = replace(SMALL, nics=("pcnet", "virtio"), virtio_console=True)
    first, outside = start(spin_on_the_clock(), tmp_path, params)
    assert first.run_for(at) == Done(), "it powers itself off after a second"
    saved = first.snapshot()
    second, again = start(spin_on_the_clock(), tmp_path, params)
    second.restore(saved)
    assert second.state_hash() == first.state_hash()
    written = len(said(outside))
    first.run_for(3 * SECOND)
    second.run_for(3 * SECOND)
    assert second.state_hash() == first.state_hash()
    assert said(again) == said(outside)[written:]


def test_a_snapshot_of_other_options_is_refused(tmp_path: Path) -> None:
    saved = idle(tmp_path, replace(SMALL, nics=("pcnet",))).snapshot()
    with pytest.raises(SnapshotError, match="give the options that it had"):
        idle(tmp_path).restore(saved)


def test_memory_beyond_the_low_256_mib_is_where_linux_looks_for_it(tmp_path: Path) -> None:
    machine = idle(tmp_path, replace(SMALL, memory=320 << 20))
    assert machine.vm.read(0x90000000 + (64 << 20) - 4, 4) == bytes(4)
    assert machine.bus.read(0x90000000 + (64 << 20), 4) == 0  # nothing


def test_bus_masters_do_not_reach_the_boot_rom(tmp_path: Path) -> None:
    machine = idle(tmp_path)
    ram = malta.Ram(machine.vm, machine.memory)  # type: ignore[arg-type]
    ram.write(0x1000, b"x")
    assert ram.read(0x1000, 1) == b"x"
    for call in (lambda: ram.write(malta_rom.BOOT_ROM, b"x"), lambda: ram.read(malta_rom.BOOT_ROM, 4)):
        with pytest.raises(ValueError, match=str(malta_rom.BOOT_ROM)):
            call()


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        (b"\x1f\x8b not a kernel", "kernel: not an ELF file"),
        (elf([(0x80100000, b"x", 1)], 0x80100000, machine=3), "a program for i386, not for MIPS"),
        (elf([(0x80100000, b"x", 1)], 0x80100000, order=">"), "big-endian, not little-endian"),
        (elf([(0x8F000000, b"x", 1)], 0x8F000000), "not in the machine's memory"),
        (elf([(0x80100000, b"x", 0x7FF00000)], 0x80100000), "not in the machine's memory"),
    ],
)
def test_what_is_no_kernel_is_said(contents: bytes, text: str, tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(contents)
    with pytest.raises(ConfigError, match=text):
        build(replace(SMALL, kernel=tmp_path / "kernel"), Bench())


def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--kernel FILE"):
        build(SMALL, Bench())
    with pytest.raises(ConfigError, match=r"malta: kernel '.*none': No such file"):
        build(replace(SMALL, kernel=tmp_path / "none"), Bench())
    program = Program()
    program.stop()
    with pytest.raises(ConfigError, match=r"malta: initrd '.*': Is a directory"):
        start(program, tmp_path, replace(SMALL, initrd=tmp_path))


def test_options_are_checked() -> None:
    assert boards.find("malta") is BOARD
    assert BOARD.read({"memory": "64M"}).memory == 64 << 20
    with pytest.raises(ConfigError, match="memory"):
        BOARD.read({"memory": "1M"})
    with pytest.raises(ConfigError, match="date"):
        BOARD.read({"date": "-1"})


@pytest.mark.parametrize("address", [0x1FC00000, 0x1E000000, 0x40000000, 0xA0000000])
def test_writes_where_nothing_can_be_written(address: int, tmp_path: Path) -> None:
    """To ROM, to flash, to nowhere: the program goes on."""
    program = Program()
    if address < 0x20000000:
        program.put("sw", 0xA0000000 | address, 0x12345678)
    else:
        program.put("sw", SYSTEM + 0x48, 0)  # the I/O window away, and back
        program.put("sw", SYSTEM + 0x48, 0xC0)
        program.put("sw", SYSTEM + 0xF0, 0)
    program.say(b"on")
    program.power_off()
    machine, outside = start(program, tmp_path)
    assert machine.run_for(SECOND) == PoweredOff(0)
    assert said(outside) == b"on"
    assert machine.vm.read(0x1FC00000, 4) == malta_rom.boot_rom()[:4]


def jump(program: Program, address: int) -> None:
    program.li(T1, address)
    program.word(T1 << 21 | 0x08)  # jr t1
    program.word(0)


def handlers(program: Program, *vectors: int) -> None:
    """Put the octets behind the label `handler` (two instructions) there, and let exceptions go there."""
    for vector in vectors:
        for at, word in enumerate((0x08000000 | ENTRY + HANDLER_OCTETS >> 2 & 0x3FFFFFF, 0)):  # j; nop
            program.put("sw", 0x80000000 + vector + 4 * at, word)
    program.word(0x40806000)  # mtc0 zero, Status: BEV = 0


HANDLER_OCTETS = 0x400
"""From the entry."""


def handler(program: Program) -> None:
    """What follows is the handlers' code."""
    program.stop()
    while len(program.code()) < HANDLER_OCTETS:
        program.word(0)


@pytest.mark.parametrize("address", [0xA2000000, 0xBE800000, 0x40000000])
def test_a_jump_into_the_void_is_a_bus_error_and_does_not_slide_over_nops(address: int, tmp_path: Path) -> None:
    """Where no memory is, in a hole of the memory map; and where the TLB has nothing, which was no question."""
    program = Program()
    handlers(program, 0x000, 0x180)
    jump(program, address)
    handler(program)
    program.word(0x40026800)  # mfc0 v0, Cause
    program.word(0x40037000)  # mfc0 v1, EPC
    program.say_hex(V0)
    program.say_hex(3)
    program.power_off()
    machine, outside = start(program, tmp_path)
    assert machine.run_for(SECOND) == PoweredOff(0)
    cause, epc = int(said(outside)[:8], 16), int(said(outside)[8:], 16)
    assert (cause >> 2 & 0x1F, epc) == (2 if address < 0x80000000 else 6, address)


def test_a_load_from_nowhere_gets_0_as_it_does_with_qemu(tmp_path: Path) -> None:
    program = Program()
    program.get("lw", 0xBF800000, V0)
    program.say_hex(V0)
    program.power_off()
    machine, outside = start(program, tmp_path)
    assert machine.run_for(SECOND) == PoweredOff(0)
    assert said(outside) == b"00000000"


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0x8C080001, r"exception AdEL at pc 0x80100000 \(start\): lw t0,1\(zero\), address 0x00000001;"),
        (0x8C080000, r"exception TLBL at pc 0x80100000 \(start\): lw t0,0\(zero\), address 0x00000000;"),
        (0x0000000C, r"exception Sys at pc 0x80100000 \(start\): syscall;"),
        (0x7C000003, r"exception RI at pc 0x80100000 \(start\): "),
    ],
)
def test_an_exception_before_there_are_handlers_ends_with_its_place(word: int, text: str, tmp_path: Path) -> None:
    program = Program()
    program.word(word)
    machine, _ = start(program, tmp_path)
    end = machine.run_for(SECOND)
    assert isinstance(end, Fault)
    assert re.match(text, end.text)
    assert end.text.endswith("the guest has no handlers in place (Status.BEV = 1)")


def test_a_jump_into_the_void_before_there_are_handlers_ends_with_its_place(tmp_path: Path) -> None:
    program = Program()
    program.li(T1, 0xA2000000)
    program.word(T1 << 21 | 31 << 11 | 0x09)  # jalr t1
    program.word(0)
    machine, _ = start(program, tmp_path)
    end = machine.run_for(SECOND)
    assert isinstance(end, Fault)
    assert end.text.startswith("exception IBE at pc 0xa2000000, ra 0x80100010 (start+0x10); ")


def test_sdbbp_of_a_guest_without_a_debugger_does_nothing(tmp_path: Path) -> None:
    program = Program()
    program.word(0x7000003F | malta_rom.UNHANDLED << 6)
    program.word(0x7000003F)
    program.say(b"on")
    program.power_off()
    machine, outside = start(program, tmp_path)
    assert machine.run_for(SECOND) == PoweredOff(0)
    assert said(outside) == b"on"


def test_a_tlb_handler_that_misses_the_tlb_itself_is_told_as_spinning(tmp_path: Path) -> None:
    """A refill within the handler of a refill goes to the general vector (MD00090, 6.2.8); there it misses again."""
    program = Program()
    handlers(program, 0x000, 0x180)
    program.get("lw", 0x40000000, V0)
    handler(program)
    program.get("lw", 0x40001000, V0)
    machine, _ = start(program, tmp_path)
    text = spin_texts(machine)[0]
    assert text.startswith("spinning at pc 0x80")
    assert re.search(r", in the exception at pc 0x801000[0-9a-f]{2} \(start", text)


device_addresses = st.one_of(
    st.integers(0x10000000, 0x1FFFFFF8),
    st.integers(0x18000000, 0x18000500),
    st.integers(0x1BE00000, 0x1BE00FF8),
    st.integers(0x1F000000, 0x1F000FF8),
    st.just(0x1BE00CFC),
)


def made(params: Params, ip: Callable[[int], Irq] = lambda line: lambda level: None) -> malta.Board:
    """A board without processor and memory."""
    return malta.Board(params, Bench(nic_count=len(params.nics)), ip, Dma(_NoMemory()))


@pytest.mark.fuzz
@given(
    st.lists(
        st.tuples(st.booleans(), device_addresses, st.sampled_from((1, 2, 4, 8)), st.integers(0, (1 << 64) - 1)),
        max_size=200,
    )
)
def test_nonsense_in_every_register_leaves_a_board(accesses: list[tuple[bool, int, int, int]]) -> None:
    params = replace(SMALL, nics=("pcnet", "virtio"), virtio_console=True)
    board = made(params)
    board.bus.write(0x1BE00CF8, 4, 0x80000000 | 10 << 11)
    for write, address, size, value in accesses:
        if write:
            board.bus.write(address, size, value & (1 << 8 * size) - 1)
        else:
            assert 0 <= board.bus.read(address, size) < 1 << 8 * size
    twin = made(params)
    for name, device in board.devices.items():
        carried = msgpack.unpackb(msgpack.packb(device.state(), use_bin_type=True), raw=False)
        twin.devices[name].from_state(carried)
    assert {n: d.state() for n, d in twin.devices.items()} == {n: d.state() for n, d in board.devices.items()}
