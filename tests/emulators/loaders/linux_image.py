"""Makes small bzImages for tests."""

import struct

SETUP_SECTS = 2


def bzimage(
    payload: bytes,
    *,
    version: int = 0x020F,
    high: bool = True,
    code: bytes = b"\xf4",
    command_line: int = 255,
    initrd_max: int = 0x7FFFFFFF,
    init_octets: int = 0x100000,
) -> bytes:
    """Boot sector, setup, `code` and the packed kernel."""
    setup = bytearray(512 * (SETUP_SECTS + 1))
    setup[0x1F1] = SETUP_SECTS
    setup[0x1FE:0x202] = b"\x55\xaa\xeb\x66"
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x206, version)
    setup[0x211] = int(high)
    struct.pack_into("<I", setup, 0x22C, initrd_max)
    struct.pack_into("<I", setup, 0x238, command_line)
    struct.pack_into("<II", setup, 0x248, len(code), len(payload))
    struct.pack_into("<I", setup, 0x260, init_octets)
    return bytes(setup) + code + payload
