"""What IDENTIFY DEVICE and IDENTIFY PACKET DEVICE answer.

Specification: ATA/ATAPI-6, §8.15 table 27 and §8.16 table 30. Words that are not named here are zero.
"""

import struct
from dataclasses import dataclass
from typing import Final

FIRMWARE: Final = "1.0"
MOST_MULTIPLE: Final = 16  # sectors of a DRQ block, chosen: a page of memory
LBA28_SECTORS: Final = 0x0FFFFFFF
CHS_CYLINDERS: Final = 16383  # word 1, for disks of 8 GB and more

# Word 49
DMA, LBA, IORDY, STANDBY_TIMER = 1 << 8, 1 << 9, 3 << 10, 1 << 13
# Words 82 to 84 (supported) and 85 to 87 (on)
WRITE_CACHE, POWER_MANAGEMENT, PACKET, LOOK_AHEAD, DEVICE_RESET = 1 << 5, 1 << 3, 1 << 4, 1 << 6, 1 << 9
NOP: Final = 1 << 14
LBA48, FLUSH, FLUSH_EXT = 1 << 10, 1 << 12, 1 << 13
VALID: Final = 1 << 14
# Word 80: ATA-2 … ATA/ATAPI-6
MAJOR_VERSION: Final = 0x7C
CHECKSUM_SIGNATURE: Final = 0xA5  # word 255


@dataclass
class Modes:
    """Transfer modes that SET FEATURES chose: multiword and ultra DMA, as bits of words 63 and 88 (one or none)."""

    multiword: int = 1 << 2
    ultra: int = 0


def text(words: list[int], first: int, count: int, value: str) -> None:
    """A string, two characters a word, the first in the high octet (§8.15.8)."""
    octets = value.encode("ascii", "replace")[: 2 * count].ljust(2 * count)
    words[first : first + count] = struct.unpack(f">{count}H", octets)


def _finish(words: list[int]) -> bytes:
    """Word 255: the sum of all octets is 0."""
    octets = bytearray(struct.pack("<256H", *words))
    octets[510] = CHECKSUM_SIGNATURE
    octets[511] = -sum(octets[:511]) & 0xFF
    return bytes(octets)


def _modes(words: list[int], modes: Modes) -> None:
    words[53] = 0x0006  # words 64 to 70 and 88 are valid
    words[63] = 0x0007 | modes.multiword << 8
    words[64] = 0x0003  # PIO modes 3 and 4
    words[65] = words[66] = words[67] = words[68] = 120  # ns a cycle
    words[88] = 0x0007 | modes.ultra << 8  # ultra DMA 0 … 2: what a PIIX4 and a 40-wire cable allow
    words[93] = 0x4001  # hardware reset result; a 40-wire cable


def disk(
    *,
    sectors: int,
    geometry: tuple[int, int, int],
    current: tuple[int, int, int],
    multiple: int,
    modes: Modes,
    serial: str,
    model: str,
    write_cache: bool,
    look_ahead: bool,
) -> bytes:
    """Of a disk.

    Args:
        geometry: cylinders, heads, sectors by default.
        current: as INITIALIZE DEVICE PARAMETERS has them.
        multiple: sectors a DRQ block of READ MULTIPLE, 0: not set.
    """
    words = [0] * 256
    words[0] = 0x0040  # not removable
    words[1], words[3], words[6] = geometry
    text(words, 10, 10, serial)
    text(words, 23, 4, FIRMWARE)
    text(words, 27, 20, model)
    words[47] = 0x8000 | MOST_MULTIPLE
    words[48] = 1  # 32-bit accesses to the data register, as the obsolete word had it
    words[49] = DMA | LBA | IORDY | STANDBY_TIMER
    words[50] = 0x4000
    words[51] = 2 << 8  # PIO timing mode, obsolete
    _modes(words, modes)
    words[53] |= 1  # words 54 to 58 are valid
    words[54:57] = current
    capacity = current[0] * current[1] * current[2]
    words[57], words[58] = capacity & 0xFFFF, capacity >> 16
    words[59] = 0x100 | multiple if multiple else 0
    addressable = min(sectors, LBA28_SECTORS)
    words[60], words[61] = addressable & 0xFFFF, addressable >> 16
    words[80] = MAJOR_VERSION
    words[82] = WRITE_CACHE | POWER_MANAGEMENT | LOOK_AHEAD | NOP
    words[83] = VALID | LBA48 | FLUSH | FLUSH_EXT
    words[84] = words[87] = VALID
    words[85] = POWER_MANAGEMENT | NOP | WRITE_CACHE * write_cache | LOOK_AHEAD * look_ahead
    words[86] = LBA48 | FLUSH | FLUSH_EXT
    for place in range(4):
        words[100 + place] = sectors >> 16 * place & 0xFFFF
    return _finish(words)


def cdrom(*, modes: Modes, serial: str, model: str) -> bytes:
    """Of a CD-ROM drive."""
    words = [0] * 256
    words[0] = 0x85C0  # ATAPI, CD-ROM, removable, DRQ within 50 µs, packets of 12 octets
    text(words, 10, 10, serial)
    text(words, 23, 4, FIRMWARE)
    text(words, 27, 20, model)
    words[49] = DMA | LBA | IORDY
    _modes(words, modes)
    words[80] = MAJOR_VERSION
    words[82] = words[85] = PACKET | DEVICE_RESET | NOP
    words[83] = words[84] = words[87] = VALID
    return _finish(words)
