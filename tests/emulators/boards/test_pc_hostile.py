"""A guest that programs nonsense into every register of a PC with one of every card and drive, all wired together."""

import random
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.boards.pc import Params, build
from emulators.machine import Done, Idle, Machine, PoweredOff, Reset
from emulators.outside import Bench, MemoryDisk
from tests.emulators.boards.bare_i386 import Program

pytestmark = pytest.mark.fuzz

NICS = ("virtio", "pcnet", "e1000", "rtl8139", "ne2000", "ne2000-isa")
DISKS = ("ide", "cdrom", "virtio", "floppy")
FLOPPY_OCTETS, DISK_OCTETS = 1474560, 1 << 20
PORTS = 0x10000
"""Base registers may be set higher; the processor does not come there."""
MEMORY, CODE, DATA = 8 << 20, 0x300000, 0x400000
ENDING = {0xCF9, 0x92, 0x64, 0x604, 0x605}
"""Ports that reset it or switch it off: rarely, or else nothing else would happen."""
ACCESSES, ROUNDS, WORDS = 150, 4, 4096
RUNS = (2_000, 50_000, 400_000)
"""Ticks: short of a timer, behind some, behind most. Each may be an access: what runs is what was written over."""
MOST_S = 20.0
"""Of a processor, for one of those; 400,000 accesses take 3."""
STRINGS = (b"\x6c", b"\x66\x6d", b"\x6d", b"\x6e", b"\x66\x6f", b"\x6f")


def machine(directory: Path) -> tuple[Machine, Bench]:
    program = Program()
    program.stop()
    kernel = program.kernel(directory / "kernel")
    sizes = {"floppy": FLOPPY_OCTETS}
    disks = [MemoryDisk(bytes(sizes.get(model, DISK_OCTETS)), readonly=model == "cdrom") for model in DISKS]
    outside = Bench(nic_count=len(NICS), disk_list=disks)
    params = Params(kernel=kernel, memory=MEMORY, nics=NICS, disks=DISKS, apic=True, serial_ports=4)
    return build(params, outside), outside


class Nonsense:
    """Instructions that access devices, where they are now."""

    def __init__(self, chance: random.Random, machine: Machine) -> None:
        self.chance = chance
        assert machine.ports is not None
        self.ports = [window for window in machine.ports.windows() if window.base + window.size <= PORTS]
        self.windows = machine.bus.windows()

    def value(self) -> int:
        """Any, a place in memory, a small one, or a place of registers (DMA into those)."""
        chance = self.chance
        kind = chance.random()
        if kind < 0.3:
            return chance.getrandbits(32)
        if kind < 0.6:
            return chance.randrange(MEMORY) & (-4 if chance.random() < 0.7 else -1)
        if kind < 0.9:
            return chance.choice((0, 1, 2, 3, 4, 7, 0x80, 0xFF, 0xFFFF, 0xFFFF_FFFF, chance.getrandbits(8)))
        return chance.choice(self.windows).base

    def code(self, accesses: int) -> bytes:
        """It waits with interrupts off behind them."""
        chance = self.chance
        made = bytearray()
        for _ in range(accesses):
            made += chance.choices((self.port, self.configuration, self.register), (75, 5, 20))[0]()
        return bytes(made) + b"\xfa\xf4\xeb\xfd"  # cli; hlt; jmp to hlt

    def port(self) -> bytes:
        chance = self.chance
        window = chance.choice(self.ports)
        port = window.base + chance.randrange(window.size)
        if port in ENDING and chance.random() < 0.98:
            return b""
        there = b"\x66\xba" + struct.pack("<H", port)  # mov dx, port
        kind = chance.random()
        if kind < 0.1:  # mov esi, …; mov edi, …; mov ecx, …; rep ins or outs
            places = (chance.randrange(DATA, MEMORY - 0x10000) for _ in range(2))
            moves = b"\xbe%b\xbf%b" % tuple(struct.pack("<I", place) for place in places)
            return there + moves + b"\xb9" + struct.pack("<I", chance.randrange(300)) + b"\xf3" + chance.choice(STRINGS)
        if kind < 0.4:
            return there + chance.choice((b"\xec", b"\x66\xed", b"\xed"))
        return there + b"\xb8" + struct.pack("<I", self.value()) + chance.choice((b"\xee", b"\x66\xef", b"\xef"))

    def configuration(self) -> bytes:
        """Of PCI: windows move, and may lie over one another then."""
        chance = self.chance
        where = 0x8000_0000 | chance.randrange(16) << 11 | chance.choice((0, 0, 0, 1, 3)) << 8
        where |= chance.randrange(64) << 2
        chosen = b"\x66\xba\xf8\x0c\xb8" + struct.pack("<I", where) + b"\xef"
        data = b"\x66\xba" + struct.pack("<H", 0xCFC + chance.choice((0, 0, 0, 1, 2, 3)))
        value = b"\xb8" + struct.pack("<I", self.value())
        return chosen + data + value + chance.choice((b"\xee", b"\x66\xef", b"\xef"))

    def register(self) -> bytes:
        chance = self.chance
        window = chance.choice(self.windows)
        near = min(window.size, 0x200) if chance.random() < 0.7 else window.size
        at = struct.pack("<I", window.base + chance.randrange(near))
        if chance.random() < 0.4:
            return chance.choice((b"\xa0", b"\x66\xa1", b"\xa1")) + at
        value = struct.pack("<I", self.value())
        return chance.choice((b"\xc6\x05" + at + value[:1], b"\x66\xc7\x05" + at + value[:2], b"\xc7\x05" + at + value))


