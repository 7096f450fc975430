"""Our spanning tree against Debian's: same frames and events for the same BPDUs, and one blocked cable in a ring."""

import contextlib
import os
import random
import re
import signal
import socket
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from switch.bpdu import ROLE_DESIGNATED, ROLE_ROOT, Bpdu, Flags, parse
from switch.fstp import (
    Event,
    Fstp,
    FstpView,
    PortActive,
    PortInactive,
    Role,
    RootChanged,
    StateChanged,
    TopologyChanged,
)
from tests.interop.original import OriginalSwitch
from tests.interop.test_vde_tools import running
from tests.switch_process import PATIENCE_S, Console, SwitchProcess
from tests.tools import NeedTool
from tests.vde_client import VdeClient

pytestmark = pytest.mark.interop

MAC = bytes.fromhex("00ff11223344")
OWN = b"\x80\x00" + MAC
NOW = 1_000_000_000_000
PORTS = (1, 2, 3, 4)
VLANS = (0, 5)
BETTER = [bytes.fromhex(f"{priority:04x}00ff000000{mac:02x}") for priority in (0x1000, 0x8000) for mac in (1, 2)]
WORSE = [bytes.fromhex("800000ffee000000"), bytes.fromhex("900000ff00000001")]
PORT_COST = 20_000_000
COSTS = [0, 20_000_000, 40_000_000]
SCRIPT_S = 3.0
"""A script ends before vde_switch's first hello, 4 s after its start."""


class Pair:
    """A vde_switch and one of our cores that see the same."""

    def __init__(self, theirs: OriginalSwitch, stack: contextlib.ExitStack) -> None:
        self.theirs = theirs
        self.stack = stack
        self.console = stack.enter_context(Console(theirs.management))
        self.events = stack.enter_context(Console(theirs.management))
        self.events.command("debug/add fstp")
        self.clients: dict[int, VdeClient] = {}
        self.ours = Fstp(MAC)
        self.ours.add_vlan(0, NOW)
        self.ours.enable(NOW)
        self.do("vlan/create 5")
        self.ours.add_vlan(5, NOW)
        self.our_events()
        for port in PORTS:
            self.do(f"port/create {port}")
            self.do(f"vlan/addport 5 {port}")
        self.their_events()

    def do(self, command: str) -> None:
        assert self.console.command(command)[-1] == "1000 Success"

    def plug(self, port: int) -> None:
        self.clients[port] = self.stack.enter_context(VdeClient(self.theirs.directory, port))
        for vlan in VLANS:
            self.ours.port_up(vlan, port, tagged=vlan != 0, now_ns=NOW)

    def pull(self, port: int) -> None:
        self.clients.pop(port).close()
        for vlan in VLANS:
            self.ours.port_down(vlan, port, NOW)

    def send(self, port: int, vlan: int, frame: bytes) -> None:
        self.clients[port].send(frame)
        self.ours.receive(port, vlan, frame, NOW)

    def wait_handled(self) -> None:
        """vde_switch handles one thing from each descriptor a round: after two commands, what was there is done."""
        for _ in range(2):
            self.console.command("fstp/showinfo")

    def our_events(self) -> list[Event]:
        told: list[Event] = []
        while (event := self.ours.next_event()) is not None:
            if not isinstance(event, TopologyChanged):
                told.append(event)
        return told

    def their_events(self) -> list[str]:
        return [line for line in b"".join(what_is_there(self.events.socket)).decode().splitlines() if line]

    def compare(self, told_before: dict[tuple[int, int], bool]) -> None:
        """Frames by port, without ages, and events in order."""
        self.wait_handled()
        told = self.our_events()
        assert [shown(event) for event in told] == self.their_events()
        adopted = {event.vlan for event in told if isinstance(event, RootChanged)}
        ours: dict[int, list[str]] = defaultdict(list)
        for port, frame in self.ours.frames_to_send():
            bpdu = parse(frame)
            vlan = bpdu.tci or 0
            if vlan in adopted and bpdu.flags == 0x0A and told_before.get((vlan, port)) is False:
                continue  # we also tell neighbours that are blocked already
            if port in self.clients:
                ours[port].append(described(frame))
        theirs = {
            port: [described(frame) for frame in what_is_there(client.data)] for port, client in self.clients.items()
        }
        assert {port: frames for port, frames in theirs.items() if frames} == ours
        self.ours.handle_timer(NOW)
        self.ours.frames_to_send()  # who is asked after a root was lost: nobody, in vde_switch
        for vlan in VLANS:
            lines = self.console.command(f"fstp/print {vlan}")
            assert [re.sub(r" age \d+", "", line) for line in lines[:-1]] == printed(self.ours.view(vlan, NOW))


