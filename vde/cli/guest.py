"""`vde guest BOARD`: an emulated machine in this process: no root, no other emulator."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vde.cli import status
from vde.errors import ConfigError

if TYPE_CHECKING:
    from emulators.board import BoardSpec, Needs, Said
    from emulators.guest.consoles import Place
    from emulators.guest.disk import Access
    from emulators.guest.session import Disk, Nic, Result

DESCRIPTION = """\
  vde guest BOARD [options]     run a machine; its console is this terminal (Ctrl-] ? shows our own keys)
  vde guest BOARD --help        the board, and its options
  vde guest --list              what boards there are

exit status: what the guest said when it switched itself off (0), or halted · 1 it cannot go on, or a network is not
there · 2 wrong options or files · 130, 143 interrupted
"""
MAC_OCTETS = 6


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "guest",
        help="an emulated machine on the network",
        usage="vde guest BOARD [options] | --list | --help",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    parser.add_argument("-l", "--list", action="store_true", help="all boards, and what they are")
    parser.add_argument("-h", "--help", action="store_true", dest="about", help="this")
    parser.add_argument("board", nargs="?", metavar="BOARD")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="OPTION", help="vde guest BOARD --help")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from emulators import board

    if args.about or args.list or args.board is None:
        if not args.list:
            print(args.parser.format_help())
            print("boards:")
        for name in board.names():
            print(f"  {name:<10} {_headline(board.find(name))}")
        return status.DONE if args.about or args.list else status.USAGE
    spec = board.find(args.board)
    return _run(spec, board_parser(spec).parse_args(args.rest))


def _headline(spec: "BoardSpec") -> str:
    return spec.page.strip().split("\n\n", 1)[0].replace("\n", " ").rstrip(".")


def board_parser(spec: "BoardSpec") -> argparse.ArgumentParser:
    """Of the options of one board."""
    parser = argparse.ArgumentParser(
        prog=f"vde guest {spec.name}",
        description=spec.page.strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_machine(parser, spec)
    _add_outside(parser, spec)
    if spec.bochsrc is not None:
        parser.add_argument("--bochsrc", type=Path, metavar="FILE", help="options of a Bochs configuration file")
    for name in spec.foreign:
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"options of a {name} configuration file")
    running = parser.add_argument_group("running")
    running.add_argument(
        "--clock",
        choices=("virtual", "host", "warp"),
        help="virtual (the default): as fast as possible, and in real time while the guest waits; host: in real time; "
        "warp: waiting takes no time",
    )
    running.add_argument(
        "--seed",
        metavar="TEXT",
        help="random octets of the guest, and addresses that were not given, follow from it: without networks and "
        "typing, two runs are the same",
    )
    running.add_argument("--no-reboot", action="store_true", help="end when the guest resets its machine")
    running.add_argument("--snapshot", type=Path, metavar="FILE", help="what SIGUSR1 and Ctrl-] s write")
    running.add_argument("--restore", type=Path, metavar="FILE", help="go on from there; give the same options")
    running.add_argument("--gdb", default="", metavar="ADDR", help="[HOST:]PORT (of the loopback) or a socket's path")
    running.add_argument("--gdb-wait", action="store_true", help="start when a debugger says so")
    if spec.points:
        running.add_argument(
            "--break",
            dest="breaks",
            action="append",
            default=[],
            metavar="PLACE",
            help="end there, with status 12, and say where: SYMBOL[+OFFSET] or ADDRESS; several are possible",
        )
        running.add_argument(
            "--trace",
            action="append",
            default=[],
            metavar="RANGE",
            help="a line for every access: SYMBOL|ADDRESS[+OCTETS], and ,r or ,w for reads or writes only",
        )
        running.add_argument("--trace-file", type=Path, metavar="FILE", help="where they go (standard error)")
    running.add_argument("--name", default="", metavar="TEXT", help="shown by switches and in messages")
    return parser


def _add_machine(parser: argparse.ArgumentParser, spec: "BoardSpec") -> None:
    import dataclasses

    machine = parser.add_argument_group("machine")
    for field, kind in spec.options():
        facts = field.metadata
        text = facts.get("help", "").replace("%", "%%")
        if field.default not in (None, dataclasses.MISSING, "") and kind in (int, str, bool):
            text += f" ({_shown(field.default, facts.get('unit', ''))})"
        name = field.name.replace("_", "-")
        metavar = facts.get("metavar") or {int: "NUMBER", Path: "FILE", str: "TEXT"}.get(kind, "TEXT")
        if facts.get("unit") == "octets":
            metavar = "SIZE"
        if facts.get("positional"):
            required = field.default is dataclasses.MISSING
            machine.add_argument(field.name, nargs=None if required else "?", metavar=metavar, help=text)
        elif kind is bool:
            machine.add_argument(
                f"--{name}", action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text
            )
        elif kind in (int, str, Path):
            machine.add_argument(f"--{name}", dest=field.name, default=argparse.SUPPRESS, metavar=metavar, help=text)
        else:
            machine.add_argument(
                f"--{name}", dest=field.name, action="append", default=argparse.SUPPRESS, metavar=metavar, help=text
            )
    if _boots_images(spec):
        machine.add_argument("--image", metavar="NAME", help="boot that of vde image list; --append adds to its words")


def _shown(value: int | str | bool, unit: str) -> str:
    """A default, as one would write it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int) and unit == "octets" and value % (1 << 20) == 0:
        return f"{value >> 20}M"
    return str(value)


