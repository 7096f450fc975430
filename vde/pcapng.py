"""pcapng: capture files with named interfaces, directions, nanoseconds and loss counts. The writer's half.

Source: draft-ietf-opsawg-pcapng-03 (sections given below). All numbers are little-endian, as the section header says.

    every block (§3.1)      type u32 · total length u32 · body, padded to 32 bits · total length u32
    section header (§4.1)   0x0A0D0D0A: magic 0x1A2B3C4D · major u16 · minor u16 · length i64 (-1: unknown) · options
    interface (§4.2)        1: link type u16 · 0 u16 · snap length u32 (0: unlimited) · options
    packet (§4.3)           6: interface u32 · time high u32 · low u32 · captured u32 · original u32 · octets · options
    statistics (§4.6)       5: interface u32 · time high u32 · low u32 · options
    option (§3.5)           code u16 · length u16 · value, padded to 32 bits; opt_endofopt (0, 0) at the end

Why not scapy's writer: importing it costs 0.25 s and 43 MiB, and it knows neither nanoseconds nor statistics.
Not supported: reading; simple packets, name resolution, journal and decryption blocks.
"""

import struct
from enum import IntEnum

SECTION_HEADER, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS, ENHANCED_PACKET = 0x0A0D0D0A, 1, 5, 6
BYTE_ORDER_MAGIC = 0x1A2B3C4D
LINKTYPE_ETHERNET = 1  # tcpdump.org/linktypes.html
NANOSECONDS = b"\x09"  # if_tsresol: 10^-9 s, §4.2

OPT_END, OPT_COMMENT = 0, 1
COMMENT_OCTETS = 0xFFFF  # of an option's value
SHB_USERAPPL = 4
IF_NAME, IF_DESCRIPTION, IF_TSRESOL = 2, 3, 9
EPB_FLAGS = 2
ISB_IFRECV, ISB_IFDROP = 4, 5

_OPTION = struct.Struct("<HH")
_BLOCK = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_SECTION = struct.Struct("<IHHq")
_INTERFACE = struct.Struct("<HHI")
_PACKET = struct.Struct("<IIIII")
_STATISTICS = struct.Struct("<III")
_FLAGS = _OPTION.pack(EPB_FLAGS, 4)
_END = _OPTION.pack(OPT_END, 0)


class PacketDirection(IntEnum):
    """epb_flags, bits 1:0 (§4.3.1)."""

    UNKNOWN = 0
    INBOUND = 1
    OUTBOUND = 2


def section_header(application: str) -> bytes:
    """The beginning of a section: interface numbers start again at 0. Sections may follow one another in a file."""
    body = _SECTION.pack(BYTE_ORDER_MAGIC, 1, 0, -1)
    return _block(SECTION_HEADER, body + _options((SHB_USERAPPL, application.encode())))


def interface(name: str, description: str = "", snap_octets: int = 0) -> bytes:
    """The next interface of the section: Ethernet, times in nanoseconds since 1970, frames cut to so many octets."""
    options = [(IF_NAME, name.encode())]
    if description:
        options.append((IF_DESCRIPTION, description.encode()))
    options.append((IF_TSRESOL, NANOSECONDS))
    return _block(INTERFACE_DESCRIPTION, _INTERFACE.pack(LINKTYPE_ETHERNET, 0, snap_octets) + _options(*options))


def packet(
    number: int, when_ns: int, frame: bytes, direction: PacketDirection, original_octets: int = 0, comment: str = ""
) -> bytes:
    """A frame that crossed interface `number`, in the order of `interface` blocks.

    Args:
        original_octets: its length if `frame` is only its beginning.
        comment: what is to be said about it.
    """
    length = len(frame)
    fixed = _PACKET.pack(number, when_ns >> 32, when_ns & 0xFFFFFFFF, length, original_octets or length)
    body = fixed + frame + bytes(-length % 4) + _FLAGS + _LENGTH.pack(direction)
    if comment:
        return _block(ENHANCED_PACKET, body + _options((OPT_COMMENT, _cut(comment))))
    return _block(ENHANCED_PACKET, body + _END)


def statistics(number: int, when_ns: int, *, received: int, dropped: int) -> bytes:
    """How many frames interface `number` has seen, and how many of them are missing for want of resources."""
    body = _STATISTICS.pack(number, when_ns >> 32, when_ns & 0xFFFFFFFF)
    counts = ((ISB_IFRECV, struct.pack("<Q", received)), (ISB_IFDROP, struct.pack("<Q", dropped)))
    return _block(INTERFACE_STATISTICS, body + _options(*counts))


def _cut(text: str) -> bytes:
    """At most so many octets as an option holds, no character cut in two."""
    return text.encode()[:COMMENT_OCTETS].decode(errors="ignore").encode()


def _block(kind: int, body: bytes) -> bytes:
    length = _BLOCK.size + len(body) + _LENGTH.size
    return _BLOCK.pack(kind, length) + body + _LENGTH.pack(length)


def _options(*options: tuple[int, bytes]) -> bytes:
    encoded = [_OPTION.pack(code, len(value)) + value + bytes(-len(value) % 4) for code, value in options]
    return b"".join(encoded) + _END
