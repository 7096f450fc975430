"""A user program's memory: what it has been given, and pointers of its own, which lead anywhere.

User addresses are physical ones: the processor's translation, whatever it is, is the identity there.

Threats: a pointer to nothing or into the kernel (`Refused` with EFAULT); lengths of gigabytes (`MOST_OCTETS` are read
or written at a time, `MOST_PAGES` can be had).
"""

import struct
from dataclasses import dataclass

from emulators.cpus.vm import Vm

PAGE = 4096
MOST_OCTETS = 1 << 20
MOST_PAGES = (256 << 20) // PAGE
EFAULT, ENOMEM = 14, 12


class Refused(Exception):
    """A system call's error number."""

    def __init__(self, errno: int) -> None:
        super().__init__(errno)
        self.errno = errno


@dataclass
class Memory:
    """The program's part of a `Vm`.

    Attributes:
        order: `<` or `>`.
        end: user addresses lie below.
    """

    vm: Vm
    order: str
    end: int

    def __post_init__(self) -> None:
        self.pages: set[int] = set()

    def map(self, address: int, octets: int) -> list[int]:
        """Zeros where nothing was yet; answers the pages' addresses. Raises Refused if it is too much."""
        first, behind = address & -PAGE, address + octets + PAGE - 1 & -PAGE
        if not 0 <= first <= behind <= self.end or (behind - first) // PAGE + len(self.pages) > MOST_PAGES:
            raise Refused(ENOMEM)
        start = None
        for page in range(first, behind + PAGE, PAGE):
            new = page < behind and page not in self.pages
            if new and start is None:
                start = page
            elif not new and start is not None:
                self.vm.add_memory(start, page - start)
                self.pages.update(range(start, page, PAGE))
                start = None
        return list(range(first, behind, PAGE))

    def read(self, address: int, octets: int) -> bytes:
        """Raises Refused."""
        self._check(address, octets)
        return self.vm.read(address, octets) if octets else b""

    def write(self, address: int, data: bytes) -> None:
        """Raises Refused."""
        self._check(address, len(data))
        if data:
            self.vm.write(address, data)

    def _check(self, address: int, octets: int) -> None:
        pages = range(address & -PAGE, address + octets, PAGE)
        if octets > MOST_OCTETS or address + octets > self.end or not self.pages.issuperset(pages):
            raise Refused(EFAULT)

    def words(self, address: int, count: int) -> tuple[int, ...]:
        """Unsigned ones of 32 bits. Raises Refused."""
        return struct.unpack(f"{self.order}{count}I", self.read(address, 4 * count))

    def put_words(self, address: int, *values: int) -> None:
        """Raises Refused."""
        self.write(address, struct.pack(f"{self.order}{len(values)}I", *values))

    def text(self, address: int) -> bytes:
        """Up to its zero, or a page's worth. Raises Refused."""
        found = bytearray()
        while len(found) < PAGE:
            piece = self.read(address + len(found), 1)
            if piece == b"\0":
                break
            found += piece
        return bytes(found)
