"""A running lab: its nodes, how it becomes another one, and what it tells about itself. Lives in the supervisor.

Every node has a task that waits for what it needs (its segments ready, its dependencies as far as asked), starts it,
and waits until it is ready. So there is no list of phases: what does not depend on each other starts at the same time.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import trio

from vde import clock
from vde.errors import ConfigError
from vde.lab import bochs, pearpc, run_record, tap
from vde.lab.commands import (
    READY_LINE,
    GuestFiles,
    board_command,
    capture_command,
    parameters,
    plug_command,
    qemu_command,
    segment_vnl,
    switch_command,
    umps3_command,
    view_command,
    wire_command,
)
from vde.lab.diagnostics import did_you_mean, listed
from vde.lab.errors import LabFailed
from vde.lab.links import capture_points, names, select
from vde.lab.messages import Event, ImageFiles, Listening, Up
from vde.lab.node import Launch, LiveNode, LiveTap, State
from vde.lab.places import Home
from vde.lab.plan import Running, Step, fingerprint, make_plan
from vde.lab.ports import allot
from vde.lab.programs import find_program, program_of, require_programs
from vde.lab.resolved import (
    AnyNode,
    Bochs,
    Cable,
    Capture,
    CapturePoint,
    Guest,
    Lab,
    Pearpc,
    Plug,
    Segment,
    Station,
    Tap,
    Umps3,
    View,
    Wire,
    attachments,
    needed,
    plugs,
)
from vde.lab.transcript import Transcript

OWN = (sys.executable, "-m", "vde.cli.main")  # `vde`


class LiveLab:
    """What runs.

    Args:
        home: its directories.
        nursery: where its nodes live.
        tell: gets an event for everything that happens.
        wrote: gets what nodes write, by name.
    """

    def __init__(
        self,
        home: Home,
        nursery: trio.Nursery,
        tell: Callable[[Event], None],
        wrote: Callable[[str, bytes], None],
    ) -> None:
        self.home = home
        self.lab: Lab | None = None
        self.images: dict[str, ImageFiles] = {}
        self.nodes: dict[str, LiveNode] = {}
        self.changing = trio.Lock()
        self._nursery = nursery
        self._tell = tell
        self._wrote = wrote
        self._is_admin = False

    def plan(self, lab: Lab, images: dict[str, ImageFiles], *, recreate: bool) -> tuple[Lab, list[Step]]:
        """The lab with its ports, and what there is to do."""
        wanted = allot(lab, self.lab)
        running = {name: Running(node.fingerprint, node.is_alive) for name, node in self.nodes.items()}
        return wanted, make_plan(running, wanted, images, recreate=recreate)

    async def apply(self, up: Up) -> None:
        """Become what is asked for; all nodes are ready when this returns.

        Raises:
            LabFailed: not all became ready, and why; those that did go on. Or nothing was done, because a program or
                a privilege is missing.

        Cancellation:
            Nodes that were not started yet stay so, the others run on.
        """
        wanted, steps = self.plan(up.lab, up.images, recreate=up.recreate)
        require_programs(wanted.nodes.values())
        taps = [node for node in wanted.nodes.values() if isinstance(node, Tap)]
        if taps:
            host = tap.survey([node.interface for node in taps])
            self._is_admin = host.is_admin
            tap.require(taps, host)
        self._tell(Event(kind="plan", steps=[vars(step) for step in steps]))
        await self.stop(step.node for step in steps if step.action in ("stop", "restart"))
        for step in steps:
            if step.action == "stop":
                del self.nodes[step.node]
        self.lab, self.images = wanted, up.images
        self.home.make_state()  # somebody may have cleaned up around us
        run_record.write(self.home, wanted, up.images, up.versions)
        coming = {
            step.node: self._make(wanted.nodes[step.node]) for step in steps if step.action in ("start", "restart")
        }
        self.nodes = {name: coming.get(name) or self.nodes[name] for name in wanted.nodes}
        await self._bring_up(coming, up.timeout_ns)

    async def _bring_up(self, coming: dict[str, LiveNode], timeout_ns: int) -> None:
        with trio.move_on_after(timeout_ns / 1e9) as patience:
            try:
                async with trio.open_nursery() as nursery:
                    for node in coming.values():
                        nursery.start_soon(self._start, node)
            finally:
                for node in coming.values():
                    if node.state is State.WAITING:
                        node.change(State.DEAD, "it was not started")
        problems = []
        for node in coming.values():
            if node.state is State.STARTING and patience.cancelled_caught:
                problems.append(self._problem(node, f"it is not ready after {timeout_ns / 1e9:g} s"))
            elif node.state is not State.READY:
                problems.append(self._problem(node, node.text))
        if problems:
            raise LabFailed("\n".join(problems))

    @staticmethod
    def _problem(node: LiveNode, text: str) -> str:
        return "\n".join([f"node '{node.name}': {text}", *(f"    {line}" for line in node.last_lines())])

    def _make(self, node: AnyNode) -> LiveNode:
        def wrote(octets: bytes) -> None:
            self._wrote(node.name, octets)

        kind = LiveTap if isinstance(node, Tap) else LiveNode
        return kind(
            node,
            fingerprint(node, self.images),
            Transcript(self.home.log(node.name), listener=wrote),
            Transcript(self.home.console(node.name), listener=wrote),
            lambda live: self._tell(Event(kind="node", node=live.name, state=live.state, text=live.text)),
        )

    async def _start(self, live: LiveNode) -> None:
        """Start it when what it needs is there; until it is ready, or has ended."""
        first = dict.fromkeys(sorted(needed(live.node)), "ready")
        first |= {name: first.get(name, milestone) for name, milestone in live.node.depends_on.items()}
        for name, milestone in first.items():
            other = self.nodes[name]
            await (other.settled if milestone == "ready" else other.started).wait()
            if not other.is_alive:
                live.change(State.DEAD, f"it was not started, because '{name}' is {other.state}")
            if live.state is not State.WAITING:
                return
        if isinstance(live, LiveTap):
            assert isinstance(live.node, Tap)
            segment = self.nodes[live.node.segment]

            async def stay() -> None:
                await live.live(segment, is_admin=self._is_admin)

            self._nursery.start_soon(stay)
        else:
            self._nursery.start_soon(live.run, self._launch(live.node))
        await live.settled.wait()

    def _launch(self, node: AnyNode) -> Launch:
        match node:
            case Segment():
                program = self._program(node)
                command = switch_command(program, node, self.home.segment(node.name), self.home.management(node.name))
                return Launch(lambda console: command, self.home.readiness(node.name))
            case Guest(kind="uml"):
                return self._uml_launch(node)
            case Guest(kind="malta" | "pc" | "mac"):
                return self._board_launch(node)
            case Umps3():
                machine, vnls, directory = node, self._vnls(node), self.home.file.parent
                return Launch(
                    lambda console: umps3_command(OWN, machine, vnls, directory, console),
                    self.home.readiness(node.name),
                    "descriptor",
                    directory=directory,
                )
            case Bochs():
                return self._bochs_launch(node)
            case Pearpc():
                return self._pearpc_launch(node)
            case View():
                command = view_command(OWN, node, self._vnls(node), self.home.file.parent)
                # Shells that one types to ignore SIGTERM.
                return Launch(lambda console: command, None, "terminal", signal.SIGHUP)
            case Guest():
                program, guest = self._program(node), node
                image = self.images[node.image]
                files = GuestFiles(image.kernel, image.initrd, image.cmdline)
                directories = {end.segment: self.home.segment(end.segment) for end in attachments(node)}
                return Launch(
                    lambda console: qemu_command(program, guest, files, directories, console),
                    None,
                    "descriptor",
                )
            case Cable():
                ends = [f"{self.home.segment(end.segment)}[{end.port}]" for end in node.ends]
                command = [*OWN, "cable", *ends]
                return Launch(lambda console: command, self.home.readiness(node.name))
            case Wire():
                one, other = (segment_vnl(self.home.segment(end.segment), end.port) for end in node.ends)
                control, directory = self.home.wire(node.name), self.home.file.parent
                command = wire_command(OWN, node, (one, other), control, directory)
                return Launch(lambda console: command, self.home.readiness(node.name))
            case Plug(attachment=end):
                command = plug_command(OWN, node, segment_vnl(self.home.segment(end.segment), end.port))
                # Files that a VNL names are relative to the topology's directory.
                return Launch(lambda console: command, self.home.readiness(node.name), directory=self.home.file.parent)
            case Capture():
                command = capture_command(OWN, node, self.home.name, self.home.runtime, self.home.file.parent)
                return Launch(lambda console: command, self.home.readiness(node.name))
            case Tap():
                raise AssertionError("a tap is no process")

    def _vnls(self, node: AnyNode) -> dict[str, str]:
        """What a node is plugged into, by slot."""
        return {slot: segment_vnl(self.home.segment(end.segment), end.port) for slot, end in plugs(node).items()}

    def _board_launch(self, node: Guest) -> Launch:
        image = self.images[node.image] if node.image else None
        files = None if image is None else GuestFiles(image.kernel, image.initrd, image.cmdline)
        vnls, directory = self._vnls(node), self.home.file.parent
        screen = self.home.screen(node.name) if node.kind == "pc" else None
        return Launch(
            lambda console: board_command(OWN, node, files, vnls, directory, console, screen),
            self.home.readiness(node.name),
            "descriptor",
            directory=directory,
            # a kernel of the user's may never show the line of our images; one that was saved has shown it
            ready_line=files is not None and node.restore is None,
        )

    def _bochs_launch(self, node: Bochs) -> Launch:
        directory, ends = self.home.runtime / "b" / node.name, plugs(node)
        directory.mkdir(parents=True, exist_ok=True)
        text = bochs.configuration(node, ends, self.home.file.parent)
        (directory / bochs.CONFIGURATION).write_text(text)
        (directory / bochs.COMMANDS).write_text("c\n")
        for index, nic in enumerate(node.nics):
            link = directory / bochs.network(index)
            link.unlink(missing_ok=True)
            if (end := ends.get(nic.interface)) is not None:
                link.symlink_to(self.home.segment(end.segment) / "ctl")
        command = bochs.command(READY_LINE)
        # SIGTERM would bring its debugger's prompt.
        return Launch(lambda console: command, None, "terminal", signal.SIGHUP, directory, {"TERM": "xterm"})

    def _pearpc_launch(self, node: Pearpc) -> Launch:
        directory, ends, files = self.home.runtime / "p" / node.name, plugs(node), self.home.file.parent
        said: pearpc.Settings = {}
        try:
            if node.config is not None:
                path = files / node.config
                said = pearpc.read(path.read_text("utf-8", "replace"), str(path), path.parent)
        except (ConfigError, OSError) as error:
            raise LabFailed(f"node '{node.name}': {error}") from None
        end = next(iter(ends.values()), None)
        if end is not None and not pearpc.TAP_LIBRARY.exists():
            text = f"node '{node.name}' needs {pearpc.TAP_LIBRARY}: apt-get install {pearpc.TAP_PACKAGE}"
            raise LabFailed(text)
        (directory / "scripts").mkdir(parents=True, exist_ok=True)
        for name in pearpc.SCRIPTS:
            (directory / name).write_text(pearpc.NO_SCRIPT)
            (directory / name).chmod(0o755)
        text = pearpc.configuration(node, ends, files, said, headless="DISPLAY" not in os.environ)
        (directory / pearpc.CONFIGURATION).write_text(text)
        words = pearpc.environment(self.home.segment(end.segment) if end else None, end.port if end else None)
        command = pearpc.command(self._program(node), READY_LINE)
        return Launch(
            lambda console: command, None, "terminal", directory=directory, environment={"TERM": "xterm", **words}
        )

    def _uml_launch(self, node: Guest) -> Launch:
        from vde.host import uml

        image = self.images[node.image]
        ends = plugs(node)
        transport = node.transport or "vde"
        cards = []
        for nic in node.nics:
            if (end := ends.get(nic.interface)) is not None:
                where = self.home.segment(end.segment)
                target = segment_vnl(where, end.port) if transport == "vde" else str(where)
                cards.append(uml.Card(transport, target, nic.mac, end.port))
        kernel = image.kernel if node.kernel is None else self.home.file.parent / node.kernel
        initrd = image.initrd if node.initrd is None else self.home.file.parent / node.initrd
        directory = self.home.runtime / "u" / node.name
        directory.mkdir(parents=True, exist_ok=True)
        words = " ".join(filter(None, [image.cmdline, parameters(node), node.cmdline]))
        try:
            uml.check(kernel, cards)
            launch = uml.prepare(
                kernel,
                directory,
                cards,
                initrd=initrd,
                memory_mib=node.memory_octets >> 20,
                parameters=words,
                plug_directory=Path(sys.executable).parent,
            )
        except ConfigError as error:
            raise LabFailed(f"node '{node.name}': {error}") from None
        command = list(launch.arguments)
        return Launch(
            lambda console: command, None, "terminal", directory=launch.directory, environment=launch.environment
        )

    def _program(self, node: AnyNode) -> str:
        found = program_of(node)
        path = find_program(found[0]) if found else None
        if path is None:
            raise LabFailed(f"node '{node.name}': its program has gone")
        return path

    async def stop(self, names: Iterable[str]) -> None:
        """End nodes: first what listens, then what is plugged in, then what it is plugged into."""
        going = [self.nodes[name] for name in names if name in self.nodes]
        for turn in range(3):
            async with trio.open_nursery() as nursery:
                for live in going:
                    if _turn(live.node) == turn:
                        nursery.start_soon(live.stop)

    def guest(self, name: str) -> LiveNode:
        """A guest whose console can be used.

        Raises:
            LabFailed: there is no such node, or it has no console.
        """
        live = self.nodes.get(name)
        if live is None:
            raise LabFailed(f"there is no node '{name}' in lab '{self.home.name}' (it has {', '.join(self.nodes)})")
        if not isinstance(live.node, Guest | Umps3 | Bochs | Pearpc | View):
            raise LabFailed(f"node '{name}' is a {live.node.kind}, which has no console")
        return live

    def listening(self, selected: Iterable[str], node: str) -> list[Listening]:
        """Where the frames of links can be heard.

        Args:
            selected: links and ends (`vde.lab.links`).
            node: or a capture node, whose links are meant.

        Raises:
            LabFailed: there is no such link, or no lab yet.
        """
        if self.lab is None:
            raise LabFailed("nothing was started yet")
        if node:
            found = self.lab.nodes.get(node)
            if not isinstance(found, Capture):
                raise LabFailed(f"there is no capture '{node}'")
            return [self._listening(self.lab, point) for point in found.points]
        known = names(self.lab.links.values())
        for text in selected:
            if not select(self.lab.links.values(), text):
                hint = did_you_mean(text, known) or f"links: {listed(known) or 'none'}"
                raise LabFailed(f"there is no link '{text}' in lab '{self.home.name}'; {hint}")
        return [self._listening(self.lab, point) for point in capture_points(self.lab, selected)]

    def _listening(self, lab: Lab, point: CapturePoint) -> Listening:
        assert point.port is not None, "ports are allotted"
        return Listening(
            name=point.name,
            ways=point.ways,
            sends_in=point.sends_in,
            directory=self.home.segment(point.segment),
            management=self.home.management(point.segment),
            port=point.port,
            numports=lab.segments()[point.segment].numports,
            wire=self.home.wire(point.wire) if point.wire else None,
            wire_end=point.wire_end,
        )

    def status(self) -> dict[str, Any]:
        """What `vde ps --json` shows."""
        now_ns = clock.monotonic_ns()
        return {
            "lab": self.home.name,
            "file": os.fspath(self.home.file),
            "state_directory": os.fspath(self.home.state),
            "runtime_directory": os.fspath(self.home.runtime),
            "running": True,
            "supervisor_pid": os.getpid(),
            "seed": self.lab.seed if self.lab else None,
            "links": [
                {"name": link.name, "ends": [str(end) for end in link.ends], "wires": list(link.wires)}
                for link in (self.lab.links.values() if self.lab else ())
            ],
            "nodes": [self._node_status(live, now_ns) for live in self.nodes.values()],
        }

    def _node_status(self, live: LiveNode, now_ns: int) -> dict[str, Any]:
        node = live.node
        facts: dict[str, Any] = {
            "name": node.name,
            "kind": node.kind,
            "state": str(live.state),
            "text": live.text,
            "pid": live.pid or None,
            "uptime_s": round((now_ns - live.started_ns) / 1e9, 3) if live.is_alive and live.started_ns else None,
            "last_lines": live.last_lines() if live.state is State.DEAD else [],
            "labels": node.labels,
        }
        match node:
            case Segment():
                facts |= {
                    "implied": node.implied,
                    "numports": node.numports,
                    "directory": os.fspath(self.home.segment(node.name)),
                    "management": os.fspath(self.home.management(node.name)),
                }
            case Station():
                if isinstance(node, View):
                    facts |= {"command": list(node.command), "hostname": node.hostname}
                if isinstance(node, Guest):
                    facts |= {"image": node.image, "architecture": node.architecture}
                facts["interfaces"] = [
                    {
                        "name": nic.interface,
                        "mac": nic.mac,
                        "model": nic.model,
                        "segment": nic.attachment.segment if nic.attachment else None,
                        "port": nic.attachment.port if nic.attachment else None,
                        "addresses": [str(address) for address in (nic.ipv4, nic.ipv6) if address is not None],
                    }
                    for nic in node.nics
                ]
            case Tap():
                addresses = [str(address) for address in (node.ipv4, node.ipv6) if address is not None]
                facts |= {"interface": node.interface, "segment": node.segment, "addresses": addresses}
                facts |= {"bridge": node.bridge} if node.bridge is not None else {}
            case Plug(attachment=end):
                facts |= {"vnl": node.vnl, "segment": end.segment, "port": end.port}
            case Wire():
                facts |= {"control": os.fspath(self.home.wire(node.name)), "ends_of_link": list(node.names)}
                facts["ends"] = [{"segment": end.segment, "port": end.port} for end in node.ends]
            case Capture():
                facts |= {"path": os.fspath(self.home.file.parent / node.path), "filter": node.filter}
                facts["interfaces"] = [point.name for point in node.points]
            case Cable():
                facts["ends"] = [{"segment": end.segment, "port": end.port} for end in node.ends]
        return facts


def _turn(node: AnyNode) -> int:
    """When it is stopped."""
    match node:
        case Capture():
            return 0
        case Segment():
            return 2
        case _:
            return 1
