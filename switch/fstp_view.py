"""What is seen of the fast spanning tree: the events that it reports, and the view that the console prints."""

from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    """The words of `fstp/print`."""

    UNKNOWN = "Unknown"
    EDGE = "Edge"
    ROOT = "Root"
    BACKUP = "Alternate/Backup"
    DESIGNATED = "Designated"


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A port's state in a VLAN was decided, perhaps as it was before (`fstp/status`)."""

    vlan: int
    port: int
    learning: bool
    forwarding: bool


@dataclass(frozen=True, slots=True)
class TopologyChanged:
    """The VLAN's learned addresses may be wrong: forget them."""

    vlan: int


@dataclass(frozen=True, slots=True)
class RootChanged:
    """The way to the root changed (`fstp/root`). `port` 0: this switch is the root."""

    vlan: int
    port: int
    root: bytes


@dataclass(frozen=True, slots=True)
class PortActive:
    """A switch has begun to speak at the port (`fstp/+`)."""

    vlan: int
    port: int


@dataclass(frozen=True, slots=True)
class PortInactive:
    """The switch at the port has fallen silent, or the port has gone (`fstp/-`)."""

    vlan: int
    port: int


Event = StateChanged | TopologyChanged | RootChanged | PortActive | PortInactive


@dataclass(frozen=True, slots=True)
class FstpPortView:
    """One port's line of `fstp/print`."""

    port: int
    tagged: bool
    cost: int
    role: Role


@dataclass(frozen=True, slots=True)
class FstpView:
    """One VLAN's part of `fstp/print`. Ports: untagged first, then by number.

    Attributes:
        root_port: 0 if there is none.
        age_s: since the root was last heard of; of the root itself: since its switch started.
        designated: the neighbour on the way to the root; all ones if there is none.
    """

    vlan: int
    enabled: bool
    is_root: bool
    root: bytes
    designated: bytes
    root_port: int
    cost: int
    age_s: int
    bonus_port: int
    bonus_cost: int
    ports: tuple[FstpPortView, ...]
