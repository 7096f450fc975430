"""The same accesses to our VGA and to QEMU's: the same pixels.

The DAC's six bits become eight differently (QEMU repeats the lowest bit, we the highest ones), so six are compared.
"""

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emulators.boards import pc
from emulators.devices.video.picture import Frame
from emulators.devices.video.stdvga import find_font
from emulators.devices.video.vga_registers import TEXT_80_25, Mode
from emulators.outside import Bench
from tests.emulators.devices.vga_modes import MODE_0D, MODE_04, MODE_10, MODE_12, MODE_13
from tests.tools import NeedTool

pytestmark = [pytest.mark.interop]

OUT, STORE, FILL, LOAD, RAMP, MOVE, IN, OUT_WORD = range(1, 9)
HERE = Path(__file__).parent
SECONDS = 20
Script = list[tuple[int, int, int, int]]


def indexed(port: int, *values: tuple[int, int]) -> Script:
    return [(OUT_WORD, port, value << 8 | index, 0) for index, value in values]


def mode(registers: Mode) -> Script:
    script = [(OUT, 0x3C2, registers.misc, 0)]
    script += indexed(0x3C4, *enumerate(registers.sequencer))
    script += indexed(0x3D4, (0x11, 0), *((i, value) for i, value in enumerate(registers.crtc) if i != 0x11))
    script += indexed(0x3D4, (0x11, registers.crtc[0x11]), (0x0A, 0x20))
    script += indexed(0x3CE, *enumerate(registers.graphics))
    script.append((IN, 0x3DA, 0, 0))
    for index, value in enumerate(registers.attribute):
        script += [(OUT, 0x3C0, index, 0), (OUT, 0x3C0, value, 0)]
    script += [(OUT, 0x3C0, 0x20, 0), (OUT, 0x3C6, 0xFF, 0), (OUT, 0x3C8, 0, 0)]
    for entry in range(256):
        script += [(OUT, 0x3C9, part & 0x3F, 0) for part in (entry * 5, entry * 11 + 7, 63 - entry)]
    return script


def clear_planes(base: int = 0xA0000) -> Script:
    return [(FILL, base, 0, 0x10000)]


def mode_13() -> Script:
    return [*mode(MODE_13), *clear_planes(), (RAMP, 0xA0000, 3, 64000), (FILL, 0xA0000 + 320 * 100, 0x2A, 640)]


def mode_x() -> Script:
    script = [*mode(MODE_13), *indexed(0x3C4, (4, 6), (2, 0xF)), *clear_planes()]
    script += indexed(0x3D4, (0x14, 0), (0x17, 0xE3))
    for plane in range(4):
        script += [*indexed(0x3C4, (2, 1 << plane)), (RAMP, 0xA0000 + 80 * plane, 7 * plane, 9000)]
    return script


def planar(registers: Mode) -> Callable[[], Script]:
    def script() -> Script:
        made = [*mode(registers), *indexed(0x3C4, (2, 0xF)), *clear_planes()]
        for plane in range(4):  # each plane by itself
            made += [*indexed(0x3C4, (2, 1 << plane)), (RAMP, 0xA0000 + 999 * plane, plane, 8000)]
        made += indexed(0x3C4, (2, 0xF))
        made += [*indexed(0x3CE, (0, 9), (1, 0xF)), (FILL, 0xA0000 + 4000, 0xFF, 300)]  # set/reset
        made += indexed(0x3CE, (0, 0), (1, 0), (5, 2))
        for dot in range(64):  # write mode 2, dot by dot
            at = 0xA0000 + 6000 + 41 * dot
            made += [*indexed(0x3CE, (8, 0x80 >> dot % 8)), (LOAD, at, 0, 0), (STORE, at, dot, 0)]
        made += [*indexed(0x3CE, (8, 0xFF), (5, 1)), (MOVE, 0xA0000, 0xA0000 + 9000, 3000)]  # through the latches
        made += indexed(0x3CE, (5, 3), (0, 6), (8, 0x7E))
        for place in range(200):  # write mode 3
            made += [(LOAD, 0xA0000 + 2000 + place, 0, 0), (STORE, 0xA0000 + 2000 + place, 3 * place, 0)]
        for function in (8, 16, 24):  # AND, OR, XOR, with a rotation
            made += indexed(0x3CE, (5, 0), (8, 0xFF), (3, function | 3))
            for place in range(100):
                at = 0xA0000 + 500 * function // 8 + place
                made += [(LOAD, at, 0, 0), (STORE, at, 37 * place & 0xFF, 0)]
        return made

    return script


def four_colours() -> Script:
    return [*mode(MODE_04), (FILL, 0xB8000, 0, 0x4000), (RAMP, 0xB8000, 1, 8000), (RAMP, 0xB8000 + 0x2000, 77, 8000)]


