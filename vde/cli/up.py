"""`vde up`: make the lab what its file says. Start it, or apply what changed."""

import argparse
import os
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vde.cli import status
from vde.cli.labs import find_file
from vde.errors import ConfigError

if TYPE_CHECKING:
    from vde.lab.client import Connection
    from vde.lab.messages import Event, ImageFiles
    from vde.lab.places import Home
    from vde.lab.resolved import Lab

USUAL_TIMEOUT = "180s"


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "up",
        aliases=["deploy", "apply"],
        help="start a lab, or apply what changed in its file",
        description="Start the lab of a topology file; if it runs already, apply only what changed. Images that are "
        "missing are fetched. When all nodes are ready, the file's checks are run. The lab goes on running in the "
        "background until 'vde down'; Ctrl-C during the start takes it back.",
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="by default the only *.vlab.yml here")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    parser.add_argument("--recreate", action="store_true", help="restart also what did not change")
    parser.add_argument("--no-checks", action="store_true", help="do not run the file's checks")
    parser.add_argument("--timeout", default=USUAL_TIMEOUT, metavar="TIME", help="to get ready (default %(default)s)")
    staying = parser.add_mutually_exclusive_group()
    staying.add_argument("--foreground", action="store_true", help="stay; Ctrl-C takes the lab down")
    staying.add_argument("--until-checked", action="store_true", help="take the lab down when its checks have run")


def run(args: argparse.Namespace) -> int:
    """Do it.

    Raises:
        ConfigError: the file, or an option.
        VdeError: it could not be done.
    """
    from vde.lab.client import connect, wait_until_gone
    from vde.lab.errors import LabFailed
    from vde.lab.messages import Up
    from vde.lab.places import home_of
    from vde.lab.programs import program_versions, require_programs
    from vde.lab.read import load

    timeout_ns = _timeout_ns(args.timeout)
    file = find_file(args.file)
    lab = load(file)
    home = home_of(lab.name, file, os.environ, os.geteuid())
    if args.until_checked and (args.no_checks or not lab.checks):
        raise ConfigError("--until-checked: there is nothing to check")
    if args.dry_run:
        return _dry_run(home, lab, recreate=args.recreate)
    require_programs(lab.nodes.values())
    images = _pull(lab)
    hold = args.foreground or args.until_checked
    request = Up(
        lab=lab,
        images=images,
        recreate=args.recreate,
        check=not args.no_checks,
        hold=hold,
        timeout_ns=timeout_ns,
        versions={"vde-fabric": version("vde-fabric"), **program_versions(lab.nodes.values())},
    )
    with connect(home) as connection:
        report = Report(lab.name)
        interrupted = _follow(connection, connection.ask(request), report, leave_at_end=args.until_checked)
    if report.outcome is None and not interrupted:
        raise LabFailed(f"the supervisor of lab '{lab.name}' has ended; see {home.state / 'supervisor.log'}")
    if report.is_down:
        wait_until_gone(home)
    report.conclude(lab, file, interrupted=interrupted)
    return report.status(interrupted=interrupted)


def _timeout_ns(text: str) -> int:
    from pydantic_core import PydanticCustomError

    from vde.lab.units import parse_duration_ns

    try:
        return parse_duration_ns(text)
    except PydanticCustomError as error:
        raise ConfigError(f"--timeout {text}: {error.message()}") from None


def _pull(lab: "Lab") -> dict[str, "ImageFiles"]:
    from vde.cli.image import Display
    from vde.lab.boot_files import check_command_lines, image_names, pull_images

    display = Display()
    try:
        images = pull_images(image_names(lab), lambda name: display.show)
    finally:
        display.clear()
    check_command_lines(lab)
    return images


def _dry_run(home: "Home", lab: "Lab", *, recreate: bool) -> int:
    from vde.lab.boot_files import cached_images, image_names
    from vde.lab.client import ANSWER_S, Connection
    from vde.lab.errors import NotRunning
    from vde.lab.messages import Plan
    from vde.lab.plan import make_plan
    from vde.lab.ports import allot

    names = image_names(lab)
    images = cached_images(names)
    for name in names:
        if name not in images:
            print(f"image {name}: would be fetched")
    try:
        with Connection(home, ANSWER_S) as connection:
            request = Plan(lab=lab, images=images, recreate=recreate)
            steps = [step for event in connection.ask(request) for step in event.steps]
    except NotRunning:
        steps = [dict(vars(step)) for step in make_plan({}, allot(lab), images)]
    for step in steps:
        print(f"{step['action']:<8} {step['node']}  ({step['reason']})")
    return status.DONE


