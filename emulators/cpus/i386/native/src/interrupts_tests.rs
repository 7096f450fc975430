//! Tests of the delivery of events: frames, error codes, double and triple faults.

use crate::control_registers::CR0_AM as AM;
use crate::exit::{Exit, Stop};
use crate::flags::{AC, IF, IOPL, NT, RF, TF, VM};
use crate::interrupts::Kind::{self, Exception, External, Icebp, Software, Trap};
use crate::state::{CS, DS, SS};
use crate::testbench::*;
use crate::vectors::AC_FAULT;

const HANDLER: u32 = 0x7000;

impl Bench {
    fn gate_of(&mut self, vector: u8, selector: u16, access: u32) {
        self.put64(IDT + u32::from(vector) * 8, gate(selector, HANDLER, access, 0));
    }

    /// The exception that a delivery ends in, all of them having gates but this.
    fn deliver(&mut self, vector: u8, error: Option<u32>, kind: Kind) -> Result<(), Stop> {
        let eip = self.cpu.eip;
        self.cpu.deliver(&mut self.memory, vector, error, kind, eip)
    }

    /// Gates of all exceptions lead to `HANDLER + vector`.
    fn with_gates() -> Bench {
        let mut bench = Bench::new();
        for vector in 0..32 {
            bench.put64(IDT + vector * 8, gate(CODE0, HANDLER + vector, 0x8e, 0));
        }
        bench
    }

    fn vector(&self) -> u32 {
        self.cpu.eip - HANDLER
    }
}

#[test]
fn a_frame_of_the_same_level() {
    let mut bench = Bench::new();
    bench.gate_of(0x40, CODE0, 0x8e);
    bench.cpu.set_eflags(IF | TF | NT | AC | 0xd7);
    bench.deliver(0x40, None, External).unwrap();
    assert_eq!((bench.cpu.eip, bench.cpu.regs[4]), (HANDLER, STACKS[0] - 12));
    assert_eq!(bench.stack(), [CODE_AT, CODE0.into(), IF | TF | NT | AC | 0xd7]);
    assert_eq!(bench.cpu.eflags(), AC | 0xd7, "IF, TF and NT are clear");
    bench.go(0);
    bench.gate_of(0x40, CODE0, 0x8f);
    bench.cpu.set_eflags(IF | 2);
    bench.deliver(0x40, None, External).unwrap();
    assert_eq!(bench.cpu.eflags(), IF | 2, "a trap gate leaves IF");
    bench.go(0);
    bench.gate_of(0x40, CODE0, 0x86);
    bench.deliver(0x40, None, External).unwrap();
    assert_eq!((bench.cpu.eip, bench.cpu.regs[4]), (HANDLER, STACKS[0] - 6));
}

#[test]
fn a_frame_from_an_outer_level_has_its_stack() {
    let mut bench = Bench::new();
    bench.gate_of(13, CODE0, 0x8e);
    bench.go(3);
    bench.cpu.set_eflags(IF | 2);
    bench.deliver(13, Some(0x1234), Exception).unwrap();
    assert_eq!((bench.cpu.cpl, bench.cpu.seg[SS].selector), (0, DATA0));
    assert_eq!(bench.stack(), [0x1234, CODE_AT, CODE3.into(), IF | RF | 2, STACKS[3], DATA3.into()]);
    assert_eq!(bench.cpu.seg[DS].selector, DATA3, "data segments stay");
}

#[test]
fn faults_set_rf_in_the_image_and_traps_do_not() {
    for (vector, kind, expected) in
        [(6, Exception, RF), (1, Exception, 0), (3, Trap, 0), (4, Trap, 0), (0x40, External, 0), (1, Icebp, 0)]
    {
        let mut bench = Bench::new();
        bench.gate_of(vector, CODE0, 0x8e);
        bench.deliver(vector, None, kind).unwrap();
        assert_eq!(bench.stack::<3>()[2] & RF, expected, "{vector}");
    }
}

#[test]
fn software_interrupts_need_the_gates_privilege() {
    let mut bench = Bench::with_gates();
    for (kind, expected) in [(Software, 13), (Trap, 13), (Icebp, 3), (External, 3), (Exception, 3)] {
        bench.go(3);
        bench.cpu.eip = CODE_AT;
        bench.deliver(3, None, kind).unwrap();
        assert_eq!(bench.vector(), expected, "{kind:?}");
        if expected == 13 {
            assert_eq!(bench.stack::<2>(), [3 * 8 + 2, CODE_AT], "{kind:?}: no EXT");
        }
    }
    bench.gate_of(3, CODE0, 0xee);
    bench.go(3);
    bench.deliver(3, None, Software).unwrap();
    assert_eq!(bench.cpu.eip, HANDLER);
}

