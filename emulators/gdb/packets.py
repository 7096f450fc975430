"""Packets of GDB's remote serial protocol. Sans-I/O.

Specification: GDB manual, appendix E "GDB Remote Serial Protocol", "Overview".

    $DATA#CS    CS: sum of the data's octets modulo 256, two hexadecimal digits; `}` escapes: the next octet xor 0x20
    + -         acknowledged, send again; no more once `QStartNoAckMode` was answered
    0x03        interrupt

Limits: a packet has at most `PACKET_OCTETS` octets; a longer one is dropped whole, and counted with those whose sum is
wrong. Not supported: run-length encoding towards us (GDB does not use it), notifications.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

PACKET_OCTETS = 0x4000
"""Chosen: a page of memory in hexadecimal, twice."""
INTERRUPT = 0x03
_ESCAPED = b"#$}*"


@dataclass(frozen=True, slots=True)
class Packet:
    """A whole one, its sum right. `data` without escapes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Sign:
    """What is no packet."""

    kind: Literal["ack", "again", "interrupt", "damaged"]


class Parser:
    """Octets in any pieces → packets and signs.

    Attributes:
        damaged: packets that were dropped.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self._data: bytearray | None = None
        self._sum: bytearray | None = None
        self._too_long = False

    def receive(self, octets: bytes) -> Iterator[Packet | Sign]:
        """What is whole now."""
        for octet in octets:
            if self._sum is not None:
                self._sum.append(octet)
                if len(self._sum) == 2:
                    yield self._finish()
            elif self._data is not None:
                if octet == ord("#"):
                    self._sum = bytearray()
                elif octet == ord("$"):  # the one before was cut off
                    self._data, self._too_long = bytearray(), False
                elif len(self._data) < PACKET_OCTETS:
                    self._data.append(octet)
                else:
                    self._too_long = True
            elif octet == ord("$"):
                self._data, self._too_long = bytearray(), False
            elif octet == ord("+"):
                yield Sign("ack")
            elif octet == ord("-"):
                yield Sign("again")
            elif octet == INTERRUPT:
                yield Sign("interrupt")

    def _finish(self) -> Packet | Sign:
        assert self._data is not None
        assert self._sum is not None
        data, digits = bytes(self._data), bytes(self._sum)
        self._data = self._sum = None
        try:
            claimed = int(digits.decode("ascii"), 16) if digits.isalnum() else -1
        except ValueError:
            claimed = -1
        if self._too_long or claimed != sum(data) & 0xFF:
            self.damaged += 1
            return Sign("damaged")
        return Packet(unescape(data))


def unescape(data: bytes) -> bytes:
    """Undo `}`; one at the very end is dropped."""
    if b"}" not in data:
        return data
    result, escaped = bytearray(), False
    for octet in data:
        if escaped:
            result.append(octet ^ 0x20)
            escaped = False
        elif octet == ord("}"):
            escaped = True
        else:
            result.append(octet)
    return bytes(result)


def emit(data: bytes) -> bytes:
    """The packet for `data`."""
    escaped = bytearray()
    for octet in data:
        if octet in _ESCAPED:
            escaped += bytes((ord("}"), octet ^ 0x20))
        else:
            escaped.append(octet)
    return b"$" + bytes(escaped) + b"#%02x" % (sum(escaped) & 0xFF)
