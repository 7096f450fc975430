"""Runs a lab's checks. Each has a time within which it must have held once; it is tried until then."""

import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address

import trio

from vde import clock
from vde.lab.errors import LabFailed
from vde.lab.messages import Event
from vde.lab.node import LiveNode, State
from vde.lab.resolved import AnyCheck, ConsoleCheck, PingCheck
from vde.lab.shell import RETURN, Answer, Shell, ShellGone, Watch, type_on
from vde.lab.transcript import text_lines

RECEIVED = re.compile(r"([0-9]+) (?:packets )?received")  # busybox; iputils
BETWEEN_TRIES_S = 1.0  # chosen; a ping that finds no route fails at once
CONTEXT_LINES = 8  # chosen: what is shown of a console


def pick_checks(checks: Mapping[str, AnyCheck], names: Iterable[str]) -> list[AnyCheck]:
    """Those that are named; all if none is.

    Raises:
        LabFailed: there is no check of that name.
    """
    wanted = list(names) or list(checks)
    for name in wanted:
        if name not in checks:
            raise LabFailed(f"there is no check '{name}' (there are: {', '.join(checks) or 'none'})")
    return [checks[name] for name in wanted]


async def run_checks(checks: Iterable[AnyCheck], nodes: Mapping[str, LiveNode], tell: Callable[[Event], None]) -> bool:
    """Run checks at the same time, those of one guest one after the other; whether all held."""
    results: list[Event] = []
    async with trio.open_nursery() as nursery:
        for serial, check in enumerate(checks):
            nursery.start_soon(_run, check, nodes[check.node], serial, tell, results)
    return all(result.passed for result in results)


async def _run(
    check: AnyCheck, live: LiveNode, serial: int, tell: Callable[[Event], None], results: list[Event]
) -> None:
    attempt = _Attempt(check)
    passed = False
    started_ns = clock.monotonic_ns()
    if live.state is not State.READY or live.console is None:
        attempt.text = f"node '{live.name}' is {live.state}"
    else:
        async with live.console.typing:
            # A number that nobody has used on this line: time does not repeat, and serials tell apart those of one run.
            shell = Shell(live.console, started_ns + serial)
            with trio.move_on_after(check.within_ns / 1e9):
                try:
                    passed = await attempt.until_it_holds(live, shell)
                except ShellGone:
                    attempt.text = f"node '{live.name}' ended"
    took = f"{(clock.monotonic_ns() - started_ns) / 1e9:.1f} s"
    if passed:
        text = f"{attempt.text} ({took})"
    else:
        text = f"{attempt.text or 'its console did not answer'} (gave up after {took})"
    result = Event(kind="check", node=check.node, name=check.name, passed=passed, text=text, lines=attempt.lines)
    results.append(result)
    tell(result)


class _Attempt:
    """A check while it is tried; `text` and `lines` tell about the last try."""

    def __init__(self, check: AnyCheck) -> None:
        self.check = check
        self.text = ""
        self.lines: list[str] = []

    async def until_it_holds(self, live: LiveNode, shell: Shell) -> bool:
        match self.check:
            case PingCheck():
                # The guest tells nobody when a ping would succeed: it has to be asked again and again.
                while not self._judge(self.check, await shell.run(ping_command(self.check))):  # noqa: ASYNC110
                    await trio.sleep(BETWEEN_TRIES_S)
            case ConsoleCheck():
                await self._expect(self.check, live)
        return True

    def _judge(self, check: PingCheck, answer: Answer) -> bool:
        self.lines = answer.lines
        found = RECEIVED.search("\n".join(answer.lines))
        received = int(found[1]) if found else 0
        self.text = f"{received} of {check.count} answered by {check.target}"
        return answer.status == 0 and received == check.count

    async def _expect(self, check: ConsoleCheck, live: LiveNode) -> None:
        assert live.console is not None
        self.text = f"no {check.expect!r} on the console"
        with live.console.viewer() as seen:
            if check.send:
                await type_on(live.console, check.send.replace("\n", RETURN).encode())
            watch = Watch(seen)
            try:
                before, found = await watch.find(re.compile(re.escape(check.expect.encode())))
            except trio.Cancelled:
                self.lines = text_lines(watch.pending)[-CONTEXT_LINES:]
                raise
            self.lines = text_lines(before + found[0])[-CONTEXT_LINES:]
            self.text = f"{check.expect!r} came"


def ping_command(check: PingCheck) -> str:
    """For busybox and iputils alike; a second of patience for each answer."""
    version = ip_address(check.address).version
    return f"ping -{version} -c {check.count} -W 1 {check.address}"
