"""The Macintosh's registers against QEMU's g3beige: the same accesses, by QEMU's test protocol, give the same answers.

The processor stands still there, and with it QEMU's clock: CUDA, which takes its time, is not among them.
"""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from emulators.boards.mac_chipset import Chipset
from emulators.cpus.ppc import Vm
from emulators.dma import Dma
from emulators.outside import Bench
from tests.emulators.boards.bare_ppc import CONFIG_ADDR, CONFIG_DATA, MAC_IO, SCC
from tests.emulators.devices.guest_memory import GuestMemory
from tests.tools import NeedTool

pytestmark = pytest.mark.interop

NAMES = {1: "b", 2: "w", 4: "l"}

Read = Callable[[int, int], int]
Write = Callable[[int, int, int], None]
Machine = tuple[Read, Write]


@pytest.fixture
def qemu(need_tool: NeedTool) -> Iterator[Machine]:
    """g3beige whose processor stands still. The protocol's values are big-endian there, ours little-endian."""
    command = [need_tool("qemu-system-ppc"), "-M", "g3beige", "-nodefaults", "-display", "none", "-vga", "none", "-S"]
    command += ["-qtest", "stdio", "-qtest-log", "none"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    sending, receiving = process.stdin, process.stdout

    def ask(line: str) -> str:
        sending.write(f"{line}\n")
        sending.flush()
        answer = receiving.readline()
        assert answer.startswith("OK"), answer
        return answer.removeprefix("OK").strip()

    def swapped(value: int, size: int) -> int:
        return int.from_bytes(value.to_bytes(size, "little"), "big")

    def write(address: int, size: int, value: int) -> None:
        ask(f"write{NAMES[size]} {address:#x} {swapped(value, size):#x}")

    yield (
        lambda address, size: swapped(int(ask(f"read{NAMES[size]} {address:#x}"), 0) & (1 << 8 * size) - 1, size),
        write,
    )
    sending.close()
    receiving.close()
    process.kill()
    process.wait()


def ours() -> Machine:
    chipset = Chipset(irq=lambda level: None, outside=Bench(), vm=Vm(), dma=Dma(GuestMemory()), start_s=0, vga=False)

    return chipset.bus.read, chipset.bus.write


def place(machine: Machine) -> None:
    """The mac-io chip at its address."""
    _, write = machine
    for register, size, value in ((0x10, 4, MAC_IO), (0x04, 2, 0x0006)):
        write(CONFIG_ADDR, 4, 0x80008000 | register)
        write(CONFIG_DATA, size, value)


def identities(machine: Machine) -> list[int]:
    read, write = machine
    found = []
    for register in (0x00000, 0x08000, 0x08010, 0x0800C):
        write(CONFIG_ADDR, 4, 1 << 31 | register)
        found.append(read(CONFIG_DATA, 4))
    write(CONFIG_ADDR, 4, 1 << 31 | 0x08008)
    found.append(read(CONFIG_DATA, 4) >> 8)  # the class; revisions differ
    return [*found, read(CONFIG_DATA + 2, 2), read(CONFIG_DATA + 3, 1)]


def controller(machine: Machine) -> list[int]:
    read, write = machine
    for offset, value in ((0x24, 0x12345678), (0x14, 0x00ABCDEF), (0x28, 0xFFFFFFFF)):
        write(MAC_IO + offset, 4, value)
    return [read(MAC_IO + offset, 4) for offset in (0x10, 0x14, 0x1C, 0x20, 0x24, 0x2C)]


def serial(machine: Machine) -> list[int]:
    read, write = machine
    control, data = SCC + 0x20, SCC + 0x30
    found = []

    def put(register: int, value: int) -> None:
        write(control, 1, register if register < 8 else 8 | register - 8)
        write(control, 1, value)

    def get(register: int) -> int:
        write(control, 1, register if register < 8 else 8 | register - 8)
        return read(control, 1)

    for register, value in ((9, 0xC0), (4, 0x44), (12, 0x0A), (13, 0x01), (2, 0x40), (14, 0x10), (3, 0xC1), (5, 0x68)):
        put(register, value)
    found += [get(12), get(13), read(control, 1) & 0x05, read(data, 1)]
    put(9, 0x80)
    return [*found, get(12), get(13)]


def memory(machine: Machine) -> list[int]:
    read, write = machine
    for index in (0, 5, 0x1FFF):
        write(MAC_IO + 0x60000 + 16 * index, 1, index * 7 & 0xFF)
    return [read(MAC_IO + 0x60000 + 16 * index, 1) for index in (0, 5, 0x1FFF)]


@pytest.mark.parametrize("look", [identities, controller, serial, memory], ids=lambda look: look.__name__)
def test_the_same_accesses_give_the_same_answers(look: Callable[[Machine], object], qemu: Machine) -> None:
    mine = ours()
    for machine in (mine, qemu):
        place(machine)
    assert look(mine) == look(qemu)
