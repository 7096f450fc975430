"""The virtio console device: one port, several ports, sizes, input that waits, bad drivers."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.devices.virtio.console import PENDING_OCTETS, VirtioConsole
from emulators.dma import Dma
from emulators.snapshot import SnapshotError
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.devices.virtio_driver import EVENT_IDX, VERSION_1, VirtioDriver

SIZE, MULTIPORT, EMERGENCY = 1, 2, 4
USUAL = VERSION_1 | EVENT_IDX | SIZE


class Console(VirtioDriver):
    """A console device and its driver."""

    def __init__(self, ports: int = 1, features: int = USUAL, *, legacy: bool = False) -> None:
        memory = GuestMemory()
        self.written = [bytearray() for _ in range(ports)]
        names = [f"org.vde.{n}" for n in range(1, ports)]
        outs = [one.extend for one in self.written]
        self.console = VirtioConsole("console", outs=outs, names=names, dma=Dma(memory))
        super().__init__(self.console, memory, legacy=legacy)
        self.buffers: dict[tuple[int, int], int] = {}
        self.start(features)

    def offer(self, queue: int, count: int = 1, octets: int = 64) -> None:
        for _ in range(count):
            address = self.buffer(octets)
            self.buffers[queue, self.rings[queue].add([], [(address, octets)])] = address
        self.rings[queue].kick()

    def taken(self, queue: int) -> list[bytes]:
        return [self.memory.read(self.buffers[queue, head], n) for head, n in self.rings[queue].take()]

    def write(self, queue: int, octets: bytes) -> None:
        self.rings[queue].add([octets])
        self.rings[queue].kick()
        self.rings[queue].take()

    def tell(self, port: int, event: int, value: int) -> None:
        self.write(3, port.to_bytes(4, "little") + event.to_bytes(2, "little") + value.to_bytes(2, "little"))

    def told(self) -> list[tuple[int, int, int, bytes]]:
        def number(octets: bytes) -> int:
            return int.from_bytes(octets, "little")

        return [(number(one[:4]), number(one[4:6]), number(one[6:8]), one[8:]) for one in self.taken(2)]


@pytest.mark.parametrize("legacy", [False, True])
def test_octets_both_ways(legacy: bool) -> None:
    console = Console(legacy=legacy)
    console.write(1, b"hello\n")
    assert console.written[0] == b"hello\n"
    console.offer(0, 2, octets=4)
    console.console.receive(b"uptime\n")
    assert console.taken(0) == [b"upti", b"me\n"]
    assert console.level()


def test_input_waits_for_buffers_and_is_bounded() -> None:
    console = Console()
    console.console.receive(b"early ")
    console.console.receive(b"x" * PENDING_OCTETS)
    assert console.console.dropped_octets == 6
    assert console.console.ready_octets() == 0
    console.offer(0, octets=8)
    assert console.taken(0) == [b"early xx"]
    assert console.console.ready_octets() == 8


def test_the_size_is_told() -> None:
    console = Console()
    assert (console.config(0, 2), console.config(2, 2)) == (80, 24)
    console.console.set_size(132, 50)
    assert console.isr() == 2
    assert (console.config(0, 2), console.config(2, 2)) == (132, 50)


def test_an_emergency_needs_no_queue() -> None:
    console = Console()
    console.status(0)
    console.bus.memory.write(console.places[4] + 8, 4, ord("!"))
    assert console.written[0] == b"!"
    console.bus.memory.write(console.places[4], 2, 1)
    assert console.console.mistakes == 1


def test_ports_with_names() -> None:
    console = Console(3, USUAL | MULTIPORT)
    assert console.config(4, 4) == 3
    console.offer(2, 20, octets=32)
    console.tell(0, 0, 1)
    assert console.told() == [(port, 1, 1, b"") for port in range(3)]
    console.tell(0, 3, 1)
    assert [one[:3] for one in console.told()] == [(0, 4, 1), (0, 5, 0), (0, 6, 1)]
    console.tell(2, 3, 1)
    assert console.told() == [(2, 7, 1, b"org.vde.2"), (2, 6, 1, b"")]
    console.console.receive(b"for two", 2)
    console.offer(6)
    assert console.taken(6) == []
    console.tell(2, 6, 1)
    assert console.taken(6) == [b"for two"]
    console.write(7, b"from two")
    assert console.written[2] == b"from two"
    console.tell(0, 6, 1)
    console.console.set_size(100, 30)
    assert console.told() == [(0, 5, 0, b"\x1e\0\x64\0")]
    console.tell(9, 3, 1)
    assert console.console.mistakes == 1


def test_a_short_control_message_breaks_the_queue() -> None:
    console = Console(2, USUAL | MULTIPORT)
    console.write(3, b"shrt")
    assert console.status() & 0x40


def test_state_round_trip() -> None:
    console = Console(2, USUAL | MULTIPORT)
    console.tell(0, 0, 1)
    console.console.receive(b"waiting", 1)
    saved = console.console.state()
    again = Console(2, USUAL | MULTIPORT)
    again.memory.octets[:] = console.memory.octets
    again.console.from_state(saved)
    assert again.console.state() == saved
    again.rings = console.rings
    for ring in again.rings:
        ring.driver, ring.memory = again, again.memory
    again.offer(2, 4, octets=32)
    assert again.told() == [(0, 1, 1, b""), (1, 1, 1, b"")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", [1]),
        ("pending", []),
        ("pending", [bytes(PENDING_OCTETS + 1)]),
        ("open", [1]),
        ("messages", [bytes(2000)]),
        ("messages", [b""] * 300),
        ("dropped", -1),
    ],
)
def test_a_state_that_no_device_had_is_refused(name: str, value: object) -> None:
    console = Console().console
    with pytest.raises(SnapshotError):
        console.from_state({**console.state(), name: value})


@pytest.mark.fuzz
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["write"]), st.integers(0, 5), st.binary(min_size=1, max_size=40)),
            st.tuples(st.sampled_from(["receive"]), st.integers(0, 1), st.binary(max_size=300)),
            st.tuples(st.sampled_from(["offer"]), st.integers(0, 5), st.just(b"")),
            st.tuples(st.sampled_from(["ring"]), st.integers(0, 5), st.binary(min_size=4, max_size=64)),
        ),
        max_size=40,
    )
)
def test_fuzz(operations: list[tuple[str, int, bytes]]) -> None:
    """Whatever the driver says: no exception, a bounded time, a state that can be taken back."""
    console = Console(2, USUAL | MULTIPORT)
    began = time.monotonic()
    for kind, number, data in operations:
        if not console.rings[number].free:
            break
        match kind:
            case "write":
                console.write(number, data)
            case "receive":
                console.console.receive(data, number)
            case "offer":
                console.offer(number)
            case _:
                console.memory.write(console.rings[number].descriptors, data)
    assert time.monotonic() - began < 2
    again = Console(2)
    again.console.from_state(console.console.state())
    assert again.console.state() == console.console.state()
