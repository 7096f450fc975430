"""The Macintosh with small programs: memory map, lines, tree, power, time, saved states, bad input."""

import gzip
import struct
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulators import board as boards
from emulators.boards import mac, mac_chipset
from emulators.boards.mac import BOARD, Params, build
from emulators.boards.mac_cards import plug_in
from emulators.boards.mac_chipset import Chipset, slot_lines
from emulators.cpus.ppc import Vm
from emulators.dma import Dma
from emulators.loaders import mac as loader
from emulators.machine import Done, Idle, Machine, PoweredOff, Reset
from emulators.outside import Bench, MemoryDisk
from emulators.snapshot import SnapshotError
from tests.emulators.boards.bare_ppc import CONFIG_ADDR, CONFIG_DATA, MAC_IO, PIC, R3, R8, R12, Program
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.loaders.elf_file import elf
from vde.errors import ConfigError

SECOND = mac.TICKS_HZ
MS = SECOND // 1000
SMALL = Params(memory=32 << 20, vga=False, rng=False)


def start(program: Program, path: Path, params: Params = SMALL, outside: Bench | None = None) -> tuple[Machine, Bench]:
    outside = outside or Bench(nic_count=len(params.nics))
    return build(replace(params, kernel=program.kernel(path / "kernel")), outside), outside


def idle(path: Path, params: Params = SMALL, outside: Bench | None = None) -> Machine:
    program = Program()
    program.stop()
    return start(program, path, params, outside)[0]


def said(outside: Bench) -> bytes:
    return bytes(outside.written["serial0"])


def test_a_program_speaks_and_switches_off(tmp_path: Path) -> None:
    program = Program()
    program.wire()
    program.say(b"hello\n")
    program.power_off()
    machine, outside = start(program, tmp_path)
    assert machine.run_for(SECOND) == PoweredOff(0)
    assert said(outside) == b"hello\n"


def test_a_program_resets(tmp_path: Path) -> None:
    program = Program()
    program.cuda(b"\x01\x11")
    program.stop()
    assert start(program, tmp_path)[0].run_for(SECOND) == Reset()


def test_the_kernel_is_entered_with_a_tree(tmp_path: Path) -> None:
    program = Program()
    program.wire()
    program.d("addi", R8, R3, 0)
    program.d("lwz", R12, R8, 0)  # the tree's magic, where r3 points
    program.say_hex(R12)
    program.say_hex(5)
    program.d("stw", R8, 1, 0xFFF8)  # r1 points into memory
    program.power_off()
    machine, outside = start(program, tmp_path)
    machine.run_for(SECOND)
    assert said(outside) == b"d00dfeed" + b"00000000"
    state = idle(tmp_path).cpu.state()
    assert state["pc"] == 0
    assert state["r3"] % 8 == 0
    assert state["msr"] & 0x8030 == 0  # no translation, no interrupts


def test_pci_registers_are_little_endian(tmp_path: Path) -> None:
    program = Program()
    program.wire()
    program.put_swapped(CONFIG_ADDR, 0x80000000)
    program.get_swapped(CONFIG_DATA, R8)
    program.say_hex(R8)
    program.get("lwz", CONFIG_DATA, R8)
    program.say_hex(R8)
    program.power_off()
    machine, outside = start(program, tmp_path)
    machine.run_for(SECOND)
    assert said(outside) == b"00021057" + b"57100200"


def scan(machine: Machine) -> dict[int, str]:
    """What a kernel finds on the PCI bus."""
    found = {}
    for device in range(32):
        machine.bus.write(CONFIG_ADDR, 4, 1 << 31 | device << 11)
        identity = machine.bus.read(CONFIG_DATA, 4)
        if identity != 0xFFFFFFFF:
            found[device] = f"{identity & 0xFFFF:04x}:{identity >> 16:04x}"
    return found


FIXED = {0: "1057:0002", 16: "106b:0010"}


def test_cards_are_in_their_slots(tmp_path: Path) -> None:
    assert scan(idle(tmp_path)) == FIXED
    params = replace(SMALL, nics=("pcnet", "rtl8139"), vga=True, rng=True, virtio_console=True)
    cards = {1: "1234:1111", 2: "1022:2000", 3: "10ec:8139", 4: "1af4:1005", 5: "1af4:1003"}
    assert scan(idle(tmp_path, params)) == FIXED | cards


