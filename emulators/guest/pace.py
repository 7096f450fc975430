"""How virtual time and the host's keep together. Pure: the host's time is an argument.

    mode      while the processor works        while it waits
    virtual   as fast as the host can          in real time
    host      hardly ahead of the host         in real time; faster while behind the host
    warp      as fast as the host can          at once

A guest that fell behind the host (because it was too slow for it, or woke late) catches up while it waits: at twice its
pace, so that what it waits for from outside still has half of its time to come; the last of it, `GENTLE_LAG_NS`, at a
tenth more than its pace, so that round trips which it measures are not a tenth too long. What is more than
`MOST_LAG_NS` behind is given up, and counted.

A guest may doze (`emulators.guest.doze`): then it sleeps up to `DOZE_NS` longer than until its own timer, and makes
up for all that it missed at once. The first thing from outside, or to do, ends that.

Units: host times in ns, virtual times in ticks.
"""

from collections.abc import Mapping
from typing import Final, Literal

Mode = Literal["virtual", "host", "warp"]
NS_PER_S = 1_000_000_000
AHEAD_NS = 4_000_000
"""How far ahead of the host a working guest may be; it sleeps until it is half as far. Chosen: a sleep costs 0.1 ms."""
MOST_LAG_NS: Final[Mapping[Mode, int]] = {"virtual": NS_PER_S // 20, "host": 10 * NS_PER_S, "warp": 0}
"""Chosen: `virtual` only makes up for waking late; in `host` mode a busy time is made up for, a suspension is not."""
FULL_PCT = 100
CATCH_UP_PCT = 200
"""Of a guest that is far behind: how fast its time goes. Chosen."""
GENTLE_LAG_NS = 30_000_000
GENTLE_PCT = 110
"""Of one that is hardly behind. Chosen: a doze's worth is made up for in a third of a second."""
DOZE_NS = 25_000_000
"""Chosen: nobody sees it, and thirty wakes a second cost little. Less than half of what `virtual` makes up for."""


class Pace:
    """The relation of ticks to host time.

    Attributes:
        given_up_ns: how much time was lost for good.
    """

    def __init__(self, mode: Mode, ticks_hz: int, tick: int, now_ns: int) -> None:
        self.mode = mode
        self.given_up_ns = 0
        self._hz = ticks_hz
        self.anchor(tick, now_ns)

    def anchor(self, tick: int, now_ns: int) -> None:
        """Let `tick` be now: at the start, and after a time that shall not count (a debugger's)."""
        self._tick, self._now_ns = tick, now_ns
        self._wait_tick, self._wait_ns = tick, now_ns
        self._wait_pct, self._dozes = FULL_PCT, False

    def due_ns(self, tick: int) -> int:
        """When `tick` is."""
        return self._now_ns + (tick - self._tick) * NS_PER_S // self._hz

    def tick_at(self, now_ns: int) -> int:
        """Which tick is at `now_ns`."""
        return self._tick + (now_ns - self._now_ns) * self._hz // NS_PER_S

    def allowance(self, tick: int, now_ns: int, most: int) -> int:
        """How many ticks a guest that works and has reached `tick` may go on; 0: it has to sleep for `rest_ns`."""
        if self.mode != "host":
            return most
        self._give_up(tick, now_ns)
        if self.rest_ns(tick, now_ns) > 0:
            return 0
        return min(most, self.tick_at(now_ns + AHEAD_NS) - tick)

    def rest_ns(self, tick: int, now_ns: int) -> int:
        """How long until the guest at `tick` is only half as far ahead as it may be."""
        return max(0, self.due_ns(tick) - AHEAD_NS // 2 - now_ns)

    def waits(self, tick: int, now_ns: int, *, dozes: bool = False) -> None:
        """The guest begins to wait at `tick`."""
        if self.mode == "virtual" and self.due_ns(tick) > now_ns:
            self.anchor(tick, now_ns)
        self._give_up(tick, now_ns)
        self._wait_tick, self._wait_ns = tick, now_ns
        self._wait_pct = GENTLE_PCT if now_ns - self.due_ns(tick) <= GENTLE_LAG_NS else CATCH_UP_PCT
        self._dozes = dozes

    def _give_up(self, tick: int, now_ns: int) -> None:
        lag_ns = now_ns - self.due_ns(tick)
        if lag_ns > MOST_LAG_NS[self.mode]:
            self.given_up_ns += lag_ns
            self.anchor(tick, now_ns)

    def wait_ns(self, until_tick: int | None, now_ns: int) -> int | None:
        """How long a guest waits that has nothing to do until then; None: until something comes from outside."""
        if until_tick is None:
            return None
        if self.mode == "warp":
            return 0
        due_ns = self.due_ns(until_tick)
        if self._dozes:
            return due_ns + DOZE_NS - now_ns if due_ns > now_ns else 0
        soonest_ns = self._wait_ns + (until_tick - self._wait_tick) * NS_PER_S * 100 // (self._hz * self._wait_pct)
        return max(0, soonest_ns - now_ns, due_ns - now_ns)

    def woken(self, tick: int, until_tick: int | None, now_ns: int) -> int:
        """The tick at which something from outside meets a guest that waited since `tick`."""
        if self.mode == "warp":
            return tick
        reached = self.tick_at(now_ns)
        if not self._dozes:
            most = self._wait_tick + (now_ns - self._wait_ns) * self._hz * self._wait_pct // (100 * NS_PER_S)
            reached = min(reached, most)
        reached = max(tick, reached)
        return reached if until_tick is None else min(reached, until_tick)
