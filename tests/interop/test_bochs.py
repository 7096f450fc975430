"""Debian's Bochs as a node: its network card's boot program gets an address through our switch."""

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.lab_runner import LabRunner
from tests.tools import NeedTool
from tests.vde_client import VdeClient

pytestmark = [pytest.mark.interop, pytest.mark.slow]

MAC = "52:54:00:b0:c5:01"
NETWORK = "  hub: {kind: hub}\n  n: {kind: nat, ipv4: 10.0.9.1/24, dhcp: true}\n"
BOCHS = f"""\
  b: {{kind: bochs, memory: 32M, boot: network, disks: ["floppy,empty.img"], nics: {{eth0: {{mac: "{MAC}"}}}}}}
"""
DHCP_PORTS = b"\0\x44\0\x43", b"\0\x43\0\x44"
MAGIC = b"\x63\x82\x53\x63"
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
PATIENCE_S = 120.0
TRY_S = 20.0


@pytest.fixture
def labs(short_path: Path) -> Iterator[LabRunner]:
    with LabRunner(short_path, fake_guests=False) as runner:
        yield runner


@contextmanager
def listening(client: VdeClient) -> Iterator["queue.Queue[bytes]"]:
    """Every frame that comes, read at once: a datagram socket holds eleven, and the lab's start may take longer."""
    frames: queue.Queue[bytes] = queue.Queue()

    def read() -> None:
        while not ended.is_set():
            with suppress(TimeoutError):
                frames.put(client.receive())

    ended = threading.Event()
    client.data.settimeout(0.2)
    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield frames
    finally:
        ended.set()
        reader.join()


def dhcp_type(frame: bytes, mac: bytes) -> int | None:
    """The message's type, if it is DHCP's, from or to `mac`."""
    if frame[12:14] != b"\x08\0" or frame[34:38] not in DHCP_PORTS or frame[70:76] != mac:
        return None
    at = frame.find(MAGIC) + 4
    while at >= 4 and at + 2 < len(frame) and frame[at] != 255:
        if frame[at] == 53:
            return frame[at + 2]
        at += 2 + frame[at + 1] if frame[at] else 1
    return None


def test_its_boot_program_gets_an_address(labs: LabRunner, need_tool: NeedTool) -> None:
    need_tool("bochs")
    (labs.directory / "empty.img").write_bytes(bytes(1474560))
    labs.write(f"nodes:\n{NETWORK}links: [n -- hub]\n")  # first: nothing is missed
    labs.vde("up")
    (segments,) = labs.runtime.glob("**/s/hub")
    seen: list[int] = []
    deadline = time.monotonic() + PATIENCE_S
    with VdeClient(segments) as client, listening(client) as frames:
        labs.write(f"nodes:\n{NETWORK}{BOCHS}links: [n -- hub, b -- hub]\n")
        labs.vde("up")
        while ACK not in seen:
            try:
                frame = frames.get(timeout=TRY_S)
            except queue.Empty:
                # Where much else runs, its boot program gives up after a few tries, and Bochs ends: start it again.
                assert time.monotonic() < deadline, f"{seen}: {labs.vde('ps')}"
                labs.vde("up")
                continue
            kind = dhcp_type(frame, bytes.fromhex(MAC.replace(":", "")))
            if kind is not None:
                seen.append(kind)
    # it asks for what it was offered: it has heard us
    assert seen.index(DISCOVER) < seen.index(OFFER) < seen.index(REQUEST) < seen.index(ACK)
    assert "bochs" in labs.vde("ps")
    assert "eth0 → hub:" in labs.vde("ps")
    pid = labs.pids()["b"]
    labs.vde("down")
    assert not Path(f"/proc/{pid}").exists()
    labs.assert_nothing_is_left()


def test_what_bochs_has_not(labs: LabRunner) -> None:
    labs.write("nodes:\n  b: {kind: bochs, nics: {eth0: pcnet}}\n  c: {kind: bochs, boot: kernel}\n")
    output = labs.vde("validate", status=2)
    assert "network cards of ne2k or e1000" in output
    assert "boot: disk" in output
