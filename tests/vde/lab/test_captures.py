"""Captures of a running lab: `captures:` of the file and `vde capture`, with and without wires."""

import socket
from pathlib import Path

import pytest

from tests.lab_runner import LabRunner, Running
from tests.pcapng_reader import Block, read_blocks
from tests.switch_process import Console
from tests.vde_client import VdeClient, frame

LAB = """
nodes: {one: {kind: switch}, two: {kind: switch}, three: {kind: hub}}
links:
  - one -- two
  - {name: slow, endpoints: [two, three], impair: {loss: 100%}}
"""
INTERFACE, PACKET, STATISTICS = 1, 6, 5
NAME, COMMENT = 2, 1


class Reader:
    """A pcapng file while it grows."""

    def __init__(self, octets: bytes) -> None:
        self.blocks = list(read_blocks(octets))
        self.interfaces = [block.options[NAME].decode() for block in self.blocks if block.kind == INTERFACE]
        self.packets = [block for block in self.blocks if block.kind == PACKET]

    def seen(self) -> list[tuple[str, str, bytes, str]]:
        """Interface, way, frame, comment."""
        return [
            (
                self.interfaces[block.fields[0]],
                {1: "in", 2: "out"}[int.from_bytes(block.options[2], "little")],
                block.data,
                block.options.get(COMMENT, b"").decode(),
            )
            for block in self.packets
        ]


def wait_for_packets(path: Path, number: int, running: Running | None = None) -> Reader:
    """Until a file has so many."""
    while True:
        reader = Reader(path.read_bytes()) if path.exists() else Reader(b"")
        if len(reader.packets) >= number:
            return reader
        assert running is None or running.process.poll() is None


def started(labs: LabRunner, *arguments: str) -> Running:
    """`vde capture`, once it listens."""
    labs.environment["NOTIFY_SOCKET"] = str(labs.directory / "ready")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(labs.environment["NOTIFY_SOCKET"])
        ready.settimeout(60)
        running = labs.start("capture", *arguments)
        assert b"READY=1" in ready.recv(4096)
    Path(labs.environment.pop("NOTIFY_SOCKET")).unlink()
    return running


def send_both_ways(labs: LabRunner) -> None:
    nodes = labs.nodes()
    with VdeClient(Path(nodes["one"]["directory"])) as near, VdeClient(Path(nodes["two"]["directory"])) as far:
        near.send(frame(1, None, b"there"))
        assert far.receive() == frame(1, None, b"there")
        far.send(frame(2, 1, b"back"))
        assert near.receive() == frame(2, 1, b"back")


def test_the_file_has_every_link_with_names_and_verdicts(labs: LabRunner) -> None:
    labs.write(LAB + "captures:\n  - {on: [slow, two--one], file: both.pcapng}\n")
    labs.vde("up")
    send_both_ways(labs)
    path = labs.directory / "both.pcapng"
    reader = wait_for_packets(path, 3)
    assert reader.interfaces == ["slow@two:2", "slow@three:1", "one--two@one:1"]
    assert sorted(reader.seen()) == [
        ("one--two@one:1", "in", frame(2, 1, b"back"), ""),
        ("one--two@one:1", "out", frame(1, None, b"there"), ""),
        ("slow@two:2", "out", frame(1, None, b"there"), "frame 1; dropped: loss (loss 100%)"),
    ]
    assert labs.nodes()["capture1"]["state"] == "ready"
    labs.vde("down")
    blocks: list[Block] = Reader(path.read_bytes()).blocks
    received = [int.from_bytes(block.options[4], "little") for block in blocks if block.kind == STATISTICS]
    assert received == [1, 0, 2], "a capture that is stopped is complete"
    labs.assert_nothing_is_left()


