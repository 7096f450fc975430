"""`vde view`: a command with its own view of network, files, host name and clocks. Manual: docs/view.md.

What happens to frames: a tap of the view's namespace is handed out to this process, which joins it to the VNL as `vde
plug` joins two, by the forwarder where it can. A VNL that breaks while the command runs is opened again.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

from vde.errors import ConfigError, LinkBroken, LinkClosed

USAGE = "vde view [OPTIONS] [-- COMMAND [ARGUMENT...]]"
DESCRIPTION = """\
Run COMMAND (by default your shell) with its own view of the world. Root is not needed.
Options of an interface follow the --net that they belong to:
  vde view --net vde:///run/a --addr 10.0.0.1/24 --net vde:///run/b --addr 10.0.1.1/24 -- ip address
"""
EPILOG = """\
exit status: the command's; 127 not found, 126 not executable, 1 the network is not there, 2 wrong usage or not possible
examples:
  vde view --net /run/sw --addr 10.0.0.2/24 -- ping 10.0.0.1
  vde view --net nat:// --addr 10.0.2.15/24 --gw 10.0.2.2 --dns 10.0.2.3 -- wget http://example.org/
  vde view --root --overlay changes --own /usr/local -- make install
"""
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_FIRST_WAIT_S = 0.5  # chosen


class _NewNet(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        namespace.nets = [*namespace.nets, {"vnl": values, "addresses": []}]


class _OfNet(argparse.Action):
    """An option of the last --net."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        if not namespace.nets:
            parser.error(f"{option}: it belongs to an interface: --net VNL must come before it")
        net = namespace.nets[-1]
        if self.dest == "addresses":
            net["addresses"].append(values)
        elif self.dest in net:
            parser.error(f"{option}: it is given twice for --net {net['vnl']}")
        else:
            net[self.dest] = values


def add_parser(subparsers: Any) -> None:
    """The command has a parser of its own, because what follows `--` is not ours."""
    parser = subparsers.add_parser(
        "view", help="run a command with its own network, files, host name, clocks", prefix_chars="\0", add_help=False
    )
    parser.add_argument("words", nargs=argparse.REMAINDER)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    words: list[str] = args.words
    cut = words.index("--") if "--" in words else len(words)
    options = build_parser().parse_args(_joined(words[:cut]))
    command = words[cut + 1 :] or [os.environ.get("SHELL") or "/bin/sh"]
    return execute(read_view(options), command)


