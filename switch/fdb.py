"""The learning table: which port an address of a VLAN was last heard on.

Source: IEEE 802.1Q-2018 §8.8 (filtering database), with vde_switch's rule that an address stays where it is until it
has been unheard of for a while (`min_persistence_ns`), so that a forged or looped frame does not steal it at once.

Sans-I/O. Bounds: the whole table, and each port if it has a limit. Static entries are not supported.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from switch.forwarding.terms import FdbEntry


class Outcome(Enum):
    """What `LearningTable.learn` did."""

    REFRESHED = auto()
    """Known on this port."""
    LEARNED = auto()
    """New, or moved to this port."""
    HELD = auto()
    """Heard on another port too recently: the entry stays."""
    FULL = auto()
    """A limit does not allow it."""


@dataclass(slots=True)
class _Entry:
    port: int
    last_seen_ns: int
    serial: int


class LearningTable:
    """(address, VLAN) → port."""

    def __init__(self, addresses_max: int) -> None:
        self.addresses_max = addresses_max
        self.expire_ns = 100_000_000_000  # vde_switch's defaults: 100 s, 3 s
        self.min_persistence_ns = 3_000_000_000
        self._entries: dict[tuple[bytes, int], _Entry] = {}
        self._on_port: Counter[int] = Counter()
        self._serial = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[FdbEntry]:
        for (mac, vlan), entry in self._entries.items():
            yield FdbEntry(mac, vlan, entry.port, entry.last_seen_ns, entry.serial)

    def lookup(self, mac: bytes, vlan: int) -> FdbEntry | None:
        """The whole entry."""
        entry = self._entries.get((mac, vlan))
        return None if entry is None else FdbEntry(mac, vlan, entry.port, entry.last_seen_ns, entry.serial)

    def port_of(self, mac: bytes, vlan: int) -> int | None:
        """Where a frame to `mac` goes; None: unknown."""
        entry = self._entries.get((mac, vlan))
        return None if entry is None else entry.port

    def learn(self, mac: bytes, vlan: int, port: int, port_addresses_max: int | None, now_ns: int) -> Outcome:
        """`mac` was heard on `port`."""
        entry = self._entries.get((mac, vlan))
        if entry is not None and entry.port == port:
            entry.last_seen_ns = now_ns
            return Outcome.REFRESHED
        if entry is not None and now_ns - entry.last_seen_ns <= self.min_persistence_ns:
            return Outcome.HELD
        if port_addresses_max is not None and self._on_port[port] >= port_addresses_max:
            return Outcome.FULL
        if entry is not None:
            self._on_port[entry.port] -= 1
        elif len(self._entries) >= self.addresses_max:
            return Outcome.FULL
        self._serial += 1
        self._entries[mac, vlan] = _Entry(port, now_ns, self._serial)
        self._on_port[port] += 1
        return Outcome.LEARNED

    def expire(self, now_ns: int) -> list[FdbEntry]:
        """Forget what has not been heard of for longer than `expire_ns`. As `forget_port`."""
        oldest_ns = now_ns - self.expire_ns
        return self._forget([key for key, entry in self._entries.items() if entry.last_seen_ns < oldest_ns])

    def forget_port(self, port: int, of: Callable[[int], bool] = lambda _: True) -> list[FdbEntry]:
        """Forget a port's addresses in the VLANs that `of` names; returns them in the order of their learning."""
        return self._forget([key for key, entry in self._entries.items() if entry.port == port and of(key[1])])

    def forget_vlans(self, of: Callable[[int], bool]) -> list[FdbEntry]:
        """Forget the addresses in the VLANs that `of` names. As `forget_port`."""
        return self._forget([key for key in self._entries if of(key[1])])

    def forget_all(self) -> list[FdbEntry]:
        """Forget every address. As `forget_port`."""
        return self._forget(list(self._entries))

    def _forget(self, keys: list[tuple[bytes, int]]) -> list[FdbEntry]:
        gone = []
        for mac, vlan in keys:
            entry = self._entries.pop((mac, vlan))
            self._on_port[entry.port] -= 1
            gone.append(FdbEntry(mac, vlan, entry.port, entry.last_seen_ns, entry.serial))
        gone.sort(key=lambda entry: entry.serial)
        return gone
