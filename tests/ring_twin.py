"""The rings of `plugs/native/ring`, read and written from their description alone: the twin that the real ones are
compared with, and the peer that keeps to no rule.

One process uses both sides in turn, so no order of memory accesses matters here.
"""

import mmap
import os
import struct
from collections.abc import Sequence

HEADER = struct.Struct("=8sIII")
RECORD = struct.Struct("=II")
NUMBER = struct.Struct("=I")
CONTROLS = (512, 1024)
TAIL, SLEEPS, WAITS = 128, 256, 384
DATA = 4096


class RingTwin:
    """The connector's side of given descriptors, which it owns. It rings as it should, and never sleeps."""

    def __init__(self, given: Sequence[int]) -> None:
        self.given = list(given)
        self.ring_octets: int
        self.memory = mmap.mmap(given[0], 0)
        self.magic, self.version, self.ring_octets, self.frame_octets = HEADER.unpack_from(self.memory)

    def close(self) -> None:
        self.memory.close()
        for descriptor in self.given:
            os.close(descriptor)

    def number(self, ring: int, offset: int) -> int:
        value: int = NUMBER.unpack_from(self.memory, CONTROLS[ring] + offset)[0]
        return value

    def put_number(self, ring: int, offset: int, value: int) -> None:
        NUMBER.pack_into(self.memory, CONTROLS[ring] + offset, value & 0xFFFFFFFF)

    def send(self, frame: bytes) -> bool:
        head, tail = self.number(0, 0), self.number(0, TAIL)
        record = RECORD.pack(len(frame), 0) + frame + bytes(-len(frame) % 8)
        if len(record) > self.ring_octets - (head - tail) % (1 << 32):
            return False
        self._write(0, head, record)
        self.put_number(0, 0, head + len(record))
        if self.number(0, SLEEPS):
            self.put_number(0, SLEEPS, 0)
            os.eventfd_write(self.given[3], 1)
        return True

    def receive(self) -> bytes | None:
        head, tail = self.number(1, 0), self.number(1, TAIL)
        if head == tail:
            return None
        octets: int = RECORD.unpack(self._read(1, tail, RECORD.size))[0]
        frame = self._read(1, tail + RECORD.size, octets)
        self.put_number(1, TAIL, tail + RECORD.size + octets + -octets % 8)
        return frame

    def _at(self, ring: int, position: int) -> int:
        return DATA + ring * self.ring_octets + position % self.ring_octets

    def _write(self, ring: int, position: int, octets: bytes) -> None:
        first = min(len(octets), self.ring_octets - position % self.ring_octets)
        at = self._at(ring, position)
        self.memory[at : at + first] = octets[:first]
        at = self._at(ring, 0)
        self.memory[at : at + len(octets) - first] = octets[first:]

    def _read(self, ring: int, position: int, octets: int) -> bytes:
        first = min(octets, self.ring_octets - position % self.ring_octets)
        at, begin = self._at(ring, position), self._at(ring, 0)
        return self.memory[at : at + first] + self.memory[begin : begin + octets - first]
