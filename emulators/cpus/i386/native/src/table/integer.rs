//! Rows of the integer instructions: SDM 1, 5.1; opcodes: SDM 2, appendix A.3.

use super::Operand::*;
use super::{Row, Run};
use crate::arithmetic::{self, Adc, Add, And, Cmp, Or, Sbb, Sub, Test, Xor};
use crate::bits::{self, COMPLEMENT, RESET, SET, TEST};
use crate::control_transfer as control;
use crate::data_transfer as data;
use crate::flag_control as flags;
use crate::io;
use crate::model::{CMOV, CX8};
use crate::op::Handler;
use crate::shift::{self, RCL, RCR, ROL, ROR, SAR, SHL, SHR};
use crate::string;
use crate::{decimal, system};

/// Handlers that are generic in the operand and in whether it is memory: `e!(path::<…, T, M>)`.
macro_rules! v {
    ($($function:ident)::+ $(, $parameter:ty)*) => {
        Run {
            r32: $($function)::+::<$($parameter,)* u32, false>,
            m32: $($function)::+::<$($parameter,)* u32, true>,
            r16: $($function)::+::<$($parameter,)* u16, false>,
            m16: $($function)::+::<$($parameter,)* u16, true>,
        }
    };
}

macro_rules! b {
    ($($function:ident)::+ $(, $parameter:ty)*) => {
        Run::either($($function)::+::<$($parameter,)* u8, false>, $($function)::+::<$($parameter,)* u8, true>)
    };
}

/// Likewise with a number between: `vk!(shift::by_one, ROL)`.
macro_rules! vk {
    ($($function:ident)::+, $k:expr) => {
        Run {
            r32: $($function)::+::<u32, { $k }, false>,
            m32: $($function)::+::<u32, { $k }, true>,
            r16: $($function)::+::<u16, { $k }, false>,
            m16: $($function)::+::<u16, { $k }, true>,
        }
    };
}

macro_rules! bk {
    ($($function:ident)::+, $k:expr) => {
        Run::either($($function)::+::<u8, { $k }, false>, $($function)::+::<u8, { $k }, true>)
    };
}

/// Generic in the size alone.
macro_rules! s {
    ($($function:ident)::+) => {
        Run::sized($($function)::+::<u32>, $($function)::+::<u16>)
    };
    ($($function:ident)::+, $k:expr) => {
        Run::sized($($function)::+::<u32, { $k }>, $($function)::+::<u16, { $k }>)
    };
}

fn all(handler: Handler) -> Run {
    Run::all(handler)
}

/// ADD OR ADC SBB AND SUB XOR CMP: six forms and three groups each.
fn binary(rows: &mut Vec<Row>) {
    macro_rules! forms {
        ($($name:literal $type:ty, $number:literal;)*) => {$(
            let code = $number << 3;
            let locks = $number != 7;
            let with = |row: Row| if locks { row.lock() } else { row };
            rows.extend([
                with(Row::one($name, code, &[Eb, Gb], b!(arithmetic::e_g, $type))),
                with(Row::one($name, code + 1, &[Ev, Gv], v!(arithmetic::e_g, $type))),
                Row::one($name, code + 2, &[Gb, Eb], b!(arithmetic::g_e, $type)),
                Row::one($name, code + 3, &[Gv, Ev], v!(arithmetic::g_e, $type)),
                Row::one($name, code + 4, &[Al, Ib], b!(arithmetic::a_i, $type)),
                Row::one($name, code + 5, &[Ax, Iv], v!(arithmetic::a_i, $type)),
                with(Row::one($name, 0x80, &[Eb, Ib], b!(arithmetic::e_i, $type)).group($number)),
                with(Row::one($name, 0x81, &[Ev, Iv], v!(arithmetic::e_i, $type)).group($number)),
                with(Row::one($name, 0x82, &[Eb, Ib], b!(arithmetic::e_i, $type)).group($number)),
                with(Row::one($name, 0x83, &[Ev, SIb], v!(arithmetic::e_i, $type)).group($number)),
            ]);
        )*};
    }
    forms! {
        "add" Add, 0; "or" Or, 1; "adc" Adc, 2; "sbb" Sbb, 3; "and" And, 4; "sub" Sub, 5; "xor" Xor, 6; "cmp" Cmp, 7;
    }
}

