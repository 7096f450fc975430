"""How long interfaces last that a command makes: for ever, as long as another command, or until a signal."""

import argparse
import contextlib
import signal
import subprocess
import sys
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Any

from switch.notify import notify_ready
from vde.cli import status
from vde.errors import ConfigError

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def add_lasting(parser: Any) -> None:
    """The options that commands which make something share."""
    parser.add_argument("--addr", action="append", default=[], metavar="ADDR/N", help="give it an address (repeatable)")
    parser.add_argument("--mtu", type=int, metavar="OCTETS", help="its MTU")
    parser.add_argument("--netns", metavar="NAME|PID|PATH", help="in this network namespace")
    parser.add_argument("--persistent", action="store_true", help="let it stay, and end at once")
    parser.epilog = "After '--': COMMAND [ARGUMENT...], which is run in the namespace; its end is theirs."


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
