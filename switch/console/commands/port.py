"""`port/…`: ports, who may use them, their endpoints and counters. Ours: `port_limits.py`, `port_mirror.py`."""

import errno
from collections.abc import Callable, Iterable

from switch.access import group_name, group_number, user_name, user_number
from switch.console.arguments import atoi, integers, scan_integers
from switch.console.call import Call
from switch.console.commands import port_limits, port_mirror
from switch.console.registry import Command, Menu
from switch.ports import Port
from vde.errors import Refused


def show_info(call: Call) -> None:
    """Number of ports, hub or switch."""
    call.print(f"Numports={call.switch.ports.count}")
    call.print(f"HUB={'true' if call.switch.settings.hub else 'false'}")
    call.print("counters=true")


def set_num_ports(call: Call) -> None:
    """Refused: EINVAL, EADDRINUSE."""
    call.switch.ports.resize(atoi(call.argument))


def set_hub(call: Call) -> None:
    """Any number but 0: a hub."""
    call.switch.set_hub(atoi(call.argument) != 0, call.now_ns)


def set_vlan(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    port, vlan = integers(call.argument, 2, "N VLAN")
    call.switch.set_native_vlan(port, vlan, call.now_ns)


def create_automatically(call: Call) -> None:
    """Refused: ENOSPC."""
    call.print(f"Port {call.switch.create_port_automatically(call.now_ns).number:04d}")


def create(call: Call) -> None:
    """Number 0 is the next free one, as in vde_switch. Refused: EINVAL, EEXIST, ENOSPC."""
    number = atoi(call.argument)
    if number == 0:
        call.switch.create_port_automatically(call.now_ns)
    else:
        call.switch.create_port(number, call.now_ns)


def remove(call: Call) -> None:
    """Refused: EINVAL, ENXIO, EADDRINUSE."""
    call.switch.remove_port(atoi(call.argument), call.now_ns)


def set_allocatable(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    number, allocatable = integers(call.argument, 2, "N 0/1")
    call.switch.ports.get(number).allocatable = allocatable != 0


def set_user(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    port, user = _port_and(call, "N user", user_number)
    port.user = user


def set_group(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    port, group = _port_and(call, "N group", group_number)
    port.group = group


def close_endpoint(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    port, endpoint = integers(call.argument, 2, "N ID")
    call.switch.close_endpoint(port, endpoint, call.now_ns)


def reset_counter(call: Call) -> None:
    """One port's, or all; a port that does not exist has nothing to reset. Refused: EINVAL."""
    switch = call.switch
    if call.argument:
        number = atoi(call.argument)
        switch.ports.check_range(number)
        numbers = [number] if number in switch.ports else []
    else:
        numbers = [port.number for port in switch.ports]
    for number in numbers:
        switch.forwarder.reset_statistics(number)


def print_active(call: Call) -> None:
    """Refused: EINVAL, ENXIO if it does not exist or nobody uses it."""
    ports: Iterable[Port] = [port for port in call.switch.ports if port.active]
    if call.argument:
        port = call.switch.ports.get(atoi(call.argument))
        if not port.active:
            raise Refused(errno.ENXIO, f"port {port.number} is inactive: port/allprint shows it")
        ports = [port]
    for port in ports:
        _print(call, port)


def print_all(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    for port in [call.switch.ports.get(atoi(call.argument))] if call.argument else call.switch.ports:
        _print(call, port)


def _port_and(call: Call, syntax: str, parse: Callable[[str], int | None]) -> tuple[Port, int | None]:
    (number,), rest = scan_integers(call.argument, 1, syntax)
    name = rest.strip()
    port = call.switch.ports.get(number)
    if not name:
        raise Refused(errno.EINVAL, f"{call.argument!r}: {syntax} was expected")
    return port, parse(name)


def _print(call: Call, port: Port) -> None:
    active = "ACTIVE" if port.active else "INACTIVE"
    allocatable = "" if port.allocatable else "NOT "
    call.print(
        f"Port {port.number:04d} untagged_vlan={port.native_vlan:04d} {active} - {allocatable}Unnamed Allocatable"
    )
    call.print(
        f" Current User: {user_name(port.current_user)}"
        f" Access Control: (User: {user_name(port.user)} - Group: {group_name(port.group)})"
    )
    counters = call.switch.forwarder.statistics(port.number)
    call.print(f" IN:  pkts {counters.in_frames:10d}          bytes {counters.in_octets:20d}")
    call.print(f" OUT: pkts {counters.out_frames:10d}          bytes {counters.out_octets:20d}")
    for endpoint in port.endpoints:
        call.print(f"  -- endpoint ID {endpoint.id:04d} module {endpoint.module:<12}: {endpoint.description}")


ENTRIES = (
    Menu("port", "PORT STATUS MENU"),
    Command("port/showinfo", "", "show port info", show_info, framed=True),
    Command("port/setnumports", "N", "set the number of ports", set_num_ports),
    Command("port/sethub", "0/1", "1=HUB 0=switch", set_hub),
    Command("port/setvlan", "N VLAN", "set port VLAN (untagged)", set_vlan),
    Command(
        "port/createauto",
        "",
        "create a port with an automatically allocated id (inactive|notallocatable)",
        create_automatically,
        framed=True,
    ),
    Command("port/create", "N", "create the port N (inactive|notallocatable)", create),
    Command("port/remove", "N", "remove the port N", remove),
    Command("port/allocatable", "N 0/1", "Is the port allocatable as unnamed? 1=Y 0=N", set_allocatable),
    Command("port/setuser", "N user", "access control: set user", set_user),
    Command("port/setgroup", "N user", "access control: set group", set_group),
    Command("port/epclose", "N ID", "remove the endpoint port N/id ID", close_endpoint),
    Command("port/resetcounter", "[N]", "reset the port (N) counters", reset_counter),
    Command("port/print", "[N]", "print the port/endpoint table", print_active, framed=True),
    Command(
        "port/allprint",
        "[N]",
        "print the port/endpoint table (including inactive port)",
        print_all,
        framed=True,
    ),
    *port_limits.ENTRIES,
    *port_mirror.ENTRIES,
)
