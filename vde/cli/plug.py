"""`vde plug`: join two VNLs, or one and standard input and output; and the manual of the plugs."""

import argparse
import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from vde.cli import status
from vde.errors import ConfigError, LinkEnded

if TYPE_CHECKING:
    from vde.plugspec import PlugSpec

DESCRIPTION = """\
  vde plug VNL VNL          carry frames both ways until one of them ends
  vde plug VNL              between VNL and standard input and output (the stream of vde_plug and dpipe)
  vde plug --list           what VNLs there are
  vde plug --help SCHEME    all about SCHEME://: syntax, options, peers, limits
  vde plug install-module [--user | --dir DIR]
                            let QEMU and other programs with libvdeplug open vdeshm:///run/sw.ctl

A VNL names a plug: vde:///run/sw.ctl[3], udp://:5000->10.0.0.2:5000, tap://tap0, cmd://ssh there vde_plug, …
exit status: 0 a VNL ended in good order · 1 one broke, or is not there · 2 wrong · 130, 143 interrupted
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "plug",
        help="join two VNLs; the manual of all VNLs",
        usage="vde plug VNL [VNL] | --list | --help [SCHEME] | install-module [--user | --dir DIR]",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    parser.add_argument("vnls", nargs="*", metavar="VNL")
    parser.add_argument("-l", "--list", action="store_true", help="all schemes, and what they are")
    parser.add_argument("-h", "--help", nargs="?", const="", metavar="SCHEME", dest="about", help="this, or a plug's")
    parser.add_argument("-D", "--descr", metavar="TEXT", default="vde plug", help="shown by switches (vde plug)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--user", action="store_true", help="install-module: below your home directory")
    where.add_argument("--dir", metavar="DIR", help="install-module: there")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    if args.about is not None:
        print(_about(args.about) if args.about else args.parser.format_help(), end="")
        return status.DONE
    if args.list:
        print(listing(), end="")
        return status.DONE
    if args.vnls == ["install-module"]:
        return _install_module(args.dir, user=args.user)
    if args.user or args.dir:
        raise ConfigError("--user and --dir are for vde plug install-module")
    match args.vnls:
        case [one]:
            return _join("-", one, args.descr)
        case [one, other]:
            return _join(one, other, args.descr)
        case _:
            raise ConfigError(f"{len(args.vnls)} VNLs: one or two were expected; vde plug --help")


def _install_module(directory: str | None, *, user: bool) -> int:
    from pathlib import Path

    from plugs.module import install

    done = install(None if directory is None else Path(directory).absolute(), user=user)
    print(f"installed: {done.path}")
    if done.variable:
        print(f"programs that shall find it need in their environment:\n  export {done.variable}")
    return status.DONE


def _join(left: str, right: str, description: str) -> int:
    from plugs.surroundings import Here
    from switch.notify import notify_ready
    from vde.cli.programs.plugging import Junction

    here = Here(description, _warn)
    outcome = Junction(left, right, (here, here), notify_ready).run()
    if outcome.caught is not None:
        return 128 + outcome.caught
    if outcome.error is not None and not isinstance(outcome.error, LinkEnded):
        raise outcome.error
    return status.DONE


def _warn(text: str) -> None:
    print(f"vde plug: {text}", file=sys.stderr)


def listing() -> str:
    """A line for each scheme."""
    from plugs import registry

    lines = []
    for scheme in registry.schemes():
        spec = registry.find(scheme)
        lines.append(f"{scheme:<12} {_headline(spec)}\n")
    return "".join(lines)


def _headline(spec: "PlugSpec") -> str:
    line = spec.page.strip().split("\n\n", 1)[0].replace("\n", " ")
    return line.split(" — ", 1)[-1].rstrip(".")


def _about(text: str) -> str:
    from plugs import registry

    return page(registry.find(text.removesuffix("://")))


def page(spec: "PlugSpec") -> str:
    """A plug's help: its file's text, then its options."""
    lines = [spec.page.strip(), "", f"Syntax: {spec.syntax}"]
    match spec.style:
        case "slash":
            how = "address/option=value/option"
        case "bracket":
            how = "address[option=value/option]"
        case "raw":
            how = ""
        case _:
            how = "address/option=value or address[option=value/option]"
    options = spec.options()
    if options:
        lines += ["", f"Options ({how}; a beginning of the name that means no other one suffices):"]
        lines += [line for field, kind in options for line in _option(field, kind)]
    if spec.nested != "none":
        lines += ["", f"A VNL in braces ({spec.scheme}://…{{VNL}}) is {spec.nested}."]
    return "\n".join(lines) + "\n"


def _option(field: dataclasses.Field[Any], kind: Any) -> list[str]:
    from vde.plugspec import names_of

    facts = field.metadata
    name, *aliases = names_of(field)
    base8 = facts.get("base") == 8
    what = {bool: "", str: "=TEXT", int: "=OCTAL" if base8 else "=NUMBER", float: "=NUMBER"}[kind]
    if choices := facts.get("choices"):
        what = "=" + "|".join(choices)
    notes = []
    if field.default is not None and kind is not bool:
        notes.append(f"default {field.default:o}" if base8 else f"default {field.default}")
    elif kind is bool:
        notes.append(f"default {'on' if field.default else 'off'}")
    least, most = facts.get("least"), facts.get("most")
    if least is not None and most is not None:
        notes.append(f"{least:o} to {most:o}" if base8 else f"{least} to {most}")
    elif least is not None or most is not None:
        notes.append(f"at least {least}" if most is None else f"at most {most}")
    if unit := facts.get("unit"):
        notes.append(unit)
    if aliases:
        notes.append(f"also {', '.join(aliases)}")
    text = facts.get("help", "") + (f" ({'; '.join(notes)})" if notes else "")
    left = f"  {name}{what}"
    return [f"{left:<26}{text}"] if len(left) < 26 else [left, f"{'':<26}{text}"]
