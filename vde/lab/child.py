"""What every node's process begins as: a program that ties itself to its supervisor's life, and becomes the real one.

    python -I -S child.py SUPERVISOR_PID TERMINAL PROGRAM ARGUMENT…

TERMINAL is the number of an inherited descriptor, 0 for none. PR_SET_PDEATHSIG (prctl(2)) makes the kernel send SIGKILL
when the *thread* that forked this process ends, and outlives execve; so the supervisor forks from its main thread. If
the supervisor died before the call, nobody would send the signal: hence the look at the parent afterwards. Run by its
path, with the standard library only: it must be quick.
"""

import ctypes
import fcntl
import os
import signal
import sys
import termios

PR_SET_PDEATHSIG = 1  # linux/prctl.h
NOT_STARTED = 127  # what shells answer for a program that cannot be run


def main() -> None:
    """Become the program; returns only by exiting."""
    supervisor, terminal, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != supervisor:
        sys.exit("the supervisor is gone")
    if terminal:
        become_its_user(terminal)
    # Python ignores these two, and what is ignored stays so across execve.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(program[0], program)
    except OSError as error:
        sys.stderr.write(f"{program[0]}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(NOT_STARTED)


def become_its_user(terminal: int) -> None:
    """Make a descriptor the controlling terminal of a session of our own, and our standard input, output and error."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(terminal, number)
    os.close(terminal)


if __name__ == "__main__":
    main()
