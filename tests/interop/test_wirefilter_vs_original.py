"""The same dialogue with Debian's wirefilter and with ours, and the same frames through both."""

import math
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop.wirefilter_dialogue import DIALOGUE, DIFFERENCES, VALUES
from tests.interop.wirefilters import OURS, PATIENCE_S, PROMPT, WireFilter
from tests.switch_process import SwitchProcess
from tests.tools import NeedTool
from tests.vde_client import VdeClient, frame

pytestmark = pytest.mark.interop
Pair = tuple[WireFilter, WireFilter]


@pytest.fixture
def switches(short_path: Path) -> Iterator[tuple[Path, Path]]:
    with ExitStack() as stack:
        paths = []
        for name in "ab":
            (short_path / name).mkdir()
            paths.append(stack.enter_context(SwitchProcess(short_path / name, management=False)).directory)
        yield paths[0], paths[1]


@pytest.fixture
def pair(short_path: Path, switches: tuple[Path, Path], need_tool: NeedTool) -> Iterator[Pair]:
    """(the original, ours), both between the same two switches."""
    with ExitStack() as stack:
        filters = []
        for name, program in (("o", [need_tool("wirefilter")]), ("m", OURS)):
            (short_path / name).mkdir()
            filters.append(
                stack.enter_context(WireFilter(program, short_path / name, "-v", f"{switches[0]}:{switches[1]}"))
            )
        yield filters[0], filters[1]


def test_banners_have_one_layout(pair: Pair) -> None:
    original, ours = (filter_.console.banner.split("\n") for filter_ in pair)
    assert len(original) == len(ours)
    assert original[:2] == ours[:2] == ["", "VDE wirefilter V.2.3.2"]


def test_the_same_dialogue_has_the_same_answers(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "script").write_text("loss 3\n# comment\n\n  delay 4\nbogus\nshowinfo\nlogout\ndup 1")
    problems = []
    for command in DIALOGUE.strip("\n").replace("\\r", "\r").split("\n"):
        theirs, mine = (filter_.console.ask(command.replace("{files}", str(tmp_path))) for filter_ in pair)
        expected = DIFFERENCES[command][0] if command in DIFFERENCES else theirs
        if command in DIFFERENCES and theirs == mine:
            problems.append(f"{command!r}: listed as different, but equal: {mine}")
        if mine != expected:
            problems.append(f"{command!r}:\n  expected {expected}\n  ours     {mine}")
    assert not problems, "\n".join(problems)


