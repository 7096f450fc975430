//! Tests of far transfers: every rule of SDM 2A and 2B that has an error code.

use crate::descriptor::{ACCESSED, PRESENT};
use crate::flags::{AC, IF, IOPL, NT, VM};
use crate::state::{CS, DS, ES, FS, SS};
use crate::testbench::*;

const GP: u8 = 13;
const NEXT: u32 = CODE_AT + 7;

#[test]
fn a_jump_checks_its_target() {
    let mut bench = Bench::new();
    for (level, selector, expected) in [
        (0, 0, (GP, 0)),
        (0, 3, (GP, 0)),
        (0, LAST + 8, (GP, LAST + 8)),
        (0, LOCAL_DATA, (GP, LOCAL_DATA)),
        (0, DATA0, (GP, DATA0)),
        (0, CODE3, (GP, CODE3 & !3)),
        (0, CODE0 | 1, (GP, CODE0)),
        (3, CODE0, (GP, CODE0)),
        (3, CODE0 | 3, (GP, CODE0)),
        (0, ABSENT_CODE, (11, ABSENT_CODE)),
        (0, TSS_BUSY, (GP, TSS_BUSY)),
        (0, LDT0, (GP, LDT0)),
        (3, GATE0, (GP, GATE0)),
        (0, GATE0 | 1, (GP, GATE0)),
        (0, ABSENT_GATE, (11, ABSENT_GATE)),
        (3, GATE, (GP, CODE0)), // a jump never changes the level
        (3, TSS_OTHER, (GP, TSS_OTHER)),
        (0, TSS_SHORT, (10, TSS_SHORT)),
    ] {
        bench.go(level);
        let fault = bench.fault(|cpu, memory| cpu.jump_far(memory, selector, 0x1234, NEXT));
        assert_eq!(fault, (expected.0, Some(expected.1.into())), "level {level} to {selector:#x}");
    }
}

#[test]
fn a_jump_within_a_level() {
    let mut bench = Bench::new();
    bench.ok(|cpu, memory| cpu.jump_far(memory, CODE0, 0x1234, NEXT));
    assert_eq!((bench.cpu.eip, bench.cpu.seg[CS].selector), (0x1234, CODE0));
    assert_ne!(bench.get32(GDT + 8 + 4) & ACCESSED, 0);
    bench.ok(|cpu, memory| cpu.jump_far(memory, GATE0, 0x1234, NEXT));
    assert_eq!(bench.cpu.eip, GATE_EIP);
    bench.go(3);
    bench.ok(|cpu, memory| cpu.jump_far(memory, CONFORMING | 3, 0x1234, NEXT));
    assert_eq!((bench.cpu.seg[CS].selector, bench.cpu.cpl), (CONFORMING | 3, 3));
    bench.go(0);
    let fault = bench.fault(|cpu, memory| cpu.jump_far(memory, CODE16, 0x1_0000, NEXT));
    assert_eq!(fault, (GP, Some(0)));
}

#[test]
fn a_jump_in_real_mode_keeps_limits() {
    let mut bench = Bench::new();
    bench.cpu.cr0 &= !1;
    bench.cpu.mode_changed();
    bench.ok(|cpu, memory| cpu.jump_far(memory, 0xf000, 0xfff0, NEXT));
    let cs = bench.cpu.seg[CS];
    assert_eq!((cs.base, cs.limit, bench.cpu.eip), (0xf_0000, u32::MAX, 0xfff0));
    bench.ok(|cpu, memory| cpu.load_segment(memory, DS, 0x1234));
    assert_eq!((bench.cpu.seg[DS].base, bench.cpu.seg[DS].limit), (0x1_2340, u32::MAX));
}

#[test]
fn a_call_pushes_selector_and_offset() {
    let mut bench = Bench::new();
    bench.ok(|cpu, memory| cpu.call_far(memory, CODE0, 0x1234, true, NEXT));
    assert_eq!((bench.cpu.regs[4], bench.stack()), (STACKS[0] - 8, [NEXT, CODE0.into()]));
    bench.go(0);
    bench.ok(|cpu, memory| cpu.call_far(memory, CODE0, 0x1234, false, NEXT));
    assert_eq!((bench.cpu.regs[4], bench.stack()), (STACKS[0] - 4, [NEXT | u32::from(CODE0) << 16]));
    bench.go(0);
    bench.ok(|cpu, memory| cpu.call_far(memory, GATE0, 0x1234, false, NEXT));
    assert_eq!((bench.cpu.eip, bench.stack()), (GATE_EIP, [NEXT, CODE0.into()]), "the gate has the size");
    let stack = segment(0x7_0000, 5, 0x92, 0);
    bench.put64(GDT + u32::from(SMALL_STACK), stack);
    bench.ok(|cpu, memory| cpu.load_segment(memory, SS, SMALL_STACK));
    bench.cpu.regs[4] = 6;
    let fault = bench.fault(|cpu, memory| cpu.call_far(memory, CODE0, 0x1234, true, NEXT));
    assert_eq!(fault, (12, Some(0)));
}