fn shifts(rows: &mut Vec<Row>) {
    macro_rules! forms {
        ($($name:literal $k:ident, $number:literal;)*) => {$(
            rows.extend([
                Row::one($name, 0xc0, &[Eb, Ib], bk!(shift::by_i, $k)).group($number),
                Row::one($name, 0xc1, &[Ev, Ib], vk!(shift::by_i, $k)).group($number),
                Row::one($name, 0xd0, &[Eb, One], bk!(shift::by_one, $k)).group($number),
                Row::one($name, 0xd1, &[Ev, One], vk!(shift::by_one, $k)).group($number),
                Row::one($name, 0xd2, &[Eb, Cl], bk!(shift::by_cl, $k)).group($number),
                Row::one($name, 0xd3, &[Ev, Cl], vk!(shift::by_cl, $k)).group($number),
            ]);
        )*};
    }
    forms! {
        "rol" ROL, 0; "ror" ROR, 1; "rcl" RCL, 2; "rcr" RCR, 3; "shl" SHL, 4; "shr" SHR, 5; "shl" SHL, 6; "sar" SAR, 7;
    }
    rows.extend([
        Row::two("shld", 0xa4, &[Ev, Gv, Ib], vk!(shift::double_i, false)),
        Row::two("shld", 0xa5, &[Ev, Gv, Cl], vk!(shift::double_cl, false)),
        Row::two("shrd", 0xac, &[Ev, Gv, Ib], vk!(shift::double_i, true)),
        Row::two("shrd", 0xad, &[Ev, Gv, Cl], vk!(shift::double_cl, true)),
    ]);
}

/// Jcc, SETcc, CMOVcc.
fn conditional(rows: &mut Vec<Row>) {
    macro_rules! forms {
        ($($jump:literal $set:literal $move:literal, $number:literal;)*) => {$(
            rows.extend([
                Row::one($jump, 0x70 + $number, &[Jb], s!(control::jcc, $number)),
                Row::two($jump, 0x80 + $number, &[Jv], s!(control::jcc, $number)),
                Row::two($set, 0x90 + $number, &[Eb],
                    Run::either(bits::setcc::<$number, false>, bits::setcc::<$number, true>)),
                Row::two($move, 0x40 + $number, &[Gv, Ev], vk!(bits::cmov, $number)).needs(CMOV),
            ]);
        )*};
    }
    forms! {
        "jo" "seto" "cmovo", 0; "jno" "setno" "cmovno", 1; "jb" "setb" "cmovb", 2; "jae" "setae" "cmovae", 3;
        "je" "sete" "cmove", 4; "jne" "setne" "cmovne", 5; "jbe" "setbe" "cmovbe", 6; "ja" "seta" "cmova", 7;
        "js" "sets" "cmovs", 8; "jns" "setns" "cmovns", 9; "jp" "setp" "cmovp", 10; "jnp" "setnp" "cmovnp", 11;
        "jl" "setl" "cmovl", 12; "jge" "setge" "cmovge", 13; "jle" "setle" "cmovle", 14; "jg" "setg" "cmovg", 15;
    }
}

fn bit_tests(rows: &mut Vec<Row>) {
    macro_rules! forms {
        ($($name:literal $k:ident, $opcode:literal, $group:literal;)*) => {$(
            let with = |row: Row| if $k == TEST { row } else { row.lock() };
            rows.extend([
                with(Row::two($name, $opcode, &[Ev, Gv], vk!(bits::bit_g, $k))),
                with(Row::two($name, 0xba, &[Ev, Ib], vk!(bits::bit_i, $k)).group($group)),
            ]);
        )*};
    }
    forms! { "bt" TEST, 0xa3, 4; "bts" SET, 0xab, 5; "btr" RESET, 0xb3, 6; "btc" COMPLEMENT, 0xbb, 7; }
    rows.extend([
        Row::two("bsf", 0xbc, &[Gv, Ev], vk!(bits::scan, false)),
        Row::two("bsr", 0xbd, &[Gv, Ev], vk!(bits::scan, true)),
    ]);
}

