//! Rows of the system instructions: SDM 1, 5.18; opcodes: SDM 2, appendix A.3.

use super::Operand::*;
use super::{Row, Run};
use crate::model::{MSR, SEP, TSC};
use crate::op::undefined;
use crate::system::*;

/// Handlers with a register and with memory in r/m.
macro_rules! e {
    ($($function:ident)::+) => {
        Run::either($($function)::+::<false>, $($function)::+::<true>)
    };
    ($($function:ident)::+, $k:literal) => {
        Run::either($($function)::+::<$k, false>, $($function)::+::<$k, true>)
    };
}

pub(super) fn rows() -> Vec<Row> {
    let store = |name, group, k: bool| {
        let run = if k {
            Run {
                r32: store_selector::<u32, 1, false>,
                m32: store_selector::<u32, 1, true>,
                r16: store_selector::<u16, 1, false>,
                m16: store_selector::<u16, 1, true>,
            }
        } else {
            Run {
                r32: store_selector::<u32, 0, false>,
                m32: store_selector::<u32, 0, true>,
                r16: store_selector::<u16, 0, false>,
                m16: store_selector::<u16, 0, true>,
            }
        };
        Row::two(name, 0x00, &[Mw], run).group(group)
    };
    vec![
        Row::one("hlt", 0xf4, &[], Run::all(hlt)),
        Row::one("arpl", 0x63, &[Ew, Gw], e!(arpl)),
        store("sldt", 0, false),
        store("str", 1, true),
        Row::two("lldt", 0x00, &[Ew], e!(lldt)).group(2),
        Row::two("ltr", 0x00, &[Ew], e!(ltr)).group(3),
        Row::two("verr", 0x00, &[Ew], e!(verify, false)).group(4),
        Row::two("verw", 0x00, &[Ew], e!(verify, true)).group(5),
        Row::two("vmcall", 0x01, &[], Run::all(vmcall)).modrm(0xc1),
        Row::two("sgdt", 0x01, &[M48], Run::all(store_table::<0>)).group(0).memory(),
        Row::two("sidt", 0x01, &[M48], Run::all(store_table::<1>)).group(1).memory(),
        Row::two("lgdt", 0x01, &[M48], Run::sized(load_table::<u32, 0>, load_table::<u16, 0>)).group(2).memory(),
        Row::two("lidt", 0x01, &[M48], Run::sized(load_table::<u32, 1>, load_table::<u16, 1>)).group(3).memory(),
        Row::two(
            "smsw",
            0x01,
            &[Mw],
            Run { r32: smsw::<u32, false>, m32: smsw::<u32, true>, r16: smsw::<u16, false>, m16: smsw::<u16, true> },
        )
        .group(4),
        Row::two("lmsw", 0x01, &[Ew], e!(lmsw)).group(6),
        Row::two("invlpg", 0x01, &[M], Run::all(invlpg)).group(7).memory(),
        Row::two(
            "lar",
            0x02,
            &[Gv, Ew],
            Run {
                r32: look::<u32, false, false>,
                m32: look::<u32, false, true>,
                r16: look::<u16, false, false>,
                m16: look::<u16, false, true>,
            },
        ),
        Row::two(
            "lsl",
            0x03,
            &[Gv, Ew],
            Run {
                r32: look::<u32, true, false>,
                m32: look::<u32, true, true>,
                r16: look::<u16, true, false>,
                m16: look::<u16, true, true>,
            },
        ),
        Row::two("clts", 0x06, &[], Run::all(clts)),
        Row::two("invd", 0x08, &[], Run::all(caches)),
        Row::two("wbinvd", 0x09, &[], Run::all(caches)),
        Row::two("ud2", 0x0b, &[], Run::all(undefined)),
        // Prefetches and hints, on processors that do not have them too (SDM 2, NOP): all are no operations.
        Row::two("nop", 0x0d, &[Ev], Run::all(nop)),
        Row::two("nop", 0x19, &[Ev], Run::all(nop)).span(7),
        Row::two("mov", 0x20, &[Rd, Cd], Run::all(mov_r_c)),
        Row::two("mov", 0x21, &[Rd, Dd], Run::all(mov_r_d)),
        Row::two("mov", 0x22, &[Cd, Rd], Run::all(mov_c_r)),
        Row::two("mov", 0x23, &[Dd, Rd], Run::all(mov_d_r)),
        Row::two("wrmsr", 0x30, &[], Run::all(wrmsr)).needs(MSR),
        Row::two("rdtsc", 0x31, &[], Run::all(rdtsc)).needs(TSC),
        Row::two("rdmsr", 0x32, &[], Run::all(rdmsr)).needs(MSR),
        Row::two("sysenter", 0x34, &[], Run::all(sysenter)).needs(SEP),
        Row::two("sysexit", 0x35, &[], Run::all(sysexit)).needs(SEP),
        Row::two("cpuid", 0xa2, &[], Run::all(cpuid)),
    ]
}
