"""`vdens`: a command with a network of its own on VDE networks, with vdens(1)'s command line. See `vde view`.

    vdens [OPTIONS] [VNL [COMMAND [ARGUMENT…]]]
    vdens -m [OPTIONS] VNL… [-- COMMAND [ARGUMENT…]]

Without a VNL, or with `-` or `no`, there is only a loopback interface; without COMMAND the user's shell is run.

Differences to the original, on purpose: the interfaces are up; root stays root, without a user namespace; a network
that goes away is joined again; frames are as long as the plug lets them be. `-c` and `-u` choose between two system
calls there and are accepted: the command's process is a fork here, so threads of plugs do not matter.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from switch.getopt import Option
from vde.cli.programs.classic import WRONG, option_rows, read_options, understand, warner
from vde.cli.view import execute
from vde.errors import ConfigError, VdeError
from vde.host.tap import check_name
from vde.host.view.files import RESOLV_CONF
from vde.host.view.plan import Bind, Net, View

PROGRAM = "vdens"
OPTIONS = (
    Option(("multi",), "m", "", "several networks: all VNLs before '--'"),
    Option(("iface",), "i", "PREFIX", "beginning of the interfaces' names (vde)"),
    Option(("resolvaddr",), "R", "ADDR,…", "name servers (default: $VDE_RESOLVADDR)"),
    Option(("resolvconf",), "r", "FILE", "seen as /etc/resolv.conf, without -R (default: $VDE_RESOLVCONF)"),
    Option(("hostname",), "H", "NAME", "host name"),
    Option(("sysadm",), "s", "", "CAP_SYS_ADMIN, too: bind mounts are possible"),
    Option(("clone",), "c", "", "no effect here"),
    Option(("unshare",), "u", "", "no effect here"),
    Option(("help",), "h", "", "show this"),
)
NOTHING = ("", "-", "no")


@dataclass(frozen=True)
class Asked:
    """What the command line says."""

    view: View
    command: list[str]


def read(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> Asked:
    """The command line, without the program's name.

    Raises:
        Help, ConfigError.
    """
    end = _end_of_options(argv)
    given, _ = read_options(OPTIONS, argv[:end])
    rest = list(argv[end:])
    if "multi" in given:
        cut = rest.index("--") if "--" in rest else len(rest)
        vnls, command = rest[:cut], rest[cut + 1 :]
        if not vnls:
            raise ConfigError("--multi: at least one VNL was expected")
    else:
        rest = rest[1:] if rest[:1] == ["--"] else rest
        vnls, command = [vnl for vnl in rest[:1] if vnl not in NOTHING], rest[1:]
        command = command[1:] if command[:1] == ["--"] else command
    prefix = given.get("iface", "vde")
    servers = given.get("resolvaddr", environment.get("VDE_RESOLVADDR", ""))
    resolver = given.get("resolvconf", environment.get("VDE_RESOLVCONF", ""))
    view = View(
        nets=tuple(Net(vnl, check_name(f"{prefix}{number}")) for number, vnl in enumerate(vnls)),
        own_network=True,
        dns=tuple(_address(text) for text in servers.split(",") if text),
        binds=(Bind(Path(resolver).absolute(), Path(RESOLV_CONF)),) if resolver and not servers else (),
        host_name=given.get("hostname"),
        may_mount="sysadm" in given,
    )
    return Asked(view, command or [environment.get("SHELL") or "/bin/sh"])


def _end_of_options(argv: Sequence[str]) -> int:
    """Where the first word is that is none: what follows belongs to the command."""
    letters = {option.short for option in OPTIONS if option.argument}
    names = {option.key for option in OPTIONS if option.argument}
    index = 0
    while index < len(argv) and argv[index].startswith("-") and argv[index] not in ("-", "--"):
        word = argv[index]
        name = word.lstrip("-")
        takes_next = name in names or (len(word) == 2 and name in letters)
        index += 2 if takes_next else 1
    return min(index, len(argv))


def _address(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise ConfigError(f"name server {text!r}: an IP address was expected") from None


def usage() -> str:
    """The text of `--help`."""
    return (
        f"Usage: {PROGRAM} [OPTIONS] [VNL [COMMAND [ARGUMENT…]]]\n"
        f"       {PROGRAM} -m [OPTIONS] VNL… [-- COMMAND [ARGUMENT…]]\n"
        f"VNL: '-' or 'no' for none. More: vde view --help\n{option_rows(OPTIONS)}"
    )


def main() -> int:
    """The program."""
    return understand(PROGRAM, read, usage, _carry_out)


def _carry_out(asked: Asked) -> int:
    try:
        return execute(asked.view, asked.command, PROGRAM)
    except VdeError as error:
        warner(PROGRAM)(str(error))
        return WRONG


if __name__ == "__main__":
    sys.exit(main())
