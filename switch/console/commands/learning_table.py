"""`hash/…`: the learning table, which the original keeps in a hash table and prints as one.

Deliberate differences: `hash/find` prints the port that the address is on (the original prints the next one), and takes
only an address of two hexadecimal digits a part.
"""

import errno

from switch.console.arguments import atoi
from switch.console.call import Call
from switch.console.registry import Command, Menu
from switch.core import SECOND_NS
from switch.forwarding.contract import FdbEntry
from vde.errors import Refused, WireError
from vde.frame import format_mac, parse_mac

_MASK = (1 << 64) - 1


def bucket(mac: bytes, vlan: int, size: int) -> int:
    """The place that the original would print: MurmurHash3's 64-bit finalizer, cut to a power of two."""
    key = int.from_bytes(mac, "little") + (vlan << 48) & _MASK
    key ^= key >> 33
    key = key * 0xFF51AFD7ED558CCD & _MASK
    key ^= key >> 33
    key = key * 0xC4CEB9FE1A85EC53 & _MASK
    return key & (size - 1)


def show_info(call: Call) -> None:
    """Size and times."""
    settings = call.switch.settings
    call.print(f"Hash size {settings.hash_size}")
    call.print(f"GC interval {settings.aging.gc_interval_s} secs")
    call.print(f"GC expire {settings.aging.expire_s} secs")
    call.print(f"Min persistence {settings.aging.min_persistence_s} secs")


def set_size(call: Call) -> None:
    """Refused: EINVAL."""
    call.switch.set_hash_size(atoi(call.argument))


def set_gc_interval(call: Call) -> None:
    """Refused: EINVAL."""
    call.switch.set_aging(gc_interval_s=atoi(call.argument))


def set_expire(call: Call) -> None:
    """Refused: EINVAL."""
    call.switch.set_aging(expire_s=atoi(call.argument))


def set_min_persistence(call: Call) -> None:
    """Refused: EINVAL."""
    call.switch.set_aging(min_persistence_s=atoi(call.argument))


def print_table(call: Call) -> None:
    """By place, the newest first."""
    size = call.switch.settings.hash_size
    placed = [(bucket(entry.mac, entry.vlan, size), -entry.serial, entry) for entry in call.switch.forwarder.entries()]
    for place, _, entry in sorted(placed, key=lambda item: item[:2]):
        _print_entry(call, place, entry)


def find(call: Call) -> None:
    """Refused: EINVAL no address, ENODEV not learned."""
    words = call.argument.split(maxsplit=1)
    try:
        mac = parse_mac(words[0] if words else "")
    except WireError as error:
        raise Refused(errno.EINVAL, str(error)) from None
    vlan = atoi(words[1]) if len(words) > 1 else 0
    entry = call.switch.forwarder.lookup(mac, vlan) if 0 <= vlan <= 0xFFF else None
    if entry is None:
        raise Refused(errno.ENODEV, f"{format_mac(mac)} is not known in VLAN {vlan}")
    _print_entry(call, bucket(mac, vlan, call.switch.settings.hash_size), entry)


def set_max(call: Call) -> None:
    """Refused: EINVAL."""
    call.switch.set_table_limit(atoi(call.argument))


def _print_entry(call: Call, place: int, entry: FdbEntry) -> None:
    age = max(0, call.now_ns - entry.last_seen_ns) // SECOND_NS
    address = f"Addr: {format_mac(entry.mac)} VLAN {entry.vlan:04d}"
    call.print(f"Hash: {place:04d} {address} to port: {entry.port:03d}  age {age} secs")


ENTRIES = (
    Menu("hash", "HASH TABLE MENU"),
    Command("hash/showinfo", "", "show hash info", show_info, framed=True),
    Command("hash/setsize", "N", "change hash size", set_size),
    Command("hash/setgcint", "N", "change garbage collector interval", set_gc_interval),
    Command("hash/setexpire", "N", "change hash entries expire time", set_expire),
    Command("hash/setminper", "N", "minimum persistence time", set_min_persistence),
    Command("hash/print", "", "print the hash table", print_table, framed=True),
    Command("hash/find", "MAC [VLAN]", "MAC lookup", find, framed=True),
    Command("hash/setmax", "N", "set the most addresses that are learned", set_max),
)
