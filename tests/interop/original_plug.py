"""Debian's vde_plug, dressed as a link: `vde_plug VNL`, frames on its standard input and output."""

import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from vde.errors import LinkBroken
from vde.framing import StreamDecoder, encode
from vde.link import Link

PROGRAM = "/usr/bin/vde_plug"  # ours has the same name, and may be before it in PATH
TRY_S = 0.1


class OriginalPlug(Link):
    """A process, and its pipes."""

    def __init__(self, process: trio.Process) -> None:
        super().__init__()
        self.process = process
        self._decoder = StreamDecoder(self.counters.drop_in)
        self._frames: list[bytes] = []

    async def send(self, frames: Sequence[bytes]) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send_all(encode(frames))

    async def receive(self) -> list[bytes]:
        """One at a time."""
        assert isinstance(self.process.stdout, trio.abc.ReceiveStream)
        while not self._frames:
            octets = await self.process.stdout.receive_some(1 << 16)
            if not octets:
                raise LinkBroken("vde_plug ended")
            self._frames = self._decoder.receive(bytes(octets))
        return [self._frames.pop(0)]


@asynccontextmanager
async def open_original_plug(
    *vnls: str, namespace: str | None = None, environment: dict[str, str] | None = None
) -> AsyncIterator[OriginalPlug]:
    """Runs until the end of the block; `namespace`: of the network, as `ip netns` names it."""
    before = ["ip", "netns", "exec", namespace] if namespace else []
    process = await trio.lowlevel.open_process(
        [*before, PROGRAM, *vnls], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    try:
        yield OriginalPlug(process)
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.terminate()
            await process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    await pipe.aclose()


async def receive_ours(link: Link, ethertype: bytes = b"\x88\xb5") -> bytes:
    """The next frame of the test; the kernel's own, and what came at once with it, are passed over."""
    while True:
        for frame in await link.receive():
            if ethertype in (frame[12:14], frame[16:18]):
                return frame


async def exchange(sender: Link, receiver: Link, frame: bytes) -> bytes:
    """Send a frame until something arrives: nobody says when a program has opened its plug."""
    while True:
        await sender.send([frame])
        with trio.move_on_after(TRY_S):
            return await receive_ours(receiver)


async def quiet(link: Link) -> None:
    """Throw away what has come by now, as repeated frames of `exchange`."""
    while True:
        with trio.move_on_after(TRY_S) as scope:
            await receive_ours(link)
        if scope.cancelled_caught:
            return