def _add_outside(parser: argparse.ArgumentParser, spec: "BoardSpec") -> None:
    outside = parser.add_argument_group("outside")
    if spec.most_nics and not spec.nic_models:
        outside.add_argument(
            "--nic",
            action="append",
            default=[],
            metavar="[mac=ADDRESS,]VNL",
            help="what a network device leads to, in place of what the configuration says, from the first on (none: "
            "nothing)",
        )
    if spec.nic_models:
        outside.add_argument(
            "--nic",
            action="append",
            default=[],
            metavar="[MODEL,][mac=ADDRESS,]VNL",
            help=f"a network card, {' or '.join(spec.nic_models)}, and the network that it is plugged into (none: no "
            f"cable); at most {spec.most_nics}",
        )
    if spec.disk_models:
        outside.add_argument(
            "--disk",
            action="append",
            default=[],
            metavar="[MODEL,]FILE[,ro|,overlay][,format=FORMAT]",
            help=f"a disk, {' or '.join(spec.disk_models)}: a raw file, or qcow2, vdi, vmdk, by its name or format; "
            f"ro: the guest cannot write; overlay: what it writes is forgotten; at most {spec.most_disks}",
        )
    outside.add_argument(
        "--console",
        action="append",
        default=[],
        metavar="[NAME=]PLACE",
        help=f"{', '.join(spec.consoles[:8])}: stdio, none, file:PATH, unix:PATH, fd:NUMBER (the first one: stdio)",
    )
    if _has_screen(spec):
        outside.add_argument(
            "--screen",
            nargs="?",
            const="stdio",
            metavar="PLACE",
            help="show the display on this terminal (then no console has it), or at unix:PATH, for vde screen",
        )


def _has_screen(spec: "BoardSpec") -> bool:
    return "vga" in {field.name for field, _ in spec.options()}


def _boots_images(spec: "BoardSpec") -> bool:
    return bool(spec.architecture) and {"kernel", "initrd", "append"} <= {field.name for field, _ in spec.options()}


