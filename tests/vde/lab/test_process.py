"""Children that cannot outlive us, whoever is killed."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.lab_runner import PATIENCE_S
from vde.errors import InternalError
from vde.lab.process import Process, how_it_ended

SHELL = "/bin/sh"
# A supervisor in small: starts a child that ignores what it can, and waits for ever.
PARENT = """
import os, sys, trio
from vde.lab.process import Process
async def main():
    process = Process(["/bin/sh", "-c", "trap '' TERM HUP INT; echo running; while :; do sleep 1000; done"], os.environ)
    await process.output.receive_some(10)
    print(process.pid, flush=True)
    await trio.sleep_forever()
trio.run(main)
"""


async def read_all(process: Process) -> bytes:
    octets = b""
    async for chunk in process.output:
        octets += chunk
    return octets


async def test_output_and_exit_status() -> None:
    process = Process([SHELL, "-c", "echo out; echo err >&2; exit 3"], os.environ)
    assert await read_all(process) == b"out\nerr\n"
    assert await process.wait() == 3
    await process.aclose()


async def test_environment_directory_and_input() -> None:
    process = Process([SHELL, "-c", "echo $A; pwd; read x || echo no input"], {"A": "b", "PATH": "/usr/bin:/bin"})
    assert await read_all(process) == b"b\n/\nno input\n"
    await process.aclose()


async def test_a_descriptor_is_inherited_and_others_are_not(tmp_path: Path) -> None:
    given, kept = os.open(tmp_path, os.O_RDONLY), os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(kept, True)
    process = Process([SHELL, "-c", "ls /proc/self/fd"], os.environ, [given])
    listed = set((await read_all(process)).decode().split())
    await process.aclose()
    assert str(given) in listed
    assert str(kept) not in listed
    os.close(given)
    os.close(kept)


async def test_a_broken_pipe_kills_it_as_it_would_in_a_shell() -> None:
    """Python ignores SIGPIPE, and what is ignored stays so in the programs that it becomes."""
    process = Process([SHELL, "-c", "kill -PIPE $$; echo survived"], os.environ)
    assert await read_all(process) == b""
    assert await process.wait() == -signal.SIGPIPE
    await process.aclose()


async def test_a_program_that_is_not_there() -> None:
    process = Process(["/nonexistent/program"], os.environ)
    assert await read_all(process) == b"/nonexistent/program: No such file or directory\n"
    assert await process.wait() == 127
    await process.aclose()


async def test_end_asks_first() -> None:
    process = Process([SHELL, "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done"], os.environ)
    await process.output.receive_some(10)
    assert await process.end() == 5
    await process.aclose()


async def test_end_kills_what_does_not_listen() -> None:
    process = Process([SHELL, "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done"], os.environ)
    await process.output.receive_some(10)
    assert await process.end(grace_s=0.05) == -signal.SIGKILL
    await process.aclose()


async def test_end_is_not_cut_short_by_cancellation() -> None:
    process = Process(
        [SHELL, "-c", "trap 'sleep 0.1; exit 5' TERM; echo ready; while :; do sleep 0.01; done"], os.environ
    )
    await process.output.receive_some(10)
    with trio.CancelScope() as scope:
        scope.cancel()
        assert await process.end() == 5
    await process.aclose()


async def test_aclose_kills() -> None:
    process = Process([SHELL, "-c", "while :; do sleep 1000; done"], os.environ)
    await process.aclose()
    assert await process.wait() == -signal.SIGKILL


async def test_it_must_be_started_by_the_main_thread() -> None:
    """The kernel's parent-death signal fires when the *thread* that forked ends: a worker thread would end soon."""
    with pytest.raises(InternalError, match="main thread"):
        await trio.to_thread.run_sync(lambda: Process([SHELL], os.environ))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_killing_the_parent_kills_a_child_that_ignores_signals(number: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        child = os.pidfd_open(int(parent.stdout.readline()))
        assert not select.select([child], [], [], 0)[0], "it runs"
        parent.send_signal(number)
        assert parent.wait(PATIENCE_S) == -number
        assert select.select([child], [], [], PATIENCE_S)[0], "it outlived its parent"
        os.close(child)


def test_the_shim_does_not_start_anything_for_a_parent_that_is_gone() -> None:
    """The race between fork and prctl: the parent is not who it should be."""
    shim = Path(__file__).parents[3] / "vde" / "lab" / "child.py"
    done = subprocess.run(
        [sys.executable, "-I", "-S", shim, "1", "0", "/bin/echo", "started"], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"the supervisor is gone" in done.stderr


async def test_a_terminal_is_the_childs_own() -> None:
    ours, theirs = os.openpty()
    process = Process(["/bin/sh", "-c", "tty; echo >/dev/tty from here"], os.environ, [theirs], theirs)
    os.close(theirs)
    seen = b""
    async with trio.lowlevel.FdStream(ours) as stream:
        while b"from here\r\n" not in seen:
            seen += await stream.receive_some()
        assert seen.startswith(b"/dev/pts/")
        assert await process.wait() == 0
    await process.aclose()


@pytest.mark.parametrize(
    ("status", "text"),
    [(0, "exit status 0"), (7, "exit status 7"), (-9, "killed by SIGKILL"), (-200, "killed by signal 200")],
)
def test_how_it_ended(status: int, text: str) -> None:
    assert how_it_ended(status) == text
