"""The VGA by its registers: IBM's modes, write modes, windows that are memory, colours, timing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.device import Timeline
from emulators.devices.video.picture import CP437, Frame, TextScreen
from emulators.devices.video.planes import PATIENCE, WINDOW, WINDOW_OCTETS
from emulators.devices.video.stdvga import StdVga
from emulators.devices.video.vbe import BPP, ENABLE, ENABLED, LINEAR, NEWEST, OCTETS, VIRT_WIDTH, XRES, YRES
from emulators.devices.video.vga_registers import FIRST_PORT, PORTS, TEXT_80_25, Mode, ega_colours
from tests.emulators.devices.registers import Access, accesses, exercise, moved
from tests.emulators.devices.vga_modes import MODE_0D, MODE_04, MODE_10, MODE_12, MODE_13, TEXT_40_25


class Memory:
    """Memory that can be added and removed, as a `Vm`'s."""

    def __init__(self) -> None:
        self.slots: dict[int, bytearray] = {}
        self.refuses = False

    def add_memory(self, gpa: int, size: int) -> None:
        if self.refuses or any(gpa < at + len(slot) and at < gpa + size for at, slot in self.slots.items()):
            raise ValueError(gpa)
        self.slots[gpa] = bytearray(size)

    def remove_memory(self, gpa: int) -> None:
        del self.slots[gpa]

    def find(self, gpa: int) -> tuple[int, bytearray] | None:
        return next(((at, slot) for at, slot in self.slots.items() if at <= gpa < at + len(slot)), None)

    def read(self, gpa: int, octets: int, /) -> bytes:
        found = self.find(gpa)
        assert found
        return bytes(found[1][gpa - found[0] : gpa - found[0] + octets])

    def write(self, gpa: int, data: bytes, /) -> None:
        found = self.find(gpa)
        assert found
        found[1][gpa - found[0] : gpa - found[0] + len(data)] = data