def test_apples_own_card_is_in_the_tree_with_its_address(tmp_path: Path) -> None:
    """Linux' driver looks for the address nowhere else; OpenBIOS reads it out of the card."""
    address = bytes.fromhex("020000000042")
    chipset = Chipset(
        irq=lambda level: None, outside=Bench(macs={1: address}), vm=Vm(), dma=Dma(GuestMemory()), start_s=0
    )
    plug_in(chipset, nics=("pcnet", "gem"), disks=(), rng=False, virtio_console=False)
    root = loader.tree(mac.hardware("750", chipset), memory_octets=32 << 20, command_line="")
    pci = root.find("/pci")
    assert pci is not None
    found = {child.name: child.properties for child in pci.children}
    assert list(found) == ["ethernet@3", "mac-io@10"]
    assert found["ethernet@3"]["local-mac-address"] == address
    assert found["ethernet@3"]["reg"][:4] == (3 << 11).to_bytes(4, "big")
    machine = idle(tmp_path, replace(SMALL, nics=("pcnet", "gem")))
    assert scan(machine) == FIXED | {2: "1022:2000", 3: "106b:0021"}


def test_more_cards_than_below_the_mac_io_chip(tmp_path: Path) -> None:
    found = scan(idle(tmp_path, replace(SMALL, nics=("virtio",) * 15)))
    assert [slot for slot, identity in found.items() if identity == "1af4:1000"] == [*range(2, 16), 17]