fn one_operand(rows: &mut Vec<Row>) {
    rows.extend([
        Row::one("inc", 0x40, &[Zv], s!(arithmetic::inc_dec_z, false)).span(8),
        Row::one("dec", 0x48, &[Zv], s!(arithmetic::inc_dec_z, true)).span(8),
        Row::one("inc", 0xfe, &[Eb], bk!(arithmetic::inc_dec, false)).group(0).lock(),
        Row::one("dec", 0xfe, &[Eb], bk!(arithmetic::inc_dec, true)).group(1).lock(),
        Row::one("inc", 0xff, &[Ev], vk!(arithmetic::inc_dec, false)).group(0).lock(),
        Row::one("dec", 0xff, &[Ev], vk!(arithmetic::inc_dec, true)).group(1).lock(),
        Row::one("test", 0x84, &[Eb, Gb], b!(arithmetic::e_g, Test)),
        Row::one("test", 0x85, &[Ev, Gv], v!(arithmetic::e_g, Test)),
        Row::one("test", 0xa8, &[Al, Ib], b!(arithmetic::a_i, Test)),
        Row::one("test", 0xa9, &[Ax, Iv], v!(arithmetic::a_i, Test)),
    ]);
    for group in [0, 1] {
        rows.push(Row::one("test", 0xf6, &[Eb, Ib], b!(arithmetic::e_i, Test)).group(group));
        rows.push(Row::one("test", 0xf7, &[Ev, Iv], v!(arithmetic::e_i, Test)).group(group));
    }
    rows.extend([
        Row::one("not", 0xf6, &[Eb], b!(arithmetic::not)).group(2).lock(),
        Row::one("not", 0xf7, &[Ev], v!(arithmetic::not)).group(2).lock(),
        Row::one("neg", 0xf6, &[Eb], b!(arithmetic::neg)).group(3).lock(),
        Row::one("neg", 0xf7, &[Ev], v!(arithmetic::neg)).group(3).lock(),
        Row::one("mul", 0xf6, &[Eb], bk!(arithmetic::mul, false)).group(4),
        Row::one("mul", 0xf7, &[Ev], vk!(arithmetic::mul, false)).group(4),
        Row::one("imul", 0xf6, &[Eb], bk!(arithmetic::mul, true)).group(5),
        Row::one("imul", 0xf7, &[Ev], vk!(arithmetic::mul, true)).group(5),
        Row::one("div", 0xf6, &[Eb], bk!(arithmetic::div, false)).group(6),
        Row::one("div", 0xf7, &[Ev], vk!(arithmetic::div, false)).group(6),
        Row::one("idiv", 0xf6, &[Eb], bk!(arithmetic::div, true)).group(7),
        Row::one("idiv", 0xf7, &[Ev], vk!(arithmetic::div, true)).group(7),
        Row::one("imul", 0x69, &[Gv, Ev, Iv], v!(arithmetic::imul_g_e_i)),
        Row::one("imul", 0x6b, &[Gv, Ev, SIb], v!(arithmetic::imul_g_e_i)),
        Row::two("imul", 0xaf, &[Gv, Ev], v!(arithmetic::imul_g_e)),
        Row::two("cmpxchg", 0xb0, &[Eb, Gb], b!(arithmetic::cmpxchg)).lock(),
        Row::two("cmpxchg", 0xb1, &[Ev, Gv], v!(arithmetic::cmpxchg)).lock(),
        Row::two("xadd", 0xc0, &[Eb, Gb], b!(arithmetic::xadd)).lock(),
        Row::two("xadd", 0xc1, &[Ev, Gv], v!(arithmetic::xadd)).lock(),
        Row::two("cmpxchg8b", 0xc7, &[M64], all(arithmetic::cmpxchg8b)).group(1).memory().needs(CX8).lock(),
    ]);
}

