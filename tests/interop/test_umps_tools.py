"""`vde umps` beside Debian's umps3-mkdev, umps3-elf2umps and umps3-objdump: the same files, texts and statuses.

Debian's tools get our name as their argv[0], so that their messages can be compared whole.
"""

import random
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from emulators.umps_tools import elf2umps, mkdev, objdump
from tests.emulators.umps.kernels import build_kernel, compile_object
from tests.tools import NeedTool

pytestmark = pytest.mark.interop
need_tool = NeedTool()

Run = Callable[[Sequence[str], str], int]
Result = tuple[int, str, str, dict[str, bytes]]
Both = Callable[[str, Run, Sequence[str], dict[str, bytes]], tuple[Result, Result]]


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Both:
    """Runs a tool of ours and its original on the same files; answers (ours, the original's)."""

    def run(name: str, tool: Run, arguments: Sequence[str], files: dict[str, bytes]) -> tuple[Result, Result]:
        original = need_tool(f"umps3-{name}")
        results = []
        for kind in ("ours", "theirs"):
            place = tmp_path / kind
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            for path, contents in files.items():
                (place / path).write_bytes(contents)
            monkeypatch.chdir(place)
            capfd.readouterr()
            if kind == "ours":
                status = tool(arguments, f"vde umps {name}")
            else:
                command = [f"vde umps {name}", *arguments]
                status = subprocess.run(command, executable=original, timeout=60).returncode
            shown = capfd.readouterr()
            left = {path.name: path.read_bytes() for path in place.iterdir()}
            results.append((status, shown.out, shown.err, left))
        return results[0], results[1]

    return run


MKDEV = [
    "",
    "-x",
    "-d",
    "-d disk",
    "-d disk.umps",
    "-d a.umpsb",
    "-d nowhere/disk.umps",
    "-d disk.umps 4",
    "-d disk.umps 4 1 3",
    "-d disk.umps 4 1 3 7200",
    "-d disk.umps 4 1 3 7001 5 10",
    "-d disk.umps 4 1 3 10800 10000 90",
    "-d disk.umps 4 1 3 360 1 91",
    "-d disk.umps 0",
    "-d disk.umps 65536",
    "-d disk.umps 1 256",
    "-d disk.umps 1 1 256",
    "-d disk.umps 1 1 1 359",
    "-d disk.umps 1 1 1 10801",
    "-d disk.umps 1 1 1 360 10001",
    "-d disk.umps 1 1 1 360 1 9",
    "-d disk.umps 1 1 1 360 1 10 1",
    "-d disk.umps 0x10 010 +3",
    "-d disk.umps 08",
    "-d disk.umps 0x",
    "-d disk.umps 5x",
    "-d disk.umps -1",
    "-d disk.umps -4294967294",
    "-d disk.umps 4294967297",
    "-d disk.umps 99999999999999999999999",
    "-d disk.umps 1e3",
    "-f",
    "-f flash.umps",
    "-f flash /dev/null",
    "-f flash.umps /dev/null",
    "-f flash.umps missing",
    "-f flash.umps .",
    "-f flash.umps short 4",
    "-f flash.umps empty 4",
    "-f flash.umps exact 2",
    "-f flash.umps exact 3 100000",
    "-f flash.umps exact 1",
    "-f flash.umps odd 9 1",
    "-f flash.umps core 3",
    "-f flash.umps core 2",
    "-f flash.umps tag 2",
    "-f flash.umps three 2",
    "-f flash.umps odd 0",
    "-f flash.umps odd 0x1000000",
    "-f flash.umps odd 4 100001",
    "-f flash.umps odd 4 4 4",
    "-f nowhere/flash.umps odd",
]
CORE_TAG = struct.pack("<I", 0x0353504D)
SOURCES = {
    "short": b"hello",
    "empty": b"",
    "three": b"abc",
    "exact": bytes(range(256)) * 32,
    "odd": bytes(range(251)) * 100,
    "core": CORE_TAG + bytes(range(256)) * 32,
    "tag": CORE_TAG,
}


