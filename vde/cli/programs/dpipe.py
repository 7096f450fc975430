"""`dpipe`: commands joined by pipes in both directions, with vdeplug4's command line (dpipe(1)).

    dpipe A = B                A's output is B's input, and B's output A's input
    dpipe A = B = C            B has C at the descriptors $ALTERNATE_STDIN and $ALTERNATE_STDOUT (3 and 4)
    dpipe A =} B }= C          B sees only what goes from left to right: A → B → C → A
    dpipe A ={ B {= C          … from right to left: A → C → B → A

Commands are started without a shell, all in one process group (-P), as children of dpipe; with -n the last one takes
dpipe's place and is the others' parent. dpipe waits for all of them; its status is the last one's. SIGINT, SIGTERM and
SIGHUP go to all of them.

Differences to the original, on purpose: a session leader can run it; a wrong command line ends with status 1, and a
command ended by signal N with 128 + N (both 0 there); nothing is started if a command does not exist (127).
"""

import contextlib
import fcntl
import itertools
import os
import re
import select
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from switch import getopt
from switch.daemonise import detach
from switch.getopt import Option
from switch.pidfile import Pidfile
from vde.errors import ConfigError

OPTIONS = (
    Option(("pidfile",), "p", "FILE", "write the process number to FILE"),
    Option(("pgrpfile",), "P", "FILE", "write the process group's number, negative, to FILE"),
    Option(("daemon",), "d", "", "go to the background"),
    Option(("nowrapproc",), "n", "", "no dpipe process: the last command takes its place"),
    Option(("nowrapnoclean",), "N", "", "as -n, and the files are not removed at the end"),
    Option(("help",), "h", "", "show this"),
)
USAGE = """\
Usage: dpipe [OPTIONS] COMMAND [ARG…] = COMMAND [ARG…] [= COMMAND [ARG…]]…
  =} COMMAND }=    in place of a command between two =: it sees only what goes from left to right
  ={ COMMAND {=    only what goes from right to left
Other commands in the middle have the next one at descriptors $ALTERNATE_STDIN and $ALTERNATE_STDOUT.
"""
SEPARATOR = re.compile(r"([{}]?)=([{}]?)")
ALTERNATE_STDIN, ALTERNATE_STDOUT = 3, 4
LOWEST_FD = 10  # of our own descriptors, so that 0…4 are free to be given out
WRONG, NOT_FOUND = 1, 127  # the latter as shells count


@dataclass
class Command:
    """One command.

    Attributes:
        pipes: descriptor of the command → number of a pipe and which of its ends (0: reading, 1: writing).
    """

    words: list[str]
    pipes: dict[int, tuple[int, int]] = field(default_factory=dict)


def plan(words: Sequence[str]) -> list[Command]:
    """Which descriptor of which command is which pipe's end.

    Raises:
        ConfigError: no separator, an empty command, braces that do not fit.
    """
    kinds, commands = _cut(words)
    pipes = 0

    def connect(source: Command, output: int, sink: Command, stdin: int) -> None:
        nonlocal pipes
        source.pipes[output], sink.pipes[stdin] = (pipes, 1), (pipes, 0)
        pipes += 1

    full = [index for index, kind in enumerate(kinds) if not kind]
    for left, right in itertools.pairwise(full):
        alternate = left != full[0]
        stdin, stdout = (ALTERNATE_STDIN, ALTERNATE_STDOUT) if alternate else (0, 1)
        source, output = commands[left], stdout
        for index in range(left + 1, right):
            if kinds[index] == "}":
                connect(source, output, commands[index], 0)
                source, output = commands[index], 1
        connect(source, output, commands[right], 0)
        source = commands[right]
        for index in range(right - 1, left, -1):
            if kinds[index] == "{":
                connect(source, 1, commands[index], 0)
                source = commands[index]
        connect(source, 1, commands[left], stdin)
    return commands


def _cut(words: Sequence[str]) -> tuple[list[str], list[Command]]:
    """Each command's kind (`}`, `{`, or nothing: it sees both directions), and the commands."""
    commands, kinds = [Command([])], [""]
    for word in words:
        found = SEPARATOR.fullmatch(word)
        if not found:
            commands[-1].words.append(word)
            continue
        if found[1] != kinds[-1]:
            wanted = f"'{kinds[-1]}='" if kinds[-1] else "'=', '=}' or '={'"
            raise ConfigError(f"{word!r} after {' '.join(commands[-1].words) or 'nothing'}: {wanted} was expected")
        commands.append(Command([]))
        kinds.append(found[2])
    if len(commands) < 2:
        raise ConfigError("two commands joined by '=' were expected")
    if kinds[-1]:
        raise ConfigError(f"the last command follows '={kinds[-1]}': a '{kinds[-1]}=' and one more were expected")
    if any(not command.words for command in commands):
        raise ConfigError("a command is missing before or after '='")
    return kinds, commands


