"""A validated file → the lab that it means, with every default filled in, or complaints about what cannot be meant.

Pure: the same file gives the same lab, on every machine and at any time. Which images exist is an argument.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vde.lab import bochs, pearpc, wiring
from vde.lab.check_rules import resolve_checks
from vde.lab.commands import BOARDS, CPUS, ONLY_FOR, USUAL_NIC, host_name
from vde.lab.dependencies import resolve_dependencies
from vde.lab.diagnostics import Code, Complaints, did_you_mean, listed, shown
from vde.lab.document import find
from vde.lab.forms import NAME, TAP_NAME
from vde.lab.inherit import Options, inherit
from vde.lab.links import names, select
from vde.lab.nat import nat_vnl
from vde.lab.resolved import (
    AnyNode,
    Attachment,
    Bochs,
    Capture,
    Guest,
    Lab,
    Milestone,
    Nic,
    Pearpc,
    Plug,
    Segment,
    Tap,
    Umps3,
    View,
)
from vde.lab.schema import MOST_NICS, Architecture
from vde.lab.schema import Nic as NicOptions
from vde.lab.station import mac_address, tap_name
from vde.lab.subnets import check_addresses
from vde.lab.units import show_memory
from vde.lab.validate import Validated
from vde.vnl import VnlError, quote
from vde.vnl import parse as parse_vnl

USUAL_MEMORY_OCTETS = 128 << 20  # a Debian kernel with the image's initramfs boots in it
LEAST_MEMORY_OCTETS = 32 << 20  # chosen: with less the kernel cannot unpack the initramfs
MOST_MEMORY_OCTETS = 2 << 30  # QEMU's limit for Malta and for i386 without PAE


UML_IMAGE = "uml"
UML_ARCHITECTURE: Literal["x86_64"] = "x86_64"
BOARD_ARCHITECTURES: Mapping[str, Architecture] = {"malta": "mipsel", "pc": "i386", "mac": "powerpc"}
USUAL_IMAGES = {"uml": UML_IMAGE, "malta": "debian-malta", "pc": "debian-i386", "mac": "linux-ppc"}
GuestKind = Literal["qemu", "uml", "malta", "pc", "mac"]
AnyArchitecture = Architecture | Literal["x86_64"]


@dataclass(frozen=True)
class Names:
    """What the addresses are derived from."""

    lab: str
    seed: str


def resolve(
    validated: Validated, usual_name: str, images: Mapping[str, AnyArchitecture], complaints: Complaints
) -> Lab | None:
    """The lab, its ports not allotted yet.

    Args:
        validated: the file.
        usual_name: the lab's name if the file gives none.
        images: the architecture of every known image.
        complaints: gets what is wrong.

    Returns:
        None if there are complaints, now or from before.
    """
    file = validated.file
    name = file.name or usual_name
    if not NAME.fits(name):
        complaints.add(
            Code.NAME,
            f"the file's name gives the lab the name {shown(name)}: {NAME.expected} was expected",
            None,
            "give the lab a 'name' in the file",
        )
    ids = Names(name, str(file.seed) if file.seed is not None else name)
    options = inherit(validated, complaints)
    wires = wiring.wire(validated, options, complaints, ids.seed)
    dependencies = resolve_dependencies(validated, options, wires, complaints)
    resolver = _Resolver(validated, ids, wires, images, complaints, dependencies)
    nodes: dict[str, AnyNode] = {}
    for node in options.values():
        if (made := resolver.node(node)) is not None:
            nodes[node.name] = made
    nodes |= resolver.nats(options, nodes)
    nodes = {name: nodes[name] for name in options if name in nodes}  # in the file's order
    nodes |= wires.segments
    nodes |= wires.cables
    nodes |= _captures(validated, nodes, wires, complaints)
    nodes = {name: _with_taps(node, nodes) for name, node in nodes.items()}
    _check_tap_ports(nodes, wires, complaints)
    check_addresses(validated, nodes, complaints)
    checks = resolve_checks(validated, nodes, complaints)
    if complaints:
        return None
    return Lab(name=name, seed=ids.seed, nodes=nodes, links=wires.links, checks=checks)


def _with_taps(node: AnyNode, nodes: Mapping[str, AnyNode]) -> AnyNode:
    """A segment with the host interfaces that it has to open."""
    if not isinstance(node, Segment):
        return node
    taps = [tap.interface for tap in nodes.values() if isinstance(tap, Tap) and tap.segment == node.name]
    return node.model_copy(update={"taps": tuple(taps)})


def _check_tap_ports(nodes: Mapping[str, AnyNode], wires: wiring.Wiring, complaints: Complaints) -> None:
    for name, chosen in wires.ports.items():
        node = nodes.get(name)
        taps = node.taps if isinstance(node, Segment) else ()
        for number, end in chosen.items():
            if number <= len(taps):
                complaints.add(
                    Code.PORT,
                    f"port {number} of '{name}' is that of the tap {taps[number - 1]}: a switch opens its taps first",
                    end.place,
                    f"choose a port from {len(taps) + 1} on",
                )


def _captures(
    validated: Validated, nodes: Mapping[str, AnyNode], wires: wiring.Wiring, complaints: Complaints
) -> dict[str, AnyNode]:
    """A node for each of the file's captures."""
    made: dict[str, AnyNode] = {}
    files: dict[str, int] = {}
    links = wires.links.values()
    for index, capture in enumerate(validated.file.captures or []):
        path = ("captures", index)
        for number, text in enumerate(capture.on):
            if not select(links, text) and not validated.was_cut("links"):
                hint = did_you_mean(text, names(links)) or f"links: {listed(names(links)) or 'none'}"
                place = find(validated.tree, (*path, "on", number))
                complaints.add(Code.CAPTURE, f"there is no link {shown(text)}", place, hint)
        if files.setdefault(capture.file, index) != index:
            text = f"capture {files[capture.file] + 1} writes to {shown(capture.file)}, too"
            complaints.add(Code.CAPTURE, text, find(validated.tree, (*path, "file")))
        name = f"capture{index + 1}"
        while name in nodes:
            name += "_"
        made[name] = Capture(
            name=name,
            path=capture.file,
            selected=tuple(capture.on),
            filter=capture.filter or "",
            snap_octets=capture.snaplen or 0,
            ring_files=capture.ring.files if capture.ring else 0,
            ring_octets=capture.ring.size if capture.ring else 0,
        )
    return made


