"""A bell that any thread rings and one trio task hears."""

import contextlib

import trio


class Doorbell:
    """Many rings are heard as one. Made in the trio thread."""

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._event = trio.Event()
        self._rung = False

    def ring(self) -> None:
        """From any thread; costs next to nothing if nobody has come yet since the last one."""
        if not self._rung:
            self._rung = True
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._hear, idempotent=True)

    def _hear(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        """Until it rings, or has rung since the last time."""
        await self._event.wait()
        self._event = trio.Event()
        self._rung = False
