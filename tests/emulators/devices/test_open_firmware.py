"""Open Firmware's client interface: services as a kernel's prom_init calls them, and calls that are wrong."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.device import Timeline
from emulators.devices.firmware.open_firmware import FAILED, OpenFirmware
from emulators.dma import Dma
from emulators.loaders.device_tree import Node
from tests.emulators.devices.guest_memory import GuestMemory
from tests.emulators.devices.registers import moved

MEMORY = 1 << 20
ARGUMENTS, STRINGS, BUFFER = 0x1000, 0x2000, 0x4000


def sample() -> Node:
    root = Node("")
    root["#address-cells"] = 1
    root.add("chosen", {"bootargs": "quiet"})
    pci = root.add("pci@80000000", {"device_type": "pci"})
    pci.add("mac-io@10", {"reg": (1, 2)}).add("pic@10", {"phandle": 1})
    return root


class Client:
    def __init__(self) -> None:
        self.memory = GuestMemory(MEMORY)
        self.out = bytearray()
        self.ended: list[str] = []
        self.timeline = Timeline()
        self.firmware = self.make()

    def make(self) -> OpenFirmware:
        return OpenFirmware(
            root=sample(),
            dma=Dma(self.memory),
            memory_octets=MEMORY,
            taken=[(0, 0x8000)],
            out=self.out.extend,
            timeline=self.timeline,
            ended=self.ended.append,
        )

    def call(self, service: str, *arguments: int | str, results: int = 1) -> int:
        """The first result; raises if the service is not there."""
        at, words = STRINGS, []
        for text in (service, *arguments):
            if isinstance(text, str):
                octets = text.encode() + b"\0"
                self.memory.write(at, octets)
                words.append(at)
                at += len(octets)
            else:
                words.append(text & FAILED)
        block = struct.pack(f">{len(words) + 2}I", words[0], len(arguments), results, *words[1:])
        self.memory.write(ARGUMENTS, block + bytes(4 * results))
        if self.firmware.call(ARGUMENTS) != 0:
            raise LookupError(service)
        (first,) = struct.unpack(">I", self.memory.read(ARGUMENTS + len(block), 4)) if results else (0,)
        return int(first)

    def text(self, octets: int) -> bytes:
        return self.memory.read(BUFFER, octets)


def test_the_tree_is_walked_by_relatives_and_by_paths() -> None:
    client = Client()
    root = client.call("peer", 0)
    chosen = client.call("child", root)
    pci = client.call("peer", chosen)
    assert client.call("peer", pci) == 0
    assert client.call("parent", pci) == root
    assert client.call("parent", root) == 0
    assert client.call("finddevice", "/") == root
    assert client.call("finddevice", "/chosen") == chosen
    assert client.call("finddevice", "/pci/mac-io@10/pic") == 1  # keeps the number that the tree uses
    assert client.call("finddevice", "/pci@80000000:console") == pci
    assert client.call("finddevice", "/none") == FAILED
    length = client.call("package-to-path", 1, BUFFER, 100)
    assert client.text(length) == b"/pci@80000000/mac-io@10/pic@10"
    assert client.call("canon", "/pci/mac-io", BUFFER, 100) == len("/pci@80000000/mac-io@10")


def test_properties_are_listed_read_and_set() -> None:
    client = Client()
    chosen = client.call("finddevice", "/chosen")
    assert client.call("nextprop", chosen, 0, BUFFER) == 1
    assert client.text(9) == b"bootargs\0"
    assert client.call("nextprop", chosen, "bootargs", BUFFER) == 1
    assert client.text(5) == b"name\0"
    assert client.call("nextprop", chosen, "name", BUFFER) == 0
    assert client.call("nextprop", chosen, "none", BUFFER) == FAILED
    assert client.call("getproplen", chosen, "bootargs") == 6
    assert client.call("getprop", chosen, "bootargs", BUFFER, 3) == 6
    assert client.text(3) == b"qui"
    assert client.call("getprop", chosen, "none", BUFFER, 3) == FAILED
    client.memory.write(BUFFER, b"abcd")
    assert client.call("setprop", chosen, "new", BUFFER, 4) == 4
    assert client.call("getproplen", chosen, "new") == 4


def test_the_console_and_instances() -> None:
    client = Client()
    stdout = client.call("open", "/pci/mac-io")
    client.memory.write(BUFFER, b"hello")
    assert client.call("write", stdout, BUFFER, 5) == 5
    assert client.out == b"hello"
    assert client.call("instance-to-package", stdout) == client.call("finddevice", "/pci/mac-io")
    assert client.call("read", stdout, BUFFER, 5) == 0
    client.call("close", stdout, results=0)
    assert client.call("write", stdout, BUFFER, 5) == FAILED
    assert client.call("open", "/none") == 0


def test_memory_is_claimed_once() -> None:
    client = Client()
    assert client.call("claim", 0x10000, 0x1000, 0) == 0x10000
    assert client.call("claim", 0x10800, 0x1000, 0) == FAILED
    assert client.call("claim", 0x1000, 0x100, 0) == FAILED  # taken from the start
    first = client.call("claim", 0, 0x10000, 0x10000)
    second = client.call("claim", 0, 0x10000, 0x10000)
    assert {first, second} == {0xF0000, 0xE0000}
    client.call("release", first, 0x10000, results=0)
    assert client.call("claim", 0, 0x10000, 0x10000) == first
    assert client.call("claim", 0, MEMORY, 0x1000) == FAILED


def test_services_that_are_not_there() -> None:
    client = Client()
    assert client.call("test", "getprop") == 0
    assert client.call("test", "interpret") == FAILED
    with pytest.raises(LookupError):
        client.call("interpret", "1 2 +")
    with pytest.raises(LookupError):
        client.call("getprop", 1)  # too few arguments
    client.call("exit", results=0)
    assert client.ended == ["exit"]
    client.timeline.now_ns = 5_000_000
    assert client.call("milliseconds") == 5
    assert client.firmware.call(MEMORY - 2) == FAILED


def test_the_state_is_what_clients_changed() -> None:
    client = Client()
    client.call("open", "/chosen")
    client.call("claim", 0, 0x1000, 0x1000)
    client.memory.write(BUFFER, b"abcd")
    client.call("setprop", client.call("finddevice", "/chosen"), "new", BUFFER, 4)
    twin = moved(client.firmware, client.make)
    assert isinstance(twin, OpenFirmware)
    client.firmware = twin
    assert client.call("getproplen", client.call("finddevice", "/chosen"), "new") == 4


SERVICES = sorted(Client().firmware._services)


@pytest.mark.fuzz
@given(
    st.lists(
        st.tuples(
            st.sampled_from(SERVICES),
            st.lists(st.integers(0, FAILED) | st.integers(0, 0x200) | st.just(STRINGS), max_size=6),
        ),
        max_size=30,
    )
)
def test_any_call_is_harmless(calls: list[tuple[str, list[int]]]) -> None:
    client = Client()
    for service, arguments in calls:
        try:
            client.call(service, *arguments)
        except LookupError:
            continue
    moved(client.firmware, client.make)
