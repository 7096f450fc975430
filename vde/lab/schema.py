"""What a topology file may say: its keys, their types, units and limits. docs/labs.md explains them.

These models are read twice: `vde.lab.validate` holds a file against them, and `vde schema` publishes them as JSON
Schema, so the two cannot disagree. What a *running* lab consists of is another matter: `vde.lab.resolved`.

The keys of all kinds of nodes are in one model, because `defaults` and `groups` may give any of them; `KEYS_OF_KIND`
says which kind has which. A value that may be spelled in several ways is told apart by its shape (text, list, mapping),
never by trial, so that an error speaks of the spelling that was used.

Not supported: see `vde.lab.later`.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from vde.lab import forms
from vde.lab.diagnostics import Code
from vde.wire.schedule import Entry

Kind = Literal[
    "switch",
    "hub",
    "qemu",
    "tap",
    "bridge",
    "host-nic",
    "nat",
    "plug",
    "view",
    "uml",
    "malta",
    "pc",
    "i386",
    "mac",
    "ppc",
    "umps3",
    "bochs",
    "pearpc",
]
NicModel = Literal["pcnet", "virtio", "e1000", "rtl8139", "ne2k", "gem"]
Architecture = Literal["i386", "mipsel", "powerpc"]
Condition = Literal["started", "ready", "healthy", "service_started", "service_healthy"]
Name = Annotated[str, forms.NAME]
Interface = Annotated[str, forms.INTERFACE]

MOST_NODES = 256  # chosen: one supervisor, one host
MOST_LINKS = 1024  # chosen
MOST_ENDS = 64  # chosen; forms.LINK has it too
MOST_CHECKS = 256  # chosen
MOST_LABELS = 64  # chosen
MOST_NICS = 8  # chosen: boards have few PCI slots, and each unused one lengthens the boot
MOST_FORWARDS = 256  # chosen
MOST_DISKS = 8  # chosen, as for network cards
MOST_CAPTURES = 16  # chosen: each is a process, and each link that it hears takes two ports of a switch
MOST_SCHEDULE = 1000  # chosen
MOST_RING = 1000  # chosen
MOST_PORTS = 4096  # chosen: four times what the switch is measured with


def shape(value: object) -> str | None:
    """The tag of a value's spelling. `@` tells a tag from a key in an error's location."""
    match value:
        case str():
            return "@text"
        case list():
            return "@list"
        case dict():
            return "@mapping"
        case int() if not isinstance(value, bool):
            return "@number"
        case None:
            return "@nothing"
        case _:
            return None


def spellings(**meant: str) -> Discriminator:
    """A union that `shape` tells apart; the keywords are its tags, their values what an error calls them."""
    tags = {f"@{name}" for name in meant}

    def tag(value: object) -> str | None:
        found = shape(value)
        return found if found in tags else None

    return Discriminator(
        tag,
        custom_error_type=Code.WRONG_TYPE.value,
        custom_error_message=f"{' or '.join(meant.values())} was expected",
    )


class Said(BaseModel):
    """A mapping of the file. Keys that begin with `x-` are the user's own and ignored."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, json_schema_extra={"patternProperties": {"^x-": True}}
    )

    @model_validator(mode="before")
    @classmethod
    def _ignore_extensions(cls, value: object) -> object:
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if not key.startswith("x-")}
        return value


class Nic(Said):
    """One network card of a guest."""

    model: NicModel | None = Field(default=None, description="By default virtio.")
    mac: Annotated[str, forms.MAC] | None = Field(default=None, description="By default a hash of the names.")
    ipv4: Annotated[IPv4Interface, forms.IPV4] | None = Field(default=None, description="ADDRESS/PREFIX.")
    ipv6: Annotated[IPv6Interface, forms.IPV6] | None = Field(default=None, description="ADDRESS/PREFIX.")


NicSpelling = Annotated[
    Annotated[NicModel, Tag("@text")] | Annotated[Nic, Tag("@mapping")] | Annotated[None, Tag("@nothing")],
    spellings(text="a model", mapping="a mapping of model, mac, ipv4 and ipv6", nothing="nothing"),
]
Nics = Annotated[
    Annotated[NicModel, Tag("@text")] | Annotated[dict[Interface, NicSpelling], Tag("@mapping")],
    spellings(text="a model for all interfaces", mapping="a mapping of interfaces"),
]


