//! The layouts of environments and of FXSAVE's area, and when instructions may run.

use super::state::Pointers;
use super::*;
use crate::control_registers::{CR0_AM, CR0_EM, CR0_MP, CR0_NE, CR0_PE, CR0_TS};
use crate::exit::Stop;
use crate::flags::AC;
use crate::model::{Model, Options};
use crate::op::{OPERAND16, Op};
use crate::state::Cpu;
use guest_memory::Memory;
use soft_float::F80;

const AT: u32 = 0x1000;

fn cpu() -> (Cpu, Memory) {
    let mut memory = Memory::new().expect("memory");
    memory.add(0, 0x10000, false).expect("a slot");
    let mut cpu = Cpu::new(Model::find("pentium3", Options::default()).expect("a model"), false);
    cpu.fpu.init();
    cpu.fpu.set_control(0x1b7f);
    cpu.fpu.set_status(0x6500);
    for number in 0..5u8 {
        cpu.fpu.put(number, F80::of_integer(i64::from(number) - 2));
    }
    cpu.fpu.set_tags(0x0ffc);
    cpu.fpu.pointers = Pointers { eip: 0x1234_5678, cs: 0x1b, operand: 0x9abc_def0, ds: 0x23, opcode: 0x51a };
    (cpu, memory)
}

fn op(flags: u8) -> Op {
    Op { disp: AT, flags, ..Op::default() }
}

fn octets<const N: usize>(memory: &Memory) -> [u8; N] {
    let mut octets = [0; N];
    memory.read(AT.into(), &mut octets).expect("memory");
    octets
}

fn words<const N: usize>(memory: &Memory, size: usize) -> [u32; N] {
    let all = octets::<28>(memory);
    std::array::from_fn(|index| {
        let mut word = [0; 4];
        word[..size].copy_from_slice(&all[index * size..][..size]);
        u32::from_le_bytes(word)
    })
}

/// SDM vol. 1, figures 8-9 to 8-12.
#[test]
fn environments_have_four_layouts() {
    let protected = [0xffff_1b7f, 0xffff_6500, 0xffff_0ffd, 0x1234_5678, 0x051a_001b, 0x9abc_def0, 0xffff_0023];
    let (mut cpu, mut memory) = cpu();
    let tags = u32::from(cpu.fpu.tags());
    cpu.cr0 |= CR0_PE;
    fnstenv(&mut cpu, &mut memory, &op(0)).expect("no exception");
    let stored = words::<7>(&memory, 4);
    assert_eq!((stored[0], stored[1], stored[2]), (protected[0], protected[1], 0xffff_0000 | tags));
    assert_eq!(stored[3..], protected[3..]);
    fnstenv(&mut cpu, &mut memory, &op(OPERAND16)).expect("no exception");
    assert_eq!(words::<7>(&memory, 2), [0x1b7f, 0x6500, tags, 0x5678, 0x1b, 0xdef0, 0x23]);

    cpu.cr0 &= !CR0_PE;
    cpu.fpu.pointers = Pointers { eip: 0x5678, cs: 0xf000, operand: 0xdef0, ds: 0x2000, opcode: 0x51a };
    fnstenv(&mut cpu, &mut memory, &op(0)).expect("no exception");
    let stored = words::<7>(&memory, 4);
    assert_eq!(stored[3..], [0xffff_5678, 0xf51a, 0xffff_def0, 0x2000]);
    fnstenv(&mut cpu, &mut memory, &op(OPERAND16)).expect("no exception");
    assert_eq!(words::<7>(&memory, 2), [0x1b7f, 0x6500, tags, 0x5678, 0xf51a, 0xdef0, 0x2000]);
}

