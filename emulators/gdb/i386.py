"""How GDB sees an i386: numbers, sizes, names.

Specification: GDB manual, "i386 Features" (org.gnu.gdb.i386.core, .sse, .linux is not needed here); numbers are those
of GDB's i386-tdep.h: 0…7 eax ecx edx ebx esp ebp esi edi, 8 eip, 9 eflags, 10…15 cs ss ds es fs gs, 16…23 st0…st7
(80 bits), 24…31 fctrl fstat ftag fiseg fioff foseg fooff fop, 32…39 xmm0…xmm7, 40 mxcsr.

GDB takes addresses for linear ones: with a code segment whose base is not 0 (real mode), it is told the linear address
as eip, and such an address is taken back. cs and the other selectors are as they are.
"""

from collections.abc import Mapping

GENERAL = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
EIP, EFLAGS, CS, ST0, FCTRL, XMM0, MXCSR = 8, 9, 10, 16, 24, 32, 40
SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
FPU = ("fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop")
FPU_STATE = ("fcw", "fsw", "ftw", "fcs", "fip", "fds", "fdp", "fop")
"""The same registers in the names of `emulators.cpus.i386`."""
ST_OCTETS, XMM_OCTETS = 10, 16
FLAGS = (
    ("CF", 0),
    ("PF", 2),
    ("AF", 4),
    ("ZF", 6),
    ("SF", 7),
    ("TF", 8),
    ("IF", 9),
    ("DF", 10),
    ("OF", 11),
    ("NT", 14),
    ("RF", 16),
    ("VM", 17),
    ("AC", 18),
    ("ID", 21),
)


def _description(*, sse: bool) -> bytes:
    def reg(name: str, number: int, kind: str, bits: int = 32) -> str:
        return f'<reg name="{name}" bitsize="{bits}" type="{kind}" regnum="{number}"/>'

    flags = "".join(f'<field name="{name}" start="{bit}" end="{bit}"/>' for name, bit in FLAGS)
    core = [f'<flags id="i386_eflags" size="4"><field name="" start="1" end="1"/>{flags}</flags>']
    kinds = {"esp": "data_ptr", "ebp": "data_ptr"}
    core += [reg(name, number, kinds.get(name, "int32")) for number, name in enumerate(GENERAL)]
    core += [reg("eip", EIP, "code_ptr"), reg("eflags", EFLAGS, "i386_eflags")]
    core += [reg(name, CS + at, "int32") for at, name in enumerate(SEGMENTS)]
    core += [reg(f"st{at}", ST0 + at, "i387_ext", 80) for at in range(8)]
    core += [reg(name, FCTRL + at, "int") for at, name in enumerate(FPU)]
    features = [("core", core)]
    if sse:
        vectors = "".join(
            f'<vector id="{name}" type="{of}" count="{count}"/>'
            for name, of, count in (
                ("v4f", "ieee_single", 4),
                ("v2d", "ieee_double", 2),
                ("v16i8", "int8", 16),
                ("v8i16", "int16", 8),
                ("v4i32", "int32", 4),
                ("v2i64", "int64", 2),
            )
        )
        fields = "".join(
            f'<field name="{name}" type="{of}"/>'
            for name, of in (
                ("v4_float", "v4f"),
                ("v2_double", "v2d"),
                ("v16_int8", "v16i8"),
                ("v8_int16", "v8i16"),
                ("v4_int32", "v4i32"),
                ("v2_int64", "v2i64"),
                ("uint128", "uint128"),
            )
        )
        parts = [vectors, f'<union id="vec128">{fields}</union>', '<flags id="i386_mxcsr" size="4">']
        parts[-1] += "".join(
            f'<field name="{name}" start="{bit}" end="{bit}"/>'
            for bit, name in enumerate(["IE", "DE", "ZE", "OE", "UE", "PE", "DAZ", "IM", "DM", "ZM", "OM", "UM", "PM"])
        )
        parts[-1] += '<field name="FZ" start="15" end="15"/></flags>'
        parts += [reg(f"xmm{at}", XMM0 + at, "vec128", 128) for at in range(8)]
        features.append(("sse", [*parts, reg("mxcsr", MXCSR, "i386_mxcsr")]))
    text = "".join(f'<feature name="org.gnu.gdb.i386.{name}">{"".join(regs)}</feature>' for name, regs in features)
    return (
        '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd">'
        f"<target><architecture>i386</architecture>{text}</target>"
    ).encode()


class I386Registers:
    """A processor whose state has the names of `emulators.cpus.i386`."""

    def __init__(self, state: Mapping[str, int]) -> None:
        self._has_sse = "mxcsr" in state
        self.description = _description(sse=self._has_sse)

    def count(self) -> int:
        """As `Registers.count`."""
        return MXCSR + 1 if self._has_sse else XMM0

    def read(self, state: Mapping[str, int], number: int) -> bytes:
        """As `Registers.read`."""
        name, octets = self._place(number)
        value = state.get(name, 0)
        if number == EIP:
            value = value + state["cs.base"] & 0xFFFFFFFF
        return (value & (1 << 8 * octets) - 1).to_bytes(octets, "little")

    def write(self, state: Mapping[str, int], number: int, octets: bytes) -> Mapping[str, int]:
        """As `Registers.write`."""
        name, size = self._place(number)
        if len(octets) != size:
            raise ValueError(octets)
        value = int.from_bytes(octets, "little")
        if number == EIP:
            value = value - state["cs.base"] & 0xFFFFFFFF
        if name not in state or self.read(state, number) == octets:
            return {}  # a selector that stays as it is keeps its hidden part
        return {name: value & 0xFFFF if CS <= number < ST0 else value}

    def in_delay_slot(self, state: Mapping[str, int]) -> bool:
        """Never: there are none."""
        return False

    def jump(self, state: Mapping[str, int], address: int) -> Mapping[str, int]:
        """As `Registers.jump`."""
        return {"eip": address - state["cs.base"] & 0xFFFFFFFF}

    def _place(self, number: int) -> tuple[str, int]:
        """The state's name, and the octets that GDB has."""
        if 0 <= number < EIP:
            return GENERAL[number], 4
        if number in (EIP, EFLAGS):
            return ("eip", "eflags")[number - EIP], 4
        if CS <= number < ST0:
            return SEGMENTS[number - CS], 4
        if ST0 <= number < FCTRL:
            return f"st{number - ST0}", ST_OCTETS
        if FCTRL <= number < XMM0:
            return FPU_STATE[number - FCTRL], 4
        if self._has_sse and XMM0 <= number < MXCSR:
            return f"xmm{number - XMM0}", XMM_OCTETS
        if self._has_sse and number == MXCSR:
            return "mxcsr", 4
        raise KeyError(number)