class Dependency(Said):
    """When a node that another one depends on is far enough."""

    condition: Condition = Field(default="ready", description="started: it runs; ready (or healthy): it serves.")


DependencySpelling = Annotated[
    Annotated[Dependency, Tag("@mapping")] | Annotated[None, Tag("@nothing")],
    spellings(mapping="a mapping with 'condition'", nothing="nothing"),
]
Dependencies = Annotated[
    Annotated[list[Name], Tag("@list")] | Annotated[dict[Name, DependencySpelling], Tag("@mapping")],
    spellings(list="a list of nodes", mapping="a mapping of nodes"),
]


Command = Annotated[
    Annotated[str, forms.ARGUMENT, Tag("@text")]
    | Annotated[list[Annotated[str, forms.ARGUMENT]], Field(min_length=1, max_length=256), Tag("@list")],
    spellings(text="text for a shell", list="a list of words"),
]


class NodeOptions(Said):
    """What can be said about a node, or by `defaults`, `kinds` and `groups` about many."""

    kind: Kind | None = Field(default=None, description="What the node is.")
    group: Name | None = Field(default=None, description="The group whose options it takes.")
    labels: Annotated[dict[str, Annotated[str, forms.LABEL]], Field(max_length=MOST_LABELS)] | None = Field(
        default=None, description="Free for the user; shown by vde ps --json."
    )
    depends_on: Dependencies | None = Field(default=None, description="Nodes that are started before this one.")

    numports: Annotated[int, Field(ge=1, le=MOST_PORTS)] | None = Field(
        default=None, description="switch, hub: how many ports; by default 32, or what the links need."
    )
    fstp: bool | None = Field(default=None, description="switch: fast spanning tree.")

    image: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="qemu, uml, malta, pc, mac: the guest's image (vde image list)."
    )
    architecture: Architecture | None = Field(default=None, description="qemu: the guest's; by default the image's.")
    memory: Annotated[int, forms.MEMORY] | None = Field(
        default=None, description="qemu, uml, malta, pc, mac: such as 128M (the default)."
    )
    cpu: Annotated[str, forms.QEMU_WORD] | None = Field(
        default=None, description="qemu, pc: the CPU's model (qemu: in QEMU's words)."
    )
    machine: Annotated[str, forms.QEMU_WORD] | None = Field(
        default=None, description="qemu: the board, in QEMU's words."
    )
    nics: Nics | None = Field(
        default=None,
        description="qemu, malta, pc, mac: a model for all interfaces; all that have any: a mapping of interfaces.",
    )
    cmdline: Annotated[str, forms.CMDLINE] | None = Field(
        default=None, description="qemu, uml, malta, pc, mac: more for the kernel's command line."
    )
    kernel: Annotated[str, forms.FILE] | None = Field(
        default=None, description="uml, malta, pc, mac: a kernel's file in place of the image's."
    )
    initrd: Annotated[str, forms.FILE] | None = Field(
        default=None, description="uml, malta, pc, mac: its initial file system, with 'kernel'."
    )
    transport: Literal["vde", "old-vde", "daemon"] | None = Field(
        default=None, description="uml: how its kernel joins networks; by default vde, by vde_plug."
    )
    disks: Annotated[list[Annotated[str, forms.FILE]], Field(max_length=MOST_DISKS)] | None = Field(
        default=None, description="malta, pc, mac: raw files; FILE,ro and FILE,overlay stay as they are."
    )
    boot: Literal["kernel", "disk", "cdrom", "floppy", "network"] | None = Field(
        default=None, description="pc, mac: what is started; all but 'kernel' by firmware; by default a kernel."
    )
    firmware: Annotated[str, forms.FILE] | None = Field(
        default=None, description="pc, mac: the firmware, with 'boot'; by default Debian's SeaBIOS or OpenBIOS."
    )
    pae: bool | None = Field(default=None, description="pc: physical address extension (-686-pae kernels).")
    snapshot: Annotated[str, forms.FILE] | None = Field(
        default=None, description="malta, pc, mac: the file that SIGUSR1 to the node's process writes."
    )
    restore: Annotated[str, forms.FILE] | None = Field(
        default=None, description="malta, pc, mac: such a file, to go on from."
    )
    clock: Literal["virtual", "host", "warp"] | None = Field(
        default=None, description="malta, pc, mac, umps3: how the guest's time passes (vde guest malta --help)."
    )
    config: Annotated[str, forms.FILE] | None = Field(
        default=None, description="umps3: the machine's configuration; bochs: a bochsrc; pearpc: a ppccfg."
    )
    gateway: Annotated[IPv4Address | IPv6Address, forms.GATEWAY] | None = Field(
        default=None, description="qemu, uml, malta, pc, mac, view: the default route."
    )

    ipv4: Annotated[IPv4Interface, forms.IPV4] | None = Field(
        default=None,
        description="qemu, uml, malta, pc, mac, view, tap, bridge, nat: ADDRESS/PREFIX of eth0, or of the host's one.",
    )
    ipv6: Annotated[IPv6Interface, forms.IPV6] | None = Field(
        default=None,
        description="qemu, uml, malta, pc, mac, view, tap, bridge, nat: ADDRESS/PREFIX of eth0, or of the host's one.",
    )
    engine: Literal["auto", "passt", "libslirp"] | None = Field(
        default=None, description="nat: who does it; by default passt, where that can do what is asked."
    )
    dhcp: bool | None = Field(default=None, description="nat: lend addresses by DHCP; by default true.")
    dns: bool | None = Field(default=None, description="nat: answer DNS queries as the host does; by default true.")
    ports: Annotated[list[Annotated[str, forms.FORWARD]], Field(max_length=MOST_FORWARDS)] | None = Field(
        default=None, description="nat: [HOST:]PORT:NODE:PORT[/udp]: ports of the host that lead to a node."
    )
    command: Command | None = Field(
        default=None, description="view: what runs: text for /bin/sh, or a list of words; by default a shell."
    )
    overlay: Annotated[str, forms.FILE] | None = Field(
        default=None,
        description="view: directory that keeps its changes of files; 'tmp': in memory.",
    )
    hostname: Annotated[str, forms.HOST_NAME] | None = Field(
        default=None, description="view: its host name; by default the node's name."
    )
    time_offset: Annotated[int, forms.TIME_OFFSET] | None = Field(
        default=None, alias="time-offset", description="view: of its monotonic clocks, such as -30d or +2h."
    )
    nameserver: Annotated[IPv4Address | IPv6Address, forms.GATEWAY] | None = Field(
        default=None, description="view: which it asks for names."
    )
    vnl: Annotated[str, forms.VNL_TEXT] | None = Field(
        default=None, description="plug: what to join, such as udp://:5000->10.0.0.2:5000 (vde plug --help)."
    )

    interface: Annotated[str, forms.TAP_NAME] | None = Field(
        default=None, description="tap, bridge, host-nic: the host's interface; by default the node's name."
    )


