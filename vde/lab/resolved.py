"""What a running lab consists of: every default filled in, every link turned into attachments. See `resolved.yml`.

Made from a file by `vde.lab.resolve`, sent by `vde up` to the lab's supervisor as JSON, compared by `vde.lab.plan`.

    segment (switch, hub) ◄── stations' network cards, plugs, taps      cable, wire: join two segments

A link of a guest and a switch is an attachment of the guest; one of two guests is a hub of two ports that nobody named;
one of two switches is a cable, which is a process like any other node. A link with impairments is a wire: a process as
well, between segments too, so that whatever is not a switch gets a hub of its own at its end of the wire.

`Lab.links` remembers what the file calls a link, for those who want to see it or change it (`vde.lab.links`).
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
    kind: str
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
    model: NicModel | None = None
    attachment: Attachment | None = None
    ipv4: IPv4Interface | None = None
    ipv6: IPv6Interface | None = None


class Station(Node):
    """What has network cards, and addresses that it sets itself."""

    nics: tuple[Nic, ...] = ()
    gateway: IPv4Address | IPv6Address | None = None


class Guest(Station):
    """A QEMU process, a User-Mode Linux, or a machine of our own emulator.

    Attributes:
        image: empty if it has a kernel of its own.
        kernel, initrd: files, relative to the topology's directory; uml: each in place of the image's.
        disks: as `vde guest --disk` takes them; files are relative as well.
        clock: how its time passes.
        boot, firmware: what is started, if not a kernel (pc), and by which BIOS, relative to the directory.
        pae: the processor has physical address extension (pc).
        snapshot, restore: the file that SIGUSR1 writes, and the one to go on from, relative to the directory.
        transport: how its kernel joins networks (uml).
    """

    kind: Literal["qemu", "uml", "malta", "pc", "mac"] = "qemu"
    image: str
    architecture: Architecture | Literal["x86_64"]
    memory_octets: int
    cpu: str | None = None
    machine: str | None = None
    cmdline: str = ""
    kernel: str | None = None
    initrd: str | None = None
    disks: tuple[str, ...] = ()
    clock: str | None = None
    boot: str | None = None
    firmware: str | None = None
    pae: bool = False
    snapshot: str | None = None
    restore: str | None = None
    transport: Literal["vde", "old-vde", "daemon"] | None = None


class Umps3(Station):
    """A machine for student kernels. Its interfaces eth0 … eth7 are its network devices, whose addresses it chooses.

    Attributes:
        config: its configuration, relative to the topology's directory.
        clock: how its time passes.
    """

    kind: Literal["umps3"] = "umps3"
    config: str
    clock: str | None = None


class Bochs(Station):
    """Debian's Bochs, with disks.

    Attributes:
        disks: `[MODEL,]FILE`; files are relative to the topology's directory.
        config: a bochsrc that is read before what the node says.
    """

    kind: Literal["bochs"] = "bochs"
    memory_octets: int
    cpu: str | None = None
    disks: tuple[str, ...] = ()
    boot: str | None = None
    config: str | None = None


class Pearpc(Station):
    """PearPC, built by the user.

    Attributes:
        memory_octets, cpu: None: what `config` says, or PearPC itself.
        disks: `[MODEL,]FILE`; files are relative to the topology's directory.
        kernel: an ELF file to start, relative as well; None: PearPC looks for a bootable partition.
        config: its configuration, which the node's own words are put over.
    """

    kind: Literal["pearpc"] = "pearpc"
    memory_octets: int | None = None
    cpu: str | None = None
    disks: tuple[str, ...] = ()
    kernel: str | None = None
    cmdline: str = ""
    config: str | None = None


class View(Station):
    """A process of the host with a network, and if asked for files, a host name and clocks, of its own (`vde view`).

    Attributes:
        command: its words; empty: a shell, on the console.
        overlay: directory, relative to the topology's, where changes of files go; `tmp`: into memory.
        time_offset_s: of its monotonic clocks.
        nameserver: which it asks for names.
    """

    kind: Literal["view"] = "view"
    command: tuple[str, ...] = ()
    overlay: str | None = None
    hostname: str
    time_offset_s: int = 0
    nameserver: IPv4Address | IPv6Address | None = None


class Plug(Node):
    """A process that joins a segment to whatever a VNL names.

    Attributes:
        vnl: that; of a `nat` or `host-nic`, made from its options.
        address4, address6: of a `nat`: its own in the lab.
    """

    kind: Literal["plug", "nat", "host-nic"]
    vnl: str
    attachment: Attachment
    address4: IPv4Interface | None = None
    address6: IPv6Interface | None = None


class Tap(Node):
    """A host interface that a segment has opened; its addresses are ours to set.

    Attributes:
        interface: the tap.
        bridge: of a `bridge` node: the host's bridge that the tap is joined to, and whose the addresses are.
    """

    kind: Literal["tap", "bridge"] = "tap"
    interface: str
    segment: str
    bridge: str | None = None
    ipv4: IPv4Interface | None = None
    ipv6: IPv6Interface | None = None


class Cable(Node):
    """A process that carries frames between two segments."""

    kind: Literal["cable"] = "cable"
    ends: tuple[Attachment, Attachment]


class Wire(Node):
    """A process that carries frames between two segments as well or as badly as it is told.

    Attributes:
        ends: where it is plugged in.
        names: of its ends, as the link's are shown: `web:eth0`.
        impair: by the end that sends; names and values as `vde.wire.impairments` has them.
        schedule: lines, as `vde.wire.schedule` reads them; the first end is on the left.
        seed: of its random decisions; follows from the lab's seed and the link's name.
    """

    kind: Literal["wire"] = "wire"
    ends: tuple[Attachment, Attachment]
    names: tuple[str, str]
    impair: tuple[dict[str, str], dict[str, str]] = ({}, {})
    schedule: tuple[str, ...] = ()
    seed: str = ""


class CapturePoint(Runs):
    """A place where a capture listens: one interface of its file.

    Attributes:
        name: of the interface: `slow@web:eth0`.
        link: whose end it is.
        segment, port: where; the port is known when ports are allotted.
        sends_in: what the end sends is what enters there (it is plugged in); else it is the segment itself.
        ways: which frames: those that the end sends (`out`), gets (`in`), or both.
        wire: the wire at this end, if there is one, and the number of the end.
    """

    name: str
    link: str
    segment: str
    port: int | None = None
    sends_in: bool
    ways: Literal["out", "both"] = "both"
    wire: str | None = None
    wire_end: int = 0


class Capture(Node):
    """A process that writes what crosses some links to a pcapng file.

    Attributes:
        path: of the file; relative to the topology's directory.
        filter: in the language of pcap-filter(7).
        snap_octets: of each frame; 0: all.
        ring_files, ring_octets: so many files of this size, the oldest is replaced; 0: one file without limit.
    """

    kind: Literal["capture"] = "capture"
    path: str
    selected: tuple[str, ...]
    filter: str = ""
    snap_octets: int = 0
    ring_files: int = 0
    ring_octets: int = 0
    points: tuple[CapturePoint, ...] = ()


AnyNode = Annotated[
    Segment | Guest | Umps3 | Bochs | Pearpc | View | Plug | Tap | Cable | Wire | Capture, Field(discriminator="kind")
]


class LinkEnd(Runs):
    """One end of a link.

    Attributes:
        node: which.
        interface: of the node, or a switch's port if the file chooses one; empty: any.
        owner, slot: the node whose attachment is the link's at this end, and which of its attachments: an interface,
            the number of an end, or nothing.
    """

    node: str
    interface: str
    owner: str
    slot: str = ""

    def __str__(self) -> str:
        return f"{self.node}:{self.interface}" if self.interface else self.node


class Link(Runs):
    """What the file calls a link.

    Attributes:
        name: as given, or the nodes' names joined by `--`.
        ends: in the file's order.
        wires: those that it consists of; none without impairments.
    """

    name: str
    ends: tuple[LinkEnd, ...]
    wires: tuple[str, ...] = ()


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
    links: dict[str, Link] = {}
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
            if not needed(node) | node.depends_on.keys() <= self.nodes.keys():
                raise ValueError(f"node {key!r} depends on a node that is not there")
        for check in self.checks.values():
            allowed = Guest | View if isinstance(check, PingCheck) else Guest | Umps3 | Bochs | Pearpc | View
            if not isinstance(self.nodes.get(check.node), allowed):
                raise ValueError(f"check {check.name!r} is about {check.node!r}, which is no guest")
        return self

    def segments(self) -> Mapping[str, Segment]:
        """Switches and hubs."""
        return {name: node for name, node in self.nodes.items() if isinstance(node, Segment)}


def attachments(node: Node) -> tuple[Attachment, ...]:
    """Where a node is plugged in."""
    if isinstance(node, Tap):
        return (Attachment(segment=node.segment),)
    return tuple(plugs(node).values())


def plugs(node: Node) -> dict[str, Attachment]:
    """Where a node is plugged in as a client of a segment, by slot: interface, number of the end, or nothing."""
    match node:
        case Station(nics=nics):
            return {nic.interface: nic.attachment for nic in nics if nic.attachment}
        case Cable(ends=ends) | Wire(ends=ends):
            return dict(zip("01", ends, strict=True))
        case Plug(attachment=attachment):
            return {"": attachment}
        case _:
            return {}


def needed(node: Node) -> frozenset[str]:
    """The nodes that must be ready before it, and with which it is started anew."""
    if isinstance(node, Capture):
        return frozenset(point.segment for point in node.points) | {point.wire for point in node.points if point.wire}
    return frozenset(attachment.segment for attachment in attachments(node))