def what_is_there(data: socket.socket) -> list[bytes]:
    chunks = []
    data.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while chunk := data.recv(65536):
            chunks.append(chunk)
    data.settimeout(PATIENCE_S)
    return chunks


def described(frame: bytes) -> str:
    bpdu = parse(frame)
    return f"{bpdu.tci} {bpdu.flags:02x} {bpdu.root.hex()} {bpdu.cost} {bpdu.bridge.hex()} {bpdu.port:04x} {len(frame)}"


def shown(event: Event) -> str:
    """As vde_switch's debug events print it."""
    place = f"VLAN {event.vlan >> 8:02x}:{event.vlan & 0xFF:02x}"
    match event:
        case PortActive(_, port):
            return f"3041 fstp/+ Port {port:04d} {place}"
        case PortInactive(_, port):
            return f"3042 fstp/- Port {port:04d} {place}"
        case StateChanged(_, port, _, forwarding):
            return f"3044 fstp/status Port {port:04d} {place} {'learning+forwarding' if forwarding else 'discarding'}"
        case RootChanged(_, port, root):
            return f"3045 fstp/root Port {port:04d} {place} -> {root.hex(':')}"
        case _:
            raise AssertionError(event)


def printed(view: FstpView) -> list[str]:
    """As vde_switch's `fstp/print`, whose roles of tagged ports are always Unknown; ages left out."""
    lines = [
        f"FST DATA VLAN {view.vlan:04d} {'ROOTSWITCH' if view.is_root else ''} ",
        f" ++ root {view.root.hex(':')}",
        f" ++ designated {view.designated.hex(':')}",
        f" ++ rootport {view.root_port:04d} cost {view.cost}"
        f" bonusport {view.bonus_port:04d} bonuscost {view.bonus_cost}",
    ]
    for port in view.ports:
        role = Role.UNKNOWN if port.tagged else port.role
        lines.append(f" -- Port {port.port:04d} tagged={port.tagged:d} portcost={port.cost} role={role.value}")
    return lines


def choose_bpdu(chance: random.Random, view: FstpView, port: int) -> bytes:
    """A BPDU of the neighbour at `port` that we and vde_switch are meant to take in the same way."""
    at_root_port = view.root_port == port
    root = chance.choice(BETTER if at_root_port else [*BETTER, *WORSE, OWN])
    cost = chance.choice(COSTS)
    bridge = bytes.fromhex(f"900000ff0000aa{port:02x}")
    way = (root, cost + PORT_COST - (view.bonus_cost if view.bonus_port == port else 0), bridge)
    ours = (view.root, view.cost, view.designated)
    roles = [ROLE_DESIGNATED, Flags.NOT_ROOT | Flags.BACKUP]
    if way > ours and not at_root_port:
        roles.append(ROLE_ROOT)
    elif way == ours:
        roles.pop()
    flags = chance.choice(roles) | chance.choice([0, Flags.TOPOLOGY_CHANGE]) | chance.choice([0, Flags.AGREEMENT])
    flags |= chance.choice([0, Flags.LEARNING, Flags.LEARNING | Flags.FORWARDING])
    tci = None if view.vlan == 0 else view.vlan
    return Bpdu(bridge[2:], Flags(flags), root, cost, bridge, 0x8001, tci=tci).emit()


