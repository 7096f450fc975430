"""Ethernet II frames and 802.1Q tags, as octets without FCS.

    offset size
    0      6    destination address
    6      6    source address
    12     2    EtherType, or 0x8100 (then: 14, 2: TCI = PCP 3 bits, DEI 1, VID 12; 16, 2: EtherType)

Sources: IEEE 802.3-2018 §3.1.1, IEEE 802.1Q-2018 §9.6.
"""

from vde.errors import WireError

HEADER_OCTETS = 14
TAG_OCTETS = 4
TPID = b"\x81\x00"  # IEEE 802.1Q-2018 table 9-1, C-TAG
VID_MASK = 0x0FFF
GROUP_BIT = 0x01  # first octet of an address: IEEE 802-2014 §8.2.2
MTU_OCTETS = 9216 + HEADER_OCTETS + TAG_OCTETS  # the buffer of libvdeplug4's clients: 9234


def is_group(address: bytes) -> bool:
    """Is this 6-octet address (or frame: its destination) broadcast or multicast?"""
    return bool(address[0] & GROUP_BIT)


def parse_mac(text: str) -> bytes:
    """`02:00:00:00:00:01` or `02.00.00.00.00.01` (each part 1 or 2 hexadecimal digits) → 6 octets.

    Raises:
        WireError: the text is anything else.
    """
    parts = text.strip().replace(".", ":").split(":")
    if len(parts) != 6 or not all(1 <= len(part) <= 2 and part.isascii() for part in parts):
        raise WireError(f"{text!r} is no Ethernet address: six hexadecimal octets joined by ':' were expected")
    try:
        return bytes(int(part, 16) for part in parts)
    except ValueError:
        raise WireError(f"{text!r} is no Ethernet address: {parts} are not all hexadecimal") from None


def format_mac(address: bytes) -> str:
    """Six octets → `02:00:00:00:00:01`."""
    return address.hex(":")
