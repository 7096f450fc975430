"""Images of firmware for a PC: the BIOS at the top of 4 GiB, and option ROMs of cards.

Specification: Plug and Play BIOS 1.0A (1994), §3.2 (option ROM header: 55 AA, octets / 512, sum 0); PCI Firmware 3.0
§5.1 (the structure of a PCI option ROM names vendor and device).
"""

import struct
from typing import Final

from vde.errors import ConfigError

BIOS_GRAIN: Final = 0x10000
BIOS_LEAST, BIOS_MOST = 0x10000, 0x1000000
OPTION_MAGIC: Final = b"\x55\xaa"
OPTION_GRAIN: Final = 512
OPTION_MOST: Final = 255 * OPTION_GRAIN
PCI_POINTER_AT: Final = 0x18
PCI_MAGIC: Final = b"PCIR"


def check_bios(image: bytes, name: str) -> bytes:
    """An image that a PC can be switched on with.

    Raises:
        ConfigError: of a size that none has.
    """
    if not BIOS_LEAST <= len(image) <= BIOS_MOST or len(image) % BIOS_GRAIN:
        raise ConfigError(
            f"{name}: firmware of {len(image)} octets; a multiple of 64K, from 64K to 16M, such as "
            "SeaBIOS' bios-256k.bin, was expected"
        )
    if image[-16:] in (bytes(16), b"\xff" * 16):
        raise ConfigError(f"{name}: firmware without a first instruction (its last 16 octets are empty)")
    return image


def check_option(image: bytes, name: str) -> bytes:
    """An option ROM: exactly as long as it says, its sum 0.

    Raises:
        ConfigError: it is none, cut off, or damaged.
    """
    if image[:2] != OPTION_MAGIC:
        raise ConfigError(f"{name}: not an option ROM (it begins with {image[:2].hex(' ') or 'nothing'}, not 55 aa)")
    octets = (image[2] if len(image) > 2 else 0) * OPTION_GRAIN
    if not octets or len(image) < octets:
        raise ConfigError(f"{name}: an option ROM of {len(image)} octets that says that it has {octets}")
    if any(image[octets:]) and set(image[octets:]) != {0xFF} and not _more(image):
        raise ConfigError(f"{name}: an option ROM that says that it has {octets} octets; the file has {len(image)}")
    if total := sum(image[:octets]) & 0xFF:
        raise ConfigError(f"{name}: an option ROM whose octets add up to {total:#04x}, not 0: it is damaged")
    return image


def pci_identity(image: bytes) -> tuple[int, int] | None:
    """Vendor and device of the card that the ROM is for."""
    at = _pci(image)
    if at is None:
        return None
    vendor, device = struct.unpack_from("<HH", image, at + 4)
    return vendor, device


def _pci(image: bytes) -> int | None:
    if len(image) < PCI_POINTER_AT + 2:
        return None
    at = int.from_bytes(image[PCI_POINTER_AT : PCI_POINTER_AT + 2], "little")
    return at if image[at : at + 4] == PCI_MAGIC and at + 24 <= len(image) else None


def _more(image: bytes) -> bool:
    """Is another image behind the first (PCI Firmware 3.0 §5.1.1, the indicator's bit 7 is clear)?"""
    at = _pci(image)
    return at is not None and not image[at + 21] & 0x80
