"""dpipe: which descriptor leads where, files, groups, signals and statuses."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vde.cli.programs.dpipe import plan
from vde.errors import ConfigError

PROGRAM = [sys.executable, "-m", "vde.cli.programs.dpipe"]
PATIENCE_S = 20


def dpipe(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        stdin=subprocess.DEVNULL,
    )


def edges(line: str) -> set[str]:
    """`a.1>b.0`: a's descriptor 1 leads to b's descriptor 0."""
    ends: dict[int, dict[int, str]] = {}
    for command in plan(line.split()):
        for fd, (number, end) in command.pipes.items():
            ends.setdefault(number, {})[end] = f"{command.words[0]}.{fd}"
    return {f"{pipe[1]}>{pipe[0]}" for pipe in ends.values()}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a = b", "a.1>b.0 b.1>a.0"),
        ("a x = b y z", "a.1>b.0 b.1>a.0"),
        ("a = b = c", "a.1>b.0 b.1>a.0 b.4>c.0 c.1>b.3"),
        ("a =} b }= c", "a.1>b.0 b.1>c.0 c.1>a.0"),
        ("a ={ b {= c", "a.1>c.0 c.1>b.0 b.1>a.0"),
        ("a =} b }={ c {= d = e", "a.1>b.0 b.1>d.0 d.1>c.0 c.1>a.0 d.4>e.0 e.1>d.3"),
        ("a =} b }=} c }= d", "a.1>b.0 b.1>c.0 c.1>d.0 d.1>a.0"),
        ("a ={ b {={ c {= d", "a.1>d.0 d.1>c.0 c.1>b.0 b.1>a.0"),
        ("a = b =} c }= d", "a.1>b.0 b.1>a.0 b.4>c.0 c.1>d.0 d.1>b.3"),
    ],
)
def test_what_leads_where(line: str, expected: str) -> None:
    assert edges(line) == set(expected.split())


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "two commands"),
        ("a", "two commands"),
        ("a =", "a command is missing"),
        ("= a", "a command is missing"),
        ("a = = b", "a command is missing"),
        ("a =} b = c", "'}=' was expected"),
        ("a = b }= c", "'=', '=}' or '={' was expected"),
        ("a =} b {= c", "'}=' was expected"),
        ("a =} b", "one more were expected"),
    ],
)
def test_what_does_not_fit(line: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        plan(line.split())


@pytest.mark.fuzz
@given(st.lists(st.sampled_from(["a", "b", "=", "=}", "}=", "={", "{=", "}={", "{=}"]), max_size=12))
def test_random_lines_are_refused_or_every_pipe_has_two_ends(words: list[str]) -> None:
    try:
        commands = plan(words)
    except ConfigError:
        return
    ends = [end for command in commands for end in command.pipes.values()]
    assert sorted(ends) == sorted((number, end) for number in range(len(ends) // 2) for end in (0, 1))
    assert all({0, 1} <= command.pipes.keys() for command in commands)


def test_octets_pass_both_ways() -> None:
    done = dpipe("sh", "-c", "echo one; read x; echo got $x >&2", "=", "sh", "-c", "read y; echo re-$y")
    assert (done.returncode, done.stderr) == (0, "got re-one\n")


def test_a_middle_command_has_both_sides() -> None:
    middle = "import os\nread, write = (int(os.environ['ALTERNATE_' + name]) for name in ('STDIN', 'STDOUT'))\n"
    middle += "os.write(write, os.read(0, 9) + b'>')\nos.write(1, os.read(read, 99) + b'<')"
    done = dpipe(
        *("sh", "-c", "printf a; cat >&2"), "=", sys.executable, "-c", middle, "=", *("sh", "-c", "head -c 2 | tr a b")
    )
    assert (done.returncode, done.stderr) == (0, "b><")


def test_only_the_pipes_are_inherited() -> None:
    show = "import os; fds = set(os.listdir('/proc/self/fd')); os.write(2, repr(sorted(fds)[:9]).encode())"
    done = dpipe("true", "=", sys.executable, "-c", show)
    assert done.stderr == "['0', '1', '2', '3']"  # the last is listdir's own


@pytest.mark.parametrize(
    ("left", "right", "status"), [("exit 4", "exit 5", 5), ("exit 1", "exit 0", 0), ("exit 0", "kill -9 $$", 137)]
)
def test_the_status_is_the_last_commands(left: str, right: str, status: int) -> None:
    assert dpipe("sh", "-c", left, "=", "sh", "-c", right).returncode == status


def test_a_command_that_does_not_exist() -> None:
    for line in (["nonexistent-x", "=", "cat"], ["cat", "=", "nonexistent-x"]):
        done = dpipe(*line)
        assert (done.returncode, done.stderr) == (127, "dpipe: nonexistent-x: command not found\n")


def test_help_and_wrong_usage() -> None:
    assert "--pgrpfile" in dpipe("--help").stdout
    assert dpipe().returncode == 1
    done = dpipe("--bogus", "a", "=", "b")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "dpipe: unrecognized option '--bogus'")


@pytest.mark.parametrize("mode", [[], ["-n"]])
def test_files_name_process_and_group_and_go_away(tmp_path: Path, mode: list[str]) -> None:
    show = f"cat {tmp_path}/p {tmp_path}/g >&2; echo $$ $PPID >&2; ps -o pgid= $$ >&2"
    with subprocess.Popen(
        [*PROGRAM, *mode, "-p", str(tmp_path / "p"), "-P", str(tmp_path / "g"), "cat", "=", "sh", "-c", show],
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        pid, group, own, parent, shown = process.stderr.read().split()
    assert int(pid) == process.pid
    assert int(group) == -int(shown)
    assert process.pid == int(own if mode else parent)
    deadline = os.times().elapsed + PATIENCE_S
    while os.listdir(tmp_path) and os.times().elapsed < deadline:
        os.sched_yield()  # with -n another process removes them, a little later
    assert os.listdir(tmp_path) == []


def test_the_background_is_entered_when_the_files_are_there(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "end")
    done = dpipe("-d", "-p", str(tmp_path / "p"), "cat", "=", "sh", "-c", f"read x < {tmp_path}/end")
    assert done.returncode == 0
    pid = int((tmp_path / "p").read_text())
    watched = os.pidfd_open(pid)
    (tmp_path / "end").write_text("go\n")
    poll = select.poll()
    poll.register(watched, select.POLLIN)
    assert poll.poll(1000 * PATIENCE_S)
    os.close(watched)
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_go_to_all(tmp_path: Path, number: signal.Signals) -> None:
    script = "trap 'echo caught >&2; exit 3' TERM INT HUP; echo ready >&2; while :; do sleep 0.01; done"
    with subprocess.Popen(
        [*PROGRAM, "sh", "-c", script, "=", "sh", "-c", script],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # a runner may ignore it
    ) as process:
        assert process.stderr is not None
        assert [process.stderr.readline() for _ in range(2)] == [b"ready\n"] * 2
        process.send_signal(number)
        assert process.stderr.read() == b"caught\n" * 2
        assert process.wait(PATIENCE_S) == 3
