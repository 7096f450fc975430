"""A link's own tasks, beside the body of its `async with`.

A nursery wraps what its body raises in an ExceptionGroup, so that `except LinkBroken` around an open link would see
nothing. Here the body's exception comes out as it is; a task's own (a bug) still comes in a group.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def running(*tasks: Callable[[], Awaitable[None]]) -> AsyncIterator[trio.Nursery]:
    """Run `tasks` until the body ends, then cancel them."""
    error: BaseException | None = None
    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(task)
        try:
            yield nursery
        except GeneratorExit:
            raise
        except BaseException as raised:  # cancellation too: it is raised again below
            error = raised
        nursery.cancel_scope.cancel()
    if error is not None:
        try:
            raise error
        finally:
            error = None
