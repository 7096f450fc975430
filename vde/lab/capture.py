"""A capture: everything that crosses some points of a running lab, filtered, into one recorder."""

from collections.abc import Callable, Sequence

import trio

from vde.lab.bpf import Filter
from vde.lab.capture_file import Interface, Recorder
from vde.lab.listening import Heard, listen
from vde.lab.messages import Listening
from vde.plugspec import Surroundings


async def capture(
    points: Sequence[Listening],
    interfaces: Sequence[Interface],
    recorder: Recorder,
    wanted: Filter,
    surroundings: Surroundings,
    on_ready: Callable[[], None],
    most_frames: int = 0,
) -> None:
    """Record until cancelled, or until so many frames are recorded.

    Args:
        points: where to listen.
        interfaces: one for each point; counted in.
        recorder: open; it is finished in any case.
        wanted: which frames.
        surroundings: for the plugs.
        on_ready: called when all points are listened to.
        most_frames: 0: no limit.

    Raises:
        LinkBroken: a switch or a wire has gone.
        OSError: the recorder takes no more.
    """
    stored = 0
    try:
        async with trio.open_nursery() as nursery:

            async def hear(batch: list[Heard]) -> None:
                nonlocal stored
                for heard in batch:
                    if wanted.fits(heard.frame):
                        recorder.store(heard)
                        interfaces[heard.point].stored += 1
                        stored += 1
                        if stored == most_frames:
                            nursery.cancel_scope.cancel()
                            return

            def lost(point: int, frames: int) -> None:
                interfaces[point].lost += frames

            for index, point in enumerate(points):
                await nursery.start(listen, index, point, surroundings, hear, lost)
            on_ready()
    finally:
        recorder.finish(surroundings.wall_ns())
