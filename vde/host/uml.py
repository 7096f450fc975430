"""Launching User-Mode Linux: a kernel that is a program, joined to networks by its vector driver or by the older ones.

    transport   the kernel gets                          who carries the frames
    vde         vecN:transport=vde,vnl=VNL               `vde_plug`, which UML starts from PATH: ours, or libvdeplug's
    fd          vecN:transport=fd,fd=M                   whoever gave the descriptor: a socket pair's end, a tap
    tap         vecN:transport=tap,ifname=IF             the kernel
    old-vde     ethN=vde,DIRECTORY[,MAC[,PORT]]          libvdeplug, linked in (Debian 12's 6.1)
    daemon      ethN=daemon,MAC,unix,DIRECTORY/ctl       UML itself (kernels before 6.12)

What is known (measured; docs/uml.md): `transport=vde` starts `vde_plug --descr UML seqpacket://FD VNL`. A UML that is
an image of ours must be started in its own directory (`vde.image.uml`), hence all other paths here are absolute. The
guest's console is standard input and output, a terminal or not.

A `fd` is inherited, and so is its number: `pass_fds` of `Launch` says which.

This module starts nothing: it writes command lines; sans-I/O but for looking at the machine in `check`.
Limits: no more than 16 interfaces; VNLs without commas, which UML's option parser cuts at (it has no quoting).
"""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vde.errors import ConfigError

Transport = Literal["vde", "fd", "tap", "old-vde", "daemon"]
INTERFACES_MAX = 16  # chosen; arch/um has no bound for vecN
_MEMORY_LEAST_MIB = 32
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_DRIVER_WORDS = {  # in the kernel's file, if it has the driver
    "vde": b"vde_plug",
    "fd": b"transport",
    "tap": b"transport",
    "old-vde": b"vde backend",
    "daemon": b"daemon backend",
}
_MAC_WORDS = {"vde": ",mac={}", "fd": ",mac={}", "tap": ",mac={}", "old-vde": ",{}", "daemon": ",{}"}


@dataclass(frozen=True)
class Card:
    """One network interface of the guest: `eth0` first.

    Attributes:
        transport: how frames travel; see the module's text.
        target: the VNL, descriptor number, interface, or switch's directory.
        mac: lower case; None: the kernel's choice.
        port: of the switch, for `old-vde`.
    """

    transport: Transport
    target: str
    mac: str | None = None
    port: int | None = None


@dataclass(frozen=True)
class Launch:
    """What to execute.

    Attributes:
        arguments: the program first.
        directory: its working directory.
        pass_fds: descriptors that it inherits.
        environment: what to change in it.
    """

    arguments: tuple[str, ...]
    directory: Path
    pass_fds: tuple[int, ...]
    environment: dict[str, str] = field(default_factory=dict)


def prepare(
    kernel: Path,
    run_directory: Path,
    cards: Sequence[Card],
    *,
    initrd: Path | None = None,
    root: Path | None = None,
    memory_mib: int = 128,
    parameters: str = "",
    plug_directory: Path | None = None,
) -> Launch:
    """The command line.

    Args:
        kernel: `linux.uml`.
        run_directory: ours alone, must exist: UML keeps its management socket and process number there.
        cards: in the guest's order.
        initrd: the first root file system; or
        root: a disk's image, which is `ubd0` and mounted as root.
        memory_mib: of the guest.
        parameters: further words for the kernel, and the guest's own (`hostname=`, `ip4=`).
        plug_directory: where our `vde_plug` is, for `vde`; it is looked up first.

    Raises:
        ConfigError: something in it is not possible.
    """
    if len(cards) > INTERFACES_MAX:
        raise ConfigError(f"{len(cards)} interfaces for User-Mode Linux: at most {INTERFACES_MAX} are possible")
    if memory_mib < _MEMORY_LEAST_MIB:
        raise ConfigError(f"memory of {memory_mib} MiB for User-Mode Linux: at least {_MEMORY_LEAST_MIB} are needed")
    if (initrd is None) == (root is None):
        raise ConfigError("User-Mode Linux: an initrd or a root disk was expected, one of them")
    words = [f"mem={memory_mib}M", f"uml_dir={run_directory.absolute()}", "umid=uml", "con=null", "con0=fd:0,fd:1"]
    if initrd is not None:
        words.append(f"initrd={initrd.absolute()}")
    if root is not None:
        words += [f"ubd0={root.absolute()}", "root=/dev/ubda"]
    words += [_card(number, card) for number, card in enumerate(cards)]
    words += parameters.split()
    environment = {"TMPDIR": "/dev/shm"} if os.path.isdir("/dev/shm") else {}  # where UML keeps the guest's memory
    if plug_directory is not None:
        environment["PATH"] = f"{plug_directory.absolute()}:{os.environ.get('PATH', os.defpath)}"
    inherited = tuple(int(card.target) for card in cards if card.transport == "fd")
    absolute = kernel.absolute()
    return Launch((str(absolute), *words), absolute.parent, inherited, environment)


def check(kernel: Path, cards: Sequence[Card]) -> None:
    """See that this machine can run it, before anything is started.

    Raises:
        ConfigError: says what is missing.
    """
    if platform.machine() != "x86_64":
        raise ConfigError(f"User-Mode Linux runs on x86_64 only, and this machine is {platform.machine()}")
    if not os.access(kernel, os.X_OK):
        raise ConfigError(f"{kernel}: no program: get the image with 'vde image pull uml', or install user-mode-linux")
    wanted = {_DRIVER_WORDS[card.transport]: card.transport for card in cards}
    content = kernel.read_bytes()
    for words, transport in wanted.items():
        if words not in content:
            raise ConfigError(f"{kernel}: this User-Mode Linux has no driver for the transport {transport!r}")


def _card(number: int, card: Card) -> str:
    target = card.target
    if card.mac is not None and not _MAC.fullmatch(card.mac):
        raise ConfigError(f"MAC address {card.mac!r}: six pairs of lower-case hexadecimal digits were expected")
    if "," in target or not target.isprintable() or " " in target:
        raise ConfigError(
            f"{target!r}: User-Mode Linux's options cannot have a comma or a space in them; use a path without"
        )
    mac = "" if card.mac is None else _MAC_WORDS[card.transport].format(card.mac)
    match card.transport:
        case "vde":
            vnl = target if "://" in target else f"vde://{os.path.abspath(target)}"
            return f"vec{number}:transport=vde,vnl={vnl}{mac}"
        case "fd":
            if not target.isdecimal():
                raise ConfigError(f"{target!r}: the number of a descriptor was expected")
            return f"vec{number}:transport=fd,fd={target}{mac}"
        case "tap":
            return f"vec{number}:transport=tap,ifname={target}{mac}"
        case "old-vde":
            port = "" if card.port is None else f"{',' * (1 + (not mac))}{card.port}"
            return f"eth{number}=vde,{os.path.abspath(target)}{mac}{port}"
        case "daemon":
            return f"eth{number}=daemon{mac or ','},unix,{os.path.abspath(target)}/ctl"
