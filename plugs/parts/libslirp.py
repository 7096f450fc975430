"""libslirp, the user-mode TCP/IP of QEMU, through ctypes: one `Slirp` is one virtual network. No event loop here.

API: libslirp.h of libslirp 4.7 (BSD 3-clause), `SlirpConfig` versions 1 to 4, of which the library's own version tells
which it knows. The library is told the time, and is given frames; it answers with frames (`take_frames`), with the
descriptors that it waits for (`fill`), and with the time by which it wants to be called again.

    slirp.fill(...)  → {descriptor: events}, timeout        the owner waits for these
    slirp.poll(revents)                                     and says what became ready

It is neither reentrant nor safe between threads: whoever owns it calls it from one task.

Limits: `QUEUE_FRAMES` frames wait for the owner, further ones are dropped (TCP sends them again). Not supported:
state_save and state_load, guestfwd by callbacks.
"""

import ctypes
import ctypes.util
import ipaddress
import re
import select
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from vde.errors import ConfigError, InternalError

QUEUE_FRAMES = 1024  # chosen: a few windows of TCP
SONAME = "libslirp.so.0"
PACKAGE = "libslirp0"
FOREVER_MS = 0xFFFFFFFF
POLL_IN, POLL_OUT, POLL_PRI, POLL_ERR, POLL_HUP = 1, 2, 4, 8, 16  # libslirp.h: SLIRP_POLL_*
_EVENTS = (
    (POLL_IN, select.EPOLLIN),
    (POLL_OUT, select.EPOLLOUT),
    (POLL_PRI, select.EPOLLPRI),
    (POLL_ERR, select.EPOLLERR),
    (POLL_HUP, select.EPOLLHUP),
)
HOSTFWD_UDP, HOSTFWD_V6ONLY = 1, 2  # libslirp.h
_IN_ADDR = ctypes.c_uint32  # network byte order in memory
_IN6_ADDR = ctypes.c_uint32 * 4  # network byte order in memory, aligned as Linux has it


class _InAddr(ctypes.Structure):
    _fields_ = (("s_addr", _IN_ADDR),)


class _Callbacks(ctypes.Structure):
    """`SlirpCb`."""

    SEND = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    ERROR = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p)
    CLOCK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
    TIMER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    TIMER_NEW = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    TIMER_FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
    TIMER_MOD = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
    POLL_FD = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p)
    NOTIFY = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    _fields_ = (
        ("send_packet", SEND),
        ("guest_error", ERROR),
        ("clock_get_ns", CLOCK),
        ("timer_new", TIMER_NEW),
        ("timer_free", TIMER_FREE),
        ("timer_mod", TIMER_MOD),
        ("register_poll_fd", POLL_FD),
        ("unregister_poll_fd", POLL_FD),
        ("notify", NOTIFY),
        ("init_completed", ctypes.c_void_p),  # version 4
        ("timer_new_opaque", ctypes.c_void_p),  # version 4
    )


class _Config(ctypes.Structure):
    """`SlirpConfig`."""

    _fields_ = (
        ("version", ctypes.c_uint32),
        ("restricted", ctypes.c_int),
        ("in_enabled", ctypes.c_bool),
        ("vnetwork", _InAddr),
        ("vnetmask", _InAddr),
        ("vhost", _InAddr),
        ("in6_enabled", ctypes.c_bool),
        ("vprefix_addr6", _IN6_ADDR),
        ("vprefix_len", ctypes.c_uint8),
        ("vhost6", _IN6_ADDR),
        ("vhostname", ctypes.c_char_p),
        ("tftp_server_name", ctypes.c_char_p),
        ("tftp_path", ctypes.c_char_p),
        ("bootfile", ctypes.c_char_p),
        ("vdhcp_start", _InAddr),
        ("vnameserver", _InAddr),
        ("vnameserver6", _IN6_ADDR),
        ("vdnssearch", ctypes.POINTER(ctypes.c_char_p)),
        ("vdomainname", ctypes.c_char_p),
        ("if_mtu", ctypes.c_size_t),
        ("if_mru", ctypes.c_size_t),
        ("disable_host_loopback", ctypes.c_bool),
        ("enable_emu", ctypes.c_bool),
        ("outbound_addr", ctypes.c_void_p),  # version 2
        ("outbound_addr6", ctypes.c_void_p),  # version 2
        ("disable_dns", ctypes.c_bool),  # version 3
        ("disable_dhcp", ctypes.c_bool),  # version 4
    )