def _run(spec: "BoardSpec", args: argparse.Namespace) -> int:
    import dataclasses

    import trio

    from emulators.gdb.server import serve
    from emulators.guest.chance import Seeded
    from emulators.guest.points import Points
    from emulators.guest.session import Session, Setup
    from plugs.surroundings import Here
    from switch.notify import notify_ready, notify_status

    given = {field.name: value for field, _ in spec.options() if (value := getattr(args, field.name, None)) is not None}
    if getattr(args, "bochsrc", None) is not None:
        assert spec.bochsrc is not None
        _read_foreign(spec.bochsrc, args.bochsrc, args, given)
    for name, reader in spec.foreign.items():
        if getattr(args, name) is not None:
            _read_foreign(reader, getattr(args, name), args, given)
    nics, nic_models = _nics(spec, getattr(args, "nic", []))
    disks, disk_models = _disks(spec, getattr(args, "disk", []))
    if spec.nic_models:
        given["nics"] = nic_models
    if spec.disk_models:
        given["disks"] = disk_models
    if getattr(args, "image", None):
        _boot_image(spec, args.image, given)
    params = spec.read(given)
    needs = spec.needs(params)
    screen = _screen(getattr(args, "screen", None))
    consoles = _consoles(spec, args.console, needs, screen)
    is_raw = any(place.kind == "stdio" for place in consoles.values()) and os.isatty(sys.stdin.fileno())

    def warn(text: str) -> None:
        if session.notice(text):
            return
        end = "\r\n" if is_raw else "\n"
        print(f"vde guest: {text}".replace("\n", end), end=end, file=sys.stderr, flush=True)

    setup = Setup(
        consoles=consoles,
        nics=(*nics, *_needed_nics(needs)[0 if spec.nic_models else len(nics) :]),
        disks=(*_needed_disks(needs), *disks),
        mode=args.clock or "virtual",
        snapshot=args.snapshot,
        restore=args.restore,
        reboot=not args.no_reboot,
        gdb=args.gdb,
        wait=args.gdb_wait,
        screen=screen,
        random=None if args.seed is None else Seeded(args.seed).octets,
    )
    breaks, traces = getattr(args, "breaks", []), getattr(args, "trace", [])
    if args.gdb and (breaks or traces):
        raise ConfigError("--gdb: the debugger sets breakpoints then; --break and --trace are for runs without it")
    if args.gdb_wait and not args.gdb:
        raise ConfigError("--gdb-wait: without --gdb nobody could start the guest")
    here = Here(args.name or f"vde guest {spec.name}", warn)
    with _trace_file(getattr(args, "trace_file", None), warn) as show:
        points = Points(breaks, traces, show) if breaks or traces else None
        setup = dataclasses.replace(setup, points=points)
        session = Session(lambda outside: spec.build(params, outside), setup, here, notify_ready, serve, notify_status)
        return _status(trio.run(session.run))


