"""The same long dialogue with Debian's vde_switch and with ours: equal answers, but for the listed differences."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.console_dialogue import DIALOGUE, DIFFERENCES, PLUGIN_DIALOGUE, SUCCESS
from tests.interop.original import OriginalSwitch
from tests.switch_process import PATIENCE_S, Console, SwitchProcess
from tests.tools import NeedTool
from tests.vde_client import VdeClient, frame, tagged

pytestmark = pytest.mark.interop
MAC = "00:ff:00:00:00:01"
ORIGINAL_BANNER = "VDE switch V.2.3.2"
OWN_COMMANDS = (
    "hash/setmax",
    "port/drops",
    "port/setmaxmac",
    "port/setstorm",
    "port/defqlen",
    "port/epqlen",
    "port/mirror",
    "port/delmirror",
    "port/showmirror",
    "vlan/transparent",
    "plug ",
    "plug/",
    "why",
    "json",
    "pdump/status",
)


@dataclass
class Side:
    """One of the two switches, with a terminal and clients.

    Attributes:
        probe: another terminal, kept open: the original now and then misses that a client has gone if a terminal goes
            at the same time.
    """

    ours: bool
    directory: Path
    management: Path
    terminal: Console
    probe: Console
    clients: dict[str, VdeClient]
    stack: ExitStack

    def plug(self, name: str, port: int = 0) -> None:
        """A client that describes itself so."""
        self.clients[name] = self.stack.enter_context(VdeClient(self.directory, port, name))

    def ask(self, command: str, files: Path) -> list[str]:
        """The answer's lines, as they are, without what differs between any two runs."""
        for name in re.findall(r"{(\w+)}", command):
            command = command.replace(f"{{{name}}}", str(files) if name == "files" else str(self.endpoint(name)))
        self.terminal.socket.sendall(command.encode() + b"\n")
        return [self.usual(line, files) for line in self.read_answer().split("\n")]

    def read_answer(self) -> str:
        octets = b""
        while not octets.endswith(Console.PROMPT):
            more = self.terminal.socket.recv(65536)
            assert more, f"the console was closed after {octets!r}"
            octets += more
        return octets.removesuffix(Console.PROMPT).decode(errors="surrogateescape").removesuffix("\n")

    def endpoint(self, name: str) -> int:
        for line in self.probe.command("port/allprint"):
            if line.endswith(f": {name}"):
                return int(line.split()[3])
        raise AssertionError(f"{name} is not plugged in")

    def wait_received(self, port: int, frames: int) -> None:
        """Until a port has taken so many frames in."""
        self.wait_for(f"port/print {port}", lambda lines: int(lines[2].split()[2]) >= frames)

    def wait_for(self, command: str, answered: Callable[[list[str]], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not answered(lines := self.probe.command(command)):
            assert time.monotonic() < deadline, lines

    def usual(self, line: str, files: Path) -> str:
        """Without what differs between any two runs."""
        line = (
            line.replace(str(self.directory), "DIR")
            .replace(str(self.management), "MGMT")
            .replace(str(files), "{files}")
        )
        line = line.replace("Numports=33", "Numports=32")  # see `opened`
        line = re.sub(r"pid \d+ MAC (\S+) uptime \d+", r"pid P MAC \1 uptime U", line)
        line = re.sub(r"endpoint ID \d{4}", "endpoint ID NNNN", line)
        line = re.sub(r"FD [ \d]\d", "FD NN", line)
        return re.sub(r"age \d+", "age N", line)


Pair = tuple[Side, Side]


@contextmanager
def opened(home: Path, program: str, *options: str) -> Iterator[Pair]:
    """(the original, ours). The original's -n counts port 0: with one more, both have ports up to 32."""
    with ExitStack() as stack:
        sides = []
        for ours in (False, True):
            place = home / ("ours" if ours else "original")
            place.mkdir()
            switch: OriginalSwitch | SwitchProcess
            if ours:
                switch = stack.enter_context(SwitchProcess(place, "--macaddr", MAC, *options))
            else:
                switch = stack.enter_context(OriginalSwitch(program, place, "--macaddr", MAC, "-n", "33", *options))
            terminal, probe = (stack.enter_context(Console(switch.management)) for _ in range(2))
            sides.append(Side(ours, switch.directory, switch.management, terminal, probe, {}, stack))
        yield sides[0], sides[1]


@pytest.fixture
def pair(short_path: Path, need_tool: NeedTool) -> Iterator[Pair]:
    with opened(short_path, need_tool("vde_switch")) as both:
        yield both


def ours_only(line: str) -> bool:
    """A row of a help table that the original does not have, or a corrected one."""
    return line.startswith(OWN_COMMANDS)


def alike(lines: list[str]) -> list[str]:
    """Without the second line of the banner, which says who we are; with the original's help texts."""
    if ORIGINAL_BANNER in lines:
        del lines[lines.index(ORIGINAL_BANNER) + 1]
    kept = [line for line in lines if not ours_only(line)]
    return [
        line.replace("delete port from the vlan N (tagged)", "add port to the vlan N (tagged)").replace(
            "pcapng", "pcap"
        )
        for line in kept
    ]


def framed(lines: tuple[str, ...], original: list[str]) -> list[str]:
    if original[0].startswith("0000 "):
        return ["0000 DATA END WITH '.'", *lines[:-1], ".", lines[-1]]
    return list(lines)


@pytest.mark.parametrize("dialogue", [DIALOGUE, PLUGIN_DIALOGUE], ids=["commands", "plugins"])
def test_the_same_dialogue_has_the_same_answers(pair: Pair, dialogue: str, tmp_path: Path) -> None:
    original, ours = pair
    for name in ("one", "two"):
        original.plug(name)
        ours.plug(name)
    (tmp_path / "script").write_text(
        "# a comment\nport/showinfo extra\n  vlan/create 20\nlogout\ndebug/add fstp/+\ndebug/list fstp\ndebug/del\n"
        f"bogus\nload {tmp_path}/inner\nload /nonexistent\nlast"
    )
    (tmp_path / "inner").write_text("vlan/create 31\nvlan/remove 31\n")
    (tmp_path / "blank").write_text("\nvlan/create 23\n")
    assert not DIFFERENCES.keys() - set((DIALOGUE + PLUGIN_DIALOGUE).split("\n"))
    problems = []
    for command in dialogue.strip("\n").replace("\\r", "\r").split("\n"):
        theirs, mine = original.ask(command, tmp_path), ours.ask(command, tmp_path)
        difference = DIFFERENCES.get(command)
        if difference is not None:
            expected = framed(difference.ours, theirs)
            if theirs == mine:
                problems.append(f"{command!r}: listed as different, but equal: {mine}")
        else:
            expected = alike(theirs)
        if alike(mine) != expected:
            problems.append(f"{command!r}:\n  expected {expected}\n  ours     {alike(mine)}")
    assert not problems, "\n".join(problems)


def test_the_whole_help_table(pair: Pair, tmp_path: Path) -> None:
    original, ours = pair
    for command in ("help", "help port", "help vlan/"):
        assert alike(ours.ask(command, tmp_path)) == original.ask(command, tmp_path)


def test_frames_show_in_the_same_way(pair: Pair, tmp_path: Path) -> None:
    for side in pair:
        for name, port in (("one", 1), ("two", 2), ("three", 3)):
            side.plug(name, port)
        for command in ("vlan/create 10", "vlan/addport 10 1", "vlan/addport 10 2"):
            assert side.ask(command, tmp_path) == [SUCCESS]
        for octets in (frame(1), frame(2), frame(3), tagged(frame(1), 10), frame(4)[:20], tagged(frame(5), 11)):
            side.clients["one"].send(octets)
        side.clients["two"].send(frame(7, 1))
        side.wait_received(1, 6)
        side.wait_received(2, 1)
    original, ours = pair
    for command in ("port/print", "hash/print", "vlan/print", "hash/showinfo"):
        assert ours.ask(command, tmp_path) == original.ask(command, tmp_path)
    for command in (
        "hash/setsize 64",
        "hash/print",
        "port/resetcounter 1",
        "port/print 1",
        "port/resetcounter",
        "port/print",
    ):
        assert ours.ask(command, tmp_path) == original.ask(command, tmp_path)


def test_hash_find_prints_the_port_and_the_original_the_next_one(pair: Pair, tmp_path: Path) -> None:
    answers = []
    for side in pair:
        side.plug("one", 5)
        side.clients["one"].send(frame(1))
        side.wait_received(5, 1)
        answers.append(side.ask("hash/find 02:00:00:00:00:01", tmp_path)[1])
    assert "to port: 006" in answers[0]
    assert answers[1] == answers[0].replace("006", "005")


class Events:
    """The asynchronous lines of a terminal."""

    def __init__(self, side: Side, files: Path) -> None:
        self._console = side.stack.enter_context(Console(side.management))
        self._side = side
        self._files = files
        self._octets = b""

    def ask_for(self, *paths: str) -> None:
        for path in paths:
            assert self._console.command(f"debug/add {path}") == [SUCCESS]

    def read(self) -> str:
        """The next one."""
        while True:
            while b"\n" not in self._octets:
                more = self._console.socket.recv(65536)
                assert more, "the console was closed"
                self._octets += more
            line, self._octets = self._octets.split(b"\n", 1)
            if line.startswith(b"3"):
                return self._side.usual(line.decode(), self._files)


def _plug(name: str, port: int = 0) -> Callable[[Side], object]:
    return lambda side: side.plug(name, port)


def _say(command: str) -> Callable[[Side], object]:
    return lambda side: side.terminal.command(command)


def _send(name: str, count: int) -> Callable[[Side], object]:
    def step(side: Side) -> None:
        side.clients[name].send(frame(1))
        side.wait_received(1, count)

    return step


def _pull(name: str) -> Callable[[Side], object]:
    return lambda side: side.clients[name].close()


def _wait_inactive(side: Side) -> None:
    side.wait_for("port/print 1", lambda lines: lines[-1].startswith("1006"))


EVENT_STEPS: tuple[Callable[[Side], object], ...] = (
    _plug("one"),
    _plug("one more", 1),
    _plug("named", 7),
    _send("one", 1),
    _say("vlan/create 300"),
    _say("port/setvlan 1 300"),
    _send("one", 2),
    _say("fstp/setedge 300 1 1"),
    _say("hash/setsize 64"),
    _pull("one"),
    lambda side: side.terminal.command(f"port/epclose 1 {side.endpoint('one more')}"),
    _wait_inactive,
    _plug("again", 1),
    _pull("again"),
    _wait_inactive,
    _say("port/remove 1"),
    _say("port/createauto"),
    _say("fstp/setfstp 1"),
    _say("fstp/setfstp 0"),
    _say("vlan/create 4000"),
)
LAST_EVENT = "3045 fstp/root Port 0000 VLAN 0f:a0 -> 80:00:00:ff:00:00:00:01"


def test_events_are_the_same(pair: Pair, tmp_path: Path) -> None:
    heard: list[list[str]] = []
    for side in pair:
        events = Events(side, tmp_path)
        events.ask_for("")
        for step in EVENT_STEPS:
            step(side)
        lines: list[str] = []
        while LAST_EVENT not in lines or (heard and len(lines) < len(heard[0])):
            lines.append(events.read())
        heard.append(lines)
    original, ours = heard
    assert len(original) > 20
    assert sorted(ours) == sorted(original)
    # Our forwarder tells of its table a moment later than the command that changed it.
    assert [line for line in ours if "hash" not in line] == [line for line in original if "hash" not in line]


@pytest.mark.parametrize(("plugin", "count"), [("dump", 10), ("iplog", 3)])
def test_plugins_tell_the_same_of_frames(pair: Pair, plugin: str, count: int, tmp_path: Path) -> None:
    ip4 = frame(1, payload=bytes([0x45]) + bytes(11) + bytes([10, 1, 2, 3]) + bytes(4), ethertype=0x0800)
    ip6 = bytes([0x60]) + bytes(7) + bytes.fromhex("fd00000000000000000000000a010203") + bytes(16)
    arp = frame(2, payload=bytes(28), ethertype=0x0806)
    heard = []
    for side in pair:
        side.plug("one", 1)
        side.plug("two", 2)
        setup = ["dump/active 1"] if plugin == "dump" else ["iplog/ipadd 0.0.0.0/0", "iplog/ipadd ::/0"]
        for command in (f"plugin/add {plugin}", *setup):
            assert side.ask(command, tmp_path) == [SUCCESS]
        events = Events(side, tmp_path)
        events.ask_for(plugin)
        for octets in (ip4, ip4, frame(1, payload=ip6, ethertype=0x86DD), arp):
            side.clients["one"].send(octets)
        side.wait_received(1, 4)
        side.clients["two"].send(ip4)
        heard.append([events.read() for _ in range(count)])
        if plugin == "iplog":
            heard[-1] += side.ask("iplog/ipsearch 10.1.2.3", tmp_path)
    assert heard[1] == heard[0]


def test_hostile_segments_leave_both_alive(pair: Pair, tmp_path: Path) -> None:
    segments = [b"\0" * 100, b"\xff" * 127, b"x" * 5000, b"help\r\n", b"\n" * 50, b"port/print \xff\n"]
    for side in pair:
        for segment in segments:
            with socket.socket(socket.AF_UNIX) as terminal:
                terminal.connect(str(side.management))
                terminal.sendall(segment)
        assert side.ask("vlan/create 5", tmp_path) == [SUCCESS]
