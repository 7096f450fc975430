"""Port mirroring: a copy of what crosses some ports, on another one."""

import errno

from switch.console.arguments import scan_integers
from switch.console.call import Call
from switch.console.registry import Command
from switch.forwarding.contract import Direction
from vde.errors import Refused

MIRROR_SYNTAX = "DEST SRC[,SRC...] [in|out|both]"
DELETE_SYNTAX = "DEST [SRC[,SRC...]]"


def show(call: Call) -> None:
    """One line a destination."""
    for destination, sources in sorted(call.switch.mirrors.items()):
        listed = " ".join(f"{source:04d}:{way.name.lower()}" for source, way in sorted(sources.items()) if way.name)
        call.print(f"Port {destination:04d} mirrors {listed}")


def add(call: Call) -> None:
    """More sources for a mirror, or another direction of those that it has. Refused: EINVAL, ENXIO."""
    (destination,), rest = scan_integers(call.argument, 1, MIRROR_SYNTAX)
    words = rest.split()
    try:
        direction = Direction[words[1].upper()] if len(words) > 1 else Direction.BOTH
    except KeyError:
        raise Refused(errno.EINVAL, f"{words[1]!r}: in, out or both was expected") from None
    if not 1 <= len(words) <= 2:
        raise Refused(errno.EINVAL, f"{call.argument!r}: {MIRROR_SYNTAX} was expected")
    sources = dict.fromkeys(_ports(words[0]), direction)
    call.switch.set_mirror(destination, call.switch.mirrors.get(destination, {}) | sources)


def delete(call: Call) -> None:
    """Some sources, or the whole mirror. Refused: EINVAL, ENXIO."""
    (destination,), rest = scan_integers(call.argument, 1, DELETE_SYNTAX)
    call.switch.ports.get(destination)
    mirror = call.switch.mirrors.get(destination)
    if mirror is None:
        raise Refused(errno.ENXIO, f"port {destination} mirrors nothing")
    sources = _ports(rest.strip()) if rest.strip() else list(mirror)
    if missing := [source for source in sources if source not in mirror]:
        raise Refused(errno.ENXIO, f"port {destination} does not mirror port {missing[0]}")
    call.switch.set_mirror(destination, {source: way for source, way in mirror.items() if source not in sources})


def _ports(text: str) -> list[int]:
    words = text.split(",")
    if not all(word.isascii() and word.isdecimal() and len(word) < 10 for word in words):
        raise Refused(errno.EINVAL, f"{text!r}: port numbers, separated by commas only, were expected")
    return [int(word) for word in words]


ENTRIES = (
    Command("port/mirror", "DEST SRC,.. DIR", "copy frames of SRC to DEST, DIR=in|out|both", add),
    Command("port/delmirror", "DEST [SRC,..]", "end a mirror, or some of its sources", delete),
    Command("port/showmirror", "", "print the mirrors", show, framed=True),
)
