"""`vde_plug2tap`: a switch joined to a tap interface, with vde2's command line.

    vde_plug2tap [-s DIRECTORY] [-p PORT] [-g GROUP] [-m MODE] [-d] [-P PIDFILE] INTERFACE

`-s -`: standard input and output instead of a switch, as a stream of frames. `-s` takes every VNL. The interface is
made if it is missing, and not brought up (see `vde plug --help tap`).

Differences to the original: frames of up to 9234 octets; status 1 if the switch is not there.
"""

import sys
from collections.abc import Sequence

from switch.getopt import Option
from vde import vnl as grammar
from vde.cli.programs.classic import option_rows, path_of, read_options, understand
from vde.cli.programs.vde_plug import Asked, carry, with_options
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
    given, result = read_options(OPTIONS, argv)
    words = result.arguments
    if len(words) != 1:
        raise ConfigError(f"{len(words)} interfaces: one tap interface was expected")
    interface = grammar.quote(words[0])
    return Asked(
        left=with_options(given.get("sock", ""), given.get("port"), given.get("group"), given.get("mode")),
        right=f"tap://{interface}",
        description=PROGRAM,
        daemon="daemon" in given,
        pidfile=path_of(given.get("pidfile")),
    )


def usage() -> str:
    """The text of `--help`."""
    return f"Usage: {PROGRAM} [OPTIONS] INTERFACE\n{option_rows(OPTIONS)}"


def main() -> int:
    """The program."""
    return understand(PROGRAM, read, usage, lambda asked: carry(PROGRAM, asked))


if __name__ == "__main__":
    sys.exit(main())
