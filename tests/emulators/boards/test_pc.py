"""The PC with small programs: ways to start, ports, interrupts, power, time, saved states, bad input."""

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from emulators import board as boards
from emulators.boards import pc
from emulators.boards.pc import BOARD, Params, build
from emulators.cpus.i386 import Vm
from emulators.dma import Dma, DmaFault
from emulators.machine import Idle, Machine, PoweredOff, Region, Reset
from emulators.outside import Bench, MemoryDisk
from emulators.snapshot import SnapshotError
from tests.emulators.boards.bare_i386 import FOREVER, Program, bios, say16
from tests.emulators.loaders.linux_image import bzimage
from vde.errors import ConfigError

SECOND = pc.TICKS_HZ
MS = SECOND // 1000
SMALL = Params(memory=4 << 20)
IDT = 0x200000


def start(program: Program, path: Path, params: Params = SMALL) -> tuple[Machine, Bench]:
    outside = Bench(nic_count=len(params.nics), disk_list=[MemoryDisk(bytes(4096)) for _ in params.disks])
    return build(replace(params, kernel=program.kernel(path / "kernel")), outside), outside


def from_firmware(code: bytes, path: Path, params: Params = SMALL) -> tuple[Machine, Bench]:
    image, outside = path / "bios", Bench()
    image.write_bytes(bios(code))
    return build(replace(params, firmware=image), outside), outside


def said(outside: Bench, console: str = "serial0") -> bytes:
    return bytes(outside.written[console])


def idle(path: Path, params: Params = SMALL) -> Machine:
    program = Program()
    program.stop()
    return start(program, path, params)[0]


def test_a_program_speaks_and_switches_off(tmp_path: Path) -> None:
    program = Program()
    program.say(b"hello\n")
    program.power_off()
    machine, outside = start(program, tmp_path)
    assert machine.run_for(SECOND) == PoweredOff(0)
    assert said(outside) == b"hello\n"


def test_firmware_starts_below_4_gib_and_speaks(tmp_path: Path) -> None:
    machine, outside = from_firmware(say16(b"bios") + b"\xfa\xf4", tmp_path)
    assert isinstance(machine.run_for(MS), Idle)
    assert said(outside, "debug") == b"bios"
    assert machine.vm.read(0xFFFF0, 5) == b"\xea\x00\x00\x00\xf0"
    ram = Dma(pc.Ram(vm, [Region("memory", 0, 0x100000)])) if isinstance(vm := machine.vm, Vm) else None
    assert ram is not None
    with pytest.raises(DmaFault):
        ram.read(0xFFFFFFF0, 16)


@pytest.mark.parametrize(
    ("port", "value", "size"), [(0xCF9, 0x06, 1), (0x92, 0x01, 1), (0x64, 0xFE, 1)], ids=["cf9", "port 92", "keyboard"]
)
def test_ways_to_reset(port: int, value: int, size: int, tmp_path: Path) -> None:
    program = Program()
    program.out(port, value, size)
    program.stop()
    assert start(program, tmp_path)[0].run_for(SECOND) == Reset()


def test_a_triple_fault_resets(tmp_path: Path) -> None:
    program = Program()
    at = program.here
    program.code(b"\x0f\x0b")  # ud2, without an IDT
    program.stop()
    assert start(program, tmp_path)[0].run_for(SECOND) == Reset(f"triple fault at pc {at:#010x}, ud2")


def test_the_kernel_finds_its_information(tmp_path: Path) -> None:
    program = Program()
    program.code(b"\x89\xde")  # mov esi, ebx
    program.say_hex()  # eax
    program.code(b"\x8b\x46\x08")  # mov eax, [esi + 8]: mem_upper
    program.say_hex()
    program.code(b"\x8b\x46\x18\x8b\x00")  # mov eax, [esi + 24]: mods_addr; mov eax, [eax]
    program.code(b"\x8b\x00")  # the module's first word
    program.say_hex()
    program.power_off()
    (tmp_path / "ram").write_bytes(b"\x78\x56\x34\x12")
    _, outside = machine = start(program, tmp_path, replace(SMALL, module=(f"{tmp_path / 'ram'},words",)))
    assert machine[0].run_for(SECOND) == PoweredOff(0)
    assert said(outside) == b"2badb002" + b"%08x" % (3 << 10) + b"12345678"


