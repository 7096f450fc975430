"""How GDB sees a PowerPC: numbers, sizes, names.

Specification: GDB manual, "PowerPC Features" (org.gnu.gdb.power.core, .fpu, .altivec); numbers are those of GDB's
features/rs6000: 0…31 r0…r31, 32…63 f0…f31 (64 bits), 64 pc, 65 msr, 66 cr, 67 lr, 68 ctr, 69 xer, 70 fpscr; then what
its powerpc-oea.xml calls so, behind each other: sr0…sr15, pvr, the BATs, sdr1, dar, dsisr, sprg0…sprg3, srr0, srr1,
dec; of a processor with AltiVec vr0…vr31 (128 bits), vscr, vrsave.

Everything is big-endian. The registers of the operating environment may be written as the others.
"""

from collections.abc import Iterable, Mapping

F0, PC, XER, FPSCR, OEA0 = 32, 64, 69, 70, 71
SPECIAL = ("pc", "msr", "cr", "lr", "ctr", "xer")
OEA = (
    *(f"sr{number}" for number in range(16)),
    "pvr",
    *(f"{kind}bat{number}{half}" for kind in "id" for number in range(4) for half in "ul"),
    *("sdr1", "dar", "dsisr", "sprg0", "sprg1", "sprg2", "sprg3", "srr0", "srr1", "dec"),
)
ALTIVEC0 = OEA0 + len(OEA)
VSCR = ALTIVEC0 + 32
ALTIVEC_COUNT = 34
VECTORS = (("v4f", "ieee_single", 4), ("v4i32", "int32", 4), ("v8i16", "int16", 8), ("v16i8", "int8", 16))
FIELDS = (
    ("uint128", "uint128"),
    ("v4_float", "v4f"),
    ("v4_int32", "v4i32"),
    ("v8_int16", "v8i16"),
    ("v16_int8", "v16i8"),
)
TYPES = {"pc": "code_ptr", "lr": "code_ptr", "srr0": "code_ptr", "dar": "data_ptr"}


def _name(number: int) -> str:
    """As in the state. Raises KeyError."""
    if 0 <= number < F0:
        return f"r{number}"
    if F0 <= number < PC:
        return f"f{number - F0}"
    if PC <= number <= XER:
        return SPECIAL[number - PC]
    if number == FPSCR:
        return "fpscr"
    if OEA0 <= number < OEA0 + len(OEA):
        return OEA[number - OEA0]
    if ALTIVEC0 <= number < VSCR:
        return f"v{number - ALTIVEC0}"
    if VSCR <= number < ALTIVEC0 + ALTIVEC_COUNT:
        return ("vscr", "vrsave")[number - VSCR]
    raise KeyError(number)


def _octets(number: int) -> int:
    if ALTIVEC0 <= number < VSCR:
        return 16
    return 8 if F0 <= number < PC else 4


def _vector_types() -> str:
    """As GDB has them."""
    vectors = "".join(f'<vector id="{name}" type="{of}" count="{count}"/>' for name, of, count in VECTORS)
    fields = "".join(f'<field name="{name}" type="{of}"/>' for name, of in FIELDS)
    return f'{vectors}<union id="vec128">{fields}</union>'


def _description(vectors: bool) -> bytes:
    def reg(number: int) -> str:
        name, bits = _name(number), 8 * _octets(number)
        kind = {64: "ieee_double", 128: "vec128"}.get(bits, TYPES.get(name, f"uint{bits}"))
        name = f"vr{number - ALTIVEC0}" if bits == 128 else name
        return f'<reg name="{name}" bitsize="{bits}" type="{kind}" regnum="{number}"/>'

    features: list[tuple[str, Iterable[int]]] = [
        ("core", [*range(F0), *range(PC, XER + 1)]),
        ("fpu", [*range(F0, PC), FPSCR]),
        ("oea", range(OEA0, ALTIVEC0)),
    ]
    if vectors:
        features.append(("altivec", range(ALTIVEC0, ALTIVEC0 + ALTIVEC_COUNT)))
    text = "".join(
        f'<feature name="org.gnu.gdb.power.{name}">{_vector_types() if name == "altivec" else ""}'
        f"{''.join(map(reg, numbers))}</feature>"
        for name, numbers in features
    )
    return (
        '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd">'
        f"<target><architecture>powerpc:common</architecture>{text}</target>"
    ).encode()


class PowerpcRegisters:
    """A processor whose state has the names of `emulators.cpus.ppc`."""

    def __init__(self, state: Mapping[str, int]) -> None:
        self.vectors = "vscr" in state
        self.description = _description(self.vectors)

    def count(self) -> int:
        """As `Registers.count`."""
        return ALTIVEC0 + (ALTIVEC_COUNT if self.vectors else 0)

    def read(self, state: Mapping[str, int], number: int) -> bytes:
        """As `Registers.read`."""
        return state[_name(number)].to_bytes(_octets(number), "big")

    def write(self, state: Mapping[str, int], number: int, octets: bytes) -> Mapping[str, int]:
        """As `Registers.write`. What stays as it is is not set: writing some registers has effects."""
        if len(octets) != _octets(number):
            raise ValueError(octets)
        if number == OEA0 + OEA.index("pvr") or self.read(state, number) == octets:
            return {}
        return {_name(number): int.from_bytes(octets, "big")}

    def in_delay_slot(self, state: Mapping[str, int]) -> bool:
        """Never: there are none."""
        return False

    def jump(self, state: Mapping[str, int], address: int) -> Mapping[str, int]:
        """As `Registers.jump`."""
        return {"pc": address}
