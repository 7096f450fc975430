"""A link over a tap's descriptor that somebody else opened: a view's process, in its own network namespace.

As `tap://`, but without the interface: it is in a namespace that we are not in, so its removal is seen by the kernel's
refusal only. Frames to an interface that is down are dropped and counted (`refused`).
"""

import errno
import os
from collections.abc import Mapping

from vde.descriptor_link import DescriptorLink
from vde.endpoint import EndpointKind, HandedOver
from vde.errors import LinkBroken


class ForeignTapLink(DescriptorLink):
    """See the module's text. Owns the descriptor."""

    def __init__(self, fd: int, interface: str) -> None:
        """`interface`: its name, for messages."""
        os.set_blocking(fd, False)
        super().__init__(fd)
        self._interface = interface

    def _read(self) -> bytes | None:
        return os.read(self._fd, self.mtu_octets + 1)

    def _read_failed(self, error: OSError) -> None:
        if error.errno != errno.EIO:  # it is down
            raise LinkBroken(f"interface {self._interface}: it was removed") from error

    def _write(self, frame: bytes) -> None:
        os.write(self._fd, frame)

    def _write_failed(self, error: OSError) -> None:
        if error.errno == errno.EBADFD:
            raise LinkBroken(f"interface {self._interface}: it was removed") from error
        self.counters.drop_out("refused")

    def hand_over(self) -> HandedOver | None:
        """As `Link.hand_over`."""
        return HandedOver(os.dup(self._fd), EndpointKind.TAP)

    def take_back(self) -> bool:
        """As `Link.take_back`."""
        return True

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        return {"interface": self._interface}

    def close(self) -> None:
        """For whoever made it."""
        self.end()
        os.close(self._fd)
