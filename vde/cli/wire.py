"""`vde wire`: join two plugs by a wire that may impair what crosses it, and control running wires.

    vde wire VNL VNL [OPTIONS] [NAME=VALUE…]         run a wire until interrupted
    vde wire set WIRE [OPTIONS] [NAME=VALUE…]        change it; `vde wire --help` lists the other verbs

What crosses from the first VNL to the second goes left to right. For programs: the control socket speaks JSON lines
(`vde/wire/control.py`); NOTIFY_SOCKET gets READY=1 when both plugs are open.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vde.cli import status
from vde.errors import ConfigError

VERBS = ("set", "show", "reset", "clear", "up", "down", "why", "stats", "watch")
DESCRIPTION = """\
  vde wire VNL VNL [options] [NAME=VALUE...]    join two plugs; runs until interrupted
  vde wire set WIRE [options] [NAME=VALUE...]   merge settings (with --replace: take all others back)
  vde wire reset WIRE [--dir DIR]               back to what the wire was started with
  vde wire clear WIRE [--dir DIR]               no impairment at all
  vde wire up|down WIRE [--dir DIR]             the link's state
  vde wire show WIRE | stats WIRE               settings | counters by cause
  vde wire why WIRE NUMBER [--dir DIR]          what happened to frame NUMBER, and which setting did it
  vde wire watch WIRE [--dir DIR]               every frame as it comes, a JSON object a line

WIRE: the --name it was started with, or its control socket's path; of a running lab: the link's name or the nodes
that it joins (a--b), also LAB/LINK.
DIR: left-to-right (lr, from the first VNL to the second), right-to-left (rl) or both.
"""
EPILOG = """\
Quantities need units: 40ms, 1Mbit, 64KiB, 1%. A setting of 'none' takes it back. Every setting may also be written
NAME=VALUE, as in: vde wire set slow loss=5% dir=lr. Manual: docs/wires.md
examples:
  vde wire vde:///run/a vde:///run/b --name slow --delay 40ms --jitter 5ms --loss 1% --rate 1Mbit
  vde wire a b --left-to-right 'rate=128kbit delay=300ms' --right-to-left 'rate=2Mbit' --seed 42
  vde wire a b --rule 'vlan 10: loss=5%' --at '20s down' --at '25s up'
"""
MOST_FILE_OCTETS = 16 << 20
ONE_TIME = {"-", "seqpacket"}  # descriptors that we were given
FIRST_WAIT_S = 0.5  # chosen; as switch/plugged.py


def add_parser(subparsers: Any) -> None:
    """The command has a parser of its own, because its options and words may be mixed."""
    parser = subparsers.add_parser(
        "wire", help="join two plugs by a wire with delay, loss, rate…", prefix_chars="\0", add_help=False
    )
    parser.add_argument("words", nargs="*")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    options = _parser().parse_intermixed_args(args.words)
    words: list[str] = options.words
    if words and words[0] in VERBS:
        return _control(words[0], words[1:], options)
    if len(words) < 2:
        raise ConfigError(f"two VNLs, or one of {', '.join(VERBS)} and a wire, were expected; vde wire --help")
    return _run(words[0], words[1], words[2:], options)


def _parser() -> argparse.ArgumentParser:
    from vde.wire.impairments import SETTINGS

    parser = argparse.ArgumentParser(
        prog="vde wire",
        usage="vde wire VNL VNL [options] [NAME=VALUE...] | vde wire VERB WIRE ...",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    impairments = parser.add_argument_group("impairments")
    for name, setting in SETTINGS.items():
        impairments.add_argument(
            f"--{name}", metavar=setting.syntax, help=setting.help, dest=f"set_{name}", action="append"
        )
    impairments.add_argument("--dir", metavar="DIR", help="the direction that these are for (both)")
    for name in ("left-to-right", "right-to-left"):
        impairments.add_argument(
            f"--{name}", metavar="'NAME=VALUE…'", action="append", default=[], help="for this direction only"
        )
    impairments.add_argument(
        "--rule",
        metavar="'MATCH: NAME=VALUE…'",
        action="append",
        default=[],
        help="for frames that fit, the first rule counts: 'vlan 10: loss=5%%'; with the verb set: 'MATCH' alone",
    )
    running = parser.add_argument_group("running a wire")
    running.add_argument("--name", help="for control, and for its random numbers (wire-PID)")
    running.add_argument("--seed", help="equal seeds: equal decisions (random)")
    running.add_argument("--control", metavar="SOCKET", type=Path, help="the control socket's path")
    running.add_argument("--at", metavar="'TIME CHANGE'", action="append", default=[], help="'20s set loss=100%%'")
    running.add_argument("--schedule", metavar="FILE", help="the same, a line each")
    running.add_argument("--markov", metavar="FILE", help="states of the wire over time: a script for wirefilter")
    running.add_argument("--once", action="store_true", help="end when a plug is not there or breaks: do not try again")
    running.add_argument("--python", action="store_true", help="carry frames by the model in Python alone")
    running.add_argument("--no-bypass", action="store_true", help="number and count every frame, also with nothing set")
    running.add_argument(
        "--rings",
        choices=["auto", "yes", "no"],
        default="auto",
        help="vde:// through a switch's shared memory where it has some (auto: if nothing is set at the start)",
    )
    running.add_argument(
        "--realtime",
        action="store_true",
        help="delays are kept on a busy machine, too: frames are carried before all ordinary programs (CAP_SYS_NICE)",
    )
    control = parser.add_argument_group("control")
    control.add_argument("--replace", action="store_true", help="set: take back what is not named")
    control.add_argument("--format", choices=["text", "json"], default="text")
    return parser


def _given(options: argparse.Namespace, words: list[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Directions and settings: `--delay 40ms --dir lr` and `delay=40ms dir=lr` mean the same."""
    from vde.wire.impairments import SETTINGS
    from vde.wire.schedule import parse_direction, parse_words

    directions, pairs = parse_words(words)
    if options.dir is not None:
        directions = parse_direction(options.dir)
    settings = dict(pairs)
    for name in SETTINGS:
        for value in getattr(options, f"set_{name}") or []:
            if name in settings:
                raise ConfigError(f"--{name} is given twice")
            settings[name] = value
    return directions, {name: _absolute(name, value) for name, value in settings.items()}


