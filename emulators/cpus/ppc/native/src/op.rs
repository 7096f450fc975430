//! Decoded instructions.

use crate::table::{Decoder, Format, Insn, field};
use engine_contract::pages::Operation;

/// The register that a base of rA = 0 stands for: it holds zero.
pub(crate) const ZERO: u8 = 32;

/// Rc is set.
pub(crate) const RC: u8 = 1;
/// OE is set.
pub(crate) const OE: u8 = 2;

/// A decoded instruction: its fields, each where the semantics want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    pub insn: Insn,
    /// rD or rS.
    pub d: u8,
    /// rA, or [`ZERO`] where rA = 0 means that.
    pub a: u8,
    pub b: u8,
    /// SH, or the bit of CR that a branch looks at.
    pub c: u8,
    /// [`RC`], [`OE`].
    pub flags: u8,
    /// A value ready for use: immediate, displacement, mask.
    pub imm: u32,
    /// The instruction itself, for what is rare.
    pub word: u32,
}

/// Ones from bit `mb` to bit `me`, counted from the most significant; around the end, if `mb` > `me` + 1 (PEM §8.2, rlwimi).
pub(crate) const fn mask(mb: u8, me: u8) -> u32 {
    let from = u32::MAX >> (mb & 31);
    let to = u32::MAX << (31 - (me & 31));
    if mb <= me { from & to } else { from | to }
}

/// BO of a branch that is always taken, without CTR (PEM table 4-20), hints aside.
const ALWAYS: u8 = 0b10100;

impl Op {
    pub(crate) const UNDECODED: Op = Op { insn: Insn::Undecoded, d: 0, a: 0, b: 0, c: 0, flags: 0, imm: 0, word: 0 };

    /// Decode `word`.
    pub(crate) fn new(decoder: &Decoder, word: u32) -> Op {
        let Some(row) = decoder.row(word) else { return Op { insn: Insn::Reserved, word, ..Op::UNDECODED } };
        let insn = row.insn;
        let flags = u8::from(row.records && (word | row.mask) & row.rc() != 0) * RC
            | u8::from(row.overflows && field::oe(word)) * OE;
        let mut op = Op {
            insn,
            d: field::d(word),
            a: field::a(word),
            b: field::b(word),
            c: field::b(word),
            flags,
            imm: field::simm(word),
            word,
        };
        match row.format {
            Format::DA0Simm => {
                op.imm = if insn == Insn::Addis { op.imm << 16 } else { op.imm };
                if op.a == 0 {
                    op.insn = Insn::Li;
                }
            }
            Format::ASUimm => {
                let shift = matches!(insn, Insn::Andis | Insn::Oris | Insn::Xoris);
                op.imm = if shift { field::uimm(word) << 16 } else { field::uimm(word) };
                op.flags = u8::from(matches!(insn, Insn::Andi | Insn::Andis)) * RC;
            }
            Format::DASimm => op.flags = u8::from(insn == Insn::AddicRc) * RC,
            Format::CompareUimm => {
                op.imm = field::uimm(word);
                op.d = field::crfd(word);
            }
            Format::CompareSimm | Format::Compare | Format::FCompare => op.d = field::crfd(word),
            Format::RotateImmediate | Format::Rotate => op.imm = mask(field::c(word), field::me(word)),
            Format::Memory
            | Format::FMemory
            | Format::Indexed
            | Format::FIndexed
            | Format::StringImmediate
            | Format::AB
            | Format::VIndexed
                if op.a == 0 =>
            {
                op.a = ZERO;
            }
            Format::ASB if insn == Insn::Or && op.d == op.b && op.flags == 0 => op.insn = Insn::Mr,
            Format::Branch => {
                op.imm = field::li(word);
                match word & 3 {
                    0 => op.insn = Insn::Near,
                    1 => op.insn = Insn::Call,
                    _ => {}
                }
            }
            Format::BranchConditional => {
                op.imm = field::bd(word);
                op.c = op.a;
                if word & 3 == 0 {
                    op.insn = match op.d & 0b11110 {
                        0b01100 | 0b01110 => Insn::IfSet,
                        0b00100 | 0b00110 => Insn::IfClear,
                        0b10000 | 0b11000 => Insn::Bdnz,
                        _ => insn,
                    };
                }
            }
            Format::BranchRegister if op.d & ALWAYS == ALWAYS => {
                op.insn = match (insn, field::lk(word)) {
                    (Insn::Bclr, false) => Insn::Blr,
                    (Insn::Bcctr, false) => Insn::Bctr,
                    (Insn::Bcctr, true) => Insn::Bctrl,
                    _ => insn,
                };
            }
            _ => {}
        }
        op
    }
}

impl Operation for Op {
    type Decoder = Decoder;
    const UNDECODED: Op = Op::UNDECODED;

    fn decode(decoder: &Decoder, word: u32) -> Op {
        Op::new(decoder, word.swap_bytes())
    }
}

const _: () = assert!(std::mem::size_of::<Op>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_go_from_mb_to_me() {
        assert_eq!(mask(0, 31), u32::MAX);
        assert_eq!(mask(24, 31), 0xff);
        assert_eq!(mask(0, 7), 0xff00_0000);
        assert_eq!(mask(30, 1), 0xc000_0003);
        assert_eq!(mask(5, 4), u32::MAX);
    }

    #[test]
    fn frequent_forms_are_picked_out() {
        let decoder = Decoder::new(0);
        for (word, insn) in [
            (0x3860_0001, Insn::Li),
            (0x3c60_c000, Insn::Li),
            (0x3863_0001, Insn::Addi),
            (0x7c83_2378, Insn::Mr),
            (0x7c83_2379, Insn::Or),
            (0x4e80_0020, Insn::Blr),
            (0x4e80_0021, Insn::Bclr),
            (0x4d82_0020, Insn::Bclr),
            (0x4200_fff8, Insn::Bdnz),
            (0x4182_0008, Insn::IfSet),
            (0x4082_0008, Insn::IfClear),
            (0x4182_0009, Insn::Bc),
        ] {
            assert_eq!(Op::new(&decoder, word).insn, insn, "{word:#x}");
        }
    }
}
