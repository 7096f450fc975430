"""Errors by who is at fault.

| error           | whose fault                         | what happens                                        |
|-----------------|-------------------------------------|-----------------------------------------------------|
| `ConfigError`   | the user's file, option or command  | all of them are shown at once; exit status 2         |
| `Refused`       | a request that the state forbids    | the asker gets the errno and the sentence            |
| `WireError`     | octets from a peer                  | counted, dropped or disconnected; everyone goes on   |
| `LinkClosed`    | nobody: we closed the link          | the task ends                                        |
| `LinkBroken`    | the outside broke the link          | retried or reported                                  |
| `LinkEnded`     | nobody: the outside is done         | as `LinkBroken`, or the program ends with status 0   |
| `InternalError` | ours                                | a bug: the traceback is shown                        |
"""

import os


class VdeError(Exception):
    """What every error of the project derives from."""


class ConfigError(VdeError):
    """The user's file, option or argument is wrong.

    The text names the place, the value, and what is allowed.
    """


class Refused(VdeError):
    """A well-formed request that the present state or the allowed ranges forbid.

    Attributes:
        errno: the Linux error number that a VDE console answers with (`1000 + errno`).
    """

    def __init__(self, errno: int, reason: str) -> None:
        super().__init__(reason)
        self.errno = errno

    @property
    def status(self) -> str:
        """The C library's text for `errno`, as VDE's status lines show it."""
        return os.strerror(self.errno)


class WireError(VdeError):
    """Octets from a peer do not follow the format that they claim to be in."""


class LinkClosed(VdeError):
    """This side closed the link."""


class LinkBroken(VdeError):
    """The outside broke the link."""


class LinkEnded(LinkBroken):
    """The outside ended the link in good order: end of standard input, a switch that closed the port."""


class GuestFault(VdeError):
    """An emulated guest cannot go on. The text names pc, instruction and reason, and the symbol where one is known."""


class InternalError(VdeError):
    """A bug of this project."""
