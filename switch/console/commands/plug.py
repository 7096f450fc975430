"""`plug/…`: ports that are VNLs, kept connected by the switch (`vdeswitch --plug`)."""

import errno

from switch.console.arguments import atoi
from switch.console.call import Call
from switch.console.registry import Command, Menu
from switch.core import SECOND_NS
from switch.plugged import Plugged
from vde.errors import ConfigError, Refused


def add(call: Call) -> None:
    """VNLs that start programs are for the command line only. Refused: EINVAL, ENOSPC, ENOSYS."""
    if not call.argument:
        raise Refused(errno.EINVAL, "a VNL was expected, as in: plug/add udp://:5000->10.0.0.2:5000@7")
    try:
        plugged = call.console.plug_board.add(call.argument, trusted=False)
    except ConfigError as error:
        raise Refused(errno.EINVAL, str(error)) from None
    call.print(f"Plug {plugged.number:04d} Port {plugged.port:04d}")


def remove(call: Call) -> None:
    """Refused: ENXIO."""
    call.console.plug_board.remove(atoi(call.argument))


def print_all(call: Call) -> None:
    """Refused: ENXIO."""
    found = [one for one in call.console.plug_board if not call.argument or one.number == atoi(call.argument)]
    if call.argument and not found:
        raise Refused(errno.ENXIO, f"there is no plug {call.argument}")
    for plugged in found:
        _print(call, plugged)


def _print(call: Call, plugged: Plugged) -> None:
    seconds = (call.now_ns - plugged.since_ns) // SECOND_NS
    way = "" if plugged.link is None else ", direct" if plugged.link.direct else ", copied"
    call.print(f"Plug {plugged.number:04d} Port {plugged.port:04d} {plugged.state} ({seconds} s{way}) {plugged.vnl}")
    if plugged.failures or plugged.breaks:
        wait = f", waiting {plugged.wait_s:g} s" if plugged.state == "waiting" else ""
        call.print(f"  -- ended {plugged.breaks}, failed {plugged.failures}{wait}; last: {plugged.last_error}")
    if plugged.link is None:
        return
    if state := plugged.link.state():
        call.print("  -- " + " ".join(f"{name}={value}" for name, value in state.items()))
    statistics = plugged.link.statistics()
    for way, drops in (("to the plug", statistics.dropped_out), ("from the plug", statistics.dropped_in)):
        for reason, count in sorted(drops.items()):
            call.print(f"  -- dropped {way:<13} {reason:<12} {count:10d}")


ENTRIES = (
    Menu("plug", "PLUGS MENU"),
    Command("plug/add", "VNL[@port]", "add a port that is a VNL, and keep it connected", add, framed=True),
    Command("plug/remove", "N", "remove the plug N", remove),
    Command("plug/print", "[N]", "print plugs, their states and drops", print_all, framed=True),
)
