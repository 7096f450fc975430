"""Hearing the frames of a capture point (`vde.lab.resolved.CapturePoint`), wherever they can be heard.

| where                  | what the end sends                          | what it gets                               |
|------------------------|---------------------------------------------|--------------------------------------------|
| a wire is there        | the wire itself tells, with its verdict     | a mirror of the wire's port at this end    |
| a switch's port        | a mirror of the port, what enters           | a mirror of the port, what leaves          |

("enters" and "leaves" are the other way round if the end is the switch itself.)
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from plugs import registry
from vde.errors import LinkBroken, WireError
from vde.lab.line import LineReader
from vde.lab.messages import Listening
from vde.lab.segment_console import Way, open_mirror
from vde.plugspec import Surroundings
from vde.vnl import quote

MOST_LINE_OCTETS = 1 << 20  # a frame of 65535 octets in hexadecimal, and what is said about it
DIRECTIONS = ("left-to-right", "right-to-left")


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame.

    Attributes:
        point: index of the point that it was heard at.
        sent: the point's end sent it; else it got it.
        wall_ns: when, since 1970.
        comment: what the wire did to it; empty if nothing, or nothing is known.
    """

    point: int
    sent: bool
    wall_ns: int
    frame: bytes
    comment: str = ""


Hear = Callable[[list[Heard]], Awaitable[None]]
Lost = Callable[[int, int], None]
"""Point and number: frames were missed there."""


async def listen(
    index: int, point: Listening, surroundings: Surroundings, hear: Hear, lost: Lost, *, task_status: Any
) -> None:
    """Hear one point, until cancelled. Started when `task_status` is told.

    Raises:
        LinkBroken: the switch or the wire has gone.
    """
    ways: list[Way] = []
    if point.wire is None:
        ways = ["in", "out"] if point.ways == "both" else ["in" if point.sends_in else "out"]
    elif point.ways == "both":
        ways = ["out" if point.sends_in else "in"]
    async with trio.open_nursery() as nursery:
        if point.wire is not None:
            await nursery.start(_watch, index, point.wire, DIRECTIONS[point.wire_end], hear, lost)
        for way in ways:
            sent = way == ("in" if point.sends_in else "out")
            await nursery.start(_mirror, index, point, way, sent, surroundings, hear)
        task_status.started()


async def _mirror(
    index: int, point: Listening, way: Way, sent: bool, surroundings: Surroundings, hear: Hear, *, task_status: Any
) -> None:
    async with open_mirror(point.management, point.port, way, point.numports) as number:
        vnl = f"vde://{quote(str(point.directory))}[port={number}]"
        async with registry.open_link(vnl, surroundings) as link:
            task_status.started()
            while True:
                frames = await link.receive()
                now = surroundings.wall_ns()
                await hear([Heard(index, sent, now, frame) for frame in frames])


async def _watch(index: int, control: Path, direction: str, hear: Hear, lost: Lost, *, task_status: Any) -> None:
    try:
        stream = await trio.open_unix_socket(control)
    except OSError as error:
        raise LinkBroken(f"{control}: {error.strerror or error}: no wire listens there") from None
    async with stream:
        await stream.send_all(json.dumps({"do": "watch", "direction": direction}).encode() + b"\n")
        reader = LineReader(stream, MOST_LINE_OCTETS)
        try:
            answer = await _object(reader)
            if answer is None or not answer.get("ok"):
                raise LinkBroken(f"the wire refuses: {(answer or {}).get('error', 'it has ended')}")
            task_status.started()
            while (line := await _object(reader)) is not None:
                if "lost" in line:
                    lost(index, int(line["lost"]))
                else:
                    await hear([_heard(index, line)])
        except (trio.BrokenResourceError, ValueError, KeyError, TypeError) as error:
            raise WireError(f"the wire says what is not understood: {error}") from None
    raise LinkBroken(f"the wire {control.name} has ended")


async def _object(reader: LineReader) -> dict[str, Any] | None:
    line = await reader.line()
    if line is None:
        return None
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _heard(index: int, line: dict[str, Any]) -> Heard:
    comment = str(line["text"]) if line.get("changed") or line.get("dropped") else ""
    return Heard(index, True, int(line["wall_ns"]), bytes.fromhex(line["frame"]), comment)