@pytest.mark.parametrize("arguments", MKDEV)
def test_mkdev(both: Both, arguments: str) -> None:
    ours, theirs = both("mkdev", mkdev.run, arguments.split(), SOURCES)
    assert ours == theirs


@pytest.mark.parametrize("text", ["", " ", " 5 ", "5 x", "\t7", "- 5", "0X1f", "+0", "-0x1", "0b1", "٣"])
def test_numbers_as_strtoul_reads_them(both: Both, text: str) -> None:
    ours, theirs = both("mkdev", mkdev.run, ["-d", "disk.umps", text, "1", "1"], {})
    assert ours == theirs


def test_every_speed_of_rotation(both: Both) -> None:
    generator = random.Random(1)
    for rpm in generator.sample(range(360, 10801), 12):
        ours, theirs = both("mkdev", mkdev.run, ["-d", "d.umps", "1", "1", "1", str(rpm)], {})
        assert ours == theirs


def test_every_speed_of_rotation_is_a_whole_number_of_microseconds() -> None:
    for rpm in range(360, 10801):
        (exact,) = struct.unpack("<f", struct.pack("<f", 60_000_000 / rpm))
        assert 5555 <= int(exact) <= 166_667


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return build_kernel(tmp_path_factory.mktemp("kernel"), [], need_tool).read_bytes()


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Objects of assembly source: with and without relocations, without code."""
    place = tmp_path_factory.mktemp("objects")
    sources = {
        "plain": ".text\n.set noreorder\nstart: b start\nnop\n.word 1,2,3\n",
        "relocated": ".text\nstart: la $4,there\nj start\n.data\nthere: .word 5\n",
        "none": ".data\n.word 1\n",
        "empty": "",
    }
    return {name: compile_object(place, name, text, need_tool).read_bytes() for name, text in sources.items()}


@pytest.mark.parametrize(
    "arguments", ["-k k", "-a k", "-m -a k", "-v -k k", "-b k", "-k", "", "k", "-k missing", "-q -k k", "-a k -m"]
)
def test_elf2umps_on_a_kernel(both: Both, kernel: bytes, arguments: str) -> None:
    ours, theirs = both("elf2umps", elf2umps.run, arguments.split(), {"k": kernel})
    assert ours == theirs


@pytest.mark.parametrize("arguments", ["-b {}", "-m -b {}", "-k {}", "-a {}"])
@pytest.mark.parametrize("name", ["plain", "relocated", "none", "empty"])
def test_elf2umps_on_objects(both: Both, objects: dict[str, bytes], name: str, arguments: str) -> None:
    ours, theirs = both("elf2umps", elf2umps.run, arguments.format(name).split(), objects)
    assert ours == theirs


def changed(elf: bytes, offset: int, layout: str, value: int) -> bytes:
    return elf[:offset] + struct.pack(layout, value) + elf[offset + struct.calcsize(layout) :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda elf: b"",
    "text": lambda elf: b"this is no ELF file, but some text of a certain length, longer than a header would be",
    "magic": lambda elf: elf[:4],
    "header": lambda elf: elf[:40],
    "another machine": lambda elf: changed(elf, 18, "<H", 3),
    "another version": lambda elf: changed(elf, 20, "<I", 2),
    "sixty-four bits": lambda elf: changed(elf, 4, "<B", 2),
    "no program headers": lambda elf: changed(elf, 44, "<H", 0),
    "two texts": lambda elf: elf.replace(struct.pack("<I", 6), struct.pack("<I", 5)),
    "shared": lambda elf: changed(elf, 16, "<H", 3),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_statuses_of_elf2umps_on_what_is_no_kernel(both: Both, kernel: bytes, what: str) -> None:
    ours, theirs = both("elf2umps", elf2umps.run, ["-k", "k"], {"k": DAMAGE[what](kernel)})
    assert ours[0] == theirs[0] == 1
    assert bool(ours[2]) == bool(theirs[2])


def rom(words: Sequence[int], count: int | None = None) -> bytes:
    return struct.pack(f"<{len(words) + 2}I", 0x0253504D, len(words) if count is None else count, *words)


def an_aout(entry: int = 0x8000_00B0, size: int = 0x100, offset: int = 0) -> bytes:
    header = [0x0453504D, entry, 0x8000_0000, size, offset, 4096, 0x8000_1000, 16, 4096, 0]
    return struct.pack("<10I", *header).ljust(0xB0, b"\0") + bytes(range(1, 200)) + bytes(300)


OBJDUMP_FILES = {
    "rom.umps": rom([0, 0, 0, 0x24020001, 0, 5, 0, 0, 0, 0, 0xFFFFFFFF]),
    "lying.umps": rom([1, 2, 3], 1000),
    "short.umps": rom([])[:4],
    "tiny.umps": b"MPS",
    "aout.umps": an_aout(),
    "odd.umps": an_aout(size=0x2A),
    "before.umps": an_aout(entry=0x7FFF_FF00),
    "behind.umps": an_aout(entry=0x8000_8000),
    "cut.umps": an_aout()[:20],
    "bytes.umps": an_aout() + b"abc",
    "core.umps": CORE_TAG + bytes(4096) + an_aout(),
    "headless.umps": CORE_TAG + bytes(100),
    "disk.umps": struct.pack("<7I", 0x0053504D, 1, 1, 1, 1, 1, 1),
    "text.umps": b"hello, world",
    "plain": rom([1]),
}


@pytest.mark.parametrize("options", ["", "-h", "-d", "-x", "-b", "-a", "-h -b", "-q"])
@pytest.mark.parametrize("name", [*OBJDUMP_FILES, "missing.umps"])
def test_objdump(both: Both, options: str, name: str) -> None:
    ours, theirs = both("objdump", objdump.run, [*options.split(), name], OBJDUMP_FILES)
    assert ours == theirs


@pytest.mark.parametrize("arguments", [[], ["-h"], ["-a", "-h"]])
def test_objdump_without_a_file(both: Both, arguments: list[str]) -> None:
    ours, theirs = both("objdump", objdump.run, arguments, {})
    assert ours == theirs


def test_objdump_of_a_kernel(both: Both, kernel: bytes) -> None:
    made, _ = both("elf2umps", elf2umps.run, ["-k", "k"], {"k": kernel})
    ours, theirs = both("objdump", objdump.run, ["-a", "k.core.umps"], made[3])
    assert ours == theirs
    assert "0x20001" in ours[1]


@pytest.mark.parametrize("seed", range(4))
def test_the_listing_of_any_instruction(both: Both, seed: int) -> None:
    generator = random.Random(seed)
    words = []
    for opcode in range(64):
        for _ in range(40):
            words.append(opcode << 26 | generator.getrandbits(26))
            words.append(
                opcode << 26 | generator.getrandbits(26) & generator.getrandbits(26) & generator.getrandbits(26)
            )
    words += [generator.getrandbits(32) & 0x03E0_FFFF for _ in range(1000)]
    words += [generator.getrandbits(20) << 6 | function for function in range(64) for _ in range(3)]
    words += [shift << 6 | function for function in range(64) for shift in (0, 1)]
    words += [16 << 26 | kind << 21 | rest for kind in range(32) for rest in (0, 1, 2, 6, 8, 16, 32, 0x6000, 0x2000)]
    words += [16 << 26 | kind << 21 | register << 11 for kind in (0, 4) for register in range(32)]
    words += [1 << 26 | rt << 16 | 0x8000 for rt in range(32)]
    ours, theirs = both("objdump", objdump.run, ["-d", "rom.umps"], {"rom.umps": rom(words)})
    assert ours == theirs