class Group(NodeOptions):
    """Options for the nodes that name the group, or that `members` matches."""

    members: list[Annotated[str, forms.GLOB]] | None = Field(
        default=None, description="Names; * and ? match any characters."
    )


COMMON_KEYS = frozenset({"kind", "group", "labels", "depends_on"})
BOARD_KEYS = COMMON_KEYS | frozenset(
    {"image", "memory", "nics", "cmdline", "gateway", "ipv4", "ipv6", "kernel", "initrd", "disks", "clock"}
    | {"snapshot", "restore"}
)
FIRMWARE_KEYS = BOARD_KEYS | {"cpu", "boot", "firmware"}
PC_KEYS = FIRMWARE_KEYS | {"pae"}
KEYS_OF_KIND: Mapping[str, frozenset[str]] = {
    "switch": COMMON_KEYS | {"numports", "fstp"},
    "hub": COMMON_KEYS | {"numports"},
    "qemu": COMMON_KEYS
    | {"image", "architecture", "memory", "cpu", "machine", "nics", "cmdline", "gateway", "ipv4", "ipv6"},
    "tap": COMMON_KEYS | {"interface", "ipv4", "ipv6"},
    "bridge": COMMON_KEYS | {"interface", "ipv4", "ipv6"},
    "host-nic": COMMON_KEYS | {"interface"},
    "view": COMMON_KEYS
    | {"command", "overlay", "hostname", "time-offset", "nameserver", "nics", "gateway", "ipv4", "ipv6"},
    "uml": COMMON_KEYS
    | {"image", "memory", "nics", "cmdline", "gateway", "ipv4", "ipv6", "kernel", "initrd", "transport"},
    "malta": BOARD_KEYS,
    "pc": PC_KEYS,
    "i386": PC_KEYS,  # the same machine
    "mac": FIRMWARE_KEYS,
    "ppc": FIRMWARE_KEYS,  # the same machine
    "umps3": COMMON_KEYS | {"config", "nics", "clock"},
    "bochs": COMMON_KEYS | {"memory", "cpu", "disks", "boot", "nics", "config"},
    "pearpc": COMMON_KEYS | {"memory", "cpu", "disks", "kernel", "cmdline", "nics", "config"},
    "nat": COMMON_KEYS | {"ipv4", "ipv6", "dhcp", "dns", "engine", "ports"},
    "plug": COMMON_KEYS | {"vnl"},
}


