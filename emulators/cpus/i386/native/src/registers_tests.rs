//! Tests of system registers: what they take, from whom, and what they refuse.

use crate::control_registers::*;
use crate::flags::IF;
use crate::model::{Model, Options};
use crate::state::{CS, DS, SS};
use crate::testbench::*;

const GP: u8 = 13;
const UD: u8 = 6;

#[test]
fn cr0_refuses_what_cannot_be() {
    let mut bench = Bench::new();
    for value in [CR0_PG, CR0_PE | CR0_NW] {
        assert_eq!(bench.fault(|cpu, memory| cpu.write_cr(memory, 0, value)), (GP, Some(0)), "{value:#x}");
    }
    bench.ok(|cpu, memory| cpu.write_cr(memory, 0, CR0_PE | 0x1ffa_ff80));
    assert_eq!(bench.cpu.cr0, CR0_PE | CR0_ET | CR0_AM & 0x1ffa_ff80, "ET is one, what is unknown is zero");
    bench.ok(|cpu, memory| cpu.lmsw(memory, 0xfffe));
    assert_eq!(bench.cpu.cr0 & 0xf, 0xf, "LMSW never clears PE");
    bench.ok(|cpu, _| cpu.clts());
    assert_eq!(bench.cpu.cr0 & 0xf, 7);
}

#[test]
fn cr4_has_what_the_model_has() {
    for (name, options, expected) in [
        ("486", Options::default(), 0),
        ("pentium", Options::default(), CR4_TSD | CR4_DE | CR4_PSE),
        ("pentium2", Options::default(), CR4_TSD | CR4_DE | CR4_PSE | CR4_PGE | CR4_OSFXSR),
        ("pentium3", Options::default(), CR4_TSD | CR4_DE | CR4_PSE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT),
        ("pentium2", Options { pae: true, ..Options::default() }, 0xac | CR4_OSFXSR | 0x10),
    ] {
        let mut bench = Bench::of(name, options);
        for bit in 0..32 {
            let value = 1 << bit;
            if value & expected != 0 {
                bench.ok(|cpu, memory| cpu.write_cr(memory, 4, value));
            } else {
                assert_eq!(bench.fault(|cpu, memory| cpu.write_cr(memory, 4, value)), (GP, Some(0)), "{name} {bit}");
            }
        }
    }
}

#[test]
fn there_are_no_other_control_registers() {
    let mut bench = Bench::new();
    for number in [1, 5, 6, 7] {
        assert_eq!(bench.fault(|cpu, _| cpu.read_cr(number)), (UD, None));
        assert_eq!(bench.fault(|cpu, memory| cpu.write_cr(memory, number, 0)), (UD, None));
    }
}

#[test]
fn only_level_0_may() {
    let mut bench = Bench::new();
    bench.go(3);
    assert_eq!(bench.fault(|cpu, _| cpu.read_cr(0)), (GP, Some(0)));
    assert_eq!(bench.fault(|cpu, memory| cpu.write_cr(memory, 3, 0)), (GP, Some(0)));
    assert_eq!(bench.fault(|cpu, memory| cpu.lmsw(memory, 1)), (GP, Some(0)));
    assert_eq!(bench.fault(|cpu, _| cpu.clts()), (GP, Some(0)));
    assert_eq!(bench.fault(|cpu, _| cpu.read_dr(7)), (GP, Some(0)));
    assert_eq!(bench.fault(|cpu, _| cpu.write_dr(0, 1)), (GP, Some(0)));
    assert_eq!(bench.fault(|cpu, memory| cpu.lldt(memory, LDT0)), (GP, Some(0)));
    assert_eq!(bench.fault(|cpu, memory| cpu.ltr(memory, TSS_OTHER)), (GP, Some(0)));
    assert_eq!(bench.fault(|cpu, _| cpu.rdmsr()), (GP, Some(0)));
    assert_eq!(bench.fault(|cpu, _| cpu.wrmsr()), (GP, Some(0)));
    assert_eq!(bench.fault(|cpu, _| cpu.sysexit()), (GP, Some(0)));
    bench.ok(|cpu, _| cpu.rdtsc());
    bench.cpu.cr4 |= CR4_TSD;
    assert_eq!(bench.fault(|cpu, _| cpu.rdtsc()), (GP, Some(0)));
    bench.go(0);
    bench.ok(|cpu, _| cpu.rdtsc());
}

