//! Instructions as text, in the syntax of GNU binutils without its aliases (`objdump -M raw`).
//!
//! What the table does not have, and a word with bits set that should be zero, is `.long 0x…`. Operands are the manual's
//! (PEM, chapter 8): not those that later processors have besides (kinds of barriers, hints), which binutils shows as 0.

use crate::table::{Decoder, Format, Row, field};

const D: u32 = 31 << 21;
const A: u32 = 31 << 16;
const B: u32 = 31 << 11;
const C: u32 = 31 << 6;
const ME: u32 = 31 << 1;
const CRF_D: u32 = 7 << 23;
const CRF_S: u32 = 7 << 18;
const LOW: u32 = 0xffff;
const SPR: u32 = 0x3ff << 11;
const LK: u32 = 1;
const OE: u32 = 1 << 10;

/// The bits that the operands of a format are.
const fn operands(format: Format) -> u32 {
    match format {
        Format::Bare => 0,
        Format::Branch => 0x03ff_ffff,
        Format::BranchConditional => D | A | LOW,
        Format::BranchRegister => D | A | LK,
        Format::DASimm | Format::DA0Simm | Format::ASUimm | Format::TrapSimm => D | A | LOW,
        Format::Memory | Format::FMemory => D | A | LOW,
        Format::CompareSimm | Format::CompareUimm => CRF_D | A | LOW,
        Format::Compare | Format::FCompare => CRF_D | A | B,
        Format::Trap | Format::DAB | Format::ASB | Format::ASSh | Format::Indexed | Format::FIndexed => D | A | B,
        Format::StringImmediate
        | Format::CrBits
        | Format::F3
        | Format::V3
        | Format::VIndexed
        | Format::VImmediate
        | Format::VCompare => D | A | B,
        Format::VOctet => D | 15 << 16 | B,
        Format::VHalf => D | 7 << 16 | B,
        Format::VWord => D | 3 << 16 | B,
        Format::DA | Format::AS | Format::VSplat => D | A,
        Format::RotateImmediate | Format::Rotate => D | A | B | C | ME,
        Format::AB => A | B,
        Format::B | Format::VB => B,
        Format::CrFields => CRF_D | CRF_S,
        Format::CrField => CRF_D,
        Format::D | Format::S | Format::F1 | Format::CrBit | Format::VD => D,
        Format::CrMask => D | 0xff << 12,
        Format::FromSpr | Format::ToSpr | Format::FromTb => D | SPR,
        Format::FromSr | Format::ToSr => D | 15 << 16,
        Format::DB | Format::F2 | Format::V2 => D | B,
        Format::FMul => D | A | C,
        Format::F4 | Format::V4 | Format::VMadd => D | A | B | C,
        Format::FMask => 0xff << 17 | B,
        Format::FImmediate => CRF_D | 15 << 12,
        Format::Stream => 3 << 21 | A | B,
        Format::StreamStop => 3 << 21,
        Format::VShift => D | A | B | 15 << 6,
    }
}

/// Its form has no Rc: CR0 is always set.
fn always_records(row: &Row) -> bool {
    row.name.ends_with('.')
}

/// The bits of an instruction that are not fixed, and need not be zero.
pub fn operand_bits(row: &Row) -> u32 {
    let rc = if row.records && !always_records(row) { row.rc() } else { 0 };
    operands(row.format) | rc | if row.overflows { OE } else { 0 }
}

fn bit(number: u8) -> String {
    let name = ["lt", "gt", "eq", "so"][usize::from(number & 3)];
    if number < 4 { name.into() } else { format!("4*cr{}+{name}", number >> 2) }
}

/// rA, where 0 is the number zero.
fn base(number: u8) -> String {
    if number == 0 { "0".into() } else { format!("r{number}") }
}