_ADD_POLL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_GET_REVENTS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)


def load() -> ctypes.CDLL:
    """The library.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        library = ctypes.CDLL(SONAME)
    except OSError:
        raise ConfigError(f"{SONAME} is not there: install the Debian package {PACKAGE}") from None
    void, integer, word, pointer = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.POINTER
    for name, result, arguments in (
        ("slirp_version_string", ctypes.c_char_p, ()),
        ("slirp_new", void, (pointer(_Config), pointer(_Callbacks), void)),
        ("slirp_cleanup", None, (void,)),
        ("slirp_pollfds_fill", None, (void, pointer(ctypes.c_uint32), _ADD_POLL, void)),
        ("slirp_pollfds_poll", None, (void, integer, _GET_REVENTS, void)),
        ("slirp_input", None, (void, ctypes.c_char_p, integer)),
        ("slirp_add_hostxfwd", integer, (void, ctypes.c_char_p, word, ctypes.c_char_p, word, integer)),
        ("slirp_add_hostfwd", integer, (void, integer, _InAddr, integer, _InAddr, integer)),
        ("slirp_add_unix", integer, (void, ctypes.c_char_p, pointer(_InAddr), integer)),
        ("slirp_add_exec", integer, (void, ctypes.c_char_p, pointer(_InAddr), integer)),
    ):  # fmt: skip
        function = getattr(library, name, None)
        if function is not None:  # slirp_add_hostxfwd came with 4.5
            function.restype, function.argtypes = result, arguments
    return library


def version(library: ctypes.CDLL) -> tuple[int, int]:
    """Of the library: (4, 7)."""
    found = re.match(r"(\d+)\.(\d+)", library.slirp_version_string().decode())
    return (int(found[1]), int(found[2])) if found else (4, 0)


def config_version(library_version: tuple[int, int]) -> int:
    """The newest `SlirpConfig` that both know: libslirp's CHANGELOG, 4.1, 4.3, 4.4 and 4.7."""
    for least, known in (((4, 7), 4), ((4, 4), 3), ((4, 3), 2)):
        if library_version >= least:
            return known
    return 1


@dataclass(frozen=True)
class Network:
    """The virtual network that a `Slirp` is.

    Attributes:
        network4, host4, nameserver4, dhcp_start: None: no IPv4.
        prefix6, host6, nameserver6: None: no IPv6.
        restricted: guests reach nothing but what is forwarded to them.
        host_loopback: guests reach the host's loopback by the host's virtual address.
        mtu_octets: of the network layer, both ways; 0: libslirp's.
    """

    network4: ipaddress.IPv4Network | None
    host4: IPv4Address | None
    nameserver4: IPv4Address | None
    dhcp_start: IPv4Address | None
    network6: ipaddress.IPv6Network | None
    host6: IPv6Address | None
    nameserver6: IPv6Address | None
    hostname: str | None = None
    domain: str | None = None
    search: tuple[str, ...] = ()
    tftp_name: str | None = None
    tftp_path: str | None = None
    bootfile: str | None = None
    mtu_octets: int = 0
    mru_octets: int = 0
    restricted: bool = False
    host_loopback: bool = True
    dhcp: bool = True
    dns: bool = True


@dataclass
class _Timer:
    call: Callable[[], None]
    due_ms: int | None = None


@dataclass
class Counters:
    """What went wrong in it."""

    overflowed_frames: int = 0
    guest_errors: int = 0
    last_error: str = field(default="")