class Bench:
    """A display, and a processor's way to it: memory first, else the bus."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.vm = Memory()
        self.warps: list[int] = []
        self.exits = 0
        self.device = self.make()

    def make(self) -> StdVga:
        self.vm = Memory()
        return StdVga("vga", timeline=self.timeline, vm=self.vm, warp=self.warps.append)

    def out(self, port: int, *values: int) -> None:
        for value in values:
            self.device.ports.write(port - FIRST_PORT, 1, value)

    def inp(self, port: int) -> int:
        return self.device.ports.read(port - FIRST_PORT, 1)

    def indexed(self, port: int, **values: int) -> None:
        """Registers by number, written as words."""
        for name, value in values.items():
            self.device.ports.write(port - FIRST_PORT, 2, value << 8 | int(name[1:], 16))

    def mode(self, mode: Mode) -> None:
        """As a BIOS does it, register by register."""
        self.out(0x3C2, mode.misc)
        for index, value in enumerate(mode.sequencer):
            self.out(0x3C4, index)
            self.out(0x3C5, value)
        self.out(0x3D4, 0x11)
        self.out(0x3D5, 0)
        for index, value in enumerate(mode.crtc):
            self.out(0x3D4, index)
            self.out(0x3D5, value)
        for index, value in enumerate(mode.graphics):
            self.out(0x3CE, index)
            self.out(0x3CF, value)
        self.inp(0x3DA)
        for index, value in enumerate(mode.attribute):
            self.out(0x3C0, index, value)
        self.out(0x3C0, 0x20)
        self.out(0x3C8, 0)
        self.out(0x3C9, *ega_colours())

    def store(self, address: int, data: bytes) -> None:
        for at, octet in enumerate(data, address):
            if self.vm.find(at):
                self.vm.write(at, bytes((octet,)))
            else:
                self.exits += 1
                self.device.window.write(at - WINDOW, 1, octet)

    def load(self, address: int) -> int:
        if self.vm.find(address):
            return self.vm.read(address, 1)[0]
        return self.device.window.read(address - WINDOW, 1)

    def frame(self) -> Frame:
        found = self.device.frame()
        assert len(found.pixels) == 3 * found.width * found.height
        return found

    def text(self) -> TextScreen:
        found = self.device.look()
        assert isinstance(found, TextScreen)
        return found

    def device_colour(self, entry: int) -> tuple[int, int, int]:
        red, green, blue = (value << 2 | value >> 4 for value in self.device.ports.palette[3 * entry : 3 * entry + 3])
        return red, green, blue

    def pixel(self, frame: Frame, x: int, y: int) -> tuple[int, int, int]:
        at = 3 * (y * frame.width + x)
        red, green, blue = frame.pixels[at : at + 3]
        return red, green, blue


BLACK, BLUE, GREEN, RED, GREY, WHITE = (0, 0, 0), (0, 0, 0xAA), (0, 0xAA, 0), (0xAA, 0, 0), (0xAA,) * 3, (255,) * 3


def test_text_is_memory_after_some_accesses() -> None:
    bench = Bench()
    bench.mode(TEXT_80_25)
    screen = b"".join(bytes((octet, 0x1F)) for octet in b"Hello, \x1b[2J\x07 world" * 10)
    bench.store(0xB8000, screen)
    assert bench.exits == PATIENCE
    assert 0xB8000 in bench.vm.slots
    text = bench.text()
    assert (text.columns, text.rows) == (80, 25)
    assert text.lines()[0].startswith("Hello, ←[2J• world")
    assert text.attributes[0] == 0x1F
    assert text.cursor is not None
    assert (text.cursor.column, text.cursor.row) == (0, 0)
    assert text.colours[1] == BLUE
    assert bench.load(0xB8000) == ord("H")


def test_a_font_is_loaded_while_text_shows() -> None:
    """As Linux' vgacon and every BIOS do: plane 2, in sequence, at 0xA0000; the text is as before."""
    bench = Bench()
    bench.mode(TEXT_80_25)
    bench.store(0xB8000, b"\x41\x07" * 4000)
    copies = bench.device.ports.memory.copies
    bench.indexed(0x3C4, r0=0x100, r2=0x04, r4=0x07)
    bench.indexed(0x3CE, r4=2, r5=0, r6=0)
    assert not bench.vm.slots
    for row in range(16):
        bench.store(0xA0000 + 32 * 0x41 + row, bytes((0x81 if row else 0xFF,)))
    bench.indexed(0x3C4, r2=0x03, r4=0x03)
    bench.indexed(0x3CE, r4=0, r5=0x10, r6=0x0E)
    assert bench.device.ports.memory.copies == copies
    frame = bench.frame()
    assert (frame.width, frame.height) == (720, 400)
    dots = [bench.pixel(frame, x, 1) for x in range(9)]
    assert dots == [GREY, *[BLACK] * 6, GREY, BLACK]
    assert bench.pixel(frame, 9 * 10 + 3, 16 * 3) == GREY
    assert bench.text().lines()[24] == "A" * 80


def test_scrolling_text_by_the_start_address_and_splitting() -> None:
    bench = Bench()
    bench.mode(TEXT_80_25)
    bench.store(0xB8000, b"".join(b"%c\x07" % (65 + row) * 80 for row in range(26)))
    bench.indexed(0x3D4, rc=0, rd=80)
    assert [line[0] for line in bench.text().lines()] == [chr(66 + row) for row in range(25)]
    bench.out(0x3D4, 0x18)
    bench.out(0x3D5, 10 * 16 - 1)
    bench.indexed(0x3D4, r9=0x0F, r7=0x0F)
    assert [line[0] for line in bench.text().lines()][8:12] == ["J", "K", "A", "B"]


def test_text_of_50_rows_and_of_40_columns() -> None:
    bench = Bench()
    bench.mode(TEXT_80_25)
    bench.indexed(0x3D4, r9=0x47)
    assert (bench.text().columns, bench.text().rows) == (80, 50)
    bench.mode(TEXT_40_25)
    assert (bench.text().columns, bench.text().rows) == (40, 25)
    assert bench.frame().width == 720