fn text(row: &Row, word: u32, pc: u32) -> String {
    let (d, a, b, c) = (field::d(word), field::a(word), field::b(word), field::c(word));
    let (simm, uimm) = (field::simm(word) as i32, field::uimm(word));
    let crfd = field::crfd(word);
    let origin = if field::aa(word) { 0 } else { pc };
    match row.format {
        Format::Bare => String::new(),
        Format::Branch => format!("{:#x}", origin.wrapping_add(field::li(word))),
        Format::BranchConditional => format!("{d},{},{:#x}", bit(a), origin.wrapping_add(field::bd(word))),
        Format::BranchRegister => format!("{d},{}", bit(a)),
        Format::DASimm => format!("r{d},r{a},{simm}"),
        Format::DA0Simm => format!("r{d},{},{simm}", base(a)),
        Format::ASUimm => format!("r{a},r{d},{uimm}"),
        Format::CompareSimm => format!("cr{crfd},0,r{a},{simm}"),
        Format::CompareUimm => format!("cr{crfd},0,r{a},{uimm}"),
        Format::Compare => format!("cr{crfd},0,r{a},r{b}"),
        Format::TrapSimm => format!("{d},r{a},{simm}"),
        Format::Trap => format!("{d},r{a},r{b}"),
        Format::DAB => format!("r{d},r{a},r{b}"),
        Format::DA => format!("r{d},r{a}"),
        Format::ASB => format!("r{a},r{d},r{b}"),
        Format::AS => format!("r{a},r{d}"),
        Format::ASSh => format!("r{a},r{d},{b}"),
        Format::RotateImmediate => format!("r{a},r{d},{b},{c},{}", field::me(word)),
        Format::Rotate => format!("r{a},r{d},r{b},{c},{}", field::me(word)),
        Format::Memory => format!("r{d},{simm}({})", base(a)),
        Format::FMemory => format!("f{d},{simm}({})", base(a)),
        Format::Indexed => format!("r{d},{},r{b}", base(a)),
        Format::FIndexed => format!("f{d},{},r{b}", base(a)),
        Format::StringImmediate => format!("r{d},{},{}", base(a), if b == 0 { 32 } else { b }),
        Format::AB => format!("{},r{b}", base(a)),
        Format::B => format!("r{b}"),
        Format::CrBits => format!("{},{},{}", bit(d), bit(a), bit(b)),
        Format::CrFields => format!("cr{crfd},cr{}", field::crfs(word)),
        Format::CrField => format!("cr{crfd}"),
        Format::D | Format::S => format!("r{d}"),
        Format::CrMask => format!("{},r{d}", field::crm(word)),
        Format::FromSpr | Format::FromTb => format!("r{d},{}", field::spr(word)),
        Format::ToSpr => format!("{},r{d}", field::spr(word)),
        Format::FromSr => format!("r{d},{}", field::sr(word)),
        Format::ToSr => format!("{},r{d}", field::sr(word)),
        Format::DB => format!("r{d},r{b}"),
        Format::F3 => format!("f{d},f{a},f{b}"),
        Format::FMul => format!("f{d},f{a},f{c}"),
        Format::F4 => format!("f{d},f{a},f{c},f{b}"),
        Format::F2 => format!("f{d},f{b}"),
        Format::FCompare => format!("cr{crfd},f{a},f{b}"),
        Format::F1 => format!("f{d}"),
        Format::CrBit => format!("{d}"),
        Format::FMask => format!("{},f{b}", field::fm(word)),
        Format::FImmediate => format!("{crfd},{}", field::imm(word)),
        Format::Stream => format!("r{a},r{b},{}", d & 3),
        Format::StreamStop => format!("{}", d & 3),
        Format::VIndexed => format!("v{d},{},r{b}", base(a)),
        Format::V3 | Format::VCompare => format!("v{d},v{a},v{b}"),
        Format::V2 => format!("v{d},v{b}"),
        Format::V4 => format!("v{d},v{a},v{b},v{c}"),
        Format::VMadd => format!("v{d},v{a},v{c},v{b}"),
        Format::VShift => format!("v{d},v{a},v{b},{}", c & 15),
        Format::VImmediate | Format::VOctet | Format::VHalf | Format::VWord => format!("v{d},v{b},{a}"),
        Format::VSplat => format!("v{d},{}", (a << 3) as i8 >> 3),
        Format::VD => format!("v{d}"),
        Format::VB => format!("v{b}"),
    }
}

/// The instruction `word` at `pc`: `mnemonic<TAB>operands`, or the mnemonic alone.
pub fn disassemble(decoder: &Decoder, word: u32, pc: u32) -> String {
    let data = || format!(".long\t{word:#x}");
    let Some(row) = decoder.row(word) else { return data() };
    if word & !(row.mask | operand_bits(row)) != 0 {
        return data();
    }
    let mut name = String::from(row.name);
    if row.overflows && field::oe(word) {
        name.push('o');
    }
    if row.records && !always_records(row) && word & row.rc() != 0 {
        name.push('.');
    }
    if matches!(row.format, Format::Branch | Format::BranchConditional | Format::BranchRegister) && field::lk(word) {
        name.push('l');
    }
    if matches!(row.format, Format::Branch | Format::BranchConditional) && field::aa(word) {
        name.push('a');
    }
    let operands = text(row, word, pc);
    if operands.is_empty() { name } else { format!("{name}\t{operands}") }
}