#[test]
fn bad_gates_and_targets() {
    for (gate, expected) in [
        (gate(CODE0, HANDLER, 0x0e, 0), (11, 0x40 * 8 + 3)), // not present
        (gate(CODE0, HANDLER, 0x8c, 0), (13, 0x40 * 8 + 3)), // a call gate
        (0, (13, 0x40 * 8 + 3)),
        (gate(0, HANDLER, 0x8e, 0), (13, 1)),
        (gate(LAST + 8, HANDLER, 0x8e, 0), (13, u32::from(LAST) + 9)),
        (gate(DATA0, HANDLER, 0x8e, 0), (13, u32::from(DATA0) + 1)),
        (gate(CODE3, HANDLER, 0x8e, 0), (13, u32::from(CODE3 & !3) + 1)),
        (gate(ABSENT_CODE, HANDLER, 0x8e, 0), (11, u32::from(ABSENT_CODE) + 1)),
        (gate(CODE16, 0x1_0000, 0x8e, 0), (13, 1)),
        (gate(TSS_BUSY, 0, 0x85, 0), (13, u32::from(TSS_BUSY) + 1)),
        (gate(LDT0, 0, 0x85, 0), (13, u32::from(LDT0) + 1)),
    ] {
        let mut bench = Bench::with_gates();
        bench.put64(IDT + 0x40 * 8, gate);
        bench.deliver(0x40, None, External).unwrap();
        assert_eq!((bench.vector(), bench.stack()), (expected.0, [expected.1]), "{gate:#x}");
    }
    let mut bench = Bench::with_gates();
    bench.deliver(0xff, None, Software).unwrap();
    assert_eq!(bench.stack(), [0xff * 8 + 2], "beyond no limit, but empty");
    bench.cpu.idtr.limit = 0xff * 8 + 6;
    bench.deliver(0xff, None, External).unwrap();
    assert_eq!(bench.stack(), [0xff * 8 + 3]);
}

#[test]
fn double_faults_by_the_table() {
    // SDM 3A, table 6-5: the first exception's gate is absent (#NP), or of the page fault's kind.
    for (first, error, expected) in [
        (0, None, 8),
        (10, Some(0), 8),
        (13, Some(0), 8),
        (14, Some(0), 8),
        (1, None, 11),
        (6, None, 11),
        (17, Some(0), 11),
        (16, None, 11),
    ] {
        let mut bench = Bench::with_gates();
        bench.put64(IDT + u32::from(first) * 8, gate(CODE0, HANDLER, 0x0e, 0));
        bench.deliver(first, error, Exception).unwrap();
        assert_eq!(bench.vector(), expected, "{first}");
        if expected == 8 {
            assert_eq!(bench.stack::<2>(), [0, CODE_AT]);
        } else {
            assert_eq!(bench.stack::<2>(), [u32::from(first) * 8 + 3, CODE_AT]);
        }
    }
}

#[test]
fn a_third_fault_shuts_down() {
    let mut bench = Bench::with_gates();
    for vector in [8, 13] {
        bench.put64(IDT + vector * 8, 0);
    }
    assert_eq!(bench.deliver(13, Some(0), Exception), Err(Stop::Shutdown));
    let mut bench = Bench::new();
    bench.cpu.idtr.limit = 0;
    assert_eq!(bench.deliver(0x40, None, External), Err(Stop::Shutdown));
}

/// CVE-2015-5307: a handler of level 3 for #AC, whose frame is not aligned.
#[test]
fn alignment_checks_without_end_use_up_a_budget() {
    let mut bench = Bench::new();
    bench.gate_of(AC_FAULT, CODE3, 0xee);
    bench.go(3);
    bench.cpu.cr0 |= AM;
    bench.cpu.regs[4] = STACKS[3] - 1;
    bench.cpu.set_eflags(AC | 2);
    let before = (bench.cpu.eip, bench.cpu.regs[4], bench.cpu.cpl);
    bench.deliver(AC_FAULT, Some(0), Exception).unwrap();
    assert_eq!((bench.cpu.eip, bench.cpu.regs[4], bench.cpu.cpl), before, "nothing was delivered");
    bench.memory.write(before.0.into(), &[0x8b, 0x04, 0x24]).unwrap(); // mov eax, [esp]
    assert_eq!(bench.cpu.run(&mut bench.memory, 100), Exit::Budget);
    assert_eq!((bench.cpu.icount(), bench.cpu.eip), (100, before.0));
}

