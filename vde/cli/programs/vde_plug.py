"""`vde_plug`: a VNL joined to standard streams, to another VNL or to a command, with vdeplug4's command line.

    vde_plug [OPTIONS] [VNL]                  standard input and output, as a stream of frames
    vde_plug [OPTIONS] VNL VNL
    vde_plug [OPTIONS] [VNL] = COMMAND [ARG…]
    ssh user@here vde_plug [VNL]              where vde_plug is the user's login shell

**As a login shell** (`-c COMMAND`, or a name that begins with `-`) it runs nothing but itself, logs beginning and end,
and refuses commands: `= COMMAND`, `cmd://`, also in braces or in a file that a VNL names. (The original lets them pass,
and so gives the user a shell.) Members of the group `vdeplug_iplog` have their addresses logged.

It ends with status 0 when standard input ends or a switch closes the port, as the original; 1 if it could not begin, or
the outside broke; 128 + N by a signal. It does not connect again: `vdeswitch --plug` does.
"""

import contextlib
import getpass
import grp
import os
import shlex
import sys
import syslog
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from plugs.surroundings import Here
from switch.getopt import Option
from vde import vnl as grammar
from vde.cli.programs import classic
from vde.cli.programs.address_log import AddressLog, LoggedLink
from vde.cli.programs.classic import WRONG, option_rows, path_of, present, read_options
from vde.cli.programs.plugging import Junction
from vde.cli.programs.restricted import RestrictedHere
from vde.errors import ConfigError, LinkEnded, VdeError

OPTIONS = (
    Option(("daemon",), "d", "", "go to the background; the exit status says whether both are open"),
    Option(("pidfile",), "p", "FILE", "write the process number to FILE; removed at the end"),
    Option(("log",), "l", "", "log beginning and end to syslog"),
    Option(("iplog",), "L", "", "as -l, and the IP addresses that are used"),
    Option(("group",), "g", "GROUP", "group of our socket (vde://)"),
    Option(("group2",), "G", "GROUP", "as -g, for the second VNL"),
    Option(("mod", "mode"), "m", "MODE", "octal permissions of our socket (vde://)"),
    Option(("mod2", "mode2"), "M", "MODE", "as -m, for the second VNL"),
    Option(("port",), "", "PORT", "port of the switch; better: vde://DIRECTORY[PORT]"),
    Option(("port2",), "", "PORT", "as --port, for the second VNL"),
    Option(("descr",), "D", "TEXT", "shown by the switch (default 'vdeplug:')"),
    Option(("command",), "c", "COMMAND", "as a login shell: run COMMAND, which must be vde_plug"),
    Option(("help",), "h", "", "show this"),
)
USAGE = """\
Usage: vde_plug [OPTIONS] [VNL]                     VNL and standard input and output
       vde_plug [OPTIONS] VNL VNL
       vde_plug [OPTIONS] [VNL] = COMMAND [ARG…]
No VNL, or an empty one, is the default switch. All VNLs: vde plug --list
"""
PROGRAM = "vde_plug"
IPLOG_GROUP = "vdeplug_iplog"
FAILED = 1


@dataclass(frozen=True)
class Asked:
    """What the command line says."""

    left: str
    right: str
    description: str
    daemon: bool = False
    pidfile: Path | None = None
    log: bool = False
    iplog: bool = False
    restricted: bool = False


def read(argv: Sequence[str], *, restricted: bool = False) -> Asked:
    """The command line, without the program's name.

    Raises:
        Help, ConfigError.
    """
    words = list(argv)
    command: list[str] | None = None
    if "=" in words:
        index = words.index("=")
        words, command = words[:index], words[index + 1 :]
        if not command:
            raise ConfigError("a command was expected after '='")
        if restricted:
            raise ConfigError("a login shell's vde_plug runs no commands")
    given, result = read_options(OPTIONS, words)
    if "command" in given and not restricted:
        return _read_login(given["command"])
    vnls = result.arguments
    if len(vnls) > (2 if command is None else 1):
        raise ConfigError(f"{len(vnls)} VNLs: at most {2 if command is None else 1} can be given")
    first = with_options(vnls[0] if vnls else "", given.get("port"), given.get("group"), given.get("mod"))
    if command is not None:
        second = "cmd://" + shlex.join(command)
    elif len(vnls) == 2:
        second = with_options(vnls[1], given.get("port2"), given.get("group2"), given.get("mod2"))
    else:
        second = grammar.STDIO
    return Asked(
        left=first,
        right=second,
        description=given.get("descr", "vdeplug:"),
        daemon="daemon" in given,
        pidfile=path_of(given.get("pidfile")),
        log="log" in given or "iplog" in given or restricted,
        iplog="iplog" in given,
        restricted=restricted,
    )