fn transfers(rows: &mut Vec<Row>) {
    rows.extend([
        Row::one("mov", 0x88, &[Eb, Gb], b!(data::mov_e_g)),
        Row::one("mov", 0x89, &[Ev, Gv], v!(data::mov_e_g)),
        Row::one("mov", 0x8a, &[Gb, Eb], b!(data::mov_g_e)),
        Row::one("mov", 0x8b, &[Gv, Ev], v!(data::mov_g_e)),
        Row::one("mov", 0x8c, &[Mw, Sw], v!(data::mov_e_s)),
        Row::one("mov", 0x8e, &[Sw, Ew], Run::either(data::mov_s_e::<false>, data::mov_s_e::<true>)),
        Row::one("mov", 0xa0, &[Al, Ob], all(data::mov_a_o::<u8>)),
        Row::one("mov", 0xa1, &[Ax, Ov], s!(data::mov_a_o)),
        Row::one("mov", 0xa2, &[Ob, Al], all(data::mov_o_a::<u8>)),
        Row::one("mov", 0xa3, &[Ov, Ax], s!(data::mov_o_a)),
        Row::one("mov", 0xb0, &[Zb, Ib], all(data::mov_z_i::<u8>)).span(8),
        Row::one("mov", 0xb8, &[Zv, Iv], s!(data::mov_z_i)).span(8),
        Row::one("mov", 0xc6, &[Eb, Ib], b!(data::mov_e_i)).group(0),
        Row::one("mov", 0xc7, &[Ev, Iv], v!(data::mov_e_i)).group(0),
        Row::two(
            "movzx",
            0xb6,
            &[Gv, Eb],
            Run {
                r32: data::movzx::<u32, u8, false>,
                m32: data::movzx::<u32, u8, true>,
                r16: data::movzx::<u16, u8, false>,
                m16: data::movzx::<u16, u8, true>,
            },
        ),
        Row::two(
            "movzx",
            0xb7,
            &[Gv, Ew],
            Run {
                r32: data::movzx::<u32, u16, false>,
                m32: data::movzx::<u32, u16, true>,
                r16: data::movzx::<u16, u16, false>,
                m16: data::movzx::<u16, u16, true>,
            },
        ),
        Row::two(
            "movsx",
            0xbe,
            &[Gv, Eb],
            Run {
                r32: data::movsx::<u32, u8, false>,
                m32: data::movsx::<u32, u8, true>,
                r16: data::movsx::<u16, u8, false>,
                m16: data::movsx::<u16, u8, true>,
            },
        ),
        Row::two(
            "movsx",
            0xbf,
            &[Gv, Ew],
            Run {
                r32: data::movsx::<u32, u16, false>,
                m32: data::movsx::<u32, u16, true>,
                r16: data::movsx::<u16, u16, false>,
                m16: data::movsx::<u16, u16, true>,
            },
        ),
        Row::one("xchg", 0x86, &[Eb, Gb], b!(data::xchg_e_g)).lock(),
        Row::one("xchg", 0x87, &[Ev, Gv], v!(data::xchg_e_g)).lock(),
        Row::one("nop", 0x90, &[], all(system::nop)),
        Row::one("xchg", 0x91, &[Zv, Ax], s!(data::xchg_z)).span(7),
        Row::two("bswap", 0xc8, &[Zv], s!(data::bswap)).span(8),
        Row::one("lea", 0x8d, &[Gv, M], s!(data::lea)).memory(),
        Row::one("cbw", 0x98, &[], Run::sized(data::cbw::<u32, u16>, data::cbw::<u16, u8>)),
        Row::one("cwd", 0x99, &[], s!(data::cwd)),
        Row::one("xlat", 0xd7, &[], all(data::xlat)),
        Row::one("push", 0x50, &[Zv], s!(data::push_z)).span(8),
        Row::one("pop", 0x58, &[Zv], s!(data::pop_z)).span(8),
        Row::one("pusha", 0x60, &[], s!(data::pusha)),
        Row::one("popa", 0x61, &[], s!(data::popa)),
        Row::one("push", 0x68, &[Iv], s!(data::push_i)),
        Row::one("push", 0x6a, &[SIb], s!(data::push_i)),
        Row::one("push", 0xff, &[Ev], v!(data::push_e)).group(6),
        Row::one("pop", 0x8f, &[Ev], v!(data::pop_e)).group(0),
        Row::one("enter", 0xc8, &[Iw, Ib], s!(data::enter)),
        Row::one("leave", 0xc9, &[], s!(data::leave)),
        Row::one("les", 0xc4, &[Gv, Mp], s!(data::load_far, crate::state::ES)).memory(),
        Row::one("lds", 0xc5, &[Gv, Mp], s!(data::load_far, crate::state::DS)).memory(),
        Row::two("lss", 0xb2, &[Gv, Mp], s!(data::load_far, crate::state::SS)).memory(),
        Row::two("lfs", 0xb4, &[Gv, Mp], s!(data::load_far, crate::state::FS)).memory(),
        Row::two("lgs", 0xb5, &[Gv, Mp], s!(data::load_far, crate::state::GS)).memory(),
    ]);
    for (code, operands) in [(0x06, &[Es]), (0x0e, &[Cs]), (0x16, &[Ss]), (0x1e, &[Ds])] {
        rows.push(Row::one("push", code, operands, s!(data::push_s)));
        if code != 0x0e {
            rows.push(Row::one("pop", code + 1, operands, s!(data::pop_s)));
        }
    }
    for (code, operands) in [(0xa0, &[Fs]), (0xa8, &[Gs])] {
        rows.push(Row::two("push", code, operands, s!(data::push_s)));
        rows.push(Row::two("pop", code + 1, operands, s!(data::pop_s)));
    }
}

