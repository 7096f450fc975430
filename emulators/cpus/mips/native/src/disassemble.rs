//! Instructions as text, in the syntax of GNU binutils (`objdump -d`), its shorter names included: `move`, `li`, `b` …
//!
//! Everything comes from the table's rows; the shorter names are in [`shorter`]. What the model does not have is `.word`.

use crate::table::{Decoder, Format, Insn, Row, field};

/// General-purpose registers, by the o32 convention.
pub const REGISTERS: [&str; 32] = [
    "zero", "at", "v0", "v1", "a0", "a1", "a2", "a3", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "s0", "s1", "s2",
    "s3", "s4", "s5", "s6", "s7", "t8", "t9", "k0", "k1", "gp", "sp", "s8", "ra",
];

const CONDITIONS: [&str; 16] =
    ["f", "un", "eq", "ueq", "olt", "ult", "ole", "ule", "sf", "ngle", "seq", "ngl", "lt", "nge", "le", "ngt"];

/// CP0 registers with select 0 (MIPS32 volume III, table 9.1), as binutils names them.
const CP0: [&str; 32] = [
    "c0_index",
    "c0_random",
    "c0_entrylo0",
    "c0_entrylo1",
    "c0_context",
    "c0_pagemask",
    "c0_wired",
    "c0_hwrena",
    "c0_badvaddr",
    "c0_count",
    "c0_entryhi",
    "c0_compare",
    "c0_status",
    "c0_cause",
    "c0_epc",
    "c0_prid",
    "c0_config",
    "c0_lladdr",
    "c0_watchlo",
    "c0_watchhi",
    "c0_xcontext",
    "$21",
    "$22",
    "c0_debug",
    "c0_depc",
    "c0_perfcnt",
    "c0_errctl",
    "c0_cacheerr",
    "c0_taglo",
    "c0_taghi",
    "c0_errorepc",
    "c0_desave",
];

/// Those with another select: (register, select, name).
const CP0_SELECTED: &[(u8, u8, &str)] = &[
    (0, 1, "c0_mvpcontrol"),
    (0, 2, "c0_mvpconf0"),
    (0, 3, "c0_mvpconf1"),
    (1, 1, "c0_vpecontrol"),
    (1, 2, "c0_vpeconf0"),
    (1, 3, "c0_vpeconf1"),
    (1, 4, "c0_yqmask"),
    (1, 5, "c0_vpeschedule"),
    (1, 6, "c0_vpeschefback"),
    (2, 1, "c0_tcstatus"),
    (2, 2, "c0_tcbind"),
    (2, 3, "c0_tcrestart"),
    (2, 4, "c0_tchalt"),
    (2, 5, "c0_tccontext"),
    (2, 6, "c0_tcschedule"),
    (2, 7, "c0_tcschefback"),
    (4, 1, "c0_contextconfig"),
    (5, 1, "c0_pagegrain"),
    (6, 1, "c0_srsconf0"),
    (6, 2, "c0_srsconf1"),
    (6, 3, "c0_srsconf2"),
    (6, 4, "c0_srsconf3"),
    (6, 5, "c0_srsconf4"),
    (12, 1, "c0_intctl"),
    (12, 2, "c0_srsctl"),
    (12, 3, "c0_srsmap"),
    (15, 1, "c0_ebase"),
    (16, 1, "c0_config1"),
    (16, 2, "c0_config2"),
    (16, 3, "c0_config3"),
    (18, 1, "c0_watchlo,1"),
    (18, 2, "c0_watchlo,2"),
    (18, 3, "c0_watchlo,3"),
    (18, 4, "c0_watchlo,4"),
    (18, 5, "c0_watchlo,5"),
    (18, 6, "c0_watchlo,6"),
    (18, 7, "c0_watchlo,7"),
    (19, 1, "c0_watchhi,1"),
    (19, 2, "c0_watchhi,2"),
    (19, 3, "c0_watchhi,3"),
    (19, 4, "c0_watchhi,4"),
    (19, 5, "c0_watchhi,5"),
    (19, 6, "c0_watchhi,6"),
    (19, 7, "c0_watchhi,7"),
    (23, 1, "c0_tracecontrol"),
    (23, 2, "c0_tracecontrol2"),
    (23, 3, "c0_usertracedata"),
    (23, 4, "c0_tracebpc"),
    (25, 1, "c0_perfcnt,1"),
    (25, 2, "c0_perfcnt,2"),
    (25, 3, "c0_perfcnt,3"),
    (25, 4, "c0_perfcnt,4"),
    (25, 5, "c0_perfcnt,5"),
    (25, 6, "c0_perfcnt,6"),
    (25, 7, "c0_perfcnt,7"),
    (27, 1, "c0_cacheerr,1"),
    (27, 2, "c0_cacheerr,2"),
    (27, 3, "c0_cacheerr,3"),
    (28, 1, "c0_datalo"),
    (28, 2, "c0_taglo1"),
    (28, 3, "c0_datalo1"),
    (28, 4, "c0_taglo2"),
    (28, 5, "c0_datalo2"),
    (28, 6, "c0_taglo3"),
    (28, 7, "c0_datalo3"),
    (29, 1, "c0_datahi"),
    (29, 2, "c0_taghi1"),
    (29, 3, "c0_datahi1"),
    (29, 4, "c0_taghi2"),
    (29, 5, "c0_datahi2"),
    (29, 6, "c0_taghi3"),
    (29, 7, "c0_datahi3"),
];