#[test]
fn debug_registers() {
    let mut bench = Bench::new();
    bench.ok(|cpu, _| cpu.write_dr(0, 0x1234_5678));
    assert_eq!(bench.ok(|cpu, _| cpu.read_dr(0)), 0x1234_5678);
    bench.ok(|cpu, _| cpu.write_dr(4, u32::MAX)); // DR6
    assert_eq!(bench.ok(|cpu, _| cpu.read_dr(6)), 0xffff_efff);
    bench.ok(|cpu, _| cpu.write_dr(7, 0));
    assert_eq!(bench.ok(|cpu, _| cpu.read_dr(5)), 0x400);
    bench.ok(|cpu, memory| cpu.write_cr(memory, 4, CR4_DE));
    assert_eq!(bench.fault(|cpu, _| cpu.read_dr(4)), (UD, None));
    bench.ok(|cpu, _| cpu.write_dr(6, 0));
    bench.ok(|cpu, _| cpu.write_dr(7, DR7_GD));
    assert_eq!(bench.fault(|cpu, _| cpu.write_dr(0, 0)), (1, None));
    assert_eq!((bench.cpu.dr[6] & 0xf00f, bench.cpu.dr[0]), (0x2000, 0x1234_5678));
}

#[test]
fn table_registers() {
    let mut bench = Bench::new();
    for (selector, expected) in [
        (0, (GP, 0)),
        (TSS_BUSY, (GP, TSS_BUSY)),
        (LDT0, (GP, LDT0)),
        (CODE0, (GP, CODE0)),
        (TSS_OTHER | 4, (GP, TSS_OTHER | 4)),
        (LAST + 8, (GP, LAST + 8)),
    ] {
        let fault = bench.fault(|cpu, memory| cpu.ltr(memory, selector));
        assert_eq!(fault, (expected.0, Some(expected.1.into())), "{selector:#x}");
    }
    bench.ok(|cpu, memory| cpu.ltr(memory, TSS_OTHER));
    assert_eq!((bench.cpu.tr.base, bench.get32(GDT + u32::from(TSS_OTHER) + 4) >> 8 & 0xff), (OTHER_TSS, 0x8b));
    for (selector, expected) in
        [(TSS_SMALL, (GP, TSS_SMALL)), (LDT0 | 4, (GP, LDT0 | 4)), (LAST + 8, (GP, LAST + 8)), (DATA0, (GP, DATA0))]
    {
        let fault = bench.fault(|cpu, memory| cpu.lldt(memory, selector));
        assert_eq!(fault, (expected.0, Some(expected.1.into())), "{selector:#x}");
    }
    assert_eq!(bench.fault(|cpu, memory| cpu.load_segment(memory, DS, LOCAL_DATA)), (GP, Some(LOCAL_DATA.into())));
    bench.ok(|cpu, memory| cpu.lldt(memory, LDT0));
    bench.ok(|cpu, memory| cpu.load_segment(memory, DS, LOCAL_DATA));
    bench.ok(|cpu, memory| cpu.lldt(memory, 0));
    assert_eq!(bench.fault(|cpu, memory| cpu.load_segment(memory, DS, LOCAL_DATA)), (GP, Some(LOCAL_DATA.into())));
}

#[test]
fn segments_are_loaded_with_all_checks() {
    let mut bench = Bench::new();
    for (level, which, selector, expected) in [
        (0, DS, LAST + 8, (GP, LAST + 8)),
        (0, DS, BLIND_CODE, (GP, BLIND_CODE)),
        (0, DS, TSS_OTHER, (GP, TSS_OTHER)),
        (0, DS, DATA0 | 3, (GP, DATA0)),
        (3, DS, DATA0, (GP, DATA0)),
        (0, DS, ABSENT_DATA, (11, ABSENT_DATA)),
        (0, SS, 0, (GP, 0)),
        (0, SS, DATA3, (GP, DATA3 & !3)),
        (0, SS, DATA0 | 1, (GP, DATA0)),
        (0, SS, CODE0, (GP, CODE0)),
        (0, SS, READONLY, (GP, READONLY)),
        (0, SS, ABSENT_DATA, (12, ABSENT_DATA)),
        (3, SS, 3, (GP, 0)),
    ] {
        bench.go(level);
        let fault = bench.fault(|cpu, memory| cpu.load_segment(memory, which, selector));
        assert_eq!(fault, (expected.0, Some(expected.1.into())), "level {level}: {selector:#x}");
    }
    bench.go(3);
    for selector in [0, 3, CONFORMING, CODE3, DATA3 & !3] {
        bench.ok(|cpu, memory| cpu.load_segment(memory, DS, selector));
        assert_eq!(bench.cpu.seg[DS].selector, selector);
    }
}

