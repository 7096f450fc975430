"""Turns: how many frames of one endpoint come before another's."""

from itertools import groupby

import pytest

from switch.forwarding.contract import Direction, Packet, Watch
from switch.forwarding.terms import FRAMES_PER_SHORT_TURN, FRAMES_PER_TURN, LONE_ROUNDS, LONE_TURNS
from tests.switch.forwarding.rig import MakeRig, Rig
from tests.vde_client import frame


@pytest.fixture
def watched(make_rig: MakeRig) -> Rig:
    rig = make_rig()
    for number in (1, 2, 3, 4, 5):
        rig.port(number)
    rig.forwarder.watch(Watch.PACKETS)
    return rig


def single_frames(rig: Rig, rounds: int) -> None:
    """Ports 4 and 5 send one frame each in turn, so that neither is ready in two rounds running."""
    for number in range(rounds):
        rig.cross(4 + number % 2, frame(3, 4 + number % 2))


def turns(rig: Rig) -> list[int]:
    """Both 1 and 2 have much to send: the lengths of their turns."""
    for sender in (1, 2):
        rig.send(sender, *[frame(3, sender, payload=number.to_bytes(4)) for number in range(60)])
    received = [e.port for e in rig.poll() if isinstance(e, Packet) and e.direction is Direction.IN]
    assert received.count(1) == received.count(2) == 60
    return [len(list(turn)) for _, turn in groupby(received)]


def test_a_turn_is_a_whole_batch_among_busy_endpoints(watched: Rig) -> None:
    assert turns(watched)[:4] == [1, 1, FRAMES_PER_TURN, FRAMES_PER_TURN]


def test_a_turn_is_short_while_somebody_sends_single_frames(watched: Rig) -> None:
    single_frames(watched, 2 * LONE_TURNS)
    lengths = turns(watched)
    assert lengths[:4] == [1, 1, FRAMES_PER_SHORT_TURN, FRAMES_PER_SHORT_TURN]
    assert max(lengths) == FRAMES_PER_SHORT_TURN


def test_a_few_single_frames_do_not_matter(watched: Rig) -> None:
    single_frames(watched, 2 * LONE_TURNS - 2)
    assert max(turns(watched)) == FRAMES_PER_TURN


def test_turns_are_long_again_some_rounds_later(watched: Rig) -> None:
    single_frames(watched, 2 * LONE_TURNS)
    for _ in range(LONE_ROUNDS - 1):
        watched.cross(1, frame(3, 1), frame(3, 1))  # two frames: a burst
    assert turns(watched)[0] == FRAMES_PER_TURN
