"""Random octets that follow from a seed: for runs that are to be the same twice.

Octet n of the stream is octet n mod 64 of BLAKE2b(seed, key "vde guest", n div 64): RFC 7693. Not for secrets. A
guest that is restored begins at the stream's beginning again.
"""

import hashlib
from typing import Final

BLOCK_OCTETS: Final = 64


class Seeded:
    """One stream. `octets` is what `Surroundings.random` is."""

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()
        self._block = 0
        self._left = b""

    def octets(self, count: int) -> bytes:
        """The next ones."""
        parts = [self._left]
        have = len(self._left)
        while have < count:
            number = self._block.to_bytes(8, "little")
            parts.append(hashlib.blake2b(number + self._seed, digest_size=BLOCK_OCTETS, key=b"vde guest").digest())
            self._block += 1
            have += BLOCK_OCTETS
        whole = b"".join(parts)
        self._left = whole[count:]
        return whole[:count]