#[test]
fn what_is_saved_comes_back_in_every_layout() {
    for protected in [false, true] {
        for flags in [0, OPERAND16] {
            let (mut cpu, mut memory) = cpu();
            cpu.cr0 |= if protected { CR0_PE } else { 0 };
            cpu.fpu.pointers = Pointers { eip: 0x5678, cs: 0, operand: 0xdef0, ds: 0, opcode: 0x51a };
            let before = cpu.fpu.clone();
            fnsave(&mut cpu, &mut memory, &op(flags)).expect("no exception");
            assert_eq!((cpu.fpu.control(), cpu.fpu.status(), cpu.fpu.tags()), (0x37f, 0, 0xffff));
            frstor(&mut cpu, &mut memory, &op(flags)).expect("no exception");
            if protected && flags == OPERAND16 {
                cpu.fpu.pointers.opcode = 0x51a; // this layout has none
            }
            assert_eq!(cpu.fpu.clone(), before);
            fnstenv(&mut cpu, &mut memory, &op(flags)).expect("no exception");
            assert_eq!(cpu.fpu.control(), 0x1b7f);
            fldenv(&mut cpu, &mut memory, &op(flags)).expect("no exception");
        }
    }
}

/// SDM vol. 1, table 10-2.
#[test]
fn fxsave_stores_what_fxrstor_loads() {
    let (mut cpu, mut memory) = cpu();
    cpu.cr4 |= 1 << 9;
    cpu.sse.xmm[3] = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
    cpu.sse.mxcsr = 0x1fa0;
    let (fpu, xmm) = (cpu.fpu.clone(), cpu.sse.xmm);
    fxsave(&mut cpu, &mut memory, &op(0)).expect("no exception");
    let area = octets::<512>(&memory);
    assert_eq!(area[..8], [0x7f, 0x1b, 0, 0x65, cpu.fpu.full, 0, 0x1a, 5]);
    assert_eq!(area[8..16], [0x78, 0x56, 0x34, 0x12, 0x1b, 0, 0, 0]);
    assert_eq!(area[16..28], [0xf0, 0xde, 0xbc, 0x9a, 0x23, 0, 0, 0, 0xa0, 0x1f, 0, 0]);
    assert_eq!(area[32..42], cpu.fpu.st(0).to_bits().to_le_bytes()[..10]);
    assert_eq!(area[160 + 48..160 + 64], cpu.sse.xmm[3].to_le_bytes());
    cpu.fpu.init();
    cpu.sse.xmm = [1; 8];
    cpu.sse.mxcsr = 0x1f80;
    fxrstor(&mut cpu, &mut memory, &op(0)).expect("no exception");
    assert_eq!((cpu.fpu.clone(), cpu.sse.xmm, cpu.sse.mxcsr), (fpu, xmm, 0x1fa0));
    // Reserved bits of MXCSR; an area that is not at a multiple of 16.
    memory.write(u64::from(AT) + 26, &[1]).expect("memory");
    assert_eq!(fxrstor(&mut cpu, &mut memory, &op(0)), Err(Stop::Exception));
    assert_eq!((cpu.raised.vector, cpu.raised.error), (13, Some(0)));
    let odd = Op { disp: AT + 8, ..op(0) };
    assert_eq!(fxsave(&mut cpu, &mut memory, &odd), Err(Stop::Exception));
}

/// SDM vol. 3, table 2-2, and a pending exception: vector, or none.
#[test]
fn instructions_wait_for_what_they_should() {
    let run = |cr0: u32, pending: bool, handler: crate::op::Handler| {
        let (mut cpu, mut memory) = cpu();
        cpu.cr0 = cpu.cr0 & !(CR0_MP | CR0_EM | CR0_TS | CR0_NE) | cr0;
        if pending {
            cpu.fpu.set_control(0x340);
            cpu.fpu.set_status(0x0001);
        }
        let before = cpu.fpu.clone();
        handler(&mut cpu, &mut memory, &op(0)).err().map(|stop| {
            assert_eq!(cpu.fpu.clone(), before);
            (stop == Stop::Exception).then_some(cpu.raised.vector)
        })
    };
    for cr0 in [CR0_EM, CR0_TS, CR0_EM | CR0_TS, CR0_TS | CR0_MP] {
        assert_eq!(run(cr0, false, fabs), Some(Some(7)));
        assert_eq!(run(cr0, true, fninit), Some(Some(7)));
        assert_eq!(run(cr0, false, fxsave), Some(Some(7)));
        assert_eq!(run(cr0, false, fwait), (cr0 & CR0_MP != 0).then_some(Some(7)));
    }
    assert_eq!(run(CR0_MP | CR0_NE, false, fabs), None);
    for waiting in [fabs, fwait, fldcw, fst_m32::<true>, fld_m80, fldenv] {
        assert_eq!(run(CR0_NE, true, waiting), Some(Some(16)));
        assert_eq!(run(0, true, waiting), Some(None)); // FERR#
    }
    for not_waiting in [fninit, fnclex, fnstcw, fnstsw, fnstsw_ax, fnstenv, fnsave] {
        assert_eq!(run(CR0_NE, true, not_waiting), None);
    }
}