#[test]
fn what_a_level_may_see() {
    let mut bench = Bench::new();
    for (level, selector, rights, limit, verr, verw) in [
        (0, CODE0, Some(0xc0_9b00), Some(u32::MAX), true, false),
        (0, BLIND_CODE, Some(0xc0_9800), Some(u32::MAX), false, false),
        (0, DATA3, Some(0xc0_f200), Some(u32::MAX), true, true),
        (0, READONLY, Some(0xc0_9000), Some(u32::MAX), true, false),
        (0, TSS_BUSY, Some(0x8b00), Some(0x167), false, false),
        (0, LDT0, Some(0x8200), Some(0x1f), false, false),
        (0, GATE, Some(0xec00), None, false, false),
        (0, TASK, Some(0xe500), None, false, false),
        (0, 0, None, None, false, false),
        (0, LAST + 8, None, None, false, false),
        (0, DATA0 | 3, None, None, false, false),
        (3, DATA0, None, None, false, false),
        (3, CONFORMING | 3, Some(0xc0_9e00), Some(u32::MAX), true, false),
    ] {
        bench.go(level);
        assert_eq!(bench.ok(|cpu, memory| cpu.access_rights(memory, selector)), rights, "LAR {selector:#x}");
        assert_eq!(bench.ok(|cpu, memory| cpu.segment_limit(memory, selector)), limit, "LSL {selector:#x}");
        assert_eq!(bench.ok(|cpu, memory| cpu.verify(memory, selector, false)), verr, "VERR {selector:#x}");
        assert_eq!(bench.ok(|cpu, memory| cpu.verify(memory, selector, true)), verw, "VERW {selector:#x}");
    }
    bench.cpu.cr0 &= !CR0_PE;
    bench.cpu.mode_changed();
    assert_eq!(bench.fault(|cpu, memory| cpu.access_rights(memory, CODE0)), (UD, None));
}

#[test]
fn sysenter_and_sysexit() {
    let mut bench = Bench::new();
    assert_eq!(bench.fault(|cpu, _| cpu.sysenter()), (GP, Some(0)));
    for (index, value) in [(0x174, 0x08), (0x175, 0x8000), (0x176, 0x1234)] {
        (bench.cpu.regs[1], bench.cpu.regs[0], bench.cpu.regs[2]) = (index, value, 0);
        bench.ok(|cpu, _| cpu.wrmsr());
    }
    bench.go(3);
    bench.cpu.set_eflags(IF | 2);
    bench.ok(|cpu, _| cpu.sysenter());
    assert_eq!((bench.cpu.cpl, bench.cpu.eip, bench.cpu.regs[4], bench.cpu.eflags()), (0, 0x1234, 0x8000, 2));
    assert_eq!((bench.cpu.seg[CS].selector, bench.cpu.seg[SS].selector), (0x08, 0x10));
    (bench.cpu.regs[1], bench.cpu.regs[2]) = (0xb000, 0x5555);
    bench.ok(|cpu, _| cpu.sysexit());
    assert_eq!((bench.cpu.cpl, bench.cpu.eip, bench.cpu.regs[4]), (3, 0x5555, 0xb000));
    assert_eq!((bench.cpu.seg[CS].selector, bench.cpu.seg[SS].selector), (0x1b, 0x23));
    let mut old = Bench::of("pentium", Options::default());
    assert_eq!(old.fault(|cpu, _| cpu.sysenter()), (UD, None));
}

#[test]
fn model_specific_registers() {
    let mut bench = Bench::new();
    bench.cpu.regs[1] = 0x1234;
    assert_eq!(bench.fault(|cpu, _| cpu.rdmsr()), (GP, Some(0)));
    assert_eq!(bench.fault(|cpu, _| cpu.wrmsr()), (GP, Some(0)));
    bench.cpu.regs[1] = 0x10;
    (bench.cpu.regs[0], bench.cpu.regs[2]) = (77, 1);
    bench.ok(|cpu, _| cpu.wrmsr());
    bench.ok(|cpu, _| cpu.rdtsc());
    assert_eq!((bench.cpu.regs[0], bench.cpu.regs[2]), (77, 0));
    let mut old = Bench::of("486", Options::default());
    for action in [crate::state::Cpu::rdmsr, crate::state::Cpu::wrmsr, crate::state::Cpu::rdtsc] {
        assert_eq!(old.fault(|cpu, _| action(cpu)), (UD, None));
    }
    bench.cpu.regs[0] = 1;
    bench.cpu.cpuid();
    assert_eq!(bench.cpu.regs[0], Model::find("pentium3", Options::default()).unwrap().signature);
}