def contents(chance: random.Random) -> bytes:
    """Rings and tables of anything: numbers that are flags, lengths and places more often than chance has it."""
    octets = MEMORY - DATA
    if chance.random() < 0.5:
        return chance.randbytes(octets)
    words = [
        chance.choice((0, 1, 1 << 31, chance.getrandbits(32), chance.randrange(DATA, MEMORY))) for _ in range(4096)
    ]
    return struct.pack("<4096I", *words) * (octets // 4 // 4096)


def meanwhile(outside: Bench, chance: random.Random) -> None:
    """What the world does: frames, keys, movements, and somebody who looks at the screen."""
    for cable in outside.cables.values():
        if cable.on_frame is not None and chance.random() < 0.7:
            cable.on_frame(chance.randbytes(chance.choice((60, 64, 300, 1514, 9000))))
    screen = outside.display
    assert screen.on_key is not None
    assert screen.on_mouse is not None
    assert screen.look is not None
    assert screen.frame is not None
    screen.on_key(chance.choice(("a", "enter", "ctrl", "f1")), chance.random() < 0.5)
    screen.on_mouse(5, -7, 1, 3)
    screen.look()
    screen.frame()


@settings(max_examples=3)
@given(seed=st.integers(0, 1 << 32))
def test_nonsense_in_every_register_at_once(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Nothing raises, nothing hangs, and what has become of the machine can be saved and goes on alike."""
    chance = random.Random(seed)
    directory = tmp_path_factory.mktemp("hostile")
    it, outside = machine(directory)
    it.vm.write(DATA, contents(chance))
    for _ in range(ROUNDS):
        it.vm.write(CODE, Nonsense(chance, it).code(ACCESSES))
        it.cpu.set_state({"eip": CODE, "halted": 0, "eflags": 2})
        for ticks in chance.sample(RUNS, len(RUNS)):
            meanwhile(outside, chance)
            began = time.process_time()
            outcome = it.run_for(ticks)
            assert time.process_time() - began < MOST_S
            if not isinstance(outcome, Done | Idle):
                assert isinstance(outcome, Reset | PoweredOff), outcome
                return
    twin, _ = machine(directory)
    twin.restore(it.snapshot())
    assert twin.state_hash() == it.state_hash()
    for each in (it, twin):
        each.run_for(RUNS[1])
    assert twin.state_hash() == it.state_hash()
