"""The hash of multicast addresses: which of 64 bits an address selects.

Specification: IEEE 802.3 clause 3.2.9 (the CRC); DP8390D datasheet, "Multicast Address Registers"; RTL8139 datasheet,
MAR0–7. These chips take the six upper bits of the CRC register after the six octets of the address; the Am79C970A
takes the lower six, in the order of zlib (`emulators.devices.net.pcnet_data_path`).
"""

import zlib
from typing import Final

BROADCAST: Final = b"\xff" * 6
_REVERSED: Final = tuple(int(f"{number:06b}"[::-1], 2) for number in range(64))


def upper_hash(address: bytes) -> int:
    """0 … 63: the six upper bits of the CRC register, which zlib keeps the other way round and complemented."""
    return _REVERSED[~zlib.crc32(address) & 0x3F]
