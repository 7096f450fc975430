"""What `vde tap` and `vde bridge` share: their verbs, listings, and how long what they make lasts.

That is: for ever, as long as another command, or until a signal.
"""

import argparse
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Any

from switch.notify import notify_ready
from vde.cli import status
from vde.errors import ConfigError

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def add_create(verbs: Any, description: str) -> argparse.ArgumentParser:
    """The verb `create`, with the options of everything that is made."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "create", help="make one", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mac", metavar="MAC", help="its Ethernet address")
    parser.add_argument("--addr", action="append", default=[], metavar="ADDR/N", help="give it an address (repeatable)")
    parser.add_argument("--mtu", type=int, metavar="OCTETS", help="its MTU")
    parser.add_argument("--persistent", action="store_true", help="let it stay, and end at once")
    parser.epilog = "After '--': COMMAND [ARGUMENT...], which is run in the namespace; its end is theirs."
    add_netns(parser)
    return parser


def add_others(verbs: Any, delete_text: str, list_text: str) -> None:
    """The verbs `delete` and `list`."""
    delete = verbs.add_parser("delete", help=delete_text)
    delete.add_argument("name", metavar="NAME")
    listing = verbs.add_parser("list", help=list_text)
    listing.add_argument("--json", action="store_true", help="machine-readable")
    for one in (delete, listing):
        add_netns(one)


def add_netns(parser: argparse.ArgumentParser) -> None:
    """The option of every verb."""
    parser.add_argument("--netns", metavar="NAME|PID|PATH", help="network namespace")


def add_words(subparsers: Any, name: str, text: str) -> None:
    """A command that reads all its words itself."""
    parser = subparsers.add_parser(name, help=text, prefix_chars="\0", add_help=False)
    parser.add_argument("words", nargs=argparse.REMAINDER)


def read_words(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    """What stands before `--`, parsed, and what stands behind it as `program`."""
    cut = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:cut])
    args.program = words[cut + 1 :]
    if cut < len(words) and (args.verb != "create" or not args.program):
        parser.error("a command after '--' was not expected" if args.program else "a command was expected after '--'")
    return args


def read_addresses(texts: list[str]) -> list[IPv4Interface | IPv6Interface]:
    """Addresses with their prefixes.

    Raises:
        ConfigError: one is none.
    """
    found = []
    for text in texts:
        try:
            if "/" not in text:
                raise ValueError
            found.append(ip_interface(text))
        except ValueError:
            raise ConfigError(f"--addr {text!r}: ADDRESS/PREFIX was expected, as 10.0.0.1/24") from None
    return found


def finish(interfaces: Any, name: str, addresses: Sequence[Any], args: argparse.Namespace) -> int:
    """MTU, addresses, up; then `hold` it."""
    if args.mtu is not None:
        interfaces.set_mtu(name, args.mtu)
    for address in addresses:
        interfaces.add_address(name, address)
    interfaces.set_up(name)
    return hold(interfaces, [name], args)


def show_listing(
    found: Sequence[Any],
    more: Callable[[Any], dict[str, Any]],
    layout: str,
    row: Callable[[Any], Sequence[str]],
    headings: str,
    *,
    as_json: bool,
) -> None:
    """What there is.

    Args:
        found: interfaces.
        more: facts that one of these has beyond those of all.
        layout: of a line, for `str.format`.
        row: one interface in it; empty texts are shown as `-`.
        headings: of its columns.
        as_json: for programs.
    """
    if as_json:
        print(json.dumps([_facts(one) | more(one) for one in found], indent=2))
        return
    for words in [headings.split(), *([word or "-" for word in row(one)] for one in found)]:
        print(layout.format(*words))


def _facts(interface: Any) -> dict[str, Any]:
    return {
        "name": interface.name,
        "up": interface.is_up,
        "mac": interface.mac,
        "mtu": interface.mtu_octets,
        "addresses": list(interface.addresses),
    }


def hold(interfaces: Any, names: list[str], args: argparse.Namespace) -> int:
    """Let what was made last as long as the options say; then it is taken back.

    Returns:
        The exit status: that of the command that was run, else 0.

    Raises:
        ConfigError: the command cannot be run, or options contradict each other.
    """
    if args.persistent and args.program:
        raise ConfigError("--persistent and a command: one of them says how long it lasts")
    print(*names, flush=True)
    if args.persistent:
        interfaces.keep()
        return status.DONE
    result = _run(args.program) if args.program else _wait()
    for failure in interfaces.close():
        print(f"vde: {failure}", file=sys.stderr)
    return result


def _wait() -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    notify_ready()
    signal.sigwait(ENDS)
    return status.DONE


def _run(command: list[str]) -> int:
    """Signals that end us end it; then so do we."""
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        raise ConfigError(f"{command[0]}: {error.strerror}") from None
    for number in ENDS:
        signal.signal(number, lambda got, frame: _pass_on(process, got))
    result = process.wait()
    return result if result >= 0 else 128 - result


def _pass_on(process: "subprocess.Popen[bytes]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
