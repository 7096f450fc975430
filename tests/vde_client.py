"""A VDE client written from the wire format, for tests that need more control than libvdeplug gives."""

import itertools
import os
import socket
import struct
from pathlib import Path
from types import TracebackType

from vde.registration import Request

_serials = itertools.count()
PATIENCE_S = 10.0


class Refusal(Exception):
    """The switch closed the control connection instead of answering."""


class VdeClient:
    """Registered on construction; blocking, with a timeout.

    Args:
        directory: the switch's control directory.
        port: wanted port, 0 for any.
        unpacked: send the 124-octet layout of User-Mode Linux, Bochs and Dynamips, and do not connect back.
        abstract: bind the data socket to an abstract name.
    """

    def __init__(
        self,
        directory: Path,
        port: int = 0,
        description: str = "test",
        *,
        management: bool = False,
        unpacked: bool = False,
        abstract: bool = False,
    ) -> None:
        self.ctl = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.data = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ctl.settimeout(PATIENCE_S)
        self.data.settimeout(PATIENCE_S)
        if abstract:
            name = struct.pack("=4xII", os.getpid(), next(_serials)).ljust(108, b"\0")
        else:
            name = os.fsencode(directory / f".{os.getpid():05d}-{next(_serials):05d}")
        try:
            self.ctl.connect(os.fspath(directory / "ctl"))
            self.data.bind(name)
            octets = Request(port, management, name, "" if unpacked else description).emit()
            self.ctl.send(octets + bytes(2) if unpacked else octets)
            reply = self.ctl.recv(4096)
            if not reply:
                raise Refusal
            assert len(reply) == 110
            self.reply_path = os.fsdecode(reply[2:].rstrip(b"\0"))
            self.connected = not unpacked
            if self.connected:
                self.data.connect(self.reply_path)
        except BaseException:
            self.close()
            raise
        finally:
            if not abstract:
                Path(os.fsdecode(name)).unlink(missing_ok=True)

    def send(self, frame: bytes) -> None:
        if self.connected:
            self.data.send(frame)
        else:
            self.data.sendto(frame, self.reply_path)

    def receive(self) -> bytes:
        return self.data.recv(70000)

    def pending(self) -> list[bytes]:
        """What is there now."""
        frames = []
        self.data.settimeout(0)
        try:
            while True:
                frames.append(self.data.recv(70000))
        except BlockingIOError:
            return frames
        finally:
            self.data.settimeout(PATIENCE_S)

    def wait_closed(self) -> None:
        """Until the switch closes the control connection."""
        assert self.ctl.recv(1) == b""

    def close(self) -> None:
        self.ctl.close()
        self.data.close()

    def __enter__(self) -> "VdeClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def frame(source: int, destination: int | None = None, payload: bytes = b"", ethertype: int = 0x88B5) -> bytes:
    """An Ethernet frame of at least 60 octets between 02:00:00:00:00:NN addresses; None: broadcast."""
    to = b"\xff" * 6 if destination is None else b"\x02\0\0\0" + destination.to_bytes(2)
    head = to + b"\x02\0\0\0" + source.to_bytes(2) + ethertype.to_bytes(2)
    return (head + payload).ljust(60, b"\0")


def tagged(untagged: bytes, tci: int) -> bytes:
    """The frame with an 802.1Q tag."""
    return untagged[:12] + b"\x81\x00" + tci.to_bytes(2) + untagged[12:]
