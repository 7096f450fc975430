"""`vde ps`: what runs, and what has died."""

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from vde.cli import status
from vde.cli.labs import find_running, running_homes

if TYPE_CHECKING:
    from vde.lab.places import Home

HEADINGS = ("NODE", "KIND", "STATE", "PID", "UP", "PLUGGED INTO", "")


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "ps",
        aliases=["inspect"],
        help="show the running labs and their nodes",
        description="Show the nodes of a lab, or of all that run. A dead node is shown with its last lines.",
    )
    parser.add_argument("lab", nargs="?", metavar="FILE|LAB", help="by default all that run")
    parser.add_argument("--json", action="store_true", help="machine-readable: a list of labs")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    homes = [find_running(args.lab)] if args.lab is not None else running_homes()
    labs = [lab_status(home) for home in homes]
    if args.json:
        print(json.dumps(labs, indent=2))
        return status.DONE
    if not labs:
        print("no lab is running", file=sys.stderr)
    for index, lab in enumerate(labs):
        if index:
            print()
        _show(lab)
    return status.DONE


def lab_status(home: "Home") -> dict[str, Any]:
    """What its supervisor says; without nodes if that was killed."""
    from vde.lab.client import ANSWER_S, Connection
    from vde.lab.errors import NotRunning
    from vde.lab.messages import Status

    try:
        with Connection(home, ANSWER_S) as connection:
            for event in connection.ask(Status()):
                if event.kind == "status":
                    return event.status
    except NotRunning:
        pass
    return {
        "lab": home.name,
        "file": os.fspath(home.file),
        "state_directory": os.fspath(home.state),
        "runtime_directory": os.fspath(home.runtime),
        "running": False,
        "supervisor_pid": None,
        "seed": None,
        "links": [],
        "nodes": [],
    }


def _show(lab: dict[str, Any]) -> None:
    from vde.lab.diagnostics import visible

    if not lab["running"]:
        print(
            f"lab {lab['lab']} ({lab['file']}): its supervisor was killed, and its nodes with it; 'vde down' cleans up"
        )
        return
    print(f"lab {lab['lab']} ({lab['file']}), seed {lab['seed']}")
    rows = [HEADINGS]
    for node in lab["nodes"]:
        uptime = node["uptime_s"]
        rows.append(
            (
                node["name"],
                node["kind"] + (" (implied)" if node.get("implied") else ""),
                node["state"],
                str(node["pid"] or "-"),
                f"{uptime:.0f} s" if uptime is not None else "-",
                _plugs(node),
                visible(node["text"]),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for node in lab["nodes"]:
        if node["last_lines"]:
            print(f"\nlast lines of {node['name']}:")
            for line in node["last_lines"]:
                print(f"    {visible(line)}")


def _plugs(node: dict[str, Any]) -> str:
    match node["kind"]:
        case "qemu" | "uml" | "malta" | "pc" | "mac" | "umps3" | "bochs" | "pearpc" | "view":
            plugged = [nic for nic in node["interfaces"] if nic["segment"]]
            return ", ".join(f"{nic['name']} → {nic['segment']}:{nic['port']}" for nic in plugged) or "-"
        case "cable":
            return " ↔ ".join(f"{end['segment']}:{end['port']}" for end in node["ends"])
        case "wire":
            return " ↔ ".join(node["ends_of_link"])
        case "plug" | "nat" | "host-nic":
            return f"{node['vnl']} → {node['segment']}:{node['port']}"
        case "capture":
            return f"{', '.join(node['interfaces'])} → {node['path']}"
        case "bridge":
            return f"{node['bridge']} → {node['segment']}"
        case "tap":
            return f"{node['interface']} → {node['segment']}"
        case _:
            return "-"