def _read_login(text: str) -> Asked:
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    if not words or os.path.basename(words[0]) != PROGRAM:
        raise ConfigError("This is not a login shell, only vde_plug can be executed")
    return read(words[1:], restricted=True)


def with_options(vnl: str, port: str | None, group: str | None, mode: str | None) -> str:
    """A vde:// VNL with the options of the command line, which give way to its own; others are left as they are."""
    named = {"port": port, "group": group, "mode": mode}
    parsed = grammar.parse(vnl)
    if parsed.scheme != "vde" or not any(named.values()):
        return vnl
    parts = grammar.cut(parsed, "bracket")
    own = [f"{one.name}={grammar.quote(one.value)}" for one in parts.options if one.value is not None]
    if bare := [one.name for one in parts.options if one.value is None]:
        own.append(f"port={grammar.quote(bare[0])}")
    names = {text.partition("=")[0] for text in own}
    own += [f"{name}={grammar.quote(value)}" for name, value in named.items() if value and name not in names]
    return f"vde://{grammar.quote(parts.address).replace(chr(92) + '/', '/')}[{'/'.join(own)}]"


def main() -> int:
    """The program."""
    name = sys.argv[0]
    if os.path.basename(name).startswith("-") and len(sys.argv) == 1:
        return _refuse("This is not a login shell, only vde_plug can be executed")
    return classic.understand(PROGRAM, read, usage, _carry, _refuse if "-c" in sys.argv[1:2] else None)


def _carry(asked: Asked) -> int:
    with _logged(asked) as addresses:
        return carry(PROGRAM, asked, addresses)


def usage() -> str:
    """The text of `--help`."""
    return USAGE + "Options:\n" + option_rows(OPTIONS)


def carry(program: str, asked: Asked, addresses: Callable[[str], None] | None = None) -> int:
    """Join, as asked. `addresses` is told what to log of them."""

    warn = classic.warner(program)
    kind = RestrictedHere if asked.restricted else Here
    try:
        with present(daemon=asked.daemon, pidfile=asked.pidfile) as ready:
            surroundings = kind(asked.description, warn), kind(asked.description, warn)
            junction = Junction(asked.left, asked.right, surroundings, ready)
            if addresses is not None:
                junction.wrap = lambda link: LoggedLink(link, AddressLog(), addresses)
            outcome = junction.run()
    except VdeError as error:
        warn(str(error))
        return WRONG
    if outcome.caught is not None:
        return 128 + outcome.caught
    if outcome.error is not None and not isinstance(outcome.error, LinkEnded):
        warn(str(outcome.error))
        return FAILED
    return 0


def _refuse(sentence: str) -> int:
    """Of a login shell: the user and syslog are told."""
    print(f"{PROGRAM}: {sentence}", file=sys.stderr)
    syslog.openlog(PROGRAM, syslog.LOG_PID, syslog.LOG_USER)
    syslog.syslog(syslog.LOG_ERR, f"{sentence}: user {_user()} IP {_client()}")
    return WRONG


@contextlib.contextmanager
def _logged(asked: Asked) -> Iterator[Callable[[str], None] | None]:
    """Beginning and end in syslog, if they are asked for. Gives what to log addresses with, if that is."""
    if not asked.log:
        yield None
        return
    syslog.openlog(PROGRAM, syslog.LOG_PID, syslog.LOG_USER)
    user, client = _user(), _client()
    syslog.syslog(syslog.LOG_INFO, f"START: user {user} IP {client}")
    addresses = None
    if asked.iplog or (asked.restricted and _is_in(IPLOG_GROUP)):

        def addresses(text: str) -> None:
            syslog.syslog(syslog.LOG_INFO, f"user {user} Real-IP {client} has got {text}")

    try:
        yield addresses
    finally:
        syslog.syslog(syslog.LOG_INFO, f"STOP: user {user} IP {client}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no entry in the user database
        return str(os.getuid())


def _client() -> str:
    """Where the user comes from, as sshd tells it."""
    return os.environ.get("SSH_CLIENT", "").split(" ")[0] or "UNKNOWN_IP_ADDRESS"


def _is_in(group: str) -> bool:
    try:
        return grp.getgrnam(group).gr_gid in (*os.getgroups(), os.getgid())
    except KeyError:
        return False


if __name__ == "__main__":
    sys.exit(main())
