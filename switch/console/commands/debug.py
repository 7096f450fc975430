"""`debug/…`: which events this session is told about.

An argument is the beginning of category names; an empty one means all.
"""

import errno

from switch.console.call import Call, Kind
from switch.console.registry import Command, Menu
from switch.events import Category
from vde.errors import Refused

HEADER = ("CATEGORY               TAG STATUS HELP", "------------           --- ------ ----")


def list_categories(call: Call) -> None:
    """Refused: ENOENT, no category begins so."""
    for line in HEADER:
        call.print(line)
    events = call.switch.events
    found = _matching(call)
    for category in found:
        status = "ON" if events.is_on(category.path, call.session.hear) else "OFF"
        call.print(f"{category.path:<22} {category.tag:03o} {status:<6} {category.help}")
    if not found:
        raise Refused(errno.ENOENT, f"no category begins with {call.argument!r}")


def add(call: Call) -> None:
    """Refused: EINVAL no category begins so, EEXIST all are on, EBADF nobody is there to be told."""
    if call.session.kind is Kind.SCRIPT:
        raise Refused(errno.EBADF, "the rc file has no terminal that events could be written to")
    found = _matching(call, errno.EINVAL)
    if sum([call.switch.events.subscribe(category.path, call.session.hear) for category in found]) == 0:
        raise Refused(errno.EEXIST, f"all categories that begin with {call.argument!r} are on already")


def delete(call: Call) -> None:
    """Refused: EINVAL no category begins so, ENOENT none of them was on."""
    found = _matching(call, errno.EINVAL)
    if sum([call.switch.events.unsubscribe(category.path, call.session.hear) for category in found]) == 0:
        raise Refused(errno.ENOENT, f"no category that begins with {call.argument!r} is on")


def _matching(call: Call, error: int | None = None) -> list[Category]:
    found = [c for c in call.switch.events.categories.values() if c.path.startswith(call.argument)]
    if error is not None and not found:
        raise Refused(error, f"no category begins with {call.argument!r}: debug/list shows them")
    return found


ENTRIES = (
    Menu("debug", "DEBUG MENU"),
    Command("debug/list", "", "list debug categories", list_categories, framed=True),
    Command("debug/add", "dbgpath", "enable debug info for a given category", add),
    Command("debug/del", "dbgpath", "disable debug info for a given category", delete),
)