def test_values_are_read_alike(pair: Pair) -> None:
    problems = []
    for value in VALUES:
        answers = []
        for filter_ in pair:
            filter_.console.ask("loss 0+9")
            status = filter_.console.ask(f"loss {value}")
            answers.append((status, next(x for x in filter_.console.ask("showinfo") if x.startswith("Loss"))))
        if answers[0] != answers[1]:
            problems.append(f"{value!r}: {answers}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("farewell", ["logout", "logoutx", "shutdown"])
def test_the_end_is_the_same(pair: Pair, farewell: str) -> None:
    ends = []
    for filter_ in pair:
        filter_.console.socket.sendall(farewell.encode() + b"\n")
        octets = b""
        while more := filter_.console.read():
            octets += more
        if farewell == "shutdown":
            assert filter_.process.wait(PATIENCE_S) == 0
        ends.append(octets)
    assert ends[0] == ends[1]


def test_states_are_told_alike(pair: Pair) -> None:
    heard = []
    for filter_ in pair:
        filter_.console.ask("markov-time 20")
        for command in ("markov-numnodes 2", "markov-name 0,OK", "setedge 0,1,100", "setedge 1,0,100"):
            filter_.console.ask(command)
        filter_.console.socket.sendall(b"markov-debug 1\n")  # from now on events come between answers
        octets = b""
        while octets.count(b"\n38") < 4 or not octets.endswith(b"\n"):
            octets += filter_.console.read()
        lines = [line for line in octets.replace(PROMPT, b"").decode().split("\n") if line.startswith("38")]
        heard.append(sorted(set(lines)))
    assert heard[0] == heard[1] == ['3800 Node 1 "" -> 0 "OK"', '3801 Node 0 "OK" -> 1 ""']


# -- frames ------------------------------------------------------------------------------------------------------------


def through(program: list[str], home: Path, frames: list[bytes], *options: str) -> list[bytes]:
    """What comes out of a one-way filter when it gets these frames; its input ends after a last mark has come."""
    process = subprocess.Popen(
        [*program, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin is not None
    assert process.stdout is not None
    octets = b"".join(len(one).to_bytes(2) + one for one in frames)
    with process:
        feeder = threading.Thread(target=process.stdin.write, args=(octets,))
        feeder.start()
        found: list[bytes] = []
        deadline = time.monotonic() + PATIENCE_S
        pending = b""
        while time.monotonic() < deadline:
            ready, _, _ = select.select([process.stdout], [], [], 1.5 if found else PATIENCE_S)
            if not ready:
                break
            pending += os.read(process.stdout.fileno(), 65536)
            while len(pending) >= 2 and len(pending) >= 2 + int.from_bytes(pending[:2]):
                size = int.from_bytes(pending[:2])
                found.append(pending[2 : 2 + size])
                pending = pending[2 + size :]
        feeder.join()
        process.terminate()
    return found


COUNT = 4000


def numbered(count: int, octets: int = 64) -> list[bytes]:
    return [frame(1, payload=number.to_bytes(4) + bytes(octets - 18)) for number in range(count)]


@pytest.mark.parametrize(
    ("options", "expected", "spread"),
    [
        (("-l", "30"), 0.7, 0.21),
        (("-l", "20", "-L", "5"), 0.8, 0.2 * 0.8 * 9),
        (("-D", "50"), 2.0, 2.0),
        (("-l", "50", "-D", "20"), 0.625, 0.6),
        (("-m", "66"), 1.0, 0.0),
        (("-m", "65"), 0.0, 0.0),
    ],
)
def test_as_many_frames_pass(
    options: tuple[str, ...], expected: float, spread: float, short_path: Path, need_tool: NeedTool
) -> None:
    """Within five standard deviations of what the rules say; `spread`: a frame's variance."""
    for program in ([need_tool("wirefilter")], OURS):
        found = through(program, short_path, [*numbered(COUNT), *numbered(1, 30)], *options)
        mark = [one for one in found if len(one) < 64]
        passed = len(found) - len(mark)
        assert abs(passed - COUNT * expected) <= 5 * math.sqrt(COUNT * spread), (program, passed)


@pytest.mark.parametrize("option", ["-b", "-s"])
def test_rates_delay_alike(option: str, short_path: Path, need_tool: NeedTool) -> None:
    """Five frames of 1000 octets at 20,000 octets a second: after 50, 100, … 250 ms."""
    for program in ([need_tool("wirefilter")], OURS):
        process = subprocess.Popen(
            [*program, option, "20000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        with process:
            process.stderr.readline()
            begin = time.monotonic()
            process.stdin.write(b"".join((998).to_bytes(2) + one for one in numbered(5, 998)))
            process.stdin.flush()
            times = []
            for _ in range(5):
                octets = b""
                while len(octets) < 1000:
                    octets += os.read(process.stdout.fileno(), 1000 - len(octets))
                times.append(time.monotonic() - begin)
            process.terminate()
        # The original reads several frames at once, and keeps the mean speed only.
        assert 0.245 <= times[-1] < 0.75, (program, times)
        if program == OURS or option == "-b":
            assert all(at >= 0.05 * number - 0.005 for number, at in enumerate(times, 1)), (program, times)


def test_ours_ends_when_a_switch_goes(short_path: Path) -> None:
    for name in "abm":
        (short_path / name).mkdir()
    with ExitStack() as stack:
        one, other = (stack.enter_context(SwitchProcess(short_path / name, management=False)) for name in "ab")
        filter_ = stack.enter_context(WireFilter(OURS, short_path / "m", "-v", f"{one.directory}:{other.directory}"))
        near, beyond = (stack.enter_context(VdeClient(switch.directory)) for switch in (one, other))
        begin = time.monotonic()
        while not beyond.pending():  # it says that it starts before it has opened its ends
            assert time.monotonic() < begin + PATIENCE_S
            near.send(frame(1))
        one.stop()
        assert filter_.process.wait(PATIENCE_S) == 0


def test_ours_goes_on_when_nobody_reads_its_blinks(short_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as blinks:
        blinks.bind(os.fspath(short_path / "blink"))
        blinks.settimeout(PATIENCE_S)
        options = ("--blink", os.fspath(short_path / "blink"), "--blinkid", "W1")
        found = through(OURS, short_path, numbered(1000), *options)
        assert found == numbered(1000)
        assert blinks.recv(100) == b"W1 -- 66\n"


def test_ours_does_not_hang_with_noise(short_path: Path) -> None:
    found = through(OURS, short_path, numbered(100, 1500), "-n", "1G")
    assert len(found) == 100
    flipped = sum(
        (a ^ b).bit_count()
        for one, sent in zip(found, numbered(100, 1500), strict=True)
        for a, b in zip(one, sent, strict=True)
    )
    bits = 100 * 1500 * 8
    assert abs(flipped - bits / 2) < 5 * math.sqrt(bits / 4)


def test_in_the_middle_of_a_pipeline(short_path: Path, switches: tuple[Path, Path]) -> None:
    """dpipe vde_plug A = wirefilter = vde_plug B, with ours at all places."""
    plug = [sys.executable, "-m", "vde.cli.programs.vde_plug"]
    dpipe = [sys.executable, "-m", "vde.cli.programs.dpipe"]
    command = [*dpipe, *plug, f"vde://{switches[0]}", "=", *OURS, "-d", "5", "=", *plug, f"vde://{switches[1]}"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with VdeClient(switches[0]) as one, VdeClient(switches[1]) as other:
            for number, (sender, receiver) in enumerate(((one, other), (other, one)), 1):
                receiver.data.settimeout(0.2)
                deadline = time.monotonic() + PATIENCE_S
                while True:
                    sender.send(frame(1, payload=b"through %d" % number))
                    try:
                        found = receiver.receive()
                    except TimeoutError:
                        assert time.monotonic() < deadline
                        continue
                    if b"through %d" % number in found:
                        break
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