def split_screen() -> Script:
    """The start address in the upper half, and a second picture below line 201."""
    return [
        *planar(MODE_12)(),
        *indexed(0x3D4, (0x0C, 0x10), (0x0D, 0x05), (0x18, 201), (7, 0x2E), (9, 0x00)),
    ]


def text() -> Script:
    font = find_font(Path("/usr/share/seabios/vgabios-stdvga.bin").read_bytes())
    script = [*mode(TEXT_80_25), *indexed(0x3C4, (2, 4), (4, 7)), *indexed(0x3CE, (4, 2), (5, 0), (6, 0))]
    script += [(STORE, 0xA0000 + 32 * (i // 16) + i % 16, octet, 0) for i, octet in enumerate(font)]
    script += [*indexed(0x3C4, (2, 3), (4, 3)), *indexed(0x3CE, (4, 0), (5, 0x10), (6, 0x0E))]
    for cell in range(2000):
        # QEMU repeats the eighth column of B0–BF as well
        code = cell & 0xFF if not 0xB0 <= cell & 0xFF < 0xC0 else 0x41
        script += [(STORE, 0xB8000 + 2 * cell, code, 0), (STORE, 0xB8001 + 2 * cell, cell // 16 & 0x7F, 0)]
    return script


SCRIPTS = {
    "13h": mode_13,
    "X": mode_x,
    "12h": planar(MODE_12),
    "10h": planar(MODE_10),
    "0Dh": planar(MODE_0D),
    "4": four_colours,
    "split": split_screen,
    "text": text,
}


def assemble(script: Script, directory: Path, need_tool: NeedTool) -> Path:
    directory.joinpath("script.inc").write_text("".join(f".long {a}, {b}, {c}, {d}\n" for a, b, c, d in script))
    source, out = HERE / "vga_guest.S", directory / "guest.elf"
    subprocess.run([need_tool("as"), "--32", "-I", directory, "-o", directory / "guest.o", source], check=True)
    link = [need_tool("ld"), "-m", "elf_i386", "-Ttext", "0x100000", "-z", "noexecstack"]
    subprocess.run([*link, "-o", out, directory / "guest.o"], check=True)
    return out


def in_qemu(kernel: Path, directory: Path, qemu: str) -> Frame:
    path, picture = directory / "qmp", directory / "picture.ppm"
    command = [qemu, "-display", "none", "-vga", "std", "-machine", "accel=tcg", "-m", "32", "-net", "none"]
    command += ["-kernel", str(kernel), "-debugcon", "stdio", "-qmp", f"unix:{path},server=on,wait=off"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            while (octet := process.stdout.read(1)) != b"D":
                assert octet, "QEMU ended"
            with socket.socket(socket.AF_UNIX) as qmp:
                qmp.settimeout(SECONDS)
                qmp.connect(str(path))
                lines = qmp.makefile("rw")
                lines.readline()
                for name, arguments in (("qmp_capabilities", {}), ("screendump", {"filename": str(picture)})):
                    lines.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
                    lines.flush()
                    while True:
                        answer = json.loads(lines.readline())
                        assert "error" not in answer, answer
                        if "return" in answer:
                            break
        finally:
            process.kill()
    octets = picture.read_bytes()
    kind, size, most, pixels = octets.split(b"\n", 3)
    assert (kind, most) == (b"P6", b"255")
    width, height = map(int, size.split())
    return Frame(width, height, pixels)


def in_ours(kernel: Path) -> Frame:
    bench = Bench()
    machine = pc.build(pc.Params(kernel=kernel, memory=32 << 20, append=""), bench)
    for _ in range(100):
        machine.run_for(pc.TICKS_HZ // 100)
        if bytes(bench.written["debug"]) == b"D":
            break
    assert bytes(bench.written["debug"]) == b"D"
    assert bench.display.frame is not None
    return bench.display.frame()


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SCRIPTS))
def test_pixels_are_those_of_qemu(name: str, tmp_path: Path, need_tool: NeedTool) -> None:
    kernel = assemble(SCRIPTS[name](), tmp_path, need_tool)
    theirs, ours = in_qemu(kernel, tmp_path, need_tool("qemu-system-i386")), in_ours(kernel)
    assert (ours.width, ours.height) == (theirs.width, theirs.height)
    assert len(set(ours.pixels)) > 10
    six = bytes(level >> 2 for level in range(256))
    mine, other = ours.pixels.translate(six), theirs.pixels.translate(six)
    wrong = [at // 3 for at in range(0, len(mine), 3) if mine[at : at + 3] != other[at : at + 3]]
    places = [divmod(at, ours.width)[::-1] for at in wrong[:5]]
    assert not wrong, f"{len(wrong)} pixels differ, the first at {places}"
