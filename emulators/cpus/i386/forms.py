"""The rows of the engine's instruction table, for the disassembler and the tests.

`native/src/table/` is the only place that knows encodings; a `Form` is one of its rows. Operands have the table's
names, which are nearly those of the manual's opcode map (Intel SDM volume 2, appendix A.2).
"""

from dataclasses import dataclass
from functools import cache

from vde._native import i386_table

PREFIXES = {"Any": None, "Np": b"", "P66": b"\x66", "Pf3": b"\xf3", "Pf2": b"\xf2"}


@dataclass(frozen=True)
class Form:
    """An instruction form.

    `prefix` chooses among forms of one opcode: None, any or none is right; octets, that one and no stronger one.
    `group` is the ModRM octet's reg field, `modrm` the whole octet, where they choose the form.
    """

    file: str
    """Of the table: integer, system, x87, mmx, sse."""
    mnemonic: str
    opcode: bytes
    """The first of `span`."""
    span: int
    prefix: bytes | None
    kind: str
    """What the ModRM octet must name: NoModRm, Any, Register, Memory."""
    group: int | None
    modrm: int | None
    operands: tuple[str, ...]
    needs: int
    """CPUID's bits: leaf 1 EDX, and 32 up leaf 8000_0001H EDX."""
    lock: bool

    @property
    def has_modrm(self) -> bool:
        """Does a ModRM octet follow the opcode?"""
        return self.kind != "NoModRm"

    @property
    def name(self) -> str:
        """Unique."""
        octets = ((self.prefix or b"") + self.opcode).hex().upper()
        group = f"/{self.group}" if self.group is not None else ""
        whole = f" {self.modrm:02X}" if self.modrm is not None else ""
        kind = {"Register": "r", "Memory": "m"}.get(self.kind, "")
        return f"{self.mnemonic} {octets}{whole}{group}{kind} {','.join(self.operands)}".rstrip()

    def takes(self, modrm: int) -> bool:
        """Is it this form, by the ModRM octet?"""
        if self.modrm is not None:
            return modrm == self.modrm
        if self.group is not None and modrm >> 3 & 7 != self.group:
            return False
        return self.kind == "Any" or (self.kind == "Register") == (modrm >> 6 == 3) or self.kind == "NoModRm"


@cache
def forms() -> tuple[Form, ...]:
    """All rows, in the table's order: of two that fit, the first is the instruction."""
    return tuple(
        Form(
            file,
            mnemonic,
            bytes((0x0F, opcode)) if two else bytes((opcode,)),
            span,
            PREFIXES[prefix],
            kind,
            group,
            modrm,
            tuple(operands),
            needs,
            lock,
        )
        for file, mnemonic, two, opcode, span, prefix, kind, group, modrm, operands, needs, lock in i386_table()
    )


@cache
def by_opcode() -> dict[bytes, tuple[Form, ...]]:
    """Forms by their opcode, without prefixes."""
    index: dict[bytes, list[Form]] = {}
    for form in forms():
        for more in range(form.span):
            index.setdefault(form.opcode[:-1] + bytes((form.opcode[-1] + more,)), []).append(form)
    return {opcode: tuple(these) for opcode, these in index.items()}