fn control_transfers(rows: &mut Vec<Row>) {
    rows.extend([
        Row::one("jmp", 0xeb, &[Jb], s!(control::jmp)),
        Row::one("jmp", 0xe9, &[Jv], s!(control::jmp)),
        Row::one("jmp", 0xff, &[Ev], v!(control::jmp_e)).group(4),
        Row::one("jmpf", 0xea, &[Ap], s!(control::jmp_far)),
        Row::one("jmpf", 0xff, &[Mp], s!(control::jmp_far_e)).group(5).memory(),
        Row::one("call", 0xe8, &[Jv], s!(control::call)),
        Row::one("call", 0xff, &[Ev], v!(control::call_e)).group(2),
        Row::one("callf", 0x9a, &[Ap], s!(control::call_far)),
        Row::one("callf", 0xff, &[Mp], s!(control::call_far_e)).group(3).memory(),
        Row::one("ret", 0xc2, &[Iw], s!(control::ret)),
        Row::one("ret", 0xc3, &[], s!(control::ret)),
        Row::one("retf", 0xca, &[Iw], s!(control::ret_far)),
        Row::one("retf", 0xcb, &[], s!(control::ret_far)),
        Row::one("iret", 0xcf, &[], s!(control::iret)),
        Row::one("int3", 0xcc, &[], all(control::int3)),
        Row::one("int", 0xcd, &[Ib], all(control::int)),
        Row::one("into", 0xce, &[], all(control::into)),
        Row::one("int1", 0xf1, &[], all(control::int1)),
        Row::one("loopne", 0xe0, &[Jb], s!(control::loop_, 0)),
        Row::one("loope", 0xe1, &[Jb], s!(control::loop_, 1)),
        Row::one("loop", 0xe2, &[Jb], s!(control::loop_, 2)),
        Row::one("jecxz", 0xe3, &[Jb], s!(control::jcxz)),
        Row::one("bound", 0x62, &[Gv, M], s!(bits::bound)).memory(),
    ]);
}