def _absolute(name: str, value: str) -> str:
    """The wire may run elsewhere."""
    is_file = name == "trace" or (name == "distribution" and ("/" in value or value.endswith(".dist")))
    return os.path.abspath(value) if is_file and value != "none" else value


def read_file(path: str) -> str:
    """A `vde.wire.impairments.Read`."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MOST_FILE_OCTETS + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if len(text) > MOST_FILE_OCTETS:
        raise ConfigError(f"{path}: at most {MOST_FILE_OCTETS >> 20} MiB were expected")
    return text


# -- running a wire ---------------------------------------------------------------------------------------------------


def _run(left: str, right: str, words: list[str], options: argparse.Namespace) -> int:
    import trio

    from plugs import registry

    for vnl in (left, right):
        registry.check(vnl)
    _check_realtime(options)
    name = options.name or f"wire-{os.getpid()}"
    seed = options.seed if options.seed is not None else os.urandom(8).hex()
    start = _start(options, words)
    with _listening(name, options.control) as listener:
        interrupted = trio.run(_serve, (left, right), name, seed, start, listener, options)
    if interrupted:
        raise KeyboardInterrupt
    return status.DONE


def _check_realtime(options: argparse.Namespace) -> None:
    from vde.wire.native import may_be_realtime

    if options.realtime and options.python:
        raise ConfigError("--realtime is of the thread that --python does without")
    if options.realtime and not may_be_realtime():
        raise ConfigError(
            "--realtime needs CAP_SYS_NICE (or a limit for real-time priorities, ulimit -r, of 1 or more); "
            "without it delays are as good as the machine is idle"
        )


def _start(options: argparse.Namespace, words: list[str]) -> Any:
    from dataclasses import replace

    from vde.wire.model import Start
    from vde.wire.schedule import Change, parse_entry, parse_schedule, parse_words

    start = Start()
    directions, settings = _given(options, words)
    start = start.changed(Change("set", directions, None, tuple(settings.items())), read_file)
    for name in ("left-to-right", "right-to-left"):
        for text in getattr(options, name.replace("-", "_")):
            _, pairs = parse_words(text.split())
            start = start.changed(Change("set", (name,), None, pairs), read_file)
    for text in options.rule:
        match, colon, rest = _cut_rule(text)
        if not colon:
            raise ConfigError(f"--rule {text!r}: 'MATCH: NAME=VALUE…' was expected")
        rule_directions, pairs = parse_words(rest.split())
        start = start.changed(Change("set", rule_directions, match, pairs), read_file)
    schedule = [parse_entry(text) for text in options.at]
    if options.schedule is not None:
        schedule += parse_schedule(options.schedule, read_file(options.schedule))
    for entry in schedule:
        if entry.change.verb == "set":
            start.changed(entry.change, read_file)  # complain now, not when it is due
    markov = None
    if options.markov is not None:
        from vde.wire.filter.translate import parse_markov

        markov = parse_markov(options.markov, read_file(options.markov))
    return replace(start, schedule=tuple(schedule), markov=markov)


def _cut_rule(text: str) -> tuple[str, str, str]:
    """At the last colon before the first setting; addresses have colons too."""
    head, equals, tail = text.partition("=")
    match, colon, first = head.rpartition(":")
    if not equals:
        return text.rstrip().removesuffix(":"), ":" if text.rstrip().endswith(":") else "", ""
    return match, colon, first + equals + tail


@contextmanager
def _listening(name: str, path: Path | None) -> Iterator[Any]:
    from vde.cli.wires import control_place
    from vde.wire.server import open_socket

    if path is not None:
        with open_socket(path) as listener:
            yield listener
    else:
        with control_place(name) as place, open_socket(place) as listener:
            yield listener


async def _serve(
    vnls: tuple[str, str], name: str, seed: str, start: Any, listener: Any, options: argparse.Namespace
) -> bool:
    """Carry frames until a signal; was it an interrupt?"""
    import trio

    from plugs import offered_rings, registry
    from plugs.surroundings import Here
    from switch.notify import notify_ready
    from vde import clock
    from vde import vnl as grammar
    from vde.cli.programs.wire_patch import open_patch
    from vde.wire.model import Wire
    from vde.wire.native import NativeCarrier
    from vde.wire.process import WireProcess, unwrapped_nursery
    from vde.wire.server import ControlServer
    from vde.wire.timer import TimerDescriptor

    here = Here(f"wire {name}", lambda text: print(f"vde wire {name}: {text}", file=sys.stderr))
    wire = Wire(name, seed, clock.monotonic_ns(), start, read_file)
    is_plain = wire.clear and not start.schedule and start.markov is None  # else arrivals are to be known exactly
    by_rings = options.rings == "yes" or (options.rings == "auto" and is_plain)
    open_link = offered_rings.open_link if by_rings else registry.open_link
    left, right = ((lambda vnl=vnl: open_link(vnl, here)) for vnl in vnls)
    if not options.once and not ONE_TIME & {grammar.parse(vnl).scheme for vnl in vnls}:
        left, right = (_kept(vnl, attempt, here) for vnl, attempt in zip(vnls, (left, right), strict=True))
    patch = None if options.no_bypass else open_patch
    carrier = None if options.python else NativeCarrier(wire, options.realtime)
    process = WireProcess(wire, (left, right), clock.monotonic_ns, TimerDescriptor, patch, clock.wall_ns, carrier)

    def facts() -> dict[str, Any]:
        return {"left": vnls[0], "right": vnls[1], "pid": os.getpid(), "ends": process.ends()}

    server = ControlServer(wire, process, facts, clock.monotonic_ns, clock.wall_ns)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with unwrapped_nursery() as nursery:
            nursery.start_soon(process.run, notify_ready)
            nursery.start_soon(server.serve, listener)
            async for number in signals:
                nursery.cancel_scope.cancel()
                return number == signal.SIGINT
    return False


def _kept(vnl: str, attempt: Any, here: Any) -> Any:
    """A `vde.wire.process.Open` that tries again."""
    from plugs.parts.backoff import Backoff
    from vde.wire.kept_end import keep_open

    return lambda: keep_open(
        attempt, Backoff(FIRST_WAIT_S, here.random), here.now_ns, lambda text: here.warn(f"{vnl}: {text}")
    )


# -- control ----------------------------------------------------------------------------------------------------------


def _control(verb: str, words: list[str], options: argparse.Namespace) -> int:
    from vde.cli.wires import find_wire
    from vde.wire.client import WireConnection
    from vde.wire.schedule import DIRECTIONS

    if not words:
        raise ConfigError(f"{verb} which wire? its name, LAB/WIRE or its control socket was expected")
    fields: dict[str, Any] = {}
    rest = words[1:]
    if verb == "why":
        if not rest or not rest[0].isdecimal():
            raise ConfigError("why wants the number of a frame, counted from 1 in its direction")
        fields["number"] = int(rest.pop(0))
    directions, settings = _given(options, rest)
    if directions != DIRECTIONS and verb not in ("show", "stats"):
        fields["direction"] = directions[0]
    if verb == "set":
        if len(options.rule) > 1:
            raise ConfigError("set is about one rule at a time")
        fields |= {"settings": settings, "replace": options.replace, "rule": (options.rule or [None])[0]}
        if not settings and not options.replace:
            raise ConfigError("set what? NAME=VALUE or --NAME VALUE was expected; vde wire --help lists the names")
    elif settings:
        raise ConfigError(f"{verb} takes no settings")
    with WireConnection(find_wire(words[0])) as connection:
        answer = connection.ask(verb, **fields)
        if verb == "watch":
            for line in connection.frames():
                print(json.dumps(line), flush=True)
            return status.DONE
    _show(verb, answer, options.format)
    return status.DONE


def _show(verb: str, answer: dict[str, Any], form: str) -> None:
    from vde.cli.wire_text import show_state, show_statistics

    del answer["ok"]
    if form == "json":
        print(json.dumps(next(iter(answer.values())) if len(answer) == 1 else answer))
    elif verb == "stats":
        print(show_statistics(answer["statistics"]))
    elif verb == "why":
        for found in answer.values():
            print(f"{found['direction']}: {found['text']}")
            if "second_copy" in found:
                print(f"{found['direction']}: {found['second_copy']['text']}")
    else:
        print(show_state(answer["state"]))
