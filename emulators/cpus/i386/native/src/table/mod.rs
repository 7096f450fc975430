//! The instruction table: the only place that knows encodings. Decoder, disassembler and tests read it.
//!
//! A row is an instruction form: the manual's mnemonic · opcode · the reg field of the ModRM octet (for
//! opcodes that are groups) · mandatory prefix · operands as SDM 2, appendix A.2 writes them · what a processor must have ·
//! its handlers. Rows of one opcode are tried in order.

mod integer;
mod mmx;
mod sse;
mod system;
mod x87;

use crate::model::Features;
use crate::op::Handler;
use std::sync::LazyLock;

/// An operand (SDM 2, appendix A.2.1, A.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// r/m of an octet, a word, the operand size, 16 bits whatever the size, 32 bits.
    Eb,
    Ew,
    Ev,
    Ed,
    /// As `Ew`, but a register is of the operand size.
    Mw,
    /// reg of an octet, a word, the operand size, 32 bits.
    Gb,
    Gw,
    Gv,
    Gd,
    /// Immediate: octet, octet sign-extended to the operand size, word, the operand size.
    Ib,
    SIb,
    Iw,
    Iv,
    /// Branch targets.
    Jb,
    Jv,
    /// Memory only, of no size; of 2, 4, 6, 8, 10, 16 octets; a far pointer of the operand size.
    M,
    M16,
    M32,
    M48,
    M64,
    M80,
    M128,
    Mp,
    /// Far pointer in the instruction.
    Ap,
    /// Memory at an offset in the instruction.
    Ob,
    Ov,
    /// Segment, control, debug register; 32-bit register in r/m.
    Sw,
    Cd,
    Dd,
    Rd,
    /// Register in the opcode's low bits: octet, operand size.
    Zb,
    Zv,
    Al,
    Ax,
    Cl,
    Dx,
    One,
    Three,
    Es,
    Cs,
    Ss,
    Ds,
    Fs,
    Gs,
    /// Strings: DS:[ESI], ES:[EDI].
    Xb,
    Xv,
    Yb,
    Yv,
    /// MMX register in reg, in r/m, r/m of 8 or 4 octets.
    Pq,
    Nq,
    Qq,
    Qd,
    /// XMM register in reg, in r/m; r/m of 16, 8, 4 octets.
    Vx,
    Ux,
    Wx,
    Wq,
    Wd,
    /// x87: ST(0), ST(i).
    St,
    Sti,
}

/// Prefixes that choose among rows of one opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// Any or none: 66 is the operand size, F2 and F3 repeat.
    Any,
    /// None of them.
    Np,
    P66,
    Pf3,
    Pf2,
}

/// Which opcode map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    One,
    /// Behind 0F.
    Two,
}

/// What the ModRM octet must name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is none.
    NoModRm,
    Any,
    Register,
    Memory,
}

/// Handlers: of 32-bit operands with a register and with memory in r/m, and the same with 16-bit operands.
#[derive(Clone, Copy)]
pub struct Run {
    pub r32: Handler,
    pub m32: Handler,
    pub r16: Handler,
    pub m16: Handler,
}

#[derive(Clone, Copy)]
pub struct Row {
    pub mnemonic: &'static str,
    pub map: Map,
    /// The first of `span` opcodes.
    pub opcode: u8,
    pub span: u8,
    pub prefix: Prefix,
    pub kind: Kind,
    /// The reg field.
    pub group: Option<u8>,
    /// The whole ModRM octet: x87's.
    pub modrm: Option<u8>,
    pub operands: &'static [Operand],
    /// All of these.
    pub needs: Features,
    /// LOCK may stand before it, if its first operand is memory.
    pub lock: bool,
    pub run: Run,
}

impl Run {
    /// The same for all.
    pub const fn all(handler: Handler) -> Run {
        Run { r32: handler, m32: handler, r16: handler, m16: handler }
    }

    /// With a register, and with memory.
    pub const fn either(register: Handler, memory: Handler) -> Run {
        Run { r32: register, m32: memory, r16: register, m16: memory }
    }