#[test]
fn the_error_pin_ends_with_the_error() {
    let (mut cpu, mut memory) = cpu();
    cpu.cr0 &= !CR0_NE;
    cpu.fpu.set_control(0x340);
    assert!(!cpu.ferr());
    cpu.fpu.set_status(0x0001);
    assert!(cpu.ferr());
    assert!(fabs(&mut cpu, &mut memory, &op(0)).is_err());
    cpu.set_ignne(true);
    fabs(&mut cpu, &mut memory, &op(0)).expect("no exception");
    assert!(cpu.ferr());
    fnclex(&mut cpu, &mut memory, &op(0)).expect("no exception");
    assert!(!cpu.ferr());
}

#[test]
fn registers_have_names() {
    let (mut cpu, _) = cpu();
    let mut before = Vec::new();
    cpu.fpu.state(&mut before);
    let mut other = Fpu::new();
    for (name, value) in &before {
        assert!(other.set(name, *value), "{name}");
    }
    assert_eq!(other, cpu.fpu);
    assert!(!other.set("st8", 0) && !other.set("st", 0) && !other.set("fxx", 0));
    cpu.fpu.set("st1", 0x3fff_8000_0000_0000_0000);
    assert_eq!(cpu.fpu.st(1), F80::ONE);
}

/// A user's, with CR0.AM and EFLAGS.AC.
fn minding() -> (Cpu, Memory) {
    let (mut cpu, memory) = cpu();
    cpu.cr0 |= CR0_PE | CR0_NE | CR0_AM;
    cpu.set_eflags(cpu.eflags() | AC);
    cpu.cpl = 3;
    (cpu, memory)
}

#[test]
fn unaligned_ten_octets_raised_no_alignment_check() {
    for handler in [fld_m80, fbld, fstp_m80, fbstp] {
        for (at, vector) in [(AT, None), (AT + 8, None), (AT + 4, Some(17)), (AT + 1, Some(17))] {
            let (mut cpu, mut memory) = minding();
            let done = handler(&mut cpu, &mut memory, &Op { disp: at, ..Op::default() });
            assert_eq!(done.is_err().then_some(cpu.raised.vector), vector, "{at:#x}");
        }
    }
}

#[test]
fn a_store_that_an_exception_stopped_raised_no_alignment_check() {
    for handler in [fist_m32::<false>, fist_m32::<true>, fst_m32::<true>] {
        let (mut cpu, mut memory) = minding();
        cpu.fpu.set_control(0x37e);
        cpu.fpu.set_status(0);
        cpu.fpu.set_tags(0xffff);
        assert!(handler(&mut cpu, &mut memory, &Op { disp: AT + 2, ..Op::default() }).is_err());
        assert_eq!(cpu.fpu.status() & 0x3f, 0, "the exception is not noted yet");
        assert!(handler(&mut cpu, &mut memory, &op(0)).is_ok());
        assert_eq!(cpu.fpu.status() & 0x3f, 1);
    }
}

#[test]
fn registers_in_a_saved_area_need_no_more_alignment_than_its_words() {
    let (mut cpu, mut memory) = minding();
    let at = Op { disp: AT + 4, ..Op::default() };
    assert!(fnsave(&mut cpu, &mut memory, &at).is_ok());
    assert!(frstor(&mut cpu, &mut memory, &at).is_ok());
    assert!(fnsave(&mut cpu, &mut memory, &Op { disp: AT + 2, ..Op::default() }).is_err());
}
