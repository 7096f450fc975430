"""Breakpoints and traces of a guest, on uMPS3's board and without a debugger."""

from pathlib import Path

import pytest

from emulators.guest.ends import LiveOutside
from emulators.guest.points import Points
from emulators.guest.runner import Runner
from emulators.loaders import umps
from emulators.machine import Broken, Halted, Machine
from emulators.outside import Bench
from tests.emulators.toy import NOTHING, program, toy
from tests.emulators.umps import tiny
from tests.emulators.umps.tiny import ENTRY, HALT, T0, T1, T2, addiu, load, lw, ori, sb, sw
from vde.errors import ConfigError

COUNTER = 0x2000_4000
TERMINAL = 0x1000_0254
CODE = [
    *load(T0, COUNTER),
    ori(T1, 0, 7),
    sw(T1, T0, 0),
    0x1000_0002,  # branch to where it would go, with a load in its slot
    lw(T2, T0, 0),
    addiu(T1, T1, 1),
    sb(T1, T0, 5),
    *load(T0, TERMINAL),
    lw(T2, T0, 8),
    *HALT,
]
SYMBOLS = [f"{'main':<32}:FUN:{ENTRY:#010x}:0x00000040:GLB", f"{'counter':<32}:OBJ:{COUNTER:#010x}:0x00000008:GLB"]


def machine(folder: Path, **config: object) -> Machine:
    stab = umps.STAB.to_bytes(4, "little") + b"00000001 00000001\n" + "\n".join([*SYMBOLS, ""]).encode()
    (folder / "k.stab.umps").write_bytes(stab)
    made, _ = tiny.make(folder, CODE, {"symbol-table": {"file": "k.stab.umps", "asid": 64}, **config})
    return made


def run(folder: Path, points: Points) -> object:
    """How the guest ends, as its thread says."""
    outside = LiveOutside([], [], lambda octets: bytes(octets))
    return Runner(lambda: machine(folder), outside, "warp", points=points).run()


@pytest.mark.parametrize(
    ("place", "name"), [("main", "main"), ("main+0x10", "main+0x10"), (hex(ENTRY + 8), "main+0x8")]
)
def test_a_breakpoint_ends_the_guest_and_says_where(tmp_path: Path, place: str, name: str) -> None:
    end = run(tmp_path, Points([place, "0x20003000"]))
    assert isinstance(end, Broken)
    address = ENTRY + int(name.partition("+")[2] or "0", 16)
    assert end.text.startswith(f"processor 0 at pc {address:#010x} ({name}), tick ")


def test_one_that_is_not_met(tmp_path: Path) -> None:
    assert isinstance(run(tmp_path, Points(["main+0x1000"])), Halted)


def traced(folder: Path, *ranges: str) -> list[str]:
    """The lines without their ticks, which go up."""
    lines: list[str] = []
    assert isinstance(run(folder, Points(traces=ranges, show=lines.append)), Halted)
    ticks = [int(line.split()[1]) for line in lines]
    assert ticks == sorted(ticks)
    return [line.split(" ", 2)[2] for line in lines]


WRITE = f"processor 0 pc {ENTRY + 12:#010x} main+0xc: write {COUNTER:#010x} counter = 0x00000007: sw t1,0(t0)"
READ = f"processor 0 pc {ENTRY + 20:#010x} main+0x14: read {COUNTER:#010x} counter = 0x00000007: lw t2,0(t0)"
OCTET = f"processor 0 pc {ENTRY + 28:#010x} main+0x1c: write {COUNTER + 5:#010x} counter+0x5 = 0x00000700: sb t1,5(t0)"


@pytest.mark.parametrize(
    ("ranges", "lines"),
    [
        (("counter",), [WRITE, READ, OCTET]),
        (("counter,w",), [WRITE, OCTET]),
        (("counter,r",), [READ]),
        (("counter+4",), [WRITE, READ]),
        ((hex(COUNTER + 4),), [OCTET]),
        ((f"{COUNTER + 5:#x}+1,w", "counter+1,r"), [READ, OCTET]),
        (("main",), []),
    ],
)
def test_a_trace_has_every_access(tmp_path: Path, ranges: tuple[str, ...], lines: list[str]) -> None:
    assert traced(tmp_path, *ranges) == lines


def test_registers_of_devices_are_traced_and_not_read(tmp_path: Path) -> None:
    (line,) = traced(tmp_path, f"{TERMINAL + 8:#x},r")[:1]
    assert line.endswith(f"read {TERMINAL + 8:#010x} = -: lw t2,8(t0)")


def test_a_traced_guest_does_the_same_at_the_same_ticks(tmp_path: Path) -> None:
    plain, other = machine(tmp_path), machine(tmp_path)
    points = Points(traces=["counter"])
    points.arm(other)
    plain.run_for(5000)
    while other.cpu.ticks < 5000:
        other.run_for(5000 - other.cpu.ticks)
    assert plain.state_hash() == other.state_hash()


def test_what_cannot_be_is_told_at_once(tmp_path: Path) -> None:
    points = Points(["nobody", "main+2", "", "0x1000000000"], ["counter+0", "counter,x", "main+zz", "0xfffffffc+8"])
    with pytest.raises(ConfigError) as found:
        points.arm(machine(tmp_path))
    lines = str(found.value).splitlines()
    assert len(lines) == 8
    assert (
        lines[0]
        == "--break nobody: no symbol is called nobody (the machine's symbol table is asked), and no address is"
    )
    assert lines[1].startswith(f"--break main+2: {ENTRY + 2:#x} is no instruction's address")
    assert lines[5].startswith("--trace counter,x: SYMBOL or ADDRESS was expected")
    assert lines[7].startswith("--trace 0xfffffffc+8: 8 octets at 0xfffffffc: at least one, within 4 GiB")


def test_a_board_without_them() -> None:
    with pytest.raises(ConfigError, match="--break and --trace are not for this board"):
        Points(["0x100"]).arm(toy(program(NOTHING), Bench()))