#[test]
fn a_call_gate_copies_parameters_to_the_inner_stack() {
    let mut bench = Bench::new();
    bench.go(3);
    bench.push(&[0xaaaa_0001, 0xbbbb_0002, 3]);
    let esp = bench.cpu.regs[4];
    bench.ok(|cpu, memory| cpu.call_far(memory, GATE | 3, 0, false, NEXT));
    assert_eq!((bench.cpu.cpl, bench.cpu.eip, bench.cpu.seg[CS].selector), (0, GATE_EIP, CODE0));
    assert_eq!((bench.cpu.seg[SS].selector, bench.cpu.regs[4]), (DATA0, STACKS[0] - 24));
    assert_eq!(bench.stack(), [NEXT, CODE3.into(), 0xaaaa_0001, 0xbbbb_0002, esp, DATA3.into()]);
    bench.ok(|cpu, memory| cpu.return_far(memory, true, 8));
    assert_eq!((bench.cpu.cpl, bench.cpu.eip), (3, NEXT));
    assert_eq!((bench.cpu.seg[SS].selector, bench.cpu.regs[4]), (DATA3, esp + 8));

    bench.go(3);
    bench.push(&[0x0002_0001]);
    let esp = bench.cpu.regs[4];
    bench.ok(|cpu, memory| cpu.call_far(memory, GATE16, 0, true, NEXT));
    assert_eq!(bench.cpu.eip, GATE_EIP);
    assert_eq!(bench.stack(), [u32::from(CODE3) << 16 | NEXT, 0x0002_0001, u32::from(DATA3) << 16 | esp]);
    bench.ok(|cpu, memory| cpu.return_far(memory, false, 4));
    assert_eq!((bench.cpu.cpl, bench.cpu.eip, bench.cpu.regs[4]), (3, NEXT, esp + 4));
}

#[test]
fn a_call_gate_checks_the_inner_stack() {
    let mut bench = Bench::new();
    let level1 = TSS + 4 + 8;
    for (pointer, selector, expected) in [
        (STACKS[1], 0, (10, 0)),
        (STACKS[1], LAST + 9, (10, LAST + 8)),
        (STACKS[1], DATA1 & !3, (10, DATA1 & !3)),
        (STACKS[1], DATA0 | 1, (10, DATA0)),
        (STACKS[1], CODE1, (10, CODE1 & !3)),
        (4, DATA1, (12, DATA1 & !3)),
    ] {
        // The limit is low: there is no room below.
        bench.put64(GDT + u32::from(DATA1 & !3), segment(0, if pointer == 4 { 2 } else { 0xfffff }, 0xb2, 0xc));
        if pointer == 4 {
            bench.put64(GDT + u32::from(DATA1 & !3), segment(0, 2, 0xb2, 0));
        }
        bench.put32(level1, pointer);
        bench.put32(level1 + 4, selector.into());
        bench.go(3);
        let fault = bench.fault(|cpu, memory| cpu.call_far(memory, GATE_TO_1, 0, true, NEXT));
        assert_eq!(fault, (expected.0, Some(expected.1.into())), "{selector:#x}:{pointer:#x}");
    }
    bench.put64(GDT + u32::from(DATA1 & !3), segment(0, 0xfffff, 0x32, 0xc));
    bench.put32(level1 + 4, DATA1.into());
    let fault = bench.fault(|cpu, memory| cpu.call_far(memory, GATE_TO_1, 0, true, NEXT));
    assert_eq!(fault, (12, Some((DATA1 & !3).into())), "not present");
    bench.cpu.tr.limit = 0x10;
    let fault = bench.fault(|cpu, memory| cpu.call_far(memory, GATE_TO_1, 0, true, NEXT));
    assert_eq!(fault, (10, Some(TSS_BUSY.into())), "the TSS ends before");
}

#[test]
fn a_return_checks_selector_and_stack() {
    let mut bench = Bench::new();
    for (level, words, expected) in [
        (0, [NEXT, 0, 0, 0], (GP, 0)),
        (0, [NEXT, u32::from(LAST) + 8, 0, 0], (GP, LAST + 8)),
        (0, [NEXT, DATA0.into(), 0, 0], (GP, DATA0)),
        (0, [NEXT, CODE1.into(), 0, 0], (GP, 0)), // SS is null
        (1, [NEXT, CODE0.into(), 0, 0], (GP, CODE0)),
        (0, [NEXT, u32::from(CODE0) | 3, 0, 0], (GP, CODE0)),
        (0, [NEXT, ABSENT_CODE.into(), 0, 0], (11, ABSENT_CODE)),
        (0, [NEXT, CODE3.into(), 0x100, DATA0.into()], (GP, DATA0)),
        (0, [NEXT, CODE3.into(), 0x100, CODE3.into()], (GP, CODE3 & !3)),
        (0, [0x1_0000, CODE16.into(), 0, 0], (GP, 0)),
    ] {
        bench.go(level);
        bench.push(&words);
        let fault = bench.fault(|cpu, memory| cpu.return_far(memory, true, 0));
        assert_eq!(fault, (expected.0, Some(expected.1.into())), "level {level} {words:x?}");
    }
}