def _joined(words: Sequence[str]) -> list[str]:
    """`--time-offset -15m` as one word: argparse takes -15m for an option."""
    found: list[str] = []
    for word in words:
        if found and found[-1] == "--time-offset":
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def build_parser() -> argparse.ArgumentParser:
    """Of the options before `--`."""
    parser = argparse.ArgumentParser(
        prog="vde view",
        usage=USAGE,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(nets=[])
    network = parser.add_argument_group("network")
    network.add_argument("--net", action=_NewNet, metavar="VNL", help="an interface on it; 'none': loopback only")
    network.add_argument(
        "--addr", action=_OfNet, dest="addresses", type=_interface, metavar="ADDR/N", help="repeatable"
    )
    network.add_argument("--ifname", action=_OfNet, metavar="NAME", help="of the interface (vde0, vde1, ...)")
    network.add_argument("--mac", action=_OfNet, metavar="MAC", help="its Ethernet address (the kernel's choice)")
    network.add_argument("--mtu", action=_OfNet, type=int, metavar="OCTETS", help="its MTU (1500)")
    network.add_argument("--gw", action="append", type=_address, default=[], metavar="ADDR", help="default route")
    network.add_argument("--dns", action="append", type=_address, default=[], metavar="ADDR", help="name server")
    files = parser.add_argument_group("files")
    files.add_argument(
        "--bind", action="append", type=_bind, default=[], metavar="SRC:DST[:ro]", help="show SRC of outside as DST"
    )
    files.add_argument("--overlay", type=Path, metavar="DIR", help="changes of files go to DIR/upper, nowhere else")
    files.add_argument("--overlay-tmp", action="store_true", help="changes of files go to memory, and are lost")
    files.add_argument(
        "--own",
        action="append",
        type=Path,
        default=[],
        metavar="DIR",
        help="with an overlay, without privilege: may change",
    )
    other = parser.add_argument_group("the rest")
    other.add_argument("--hostname", metavar="NAME", help="host name")
    other.add_argument(
        "--time-offset",
        type=_offset,
        metavar="T",
        help="of CLOCK_MONOTONIC and CLOCK_BOOTTIME, not of the time of day: 90, -15m, 2h, 1d",
    )
    other.add_argument("--root", action="store_true", help="be root inside (of the view only)")
    other.add_argument("--pid", action="store_true", help="own processes; all of them end with the command")
    return parser


def read_view(options: argparse.Namespace) -> Any:
    """The `View` that the options mean.

    Raises:
        ConfigError: they contradict each other.
    """
    from vde.host.tap import check_name
    from vde.host.view.plan import Net, Overlay, View

    nets = []
    for number, given in enumerate(net for net in options.nets if net["vnl"] != "none"):
        name = check_name(given.get("ifname", f"vde{number}"))
        nets.append(Net(given["vnl"], name, tuple(given["addresses"]), given.get("mac"), given.get("mtu")))
    if len({net.name for net in nets}) < len(nets):
        raise ConfigError("--ifname: two interfaces of one name")
    if options.gw and not nets:
        raise ConfigError("--gw: it needs an interface: --net VNL")
    overlay = None
    if options.overlay is not None and options.overlay_tmp:
        raise ConfigError("--overlay and --overlay-tmp: one of them")
    if options.overlay is not None or options.overlay_tmp:
        overlay = Overlay(options.overlay, tuple(path.absolute() for path in options.own))
    elif options.own:
        raise ConfigError("--own: it needs an overlay: --overlay DIR or --overlay-tmp")
    if options.hostname is not None and not 0 < len(os.fsencode(options.hostname)) <= 64:  # uname(2)
        raise ConfigError(f"--hostname {options.hostname!r}: 1 to 64 octets were expected")
    return View(
        nets=tuple(nets),
        own_network=bool(options.nets),
        gateways=tuple(options.gw),
        dns=tuple(options.dns),
        binds=tuple(options.bind),
        overlay=overlay,
        host_name=options.hostname,
        time_offset_ns=options.time_offset,
        as_root=options.root,
        own_processes=options.pid,
    )


def execute(view: Any, command: Sequence[str], called: str = "vde view") -> int:
    """Make the view, run the command, end as it ends. `called`: the program, in messages and at switches.

    Raises:
        ConfigError, LinkBroken: the view cannot be had.
    """
    from plugs import registry
    from vde.host.view.launch import NotStarted, end_as, start

    for net in view.nets:
        registry.check(net.vnl)
    running = start(view, command)  # before the event loop: it forks
    try:
        import trio

        result = trio.run(_run, view, running, called)
    except NotStarted as error:
        print(f"{called}: {error}", file=sys.stderr)
        return error.status
    finally:
        for descriptor in running.taps:
            os.close(descriptor)
        running.close()
    return end_as(result)


async def _run(view: Any, running: Any, called: str) -> int:
    import trio

    from plugs.surroundings import Here
    from vde.host.view.launch import attend

    here = Here(called, lambda text: print(f"{called}: {text}", file=sys.stderr))
    try:
        async with trio.open_nursery() as nursery:
            for net, descriptor, name in zip(view.nets, running.taps, running.names, strict=True):
                await nursery.start(_keep, net.vnl, descriptor, name, here)
            result: int = await attend(running)
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    return result


async def _keep(vnl: str, descriptor: int, name: str, here: Any, *, task_status: Any) -> None:
    """Keep a tap joined to a VNL. The first attempt must succeed."""
    import trio

    from plugs.parts.backoff import Backoff
    from vde.cli.programs.joining import join
    from vde.host.tap_link import ForeignTapLink

    backoff = Backoff(_FIRST_WAIT_S, here.random)
    started = False
    while True:
        try:
            async with here.open_link(vnl) as link:
                if not started:
                    task_status.started()
                elif backoff.failures:
                    here.warn(f"{vnl}: is there again")
                started = True
                backoff.succeeded()
                tap = ForeignTapLink(os.dup(descriptor), name)
                try:
                    await join(tap, link)
                finally:
                    tap.close()
        except (LinkBroken, LinkClosed) as error:
            if not started:
                raise
            if not backoff.failures:
                here.warn(f"{error}; trying again")
        await trio.sleep(backoff.failed())


def _interface(text: str) -> Any:
    try:
        found = ip_interface(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: ADDRESS/PREFIX was expected, as 10.0.0.1/24") from None
    if "/" not in text:
        raise argparse.ArgumentTypeError(f"{text!r}: the length of the prefix is missing, as in {text}/24")
    return found


def _address(text: str) -> Any:
    try:
        return ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: an IP address was expected") from None


def _bind(text: str) -> Any:
    from vde.host.view.plan import Bind

    words = text.split(":")
    if len(words) not in (2, 3) or not all(words) or (len(words) == 3 and words[2] != "ro"):
        raise argparse.ArgumentTypeError(f"{text!r}: SRC:DST or SRC:DST:ro was expected (paths without ':')")
    return Bind(Path(words[0]).absolute(), Path(words[1]).absolute(), len(words) == 3)


def _offset(text: str) -> int:
    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS_S else (text, "")
    try:
        value = float(number)
        if not abs(value) < 1e10:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: a time was expected, as 90, -15m, 2h, 1d") from None
    return round(value * _UNITS_S[unit] * 1e9)
