"""Virtual time and the host's: never ahead, caught up while waiting, lost only when much is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.guest.pace import AHEAD_NS, DOZE_NS, GENTLE_LAG_NS, MOST_LAG_NS, Mode, Pace

HZ = 100_000_000
S = 1_000_000_000


def test_virtual_works_without_pause_and_waits_in_real_time() -> None:
    pace = Pace("virtual", HZ, 0, 0)
    assert pace.allowance(50 * HZ, 1 * S, 1000) == 1000
    pace.waits(50 * HZ, 1 * S)
    assert pace.wait_ns(51 * HZ, 1 * S) == 1 * S
    assert pace.woken(50 * HZ, 51 * HZ, 1 * S + S // 4) == 50 * HZ + HZ // 4
    assert pace.woken(50 * HZ, 51 * HZ, 9 * S) == 51 * HZ
    assert pace.wait_ns(None, 1 * S) is None


def test_warp_waits_for_nothing() -> None:
    pace = Pace("warp", HZ, 0, 0)
    pace.waits(5, 0)
    assert pace.wait_ns(1000 * HZ, 0) == 0
    assert pace.wait_ns(None, 0) is None
    assert pace.woken(5, None, 7 * S) == 5


def test_host_sleeps_when_it_is_ahead() -> None:
    pace = Pace("host", HZ, 0, 0)
    ticks = pace.allowance(0, 0, HZ)
    assert ticks == AHEAD_NS * HZ // S
    assert pace.allowance(ticks, 0, HZ) == 0
    assert pace.rest_ns(ticks, 0) == AHEAD_NS // 2
    assert pace.allowance(ticks, AHEAD_NS // 2, HZ) == ticks // 2


def test_host_catches_up_while_it_waits() -> None:
    pace = Pace("host", HZ, 0, 0)
    pace.waits(HZ, 3 * S)  # two seconds behind
    assert pace.wait_ns(2 * HZ, 3 * S) == S // 2  # at twice its pace
    assert pace.woken(HZ, 9 * HZ, 3 * S + S // 4) == HZ + HZ // 2
    pace.waits(5 * HZ, 5 * S)
    assert pace.wait_ns(6 * HZ, 5 * S) == 1 * S


@pytest.mark.parametrize("mode", ["virtual", "host"])
def test_waking_late_is_made_up_for(mode: Mode) -> None:
    pace = Pace(mode, HZ, 0, 0)
    tick, now = 0, 0
    for _ in range(2500):  # a timer every 4 ms, met 1 ms late each time
        pace.waits(tick, now)
        wait = pace.wait_ns(tick + HZ // 250, now)
        assert wait is not None
        tick, now = tick + HZ // 250, now + wait + S // 1000
    assert tick == 10 * HZ
    assert now - 10 * S <= GENTLE_LAG_NS + S // 1000
    assert pace.given_up_ns == 0


def test_the_last_of_a_lag_is_made_up_for_gently() -> None:
    """A round trip of 200 ms is measured as 220 ms at most, whatever lag it began with."""
    pace = Pace("virtual", HZ, 0, 0)
    pace.waits(HZ, S + GENTLE_LAG_NS)
    assert pace.woken(HZ, None, S + GENTLE_LAG_NS + S // 5) == HZ + HZ * 22 // 100
    assert pace.wait_ns(HZ * 2, S + GENTLE_LAG_NS) == S - GENTLE_LAG_NS
    assert pace.wait_ns(HZ + HZ // 10, S + GENTLE_LAG_NS) == S // 11


def test_a_doze_is_slept_through_and_made_up_for_at_once() -> None:
    pace = Pace("virtual", HZ, 0, 0)
    tick, now, sleeps = 0, 0, 0
    while tick < 10 * HZ:  # a timer every 4 ms
        pace.waits(tick, now, dozes=True)
        tick += HZ // 250
        if wait := pace.wait_ns(tick, now):
            sleeps, now = sleeps + 1, now + wait
    assert 10 * S <= now <= 10 * S + DOZE_NS
    assert sleeps < 10 * 36
    assert pace.given_up_ns == 0


def test_what_wakes_a_dozing_guest_finds_it_at_the_present_time() -> None:
    pace = Pace("virtual", HZ, 0, 0)
    pace.waits(0, 0, dozes=True)
    assert pace.wait_ns(HZ // 250, 0) == S // 250 + DOZE_NS
    assert pace.woken(0, HZ // 250, S // 500) == HZ // 500
    assert pace.woken(0, HZ // 250, S // 50) == HZ // 250  # with its own timer


def test_virtual_does_not_make_up_for_work() -> None:
    pace = Pace("virtual", HZ, 0, 0)
    pace.waits(HZ, 9 * S)
    assert pace.wait_ns(2 * HZ, 9 * S) == 1 * S
    assert pace.given_up_ns == 8 * S


def test_host_gives_up_what_is_too_far_behind() -> None:
    pace = Pace("host", HZ, 0, 0)
    assert pace.allowance(HZ, 3600 * S, HZ) > 0
    assert pace.given_up_ns == 3599 * S
    assert pace.due_ns(HZ) == 3600 * S


@given(st.lists(st.integers(0, 3 * AHEAD_NS), max_size=200))
def test_host_is_never_further_ahead_than_it_may(steps: list[int]) -> None:
    pace = Pace("host", HZ, 7, 1_000_000)
    tick, now = 7, 1_000_000
    for step in steps:
        ticks = pace.allowance(tick, now, HZ)
        assert ticks >= 0
        tick += ticks
        assert tick <= pace.tick_at(now + AHEAD_NS)
        if ticks == 0:
            rest = pace.rest_ns(tick, now)
            assert 0 < rest <= AHEAD_NS // 2
            now += rest
            assert pace.allowance(tick, now, HZ) > 0
        now += step
    assert now - pace.due_ns(tick) <= MOST_LAG_NS["host"]
