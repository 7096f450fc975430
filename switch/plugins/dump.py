"""`dump`: every frame as a line of hexadecimal to the terminals that asked for it (`debug/add dump`).

3101 dump/packetin Pkt: Port 0001 len=0060 ff ff ff …
"""

from collections.abc import Callable, Sequence

from switch.console.arguments import atoi
from switch.console.call import Call
from switch.console.registry import Command, Entry, Menu
from switch.core import Switch
from switch.events import Category
from switch.forwarding.contract import Direction, Packet
from switch.log import Log

CATEGORY_IN, CATEGORY_OUT = "dump/packetin", "dump/packetout"


class Dump:
    """See the module's text."""

    name = "dump"
    help = "dump packets"
    categories: Sequence[Category] = (
        Category(CATEGORY_IN, 0o101, "dump incoming packet"),
        Category(CATEGORY_OUT, 0o102, "dump outgoing packet"),
    )

    def __init__(self, switch: Switch, log: Log, wall_offset_ns: Callable[[], int]) -> None:
        self._switch = switch
        self.entries: Sequence[Entry] = (
            Menu("dump", "DUMP Packets"),
            Command("dump/active", "0/1", "start dumping data", self._set_active),
        )

    def close(self) -> None:
        """See `Plugin`."""
        self._switch.remove_packet_hook(self._show)

    def _set_active(self, call: Call) -> None:
        if atoi(call.argument):
            self._switch.add_packet_hook(self._show)
        else:
            self._switch.remove_packet_hook(self._show)

    def _show(self, packet: Packet) -> None:
        path = CATEGORY_IN if packet.direction is Direction.IN else CATEGORY_OUT
        if self._switch.events.wanted(path):
            octets = packet.frame.hex(" ")
            self._switch.events.emit(path, f"Pkt: Port {packet.port:04d} len={len(packet.frame):04d} {octets} ")