def main() -> int:
    """The program."""
    try:
        options, words = _split(sys.argv[1:])
        given = dict(options)
        if "help" in given:
            print(usage(), end="")
            return 0
        commands = plan(words)
    except ConfigError as error:
        print(f"dpipe: {error}\n{usage()}", end="", file=sys.stderr)
        return WRONG
    for command in commands:
        if shutil.which(command.words[0]) is None:
            print(f"dpipe: {command.words[0]}: command not found", file=sys.stderr)
            return NOT_FOUND
    files = [os.path.abspath(given[name]) for name in ("pidfile", "pgrpfile") if name in given]
    background = detach() if "daemon" in given else None
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    with contextlib.ExitStack() as stack:
        try:
            for name, number in (("pidfile", os.getpid()), ("pgrpfile", -os.getpgrp())):
                if name in given:
                    stack.callback(Pidfile(Path(os.path.abspath(given[name])), number).remove)
        except ConfigError as error:
            print(f"dpipe: {error}", file=sys.stderr)
            return WRONG
        if background is not None:
            background.ready()
        if "nowrapproc" in given or "nowrapnoclean" in given:
            if files and "nowrapnoclean" not in given:
                _remove_later(files)
            _replace_this(commands)
        return _run(commands)


def usage() -> str:
    """The text of `--help`."""
    rows = [f"  -{one.short}, --{one.key} {one.argument}".ljust(26) + one.help for one in OPTIONS]
    return USAGE + "Options:\n" + "\n".join(rows) + "\n"


def _split(argv: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Options end at the first word that is none."""
    taking = {f"-{one.short}" for one in OPTIONS if one.argument} | {f"--{one.key}" for one in OPTIONS if one.argument}
    index = 0
    while index < len(argv) and argv[index].startswith("-"):
        index += 2 if argv[index] in taking else 1
        if argv[index - 1] == "--":
            break
    result = getopt.parse(OPTIONS, argv[:index])
    if result.complaints:
        raise ConfigError("; ".join(result.complaints))
    return result.options, list(argv[index:])


class _Pipes:
    """All pipes, of which no descriptor is inherited by itself."""

    def __init__(self, commands: Sequence[Command]) -> None:
        self._ends: list[tuple[int, int]] = []
        for _ in range(1 + max(number for command in commands for number, _ in command.pipes.values())):
            low = os.pipe2(os.O_CLOEXEC)
            reading, writing = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, LOWEST_FD) for fd in low)
            for fd in low:
                os.close(fd)
            self._ends.append((reading, writing))

    def of(self, command: Command) -> dict[int, int]:
        """Descriptor of the command → ours."""
        return {fd: self._ends[number][end] for fd, (number, end) in command.pipes.items()}

    def close(self) -> None:
        for pair in self._ends:
            for fd in pair:
                os.close(fd)


def _start(command: Command, pipes: _Pipes) -> int:
    actions = [(os.POSIX_SPAWN_DUP2, ours, fd) for fd, ours in pipes.of(command).items()]
    return os.posix_spawnp(
        command.words[0],
        command.words,
        _environment(command),
        file_actions=actions,
        setsigdef=[signal.SIGPIPE],
        setsigmask=[],
    )


def _environment(command: Command) -> dict[str, str]:
    environ = dict(os.environ)
    if ALTERNATE_STDIN in command.pipes:
        environ |= {"ALTERNATE_STDIN": str(ALTERNATE_STDIN), "ALTERNATE_STDOUT": str(ALTERNATE_STDOUT)}
    return environ


def _run(commands: Sequence[Command]) -> int:
    children: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def pass_on(number: int, frame: object) -> None:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)

    for number in signals:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup: the commands ignore it as well
            signal.signal(number, pass_on)
    pipes = _Pipes(commands)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # one that comes now goes to all, a little later
    try:
        for command in commands:
            children.append(_start(command, pipes))
    except OSError as error:
        print(f"dpipe: {command.words[0]}: {error.strerror}", file=sys.stderr)
        pass_on(signal.SIGTERM, None)
    finally:
        pipes.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    failed = len(children) < len(commands)
    status = 0
    for child in list(children):
        _, waited = os.waitpid(child, 0)
        children.remove(child)
        code = os.waitstatus_to_exitcode(waited)
        status = code if code >= 0 else 128 - code
    return NOT_FOUND if failed else status


def _replace_this(commands: Sequence[Command]) -> None:
    """The last command is this process from now on."""
    pipes = _Pipes(commands)
    for command in commands[:-1]:
        _start(command, pipes)
    last = commands[-1]
    for fd, ours in pipes.of(last).items():
        os.dup2(ours, fd)
    sys.stdout.flush()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(last.words[0], last.words, _environment(last))
    except OSError as error:
        print(f"dpipe: {last.words[0]}: {error.strerror}", file=sys.stderr)
        os._exit(NOT_FOUND)


def _remove_later(files: Sequence[str]) -> None:
    """A process that removes the files once the last command, which this process becomes, has ended."""
    watched = os.pidfd_open(os.getpid())
    if os.fork():
        os.close(watched)
        return
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    with contextlib.suppress(OSError):
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        poll.poll()
    for file in files:
        with contextlib.suppress(OSError):
            os.unlink(file)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
