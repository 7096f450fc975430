"""The native lane decides what the model decides, to the bit, also when the one goes on for the other."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vde.wire.wires import LR, MS, frame
from vde import _native
from vde.wire.chance import Chance
from vde.wire.direction import Direction
from vde.wire.impairments import Impairments, merge
from vde.wire.model import Start, Wire
from vde.wire.native import FATES, add, state_of, terms, verdict_of
from vde.wire.schedule import DIRECTIONS, Change
from vde.wire.verdict import Ring, Tally, Verdict

CHOICES = {
    "delay": ["1ms", "40ms"],
    "jitter": ["500us", "30ms"],
    "distribution": ["uniform", "normal", "pareto", "paretonormal"],
    "keep-order": ["yes"],
    "loss": ["0%", "5%", "100%", "gilbert:2%,25%", "gilbert:5%,20%,70%,1%", "burst:10%,3", "state:1%,25%,5%,80%,1%"],
    "duplicate": ["3%", "100%"],
    "corrupt": ["10%"],
    "ber": ["1e-6", "1e-3", "0.5"],
    "reorder": ["25%"],
    "gap": ["1", "5"],
    "rate": ["8bit", "1Mbit", "1Gbit"],
    "burst": ["3K"],
    "overhead": ["24B", "-14B"],
    "queue": ["2K"],
    "queue-frames": ["0", "3", "1000"],
    "mtu": ["100B", "1514B"],
}
Settings = dict[str, str]
Traffic = list[tuple[int, int, bool]]


def some_settings() -> st.SearchStrategy[Settings]:
    one_each = {name: st.sampled_from(values) for name, values in CHOICES.items()}
    found = st.fixed_dictionaries({}, optional=one_each)
    return found.map(lambda given: given if "delay" in given else {k: v for k, v in given.items() if k != "reorder"})


traffic = st.lists(
    st.tuples(st.integers(0, 3 * MS), st.sampled_from([14, 60, 101, 1514, 9000]), st.booleans()), max_size=60
)
"""Times since the frame before, octets, whether to look for due frames then."""


def model(given: Settings, up: bool = True) -> Direction:
    wire = Wire("w", "seed", 0, Start().changed(Change("set", DIRECTIONS, None, tuple(given.items()))))
    side = wire.directions[LR]
    side.up = up
    return side


class Nobody:
    """A carrier that is never asked."""

    def why(self, number: int) -> list[Verdict]:
        raise AssertionError

    def held(self) -> tuple[tuple[int, int], tuple[int, int]]:
        raise AssertionError


def native(of: Direction) -> _native.WireLane:
    return _native.WireLane(terms(of, of.give_away(Nobody())))


def play_model(side: Direction, frames: Traffic, now_ns: int, first: int) -> tuple[list[tuple[int, bytes]], int]:
    found: list[tuple[int, bytes]] = []
    for index, (gap, octets, look) in enumerate(frames):
        now_ns += gap
        side.receive([frame(first + index, octets)[:octets]], now_ns, [now_ns])
        if look:
            found += [(now_ns, one) for one in side.frames_to_send(now_ns)]
    return found, now_ns


def play_native(lane: _native.WireLane, frames: Traffic, now_ns: int, first: int) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    for index, (gap, octets, look) in enumerate(frames):
        now_ns += gap
        lane.receive([(frame(first + index, octets)[:octets], now_ns)])
        if look:
            found += [(now_ns, one) for one in lane.frames_to_send(now_ns, 64)]
    return found


def rest_of_model(side: Direction) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    while (at := side.next_deadline()) is not None:
        found += [(at, one) for one in side.frames_to_send(at)]
    return found


def rest_of_native(lane: _native.WireLane) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    while (at := lane.next_deadline()) is not None:
        found += [(at, one) for one in lane.frames_to_send(at, 64)]
    return found


def same_verdicts(side: Direction, lane: _native.WireLane, impairments: Impairments, numbers: Sequence[int]) -> None:
    for number in numbers:
        expected, ring = side.why(number), Ring()
        for fields in lane.why(number):
            ring.learn(verdict_of(fields, impairments))
        found = ring.find(number)
        assert expected is not None
        assert found is not None
        assert found.as_json() == expected.as_json()


def tally_of(native_tally: tuple[Any, ...]) -> Tally:
    tally = Tally()
    add(tally, native_tally, None)
    return tally


@settings(max_examples=300, deadline=None)
@given(some_settings(), traffic, st.booleans())
def test_it_decides_as_the_model_does(given: Settings, frames: Traffic, up: bool) -> None:
    side, lane = model(given, up), native(model(given, up))
    assert play_native(lane, frames, 0, 0) == play_model(side, frames, 0, 0)[0]
    assert rest_of_native(lane) == rest_of_model(side)
    assert tally_of(lane.tally()) == side.tally
    same_verdicts(side, lane, side.impairments, range(1, len(frames) + 1))


@settings(max_examples=300, deadline=None)
@given(some_settings(), traffic, traffic, traffic)
def test_the_one_goes_on_for_the_other(given: Settings, first: Traffic, second: Traffic, third: Traffic) -> None:
    alone, side = model(given), model(given)
    expected, found = [], []
    now_ns = 0
    for part, frames in enumerate((first, second, third)):
        begin = 1000 * part
        more, then_ns = play_model(alone, frames, now_ns, begin)
        expected.append(more)
        if part == 1:
            lane = native(side)
            found.append(play_native(lane, frames, now_ns, begin))
            state = lane.stop()
            add(side.tally, state["tally"], None)
            side.take_back(*state_of(state, side.impairments))
        else:
            found.append(play_model(side, frames, now_ns, begin)[0])
        now_ns = then_ns
    assert found == expected
    assert rest_of_model(side) == rest_of_model(alone)
    assert side.statistics() == alone.statistics()
    for number in range(1, side.number + 1):
        one, other = side.why(number), alone.why(number)
        assert one is not None
        assert other is not None
        assert one.as_json() == other.as_json()


def test_a_table_of_jitter(tmp_path: Any) -> None:
    table = tmp_path / "some.dist"
    table.write_text(" ".join(str(number) for number in range(-8192, 8193, 64)))
    side, other = (Direction(LR, Chance("seed", "w", LR), 0) for _ in range(2))
    words = {"delay": "40ms", "jitter": "3ms", "distribution": str(table)}
    given = merge(Impairments(), words, lambda _: table.read_text())
    side.configure(given, (), 0)
    other.configure(given, (), 0)
    lane = native(other)
    frames = [(1000, 60, False)] * 500
    assert play_native(lane, frames, 0, 0) == play_model(side, frames, 0, 0)[0]
    assert rest_of_native(lane) == rest_of_model(side)


@pytest.mark.parametrize(
    "given",
    [
        {"loss": "1%,25%"},
        {"delay": "5ms", "jitter": "1ms", "jitter-correlation": "10%"},
        {"duplicate": "1%,1%"},
        {"rate": "1Mbit", "discipline": "codel"},
    ],
    ids=str,
)
def test_what_it_does_not_know_stays_with_the_model(given: Settings) -> None:
    assert not model(given).portable
    assert model({"delay": "1ms"}).portable


def test_settings_out_of_range_are_refused() -> None:
    side = model({"delay": "1ms"})
    good = terms(side, side.give_away(Nobody()))
    verdict: tuple[Any, ...] = (1, 0, 0, 60, 0, [], 0, 0, False, 0)
    for bad in (
        {"shape": "square"},
        {"shape": "table", "table": [1]},
        {"loss": ("gilbert", [0.1])},
        {"loss": ("state", [0.1, 0.1, 0.1, 0.1, 0.1]), "loss_state": 9},
        {"rate_bit_s": 0},
        {"line": [(b"x", (*verdict[:4], len(FATES), *verdict[5:]))]},
        {"line": [(b"x", (1, 2, *verdict[2:]))]},
    ):
        with pytest.raises(ValueError, match=r"\w"):
            _native.WireLane({**good, **bad})
    _native.WireLane(good)


def test_a_frame_of_no_octets_and_one_of_many() -> None:
    side, lane = model({"ber": "0.5", "corrupt": "100%"}), native(model({"ber": "0.5", "corrupt": "100%"}))
    many = bytes(range(256)) * 255
    side.receive([many], 5)
    lane.receive([(many, 5)])
    assert rest_of_native(lane) == rest_of_model(side)
    lane.receive([(b"", 6)])
    assert lane.tally()[0] == 2
