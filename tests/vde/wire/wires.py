"""Wires of tests: made from settings, fed and drained in virtual time."""

from collections.abc import Sequence

from vde.wire.model import Start, Wire
from vde.wire.schedule import DIRECTIONS, Change

LR, RL = DIRECTIONS
MS = 1_000_000


def wire(seed: str = "seed", name: str = "w", rule: str | None = None, **settings: str) -> Wire:
    """`wire(delay="1ms", queue_frames="3")`."""
    given = tuple((setting.replace("_", "-"), value) for setting, value in settings.items())
    return Wire(name, seed, 0, Start().changed(Change("set", DIRECTIONS, rule, given)))


def frame(number: int, octets: int = 60) -> bytes:
    return (bytes.fromhex("ffffffffffff 020000000001 88b5") + number.to_bytes(4)).ljust(octets, b"\0")


def number_of(octets: bytes) -> int:
    return int.from_bytes(octets[14:18])


def drain(one: Wire, direction: str = LR, until_ns: int = 1 << 62) -> list[tuple[int, bytes]]:
    """What leaves, each at its exact time, until nothing is due any more."""
    side, found = one.directions[direction], []
    while (deadline := side.next_deadline()) is not None and deadline <= until_ns:
        found += [(deadline, octets) for octets in side.frames_to_send(deadline)]
    return found


def feed(one: Wire, frames: Sequence[bytes], now_ns: int = 0, direction: str = LR) -> None:
    one.directions[direction].receive(frames, now_ns)


def times_ms(found: Sequence[tuple[int, bytes]]) -> list[float]:
    return [at / MS for at, _ in found]


def numbers(found: Sequence[tuple[int, bytes]]) -> list[int]:
    return [number_of(octets) for _, octets in found]
