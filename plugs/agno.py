"""agno:// — another plug, with what passes encrypted (AES-128): "agnostic" of what network that is.

    agno://{vxvde://234.0.0.1}                            the key is in ~/.vde_agno_key
    agno:///etc/vde/key[ethtype=copy]{vde:///run/sw}
    agno://~/keys/lab{udp://:5000->10.0.0.2:5000}

The key file: an absolute path, or one that begins with `~` (your home directory). Its first 32 hexadecimal digits are
the key; other characters count for nothing, digits that are missing are 0, fewer than two are an error. `ethtype` is
the EtherType that the network sees: a number from 0x600 to 0xfffe (default 0xa6de), `copy` (the frame's own), `ipv4`,
`ipv6`, or `rand` (another one for each frame). Frames with any EtherType are received.

A frame is taken if it was sent not more than 2 s ago, or not more than 1 s in the future: clocks must agree. Dropped
and counted: `key` (another key, or no agno frame), `time`, `short`.

Peer: libvdeplug-agno 0.1.1. One fault of it is kept, so that one key file serves both: an upper-case `A` in the key
file counts as 1 (a warning says so; write `a`). Difference, on purpose: what a network added to a frame, less than a
block of 16 octets, is cut off (the original hands it out).

Limits: this is what libvdeplug has, not what one would invent today. Addresses and lengths are in clear, nothing is
authenticated, frames can be replayed for two seconds; dtls:// has none of these faults. A frame grows by 16 octets and
by its padding to a multiple of 16.
"""

import os
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from plugs.parts.agno_cipher import KEY_OCTETS, AgnoCipher, longest_within
from plugs.parts.nested import NestedLink
from vde.errors import ConfigError
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings, option

DEFAULT_KEY = "~/.vde_agno_key"
KEY_FILE_OCTETS = 1 << 16  # chosen: what is read of it
ETHERTYPE_LEAST, ETHERTYPE_MOST = 0x600, 0xFFFE  # IEEE 802.3-2018 §3.2.6: types begin at 0x600
COPY, RANDOM = "copy", "rand"
NAMED_TYPES = {"ipv4": 0x0800, "ipv6": 0x86DD}
SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Params:
    """Options of agno://."""

    nested: str
    ethtype: str = option("0xa6de", "EtherType on the network: a number, copy, ipv4, ipv6 or rand")


def read_key(text: str) -> tuple[bytes, bool]:
    """The key in a key file's text; did it have an `A`?

    Raises:
        ConfigError: there is none.
    """
    digits = [character for character in text if character in string.hexdigits][: 2 * KEY_OCTETS]
    if len(digits) < 2:
        raise ConfigError("32 hexadecimal digits were expected")
    key = "".join(digits).replace("A", "1").ljust(2 * KEY_OCTETS, "0")
    return bytes.fromhex(key), "A" in digits


def read_type(text: str) -> int | str:
    """The option `ethtype`: a number, `COPY` or `RANDOM`.

    Raises:
        ConfigError: anything else.
    """
    if text in (COPY, RANDOM):
        return text
    try:
        number = NAMED_TYPES.get(text) or int(text, 0)
    except ValueError:
        number = -1
    if not ETHERTYPE_LEAST <= number <= ETHERTYPE_MOST:
        raise ConfigError(f"agno://: ethtype {text!r}: 0x600 to 0xfffe, copy, ipv4, ipv6 or rand was expected")
    return number


class AgnoLink(NestedLink):
    """Frames through a cipher."""

    def __init__(self, inner: Link, cipher: AgnoCipher, ethertype: int | str, surroundings: Surroundings) -> None:
        super().__init__(inner, longest_within(inner.mtu_octets))
        self._cipher = cipher
        self._ethertype = ethertype
        self._surroundings = surroundings

    def _outward(self, frame: bytes) -> bytes | str:
        here = self._surroundings
        return self._cipher.seal(frame, self._outer(frame), here.wall_ns() // SECOND_NS, here.random(4))

    def _outer(self, frame: bytes) -> bytes:
        if self._ethertype == COPY:
            return frame[12:14]
        if isinstance(self._ethertype, int):
            return self._ethertype.to_bytes(2)
        chance = int.from_bytes(self._surroundings.random(4))
        return (ETHERTYPE_LEAST + chance % (ETHERTYPE_MOST - ETHERTYPE_LEAST + 1)).to_bytes(2)

    def _inward(self, frame: bytes) -> bytes | str:
        return self._cipher.open(frame, self._surroundings.wall_ns() // SECOND_NS)


def _read_key_file(address: str, surroundings: Surroundings) -> bytes:
    path = address or DEFAULT_KEY
    if path.startswith("~"):
        path = os.path.expanduser("~") + path[1:]
    if not os.path.isabs(path):
        raise ConfigError(f"agno://{address}: an absolute path, or one that begins with ~, was expected")
    try:
        with open(path, "rb") as file:
            text = file.read(KEY_FILE_OCTETS).decode("latin-1")
            others = os.fstat(file.fileno()).st_mode & 0o004
    except OSError as error:
        raise ConfigError(f"agno://: the key file {path!r}: {error.strerror}") from None
    try:
        key, has_a = read_key(text)
    except ConfigError as error:
        raise ConfigError(f"agno://: the key file {path!r}: {error}") from None
    if has_a:
        surroundings.warn(f"the key file {path!r} has an upper-case A, which counts as 1 (as for libvdeplug): write a")
    if others:
        surroundings.warn(f"everybody can read the key file {path!r}")
    return key


@asynccontextmanager
async def open_agno(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: the key file."""
    ethertype = read_type(params.ethtype)
    cipher = AgnoCipher(_read_key_file(address, surroundings))
    async with surroundings.open_link(params.nested) as inner:
        yield AgnoLink(inner, cipher, ethertype, surroundings)


PLUG = PlugSpec(
    "agno", open_agno, Params, syntax="agno://[KEYFILE][[OPTION…]]{VNL}", style="bracket", nested="required"
)
