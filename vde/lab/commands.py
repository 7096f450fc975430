"""The command lines of nodes. Pure: paths and files are arguments, nothing is looked at.

QEMU's options are chosen so that nothing of the host gets in by default (`-nodefaults`, `-no-user-config`), that a
guest which restarts ends instead (`-no-reboot`), and that option ROMs are not needed (`romfile=`: another package).
The CPU is always emulated: KVM is not everywhere, and a nested one can hang a guest that emulation runs.
`-display none` rather than `-nographic`, which makes the firmware write to the serial line as well.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

from vde.image.cmdline import guest_parameters
from vde.lab.forms import FROM_FILES
from vde.lab.resolved import Capture, Guest, Nic, Plug, Segment, Umps3, View, Wire
from vde.lab.schema import NicModel
from vde.vnl import quote
from vde.wire.distribution import NAMES as SHAPES

MACHINES = {"i386": "pc", "mipsel": "malta", "powerpc": "g3beige"}
DEVICES: dict[NicModel, str] = {
    "pcnet": "pcnet",
    "virtio": "virtio-net-pci",
    "e1000": "e1000",
    "rtl8139": "rtl8139",
    "ne2k": "ne2k_pci",
    "gem": "sungem",
}
READY_LINE = "vde-guest ready:"  # docs/images.md
USUAL_NIC: NicModel = "virtio"
OWN_NICS: Mapping[NicModel, str] = {
    "virtio": "virtio",
    "pcnet": "pcnet",
    "e1000": "e1000",
    "rtl8139": "rtl8139",
    "ne2k": "ne2000",
    "gem": "gem",
}
"""The same models, as our own boards call them."""
DISK_MODELS = frozenset({"virtio", "ide", "cdrom", "floppy"})
"""Of all boards (`vde guest BOARD --help`)."""
ONLY_FOR: Mapping[NicModel, str] = {"gem": "powerpc"}
"""Models that are part of one architecture's machines."""
BOARDS = frozenset({"malta", "pc", "i386", "mac", "ppc"})
"""Kinds of nodes that are boards with cards to choose."""
CPUS: Mapping[str, tuple[str, ...]] = {
    "pc": ("486", "pentium", "pentium2", "pentium3"),
    "mac": ("750", "604", "7400"),
}
"""Processors of boards that have some to choose from (`vde guest BOARD --help`)."""
CONSOLES = {"mac": "console=ttyPZ0"}
"""What a kernel of the user's own is told where it is not ttyS0."""


@dataclass(frozen=True)
class GuestFiles:
    """What a guest boots from."""

    kernel: Path
    initrd: Path
    cmdline: str


def switch_command(program: str, segment: Segment, directory: Path, management: Path) -> list[str]:
    """A switch or hub in the foreground, without anybody's rc file."""
    command = [program, "-s", str(directory), "-M", str(management), "--nostdin", "-n", str(segment.numports)]
    command += ["-f", "/nonexistent"]
    if segment.kind == "hub":
        command.append("-x")
    if segment.fstp:
        command.append("-F")
    for interface in segment.taps:
        command += ["-t", interface]
    return command


def segment_vnl(directory: Path, port: int | None) -> str:
    """The VNL of a segment's port."""
    # Not [port=N]: User-Mode Linux would cut its option there.
    return f"vde://{quote(str(directory))}[{port}]" if port is not None else f"vde://{quote(str(directory))}"


def wire_command(vde: Sequence[str], wire: Wire, vnls: tuple[str, str], control: Path, directory: Path) -> list[str]:
    """A wire. It ends with its switches (`--once`), which are nodes of the lab as it is.

    Args:
        vde: the program.
        wire: which.
        vnls: what it joins.
        control: where it listens.
        directory: the topology's, to which files that settings name are relative.
    """
    command = [*vde, "wire", *vnls, "--name", wire.name, "--seed", wire.seed, "--control", str(control), "--once"]
    for option, settings in zip(("--left-to-right", "--right-to-left"), wire.impair, strict=True):
        for name, value in settings.items():
            path = directory / value if name in FROM_FILES and value != "none" and value not in SHAPES else None
            command += [option, f"{name}={value.replace(' ', '') if path is None else path}"]
    for line in wire.schedule:
        command += ["--at", line]
    return command


