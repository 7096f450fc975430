"""`vde COMMAND …`: finds the command, runs it, and turns what it raises into a sentence and an exit status.

A command is a module of `vde.cli` with `add_parser(subparsers)` and `run(args) -> int`; no list of them is kept.
Modules import what is slow to import inside `run`, because every `vde …` loads all of them for its help.

| status | meaning                                              |
|--------|------------------------------------------------------|
| 0      | done                                                 |
| 1      | it was well asked, and failed                        |
| 2      | the topology file, an option or an argument is wrong |
| 3      | a check of the lab failed                            |
| 4      | the lab is not running                               |
| 130    | interrupted                                          |
"""

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType

import vde.cli
from vde.cli import status
from vde.errors import VdeError

DESCRIPTION = """\
A virtual Ethernet without root: switches, guests and labs of them.

first steps:
  vde up topologies/first.yaml     start a lab; again after an edit: only the difference is applied
  vde ps                           what runs
  vde console NODE                 a node's serial console (Ctrl-] detaches)
  vde down                         stop it; nothing is left behind
"""
EPILOG = (
    "exit status: 0 done · 1 failed · 2 wrong topology or usage · 3 a check failed · 4 not running · 130 interrupted"
)


class _Version(argparse.Action):
    """Looked up only when it is asked for: reading a distribution's facts takes as long as all the rest."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: object) -> None:
        from importlib.metadata import version

        print(f"vde-fabric {version('vde-fabric')}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """The program `vde`."""
    try:
        return _main(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        print("\nvde: interrupted", file=sys.stderr)
        return status.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`vde logs | head`). Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return status.FAILED


def _main(argv: Sequence[str]) -> int:
    parser, modules = build_parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return status.DONE
    try:
        result: int = modules[args.command].run(args)
        sys.stdout.flush()
    except VdeError as error:
        print(f"vde {args.command}: {error}", file=sys.stderr)
        return status.of(error)
    return result


def build_parser() -> tuple[argparse.ArgumentParser, dict[str, ModuleType]]:
    """The parser with every command, and each command's module by its name and aliases."""
    parser = argparse.ArgumentParser(
        prog="vde", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    modules: dict[str, ModuleType] = {}
    for found in pkgutil.iter_modules(vde.cli.__path__):
        module = importlib.import_module(f"vde.cli.{found.name}")
        if hasattr(module, "add_parser"):
            module.add_parser(subparsers)
            for name in subparsers.choices.keys() - modules.keys():
                modules[name] = module
    return parser, modules


if __name__ == "__main__":
    sys.exit(main())
