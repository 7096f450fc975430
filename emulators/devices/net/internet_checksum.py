"""The Internet checksum (RFC 1071), as network cards compute it for their guests. Sans-I/O."""


def total(octets: bytes) -> int:
    """The sum of 16-bit words with end-around carry, 0 … 0xFFFE.

    It is a remainder modulo 0xFFFF, as 0x10000 is congruent to 1.
    """
    if len(octets) & 1:
        octets += b"\0"
    return int.from_bytes(octets, "big") % 0xFFFF


def checksum(octets: bytes) -> bytes:
    """The checksum; never 0, which would mean "none" to UDP."""
    return (0xFFFF - total(octets)).to_bytes(2, "big")