class Slirp:
    """One virtual network. `close` it."""

    def __init__(self, network: Network, now_ns: Callable[[], int]) -> None:
        """Make it.

        Raises:
            ConfigError: no library, or it refuses the addresses, or is too old for what is asked.
        """
        self._library = load()
        self._now_ns = now_ns
        self.counters = Counters()
        self._frames: deque[bytes] = deque()
        self._timers: dict[int, _Timer] = {}
        self._next_timer = 1
        self._polled: list[tuple[int, int]] = []
        self._ready: Mapping[int, int] = {}
        self.version = version(self._library)
        config, self._kept = self._config(network)
        kind = _Callbacks
        self._callbacks = _Callbacks(
            send_packet=kind.SEND(self._send_packet),
            guest_error=kind.ERROR(self._guest_error),
            clock_get_ns=kind.CLOCK(lambda _: self._now_ns()),
            timer_new=kind.TIMER_NEW(self._timer_new),
            timer_free=kind.TIMER_FREE(lambda timer, _: self._timers.pop(timer or 0, None) and None),
            timer_mod=kind.TIMER_MOD(self._timer_mod),
            register_poll_fd=kind.POLL_FD(lambda fd, _: None),  # `fill` names them all, every time
            unregister_poll_fd=kind.POLL_FD(lambda fd, _: None),
            notify=kind.NOTIFY(lambda _: None),  # nobody waits while the library runs: there is one task
        )
        self._add_poll = _ADD_POLL(self._on_add_poll)
        self._get_revents = _GET_REVENTS(self._on_get_revents)
        self._slirp = self._library.slirp_new(ctypes.byref(config), ctypes.byref(self._callbacks), None)
        if not self._slirp:
            raise ConfigError(f"libslirp refuses this network: {network}")

    def _config(self, network: Network) -> tuple[_Config, list[Any]]:
        known = config_version(self.version)
        if not network.dns and known < 3:
            raise ConfigError(f"dns=off needs libslirp 4.4; this is {self.version[0]}.{self.version[1]}")
        if not network.dhcp and known < 4:
            raise ConfigError(f"dhcp=off needs libslirp 4.7; this is {self.version[0]}.{self.version[1]}")
        config = _Config(
            version=known,
            restricted=network.restricted,
            disable_host_loopback=not network.host_loopback,
            disable_dns=not network.dns,
            disable_dhcp=not network.dhcp,
            if_mtu=network.mtu_octets,
            if_mru=network.mru_octets or network.mtu_octets,
            vhostname=_text(network.hostname),
            vdomainname=_text(network.domain),
            tftp_server_name=_text(network.tftp_name),
            tftp_path=_text(network.tftp_path),
            bootfile=_text(network.bootfile),
        )
        if network.network4 is not None:
            assert network.host4
            assert network.nameserver4
            assert network.dhcp_start
            config.in_enabled = True
            config.vnetwork = in_addr(network.network4.network_address)
            config.vnetmask = in_addr(network.network4.netmask)
            config.vhost = in_addr(network.host4)
            config.vdhcp_start = in_addr(network.dhcp_start)
            config.vnameserver = in_addr(network.nameserver4)
        if network.network6 is not None:
            assert network.host6
            assert network.nameserver6
            config.in6_enabled = True
            config.vprefix_addr6 = in6_addr(network.network6.network_address)
            config.vprefix_len = network.network6.prefixlen
            config.vhost6 = in6_addr(network.host6)
            config.vnameserver6 = in6_addr(network.nameserver6)
        kept: list[Any] = [config]
        if network.search:
            names = (ctypes.c_char_p * (len(network.search) + 1))(*[name.encode() for name in network.search], None)
            config.vdnssearch = ctypes.cast(names, ctypes.POINTER(ctypes.c_char_p))
            kept.append(names)
        return config, kept

    def close(self) -> None:
        """Close its sockets, and free it. May be called twice."""
        if self._slirp:
            self._library.slirp_cleanup(self._slirp)
            self._slirp = None

    def input(self, frame: bytes) -> None:
        """A guest sent this frame."""
        self._library.slirp_input(self._alive(), frame, len(frame))

    def take_frames(self, most: int) -> list[bytes]:
        """Frames for guests, the oldest first."""
        return [self._frames.popleft() for _ in range(min(most, len(self._frames)))]

    @property
    def has_frames(self) -> bool:
        """Does `take_frames` have any?"""
        return bool(self._frames)

    def fill(self) -> tuple[dict[int, int], int | None]:
        """What to wait for now: epoll events by descriptor, and for how long in milliseconds (None: for ever)."""
        timeout = ctypes.c_uint32(FOREVER_MS)
        self._polled = []
        self._library.slirp_pollfds_fill(self._alive(), ctypes.byref(timeout), self._add_poll, None)
        wanted: dict[int, int] = {}
        for descriptor, events in self._polled:
            wanted[descriptor] = wanted.get(descriptor, 0) | events
        waits = [] if timeout.value >= 0x7FFFFFFF else [timeout.value]
        now_ms = self._now_ns() // 1_000_000
        waits += [max(timer.due_ms - now_ms, 0) for timer in self._timers.values() if timer.due_ms is not None]
        return wanted, min(waits, default=None)

    def poll(self, ready: Mapping[int, int]) -> None:
        """Work: `ready` is the epoll events by descriptor, after `fill`. Timers that are due are called as well."""
        self._ready = ready
        self._library.slirp_pollfds_poll(self._alive(), 0, self._get_revents, None)
        now_ms = self._now_ns() // 1_000_000
        for timer in list(self._timers.values()):
            if timer.due_ms is not None and timer.due_ms <= now_ms:
                timer.due_ms = None
                timer.call()

    def forward(
        self, udp: bool, host: IPv4Address | IPv6Address, port: int, guest: IPv4Address | IPv6Address, guest_port: int
    ) -> bool:
        """Listen on the host's (host, port) for (guest, guest_port); False: the kernel refuses the address."""
        flags = (HOSTFWD_UDP if udp else 0) | (HOSTFWD_V6ONLY if host.version == 6 else 0)
        listen, target = sockaddr(host, port), sockaddr(guest, guest_port)
        if hasattr(self._library, "slirp_add_hostxfwd"):
            status: int = self._library.slirp_add_hostxfwd(
                self._alive(), listen, len(listen), target, len(target), flags
            )
        elif isinstance(host, IPv4Address) and isinstance(guest, IPv4Address):
            status = self._library.slirp_add_hostfwd(
                self._alive(), udp, in_addr(host), port, in_addr(guest), guest_port
            )
        else:
            raise ConfigError("forwarding of IPv6 ports needs libslirp 4.5")
        return status == 0

    def forward_to_unix(self, path: str, guest: IPv4Address | None, port: int) -> bool:
        """Connections of guests to (guest, port) go to a Unix socket of the host; None: number 4 of the network."""
        address = ctypes.byref(in_addr(guest) if guest else _InAddr(0))
        return bool(self._library.slirp_add_unix(self._alive(), path.encode(), address, port) == 0)

    def forward_to_command(self, command: str, guest: IPv4Address | None, port: int) -> bool:
        """Connections of guests to (guest, port) start a command of the host."""
        address = ctypes.byref(in_addr(guest) if guest else _InAddr(0))
        return bool(self._library.slirp_add_exec(self._alive(), command.encode(), address, port) == 0)

    def _alive(self) -> int:
        if not self._slirp:
            raise InternalError("a Slirp was used after close()")
        return int(self._slirp)

    def _send_packet(self, octets: int, length: int, _opaque: Any) -> int:
        if len(self._frames) >= QUEUE_FRAMES:
            self.counters.overflowed_frames += 1
        else:
            self._frames.append(ctypes.string_at(octets, length))
        return length

    def _guest_error(self, message: bytes, _opaque: Any) -> None:
        self.counters.guest_errors += 1
        self.counters.last_error = message[:200].decode(errors="replace")

    def _timer_new(self, call: int, argument: int, _opaque: Any) -> int:
        function = _Callbacks.TIMER(call)
        number, self._next_timer = self._next_timer, self._next_timer + 1
        self._timers[number] = _Timer(lambda: function(argument))
        return number

    def _timer_mod(self, timer: int, expire_ms: int, _opaque: Any) -> None:
        self._timers[timer].due_ms = expire_ms

    def _on_add_poll(self, descriptor: int, events: int, _opaque: Any) -> int:
        self._polled.append((descriptor, sum(flag for slirp, flag in _EVENTS if events & slirp)))
        return len(self._polled) - 1

    def _on_get_revents(self, index: int, _opaque: Any) -> int:
        ready = self._ready.get(self._polled[index][0], 0)
        return sum(slirp for slirp, flag in _EVENTS if ready & flag)


def in_addr(address: IPv4Address) -> _InAddr:
    """`struct in_addr`."""
    return _InAddr(*struct.unpack("=I", address.packed))


def in6_addr(address: IPv6Address) -> ctypes.Array[ctypes.c_uint32]:
    """`struct in6_addr`."""
    return _IN6_ADDR(*struct.unpack("=4I", address.packed))


def sockaddr(address: IPv4Address | IPv6Address, port: int) -> bytes:
    """`struct sockaddr_in` or `sockaddr_in6` of Linux."""
    if isinstance(address, IPv4Address):
        return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + address.packed + bytes(8)
    return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0) + address.packed + struct.pack("=I", 0)


def _text(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