@contextlib.contextmanager
def _trace_file(path: Path | None, warn: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """What shows lines of traces."""
    if path is None:
        yield warn
        return
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--trace-file {path}: {error.strerror}") from None
    with file:
        yield lambda line: print(line, file=file)


def _read_foreign(
    reader: Callable[[Path, Mapping[str, str]], "Said"], path: Path, args: argparse.Namespace, given: dict[str, Any]
) -> None:
    """What another emulator's configuration file says, where the command line says nothing."""
    said = reader(path, os.environ)
    for name, value in said.options.items():
        if name != "boot" or "kernel" not in given:
            given.setdefault(name, value)
    args.nic, args.disk = args.nic or list(said.nics), args.disk or list(said.disks)
    args.console = args.console or [f"{name}={place}" for name, place in said.consoles.items()]
    args.clock = args.clock or said.clock or None
    for what in said.unused:
        print(f"vde guest: {what}: not used", file=sys.stderr)


def _status(result: "Result") -> int:
    from emulators.machine import Broken, Fault, Halted, PoweredOff, Reset

    if result.caught is not None:
        return 128 + result.caught
    match result.end:
        case PoweredOff(code):
            return code & 0xFF
        case Halted(code, text):
            print(f"vde guest: the guest has halted{f': {text}' if text else ''}", file=sys.stderr)
            return code & 0xFF
        case Broken(text):
            print(f"vde guest: breakpoint: {text}", file=sys.stderr)
            return status.BREAKPOINT
        case Fault(text):
            print(f"vde guest: the guest cannot go on: {text}", file=sys.stderr)
            return status.FAILED
        case Reset(text) if text:
            print(f"vde guest: the machine is not begun again (--no-reboot): {text}", file=sys.stderr)
    return status.DONE


def _nics(spec: "BoardSpec", texts: list[str]) -> tuple[list["Nic"], list[str]]:
    """Cables and models."""
    from emulators.guest.session import Nic
    from plugs import registry

    if len(texts) > spec.most_nics:
        raise ConfigError(f"--nic: {len(texts)} of them: {spec.name} has at most {spec.most_nics}")
    nics, models = [], []
    for text in texts:
        model, mac, vnl = (*spec.nic_models, "")[0], None, text
        while "," in vnl:
            word, _, rest = vnl.partition(",")
            if word in spec.nic_models:
                model = word
            elif word.startswith("mac="):
                mac = _mac(word.removeprefix("mac="))
            else:
                break
            vnl = rest
        if vnl in spec.nic_models:
            model, vnl = vnl, "none"
        if vnl != "none":
            registry.check(vnl)
        nics.append(Nic("" if vnl == "none" else vnl, mac))
        models.append(model)
    return nics, models


def _mac(text: str) -> bytes:
    try:
        octets = bytes(int(part, 16) for part in text.split(":"))
    except ValueError:
        octets = b""
    if len(octets) != MAC_OCTETS or octets[0] & 1:
        raise ConfigError(f"--nic: mac={text}: a unicast address such as 52:54:00:12:34:56 was expected")
    return octets


def _disks(spec: "BoardSpec", texts: list[str]) -> tuple[list["Disk"], list[str]]:
    """Files and models."""
    from emulators.guest.disk import parse_disk
    from emulators.guest.session import Disk

    if len(texts) > spec.most_disks:
        raise ConfigError(f"--disk: {len(texts)} of them: {spec.name} has at most {spec.most_disks}")
    disks, models = [], []
    for text in texts:
        words = parse_disk(text, spec.disk_models)
        usual: Access = "ro" if words.model == "cdrom" else "rw"
        if words.model == "cdrom" and words.access not in ("", "ro"):
            raise ConfigError(f"--disk {text}: a CD-ROM is ro")
        disks.append(Disk(words.path, words.access or usual, form=words.form))
        models.append(words.model)
    return disks, models


def _needed_nics(needs: "Needs") -> list["Nic"]:
    from emulators.guest.session import Nic
    from plugs import registry

    for vnl in needs.nics:
        if vnl:
            registry.check(vnl)
    return [Nic(vnl) for vnl in needs.nics]


def _needed_disks(needs: "Needs") -> list["Disk"]:
    from emulators.guest.session import Disk

    return [Disk(path, "rw" if writable else "ro", any_size=True) for path, writable in needs.disks]


def _screen(text: str | None) -> "Place | None":
    from emulators.guest.consoles import parse_place

    place = None if text is None else parse_place(text)
    if place is not None and place.kind not in ("stdio", "none", "unix"):
        raise ConfigError(f"--screen {text}: stdio, none or unix:PATH was expected")
    if place is not None and place.kind == "stdio" and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("--screen: this is no terminal; --screen unix:PATH is for vde screen unix:PATH")
    return place


def _consoles(spec: "BoardSpec", texts: list[str], needs: "Needs", screen: "Place | None" = None) -> dict[str, "Place"]:
    from emulators.guest.consoles import parse_place

    taken = screen is not None and screen.kind == "stdio"
    places = {spec.consoles[0]: parse_place("none" if taken else "stdio")} if spec.consoles else {}
    places |= {name: parse_place(text) for name, text in needs.consoles.items()}
    for text in texts:
        name, equals, place = text.partition("=")
        if not equals or name not in spec.consoles:
            name, place = spec.consoles[0], text
        places[name] = parse_place(place)
    on_terminal = [name for name, place in places.items() if place.kind == "stdio"] + ["the screen"] * taken
    if len(on_terminal) > 1:
        raise ConfigError(f"--console: {' and '.join(on_terminal)} cannot both have this terminal")
    return places


def _boot_image(spec: "BoardSpec", name: str, given: dict[str, Any]) -> None:
    """Kernel, initrd and command line of an image, where the user did not say otherwise."""
    from vde.cli.image import Display
    from vde.image import store

    display = Display()
    try:
        image = store.pull(name, display.show)
    finally:
        display.clear()
    if image.architecture != spec.architecture:
        raise ConfigError(f"image {name} is for {image.architecture}; {spec.name} is {spec.architecture}")
    given.setdefault("kernel", str(image.kernel))
    given.setdefault("initrd", str(image.initrd))
    given["append"] = image.command_line(given.get("append", ""))
