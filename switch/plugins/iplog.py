"""`iplog`: which IP addresses are used on which port, by which user.

Source addresses of the frames that enter the switch, if they lie in one of the ranges that `iplog/ipadd` gave. A new
address, or one that turns up on another port or with another Ethernet address, is told to a log file (or syslog), and
to terminals with `debug/add iplog`:

    Nov 22 07:43:27 ipv4 10.1.2.3 mac=02:00:00:00:00:01 port=1 vlan=0 user=root "description"

An address is forgotten when it has not been seen for `setexpire` seconds, and when its port loses its last endpoint.

Differences to vde_switch's plugin: the VLAN is the one that the switch puts the frame in, and the Ethernet address is
right for tagged frames too; IPv4 headers with options and IPv6 with any traffic class count; ranges are checked, and a
netmask means itself; `iplist` is sorted. As there, addresses in ARP packets do not count.

Limits (chosen): `ADDRESSES_MAX` addresses, the one that was silent longest goes first; `RANGES_MAX` ranges; so that a
guest that invents addresses cannot fill the disk, `LINES_PER_S` lines a second: what is beyond is counted in the log.
"""

import errno
import os
import socket
import syslog
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from switch.access import user_name, user_number
from switch.console.arguments import INT_MAX, atoi
from switch.console.call import Call
from switch.console.registry import Command, Entry, Menu
from switch.console.text import printable
from switch.core import SECOND_NS, Switch
from switch.events import Category
from switch.forwarding.contract import Direction, Packet
from switch.log import Log
from vde.errors import Refused
from vde.frame import TPID, VID_MASK, format_mac

ADDRESSES_MAX = 1 << 16
RANGES_MAX = 1024
LINES_PER_S = 1000
GC_INTERVAL_S, EXPIRE_S = 10, 360  # vde_switch's
NEW_ADDRESS = "iplog/newip"
SYSLOG = "-"

ETHERTYPE_IPV4, ETHERTYPE_IPV6 = b"\x08\x00", b"\x86\xdd"
IPV4_SOURCE = slice(12, 16)  # RFC 791 §3.1
IPV6_SOURCE = slice(8, 24)  # RFC 8200 §3

Address = IPv4Address | IPv6Address


@dataclass(slots=True)
class Sighting:
    """Where an address was seen last."""

    mac: bytes
    port: int
    last_seen_ns: int


def source_address(frame: bytes) -> tuple[Address, int] | None:
    """The IP source of a frame, and the VLAN of its tag (0 without one); None if there is none, or only a part."""
    vlan, offset = 0, 12
    if frame[12:14] == TPID:
        vlan, offset = int.from_bytes(frame[14:16]) & VID_MASK, 16
    kind, packet = frame[offset : offset + 2], frame[offset + 2 : offset + 26]
    if kind == ETHERTYPE_IPV4 and len(packet) >= IPV4_SOURCE.stop and packet[0] >> 4 == 4 and packet[0] & 0x0F >= 5:
        return IPv4Address(packet[IPV4_SOURCE]), vlan
    if kind == ETHERTYPE_IPV6 and len(packet) >= IPV6_SOURCE.stop and packet[0] >> 4 == 6:
        return IPv6Address(packet[IPV6_SOURCE]), vlan
    return None


