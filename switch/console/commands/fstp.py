"""`fstp/…`: the fast spanning tree, one for every VLAN."""

from switch.console.arguments import atoi, integers
from switch.console.call import Call
from switch.console.registry import Command, Menu
from vde.frame import format_mac


def show_info(call: Call) -> None:
    """This switch's part of a bridge identifier, and whether the protocol is on."""
    settings = call.switch.settings
    call.print(f"MAC {format_mac(settings.mac)} Priority {settings.priority} (0x{settings.priority:x})")
    call.print(f"FSTP={'true' if settings.fstp else 'false'}")


def set_fstp(call: Call) -> None:
    """A hub has none: the answer says so, and the status is success all the same, as in vde_switch."""
    if not call.switch.set_fstp(atoi(call.argument) != 0, call.now_ns):
        call.print("Can't use fstp in hub mode")


def set_edge(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    vlan, port, edge = integers(call.argument, 3, "VLAN PORT 1/0")
    call.switch.set_edge(vlan, port, edge != 0, call.now_ns)


def set_bonus(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    vlan, port, cost = integers(call.argument, 3, "VLAN PORT COST")
    call.switch.set_bonus(vlan, port, cost, call.now_ns)


def print_tree(call: Call) -> None:
    """Refused: EINVAL, ENXIO."""
    switch = call.switch
    if call.argument:
        vlan = atoi(call.argument)
        switch.members(vlan)
        _print_vlan(call, vlan)
        return
    for vlan in sorted(switch.vlans):
        _print_vlan(call, vlan)


def _print_vlan(call: Call, vlan: int) -> None:
    view = call.switch.fstp.view(vlan, call.now_ns)
    root = "ROOTSWITCH" if view.is_root else ""
    disabled = "" if view.enabled else "FSTP IS DISABLED"
    call.print(f"FST DATA VLAN {vlan:04d} {root} {disabled}")
    call.print(f" ++ root {view.root.hex(':')}")
    call.print(f" ++ designated {view.designated.hex(':')}")
    call.print(
        f" ++ rootport {view.root_port:04d} cost {view.cost} age {view.age_s}"
        f" bonusport {view.bonus_port:04d} bonuscost {view.bonus_cost}"
    )
    for port in view.ports:
        call.print(f" -- Port {port.port:04d} tagged={port.tagged:d} portcost={port.cost} role={port.role.value}")


ENTRIES = (
    Menu("fstp", "FAST SPANNING TREE MENU"),
    Command("fstp/showinfo", "", "show fstp info", show_info, framed=True),
    Command("fstp/setfstp", "0/1", "Fast spanning tree protocol 1=ON 0=OFF", set_fstp, framed=True),
    Command("fstp/setedge", "VLAN PORT 1/0", "Define an edge port for a vlan 1=Y 0=N", set_edge),
    Command("fstp/bonus", "VLAN PORT COST", "set the port bonus for a vlan", set_bonus),
    Command("fstp/print", "[N]", "print fst data for the defined vlan", print_tree, framed=True),
)