#[test]
fn an_outward_return_takes_privileged_segments_away() {
    let mut bench = Bench::new();
    bench.ok(|cpu, memory| cpu.load_segment(memory, DS, DATA3));
    bench.ok(|cpu, memory| cpu.load_segment(memory, FS, CONFORMING));
    bench.push(&[NEXT, CODE3.into(), 0xb000, DATA3.into()]);
    bench.ok(|cpu, memory| cpu.return_far(memory, true, 0));
    assert_eq!(bench.selectors(), [0, CODE3, DATA3, DATA3, CONFORMING, 0]);
    assert_eq!(bench.cpu.seg[ES].rights & PRESENT, 0);
}

#[test]
fn iret_restores_what_the_level_may() {
    let mut bench = Bench::new();
    bench.push(&[NEXT, CODE3.into(), IF | IOPL | 0xd7, 0xb000, DATA3.into()]);
    bench.ok(|cpu, memory| cpu.interrupt_return(memory, true, 0));
    assert_eq!((bench.cpu.cpl, bench.cpu.eip, bench.cpu.eflags()), (3, NEXT, IF | IOPL | 0xd7));
    assert_eq!((bench.cpu.seg[SS].selector, bench.cpu.regs[4]), (DATA3, 0xb000));
    // IOPL stays what it is at level 3; IF goes, as IOPL allows it.
    bench.push(&[NEXT, CODE3.into(), AC]);
    bench.ok(|cpu, memory| cpu.interrupt_return(memory, true, 0));
    assert_eq!(bench.cpu.eflags(), AC | IOPL | 2);
    bench.cpu.set_eflags(IF | 2);
    bench.push(&[NEXT, CODE3.into(), 0]);
    bench.ok(|cpu, memory| cpu.interrupt_return(memory, true, 0));
    assert_eq!(bench.cpu.eflags(), IF | 2);
    // 16 bits leave the upper half alone.
    bench.cpu.set_eflags(AC | IF | 2);
    bench.push(&[u32::from(CODE3) << 16 | NEXT, 1]);
    bench.ok(|cpu, memory| cpu.interrupt_return(memory, false, 0));
    assert_eq!((bench.cpu.eflags(), bench.cpu.regs[4]), (AC | IF | 3, 0xb000 - 2));
}

#[test]
fn iret_enters_virtual_8086_mode() {
    let mut bench = Bench::new();
    let frame = [0x100, 0x2000, VM | IF | 2, 0xfffe, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000];
    bench.push(&frame);
    bench.ok(|cpu, memory| cpu.interrupt_return(memory, true, 0));
    assert_eq!(bench.selectors(), [0x4000, 0x2000, 0x3000, 0x5000, 0x6000, 0x7000]);
    assert_eq!((bench.cpu.cpl, bench.cpu.eip, bench.cpu.regs[4]), (3, 0x100, 0xfffe));
    assert_eq!((bench.cpu.seg[DS].base, bench.cpu.seg[DS].limit), (0x5_0000, 0xffff));
    // There, IRET needs IOPL 3, and changes neither that nor VM.
    let fault = bench.fault(|cpu, memory| cpu.interrupt_return(memory, true, 0));
    assert_eq!(fault, (GP, Some(0)));
    bench.cpu.set_eflags(VM | IOPL | 2);
    bench.cpu.regs[4] = 0x100;
    bench.push(&[0x77, 0x1000, IF | AC]);
    bench.ok(|cpu, memory| cpu.interrupt_return(memory, true, 0));
    assert_eq!((bench.cpu.eip, bench.cpu.seg[CS].base), (0x77, 0x1_0000));
    assert_eq!(bench.cpu.eflags(), VM | IOPL | IF | AC | 2);

    let mut bench = Bench::new();
    bench.push(&[0x1_0000, 0x2000, VM | 2, 0, 0, 0, 0, 0, 0]);
    let fault = bench.fault(|cpu, memory| cpu.interrupt_return(memory, true, 0));
    assert_eq!(fault, (GP, Some(0)));
}

#[test]
fn iret_from_level_3_cannot_enter_virtual_8086_mode() {
    let mut bench = Bench::new();
    bench.go(3);
    bench.push(&[NEXT, CODE3.into(), VM | 2]);
    bench.ok(|cpu, memory| cpu.interrupt_return(memory, true, 0));
    assert_eq!((bench.cpu.eflags(), bench.cpu.seg[CS].selector), (2, CODE3));
}

#[test]
fn iret_with_nt_needs_a_task_to_return_to() {
    let mut bench = Bench::new();
    bench.cpu.set_eflags(NT | 2);
    for (link, expected) in [(LDT0 | 4, LDT0 | 4), (TSS_OTHER, TSS_OTHER), (LAST + 8, LAST + 8)] {
        bench.put32(TSS, link.into());
        let fault = bench.fault(|cpu, memory| cpu.interrupt_return(memory, true, NEXT));
        assert_eq!(fault, (10, Some(expected.into())));
    }
}