InterfaceSpelling = Annotated[
    Annotated[Interface, Tag("@text")] | Annotated[int, Field(ge=0, le=MOST_PORTS), Tag("@number")],
    spellings(text="an interface", number="a port number"),
]


class Impair(Said):
    """What a wire does to frames; quantities have units. `vde wire --help` and docs/wires.md explain them."""

    delay: Annotated[str | None, forms.Impairment("delay")] = None
    jitter: Annotated[str | None, forms.Impairment("jitter")] = None
    jitter_correlation: Annotated[
        str | None, forms.Impairment("jitter-correlation"), Field(alias="jitter-correlation")
    ] = None
    distribution: Annotated[str | None, forms.Impairment("distribution")] = None
    keep_order: Annotated[str | None, forms.Impairment("keep-order"), Field(alias="keep-order")] = None
    loss: Annotated[str | None, forms.Impairment("loss")] = None
    duplicate: Annotated[str | None, forms.Impairment("duplicate")] = None
    corrupt: Annotated[str | None, forms.Impairment("corrupt")] = None
    ber: Annotated[str | None, forms.Impairment("ber")] = None
    reorder: Annotated[str | None, forms.Impairment("reorder")] = None
    gap: Annotated[str | None, forms.Impairment("gap")] = None
    rate: Annotated[str | None, forms.Impairment("rate")] = None
    burst: Annotated[str | None, forms.Impairment("burst")] = None
    overhead: Annotated[str | None, forms.Impairment("overhead")] = None
    trace: Annotated[str | None, forms.Impairment("trace")] = None
    queue: Annotated[str | None, forms.Impairment("queue")] = None
    queue_frames: Annotated[str | None, forms.Impairment("queue-frames"), Field(alias="queue-frames")] = None
    discipline: Annotated[str | None, forms.Impairment("discipline")] = None
    codel_target: Annotated[str | None, forms.Impairment("codel-target"), Field(alias="codel-target")] = None
    codel_interval: Annotated[str | None, forms.Impairment("codel-interval"), Field(alias="codel-interval")] = None
    mtu: Annotated[str | None, forms.Impairment("mtu")] = None

    def settings(self) -> dict[str, str]:
        """Those that are given, by the names that wires have for them."""
        return {
            field.alias or name: str(value)
            for name, field in type(self).model_fields.items()
            if name in self.model_fields_set and (value := getattr(self, name)) is not None
        }


ScheduleSpelling = Annotated[list[Annotated[Entry, forms.SCHEDULE_ENTRY]], Field(max_length=MOST_SCHEDULE)]


class End(Said):
    """One end of a link."""

    node: Name
    interface: InterfaceSpelling | None = Field(
        default=None, description="Such as eth0, or a switch's port; by default the next free one."
    )
    mac: Annotated[str, forms.MAC] | None = Field(default=None, description="The interface's address.")
    impair: Impair | None = Field(default=None, description="What happens to frames that this end sends.")


EndSpelling = Annotated[
    Annotated[str, forms.END, Tag("@text")] | Annotated[End, Tag("@mapping")],
    spellings(text="'NODE:INTERFACE'", mapping="a mapping of node and interface"),
]
Ends = Annotated[list[EndSpelling], Field(min_length=2, max_length=MOST_ENDS)]


class Link(Said):
    """A cable between two ends, or a segment that more of them share."""

    endpoints: Ends
    impair: Impair | None = Field(default=None, description="What happens to frames, whoever sends them.")
    schedule: ScheduleSpelling | None = Field(
        default=None, description="What changes over time: 20s set loss=100%, 25s every 60s down."
    )
    name: Name | None = Field(default=None, description="What the link is called.")
    type: Literal["veth"] = Field(default="veth", description="For files of containerlab.")


