"""cmd://: words, greetings, what a program's end looks like, and that none is left."""

import os
import shlex
import signal
import sys

import pytest
import trio

from plugs import cmd, registry
from plugs.cmd import CommandLink
from tests.plugs.surroundings import TestSurroundings
from tests.vde_client import frame
from vde.errors import ConfigError, LinkBroken

PATIENCE_S = 20
GREETER = 'printf "Welcome to this machine.\\n\\n"; exec cat'


async def test_a_greeting_is_passed_over() -> None:
    with trio.fail_after(PATIENCE_S):
        async with registry.open_link(f"cmd://sh -c {shlex.quote(GREETER)}", TestSurroundings()) as link:
            while not link.state()["hunting"]:
                with trio.move_on_after(0.05):
                    await link.receive()
            await link.send([frame(1)])
            assert await link.receive() == [frame(1)]
            assert link.statistics().dropped_in == {"framing": 1}


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("sh -c 'exit 3'", "cmd://sh: it ended with status 3"),
        ("sh -c 'kill -9 $$'", "cmd://sh: it was ended by SIGKILL"),
        ("true", "cmd://true: it ended with status 0"),
    ],
)
async def test_its_end_is_the_links(command: str, text: str) -> None:
    with trio.fail_after(PATIENCE_S):
        async with registry.open_link(f"cmd://{command}", TestSurroundings()) as link:
            with pytest.raises(LinkBroken, match=text):
                await link.receive()


async def test_words_are_the_shells_but_there_is_no_shell(tmp_path: object) -> None:
    code = "import sys, time; sys.exit(0 if sys.argv[1:] == ['a b', '$HOME', '*'] else 9)"
    command = f"{sys.executable} -c {shlex.quote(code)} 'a b' $HOME *"
    with trio.fail_after(PATIENCE_S):
        async with registry.open_link(f"cmd://{command}", TestSurroundings()) as link:
            with pytest.raises(LinkBroken, match="ended with status 0"):
                await link.receive()


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("cat", 0),
        ("sh -c 'trap \"exit 7\" TERM; while :; do sleep 0.01; done'", 7),
        ("sh -c 'trap \"\" TERM; while :; do sleep 0.01; done'", -signal.SIGKILL),
    ],
)
async def test_it_ends_with_the_link(command: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cmd, "PATIENCE_S", 0.3)
    with trio.fail_after(PATIENCE_S):
        async with registry.open_link(f"cmd://{command}", TestSurroundings()) as link:
            assert isinstance(link, CommandLink)
            process = link._process
            await trio.sleep(0.1 if status else 0)  # the trap is set by then, or the assertion below says so
    assert process.returncode == status
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("", "a command line was expected"),
        ("'unclosed", "no closing quotation"),
        ("/nonexistent/program x", "cmd:///nonexistent/program: No such file or directory"),
        ("/etc/passwd", "Permission denied"),
    ],
)
async def test_what_is_wrong(command: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        async with registry.open_link(f"cmd://{command}", TestSurroundings()):
            pass