#[test]
fn no_room_on_the_stack_is_a_stack_fault() {
    let mut bench = Bench::with_gates();
    bench.put64(IDT + 12 * 8, gate(TSS_OTHER, 0, 0x85, 0));
    bench.put32(OTHER_TSS + 0x20, 0x1234);
    bench.put32(OTHER_TSS + 0x38, 0xc000);
    for (at, selector) in (0..).zip([DATA0, CODE0, DATA0, DATA0, DATA0, DATA0]) {
        bench.put32(OTHER_TSS + 0x48 + at * 4, selector.into());
    }
    bench.put64(GDT + u32::from(SMALL_STACK), segment(0x7_0000, 7, 0x92, 0));
    bench.ok(|cpu, memory| cpu.load_segment(memory, SS, SMALL_STACK));
    bench.cpu.regs[4] = 8;
    bench.gate_of(0x21, CODE0, 0x8e);
    bench.deliver(0x21, None, External).unwrap();
    assert_eq!((bench.cpu.eip, bench.stack()), (0x1234, [1]), "#SS(EXT), by a task");

    let mut bench = Bench::with_gates();
    bench.put64(GDT + u32::from(SMALL_STACK), segment(0x7_0000, 7, 0x92, 0));
    bench.ok(|cpu, memory| cpu.load_segment(memory, SS, SMALL_STACK));
    bench.cpu.regs[4] = 8;
    assert_eq!(bench.deliver(0x21, None, External), Err(Stop::Shutdown));
}

#[test]
fn virtual_8086_mode_is_left_for_level_0() {
    let mut bench = Bench::new();
    bench.gate_of(0x21, CODE0, 0xee);
    let frame = [0x100, 0x2000, VM | IOPL | IF | 2, 0xfffe, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000];
    bench.push(&frame);
    bench.ok(|cpu, memory| cpu.interrupt_return(memory, true, 0));
    bench.deliver(0x21, None, Software).unwrap();
    assert_eq!((bench.cpu.cpl, bench.cpu.regs[4]), (0, STACKS[0] - 36));
    assert_eq!(bench.stack(), frame);
    assert_eq!(bench.selectors(), [0, CODE0, DATA0, 0, 0, 0]);
    assert_eq!(bench.cpu.eflags(), IOPL | 2);

    let mut bench = Bench::with_gates();
    bench.push(&[0x100, 0x2000, VM | 2, 0xfffe, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000]);
    bench.ok(|cpu, memory| cpu.interrupt_return(memory, true, 0));
    bench.deliver(0x21, None, Software).unwrap();
    assert_eq!((bench.vector(), bench.stack()), (13, [0]), "INT n needs IOPL 3");
    let mut bench = Bench::with_gates();
    bench.gate_of(3, CODE1, 0xee);
    bench.push(&[0x100, 0x2000, VM | 2, 0xfffe, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000]);
    bench.ok(|cpu, memory| cpu.interrupt_return(memory, true, 0));
    bench.deliver(3, None, Trap).unwrap();
    assert_eq!((bench.vector(), bench.stack()), (13, [(CODE1 & !3).into()]), "and gates to level 0 only");
}

#[test]
fn real_mode_uses_the_vector_table() {
    let mut bench = Bench::new();
    bench.cpu.cr0 &= !1;
    bench.cpu.mode_changed();
    for which in [CS, SS, DS] {
        bench.cpu.load_real_segment(which, 0x800);
    }
    (bench.cpu.idtr.base, bench.cpu.idtr.limit) = (0, 0x3ff);
    bench.put32(0x21 * 4, 0x1234_5678);
    bench.cpu.regs[4] = 0x100;
    bench.cpu.set_eflags(IF | TF | AC | 0xd7);
    bench.cpu.eip = 0x77;
    bench.deliver(0x21, None, Software).unwrap();
    assert_eq!((bench.cpu.seg[CS].base, bench.cpu.eip, bench.cpu.regs[4]), (0x1_2340, 0x5678, 0xfa));
    assert_eq!((bench.get16(0x80fa), bench.get16(0x80fc), bench.get16(0x80fe)), (0x77, 0x800, 0x3d7));
    assert_eq!(bench.cpu.eflags(), 0xd7);
    bench.cpu.idtr.limit = 0x21 * 4 + 2;
    bench.put32(13 * 4, 0x1000_0000);
    bench.deliver(0x21, None, Software).unwrap();
    assert_eq!(bench.cpu.seg[CS].selector, 0x1000);
    bench.cpu.idtr.limit = 4 * 8;
    assert_eq!(bench.deliver(0x21, None, Software), Err(Stop::Shutdown));
}

#[test]
fn a_page_fault_tells_its_address_when_it_is_delivered() {
    let mut bench = Bench::with_gates();
    bench.cpu.raised.cr2 = 0x1234_5678;
    bench.deliver(14, Some(2), Exception).unwrap();
    assert_eq!((bench.cpu.cr2, bench.stack()), (0x1234_5678, [2]));
}
