"""What one port may cost the others, and what it lost: `port/drops` and the limits.

`port/defqlen` and `port/epqlen` are the commands of vde_switch built with VDE_PQ2.
"""

import errno

from switch.console.arguments import atoi, integers, scan_integers
from switch.console.call import Call
from switch.console.registry import Command
from switch.ports import Port
from vde.errors import Refused


def print_drops(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    for port in [call.switch.ports.get(atoi(call.argument))] if call.argument else call.switch.ports:
        _print(call, port)


def set_address_limit(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    port, limit = _port_and_limit(call, "N COUNT|NONE")
    call.switch.set_port_limits(port.number, addresses=limit, storm_frames_per_s=port.storm_limit)


def set_storm_limit(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    port, limit = _port_and_limit(call, "N PPS|NONE")
    call.switch.set_port_limits(port.number, addresses=port.address_limit, storm_frames_per_s=limit)


def set_default_queue(call: Call) -> None:
    """Of endpoints that come from now on. Refused: EINVAL."""
    call.switch.set_default_queue(integers(call.argument, 1, "LEN")[0])


def set_endpoint_queue(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    port, endpoint, frames = integers(call.argument, 3, "N ID LEN")
    call.switch.set_endpoint_queue(port, endpoint, frames)


def _port_and_limit(call: Call, syntax: str) -> tuple[Port, int | None]:
    (number,), rest = scan_integers(call.argument, 1, syntax)
    port = call.switch.ports.get(number)
    if rest.strip().upper() in ("NONE", "ANY"):
        return port, None
    if not rest.strip().isdecimal():
        raise Refused(errno.EINVAL, f"{call.argument!r}: {syntax} was expected")
    return port, atoi(rest)


def _print(call: Call, port: Port) -> None:
    counters = call.switch.forwarder.statistics(port.number)
    call.print(f"Port {port.number:04d} dropped {sum(counters.drops.values())} not_learned {counters.not_learned}")
    for reason, count in sorted(counters.drops.items()):
        call.print(f"  -- {reason.name.lower():<12} {count:10d}")
    limits = [str(limit) if limit is not None else "NONE" for limit in (port.address_limit, port.storm_limit)]
    call.print(f" Limits: (Addresses: {limits[0]} - Storm: {limits[1]})")
    for endpoint in port.endpoints:
        waiting = call.switch.forwarder.queue_length(endpoint.id)
        call.print(f"  -- endpoint ID {endpoint.id:04d} queue {waiting} of {endpoint.queue_frames}")


ENTRIES = (
    Command("port/drops", "[N]", "print drops by reason, limits and queues", print_drops, framed=True),
    Command("port/setmaxmac", "N COUNT", "set the most addresses learned on a port (NONE=any)", set_address_limit),
    Command("port/setstorm", "N PPS", "set the most frames a second flooded from a port (NONE=any)", set_storm_limit),
    Command("port/defqlen", "LEN", "set the default queue length of new endpoints", set_default_queue),
    Command("port/epqlen", "N ID LEN", "set the queue length of the endpoint port N/id ID", set_endpoint_queue),
)