def test_a_capture_takes_ports_beyond_the_labs_and_gives_them_back(labs: LabRunner) -> None:
    labs.write("nodes: {a: {kind: switch, numports: 1}, b: {kind: switch, numports: 1}}\nlinks: [a -- b]\n")
    labs.vde("up")
    nodes = labs.nodes()
    running = started(labs, "a--b", "-w", "x.pcapng", "-c", "1")
    with Console(Path(nodes["a"]["management"])) as console:
        assert console.command("port/showmirror") == [
            "Port 0002 mirrors 0001:in",
            "Port 0003 mirrors 0001:out",
            "1000 Success",
        ]
        running.interrupt()
        assert running.wait() == 130
        assert console.command("port/showmirror") == ["1000 Success"]
    assert b"a--b@a:1: 0 frames" in running.output


def test_a_filter_may_be_the_last_word(labs: LabRunner) -> None:
    labs.write(LAB)
    labs.vde("up")
    running = started(labs, "one--two", "ether src 02:00:00:00:00:02", "-c", "1")
    send_both_ways(labs)
    assert running.wait() == 0
    assert b"one--two@one:1 < 02:00:00:00:00:02 > 02:00:00:00:00:01 type 0x88b5 length 60\n" in running.output
    assert b"one--two@one:1: 1 frames" in running.output
    assert "there is no link 'nowhere'" in labs.vde("capture", "nowhere", status=1)
    assert "filter 'apr'" in labs.vde("capture", "one--two", "apr", status=2)
    assert "there is no link 'nowhere'" in labs.vde("capture", "slow", "nowhere", "arp", status=1)
    assert "which link?" in labs.vde("capture", status=2)


def test_standard_output_and_beginnings_of_frames(labs: LabRunner) -> None:
    labs.write(LAB)
    labs.vde("up")
    running = labs.start("capture", "one:1", "-w", "-", "-s", "20", "-c", "1")
    assert b"there is no link 'one:1'" in read_all(running), "an allotted port has no name"
    running = started(labs, "one--two", "-w", "-", "-s", "20", "-c", "2")
    send_both_ways(labs)
    octets = read_all(running).partition(b"one--two@one:1:")[0]
    packets = Reader(octets).packets
    assert [(len(block.data), block.fields[4]) for block in packets] == [(20, 60), (20, 60)]


def read_all(running: Running) -> bytes:
    running.wait()
    return running.output


def test_a_ring_keeps_the_newest(labs: LabRunner) -> None:
    labs.write(LAB)
    labs.vde("up")
    running = started(labs, "one--two", "-w", "r.pcapng", "--ring", "2x1K", "-c", "40")
    with VdeClient(Path(labs.nodes()["one"]["directory"])) as near:
        for number in range(40):
            near.send(frame(1, None, bytes([number])))
    assert running.wait() == 0
    readers = [Reader((labs.directory / f"r-{number}.pcapng").read_bytes()) for number in (0, 1)]
    numbers = sorted(packet.data[14] for reader in readers for packet in reader.packets)
    assert numbers == list(range(numbers[0], 40))
    assert 4 < len(numbers) < 40
    assert all(reader.interfaces == ["one--two@one:1"] for reader in readers)
    assert not (labs.directory / "r.pcapng").exists()


def test_a_capture_ends_with_its_switch_and_says_so(labs: LabRunner) -> None:
    labs.write(LAB)
    labs.vde("up")
    running = started(labs, "slow", "one--two")
    labs.vde("down")
    assert running.wait() == 1
    assert b"vde capture: " in running.output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--ring", "1x1K", "-w", "x"], "--ring 1x1K: 2 to 1000 files"),
        (["--ring", "2x1K"], "--ring 2x1K: 2 to 1000 files"),
        (["--ring", "2x1", "-w", "x"], "--ring 2x1: an amount of memory with its unit"),
        (["-s", "3"], "--snaplen takes 14 octets or more"),
        (["-w", "/nonexistent/x"], "/nonexistent/x: No such file or directory"),
    ],
)
def test_wrong_options(labs: LabRunner, arguments: list[str], text: str) -> None:
    labs.write(LAB)
    labs.vde("up")
    assert text in labs.vde("capture", "slow", *arguments, status=2)
