"""A validated file → the lab that it means, with every default filled in, or complaints about what cannot be meant.

Pure: the same file gives the same lab, on every machine and at any time. Which images exist is an argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vde.lab import wiring
from vde.lab.check_rules import resolve_checks
from vde.lab.dependencies import resolve_dependencies
from vde.lab.diagnostics import Code, Complaints, did_you_mean, listed, shown
from vde.lab.document import find
from vde.lab.forms import NAME, TAP_NAME
from vde.lab.inherit import Options, inherit
from vde.lab.resolved import AnyNode, Guest, Lab, Milestone, Nic, Segment, Tap
from vde.lab.schema import MOST_NICS, Architecture
from vde.lab.schema import Nic as NicOptions
from vde.lab.station import mac_address
from vde.lab.subnets import check_addresses
from vde.lab.units import show_memory
from vde.lab.validate import Validated

USUAL_MEMORY_OCTETS = 128 << 20  # a Debian kernel with the image's initramfs boots in it
LEAST_MEMORY_OCTETS = 32 << 20  # chosen: with less the kernel cannot unpack the initramfs
MOST_MEMORY_OCTETS = 2 << 30  # QEMU's limit for Malta and for i386 without PAE
USUAL_NIC = "virtio"


@dataclass(frozen=True)
class Names:
    """What the addresses are derived from."""

    lab: str
    seed: str


def resolve(
    validated: Validated, usual_name: str, images: Mapping[str, Architecture], complaints: Complaints
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
    names = Names(name, str(file.seed) if file.seed is not None else name)
    options = inherit(validated, complaints)
    wires = wiring.wire(validated, options, complaints)
    dependencies = resolve_dependencies(validated, options, wires, complaints)
    resolver = _Resolver(validated, names, wires, images, complaints, dependencies)
    nodes: dict[str, AnyNode] = {}
    for node in options.values():
        if (made := resolver.node(node)) is not None:
            nodes[node.name] = made
    nodes |= wires.segments
    nodes |= wires.cables
    nodes = {name: _with_taps(node, nodes) for name, node in nodes.items()}
    _check_tap_ports(nodes, wires, complaints)
    check_addresses(validated, nodes, complaints)
    checks = resolve_checks(validated, nodes, complaints)
    if complaints:
        return None
    return Lab(name=name, seed=names.seed, nodes=nodes, checks=checks)


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


@dataclass(frozen=True)
class _Resolver:
    validated: Validated
    names: Names
    wires: wiring.Wiring
    images: Mapping[str, Architecture]
    complaints: Complaints
    dependencies: Mapping[str, dict[str, Milestone]]

    def node(self, options: Options) -> AnyNode | None:
        common: dict[str, Any] = {
            "name": options.name,
            "labels": options.get("labels", {}),
            "depends_on": self.dependencies.get(options.name, {}),
        }
        match options.kind:
            case "switch" | "hub" as kind:
                return self.segment(kind, options, common)
            case "qemu":
                return self.guest(options, common)
            case "tap":
                return self.tap(options, common)
            case None:
                return None

    def segment(self, kind: Literal["switch", "hub"], options: Options, common: dict[str, Any]) -> Segment:
        name = options.name
        needed = max([self.wires.plugs.get(name, 0), *self.wires.ports.get(name, ())])
        numports = options.get("numports")
        if numports is not None and numports < needed:
            self.complain(Code.PORT, options, "numports", f"'{name}' has {numports} ports, and its links need {needed}")
        if numports is None:
            numports = max(wiring.USUAL_PORTS, needed)
        return Segment(**common, kind=kind, numports=numports, fstp=options.get("fstp", False))

    def tap(self, options: Options, common: dict[str, Any]) -> Tap | None:
        segment = self.wires.taps.get(options.name)
        if segment is None:
            if not self.validated.was_cut("links"):
                self.complain(Code.LINK_ENDS, options, None, f"tap '{options.name}' is not linked to anything")
            return None
        interface = options.get("interface", options.name)
        if not TAP_NAME.fits(interface):
            self.complain(
                Code.NAME,
                options,
                None,
                f"tap '{options.name}' cannot be called so on the host, where names have 1 to 15 characters",
                "give it an 'interface'",
            )
        return Tap(**common, interface=interface, segment=segment, ipv4=options.get("ipv4"), ipv6=options.get("ipv6"))

    def guest(self, options: Options, common: dict[str, Any]) -> Guest | None:
        name = options.name
        image, architecture = self.image(options)
        memory = options.get("memory", USUAL_MEMORY_OCTETS)
        if not LEAST_MEMORY_OCTETS <= memory <= MOST_MEMORY_OCTETS:
            limits = f"an amount from {show_memory(LEAST_MEMORY_OCTETS)} to {show_memory(MOST_MEMORY_OCTETS)}"
            self.complain(
                Code.VALUE,
                options,
                "memory",
                f"'memory' of node '{name}' is {show_memory(memory)}: {limits} was expected",
            )
        nics = self.nics(options)
        if image is None or architecture is None:
            return None
        return Guest(
            **common,
            image=image,
            architecture=architecture,
            memory_octets=memory,
            cpu=options.get("cpu"),
            machine=options.get("machine"),
            cmdline=options.get("cmdline", ""),
            nics=nics,
            gateway=options.get("gateway"),
        )

    def image(self, options: Options) -> tuple[str | None, Architecture | None]:
        name, image, wanted = options.name, options.get("image"), options.get("architecture")
        if image is None:
            if not self.validated.was_cut(*options.origin("image"), "image"):
                text = f"node '{name}' has no 'image', which is required"
                self.complain(Code.MISSING_KEY, options, None, text, f"images: {listed(self.images)}")
            return None, None
        architecture = self.images.get(image)
        if architecture is None:
            hint = did_you_mean(image, self.images) or f"images: {listed(self.images)}"
            self.complain(Code.NO_IMAGE, options, "image", f"there is no image {shown(image)}", hint)
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
