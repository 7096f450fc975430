"""Ports and their endpoints: numbers, who may use which, and what stays when a cable is pulled.

A **port** is a number with a configuration (native VLAN, access control, allocatable or not). It is created on demand
or by command, and stays, with its counters, until it is removed. An **endpoint** is one cable in it: a VDE client or a
tap. A port with at least one endpoint is active, and belongs to the user of its endpoints.

Sans-I/O; the user database is asked through the two functions at the top of `access.py`.
Limits: ports 1…`PORT_MAX`, and port 0, the management port, which is not counted.
"""

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from switch.forwarding.contract import EndpointKind
from vde.errors import Refused

PORT_MAX = 0xFFFF  # chosen: the forwarder's port numbers have 16 bits
MANAGEMENT_PORT = 0

MODULE_UNIX = "unix prog"
MODULE_RING = "ring"
MODULE_TAP = "tuntap"


@dataclass(slots=True)
class Endpoint:
    """One cable.

    Attributes:
        id: the descriptor number of its control connection (tap: of the device), as `port/print` shows it.
        uid: the user at the other end; None for the switch's own (taps).
        close: makes the other end see that the cable is pulled; called once, by the switch.
    """

    id: int
    port: int
    kind: EndpointKind
    module: str
    description: str
    uid: int | None
    close: Callable[[], None]
    queue_frames: int = 0
    """Bound of its queue; set when it is plugged in."""


@dataclass(slots=True)
class Port:
    """One port. `user` and `group` restrict who may use it (None: anybody)."""

    number: int
    native_vlan: int = 0
    allocatable: bool = True
    user: int | None = None
    group: int | None = None
    address_limit: int | None = None
    storm_limit: int | None = None
    endpoints: list[Endpoint] = field(default_factory=list)
    """Newest first."""

    @property
    def active(self) -> bool:
        """Has it an endpoint?"""
        return bool(self.endpoints)

    @property
    def current_user(self) -> int | None:
        """Who uses it now; None if nobody, or if only the switch itself does."""
        return self.endpoints[0].uid if self.endpoints else None

    def check_access(self, uid: int | None, is_member: Callable[[int, int], bool]) -> None:
        """May `uid` (None: the switch itself) plug a cable in?

        Args:
            uid: the peer's, from the kernel (SO_PEERCRED), never from the request.
            is_member: (uid, gid) → is the user a member of the group?

        Raises:
            Refused: EACCES.
        """
        if self.endpoints and self.current_user != uid:
            raise Refused(errno.EACCES, f"port {self.number} is in use by user {self.current_user}, not {uid}")
        if uid is None or uid == 0 or (self.user is None and self.group is None):
            return
        if self.user is not None and uid == self.user:
            return
        if self.group is not None and is_member(uid, self.group):
            return
        raise Refused(errno.EACCES, f"port {self.number} is reserved: user {uid} may not use it")


class PortTable:
    """All ports of a switch, by number."""

    def __init__(self, count: int) -> None:
        """`count`: highest usable number, 1…`PORT_MAX`."""
        self.count = count
        self._ports: dict[int, Port] = {}

    def __iter__(self) -> Iterator[Port]:
        return iter(sorted(self._ports.values(), key=lambda port: port.number))

    def __contains__(self, number: int) -> bool:
        return number in self._ports

    def check_range(self, number: int) -> None:
        """Raises `Refused` (EINVAL) unless `number` is one that this switch may have."""
        if not MANAGEMENT_PORT <= number <= self.count:
            raise Refused(errno.EINVAL, f"port {number} is out of range: 0 to {self.count} are possible")

    def get(self, number: int) -> Port:
        """The port. Raises `Refused`: EINVAL out of range, ENXIO not there."""
        self.check_range(number)
        try:
            return self._ports[number]
        except KeyError:
            raise Refused(errno.ENXIO, f"port {number} does not exist") from None

    def resize(self, count: int) -> None:
        """Raises `Refused`: EINVAL out of range, EADDRINUSE if a port beyond the new limit exists."""
        if not 1 <= count <= PORT_MAX:
            raise Refused(errno.EINVAL, f"{count} ports: 1 to {PORT_MAX} are possible")
        if any(number > count for number in self._ports):
            raise Refused(errno.EADDRINUSE, f"port {max(self._ports)} exists: remove it first")
        self.count = count

    def first_free(self) -> int:
        """The lowest number from 1 that a client without a wish gets. Raises `Refused` (ENOSPC)."""
        for number in range(1, self.count + 1):
            port = self._ports.get(number)
            if port is None or (port.allocatable and not port.active):
                return number
        raise Refused(errno.ENOSPC, f"all {self.count} ports are taken")

    def first_undefined(self) -> int:
        """The lowest number from 1 without a port. Raises `Refused` (ENOSPC)."""
        for number in range(1, self.count + 1):
            if number not in self._ports:
                return number
        raise Refused(errno.ENOSPC, f"all {self.count} ports exist")

    def add(self, port: Port) -> None:
        """Raises `Refused`: EINVAL out of range, EEXIST."""
        self.check_range(port.number)
        if port.number in self._ports:
            raise Refused(errno.EEXIST, f"port {port.number} exists")
        self._ports[port.number] = port

    def check_removable(self, number: int) -> None:
        """Raises `Refused`: EINVAL, ENXIO, EADDRINUSE if it is active."""
        if self.get(number).active:
            raise Refused(errno.EADDRINUSE, f"port {number} is in use")

    def remove(self, number: int) -> None:
        """Raises `Refused`, as `check_removable`."""
        self.check_removable(number)
        del self._ports[number]