def test_configuration_space_and_cards_have_addresses(tmp_path: Path) -> None:
    program = Program()
    for devfn, register in ((0, 0), (0x08, 0), (0x0B, 0), (0x18, 0x10), (0x18, 0x3C)):
        program.out(0xCF8, 0x80000000 | devfn << 8 | register, 4)
        program.read(0xCFC, 4)
        program.say_hex()
    program.power_off()
    machine, outside = start(program, tmp_path, replace(SMALL, nics=("pcnet",)))
    assert machine.run_for(SECOND) == PoweredOff(0)
    words = [int(said(outside)[at : at + 8], 16) for at in range(0, 40, 8)]
    assert words[:3] == [0x12378086, 0x70008086, 0x71138086]
    assert words[3] & 1
    assert 0xC000 <= words[3] & ~3 <= 0xFEFF
    assert words[4] & 0xFFFF == 0x010B  # pin A of slot 3, behind the display: PIRQC, interrupt 11


def gate(handler: int) -> bytes:
    return struct.pack("<HHBBH", handler & 0xFFFF, 0x10, 0, 0x8E, handler >> 16)


def ticking(program: Program, *, count: int, port: int = 0x40) -> None:
    """Interrupt 0 by the timer, `count` clocks a period; the handler says `.`; the processor waits in between."""
    jump = program.here
    handler = jump + 5
    body = b"\x50\x52\x66\xba\xf8\x03\xb0\x2e\xee\xb0\x20\xe6\x20\x5a\x58\xcf"  # push; '.' → 3f8; EOI; pop; iret
    program.code(b"\xe9" + struct.pack("<I", len(body)), body)
    entry = gate(handler)
    for at in (0, 4):
        program.store(IDT + 0x20 * 8 + at, int.from_bytes(entry[at : at + 4], "little"))
    program.store(IDT + 0x800, 0x7FF | (IDT & 0xFFFF) << 16)
    program.store(IDT + 0x804, IDT >> 16)
    program.code(b"\x0f\x01\x1d" + struct.pack("<I", IDT + 0x800))  # lidt
    for to, value in ((0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0x21, 0xFE)):
        program.out(to, value)
    for to, value in ((0x43, 0x34), (port, count & 0xFF), (port, count >> 8)):
        program.out(to, value)
    program.code(b"\xfb\xf4\xeb\xfd")  # sti; hlt; jmp to hlt


def test_the_timer_interrupts_a_waiting_processor(tmp_path: Path) -> None:
    program = Program()
    ticking(program, count=11932)  # 100 Hz
    machine, outside = start(program, tmp_path)
    assert isinstance(machine.run_for(SECOND), Idle)
    assert len(said(outside)) == 100
    assert machine.cpu.icount < 10_000
    assert machine.cpu.ticks == SECOND


def test_time_is_the_same_however_it_is_cut(tmp_path: Path) -> None:
    program = Program()
    ticking(program, count=1193)
    whole, _ = start(program, tmp_path)
    whole.run_for(100 * MS)
    cut, _ = start(program, tmp_path)
    for ticks in (1, 7, 12345, 999_983, 100 * MS - 1 - 7 - 12345 - 999_983):
        cut.run_for(ticks)
    assert cut.state_hash() == whole.state_hash()


def test_a_machine_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    program = Program()
    ticking(program, count=1193)
    params = replace(SMALL, nics=("virtio", "pcnet"), disks=("virtio",), apic=True)
    first, outside = start(program, tmp_path, params)
    first.run_for(33 * MS + 77)
    saved = first.snapshot()
    second, twin = start(program, tmp_path, params)
    second.restore(saved)
    assert second.state_hash() == first.state_hash()
    for machine in (first, second):
        machine.run_for(20 * MS)
    assert second.state_hash() == first.state_hash()
    assert said(outside).endswith(said(twin))
    assert len(said(twin)) >= 19
    with pytest.raises(SnapshotError, match="other devices"):
        start(program, tmp_path)[0].restore(saved)


def test_shadow_memory_of_firmware_is_saved(tmp_path: Path) -> None:
    # mov eax, 0x80000058; mov dx, 0xcf8; out dx, eax; mov dx, 0xcfd; mov al, 0x30; out dx, al: F0000 is memory
    code = b"\x66\xb8\x58\x00\x00\x80\xba\xf8\x0c\x66\xef\xba\xfd\x0c\xb0\x20\xee"
    code += b"\x2e\xc6\x06\x00\x80\x55"  # mov byte [cs:0x8000], 0x55: to the memory behind
    code += b"\xfa\xf4"
    machine, _ = from_firmware(code, tmp_path)
    machine.run_for(MS)
    assert machine.vm.read(0xF8000, 1) == b"\0"
    second, _ = from_firmware(code, tmp_path)
    second.restore(machine.snapshot())
    assert second.state_hash() == machine.state_hash()
    pc_bridge = second.devices["i440fx"]
    pc_bridge.write(0x59, 1, 0x30)
    assert second.vm.read(0xF8000, 1) == b"\x55"


