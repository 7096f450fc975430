"""What a running lab consists of: every default filled in, every link turned into attachments. See `resolved.yml`.

Made from a file by `vde.lab.resolve`, sent by `vde up` to the lab's supervisor as JSON, compared by `vde.lab.plan`.

    segment (switch, hub) ◄── guest's network cards, taps          cable: joins two segments

Links do not exist here. A link of a guest and a switch is an attachment of the guest; one of two guests is a hub of two
ports that nobody named; one of two switches is a cable, which is a process like any other node.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vde.lab.schema import Architecture, Name, NicModel

Milestone = Literal["started", "ready"]


class Runs(BaseModel):
    """Frozen, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Attachment(Runs):
    """A plug in a port.

    Attributes:
        segment: the switch's or hub's node name.
        port: its number; None until `vde.lab.ports` allots one.
        chosen: the file asks for this port.
    """

    segment: str
    port: int | None = None
    chosen: bool = False


class Node(Runs):
    """What all nodes have."""

    name: Name
    labels: dict[str, str] = {}
    depends_on: dict[str, Milestone] = {}


class Segment(Node):
    """A switch or a hub: one vdeswitch process.

    Attributes:
        taps: host interfaces that the switch opens, in the order of their ports, from 1.
        implied: not in the file; a link needs it.
    """

    kind: Literal["switch", "hub"]
    numports: int
    fstp: bool = False
    taps: tuple[str, ...] = ()
    implied: bool = False


class Nic(Runs):
    """A guest's network card, plugged in or not."""

    interface: str
    mac: str
    model: NicModel
    attachment: Attachment | None = None
    ipv4: IPv4Interface | None = None
    ipv6: IPv6Interface | None = None


class Guest(Node):
    """A QEMU process."""

    kind: Literal["qemu"] = "qemu"
    image: str
    architecture: Architecture
    memory_octets: int
    cpu: str | None = None
    machine: str | None = None
    cmdline: str = ""
    nics: tuple[Nic, ...] = ()
    gateway: IPv4Address | IPv6Address | None = None


class Tap(Node):
    """A host interface that a segment has opened; its addresses are ours to set."""

    kind: Literal["tap"] = "tap"
    interface: str
    segment: str
    ipv4: IPv4Interface | None = None
    ipv6: IPv6Interface | None = None


class Cable(Node):
    """A process that carries frames between two segments."""

    kind: Literal["cable"] = "cable"
    ends: tuple[Attachment, Attachment]


AnyNode = Annotated[Segment | Guest | Tap | Cable, Field(discriminator="kind")]


class PingCheck(Runs):
    """A guest pings an address: all requests of one attempt must be answered."""

    kind: Literal["ping"] = "ping"
    name: str
    node: str
    target: str
    address: str
    count: int
    within_ns: int


class ConsoleCheck(Runs):
    """A text appears on a guest's console after another one was typed."""

    kind: Literal["console"] = "console"
    name: str
    node: str
    send: str
    expect: str
    within_ns: int


AnyCheck = Annotated[PingCheck | ConsoleCheck, Field(discriminator="kind")]


class Lab(Runs):
    """The whole of it, by name, in the file's order; what the file implies comes after what it says."""

    name: Name
    seed: str
    nodes: dict[str, AnyNode]
    checks: dict[str, AnyCheck] = {}

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for key, node in self.nodes.items():
            if key != node.name:
                raise ValueError(f"node {node.name!r} is called {key!r}")
            for attachment in attachments(node):
                segment = self.nodes.get(attachment.segment)
                if not isinstance(segment, Segment) or (attachment.port or 1) not in range(1, segment.numports + 1):
                    raise ValueError(f"node {key!r} is plugged into {attachment.segment!r}, port {attachment.port}")
            if not node.depends_on.keys() <= self.nodes.keys():
                raise ValueError(f"node {key!r} depends on a node that is not there")
        for check in self.checks.values():
            if not isinstance(self.nodes.get(check.node), Guest):
                raise ValueError(f"check {check.name!r} is about {check.node!r}, which is no guest")
        return self

    def segments(self) -> Mapping[str, Segment]:
        """Switches and hubs."""
        return {name: node for name, node in self.nodes.items() if isinstance(node, Segment)}


def attachments(node: Node) -> tuple[Attachment, ...]:
    """Where a node is plugged in."""
    match node:
        case Guest(nics=nics):
            return tuple(nic.attachment for nic in nics if nic.attachment)
        case Cable(ends=ends):
            return ends
        case Tap(segment=segment):
            return (Attachment(segment=segment),)
        case _:
            return ()
