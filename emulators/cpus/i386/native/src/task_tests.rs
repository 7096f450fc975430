//! Tests of task switches and of what a TSS holds.

use crate::control_registers::CR0_TS;
use crate::flags::{IF, IOPL, NT, TF, VM};
use crate::interrupts::Kind;
use crate::state::{CS, SS};
use crate::testbench::*;

const NEXT: u32 = CODE_AT + 7;
const ENTRY: u32 = 0x6600;
const BUSY: u32 = 2 << 8;

impl Bench {
    /// A task in the other TSS, at level 0.
    fn with_task() -> Bench {
        let mut bench = Bench::new();
        bench.put32(OTHER_TSS + 0x20, ENTRY);
        bench.put32(OTHER_TSS + 0x24, IF | 2);
        for register in 0..8 {
            bench.put32(OTHER_TSS + 0x28 + register * 4, 0x100 + register);
        }
        bench.put32(OTHER_TSS + 0x38, 0xc000);
        for (at, selector) in (0..).zip([DATA0, CODE0, DATA0, DATA3, 0, LOCAL_DATA]) {
            bench.put32(OTHER_TSS + 0x48 + at * 4, selector.into());
        }
        bench.put32(OTHER_TSS + 0x60, LDT0.into());
        bench.put32(OTHER_TSS + 0x64, 0);
        bench
    }

    fn is_busy(&self, selector: u16) -> bool {
        self.get32(GDT + u32::from(selector) + 4) & BUSY != 0
    }
}

#[test]
fn a_jump_switches_and_saves() {
    let mut bench = Bench::with_task();
    bench.cpu.regs[..8].copy_from_slice(&[1, 2, 3, 4, STACKS[0], 6, 7, 8]);
    bench.cpu.set_eflags(IF | NT | 0xd7);
    bench.ok(|cpu, memory| cpu.jump_far(memory, TSS_OTHER, 0, NEXT));
    assert_eq!(bench.cpu.eip, ENTRY);
    assert_eq!(bench.cpu.regs[..8], [0x100, 0x101, 0x102, 0x103, 0xc000, 0x105, 0x106, 0x107]);
    assert_eq!(bench.cpu.eflags(), IF | 2);
    assert_eq!(bench.selectors(), [DATA0, CODE0, DATA0, DATA3, 0, LOCAL_DATA]);
    assert_eq!((bench.cpu.tr.selector, bench.cpu.ldtr.selector, bench.cpu.ldtr.base), (TSS_OTHER, LDT0, LDT));
    assert_ne!(bench.cpu.cr0 & CR0_TS, 0);
    assert_eq!((bench.is_busy(TSS_BUSY), bench.is_busy(TSS_OTHER)), (false, true));
    assert_eq!((bench.get32(TSS + 0x20), bench.get32(TSS + 0x24)), (NEXT, IF | NT | 0xd7));
    assert_eq!((bench.get32(TSS + 0x28), bench.get32(TSS + 0x44)), (1, 8));
    assert_eq!((bench.get16(TSS + 0x4c), bench.get16(TSS + 0x5c)), (CODE0, DATA0));
    assert_eq!(bench.get16(OTHER_TSS), 0, "no link");
}

#[test]
fn a_call_links_and_iret_returns() {
    let mut bench = Bench::with_task();
    bench.ok(|cpu, memory| cpu.call_far(memory, TASK, 0, true, NEXT));
    assert_eq!((bench.cpu.eip, bench.cpu.eflags()), (ENTRY, IF | NT | 2));
    assert_eq!(bench.get16(OTHER_TSS), TSS_BUSY);
    assert!(bench.is_busy(TSS_BUSY) && bench.is_busy(TSS_OTHER));
    bench.ok(|cpu, memory| cpu.interrupt_return(memory, true, ENTRY + 1));
    assert_eq!((bench.cpu.eip, bench.cpu.tr.selector), (NEXT, TSS_BUSY));
    assert_eq!((bench.is_busy(TSS_BUSY), bench.is_busy(TSS_OTHER)), (true, false));
    assert_eq!((bench.get32(OTHER_TSS + 0x20), bench.get32(OTHER_TSS + 0x24)), (ENTRY + 1, IF | 2));
}

#[test]
fn an_exception_through_a_task_gate_has_its_code_on_the_new_stack() {
    let mut bench = Bench::with_task();
    bench.put64(IDT + 10 * 8, gate(TSS_OTHER, 0, 0x85, 0));
    bench.cpu.deliver(&mut bench.memory, 10, Some(0x78), Kind::Exception, CODE_AT).unwrap();
    assert_eq!((bench.cpu.regs[4], bench.stack()), (0xc000 - 4, [0x78]));
    assert_eq!(bench.get32(TSS + 0x20), CODE_AT);
}

