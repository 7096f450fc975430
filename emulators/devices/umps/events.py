"""Time in uMPS3: ticks, the time-of-day clock, and the queue of what is to happen.

Specification: uMPS3 Principles of Operation, "Devices and interrupts"; order of happenings measured from uMPS3 3.0.5.
Board: umps3.

Theory of operation. One step of the machine is: the time-of-day clock goes up by one, the interval timer down by one,
events that are due happen in the order of their times (those of one time in the order in which they were asked for),
then every processor executes one instruction. So an instruction sees the clock one ahead of the ticks that have been
completed before it, and an event for clock value `t` happens when `t - 1` ticks are complete. `Clock` hides this one.

Devices ask for events by their own name and a few numbers, never by a function, so that the queue can be saved.

Limits: `MOST_EVENTS` wait at once. A device that is busy takes no further command, so peripherals have at most three
each; processors' messages and resets have no such bound of their own.

| threat | stopped by |
|---|---|
| a guest that sends processor messages without end | at `MOST_EVENTS` further ones are lost, counted in `lost` |
| a saved state with events of nobody, or without end | refused |
"""

from bisect import insort
from collections.abc import Callable

from emulators.device import State, Timeline
from emulators.snapshot import SnapshotError, take, take_int, take_version

NS_PER_US = 1_000
MOST_EVENTS = 4096
"""Chosen: 40 peripherals with three each, and room for every processor's messages to all for 20 µs at 1 MHz."""
MOST_NUMBERS = 4
LATEST = (1 << 64) - 1

Complete = Callable[..., None]


class Clock:
    """The machine's time in ticks.

    Args:
        timeline: the machine's.
        scale: ticks of a microsecond (the bus register of that name), 1 to 99.
    """

    def __init__(self, timeline: Timeline, scale: int) -> None:
        self._timeline = timeline
        self.scale = scale

    @property
    def tod(self) -> int:
        """The time-of-day clock as the present instruction, or the present event, sees it: 64 bits."""
        return -(-self._timeline.now_ns * self.scale // NS_PER_US) + 1

    def ns(self, tod: int) -> int:
        """The virtual nanosecond at which the clock begins to show `tod`."""
        return (tod - 1) * NS_PER_US // self.scale

    def ticks(self, us: int) -> int:
        """The ticks of so many microseconds."""
        return us * self.scale


class EventQueue:
    """What is to happen, in order. A device without registers.

    Attributes:
        lost: events that there was no room for.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lost = 0
        self._serial = 0
        self._queue: list[tuple[int, int, str, tuple[int, ...]]] = []
        self._targets: dict[str, Complete] = {}

    def register(self, name: str, complete: Complete) -> Callable[..., int]:
        """`complete` is called with the numbers of events for `name`.

        Returns:
            A function of a delay in ticks and of numbers, which asks for an event, and answers its time.
        """
        self._targets[name] = complete

        def schedule(delay: int, *numbers: int) -> int:
            return self._schedule(delay, name, numbers)

        return schedule

    def _schedule(self, delay: int, name: str, numbers: tuple[int, ...]) -> int:
        tod = self.clock.tod + delay
        if len(self._queue) >= MOST_EVENTS:
            self.lost += 1
        else:
            self._serial += 1
            insort(self._queue, (tod, self._serial, name, numbers))
        return tod

    def read(self, offset: int, size: int) -> int:
        """There is nothing to read."""
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """There is nothing to write."""

    def next_deadline(self) -> int | None:
        """As `Device.next_deadline`."""
        return self.clock.ns(self._queue[0][0]) if self._queue else None

    def handle_timer(self, now_ns: int) -> None:
        """As `Device.handle_timer`."""
        tod = self.clock.tod
        while self._queue and self._queue[0][0] <= tod:
            _, _, name, numbers = self._queue.pop(0)
            self._targets[name](*numbers)

    def state(self) -> State:
        """As `Device.state`."""
        return {
            "version": 1,
            "serial": self._serial,
            "queue": [[tod, serial, name, *numbers] for tod, serial, name, numbers in self._queue],
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        serial = take_int(state, "serial", LATEST)
        queue = []
        saved = take(state, "queue", list)
        if len(saved) > MOST_EVENTS:
            raise SnapshotError(f"snapshot: {len(saved)} events; at most {MOST_EVENTS} are possible")
        for entry in saved:
            if not isinstance(entry, list) or not 3 <= len(entry) <= 3 + MOST_NUMBERS:
                raise SnapshotError(f"snapshot: event {entry!r:.60}")
            tod, number, name, *numbers = entry
            if name not in self._targets or any(
                type(value) is not int or not 0 <= value <= LATEST for value in (tod, number, *numbers)
            ):
                raise SnapshotError(f"snapshot: event {entry!r:.60}")
            queue.append((tod, number, name, tuple(numbers)))
        self._serial, self._queue = serial, sorted(queue)
