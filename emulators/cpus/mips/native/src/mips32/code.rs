//! Decoded instructions. Where they are kept: `engine_contract::pages`.

use crate::table::{Decoder, Format, Insn, field};
use engine_contract::pages::Operation;

/// Register 0 as a destination: what is written there is never read.
pub(crate) const SINK: u8 = 32;

/// A decoded instruction. `a` is the destination, `b` the first source and `imm` the second one or the immediate; of
/// what writes no register, `a` is the first source. Rare instructions keep their word in `imm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    pub insn: Insn,
    pub a: u8,
    pub b: u8,
    pub imm: u32,
}

const UNDECODED: Op = Op { insn: Insn::Undecoded, a: SINK, b: 0, imm: 0 };

impl Op {
    /// Decode `word`.
    pub(crate) fn new(decoder: &Decoder, word: u32) -> Op {
        let insn = decoder.decode(word);
        let raw = Op { insn, a: SINK, b: 0, imm: word };
        let Some(row) = insn.row() else { return raw };
        let (rs, rt, rd) = (field::rs(word), field::rt(word), field::rd(word));
        let to = |register: u8| if register == 0 { SINK } else { register };
        let op = match row.format {
            Format::DST => Op { insn, a: to(rd), b: rs, imm: rt.into() },
            Format::DTA => Op { insn, a: to(rd), b: rt, imm: field::sa(word).into() },
            Format::DTS => Op { insn, a: to(rd), b: rt, imm: rs.into() },
            Format::TSI => Op { insn, a: to(rt), b: rs, imm: field::signed(word) },
            Format::TSU => Op { insn, a: to(rt), b: rs, imm: field::unsigned(word) },
            Format::TU => Op { insn, a: to(rt), b: 0, imm: word << 16 },
            Format::ST | Format::Trap => Op { insn, a: rs, b: rt, imm: word },
            Format::SI => Op { insn, a: rs, b: 0, imm: field::signed(word) },
            Format::D => Op { insn, a: to(rd), b: 0, imm: word },
            Format::S => Op { insn, a: rs, b: 0, imm: word },
            Format::LinkDS | Format::DS => Op { insn, a: to(rd), b: rs, imm: word },
            Format::DT => Op { insn, a: to(rd), b: rt, imm: word },
            Format::STB | Format::SB => Op { insn, a: rs, b: rt, imm: field::branch(word) },
            Format::J => Op { insn, a: 0, b: 0, imm: field::jump(word) },
            Format::CcB => Op { insn, a: field::cc_test(word), b: 0, imm: field::branch(word) },
            Format::Memory => match insn {
                Insn::Sc => raw,
                Insn::Sb | Insn::Sh | Insn::Sw | Insn::Swl | Insn::Swr => {
                    Op { insn, a: rt, b: rs, imm: field::signed(word) }
                }
                _ => Op { insn, a: to(rt), b: rs, imm: field::signed(word) },
            },
            Format::Extract => {
                // Position, and how many bits above the field are cleared.
                Op { insn, a: to(rt), b: rs, imm: u32::from(field::sa(word)) | u32::from(31 - rd) << 8 }
            }
            Format::FMemory => Op { insn, a: rt, b: rs, imm: field::signed(word) },
            _ => raw,
        };
        let plain =
            matches!(row.format, Format::DST | Format::DTA | Format::DTS | Format::TSI | Format::TSU | Format::TU);
        let traps = matches!(insn, Insn::Add | Insn::Sub | Insn::Addi | Insn::Cas);
        if plain && op.a == SINK && !traps { Op { insn: Insn::Nop, ..UNDECODED } } else { op }
    }
}

impl Operation for Op {
    type Decoder = Decoder;
    const UNDECODED: Op = UNDECODED;

    fn decode(decoder: &Decoder, word: u32) -> Op {
        Op::new(decoder, word)
    }
}
