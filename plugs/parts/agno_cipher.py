"""The frames of agno://. Sans-I/O.

    offset size
    0      12   destination and source address, in clear
    12     2    EtherType, in clear: as configured
    14     16   header, AES-128-ECB:
                0  2  EtherType of the frame, big-endian
                2  1  bits 3:0 how many octets of the payload are padding; bits 7:4 0
                3  1  0
                4  4  "agno"
                8  4  seconds since 1970, big-endian
                12 4  random octets
    30     16…  payload, padded with zeros, AES-128-CBC; its initial vector is the header in clear

Source: libvdeplug-agno 0.1, as observed. Whatever its outer EtherType, a frame is taken if its header says "agno".

Limits of the format, which are libvdeplug's: addresses are in clear; nothing is authenticated (bits may be changed, if
blindly); a frame can be replayed within `LATEST_S` seconds; a single key for all and for ever.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from vde.errors import WireError
from vde.frame import HEADER_OCTETS

KEY_OCTETS = BLOCK_OCTETS = 16
TAG = b"agno"
PADDING_MASK = 0x0F
EARLIEST_S, LATEST_S = -1, 2
"""Age of a frame that is accepted, by the receiver's clock."""
LEAST_OCTETS = HEADER_OCTETS + BLOCK_OCTETS


@dataclass(frozen=True, slots=True)
class Header:
    """The block in clear."""

    ethertype: bytes
    padding: int
    time_s: int
    random: bytes

    def emit(self) -> bytes:
        """16 octets."""
        return self.ethertype + bytes([self.padding, 0]) + TAG + (self.time_s & 0xFFFFFFFF).to_bytes(4) + self.random


def parse(block: bytes) -> Header:
    """A block in clear.

    Raises:
        WireError: it is none; the key may be another.
    """
    if len(block) != BLOCK_OCTETS or block[4:8] != TAG:
        raise WireError("an agno header was expected")
    return Header(block[:2], block[2] & PADDING_MASK, int.from_bytes(block[8:12]), block[12:])


def longest_within(octets: int) -> int:
    """Length of the longest frame that is encrypted in at most `octets`."""
    return HEADER_OCTETS + (octets - LEAST_OCTETS) // BLOCK_OCTETS * BLOCK_OCTETS


class AgnoCipher:
    """Frames to encrypted frames, and back."""

    def __init__(self, key: bytes) -> None:
        """`key`: 16 octets."""
        self._algorithm = algorithms.AES(key)
        block_by_block = Cipher(self._algorithm, modes.ECB())
        self._encrypt_block = block_by_block.encryptor().update
        self._decrypt_block = block_by_block.decryptor().update

    def seal(self, frame: bytes, outer_type: bytes, time_s: int, random: bytes) -> bytes:
        """A frame of at least 14 octets as it leaves."""
        payload = frame[HEADER_OCTETS:]
        padding = -len(payload) % BLOCK_OCTETS
        header = Header(frame[12:14], padding, time_s, random).emit()
        encryptor = Cipher(self._algorithm, modes.CBC(header)).encryptor()
        body = encryptor.update(payload + bytes(padding)) + encryptor.finalize()
        return frame[:12] + outer_type + self._encrypt_block(header) + body

    def open(self, sealed: bytes, now_s: int) -> bytes | str:
        """The frame in one that came; or, in one word, why there is none: `key` (or no agno frame), `time`, `short`."""
        size = len(sealed) - LEAST_OCTETS
        if size < 0:
            return "short"
        block = self._decrypt_block(sealed[HEADER_OCTETS:LEAST_OCTETS])
        try:
            header = parse(block)
        except WireError:
            return "key"
        age = (now_s - header.time_s + (1 << 31)) % (1 << 32) - (1 << 31)
        if not EARLIEST_S <= age <= LATEST_S:
            return "time"
        size -= size % BLOCK_OCTETS  # a network may pad short frames
        if header.padding > size:
            return "short"
        decryptor = Cipher(self._algorithm, modes.CBC(block)).decryptor()
        payload = decryptor.update(sealed[LEAST_OCTETS : LEAST_OCTETS + size]) + decryptor.finalize()
        return sealed[:12] + header.ethertype + payload[: size - header.padding]
