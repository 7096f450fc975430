"""`vde umps`: uMPS3's tools, in the words of Debian's: umps3-mkdev, umps3-elf2umps, umps3-objdump."""

import argparse
from typing import Any

DESCRIPTION = """\
  vde umps mkdev …       make disks and flash drives
  vde umps elf2umps …    make core, a.out, ROM and symbol files out of ELF files
  vde umps objdump …     show what is in them

Each takes the arguments of umps3-mkdev(1), umps3-elf2umps(1) and umps3-objdump(1); without any it shows them.
"""
TOOLS = ("mkdev", "elf2umps", "objdump")


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "umps",
        help="files for uMPS3 machines",
        usage="vde umps mkdev|elf2umps|objdump …",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tool", choices=TOOLS, metavar="TOOL")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="ARGUMENT")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from emulators.umps_tools import elf2umps, mkdev, objdump

    program = f"vde umps {args.tool}"
    match args.tool:
        case "mkdev":
            return mkdev.run(args.rest, program)
        case "elf2umps":
            return elf2umps.run(args.rest, program)
        case _:
            return objdump.run(args.rest, program)
