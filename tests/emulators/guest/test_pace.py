"""Virtual time and the host's: never ahead, caught up while waiting, lost only when much is."""

from hypothesis import given
from hypothesis import strategies as st

from emulators.guest.pace import AHEAD_NS, MOST_LAG_NS, Pace

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


def test_virtual_makes_up_for_waking_late() -> None:
    pace = Pace("virtual", HZ, 0, 0)
    tick, now = 0, 0
    for _ in range(250):  # a timer every 4 ms, met 1 ms late each time
        pace.waits(tick, now)
        wait = pace.wait_ns(tick + HZ // 250, now)
        assert wait is not None
        tick, now = tick + HZ // 250, now + wait + S // 1000
    assert tick == HZ
    assert now == S + S // 1000


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