fn strings(rows: &mut Vec<Row>) {
    rows.extend([
        Row::one("ins", 0x6c, &[Yb, Dx], all(string::ins::<u8>)),
        Row::one("ins", 0x6d, &[Yv, Dx], s!(string::ins)),
        Row::one("outs", 0x6e, &[Dx, Xb], all(string::outs::<u8>)),
        Row::one("outs", 0x6f, &[Dx, Xv], s!(string::outs)),
        Row::one("movs", 0xa4, &[Yb, Xb], all(string::movs::<u8>)),
        Row::one("movs", 0xa5, &[Yv, Xv], s!(string::movs)),
        Row::one("cmps", 0xa6, &[Xb, Yb], all(string::cmps::<u8>)),
        Row::one("cmps", 0xa7, &[Xv, Yv], s!(string::cmps)),
        Row::one("stos", 0xaa, &[Yb, Al], all(string::stos::<u8>)),
        Row::one("stos", 0xab, &[Yv, Ax], s!(string::stos)),
        Row::one("lods", 0xac, &[Al, Xb], all(string::lods::<u8>)),
        Row::one("lods", 0xad, &[Ax, Xv], s!(string::lods)),
        Row::one("scas", 0xae, &[Al, Yb], all(string::scas::<u8>)),
        Row::one("scas", 0xaf, &[Ax, Yv], s!(string::scas)),
        Row::one("in", 0xe4, &[Al, Ib], all(io::in_::<u8, true>)),
        Row::one("in", 0xe5, &[Ax, Ib], s!(io::in_, true)),
        Row::one("out", 0xe6, &[Ib, Al], all(io::out::<u8, true>)),
        Row::one("out", 0xe7, &[Ib, Ax], s!(io::out, true)),
        Row::one("in", 0xec, &[Al, Dx], all(io::in_::<u8, false>)),
        Row::one("in", 0xed, &[Ax, Dx], s!(io::in_, false)),
        Row::one("out", 0xee, &[Dx, Al], all(io::out::<u8, false>)),
        Row::one("out", 0xef, &[Dx, Ax], s!(io::out, false)),
    ]);
}

fn flag_control(rows: &mut Vec<Row>) {
    rows.extend([
        Row::one("daa", 0x27, &[], all(decimal::adjust_packed::<false>)),
        Row::one("das", 0x2f, &[], all(decimal::adjust_packed::<true>)),
        Row::one("aaa", 0x37, &[], all(decimal::adjust_unpacked::<false>)),
        Row::one("aas", 0x3f, &[], all(decimal::adjust_unpacked::<true>)),
        Row::one("aam", 0xd4, &[Ib], all(decimal::aam)),
        Row::one("aad", 0xd5, &[Ib], all(decimal::aad)),
        Row::one("salc", 0xd6, &[], all(flags::salc)),
        Row::one("pushf", 0x9c, &[], s!(flags::pushf)),
        Row::one("popf", 0x9d, &[], s!(flags::popf)),
        Row::one("sahf", 0x9e, &[], all(flags::sahf)),
        Row::one("lahf", 0x9f, &[], all(flags::lahf)),
        Row::one("cmc", 0xf5, &[], all(flags::carry::<2>)),
        Row::one("clc", 0xf8, &[], all(flags::carry::<0>)),
        Row::one("stc", 0xf9, &[], all(flags::carry::<1>)),
        Row::one("cli", 0xfa, &[], all(flags::interrupts::<false>)),
        Row::one("sti", 0xfb, &[], all(flags::interrupts::<true>)),
        Row::one("cld", 0xfc, &[], all(flags::direction::<false>)),
        Row::one("std", 0xfd, &[], all(flags::direction::<true>)),
    ]);
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for part in
        [binary, shifts, conditional, bit_tests, one_operand, transfers, control_transfers, strings, flag_control]
    {
        part(&mut rows);
    }
    rows
}