LinkSpelling = Annotated[
    Annotated[str, forms.LINK, Tag("@text")] | Annotated[Ends, Tag("@list")] | Annotated[Link, Tag("@mapping")],
    spellings(text="'a:eth0 -- b:eth0'", list="a list of ends", mapping="a mapping with 'endpoints'"),
]
Links = Annotated[list[LinkSpelling], Field(max_length=MOST_LINKS)]


class Ring(Said):
    """Several files of bounded size, the oldest of which is replaced."""

    files: Annotated[int, Field(ge=2, le=MOST_RING)] = Field(description="How many.")
    size: Annotated[int, forms.SIZE] = Field(description="Of each, such as 10M.")


class Capture(Said):
    """A pcapng file of what crosses some links."""

    on: Annotated[list[Annotated[str, forms.SELECTOR]], Field(min_length=1, max_length=MOST_LINKS)] = Field(
        description="Links by name or a--b, ends as NODE:INTERFACE."
    )
    file: Annotated[str, forms.FILE] = Field(description="Relative to the topology's directory.")
    filter: Annotated[str, forms.FILTER] | None = Field(default=None, description="pcap-filter(7): arp or icmp.")
    snaplen: Annotated[int, Field(ge=14, le=1 << 18)] | None = Field(
        default=None, description="Octets of each frame; by default all."
    )
    ring: Ring | None = Field(default=None, description="Several files of bounded size.")


class ConsoleCheck(Said):
    """Type something on a node's console, and wait for an answer."""

    send: Annotated[str, forms.CONSOLE_TEXT] | None = Field(default=None, description="What to type; \\n is Return.")
    expect: Annotated[str, forms.CONSOLE_TEXT] = Field(description="The text to wait for.")


class Check(Said):
    """Something that must hold when the lab runs: `ping` or `console`."""

    node: Name = Field(description="Whose console is used.")
    ping: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="A node or an address that must answer."
    )
    count: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3, description="How many echo requests; all must be answered."
    )
    console: ConsoleCheck | None = None
    within: Annotated[int, forms.DURATION] = Field(default=30 * 10**9, description="How long it may take, such as 30s.")


Seed = Annotated[
    Annotated[str, Field(max_length=64), Tag("@text")] | Annotated[int, Tag("@number")],
    spellings(text="text", number="a number"),
]
NodeSpelling = Annotated[
    Annotated[NodeOptions, Tag("@mapping")] | Annotated[None, Tag("@nothing")],
    spellings(mapping="a mapping of options", nothing="nothing"),
]
Nodes = Annotated[
    Annotated[list[Name], Field(max_length=MOST_NODES), Tag("@list")]
    | Annotated[dict[Name, NodeSpelling], Field(max_length=MOST_NODES), Tag("@mapping")],
    spellings(list="a list of names", mapping="a mapping of names"),
]
GroupedLinks = Annotated[
    Annotated[Links, Tag("@list")] | Annotated[dict[Name, Links], Tag("@mapping")],
    spellings(list="a list of links", mapping="a mapping of lists of links"),
]


class File(Said):
    """A topology."""

    name: Name | None = Field(default=None, description="The lab's name; by default the file's.")
    schema_version: Literal[1] = Field(default=1, alias="schema", description="The version of this format.")
    seed: Seed | None = Field(
        default=None, description="MAC addresses follow from it and the names; by default the lab's name."
    )
    defaults: NodeOptions | None = Field(default=None, description="Options for all nodes that can have them.")
    kinds: dict[Kind, NodeOptions] | None = Field(default=None, description="Options for all nodes of a kind.")
    groups: dict[Name, Group] | None = Field(default=None, description="Options for groups of nodes.")
    nodes: Nodes = Field(description="What the lab consists of.")
    links: GroupedLinks | None = Field(default=None, description="Cables.")
    captures: Annotated[list[Capture], Field(max_length=MOST_CAPTURES)] | None = Field(
        default=None, description="Files of what crosses links."
    )
    checks: Annotated[dict[Name, Check], Field(max_length=MOST_CHECKS)] | None = Field(
        default=None, description="What must hold when the lab runs."
    )
