"""wirefilter's rules, and the native lane that may go on in their place: the same frames at the same times."""

import socket

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vde.wire.test_native import Nobody, Traffic, play_native, rest_of_native, traffic
from tests.vde.wire.wires import MS, frame
from vde import _native
from vde.clock import monotonic_ns
from vde.endpoint import EndpointKind, HandedOver
from vde.wire.filter.nodes import Nodes
from vde.wire.filter.pipeline import BlinkSink, Filter, FilterDirection
from vde.wire.native import NativeCarrier, state_of, terms
from vde.wire.process import RunningDirection

Words = dict[str, str]
CHOICES = {
    "delay": ["1", "40", "2+1.5", "2+1.5N", "0.3+40", "-3+5N", "-7", "1e15"],
    "loss": ["5", "100", "120", "-3"],
    "lostburst": ["3", "0.5", "-1"],
    "mtu": ["101.5", "103", "1", "-4"],
}


def words() -> st.SearchStrategy[Words]:
    return st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in CHOICES.items()})


def filtered(given: Words, fifo: bool) -> Filter:
    nodes = Nodes()
    for parameter, text in given.items():
        nodes.set_value(parameter, text)
    made = Filter("seed", nodes, 0)
    made.fifo = fifo
    return made


def play(side: FilterDirection, frames: Traffic, now_ns: int, first: int) -> tuple[list[tuple[int, bytes]], int]:
    found: list[tuple[int, bytes]] = []
    for index, (gap, octets, look) in enumerate(frames):
        now_ns += gap
        side.receive([frame(first + index, octets)[:octets]], now_ns)
        if look:
            found += [(now_ns, one) for one in side.frames_to_send(now_ns)]
    return found, now_ns


def rest(side: RunningDirection) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    while (at := side.next_deadline()) is not None:
        found += [(at, one) for one in side.frames_to_send(at)]
    return found


@settings(max_examples=100, deadline=None)
@given(words(), st.booleans(), traffic, traffic, traffic)
def test_the_one_goes_on_for_the_other(
    given: Words, fifo: bool, first: Traffic, second: Traffic, third: Traffic
) -> None:
    alone, side = filtered(given, fifo).sides[0], filtered(given, fifo).sides[0]
    unlike = "lostburst" in given and given["lostburst"] != "-1" and (given.get("mtu", "-4") != "-4")
    endless = given.get("loss") in ("100", "120") and given.get("lostburst") in ("3", "0.5")
    assert side.portable is not (unlike or endless or given.get("delay") == "1e15")
    expected, found = [], []
    now_ns = 0
    for part, frames in enumerate((first, second, third)):
        more, then_ns = play(alone, frames, now_ns, 1000 * part)
        expected += more
        if part == 1 and side.portable:
            lane = _native.WireLane(terms(side, side.give_away(Nobody())))
            found += play_native(lane, frames, now_ns, 1000 * part)
            side.take_back(*state_of(lane.stop(), side.impairments))
        else:
            found += play(side, frames, now_ns, 1000 * part)[0]
        now_ns = then_ns
    assert (found, rest(side)) == (expected, rest(alone))
    assert (side.number, side.queued_octets) == (alone.number, alone.queued_octets)


def test_a_lane_that_goes_on_to_the_end() -> None:
    alone, side = (
        filtered({"delay": "9+5N", "loss": "9"}, False).sides[1],
        filtered({"delay": "9+5N", "loss": "9"}, False),
    )
    lane = _native.WireLane(terms(side.sides[1], side.sides[1].give_away(Nobody())))
    frames = [(1000, 60, False)] * 500
    play(alone, frames, 0, 0)
    play_native(lane, frames, 0, 0)
    assert rest_of_native(lane) == rest(alone)


@pytest.mark.parametrize(
    "text", ["dup 1", "bandwidth 1M", "speed 1M", "noise 1", "chanbufsize 9", "loss 1+1", "mtu 9+1"]
)
def test_what_a_lane_does_not_do_alike_stays_here(text: str) -> None:
    parameter, _, value = text.partition(" ")
    assert not filtered({parameter: value}, True).sides[0].portable
    assert filtered({}, True).sides[0].portable


def test_nodes_and_blinks_stay_here() -> None:
    made = filtered({"delay": "1"}, True)
    assert made.sides[0].portable
    made.nodes.set_count(2)
    assert not made.sides[0].portable
    made.nodes.set_count(1)
    assert made.sides[0].portable
    made.blinks = BlinkSink()
    assert not made.sides[0].portable


async def test_fifo_is_one_order_of_both_directions() -> None:
    """A frame to the left waits for one to the right that came before it, as wirefilter's do (rule 6)."""
    for fifo in (True, False):
        made = filtered({}, fifo)
        made.nodes.set_value("delay", "LR200")
        near, far = zip(*(socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)), strict=True)
        carried = NativeCarrier(made).open(*(HandedOver(one.detach(), EndpointKind.DATAGRAM) for one in near))
        with trio.fail_after(20), far[0], far[1]:
            began = monotonic_ns()
            far[0].send(frame(1))
            while made.sides[0].waiting == 0:
                await trio.lowlevel.checkpoint()
            far[1].send(frame(2))
            await trio.lowlevel.wait_readable(far[0])
            assert far[0].recv(2000) == frame(2)
            assert (monotonic_ns() - began >= 200 * MS) is fifo
            await trio.lowlevel.wait_readable(far[1])
            assert far[1].recv(2000) == frame(1)
            carried.end()
        assert [side.number for side in made.sides] == [1, 1]