def test_too_many_cards(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no free slot for nic29"):
        idle(tmp_path, replace(SMALL, nics=("virtio",) * 30))


def test_the_tree_and_the_bus_agree_about_interrupts(tmp_path: Path) -> None:
    """Against QEMU's g3beige: line 21 + (slot + pin - 1) mod 4."""
    assert slot_lines()[:5] == ((0, 1, 21), (0, 2, 22), (0, 3, 23), (0, 4, 24), (1, 1, 22))
    machine = idle(tmp_path, replace(SMALL, nics=("virtio", "pcnet")))
    for slot, name in ((2, "nic0"), (3, "nic1")):
        machine.devices[name].set_interrupt(True)  # type: ignore[attr-defined]
        line = next(line for place, pin, line in slot_lines() if (place, pin) == (slot % 4, 1))
        assert machine.bus.read(PIC + 0x20, 4) == 1 << line
        machine.devices[name].set_interrupt(False)  # type: ignore[attr-defined]


def test_interrupts_reach_the_processor(tmp_path: Path) -> None:
    program = Program()
    program.wire()
    program.li(R8, 0x9032 & ~0x30)
    program.word(0x7D000124)  # mtmsr r8: external interrupts on
    program.stop()
    machine, outside = start(program, tmp_path)
    handler = Program()
    handler.say(b"!")
    handler.power_off()
    machine.vm.write(0x500, handler.code())
    machine.run_for(MS)
    card = machine.devices["pic"].line(22)  # type: ignore[attr-defined]
    card(True)
    machine.run_for(MS)
    assert said(outside) == b""  # masked
    machine.bus.write(PIC + 0x24, 4, 1 << 22)
    machine.run_for(SECOND)
    assert said(outside) == b"!"
    assert machine.end == PoweredOff(0)


def test_the_time_base_and_the_clock_go_together(tmp_path: Path) -> None:
    machine = idle(tmp_path)
    machine.run_for(SECOND // 10)
    assert machine.cpu.state()["tb"] == mac_chipset.TIMEBASE_HZ // 10
    assert machine.now_ns == 100_000_000


def test_drives_take_their_bays(tmp_path: Path) -> None:
    disks = Bench(disk_list=[MemoryDisk(bytes(1 << 20)), MemoryDisk(bytes(4096)), MemoryDisk(bytes(1 << 20))])
    machine = idle(tmp_path, replace(SMALL, disks=("ide", "cdrom", "ide")), disks)
    for base, place, mid in ((0x20000, 0xA0, 0x00), (0x20000, 0xB0, 0x00), (0x21000, 0xA0, 0x14)):
        machine.bus.write(MAC_IO + base + 0x60, 1, place)
        assert machine.bus.read(MAC_IO + base + 0x40, 1) == mid  # the signature: a disk, or a packet device


def test_drives_are_bounded_and_discs_whole(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at most 4 IDE disks"):
        idle(tmp_path, replace(SMALL, disks=("ide",) * 5), Bench(disk_list=[MemoryDisk(bytes(512))] * 5))
    with pytest.raises(ConfigError, match="truncated"):
        idle(tmp_path, replace(SMALL, disks=("cdrom",)), Bench(disk_list=[MemoryDisk(bytes(2047))]))


def test_a_packed_archive_is_unpacked_by_the_loader(tmp_path: Path) -> None:
    archive = b"070701" + bytes(1000)
    for packed, expected in (
        (gzip.compress(archive), archive),
        (b"\x1f\x8b\x08 no archive", b"\x1f\x8b\x08 no archive"),
    ):
        (tmp_path / "initrd").write_bytes(packed)
        machine = idle(tmp_path, replace(SMALL, initrd=tmp_path / "initrd"))
        tree_at = machine.cpu.state()["r3"]
        assert machine.vm.read(tree_at + 0x10000, len(expected)) == expected
        tree = machine.vm.read(tree_at, 4096)
        assert struct.pack(">I", tree_at + 0x10000) in tree
        assert struct.pack(">I", tree_at + 0x10000 + len(expected)) in tree


def test_a_kernel_within_a_zimage_is_found(tmp_path: Path) -> None:
    program = Program()
    program.wire()
    program.say(b"inside")
    program.power_off()
    packed = gzip.compress(program.kernel(tmp_path / "inner").read_bytes())
    wrapper = b"wrapper" * 20 + b"\x1f\x8b\x08false" + packed + b"more"
    (tmp_path / "zImage").write_bytes(elf([(0x400000, wrapper, len(wrapper))], 0x400000, machine=20, order=">"))
    (tmp_path / "vmlinux.gz").write_bytes(packed)
    for name in ("zImage", "vmlinux.gz"):
        outside = Bench()
        machine = build(replace(SMALL, kernel=tmp_path / name), outside)
        assert machine.run_for(SECOND) == PoweredOff(0)
        assert said(outside) == b"inside"


def test_runs_are_repeatable_however_they_are_cut(tmp_path: Path) -> None:
    program = Program()
    program.wire()
    program.say(b"once")
    program.power_off()
    whole, _ = start(program, tmp_path)
    whole.run_for(SECOND)
    pieces, _ = start(program, tmp_path)
    for _ in range(100_000):
        if not isinstance(pieces.run_for(97), Done | Idle):
            break
    assert pieces.end == whole.end
    assert pieces.cpu.ticks == whole.cpu.ticks
    assert pieces.state_hash() == whole.state_hash()


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 11_000))
def test_a_machine_goes_on_as_it_was_saved(tmp_path: Path, at: int) -> None:
    params = replace(SMALL, nics=("pcnet", "virtio", "gem"), virtio_console=True, vga=True, disks=("ide", "cdrom"))
    program = Program()
    program.wire()
    program.say(b"a long text that takes its time")
    program.power_off()

    def disks() -> Bench:
        return Bench(nic_count=3, disk_list=[MemoryDisk(bytes(1 << 20)), MemoryDisk(bytes(4096))])

    first, outside = start(program, tmp_path, params, disks())
    assert isinstance(first.run_for(at), Done)
    saved = first.snapshot()
    second, again = start(program, tmp_path, params, disks())
    second.restore(saved)
    assert second.state_hash() == first.state_hash()
    written = len(said(outside))
    first.run_for(SECOND)
    second.run_for(SECOND)
    assert second.end == first.end
    assert said(again) == said(outside)[written:]


def test_a_snapshot_of_other_options_is_refused(tmp_path: Path) -> None:
    saved = idle(tmp_path, replace(SMALL, nics=("pcnet",))).snapshot()
    with pytest.raises(SnapshotError, match="give the options that it had"):
        idle(tmp_path).restore(saved)


def test_bus_masters_reach_memory_only() -> None:
    vm = Vm()
    vm.add_memory(0, 1 << 20)
    vm.add_memory(0xFFF00000, 1 << 20, readonly=True)
    ram = mac_chipset.Ram(vm, 1 << 20)
    ram.write(0x1000, b"x")
    assert ram.read(0x1000, 1) == b"x"
    for call in (lambda: ram.write(0xFFF00000, b"x"), lambda: ram.read(0xFFFFE, 4)):
        with pytest.raises(ValueError, match=r"\d"):
            call()


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        (b"no kernel", "kernel: not an ELF file"),
        (b"\x1f\x8b\x08 broken", "a gzip file that cannot be unpacked"),
        (elf([(0xC0000000, b"x", 1)], 0xC0000000), "a program for MIPS, not for PowerPC"),
        (elf([(0xC0000000, b"x", 1)], 0xC0000000, machine=20), "little-endian, not big-endian"),
        (elf([(0x00400000, b"x", 1)], 0x00400000, machine=20, order=">"), "neither a vmlinux"),
        (elf([(0xCF000000, b"x", 1)], 0xCF000000, machine=20, order=">"), "not in the machine's memory"),
        (elf([(0xC0000000, b"x", 32 << 20)], 0xC0000000, machine=20, order=">"), "give the machine more"),
    ],
)
def test_what_is_no_kernel_is_said(contents: bytes, text: str, tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(contents)
    with pytest.raises(ConfigError, match=text):
        build(replace(SMALL, kernel=tmp_path / "kernel"), Bench())


def test_what_the_user_forgot_or_misspelt(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--kernel FILE"):
        build(SMALL, Bench())
    with pytest.raises(ConfigError, match=r"mac: kernel '.*none': No such file"):
        build(replace(SMALL, kernel=tmp_path / "none"), Bench())
    with pytest.raises(ConfigError, match="only ASCII"):
        idle(tmp_path, replace(SMALL, append="schön"))
    with pytest.raises(ConfigError, match="this kernel takes 2047"):
        idle(tmp_path, replace(SMALL, append="x" * 2048))
    with pytest.raises(ConfigError, match="whole MiB"):
        idle(tmp_path, replace(SMALL, memory=(32 << 20) + 4096))
    with pytest.raises(ConfigError, match="entry open-firmware has no part in --firmware openbios"):
        build(replace(SMALL, entry="open-firmware", boot="prompt"), Bench())
    with pytest.raises(ConfigError, match=r"firmware '.*none'"):
        build(replace(SMALL, firmware=str(tmp_path / "none")), Bench())


def test_options_are_checked() -> None:
    assert boards.find("mac") is BOARD
    assert BOARD.read({"memory": "64M", "cpu": "604"}).cpu == "604"
    for name, value in (("memory", "2G"), ("memory", "1M"), ("cpu", "68040"), ("boot", "tape"), ("date", "-1")):
        with pytest.raises(ConfigError, match=name):
            BOARD.read({name: value})


class _NoMemory:
    def read(self, gpa: int, octets: int, /) -> bytes:
        raise ValueError(gpa)

    def write(self, gpa: int, data: bytes, /) -> None:
        raise ValueError(gpa)


def made() -> Chipset:
    """The devices without processor and memory."""
    outside = Bench(nic_count=3, disk_list=[MemoryDisk(bytes(1 << 20)), MemoryDisk(bytes(4096))])
    chipset = Chipset(irq=lambda level: None, outside=outside, vm=Vm(), dma=Dma(_NoMemory()), start_s=0)
    plug_in(chipset, nics=("pcnet", "virtio", "gem"), disks=("ide", "cdrom"), rng=True, virtio_console=True)
    chipset.place_mac_io()
    return chipset


device_addresses = st.one_of(
    st.integers(0x80000000, 0xFEFFFFF8),
    st.integers(MAC_IO, MAC_IO + 0x40),
    st.integers(MAC_IO + 0x8000, MAC_IO + 0x8FFF),
    st.integers(MAC_IO + 0x12000, MAC_IO + 0x21FF8),
    st.integers(0xFE000000, 0xFE002000),
    st.sampled_from((CONFIG_ADDR, CONFIG_DATA, CONFIG_DATA + 2)),
)


@pytest.mark.fuzz
@given(
    st.lists(
        st.tuples(st.booleans(), device_addresses, st.sampled_from((1, 2, 4, 8)), st.integers(0, (1 << 64) - 1)),
        max_size=200,
    )
)
def test_nonsense_in_every_register_leaves_a_board(accesses: list[tuple[bool, int, int, int]]) -> None:
    board = made()
    for write, address, size, value in accesses:
        if write:
            board.bus.write(address, size, value & (1 << 8 * size) - 1)
        else:
            assert 0 <= board.bus.read(address, size) < 1 << 8 * size
    twin = made()
    for name, device in board.devices.items():
        carried = msgpack.unpackb(msgpack.packb(device.state(), use_bin_type=True), raw=False)
        twin.devices[name].from_state(carried)
    assert {n: d.state() for n, d in twin.devices.items()} == {n: d.state() for n, d in board.devices.items()}
