"""Exit statuses of `vde`."""

from vde.errors import ConfigError, VdeError
from vde.lab.errors import NotRunning

DONE = 0
FAILED = 1
USAGE = 2
CHECK_FAILED = 3
NOT_RUNNING = 4
BREAKPOINT = 12  # vde guest --break; 10 and 11 are uMPS3's
INTERRUPTED = 130  # 128 + SIGINT, as shells count


def of(error: VdeError) -> int:
    """The status that an error ends a command with."""
    match error:
        case ConfigError():
            return USAGE
        case NotRunning():
            return NOT_RUNNING
        case _:
            return FAILED
