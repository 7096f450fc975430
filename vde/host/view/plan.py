"""What a view is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path


@dataclass(frozen=True)
class Net:
    """One interface inside: a tap, whose other end is outside.

    Attributes:
        vnl: what it is plugged into; for whoever carries the frames.
        name: inside.
    """

    vnl: str
    name: str
    addresses: Sequence[IPv4Interface | IPv6Interface] = ()
    mac: str | None = None
    mtu_octets: int | None = None


@dataclass(frozen=True)
class Bind:
    """A file or directory of outside that is seen at another place inside."""

    source: Path
    target: Path
    read_only: bool = False


@dataclass(frozen=True)
class Overlay:
    """A file system in which changes are kept apart.

    Attributes:
        directory: where changes go; None: to memory, and away with the view.
        own: directories in which a user without privilege may change what belongs to others.
    """

    directory: Path | None
    own: Sequence[Path] = ()


@dataclass(frozen=True)
class View:
    """A view. What is not asked for is as outside.

    Attributes:
        own_network: no interface of outside is seen; so if there are `nets`.
        as_root: the user inside is root, of the view only.
        time_offset_ns: added to CLOCK_MONOTONIC and CLOCK_BOOTTIME; None: no clocks of one's own.
        may_mount: the command of a user without privilege may mount and bind files in the view (CAP_SYS_ADMIN there).
        own_processes: no process of outside is seen, and all inside end with the command.
    """

    nets: Sequence[Net] = ()
    own_network: bool = False
    gateways: Sequence[IPv4Address | IPv6Address] = ()
    dns: Sequence[IPv4Address | IPv6Address] = ()
    binds: Sequence[Bind] = ()
    overlay: Overlay | None = None
    host_name: str | None = None
    time_offset_ns: int | None = None
    as_root: bool = False
    own_processes: bool = False
    may_mount: bool = False

    @property
    def needs_scratch(self) -> bool:
        """Is a mount point outside needed, for files that exist inside only?"""
        return bool(self.dns) or (self.overlay is not None and self.overlay.directory is None)