@pytest.mark.parametrize("seed", range(8))
def test_same_bpdus_give_the_same_frames_events_and_print(
    seed: int, short_path: Path, need_tool: NeedTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random dialogues, but for those where we mean to differ (`switch/fstp.py`)."""
    monkeypatch.setattr("switch.fstp_tree.SEND_MOST", 1 << 30)
    monkeypatch.setattr("switch.fstp_tree.CHANGES_MOST", 1 << 30)
    monkeypatch.setattr("switch.fstp.HOLD_NS", 0)
    chance = random.Random(seed)
    steps = 0
    with contextlib.ExitStack() as stack:
        end = time.monotonic() + SCRIPT_S
        options = ("-F", "--macaddr", MAC.hex(":"))
        pair = Pair(stack.enter_context(OriginalSwitch(need_tool("vde_switch"), short_path, *options)), stack)
        pair.plug(1)
        pair.compare({})
        while time.monotonic() < end and steps < 100:
            open_before = {(vlan, port): pair.ours.port_state(vlan, port)[1] for vlan in VLANS for port in PORTS}
            port = chance.choice(PORTS)
            if port not in pair.clients:
                pair.plug(port)
            elif chance.random() < 0.1 and open_before[0, port] and open_before[5, port]:  # vde_switch keeps it blocked
                pair.pull(port)
            elif chance.random() < 0.1:
                vlan, bonus = chance.choice(VLANS), chance.choice([0, 1, 5_000_000])
                pair.do(f"fstp/bonus {vlan} {port} {bonus}")
                pair.ours.set_bonus(vlan, port, bonus, NOW)
            else:
                view = pair.ours.view(chance.choice(VLANS), NOW)
                pair.send(port, view.vlan, choose_bpdu(chance, view, port))
            pair.compare(open_before)
            steps += 1
    assert steps > 20, "this machine is too slow for a dialogue between two hellos"


HEALED_S = 20.0


class Ring:
    """Two of ours and two of Debian's in turn; a switch's port 1 leads to the next one, port 2 to the one before."""

    def __init__(
        self, switches: list[SwitchProcess | OriginalSwitch], plug: str, dpipe: str, stack: contextlib.ExitStack
    ) -> None:
        self.consoles = [stack.enter_context(Console(switch.management)) for switch in switches]
        self.cables = {}
        for i, switch in enumerate(switches):
            j = (i + 1) % len(switches)
            ends = (f"vde://{switch.directory}[port=1]", "=", plug, f"vde://{switches[j].directory}[port=2]")
            self.cables[i] = stack.enter_context(running(dpipe, plug, *ends))

    def forwards(self) -> list[dict[int, bool]]:
        """For each switch: its ports with a cable, and whether they forward."""
        forwards = []
        for console in self.consoles:
            lines = console.command("vlan/print 0")
            states = (re.match(r" -- Port (\d+) tagged=0 active=1 status=(\w+)", line) for line in lines)
            forwards.append({int(state[1]): state[2] == "Forwarding" for state in states if state})
        return forwards

    def plugged(self) -> bool:
        """Are both ends of all four cables in? A cable that comes late is no cable that the tree blocks."""
        return all(ports.keys() >= {1, 2} for ports in self.forwards())

    def open_cables(self) -> list[int]:
        """Those whose both ends forward."""
        forwards = self.forwards()
        return [i for i in self.cables if forwards[i].get(1) and forwards[(i + 1) % len(forwards)].get(2)]

    def roots(self) -> set[str]:
        return {console.command("fstp/print 0")[1] for console in self.consoles}

    def cut(self, cable: int) -> None:
        os.killpg(self.cables.pop(cable).pid, signal.SIGTERM)

    def wait_until(self, condition: Callable[[], bool], what: str) -> float:
        """How long it took, in seconds."""
        start = time.monotonic()
        while not condition():
            waited = time.monotonic() - start
            assert waited < HEALED_S, f"{what}: not after {waited:.0f} s; open: {self.open_cables()}, {self.roots()}"
        return time.monotonic() - start


@pytest.mark.parametrize("root", range(4))
def test_one_cable_of_a_ring_is_blocked_and_opens_when_another_dies(
    root: int, start_switch: Callable[..., SwitchProcess], short_path: Path, need_tool: NeedTool
) -> None:
    """Whoever of the four is the root."""
    with contextlib.ExitStack() as stack:
        switches: list[SwitchProcess | OriginalSwitch] = []
        for i, name in enumerate("abcd"):
            options = ("-F", "--priority", "0x1000" if i == root else f"0x{i + 2}000")
            if i % 2 == 0:
                switches.append(start_switch(*options, name=name))
            else:
                (short_path / name).mkdir()
                switches.append(
                    stack.enter_context(OriginalSwitch(need_tool("vde_switch"), short_path / name, *options))
                )
        ring = Ring(switches, need_tool("vde_plug"), need_tool("dpipe"), stack)

        def settled() -> bool:
            return len(ring.roots()) == 1 and len(ring.open_cables()) == 3

        ring.wait_until(ring.plugged, "all four cables are in")
        ring.wait_until(settled, "one cable is blocked, all agree on the root")
        assert ring.roots().pop().startswith(" ++ root 10:00:")
        [blocked] = set(ring.cables) - set(ring.open_cables())
        assert blocked not in (root, (root - 1) % 4), "the cables at the root stay open"
        ring.cut(root)
        assert ring.wait_until(settled, "the blocked cable is open") < 10
        assert blocked in ring.open_cables()