    /// Of 32 and of 16 bits.
    pub const fn sized(wide: Handler, narrow: Handler) -> Run {
        Run { r32: wide, m32: wide, r16: narrow, m16: narrow }
    }
}

impl Row {
    pub const fn one(mnemonic: &'static str, opcode: u8, operands: &'static [Operand], run: Run) -> Row {
        Row {
            mnemonic,
            map: Map::One,
            opcode,
            span: 1,
            prefix: Prefix::Any,
            kind: if has_modrm(operands) { Kind::Any } else { Kind::NoModRm },
            group: None,
            modrm: None,
            operands,
            needs: 0,
            lock: false,
            run,
        }
    }

    pub const fn two(mnemonic: &'static str, opcode: u8, operands: &'static [Operand], run: Run) -> Row {
        Row { map: Map::Two, ..Row::one(mnemonic, opcode, operands, run) }
    }

    pub const fn group(self, reg: u8) -> Row {
        let kind = match self.kind {
            Kind::NoModRm => Kind::Any,
            kind => kind,
        };
        Row { group: Some(reg), kind, ..self }
    }

    pub const fn modrm(self, octet: u8) -> Row {
        Row { modrm: Some(octet), kind: Kind::Register, ..self }
    }

    pub const fn span(self, span: u8) -> Row {
        Row { span, ..self }
    }

    pub const fn prefix(self, prefix: Prefix) -> Row {
        Row { prefix, ..self }
    }

    pub const fn memory(self) -> Row {
        Row { kind: Kind::Memory, ..self }
    }

    pub const fn register(self) -> Row {
        Row { kind: Kind::Register, ..self }
    }

    pub const fn needs(self, needs: Features) -> Row {
        Row { needs, ..self }
    }

    pub const fn lock(self) -> Row {
        Row { lock: true, ..self }
    }

    /// Does what follows it not follow in time?
    pub(crate) fn ends_trace(&self) -> bool {
        matches!(
            self.mnemonic,
            "jmp"
                | "jmpf"
                | "call"
                | "callf"
                | "ret"
                | "retf"
                | "iret"
                | "int"
                | "int3"
                | "int1"
                | "hlt"
                | "ud2"
                | "sysenter"
                | "sysexit"
                | "vmcall"
        )
    }
}

const fn has_modrm(operands: &[Operand]) -> bool {
    use Operand::*;
    let mut at = 0;
    while at < operands.len() {
        if !matches!(
            operands[at],
            Ib | SIb
                | Iw
                | Iv
                | Jb
                | Jv
                | Ap
                | Ob
                | Ov
                | Zb
                | Zv
                | Al
                | Ax
                | Cl
                | Dx
                | One
                | Three
                | Es
                | Cs
                | Ss
                | Ds
                | Fs
                | Gs
                | Xb
                | Xv
                | Yb
                | Yv
        ) {
            return true;
        }
        at += 1;
    }
    false
}

/// All of them, by file.
pub fn files() -> [(&'static str, Vec<Row>); 5] {
    [
        ("integer", integer::rows()),
        ("system", system::rows()),
        ("x87", x87::rows()),
        ("mmx", mmx::rows()),
        ("sse", sse::rows()),
    ]
}

/// All of them.
pub fn rows() -> &'static [Row] {
    static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| files().into_iter().flat_map(|(_, rows)| rows).collect());
    &ROWS
}

/// Rows by opcode: numbers in [`rows`], for both maps.
pub(crate) fn by_opcode() -> &'static [Vec<u16>; 512] {
    static INDEX: LazyLock<Box<[Vec<u16>; 512]>> = LazyLock::new(|| {
        let mut index: Box<[Vec<u16>; 512]> = Box::new(std::array::from_fn(|_| Vec::new()));
        for (number, row) in rows().iter().enumerate() {
            for opcode in row.opcode..=row.opcode + (row.span - 1) {
                index[usize::from(opcode) + if row.map == Map::Two { 256 } else { 0 }].push(number as u16);
            }
        }
        index
    });
    &INDEX
}
