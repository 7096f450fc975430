"""Images of floppy disks: plain sectors in the order of cylinder, head, sector; the size says the format.

Formats: IBM PC and PC/AT; data rates by the 82077AA datasheet (290166-007), table 2-1.
"""

from dataclasses import dataclass
from typing import Final

SECTOR: Final = 512
RATE_500K, RATE_300K, RATE_250K, RATE_1M = 0, 1, 2, 3  # the value of DSR's and CCR's low two bits


@dataclass(frozen=True, slots=True)
class Format:
    """One format, and the drive (CMOS type) in which it is used. `rates`: at which data rates a drive reads it."""

    name: str
    cylinders: int
    heads: int
    sectors: int
    drive: int
    rates: tuple[int, ...]

    @property
    def octets(self) -> int:
        """Size of the image."""
        return self.cylinders * self.heads * self.sectors * SECTOR


# CMOS drive types: 1: 360 K, 2: 1.2 M, 3: 720 K, 4: 1.44 M, 5: 2.88 M
FORMATS: Final = (
    Format("1.44M", 80, 2, 18, 4, (RATE_500K,)),
    Format("720K", 80, 2, 9, 4, (RATE_250K,)),
    Format("1.2M", 80, 2, 15, 2, (RATE_500K,)),
    Format("360K", 40, 2, 9, 1, (RATE_250K, RATE_300K)),
    Format("2.88M", 80, 2, 36, 5, (RATE_1M,)),
    Format("320K", 40, 2, 8, 1, (RATE_250K, RATE_300K)),
    Format("180K", 40, 1, 9, 1, (RATE_250K, RATE_300K)),
    Format("160K", 40, 1, 8, 1, (RATE_250K, RATE_300K)),
    Format("1.68M", 80, 2, 21, 4, (RATE_500K,)),
)


def find(octets: int) -> Format | None:
    """The format of an image of that size. A shorter one of whole sectors is the beginning of a 1.44M disk (boot
    loaders' images are)."""
    exact = next((form for form in FORMATS if form.octets == octets), None)
    if exact is None and 0 < octets < FORMATS[0].octets and octets % SECTOR == 0:
        return FORMATS[0]
    return exact