def test_a_guest_that_hangs_is_still_there(tmp_path: Path) -> None:
    program = Program()
    program.code(b"\xfa", FOREVER)
    machine, _ = start(program, tmp_path)
    machine.run_for(10 * MS)
    assert machine.cpu.state()["eip"] == program.here - 2
    assert not machine.cpu.state()["eflags"] & 0x200


def test_address_line_20(tmp_path: Path) -> None:
    program = Program()
    program.store(0x5000, 0x11111111)
    program.store(0x105000, 0x22222222)
    for off in ((0x92, 0x00),):
        program.out(*off)
    program.load(0x105000)
    program.code(b"\x89\xc6")  # mov esi, eax
    program.out(0x92, 0x02)
    program.code(b"\x89\xf0")  # mov eax, esi
    program.say_hex()
    program.load(0x105000)
    program.say_hex()
    program.power_off()
    # the code itself is at 1 MiB, which is at 0 while the line is off: it is put there as well
    machine, outside = start(program, tmp_path)
    machine.vm.write(0, program.octets())
    assert machine.run_for(SECOND) == PoweredOff(0)
    assert said(outside) == b"1111111122222222"


def test_a_kernel_that_cannot_be_unpacked_is_told(tmp_path: Path) -> None:
    kernel = tmp_path / "vmlinuz"
    kernel.write_bytes(bzimage(b"\x02\x21\x4c\x18 lz4"))
    params = Params(kernel=kernel, memory=32 << 20)
    (note,) = build(params, Bench()).notes
    assert note.startswith("vmlinuz: ")
    assert note.endswith(": it is started as it is")
    assert build(replace(params, decompress=False), Bench()).notes == ()


def test_consoles_and_cables_lead_to_the_devices(tmp_path: Path) -> None:
    program = Program()
    program.out(0xE9, ord("!"))
    program.out(0x2F8, ord("2"))
    program.out(0x3E8, ord("3"))
    program.power_off()
    machine, outside = start(program, tmp_path, replace(SMALL, serial_ports=3, nics=("virtio",)))
    assert machine.run_for(SECOND) == PoweredOff(0)
    assert (said(outside, "debug"), said(outside, "serial1"), said(outside, "serial2")) == (b"!", b"2", b"3")
    assert outside.cables[0].on_frame is not None
    assert {"nic0", "rng", "serial2"} <= set(machine.devices)


def test_the_board_is_found_with_its_options() -> None:
    assert boards.find("pc") is BOARD
    params = BOARD.read({"memory": "64M", "cpu": "pentium2", "apic": True, "module": ["a"], "nics": ["pcnet"]})
    assert (params.memory, params.cpu, params.module) == (64 << 20, "pentium2", ("a",))
    with pytest.raises(ConfigError, match="486 or pentium or pentium2 or pentium3 was expected"):
        BOARD.read({"cpu": "z80"})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"kernel": "missing"}, "kernel '.*missing': No such file"),
        ({"kernel": "garbage"}, "neither a Linux kernel for PCs .bzImage. nor one with a multiboot header"),
        ({"boot": "kernel", "kernel": None}, "--boot kernel: which one"),
        ({"firmware": "garbage"}, "--firmware has no part in --boot kernel"),
        ({"kernel": None, "firmware": "missing"}, "there is no such file"),
        ({"kernel": None, "firmware": "garbage"}, "firmware of 9 octets; a multiple of 64K"),
        ({"memory": (4 << 20) + 1}, "whole MiB were expected"),
        ({"module": ("missing",)}, "module 'missing': No such file"),
        ({"nics": ("virtio",) * 40}, "all PCI slots"),
    ],
)
def test_wrong_options(change: dict[str, object], what: str, tmp_path: Path) -> None:
    (tmp_path / "garbage").write_bytes(b"not a PC!")
    program = Program()
    program.stop()
    given: dict[str, object] = {"kernel": program.kernel(tmp_path / "kernel"), "memory": 4 << 20} | change
    for name in ("kernel", "firmware"):
        if isinstance(given.get(name), str):
            given[name] = tmp_path / str(given[name])
    with pytest.raises(ConfigError, match=what):
        build(Params(**given), Bench(nic_count=40))  # type: ignore[arg-type]