def test_mode_13h_is_memory_and_every_pixel_is_two_dots_wide_and_high() -> None:
    bench = Bench()
    bench.mode(MODE_13)
    bench.store(0xA0000, bytes(y + x & 7 for y in range(200) for x in range(320)))
    assert bench.exits == PATIENCE
    frame = bench.frame()
    assert (frame.width, frame.height) == (640, 400)
    for x, y in ((0, 0), (3, 0), (639, 399), (100, 201)):
        assert bench.pixel(frame, x, y) == bench.device_colour(x // 2 + y // 2 & 7)


def test_chain_4_and_single_planes_are_the_same_memory() -> None:
    """Mode X: a program leaves chain 4, and finds pixel 4n + p in plane p."""
    bench = Bench()
    bench.mode(MODE_13)
    bench.store(0xA0000, bytes(range(64)))
    bench.indexed(0x3C4, r4=0x06)
    for plane in range(4):
        bench.indexed(0x3CE, r4=plane)
        assert [bench.load(0xA0000 + 4 * place) for place in range(16)] == list(range(plane, 64, 4))
    bench.indexed(0x3C4, r2=0x0F)
    bench.store(0xA0000, b"\x05")
    bench.indexed(0x3C4, r4=0x0E)
    assert [bench.load(0xA0000 + at) for at in range(5)] == [5, 5, 5, 5, 4]


def test_mode_12h_and_its_write_modes() -> None:
    bench = Bench()
    bench.mode(MODE_12)
    # set/reset, all planes: colour 4 everywhere in the first line
    bench.indexed(0x3CE, r0=4, r1=0xF)
    bench.store(0xA0000, bytes(80))
    frame = bench.frame()
    assert (frame.width, frame.height) == (640, 480)
    assert {bench.pixel(frame, x, 0) for x in range(640)} == {RED}
    assert bench.pixel(frame, 0, 1) == BLACK
    # write mode 2 with a bit mask: one dot, the others from the latches
    bench.indexed(0x3CE, r0=0, r1=0, r5=2, r8=0x10)
    assert bench.load(0xA0000) == 0
    bench.store(0xA0000, b"\x0f")
    frame = bench.frame()
    assert [bench.pixel(frame, x, 0) for x in (2, 3, 4)] == [RED, WHITE, RED]
    # write mode 1 copies places; write mode 3 with set/reset
    bench.indexed(0x3CE, r5=1, r8=0xFF)
    assert bench.load(0xA0000) == 0x10
    bench.store(0xA0000 + 80, b"\0")
    assert bench.device.ports.memory.places[80] == bench.device.ports.memory.places[0]
    bench.indexed(0x3CE, r5=3, r0=2, r8=0x0F)
    bench.load(0xA0000 + 160)
    bench.store(0xA0000 + 160, b"\x3c")
    frame = bench.frame()
    assert [bench.pixel(frame, x, 2) for x in range(3, 7)] == [BLACK, GREEN, GREEN, BLACK]
    # write mode 0 with rotation and XOR; the map mask keeps planes
    bench.indexed(0x3CE, r5=0, r8=0xFF, r3=0x18 | 1)
    bench.indexed(0x3C4, r2=2)
    bench.load(0xA0000 + 160)
    bench.store(0xA0000 + 160, b"\x81")
    assert bench.device.ports.memory.places[160] == (0x0C ^ 0xC0) << 8


def test_read_mode_1_compares_colours() -> None:
    bench = Bench()
    bench.mode(MODE_12)
    bench.indexed(0x3CE, r5=2, r8=0xF0)
    bench.store(0xA0000, b"\x06")
    bench.indexed(0x3CE, r5=0x08, r2=0x06, r7=0x0F)
    assert bench.load(0xA0000) == 0xF0
    bench.indexed(0x3CE, r7=0x01)
    assert bench.load(0xA0000) == 0xFF
    bench.indexed(0x3CE, r7=0x00, r2=0x00)
    assert bench.load(0xA0000) == 0xFF


def test_modes_of_the_ega() -> None:
    bench = Bench()
    bench.mode(MODE_10)
    bench.indexed(0x3C4, r2=1)
    bench.store(0xA0000 + 79, b"\x01")
    frame = bench.frame()
    assert (frame.width, frame.height) == (640, 350)
    assert [bench.pixel(frame, x, 0) for x in (638, 639)] == [BLACK, BLUE]
    bench.mode(MODE_0D)
    bench.indexed(0x3C4, r2=2)
    bench.store(0xA0000, bytes(40) + b"\x80")
    frame = bench.frame()
    assert (frame.width, frame.height) == (640, 400)
    assert [bench.pixel(frame, x, y) for x, y in ((0, 2), (1, 3), (2, 2))] == [GREEN, GREEN, BLACK]


def test_four_colours_of_the_cga() -> None:
    bench = Bench()
    bench.mode(MODE_04)
    bench.store(0xB8000, b"\x1b")  # pixels 0, 1, 2, 3
    bench.store(0xB8000 + 0x2000, b"\x00\xc0")  # the second line lies 8 KiB behind
    frame = bench.frame()
    assert (frame.width, frame.height) == (640, 400)
    colours = [bench.pixel(frame, x, 0) for x in range(0, 8, 2)]
    assert len(set(colours)) == 4
    assert colours[0] == BLACK
    assert bench.pixel(frame, 8, 2) == colours[3]
    assert bench.pixel(frame, 8, 0) == BLACK


def test_panning_moves_the_picture() -> None:
    bench = Bench()
    bench.mode(MODE_12)
    bench.indexed(0x3C4, r2=1)
    bench.store(0xA0000, bytes(3) + b"\x80" + bytes(77) + b"\x80")
    bench.inp(0x3DA)
    bench.out(0x3C0, 0x33, 3)
    frame = bench.frame()
    assert [x for x in range(640) if bench.pixel(frame, x, 0) != BLACK] == [21]


def test_registers_come_back_and_the_crtc_is_protected() -> None:
    bench = Bench()
    bench.mode(TEXT_80_25)
    assert bench.inp(0x3CC) == 0x67
    for index, value in enumerate(TEXT_80_25.crtc):
        bench.out(0x3D4, index)
        assert bench.inp(0x3D5) == value
    bench.indexed(0x3D4, r0=0, r7=0)
    bench.out(0x3D4, 0)
    assert bench.inp(0x3D5) == TEXT_80_25.crtc[0]
    bench.out(0x3D4, 7)
    assert bench.inp(0x3D5) == TEXT_80_25.crtc[7] & ~0x10
    assert bench.inp(0x3B5) == 0xFF  # the monochrome addresses are somebody else's
    for index, value in enumerate(TEXT_80_25.attribute):
        bench.inp(0x3DA)
        bench.out(0x3C0, index | 0x20)
        assert bench.inp(0x3C1) == value
    assert bench.inp(0x3C2) & 0x10


def test_dac_has_two_indices_and_a_mask() -> None:
    bench = Bench()
    bench.mode(MODE_13)
    bench.out(0x3C8, 7)
    bench.out(0x3C9, 63, 0xFF, 1)
    assert bench.inp(0x3C8) == 8
    assert bench.inp(0x3C7) == 0
    bench.out(0x3C7, 7)
    assert bench.inp(0x3C7) == 3
    assert [bench.inp(0x3C9) for _ in range(3)] == [63, 63, 1]
    bench.store(0xA0000, b"\x0f")
    bench.out(0x3C6, 0xF7)
    assert bench.pixel(bench.frame(), 0, 0) == (255, 255, 4)


def test_a_dark_screen_is_black() -> None:
    bench = Bench()
    bench.mode(TEXT_80_25)
    bench.store(0xB8000, b"A\x70" * 2000)
    bench.out(0x3C4, 1)
    bench.out(0x3C5, 0x20)
    found = bench.device.look()
    assert isinstance(found, Frame)
    assert not any(found.pixels)


def test_retrace_follows_virtual_time_at_70_hz() -> None:
    bench = Bench()
    bench.mode(TEXT_80_25)
    edges, before = [], False
    for microseconds in range(0, 100_000, 20):
        bench.timeline.now_ns = microseconds * 1000
        now = bool(bench.inp(0x3DA) & 8)
        if now and not before:
            edges.append(microseconds)
        before = now
    assert len(edges) == 7
    assert 1e6 / ((edges[-1] - edges[0]) / (len(edges) - 1)) == pytest.approx(70.09, abs=0.2)


def test_waiting_for_retrace_is_not_counted_out() -> None:
    bench = Bench()
    bench.mode(TEXT_80_25)
    reads = 0
    while not bench.inp(0x3DA) & 8:
        reads += 1
        bench.timeline.now_ns += 40
        if bench.warps:
            bench.timeline.now_ns = bench.warps.pop()
    assert bench.timeline.now_ns > 10_000_000
    assert reads < 20_000


@given(
    st.integers(0, 1 << 40),
    st.lists(st.tuples(st.integers(0, 0x18), st.integers(0, 255)), max_size=20),
    st.integers(0, 255),
)
def test_whatever_the_totals_are_the_beam_moves_on(now: int, registers: list[tuple[int, int]], misc: int) -> None:
    bench = Bench()
    bench.mode(TEXT_80_25)
    bench.device.ports.misc = misc
    for index, value in registers:
        bench.device.ports.crtc[index] = value
    value, change = bench.device.ports._beam(now)
    assert change > now
    assert bench.device.ports._beam((now + change) // 2)[0] == value


# -- the linear frame buffer


LFB = 0xE0000000


class Linear(Bench):
    def __init__(self) -> None:
        super().__init__()
        self.device.config_write(0x10, 4, LFB)
        self.device.connect(lambda level: None, lambda: None)
        self.device.config_write(4, 2, 3)

    def dispi(self, index: int, value: int) -> None:
        self.device.dispi.write(0, 2, index)
        self.device.dispi.write(1, 2, value)

    def get(self, index: int) -> int:
        self.device.dispi.write(0, 2, index)
        return self.device.dispi.read(1, 2)

    def set(self, width: int, height: int, depth: int, flags: int = LINEAR) -> None:
        self.dispi(ENABLE, 0)
        for index, value in ((XRES, width), (YRES, height), (BPP, depth), (ENABLE, ENABLED | flags)):
            self.dispi(index, value)

    def poke(self, offset: int, data: bytes) -> None:
        for at in range(0, len(data), 4):
            if self.device.buffer.is_memory:
                self.vm.write(LFB + offset + at, data[at : at + 4])
            else:
                self.exits += 1
                part = data[at : at + 4]
                self.device.buffer.write(offset + at, len(part), int.from_bytes(part, "little"))


def test_the_interface_is_known_by_its_identity() -> None:
    bench = Linear()
    assert bench.get(0) == NEWEST
    assert bench.get(10) == OCTETS >> 16
    bench.dispi(0, 0xB0C2)
    assert bench.get(0) == 0xB0C2
    bench.dispi(0, 0x1234)
    assert bench.get(0) == 0xB0C2
    bench.dispi(ENABLE, 2)
    assert [bench.get(index) for index in (XRES, YRES, BPP)] == [16000, 12000, 32]


@pytest.mark.parametrize(
    ("depth", "pixel", "colour"),
    [
        (15, (31 << 10 | 16 << 5 | 1).to_bytes(2, "little"), (255, 132, 8)),
        (16, (31 << 11 | 32 << 5 | 1).to_bytes(2, "little"), (255, 130, 8)),
        (24, b"\x01\x80\xff", (255, 128, 1)),
        (32, b"\x01\x80\xff\0", (255, 128, 1)),
        (8, b"\x04", (0xAA, 0, 0)),
    ],
)
def test_pixels_of_all_depths(depth: int, pixel: bytes, colour: tuple[int, int, int]) -> None:
    bench = Linear()
    bench.mode(MODE_13)
    bench.set(640, 480, depth)
    stride = 640 * len(pixel)
    bench.poke(0, pixel * 640 * 2)
    assert bench.exits == PATIENCE
    frame = bench.frame()
    assert (frame.width, frame.height) == (640, 480)
    assert bench.pixel(frame, 639, 1) == colour
    assert bench.pixel(frame, 0, 2) == BLACK
    bench.dispi(VIRT_WIDTH, 1280)
    assert bench.get(VIRT_WIDTH) == 1280
    assert bench.get(7) == OCTETS // (2 * stride)
    bench.dispi(9, 1)
    assert bench.pixel(bench.frame(), 0, 0) == BLACK


def test_four_bits_are_planes() -> None:
    bench = Linear()
    bench.mode(MODE_12)
    bench.set(800, 600, 4, 0)
    bench.indexed(0x3C4, r2=4)
    bench.store(0xA0000 + 100, b"\x01")
    frame = bench.frame()
    assert (frame.width, frame.height) == (800, 600)
    assert [x for x in range(800) if bench.pixel(frame, x, 1) != BLACK] == [7]


def test_banks_show_the_frame_buffer_at_a0000() -> None:
    bench = Linear()
    bench.set(640, 480, 8, 0)
    bench.dispi(5, 3)
    bench.store(0xA0000 + 0x10, b"\x2a")
    assert bench.load(0xA0000 + 0x10) == 0x2A
    assert bench.device.buffer.peek(0x30010, 1) == b"\x2a"
    assert bench.load(0xB8000) == 0xFF
    bench.dispi(5, 0xFFFF)
    assert bench.get(5) == 0xFF


def test_enabling_clears_unless_told_not_to() -> None:
    bench = Linear()
    bench.set(64, 64, 32)
    bench.poke(0, b"\xff" * 64)
    bench.set(64, 64, 32, LINEAR | 0x80)
    assert bench.pixel(bench.frame(), 0, 0) == WHITE
    bench.set(64, 64, 32)
    assert bench.pixel(bench.frame(), 0, 0) == BLACK


def test_impossible_modes_become_possible_ones() -> None:
    bench = Linear()
    for width, height, depth in ((0, 0, 0), (0xFFFF, 0xFFFF, 0xFFFF), (1, 12000, 32), (16000, 16000, 24)):
        bench.set(width, height, depth)
        shown = bench.get(XRES), bench.get(YRES), bench.get(BPP)
        assert shown[0] * shown[1] * ((shown[2] + 7) // 8) <= OCTETS
        assert min(shown) > 0


def test_the_frame_buffer_follows_its_base_register() -> None:
    bench = Linear()
    bench.set(64, 64, 32)
    bench.poke(0, b"abcd" * 16)
    assert list(bench.vm.slots) == [LFB]
    bench.device.config_write(4, 2, 0)
    assert not bench.vm.slots
    assert bench.device.buffer.peek(0, 4) == b"abcd"
    bench.device.config_write(0x10, 4, 0xD0000000)
    bench.device.config_write(4, 2, 2)
    for _ in range(PATIENCE):
        assert bench.device.buffer.read(4, 4) == int.from_bytes(b"abcd", "little")
    assert list(bench.vm.slots) == [0xD0000000]
    assert bench.device.buffer.read(0, 4) == int.from_bytes(b"abcd", "little")


def test_a_frame_buffer_over_other_memory_stays_registers() -> None:
    bench = Linear()
    bench.vm.refuses = True
    bench.set(64, 64, 32)
    bench.poke(0, b"abcd" * 64)
    assert bench.exits == 64
    assert bench.device.buffer.refused == 1
    assert bench.device.buffer.peek(252, 4) == b"abcd"


def test_registers_in_memory_are_the_ports() -> None:
    """How Linux' bochs-drm reaches them."""
    bench = Linear()
    registers = bench.device.bars[1].device
    assert registers.read(0x500, 2) == NEWEST
    registers.write(0x500 + 2 * XRES, 2, 320)
    assert bench.get(XRES) == 320
    registers.write(0x400, 1, 0x20)
    assert bench.device.ports.attribute_index == 0x20
    assert registers.read(0x40C, 1) == bench.inp(0x3CC)
    assert registers.read(0x600, 4) == 0


def test_every_character_is_printable() -> None:
    assert len(CP437) == 256
    assert all(character.isprintable() for character in CP437)


# -- hostile guests


@pytest.mark.fuzz
@given(accesses(PORTS), accesses(WINDOW_OCTETS), accesses(4), st.sampled_from([TEXT_80_25, MODE_13, MODE_12, MODE_04]))
def test_any_access_is_harmless(ports: list[Access], window: list[Access], dispi: list[Access], mode: Mode) -> None:
    bench = Linear()
    bench.mode(mode)

    class Part:
        def __init__(self, part: object) -> None:
            self.read = part.read  # type: ignore[attr-defined]
            self.write = part.write  # type: ignore[attr-defined]
            self.next_deadline = bench.device.next_deadline
            self.handle_timer = bench.device.handle_timer
            self.state = bench.device.state
            self.from_state = bench.device.from_state

    for _ in range(2):
        exercise(Part(bench.device.ports), bench.timeline, PORTS, ports)
        reachable = [access for access in window if not bench.vm.find(WINDOW + access[1])]
        exercise(Part(bench.device.window), bench.timeline, WINDOW_OCTETS, reachable)
        exercise(Part(bench.device.dispi), bench.timeline, 4, dispi)
    if bench.device.ports.lines() * bench.device.ports.crtc[1] < 20_000 and not bench.device.registers.enabled:
        bench.frame()
    bench.device.look()
    view = bench.device.ports.memory.view

    def make() -> StdVga:
        twin = bench.make()
        twin.connect(lambda level: None, lambda: None)
        return twin

    twin = moved(bench.device, make)
    assert isinstance(twin, StdVga)
    assert twin.ports.memory.view == view