#[test]
fn a_task_of_16_bits() {
    let mut bench = Bench::new();
    let words = [0, 0x8000, 0x10, 0, 0, 0, 0, 0x1234, 0x202, 1, 2, 3, 4, 0xc000, 6, 7, 8];
    for (at, word) in (0..).zip(words) {
        bench.put32(SMALL_TSS + at * 2, word);
    }
    for (at, selector) in (0..).zip([DATA0, CODE0, DATA0, DATA0, 0]) {
        bench.put32(SMALL_TSS + 0x22 + at * 2, selector.into());
    }
    bench.ok(|cpu, memory| cpu.jump_far(memory, TSS_SMALL, 0, NEXT));
    assert_eq!((bench.cpu.eip, bench.cpu.eflags()), (0x1234, 0x202));
    assert_eq!(bench.cpu.regs.map(|register| register & 0xffff)[..8], [1, 2, 3, 4, 0xc000, 6, 7, 8]);
    assert_eq!(bench.selectors(), [DATA0, CODE0, DATA0, DATA0, 0, 0]);
    // Back, and its own state is saved in words.
    bench.cpu.regs[7] = 0x5678_9abc;
    bench.ok(|cpu, memory| cpu.jump_far(memory, TSS_BUSY, 0, 0x4321));
    assert_eq!((bench.get16(SMALL_TSS + 0xe), bench.get16(SMALL_TSS + 0x20)), (0x4321, 0x9abc));
    assert_eq!(bench.cpu.eip, NEXT);
}

#[test]
fn faults_of_the_new_tasks_segments_are_its_own() {
    for (at, selector, expected) in [
        (0x60, LDT0 | 4, (10, LDT0 | 4)),
        (0x60, DATA0, (10, DATA0)),
        (0x60, LAST + 8, (10, LAST + 8)),
        (0x4c, 0, (10, 0)),
        (0x4c, DATA0, (10, DATA0)),
        (0x4c, CODE1 & !3, (10, CODE1 & !3)),
        (0x4c, ABSENT_CODE, (11, ABSENT_CODE)),
        (0x50, 0, (10, 0)),
        (0x50, DATA3, (10, DATA3 & !3)),
        (0x50, READONLY, (10, READONLY)),
        (0x54, BLIND_CODE, (10, BLIND_CODE)),
        (0x58, ABSENT_DATA, (11, ABSENT_DATA)),
        (0x5c, LAST + 8, (10, LAST + 8)),
    ] {
        let mut bench = Bench::with_task();
        bench.put32(OTHER_TSS + at, selector.into());
        let outcome = bench.cpu.jump_far(&mut bench.memory, TSS_OTHER, 0, NEXT);
        assert!(outcome.is_err());
        let raised = bench.cpu.raised;
        assert_eq!((raised.vector, raised.error), (expected.0, Some(expected.1.into())), "{at:#x} {selector:#x}");
        assert_eq!((bench.cpu.eip, bench.cpu.tr.selector), (ENTRY, TSS_OTHER), "the switch is made");
    }
}

#[test]
fn a_task_in_virtual_8086_mode() {
    let mut bench = Bench::with_task();
    bench.put32(OTHER_TSS + 0x24, VM | 2);
    bench.put32(OTHER_TSS + 0x4c, 0x1234);
    bench.ok(|cpu, memory| cpu.jump_far(memory, TSS_OTHER, 0, NEXT));
    assert_eq!((bench.cpu.cpl, bench.cpu.seg[CS].base, bench.cpu.seg[SS].limit), (3, 0x1_2340, 0xffff));
    assert!(bench.cpu.is_v86());
}

#[test]
fn the_trap_bit_traps_in_the_new_task() {
    let mut bench = Bench::with_task();
    bench.put32(OTHER_TSS + 0x64, 1);
    assert!(bench.cpu.jump_far(&mut bench.memory, TSS_OTHER, 0, NEXT).is_err());
    assert_eq!((bench.cpu.raised.vector, bench.cpu.eip), (1, ENTRY));
    assert_eq!(bench.cpu.dr[6] & 0xf00f, 0x8000);
}

#[test]
fn the_io_permission_map() {
    let mut bench = Bench::new();
    bench.put32(TSS + 0x64, 0x100 << 16);
    bench.put32(TSS + 0x100, 0x0000_0000);
    bench.put32(TSS + 0x100 + 0x3f8 / 8, 0xffff_fffe);
    bench.cpu.tr.limit = 0x100 + 0x80;
    bench.go(3);
    bench.ok(|cpu, memory| cpu.check_io(memory, 0x3f8, 1));
    for (port, octets) in [(0x3f9, 1), (0x3f8, 2), (0x3f6, 4), (0x400, 1), (0xffff, 1)] {
        assert_eq!(bench.fault(|cpu, memory| cpu.check_io(memory, port, octets)), (13, Some(0)), "{port:#x}");
    }
    bench.ok(|cpu, memory| cpu.check_io(memory, 0x3f4, 4));
    bench.cpu.set_eflags(IOPL | 2);
    bench.ok(|cpu, memory| cpu.check_io(memory, 0xffff, 4));
    bench.cpu.set_eflags(IOPL | VM | 2);
    assert_eq!(bench.fault(|cpu, memory| cpu.check_io(memory, 0x3f9, 1)), (13, Some(0)), "IOPL is not asked");
    bench.cpu.set_eflags(TF | 2);
    bench.cpu.tr.limit = 0x66;
    assert_eq!(bench.fault(|cpu, memory| cpu.check_io(memory, 0x3f8, 1)), (13, Some(0)), "no map");
    bench.go(0);
    bench.ok(|cpu, memory| cpu.check_io(memory, 0xffff, 4));
}
