"""IBM's tables of registers (PS/2 Technical Reference, "BIOS modes"), as the VGA's own BIOS programs them."""

from emulators.devices.video.vga_registers import EGA_PALETTE, Mode

MODE_13 = Mode(
    0x63,
    bytes.fromhex("03 01 0f 00 0e"),
    bytes.fromhex("5f4f50825480bf1f00410000000000009c8e8f284096b9a3ff"),
    bytes.fromhex("00 00 00 00 00 40 05 0f ff"),
    bytes(range(16)) + bytes.fromhex("41 00 0f 00 00"),
)
MODE_12 = Mode(
    0xE3,
    bytes.fromhex("03 01 0f 00 06"),
    bytes.fromhex("5f4f508254800b3e0040000000000000ea8cdf2800e704e3ff"),
    bytes.fromhex("00 00 00 00 00 00 05 0f ff"),
    EGA_PALETTE + bytes.fromhex("01 00 0f 00 00"),
)
MODE_10 = Mode(
    0xA3,
    bytes.fromhex("03 01 0f 00 06"),
    bytes.fromhex("5f4f50825480bf1f004000000000000083855d280f63bae3ff"),
    bytes.fromhex("00 00 00 00 00 00 05 0f ff"),
    EGA_PALETTE + bytes.fromhex("01 00 0f 00 00"),
)
MODE_0D = Mode(
    0x63,
    bytes.fromhex("03 09 0f 00 06"),
    bytes.fromhex("2d2728902b80bf1f00c00000000000009c8e8f140096b9e3ff"),
    bytes.fromhex("00 00 00 00 00 00 05 0f ff"),
    EGA_PALETTE + bytes.fromhex("01 00 0f 00 00"),
)
MODE_04 = Mode(
    0x63,
    bytes.fromhex("03 09 03 00 02"),
    bytes.fromhex("2d2728902b80bf1f00c10000000000009c8e8f140096b9a2ff"),
    bytes.fromhex("00 00 00 00 00 30 0f 0f ff"),
    bytes.fromhex("00 13 15 17 02 04 06 07 10 11 12 13 14 15 16 17 01 00 03 00 00"),
)
TEXT_40_25 = Mode(
    0x67,
    bytes.fromhex("03 08 03 00 02"),
    bytes.fromhex("2d2728902ba0bf1f004f0d0e000000009c8e8f141f96b9a3ff"),
    bytes.fromhex("00 00 00 00 00 10 0e 00 ff"),
    EGA_PALETTE + bytes.fromhex("0c 00 0f 08 00"),
)
