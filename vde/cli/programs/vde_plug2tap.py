"""`vde_plug2tap`: a switch joined to a tap interface, with vde2's command line.

    vde_plug2tap [-s DIRECTORY] [-p PORT] [-g GROUP] [-m MODE] [-d] [-P PIDFILE] INTERFACE

`-s -`: standard input and output instead of a switch, as a stream of frames. `-s` takes every VNL. The interface is
made if it is missing, and not brought up (see `vde plug --help tap`).

Differences to the original: frames of up to 9234 octets; status 1 if the switch is not there.
"""

import os
import sys
from collections.abc import Sequence

from switch import getopt
from switch.getopt import Option
from vde import vnl as grammar
from vde.cli.programs.vde_plug import WRONG, Asked, Help, carry, with_options
from vde.errors import ConfigError

OPTIONS = (
    Option(("port",), "p", "PORT", "port of the switch"),
    Option(("group",), "g", "GROUP", "group of our socket"),
    Option(("mode", "mod"), "m", "MODE", "octal permissions of our socket"),
    Option(("sock",), "s", "DIRECTORY", "the switch's control directory, or a VNL; -: standard input and output"),
    Option(("daemon",), "d", "", "go to the background"),
    Option(("pidfile",), "P", "FILE", "write the process number to FILE; removed at the end"),
    Option(("help",), "h", "", "show this"),
)
PROGRAM = "vde_plug2tap"


def read(argv: Sequence[str]) -> Asked:
    """The command line, without the program's name.

    Raises:
        Help, ConfigError.
    """
    result = getopt.parse(OPTIONS, argv)
    given = dict(result.options)
    if "help" in given:
        raise Help
    if result.complaints:
        raise ConfigError("; ".join(result.complaints))
    if len(result.arguments) != 1:
        raise ConfigError(f"{len(result.arguments)} interfaces: one tap interface was expected")
    interface = grammar.quote(result.arguments[0])
    return Asked(
        left=with_options(given.get("sock", ""), given.get("port"), given.get("group"), given.get("mode")),
        right=f"tap://{interface}",
        description=PROGRAM,
        daemon="daemon" in given,
        pidfile=os.path.abspath(given["pidfile"]) if "pidfile" in given else None,
    )


def usage() -> str:
    """The text of `--help`."""
    rows = "".join(f"  -{one.short}, --{one.key} {one.argument}".ljust(26) + one.help + "\n" for one in OPTIONS)
    return f"Usage: {PROGRAM} [OPTIONS] INTERFACE\n{rows}"


def main() -> int:
    """The program."""
    try:
        asked = read(sys.argv[1:])
    except Help:
        print(usage(), end="")
        return 0
    except ConfigError as error:
        print(f"{PROGRAM}: {error}\n{usage()}", end="", file=sys.stderr)
        return WRONG
    return carry(PROGRAM, asked)


if __name__ == "__main__":
    sys.exit(main())
