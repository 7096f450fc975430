"""`vlan/…`: VLANs and their members."""

import errno

from switch.console.arguments import atoi, integers
from switch.console.call import Call
from switch.console.registry import Command, Menu
from vde.errors import Refused


def create(call: Call) -> None:
    """Refused: EINVAL, EEXIST."""
    vlan = atoi(call.argument)
    if vlan == 0:
        raise Refused(errno.EINVAL, "VLAN 0 is always there")
    call.switch.create_vlan(vlan, call.now_ns)


def remove(call: Call) -> None:
    """Refused: EINVAL, ENXIO, EADDRINUSE."""
    call.switch.remove_vlan(atoi(call.argument))


def add_port(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    vlan, port = integers(call.argument, 2, "N PORT")
    call.switch.add_tagged(vlan, port, call.now_ns)


def delete_port(call: Call) -> None:
    """Refused: EINVAL, ENXIO, EADDRINUSE."""
    vlan, port = integers(call.argument, 2, "N PORT")
    call.switch.remove_tagged(vlan, port, call.now_ns)


def print_active(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    _print(call, atoi(call.argument), inactive=False)


def print_all(call: Call) -> None:
    """Refused: EINVAL, also for VLAN 0 (which only the command without an argument prints, as in vde_switch); ENXIO."""
    vlan = atoi(call.argument)
    if call.argument and vlan == 0:
        raise Refused(errno.EINVAL, "vlan/allprint takes no VLAN 0: without a number it prints all")
    _print(call, vlan, inactive=True)


def set_transparent(call: Call) -> None:
    """May tags of VLANs that are not defined pass untouched?"""
    call.switch.set_vlan_transparent(atoi(call.argument) != 0)


def _print(call: Call, wanted: int, *, inactive: bool) -> None:
    switch = call.switch
    if call.argument:
        switch.members(wanted)
    for vlan in [wanted] if call.argument else sorted(switch.vlans):
        call.print(f"VLAN {vlan:04d}")
        for number, tagged in sorted(switch.members(vlan).items()):
            active = switch.ports.get(number).active
            if active or inactive:
                learning, forwarding = switch.state(vlan, number)
                status = "Forwarding" if forwarding else "Learning" if learning else "Discarding"
                call.print(f" -- Port {number:04d} tagged={tagged:d} active={active:d} status={status}")


ENTRIES = (
    Menu("vlan", "VLAN MANAGEMENT MENU"),
    Command("vlan/create", "N", "create the VLAN with tag N", create),
    Command("vlan/remove", "N", "remove the VLAN with tag N", remove),
    Command("vlan/addport", "N PORT", "add port to the vlan N (tagged)", add_port),
    Command("vlan/delport", "N PORT", "delete port from the vlan N (tagged)", delete_port),
    Command("vlan/print", "[N]", "print the list of defined vlan", print_active, framed=True),
    Command("vlan/allprint", "[N]", "print the list of defined vlan (including inactive port)", print_all, framed=True),
    Command("vlan/transparent", "0/1", "1=pass tags of undefined vlans untouched 0=drop them", set_transparent),
)