@dataclass(frozen=True)
class _Resolver:
    validated: Validated
    names: Names
    wires: wiring.Wiring
    images: Mapping[str, AnyArchitecture]
    complaints: Complaints
    dependencies: Mapping[str, dict[str, Milestone]]

    def node(self, options: Options) -> AnyNode | None:
        common = self.common(options)
        match options.kind:
            case "switch" | "hub" as kind:
                return self.segment(kind, options, common)
            case "qemu" | "uml" | "malta" | "pc" | "mac" as kind:
                return self.guest(kind, options, common)
            case "i386":
                return self.guest("pc", options, common)
            case "ppc":
                return self.guest("mac", options, common)
            case "umps3":
                return self.umps3(options, common)
            case "bochs":
                return self.bochs(options, common)
            case "pearpc":
                return self.pearpc(options, common)
            case "view":
                return self.view(options, common)
            case "host-nic":
                return self.host_nic(options, common)
            case "tap" | "bridge" as kind:
                return self.tap(kind, options, common)
            case "plug":
                return self.plug(options, common)
            case "nat":
                return None  # needs to know the others: `nats`
            case None:
                return None

    def common(self, options: Options) -> dict[str, Any]:
        return {
            "name": options.name,
            "labels": options.get("labels", {}),
            "depends_on": self.dependencies.get(options.name, {}),
        }

    def segment(self, kind: Literal["switch", "hub"], options: Options, common: dict[str, Any]) -> Segment:
        name = options.name
        needed = max([self.wires.plugs.get(name, 0), *self.wires.ports.get(name, ())])
        numports = options.get("numports")
        if numports is not None and numports < needed:
            self.complain(Code.PORT, options, "numports", f"'{name}' has {numports} ports, and its links need {needed}")
        if numports is None:
            numports = max(wiring.USUAL_PORTS, needed)
        return Segment(**common, kind=kind, numports=numports, fstp=options.get("fstp", False))

    def tap(self, kind: Literal["tap", "bridge"], options: Options, common: dict[str, Any]) -> Tap | None:
        segment = self.wires.taps.get(options.name)
        if segment is None:
            if not self.validated.was_cut("links"):
                self.complain(Code.LINK_ENDS, options, None, f"{kind} '{options.name}' is not linked to anything")
            return None
        interface = options.get("interface", options.name)
        if not TAP_NAME.fits(interface):
            self.complain(
                Code.NAME,
                options,
                None,
                f"{kind} '{options.name}' cannot be called so on the host, where names have 1 to 15 characters",
                "give it an 'interface'",
            )
        tap = interface if kind == "tap" else tap_name(self.names.lab, self.names.seed, options.name)
        return Tap(
            **common,
            kind=kind,
            interface=tap,
            segment=segment,
            bridge=None if kind == "tap" else interface,
            ipv4=options.get("ipv4"),
            ipv6=options.get("ipv6"),
        )

    def plug(self, options: Options, common: dict[str, Any]) -> Plug | None:
        attachment = self.single(options)
        vnl = options.get("vnl")
        if vnl is None:
            if not self.validated.was_cut(*options.origin("vnl"), "vnl"):
                text = f"node '{options.name}' has no 'vnl', which is required"
                self.complain(Code.MISSING_KEY, options, None, text, "such as udp://:5000->10.0.0.2:5000")
            return None
        try:
            parse_vnl(vnl)
        except VnlError as error:
            text = f"'vnl' of node '{options.name}': {error.reason} (at character {error.position + 1})"
            self.complain(Code.VALUE, options, "vnl", text)
            return None
        return None if attachment is None else Plug(**common, kind="plug", vnl=vnl, attachment=attachment)

    def single(self, options: Options) -> Attachment | None:
        """Where a node with one end is plugged in."""
        attachment = self.wires.single.get(options.name)
        if attachment is None and not self.validated.was_cut("links"):
            self.complain(Code.LINK_ENDS, options, None, f"{options.kind} '{options.name}' is not linked to anything")
        return attachment

    def nats(self, every: Mapping[str, Options], nodes: Mapping[str, AnyNode]) -> dict[str, AnyNode]:
        """The `nat` nodes, whose ports may lead to any of the others."""
        made: dict[str, AnyNode] = {}
        for options in every.values():
            if options.kind != "nat" or (attachment := self.single(options)) is None:
                continue

            def complain(key: str, message: str, hint: str = "", options: Options = options) -> None:
                self.complain(Code.ADDRESS_CONFLICT if hint else Code.VALUE, options, key, message, hint)

            made[options.name] = Plug(
                **self.common(options),
                kind="nat",
                vnl=nat_vnl(options.name, options.values, nodes, complain),
                attachment=attachment,
                address4=options.get("ipv4"),
                address6=options.get("ipv6"),
            )
        return made

    def host_nic(self, options: Options, common: dict[str, Any]) -> Plug | None:
        attachment = self.single(options)
        interface = options.get("interface", options.name)
        if not TAP_NAME.fits(interface):
            text = f"the host has no interface {shown(interface)}, where names have 1 to 15 characters"
            self.complain(Code.NAME, options, None, text, "give it an 'interface'")
            return None
        if attachment is None:
            return None
        return Plug(**common, kind="host-nic", vnl=f"pcap://{quote(interface)}", attachment=attachment)

    def view(self, options: Options, common: dict[str, Any]) -> View:
        command = options.get("command", ())
        nics = self.nics(options)
        return View(
            **common,
            command=("/bin/sh", "-c", command) if isinstance(command, str) else tuple(command),
            overlay=options.get("overlay"),
            hostname=options.get("hostname") or host_name(options.name),
            time_offset_s=options.get("time-offset", 0),
            nameserver=options.get("nameserver"),
            nics=tuple(nic.model_copy(update={"model": None}) for nic in nics),
            gateway=options.get("gateway"),
        )

    def umps3(self, options: Options, common: dict[str, Any]) -> Umps3 | None:
        nics = tuple(nic.model_copy(update={"model": None}) for nic in self.nics(options))
        config = options.get("config")
        if config is None:
            if not self.validated.was_cut(*options.origin("config"), "config"):
                text = f"node '{options.name}' has no 'config', which is required"
                self.complain(Code.MISSING_KEY, options, None, text, "config: machine.json")
            return None
        for nic in nics:
            if nic.ipv4 is not None or nic.ipv6 is not None:
                text = f"{nic.interface} of '{options.name}' cannot be given an address"
                self.complain(Code.NOT_OF_KIND, options, "nics", text, "its kernel chooses it")
        return Umps3(**common, config=config, nics=nics, clock=options.get("clock"))

    def bochs(self, options: Options, common: dict[str, Any]) -> Bochs | None:
        nics = self.nics(options)
        said = options.get("nics")
        if said is None or not isinstance(said, str):
            models = {} if said is None else {name: getattr(card, "model", card) for name, card in said.items()}
            nics = tuple(nic.model_copy(update={"model": models.get(nic.interface)}) for nic in nics)
        for nic in nics:
            if nic.ipv4 is not None or nic.ipv6 is not None:
                text = f"{nic.interface} of '{options.name}' cannot be given an address"
                self.complain(Code.NOT_OF_KIND, options, "nics", text, "its system chooses it")
        boot = options.get("boot")
        node = Bochs(
            **common,
            memory_octets=self.memory(options),
            cpu=options.get("cpu"),
            disks=tuple(options.get("disks", ())),
            boot=boot,
            config=options.get("config"),
            nics=nics,
        )
        expected = bochs.complaint(node) or ("boot: disk" if boot == "kernel" else None)
        if expected is not None:
            text = f"node '{options.name}' has what Bochs has not: {expected} was expected"
            self.complain(Code.VALUE, options, None, text)
            return None
        return node

    def pearpc(self, options: Options, common: dict[str, Any]) -> Pearpc | None:
        nics = tuple(nic.model_copy(update={"model": None}) for nic in self.nics(options))
        for nic in nics:
            if nic.ipv4 is not None or nic.ipv6 is not None:
                text = f"{nic.interface} of '{options.name}' cannot be given an address"
                self.complain(Code.NOT_OF_KIND, options, "nics", text, "its system chooses it")
        node = Pearpc(
            **common,
            memory_octets=None if options.get("memory") is None else self.memory(options),
            cpu=options.get("cpu"),
            disks=tuple(options.get("disks", ())),
            kernel=options.get("kernel"),
            cmdline=options.get("cmdline", ""),
            config=options.get("config"),
            nics=nics,
        )
        expected = pearpc.complaint(node)
        if expected is not None:
            text = f"node '{options.name}' has what PearPC has not: {expected} was expected"
            self.complain(Code.VALUE, options, None, text)
            return None
        return node

    def memory(self, options: Options) -> int:
        """Octets."""
        memory: int = options.get("memory", USUAL_MEMORY_OCTETS)
        if not LEAST_MEMORY_OCTETS <= memory <= MOST_MEMORY_OCTETS:
            limits = f"an amount from {show_memory(LEAST_MEMORY_OCTETS)} to {show_memory(MOST_MEMORY_OCTETS)}"
            text = f"'memory' of node '{options.name}' is {show_memory(memory)}: {limits} was expected"
            self.complain(Code.VALUE, options, "memory", text)
        return memory

    def guest(self, kind: GuestKind, options: Options, common: dict[str, Any]) -> Guest | None:
        image, architecture = self.image(kind, options)
        memory = self.memory(options)
        nics = self.nics(options)
        cpu = options.get("cpu")
        if cpu is not None and cpu not in CPUS.get(kind, (cpu,)):
            text = f"'cpu' of node '{options.name}' is {shown(cpu)}: {listed(CPUS[kind])} was expected"
            self.complain(Code.VALUE, options, "cpu", text, did_you_mean(cpu, CPUS[kind]))
        if image is None or architecture is None:
            return None
        if kind == "uml":
            nics = tuple(nic.model_copy(update={"model": None}) for nic in nics)
        for nic in nics:
            needed = ONLY_FOR.get(nic.model, architecture) if nic.model else architecture
            if needed != architecture:
                text = f"{nic.interface} of '{options.name}' is a '{nic.model}', which is for {needed}"
                self.complain(Code.ARCHITECTURE, options, "nics", f"{text}: one for {architecture} was expected")
        return Guest(
            **common,
            kind=kind,
            image=image,
            architecture=architecture,
            memory_octets=memory,
            cpu=cpu,
            machine=options.get("machine"),
            cmdline=options.get("cmdline", ""),
            nics=nics,
            gateway=options.get("gateway"),
            kernel=options.get("kernel"),
            initrd=options.get("initrd"),
            disks=tuple(options.get("disks", ())),
            clock=options.get("clock"),
            boot=options.get("boot"),
            firmware=options.get("firmware"),
            pae=options.get("pae", False),
            snapshot=options.get("snapshot"),
            restore=options.get("restore"),
            transport=self.transport(kind, options, nics),
        )

    def transport(self, kind: str, options: Options, nics: Sequence[Nic]) -> Literal["vde", "old-vde", "daemon"] | None:
        """How a User-Mode Linux joins its networks."""
        if kind != "uml":
            return None
        transport: Literal["vde", "old-vde", "daemon"] = options.get("transport") or "vde"
        if transport == "daemon" and any(nic.attachment is not None and nic.attachment.chosen for nic in nics):
            text = f"node '{options.name}' has the transport 'daemon', which cannot ask for a switch's port"
            self.complain(Code.NOT_OF_KIND, options, "transport", text, "transport: old-vde")
        return transport

    def image(self, kind: str, options: Options) -> tuple[str | None, AnyArchitecture | None]:
        name, image, wanted = options.name, options.get("image"), options.get("architecture")
        board = BOARD_ARCHITECTURES.get(kind)
        if board and options.get("boot") not in (None, "kernel"):
            for key in ("kernel", "initrd", "cmdline"):
                if options.get(key) is not None and options.origin(key)[0] == "nodes":
                    text = f"node '{name}' has '{key}', and is started from its {options.get('boot')}"
                    self.complain(Code.NOT_OF_KIND, options, key, text)
            return "", board
        if options.get("firmware") is not None:
            text = f"node '{name}' has 'firmware', and its kernel is started without"
            self.complain(Code.NOT_OF_KIND, options, "firmware", text, "boot: disk")
        if board and (options.get("kernel") is not None or options.get("initrd") is not None):
            if image is not None:
                text = f"node '{name}' has an 'image' and a kernel of its own"
                self.complain(Code.NOT_OF_KIND, options, "image", text, "leave one of them out")
            elif options.get("kernel") is None:
                self.complain(Code.MISSING_KEY, options, "initrd", f"node '{name}' has an 'initrd' and no 'kernel'")
            return "", board
        if image is None:
            image = USUAL_IMAGES.get(kind)
        if image is None:
            if not self.validated.was_cut(*options.origin("image"), "image"):
                text = f"node '{name}' has no 'image', which is required"
                self.complain(Code.MISSING_KEY, options, None, text, f"images: {listed(self.images)}")
            return None, None
        architecture = self.images.get(image)
        if architecture is None:
            hint = did_you_mean(image, self.images) or f"images: {listed(self.images)}"
            self.complain(Code.NO_IMAGE, options, "image", f"there is no image {shown(image)}", hint)
        elif (architecture == UML_ARCHITECTURE) is not (kind == "uml"):
            other = "a machine's" if kind == "uml" else "for User-Mode Linux"
            self.complain(
                Code.ARCHITECTURE, options, "image", f"'image' of node '{name}' is '{image}', which is {other}"
            )
        elif board and architecture != board:
            text = f"'image' of node '{name}' is '{image}', which is for {architecture}: one for {board} was expected"
            self.complain(Code.ARCHITECTURE, options, "image", text)
        elif wanted not in (None, architecture):
            self.complain(
                Code.ARCHITECTURE,
                options,
                "architecture",
                f"'architecture' of node '{name}' is '{wanted}', and its image '{image}' is for {architecture}",
            )
        return image, architecture

    def nics(self, options: Options) -> tuple[Nic, ...]:
        """The guest's cards: those that `nics` lists or the links need, from eth0 on."""
        name = options.name
        said = options.get("nics", {})
        plugged = self.wires.guests.get(name, {})
        usual = said if isinstance(said, str) else USUAL_NIC
        self.check_models(options)
        cards: dict[str, NicOptions] = {}
        for interface, card in said.items() if isinstance(said, dict) else ():
            if not wiring.is_guest_interface(interface):
                self.complain(
                    Code.NO_INTERFACE,
                    options,
                    "nics",
                    f"node '{name}' cannot have an interface {shown(interface)}: "
                    f"eth0 to eth{MOST_NICS - 1} was expected",
                )
                return ()
            cards[interface] = card if isinstance(card, NicOptions) else NicOptions(model=card)
        interfaces = sorted(cards.keys() | plugged.keys(), key=lambda interface: int(interface.removeprefix("eth")))
        for index, interface in enumerate(interfaces):
            if interface != f"eth{index}":
                place = plugged[interface].place if interface in plugged else find(self.validated.tree, ("nodes", name))
                self.complaints.add(
                    Code.NO_INTERFACE,
                    f"node '{name}' has {interface} but no eth{index}: interfaces count from eth0 without a gap",
                    place,
                    f"link {name}:eth{index}, or list it in 'nics'"
                    + ("; no interface is kept for management" if index == 0 else ""),
                )
                return ()
        nics = [
            self.nic(name, interface, cards.get(interface), plugged.get(interface), usual) for interface in interfaces
        ]
        return self.with_addresses(options, nics)

    def check_models(self, options: Options) -> None:
        """Only QEMU and our own boards have network cards to choose from."""
        said = options.get("nics", {})
        cards = said.values() if isinstance(said, dict) else [said]
        models = {str(model) for card in cards if (model := card.model if isinstance(card, NicOptions) else card)}
        if options.kind not in ("qemu", "bochs") and options.kind not in BOARDS and models:
            text = f"a node of kind '{options.kind}' has no models of network cards"
            self.complain(Code.NOT_OF_KIND, options, "nics", text, "nics: {eth0: {ipv4: 10.0.0.1/24}}")

    def nic(
        self, node: str, interface: str, card: NicOptions | None, plugged: wiring.Plugged | None, usual: Any
    ) -> Nic:
        card = card or NicOptions()
        mac = (plugged.mac if plugged else None) or card.mac
        return Nic(
            interface=interface,
            mac=mac or mac_address(self.names.lab, self.names.seed, node, interface),
            model=card.model or usual,
            attachment=plugged.attachment if plugged else None,
            ipv4=card.ipv4,
            ipv6=card.ipv6,
        )

    def with_addresses(self, options: Options, nics: list[Nic]) -> tuple[Nic, ...]:
        """The cards, the first one with the node's addresses."""
        for key in ("ipv4", "ipv6"):
            address = options.get(key)
            if address is None:
                continue
            if not nics:
                if not self.validated.was_cut("links"):
                    text = f"node '{options.name}' has an address but no interface"
                    self.complain(Code.ADDRESS_CONFLICT, options, key, text, "link it to a switch")
            elif getattr(nics[0], key) is not None:
                text = f"eth0 of '{options.name}' has an '{key}' here and in 'nics'"
                self.complain(Code.ADDRESS_CONFLICT, options, key, text)
            else:
                nics[0] = nics[0].model_copy(update={key: address})
        return tuple(nics)

    def complain(self, code: Code, options: Options, key: str | None, message: str, hint: str = "") -> None:
        path = options.origin(key) if key else ("nodes", options.name)
        self.complaints.add(code, message, find(self.validated.tree, path, key=key is None), hint)