def plug_command(vde: Sequence[str], plug: Plug, segment: str) -> list[str]:
    """A process that joins a segment to what a VNL names."""
    return [*vde, "plug", segment, plug.vnl]


def capture_command(vde: Sequence[str], capture: Capture, lab: str, runtime: Path, directory: Path) -> list[str]:
    """A process that asks the supervisor where to listen, and writes a file."""
    command = [*vde, "capture", "--lab-runtime", str(runtime), "--lab", lab, "--node", capture.name]
    command += ["--write", str(directory / capture.path)]
    if capture.snap_octets:
        command += ["--snaplen", str(capture.snap_octets)]
    if capture.ring_files:
        command += ["--ring", f"{capture.ring_files}x{capture.ring_octets}"]
    return [*command, "--filter", capture.filter] if capture.filter else command


def qemu_command(
    program: str, guest: Guest, files: GuestFiles, directories: dict[str, Path], console: int
) -> list[str]:
    """A guest.

    Args:
        program: QEMU for the guest's architecture.
        guest: which.
        files: what it boots from.
        directories: of the segments that it is plugged into.
        console: the number of an inherited, connected stream socket that is its serial line.
    """
    command = [program, "-name", guest.name, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    command += ["-machine", guest.machine or MACHINES[guest.architecture]]
    command += ["-accel", "tcg"]
    if guest.cpu:
        command += ["-cpu", guest.cpu]
    command += ["-m", f"{guest.memory_octets >> 20}M"]
    command += ["-kernel", str(files.kernel), "-initrd", str(files.initrd)]
    command += ["-append", " ".join(filter(None, [files.cmdline, parameters(guest), guest.cmdline]))]
    command += ["-chardev", f"socket,id=serial0,fd={console}", "-serial", "chardev:serial0"]
    for index, nic in enumerate(guest.nics):
        command += _nic(index, nic, directories)
    return command


def _nic(index: int, nic: Nic, directories: dict[str, Path]) -> Sequence[str]:
    device = f"{DEVICES[nic.model or USUAL_NIC]},mac={nic.mac},romfile="
    if nic.attachment is None:
        return "-device", device
    directory = str(directories[nic.attachment.segment]).replace(",", ",,")  # QEMU's way to write a comma
    port = f",port={nic.attachment.port}" if nic.attachment.port is not None else ""
    return "-netdev", f"vde,id=net{index},sock={directory}{port}", "-device", f"{device},netdev=net{index}"


def board_command(
    vde: Sequence[str],
    guest: Guest,
    files: GuestFiles | None,
    vnls: Mapping[str, str],
    directory: Path,
    console: int,
    screen: Path | None = None,
) -> list[str]:
    """A machine of our own emulator.

    Args:
        vde: the program.
        guest: which.
        files: of its image; None: it has a kernel of its own, or firmware starts it.
        vnls: by interface, what it is plugged into.
        directory: the topology's, to which files are relative.
        console: the number of an inherited, connected stream socket that is its serial line.
        screen: where its display is shown; None: it has none.
    """
    command = [*vde, "guest", guest.kind, "--name", guest.name, "--console", f"fd:{console}", "--no-reboot"]
    command += ["--screen", f"unix:{screen}"] if screen is not None else []
    command += ["--memory", f"{guest.memory_octets >> 20}M"]
    if guest.clock:
        command += ["--clock", guest.clock]
    if guest.cpu:
        command += ["--cpu", guest.cpu]
    command += ["--pae"] if guest.pae else []
    command += ["--snapshot", str(directory / guest.snapshot)] if guest.snapshot else []
    command += ["--restore", str(directory / guest.restore)] if guest.restore else []
    if files is not None:
        command += ["--kernel", str(files.kernel), "--initrd", str(files.initrd)]
        words = " ".join(filter(None, [files.cmdline, parameters(guest), guest.cmdline]))
        command.append(f"--append={words}")
    elif guest.kernel is not None:
        command += ["--kernel", str(directory / guest.kernel)]
        command += ["--initrd", str(directory / guest.initrd)] if guest.initrd else []
        command.append(f"--append={guest.cmdline or CONSOLES.get(guest.kind, 'console=ttyS0')}")
    else:
        assert guest.boot is not None
        command += ["--boot", guest.boot]
        command += ["--firmware", str(directory / guest.firmware)] if guest.firmware else []
    for nic in guest.nics:
        command += ["--nic", f"{OWN_NICS[nic.model or USUAL_NIC]},mac={nic.mac},{vnls.get(nic.interface, 'none')}"]
    for disk in guest.disks:
        command += ["--disk", _disk(disk, directory)]
    return command


def _disk(text: str, directory: Path) -> str:
    """`[MODEL,]FILE[,ro|,overlay]`, the file from the topology's directory."""
    model, comma, rest = text.partition(",")
    return f"{model},{directory / rest}" if comma and model in DISK_MODELS else str(directory / text)


def umps3_command(
    vde: Sequence[str], machine: Umps3, vnls: Mapping[str, str], directory: Path, console: int
) -> list[str]:
    """A machine for student kernels: as `board_command`."""
    command = [*vde, "guest", "umps3", str(directory / machine.config), "--name", machine.name, "--no-reboot"]
    command += ["--console", f"fd:{console}"]
    for nic in machine.nics:
        command += ["--nic", f"mac={nic.mac},{vnls.get(nic.interface, 'none')}"]
    return [*command, "--clock", machine.clock] if machine.clock else command


def view_command(vde: Sequence[str], view: View, vnls: Mapping[str, str], directory: Path) -> list[str]:
    """A process with its own view, which says on its console that it is ready.

    Args:
        vde: the program.
        view: which.
        vnls: by interface, what it is plugged into.
        directory: the topology's, to which the overlay's is relative.
    """
    command = [*vde, "view", "--root", "--pid", "--hostname", view.hostname]
    for nic in view.nics:
        command += ["--net", vnls.get(nic.interface, "null://"), "--ifname", nic.interface, "--mac", nic.mac]
        for address in (nic.ipv4, nic.ipv6):
            command += ["--addr", str(address)] if address is not None else []
    if not view.nics:
        command += ["--net", "none"]
    if view.gateway is not None:
        command += ["--gw", str(view.gateway)]
    if view.nameserver is not None:
        command += ["--dns", str(view.nameserver)]
    if view.overlay is not None:
        command += ["--overlay-tmp"] if view.overlay == "tmp" else ["--overlay", str(directory / view.overlay)]
    if view.time_offset_s:
        command.append(f"--time-offset={view.time_offset_s}s")
    said = f"echo '{READY_LINE} hostname={view.hostname}'; exec \"$@\""
    return [*command, "--", "/bin/sh", "-c", said, "sh", *(view.command or ("/bin/sh", "-i"))]


def parameters(guest: Guest) -> str:
    """What tells the guest its name and addresses."""
    addresses: dict[int, list[IPv4Interface | IPv6Interface]] = {}
    for index, nic in enumerate(guest.nics):
        addresses[index] = [address for address in (nic.ipv4, nic.ipv6) if address is not None]
    gateways = [guest.gateway] if guest.gateway is not None else []
    return guest_parameters(host_name(guest.name), addresses, gateways)


def host_name(node: str) -> str:
    """A node's name as a host name, which has only letters, digits and inner hyphens (RFC 1123 §2.1)."""
    return re.sub(r"[^A-Za-z0-9]+", "-", node).strip("-")
