"""What every test of a device with registers uses: lines that remember, random accesses, saved states."""

import time
from collections.abc import Callable
from typing import Any

import msgpack
from hypothesis import strategies as st

from emulators.device import Device, Timeline


class Line:
    """An interrupt line's far end."""

    def __init__(self) -> None:
        self.level = False
        self.rises = 0

    def __call__(self, level: bool) -> None:
        self.rises += level and not self.level
        self.level = level


Access = tuple[str, int, int, int]


def accesses(size: int, *, widths: tuple[int, ...] = (1, 2, 4)) -> st.SearchStrategy[list[Access]]:
    """Reads, writes and waits: (what, offset, width, value or nanoseconds)."""
    access = st.tuples(
        st.sampled_from(("read", "write", "write")),
        st.integers(0, size - 1),
        st.sampled_from(widths),
        st.integers(0, (1 << 32) - 1) | st.integers(0, 255),
    )
    wait = st.tuples(st.just("wait"), st.just(0), st.just(1), st.integers(0, 10**10) | st.integers(0, 10**6))
    return st.lists(access | wait, max_size=80)


def exercise(device: Device, timeline: Timeline, size: int, operations: list[Access], *, seconds: float = 1.0) -> None:
    """Perform them within `size` octets of registers: nothing raises, values fit, it takes no longer than allowed."""
    began = time.monotonic()
    for what, offset, width, value in operations:
        if what == "wait":
            wait(device, timeline, timeline.now_ns + value)
            continue
        offset = min(offset, max(0, size - width))
        if what == "read":
            assert 0 <= device.read(offset, width) < 1 << 8 * width
        else:
            device.write(offset, width, value & (1 << 8 * width) - 1)
        deadline = device.next_deadline()
        assert deadline is None or isinstance(deadline, int)
    assert time.monotonic() - began < seconds


def wait(device: Device, timeline: Timeline, until_ns: int, *, most: int = 200) -> None:
    """Let time pass as a machine does: at most `most` timers, then the rest at once."""
    for _ in range(most):
        deadline = device.next_deadline()
        if deadline is None or deadline > until_ns:
            break
        timeline.now_ns = max(timeline.now_ns, deadline)
        device.handle_timer(timeline.now_ns)
    timeline.now_ns = until_ns
    deadline = device.next_deadline()
    if deadline is not None and deadline <= until_ns:
        device.handle_timer(until_ns)


def moved(device: Device, fresh: Callable[[], Device]) -> Device:
    """The device's twin, made out of its saved state; checks that nothing is lost on the way."""
    state = device.state()
    carried: Any = msgpack.unpackb(msgpack.packb(state, use_bin_type=True), raw=False, strict_map_key=True)
    twin = fresh()
    twin.from_state(carried)
    assert twin.state() == state
    assert twin.next_deadline() == device.next_deadline()
    return twin