/// `word` at `pc`, as a model with `decoder`'s instructions understands it.
///
/// A word that a processor takes for an instruction although bits that should be zero are not is `.word`, too: data.
pub fn disassemble(decoder: &Decoder, word: u32, pc: u32) -> String {
    let insn = decoder.decode(word);
    let plain = |row: &&Row| word & should_be_zero(row) == 0 || counts(insn) && field::rt(word) == field::rd(word);
    let Some(row) = insn.row().filter(plain) else {
        return no_instruction(word);
    };
    if let Some(text) = shorter(insn, word, pc) {
        return text;
    }
    let mut name = match insn {
        Insn::Rotr => "ror".to_string(),
        Insn::Rotrv => "rorv".to_string(),
        _ => row.name.to_ascii_lowercase(),
    };
    if row.format == Format::Compare {
        name = name.replace("cond", CONDITIONS[(word & 15) as usize]);
    }
    let operands = operands(row.format, word, pc);
    if operands.is_empty() { name } else { format!("{name}\t{operands}") }
}

/// An instruction under the name that says what it is used for.
fn shorter(insn: Insn, word: u32, pc: u32) -> Option<String> {
    let (rs, rt, rd) = (field::rs(word), field::rt(word), field::rd(word));
    let [s, t, d] = [rs, rt, rd].map(register);
    let to = branch_target(word, pc);
    Some(match insn {
        Insn::Sll if word == 0 => "nop".into(),
        Insn::Or | Insn::Addu if rt == 0 => format!("move\t{d},{s}"),
        Insn::Addiu if rs == 0 => format!("li\t{t},{}", field::signed(word) as i32),
        Insn::Ori if rs == 0 => format!("li\t{t},{:#x}", field::unsigned(word)),
        Insn::Nor if rt == 0 && rs != 0 => format!("not\t{d},{s}"),
        Insn::Sub if rs == 0 => format!("neg\t{d},{t}"),
        Insn::Subu if rs == 0 => format!("negu\t{d},{t}"),
        Insn::Beq if rs == 0 && rt == 0 => format!("b\t{to}"),
        Insn::Bgez if rs == 0 => format!("b\t{to}"),
        Insn::Bgezal if rs == 0 => format!("bal\t{to}"),
        Insn::Beq if rt == 0 => format!("beqz\t{s},{to}"),
        Insn::Bne if rt == 0 => format!("bnez\t{s},{to}"),
        Insn::Beql if rt == 0 => format!("beqzl\t{s},{to}"),
        Insn::Bnel if rt == 0 => format!("bnezl\t{s},{to}"),
        Insn::Div => format!("div\tzero,{s},{t}"),
        Insn::Divu => format!("divu\tzero,{s},{t}"),
        Insn::Wait if word >> 6 & 0x7_ffff != 0 => format!("wait\t{:#x}", word >> 6 & 0x7_ffff),
        Insn::Cop0 | Insn::Cop1 | Insn::Cop2 | Insn::Cop1x | Insn::Cop3 => no_instruction(word),
        _ => return None,
    })
}

/// A coprocessor's operation by its number, or data.
fn no_instruction(word: u32) -> String {
    match (word >> 26, word & 0x0200_0000) {
        (16..=18, 1..) => format!("c{}\t{:#x}", word >> 26 & 3, word & 0x01ff_ffff),
        _ => format!(".word\t{word:#x}"),
    }
}

/// CLO and CLZ have their destination twice, for MIPS processors of old.
fn counts(insn: Insn) -> bool {
    matches!(insn, Insn::Clo | Insn::Clz)
}

/// The bits that are `-` in a row.
fn should_be_zero(row: &Row) -> u32 {
    let bits = row.bits.bytes().filter(|&bit| bit != b' ');
    bits.fold(0, |mask, bit| mask << 1 | u32::from(bit == b'-'))
}

fn register(number: u8) -> &'static str {
    REGISTERS[usize::from(number & 31)]
}

fn branch_target(word: u32, pc: u32) -> String {
    format!("{:#x}", pc.wrapping_add(4).wrapping_add(field::branch(word)))
}

