"""What programs with vde2's command lines share: options, their help, the background, the pidfile.

OPTIONS = (Option(("daemon",), "d", "", "go to the background"), …)
given, result = read_options(OPTIONS, argv)
with present(daemon="daemon" in given, pidfile=path_of(given.get("pidfile"))) as ready:
    …                                     # call ready() when it works
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from switch import getopt
from switch.daemonise import detach
from switch.getopt import Option, Result
from switch.notify import notify_ready
from switch.pidfile import Pidfile
from vde.errors import ConfigError

WRONG = 1
Asked = TypeVar("Asked")


class Help(Exception):
    """`--help` was given."""


def read_options(options: Sequence[Option], argv: Sequence[str]) -> tuple[dict[str, str], Result]:
    """What was given by which key, the last one of each; and all of it in order, with the arguments.

    Raises:
        Help.
        ConfigError: all complaints at once.
    """
    result = getopt.parse(options, argv)
    given = dict(result.options)
    if "help" in given:
        raise Help
    if result.complaints:
        raise ConfigError("; ".join(result.complaints))
    return given, result


def option_rows(options: Sequence[Option]) -> str:
    """A line of help for each."""
    names = [f"  {'-' + one.short + ',' if one.short else '   '} --{one.key} {one.argument}" for one in options]
    width = max(map(len, names)) + 1
    return "".join(f"{name:<{width}} {one.help}\n" for name, one in zip(names, options, strict=True))


def path_of(text: str | None) -> Path | None:
    """From the directory where we are now: a daemon goes to another one."""
    return None if text is None else Path(os.path.abspath(text))


def warner(program: str) -> Callable[[str], None]:
    """Says a line on standard error."""
    return lambda text: print(f"{program}: {text}", file=sys.stderr)


def understand(
    program: str,
    read: Callable[[Sequence[str]], Asked],
    usage: Callable[[], str],
    carry_out: Callable[[Asked], int],
    refuse: Callable[[str], int] | None = None,
) -> int:
    """Read the command line and do it; the exit status. `refuse`: instead of a complaint with the usage."""
    try:
        asked = read(sys.argv[1:])
    except Help:
        print(usage(), end="")
        return 0
    except ConfigError as error:
        if refuse is not None:
            return refuse(str(error))
        print(f"{program}: {error}\n{usage()}", end="", file=sys.stderr)
        return WRONG
    return carry_out(asked)


@contextlib.contextmanager
def present(*, daemon: bool, pidfile: Path | None) -> Iterator[Callable[[], None]]:
    """In the background if asked for, with a pidfile meanwhile if asked for.

    Gives what is to be called when the program works: only then the caller of a daemon goes on. Must be entered before
    any thread or event loop is started.

    Raises:
        PidfileError.
    """
    background = detach() if daemon else None
    with contextlib.ExitStack() as stack:
        if pidfile is not None:
            stack.callback(Pidfile(pidfile).remove)

        def ready() -> None:
            notify_ready()
            if background is not None:
                background.ready()

        yield ready
