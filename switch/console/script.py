"""Files of console commands: the rc file, and what `load` names.

Limits (chosen): `SCRIPT_OCTETS`. A device, a pipe or a terminal cannot hold the switch up: nothing is waited for.
"""

import errno
import os

from vde.errors import Refused

SCRIPT_OCTETS = 1 << 20


def read_script(path: str | bytes | os.PathLike[str]) -> list[bytes]:
    """The lines, without their newlines.

    Raises:
        Refused: with the errno of what is wrong; EFBIG if it is too long.
    """
    name = os.fsdecode(path)
    if not name:
        raise Refused(errno.ENOENT, "a path was expected")
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            octets = b""
            while len(octets) <= SCRIPT_OCTETS and (piece := os.read(descriptor, SCRIPT_OCTETS + 1 - len(octets))):
                octets += piece
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Refused(error.errno or errno.EIO, f"{name}: {error.strerror}") from None
    if len(octets) > SCRIPT_OCTETS:
        raise Refused(errno.EFBIG, f"{name}: a script has at most {SCRIPT_OCTETS} octets")
    lines = octets.split(b"\n")
    return lines if lines[-1] else lines[:-1]