class Iplog:
    """See the module's text."""

    name = "iplog"
    help = "log ip/port/user assignment"
    categories: Sequence[Category] = (Category(NEW_ADDRESS, 0o301, "show new ip addresses"),)

    def __init__(self, switch: Switch, log: Log, wall_offset_ns: Callable[[], int]) -> None:
        self._switch = switch
        self._log = log
        self._wall_offset_ns = wall_offset_ns
        self._ranges: list[IPv4Network | IPv6Network] = []
        self._seen: OrderedDict[Address, Sighting] = OrderedDict()
        """The longest silent first."""
        self._gc_interval_s, self._expire_s = GC_INTERVAL_S, EXPIRE_S
        self._next_gc_ns = 0
        self._logfile: str | None = None
        self._descriptor = -1
        self._second = self._lines_this_second = self._lines_lost = 0
        self.entries: Sequence[Entry] = (
            Menu("iplog", "IP/Mac/User Logging"),
            Command("iplog/showinfo", "", "Show info on logging", self._show_info, framed=True),
            Command("iplog/logfile", "pathname", "Set the logfile", self._set_logfile),
            Command("iplog/ipadd", "ipaddr/mask", "add an ipv4/v6 range", self._add_range),
            Command("iplog/ipdel", "ipaddr/mask", "del an ipv6/v6 range", self._delete_range),
            Command("iplog/list", "", "list ip ranges", self._list_ranges, framed=True),
            Command("iplog/setgcint", "N", "change garbage collector interval", self._set_gc_interval),
            Command("iplog/setexpire", "N", "change iplog entries expire time", self._set_expire),
            Command("iplog/iplist", "", "list active IP", self._list_all, framed=True),
            Command("iplog/ipport", "port", "list active IP on a port", self._list_port, framed=True),
            Command("iplog/ipuser", "user", "list active IP of a user", self._list_user, framed=True),
            Command("iplog/ipsearch", "ipaddr", "search an IP address", self._search, framed=True),
        )
        switch.add_packet_hook(self._look)
        switch.events.subscribe("port/-", self._port_closed)

    def close(self) -> None:
        """See `Plugin`."""
        self._switch.remove_packet_hook(self._look)
        self._switch.events.unsubscribe("port/-", self._port_closed)
        self._open_log(None)

    # -- frames -------------------------------------------------------------------------------------------------------

    def _look(self, packet: Packet) -> None:
        if packet.direction is not Direction.IN or not self._ranges:
            return
        found = source_address(packet.frame)
        if found is None:
            return
        address, tag = found
        if not any(address in block for block in self._ranges):
            return
        if packet.when_ns >= self._next_gc_ns:
            self._next_gc_ns = packet.when_ns + self._gc_interval_s * SECOND_NS
            self._forget_silent(packet.when_ns)
        known = self._seen.get(address)
        mac = packet.frame[6:12]
        if known is not None and known.port == packet.port and known.mac == mac:
            known.last_seen_ns = packet.when_ns
            self._seen.move_to_end(address)
            return
        if packet.port not in self._switch.ports or not self._switch.ports.get(packet.port).active:
            return  # the cable was pulled while the frame was on its way to us
        self._seen[address] = Sighting(mac, packet.port, packet.when_ns)
        self._seen.move_to_end(address)
        if len(self._seen) > ADDRESSES_MAX:
            self._seen.popitem(last=False)
        self._tell(address, mac, packet, packet.vlan if packet.vlan >= 0 else tag)

    def _tell(self, address: Address, mac: bytes, packet: Packet, vlan: int) -> None:
        second = packet.when_ns // SECOND_NS
        if second != self._second:
            if self._lines_lost:
                self._write(packet.when_ns, f"{self._lines_lost} new addresses not logged: more than {LINES_PER_S}/s")
            self._second, self._lines_this_second, self._lines_lost = second, 0, 0
        self._lines_this_second += 1
        if self._lines_this_second > LINES_PER_S:
            self._lines_lost += 1
            return
        port = self._switch.ports.get(packet.port)
        descriptions = " ".join(f'"{endpoint.description}"' for endpoint in port.endpoints)
        line = (
            f"{_shown(address)} mac={format_mac(mac)} port={port.number} vlan={vlan}"
            f" user={user_name(port.current_user)} {descriptions}"
        )
        self._switch.events.emit(NEW_ADDRESS, line)
        self._write(packet.when_ns, line)

    def _port_closed(self, line: str) -> None:
        number = int(line.rsplit(" ", 1)[1])
        for address in [address for address, sighting in self._seen.items() if sighting.port == number]:
            del self._seen[address]

    def _forget_silent(self, now_ns: int) -> None:
        while self._seen:
            address, sighting = next(iter(self._seen.items()))
            if now_ns - sighting.last_seen_ns <= self._expire_s * SECOND_NS:
                return
            del self._seen[address]

    # -- the log ------------------------------------------------------------------------------------------------------

    def _write(self, when_ns: int, line: str) -> None:
        text = printable(line)
        if self._logfile == SYSLOG:
            syslog.syslog(syslog.LOG_INFO, text)
        elif self._descriptor >= 0:
            when = datetime.fromtimestamp((when_ns + self._wall_offset_ns()) / SECOND_NS, UTC).astimezone()
            try:
                os.write(self._descriptor, f"{when:%b %d %H:%M:%S} {text}\n".encode())
            except OSError as error:
                self._log.warning(f"iplog: {self._logfile}: {error.strerror}")

    def _open_log(self, path: str | None) -> None:
        """Raises `OSError`; the log is as it was then."""
        descriptor = -1
        if path is not None and path != SYSLOG:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._logfile, self._descriptor = path, descriptor

    # -- commands -----------------------------------------------------------------------------------------------------

    def _show_info(self, call: Call) -> None:
        call.print("iplog: ip/port/user logging plugin")
        if self._logfile is None:
            call.print("log disabled")
        elif self._logfile == SYSLOG:
            call.print("log on syslog")
        else:
            call.print(f"log on file {self._logfile}")
        call.print(f"GC interval {self._gc_interval_s} secs")
        call.print(f"GC expire {self._expire_s} secs")

    def _set_logfile(self, call: Call) -> None:
        """None: off; `-`: syslog. Refused: why it cannot be opened."""
        path: str | None = call.argument or None
        if path is not None and path != SYSLOG:
            path = os.path.realpath(path)
        try:
            self._open_log(path)
        except OSError as error:
            raise Refused(error.errno or errno.EIO, f"{path}: {error.strerror}") from None

    def _add_range(self, call: Call) -> None:
        """Refused: EINVAL, EEXIST, ENOSPC."""
        block = _range(call.argument)
        if block in self._ranges:
            raise Refused(errno.EEXIST, f"{block} is logged")
        if len(self._ranges) >= RANGES_MAX:
            raise Refused(errno.ENOSPC, f"{RANGES_MAX} ranges are possible")
        self._ranges.append(block)

    def _delete_range(self, call: Call) -> None:
        """Refused: EINVAL, ENOENT."""
        block = _range(call.argument)
        if block not in self._ranges:
            raise Refused(errno.ENOENT, f"{block} is not logged: iplog/list shows what is")
        self._ranges.remove(block)

    def _list_ranges(self, call: Call) -> None:
        for block in sorted(self._ranges, key=lambda block: block.version):
            call.print(f"  ipv{block.version}: {block}")

    def _set_gc_interval(self, call: Call) -> None:
        """Refused: EINVAL."""
        self._gc_interval_s = _seconds(call.argument)
        self._next_gc_ns = 0

    def _set_expire(self, call: Call) -> None:
        """Refused: EINVAL."""
        self._expire_s = _seconds(call.argument)

    def _list_all(self, call: Call) -> None:
        self._list(call, self._active(call.now_ns))

    def _list_port(self, call: Call) -> None:
        number = atoi(call.argument)
        self._list(call, (item for item in self._active(call.now_ns) if item[1].port == number))

    def _list_user(self, call: Call) -> None:
        """Refused: EINVAL."""
        if not call.argument:
            raise Refused(errno.EINVAL, "a user was expected")
        user = user_number(call.argument)
        self._list(call, (item for item in self._active(call.now_ns) if self._user(item[1].port) == user))

    def _search(self, call: Call) -> None:
        """Refused: EINVAL."""
        try:
            address = ip_address(call.argument)
        except ValueError as error:
            raise Refused(errno.EINVAL, str(error)) from None
        self._list(call, (item for item in self._active(call.now_ns) if item[0] == address))

    def _active(self, now_ns: int) -> Iterator[tuple[Address, Sighting]]:
        self._forget_silent(now_ns)
        return iter(self._seen.items())

    def _user(self, number: int) -> int | None:
        return self._switch.ports.get(number).current_user

    def _list(self, call: Call, items: Iterator[tuple[Address, Sighting]]) -> None:
        for address, sighting in sorted(items, key=lambda item: (item[0].version, int(item[0]))):
            user = user_name(self._user(sighting.port))
            call.print(f"{_shown(address)} port={sighting.port} user={user}")


def _shown(address: Address) -> str:
    """As inet_ntop(3) writes it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return f"ipv{address.version} {socket.inet_ntop(family, address.packed)}"


def _range(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise Refused(errno.EINVAL, str(error)) from None


def _seconds(text: str) -> int:
    seconds = atoi(text)
    if seconds < 0:
        raise Refused(errno.EINVAL, f"{seconds}: 0 to {INT_MAX} seconds are possible")
    return seconds