fn operands(format: Format, word: u32, pc: u32) -> String {
    let (rs, rt, rd, sa) = (field::rs(word), field::rt(word), field::rd(word), field::sa(word));
    let [s, t, d] = [rs, rt, rd].map(register);
    let (signed, unsigned) = (field::signed(word) as i32, field::unsigned(word));
    let target = || branch_target(word, pc);
    let condition = |cc: u8| if cc == 0 { String::new() } else { format!("$fcc{cc},") };
    match format {
        Format::Bare => String::new(),
        Format::DST => format!("{d},{s},{t}"),
        Format::DTA => format!("{d},{t},{sa:#x}"),
        Format::DTS => format!("{d},{t},{s}"),
        Format::TSI => format!("{t},{s},{signed}"),
        Format::TSU => format!("{t},{s},{unsigned:#x}"),
        Format::TU => format!("{t},{unsigned:#x}"),
        Format::ST => format!("{s},{t}"),
        Format::D => d.into(),
        Format::S => s.into(),
        Format::T => {
            if rt == 0 {
                String::new()
            } else {
                t.into()
            }
        }
        Format::LinkDS => {
            if rd == 31 {
                s.into()
            } else {
                format!("{d},{s}")
            }
        }
        Format::DS => format!("{d},{s}"),
        Format::DT => format!("{d},{t}"),
        Format::STB => format!("{s},{t},{}", target()),
        Format::SB => format!("{s},{}", target()),
        Format::J => format!("{:#x}", pc.wrapping_add(4) & 0xf000_0000 | field::jump(word)),
        Format::Memory => format!("{t},{signed}({s})"),
        Format::CacheOp => format!("{rt:#x},{signed}({s})"),
        Format::Address => format!("{signed}({s})"),
        Format::Trap => match word >> 6 & 0x3ff {
            0 => format!("{s},{t}"),
            code => format!("{s},{t},{code:#x}"),
        },
        Format::SI => format!("{s},{signed}"),
        Format::Code => match field::code(word) {
            0 => String::new(),
            code => format!("{code:#x}"),
        },
        Format::BreakCode => match (word >> 16 & 0x3ff, word >> 6 & 0x3ff) {
            (0, 0) => String::new(),
            (code, 0) => format!("{code:#x}"),
            (code, more) => format!("{code:#x},{more:#x}"),
        },
        Format::Stype => {
            if sa == 0 {
                String::new()
            } else {
                format!("{sa:#x}")
            }
        }
        Format::Cp0 => format!("{t},{}", cp0(rd, field::select(word))),
        Format::Extract => format!("{t},{s},{sa:#x},{:#x}", rd + 1),
        Format::Insert => format!("{t},{s},{sa:#x},{:#x}", i32::from(rd) + 1 - i32::from(sa)),
        Format::Rdhwr => format!("{t},{}", hardware(rd)),
        Format::F3 => format!("$f{sa},$f{rd},$f{rt}"),
        Format::F2 => format!("$f{sa},$f{rd}"),
        Format::Compare => format!("{}$f{rd},$f{rt}", condition(field::cc_set(word))),
        Format::F4 => format!("$f{sa},$f{rs},$f{rd},$f{rt}"),
        Format::TF => format!("{t},$f{rd}"),
        Format::TC => format!("{t},{}", control(rd)),
        Format::FMemory => format!("$f{rt},{signed}({s})"),
        Format::FLoadIndexed => format!("$f{sa},{t}({s})"),
        Format::FStoreIndexed => format!("$f{rd},{t}({s})"),
        Format::PrefIndexed => format!("{rd:#x},{t}({s})"),
        Format::CcB => format!("{}{}", condition(field::cc_test(word)), target()),
        Format::DSCc => format!("{d},{s},$fcc{}", field::cc_test(word)),
        Format::F2Cc => format!("$f{sa},$f{rd},$fcc{}", field::cc_test(word)),
        Format::F2T => format!("$f{sa},$f{rd},{t}"),
        Format::CopOp => format!("{:#x}", word & 0x01ff_ffff),
        Format::CopMemory => format!("${rt},{signed}({s})"),
    }
}

fn cp0(number: u8, select: u8) -> String {
    if select == 0 {
        return CP0[usize::from(number)].into();
    }
    let named = CP0_SELECTED.iter().find(|&&(register, of, _)| (register, of) == (number, select));
    named.map_or_else(|| format!("${number},{select}"), |&(_, _, name)| name.into())
}

/// Hardware registers of RDHWR (MIPS32 volume II, RDHWR).
fn hardware(number: u8) -> String {
    match number {
        0 => "hwr_cpunum".into(),
        1 => "hwr_synci_step".into(),
        2 => "hwr_cc".into(),
        3 => "hwr_ccres".into(),
        _ => format!("${number}"),
    }
}

/// Control registers of the FPU (MIPS32 volume I, 5.6).
fn control(number: u8) -> String {
    match number {
        0 => "c1_fir".into(),
        1 => "c1_ufr".into(),
        4 => "c1_unfr".into(),
        25 => "c1_fccr".into(),
        26 => "c1_fexr".into(),
        28 => "c1_fenr".into(),
        31 => "c1_fcsr".into(),
        _ => format!("${number}"),
    }
}