def _follow(connection: "Connection", events: Any, report: "Report", *, leave_at_end: bool) -> bool:
    """Show events until the connection ends; whether it was interrupted before the lab was up."""
    interrupted = False
    while True:
        try:
            for event in events:
                was_open = report.outcome is None
                report.show(event)
                if was_open and report.outcome is not None and leave_at_end:
                    connection.no_more_to_say()
            return interrupted
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = report.outcome is None
            print("\ninterrupted: taking it back" if interrupted else "\ntaking the lab down", file=sys.stderr)
            connection.no_more_to_say()
            events = connection.events()


class Report:
    """Turns events into lines, and the last of them into an exit status."""

    def __init__(self, lab: str) -> None:
        self.lab = lab
        self.outcome: str | None = None
        self.is_down = False
        self.changes = 0

    def show(self, event: "Event") -> None:
        """One event."""
        from vde.lab.diagnostics import visible

        match event.kind:
            case "plan":
                self.changes = sum(step["action"] != "keep" for step in event.steps)
                for step in event.steps:
                    if step["action"] in ("stop", "restart"):
                        print(f"  {step['node']:<16} {step['action']}: {step['reason']}", flush=True)
            case "node" if event.state not in ("stopping",):
                print(f"  {event.node:<16} {event.state:<9} {visible(event.text)}".rstrip(), flush=True)
            case "check":
                show_check(event)
            case "end" if event.outcome == "down":
                self.is_down = True
            case "end":
                self.outcome = event.outcome
                if event.outcome == "failed":
                    print(f"vde up: {event.text}", file=sys.stderr, flush=True)

    def conclude(self, lab: "Lab", file: Path, *, interrupted: bool) -> None:
        """The last lines: what it has come to, and what to try next."""
        from vde.lab.resolved import Guest, Umps3, View

        vde = own_name()
        guest = next((node.name for node in lab.nodes.values() if isinstance(node, Guest | Umps3 | View)), None)
        console = [f"{vde} console {guest}    (Ctrl-] detaches)"] if guest else []
        if self.is_down:
            print(f"{self.lab}: down, nothing is left running")
            if self.outcome == "done":
                _suggest([f"{vde} up {file}", *console, f"{vde} down"])
        elif interrupted:
            print(f"{self.lab}: the lab that ran before goes on, changed in part; '{vde} up' again completes it")
        elif self.outcome == "done":
            print(f"{self.lab}: {'up' if self.changes else 'up to date'}")
            _suggest([*console, f"{vde} ps", f"{vde} down"])
        else:
            print(f"{self.lab}: not all is well; see '{vde} ps', '{vde} logs', and '{vde} down'", file=sys.stderr)

    def status(self, *, interrupted: bool) -> int:
        """The exit status."""
        if interrupted:
            return status.INTERRUPTED
        return {"done": status.DONE, "check_failed": status.CHECK_FAILED}.get(self.outcome or "", status.FAILED)


def own_name() -> str:
    """What to type to run this program again: `vde` if that is on $PATH, else its path from here."""
    program = Path(sys.argv[0])
    found = shutil.which("vde")
    if found is not None and program.exists() and os.path.samefile(found, program):
        return "vde"
    return os.path.relpath(program) if program.name == "vde" else "vde"


def _suggest(commands: list[str]) -> None:
    print("\n".join(["try:", *(f"  {command}" for command in commands)]))


def show_check(event: "Event") -> None:
    """A check's result, with what the guest showed."""
    from vde.lab.diagnostics import visible

    print(f"check {event.name}: {'ok' if event.passed else 'FAILED'}: {visible(event.text)}")
    for line in event.lines:
        print(f"    {event.node}: {visible(line)}")
    sys.stdout.flush()
