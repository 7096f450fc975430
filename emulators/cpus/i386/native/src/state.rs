//! The processor's registers.
//!
//! Specification: SDM 1, 3.4 (general registers, segment registers, EFLAGS, EIP); SDM 3A, 2.1 (system registers).

use crate::asked::{Asked, Done};
use crate::code::Code;
use crate::control_registers;
use crate::descriptor::{BIG, CODE, Descriptor, EXPAND_DOWN, PRESENT, READABLE, REAL_RIGHTS, S, WRITABLE};
use crate::exit::Stop;
use crate::flags::{self, Arithmetic};
use crate::model::Model;
use crate::msr::System;
use crate::soft::SoftTlb;
use crate::sse::Sse;
use crate::x87::Fpu;
use engine_contract::debugger::Debugger;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

// Numbers of segment registers (SDM 2, table B-8), and of general ones.
pub(crate) const ES: usize = 0;
pub(crate) const CS: usize = 1;
pub(crate) const SS: usize = 2;
pub(crate) const DS: usize = 3;
pub(crate) const FS: usize = 4;
pub(crate) const GS: usize = 5;
pub(crate) const EAX: usize = 0;
pub(crate) const ECX: usize = 1;
pub(crate) const EDX: usize = 2;
pub(crate) const EBX: usize = 3;
pub(crate) const ESP: usize = 4;
pub(crate) const EBP: usize = 5;
pub(crate) const ESI: usize = 6;
pub(crate) const EDI: usize = 7;
/// Rights of LDTR and TR after a reset (SDM 3A, table 9-1): present; a 32-bit TSS that is busy.
const LDT_AT_RESET: u32 = 0x8200;
const TSS_AT_RESET: u32 = 0x8b00;
/// A register that is always 0, for addresses without a base or an index.
pub(crate) const NONE: u8 = 8;

/// A segment register with its hidden part (SDM 3A, 3.4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Segment {
    pub selector: u16,
    pub base: u32,
    /// In octets.
    pub limit: u32,
    /// The second word of the descriptor, without base and limit.
    pub rights: u32,
}

impl Segment {
    pub(crate) fn new(selector: u16, base: u32, limit: u32, rights: u32) -> Self {
        Segment { selector, base, limit, rights }
    }

    /// One that cannot be used.
    pub(crate) fn null(selector: u16) -> Self {
        Segment { selector, base: 0, limit: 0, rights: 0 }
    }

    pub(crate) fn of(selector: u16, descriptor: Descriptor) -> Self {
        Segment::new(selector, descriptor.base(), descriptor.limit(), descriptor.rights())
    }

    /// D or B.
    pub(crate) fn is_big(&self) -> bool {
        self.rights & BIG != 0
    }
}

/// What an access through a segment needs: its base, and the offset of the last octet that may be read and written
/// without a closer look; −1: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub base: u32,
    pub read: i64,
    pub write: i64,
}

impl Reach {
    pub(crate) fn of(segment: &Segment) -> Self {
        let Segment { base, limit, rights, .. } = *segment;
        let none = Reach { base, read: -1, write: -1 };
        if rights & (PRESENT | S) != PRESENT | S {
            return none;
        }
        let limit = i64::from(limit);
        if rights & CODE != 0 {
            return if rights & READABLE != 0 { Reach { read: limit, ..none } } else { none };
        }
        if rights & EXPAND_DOWN != 0 {
            return none;
        }
        Reach { base, read: limit, write: if rights & WRITABLE != 0 { limit } else { -1 } }
    }
}

/// May `octets` octets at `offset` be accessed in a segment, as far as its limit goes?
pub(crate) fn is_within(segment: &Segment, offset: u32, octets: u32) -> bool {
    let last = u64::from(offset) + u64::from(octets) - 1;
    if segment.rights & (S | CODE | EXPAND_DOWN) == S | EXPAND_DOWN {
        let top = if segment.rights & BIG != 0 { u32::MAX } else { 0xffff };
        offset > segment.limit && last <= u64::from(top)
    } else {
        last <= u64::from(segment.limit)
    }
}

/// GDTR, IDTR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub base: u32,
    pub limit: u32,
}

/// An exception that an instruction raised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raised {
    pub vector: u8,
    pub error: Option<u32>,
    pub cr2: u32,
}

/// A processor.
pub struct Cpu {
    /// EAX ECX EDX EBX ESP EBP ESI EDI, and zeros.
    pub(crate) regs: [u32; 16],
    /// Of the instruction that is executed; `Cpu::execute` moves it on.
    pub(crate) eip: u32,
    /// Instructions of the present trace that are still to be executed, the present one included.
    pub(crate) left: u32,
    /// The count of instructions when they are.
    pub(crate) stop_at: u64,
    /// The trace was cut: something must be looked at behind the present instruction.
    pub(crate) noticed: bool,
    pub(crate) arithmetic: Arithmetic,
    /// EFLAGS but for the arithmetic ones.
    pub(crate) other_flags: u32,
    pub(crate) reach: [Reach; 6],
    pub(crate) tlb: SoftTlb,

    pub(crate) seg: [Segment; 6],
    pub(crate) ldtr: Segment,
    pub(crate) tr: Segment,
    pub(crate) gdtr: Table,
    pub(crate) idtr: Table,
    pub(crate) cr0: u32,
    pub(crate) cr2: u32,
    pub(crate) cr3: u32,
    pub(crate) cr4: u32,
    pub(crate) dr: [u32; 8],
    pub(crate) cpl: u8,
    pub(crate) a20: bool,
    pub(crate) model: &'static Model,
    pub(crate) system: System,
    pub(crate) fpu: Fpu,
    pub(crate) sse: Sse,

    pub(crate) raised: Raised,
    pub(crate) nmi_blocked: bool,
    /// Interrupts wait until the next instruction is done: after STI, MOV SS, POP SS.
    pub(crate) shadow: bool,
    pub(crate) halted: bool,
    /// An exception was delivered: no single-step trap follows.
    pub(crate) stepped: bool,
    /// The INTR pin.
    pub(crate) intr: bool,
    pub(crate) nmi: bool,
    /// A vector that was injected.
    pub(crate) injected: Option<u8>,
    pub(crate) hypercall: u32,
    /// Where the guest goes on behind a software interrupt that is intercepted.
    pub(crate) next_pc: Option<u32>,
    pub(crate) skipped: u64,

    pub(crate) asked: Option<Asked>,
    /// Accesses of the instruction at `eip` that were made.
    pub(crate) log: Vec<Done>,
    pub(crate) log_at: usize,

    pub(crate) hypercalls: bool,
    /// Bit n: exits before exception n is taken.
    pub(crate) intercepted: [u64; 4],
    pub(crate) code: Code<Cpu>,
    pub(crate) debugger: Debugger,
    pub(crate) plain_epoch: u64,
    pub(crate) mapping_epoch: u64,
    pub(crate) kicked: Arc<AtomicBool>,
}

impl Cpu {
    /// A processor after a reset.
    pub fn new(model: &'static Model, hypercalls: bool) -> Cpu {
        let mut cpu = Cpu {
            regs: [0; 16],
            eip: 0,
            left: 0,
            stop_at: 0,
            noticed: false,
            arithmetic: Arithmetic::default(),
            other_flags: 0,
            reach: [Reach { base: 0, read: -1, write: -1 }; 6],
            tlb: SoftTlb::new(),
            seg: [Segment::null(0); 6],
            ldtr: Segment::null(0),
            tr: Segment::null(0),
            gdtr: Table::default(),
            idtr: Table::default(),
            cr0: 0,
            cr2: 0,
            cr3: 0,
            cr4: 0,
            dr: [0; 8],
            cpl: 0,
            a20: true,
            model,
            system: System::at_reset(),
            fpu: Fpu::default(),
            sse: Sse::default(),
            raised: Raised::default(),
            nmi_blocked: false,
            shadow: false,
            halted: false,
            stepped: false,
            intr: false,
            nmi: false,
            injected: None,
            hypercall: 0,
            next_pc: None,
            skipped: 0,
            asked: None,
            log: Vec::new(),
            log_at: 0,
            hypercalls,
            intercepted: [0; 4],
            code: Code::new(),
            debugger: Debugger::default(),
            plain_epoch: u64::MAX,
            mapping_epoch: u64::MAX,
            kicked: Arc::new(AtomicBool::new(false)),
        };
        cpu.reset();
        cpu
    }

    /// The RESET pin (SDM 3A, table 9-1). Time and the pins stay.
    pub fn reset(&mut self) {
        self.regs = [0; 16];
        self.regs[EDX] = self.model.signature;
        self.eip = 0xfff0;
        self.set_eflags(0);
        for which in 0..6 {
            self.set_segment(which, Segment::new(0, 0, 0xffff, REAL_RIGHTS));
        }
        self.set_segment(CS, Segment::new(0xf000, 0xffff_0000, 0xffff, REAL_RIGHTS));
        self.ldtr = Segment::new(0, 0, 0xffff, LDT_AT_RESET);
        self.tr = Segment::new(0, 0, 0xffff, TSS_AT_RESET);
        self.gdtr = Table { base: 0, limit: 0xffff };
        self.idtr = Table { base: 0, limit: 0xffff };
        (self.cr0, self.cr2, self.cr3, self.cr4) = (control_registers::CR0_AT_RESET, 0, 0, 0);
        self.dr = [0, 0, 0, 0, 0, 0, control_registers::DR6_AT_RESET, control_registers::DR7_AT_RESET];
        self.cpl = 0;
        self.system = System::at_reset();
        self.fpu = Fpu::default();
        self.sse = Sse::default();
        (self.nmi_blocked, self.shadow, self.halted, self.injected) = (false, false, false, None);
        self.asked = None;
        self.log.clear();
        self.forget_translations();
        self.debug_changed();
    }

    pub(crate) fn eflags(&self) -> u32 {
        self.arithmetic.get() | self.other_flags | flags::ONE
    }

    pub(crate) fn set_eflags(&mut self, value: u32) {
        if (self.other_flags ^ value) & flags::AC != 0 {
            self.forget_translations(); // the soft TLB's pages are those where alignment does not matter
        }
        self.arithmetic.set(value);
        self.other_flags = value & flags::KNOWN & !flags::ARITHMETIC;
    }

    pub(crate) fn is_intercepted(&self, vector: u8) -> bool {
        self.intercepted[usize::from(vector >> 6)] >> (vector & 63) & 1 != 0
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.cr0 & control_registers::CR0_PE != 0
    }

    pub(crate) fn is_v86(&self) -> bool {
        self.other_flags & flags::VM != 0
    }

    pub(crate) fn set_segment(&mut self, which: usize, segment: Segment) {
        self.seg[which] = segment;
        self.reach[which] = Reach::of(&segment);
    }

    /// Is the stack's pointer ESP, and not SP?
    #[inline(always)]
    pub(crate) fn is_stack_big(&self) -> bool {
        self.seg[SS].rights & BIG != 0
    }

    /// Level, VM, PE or a segment has changed. Translations are told apart by the level.
    pub(crate) fn mode_changed(&mut self) {
        if self.minds_alignment() {
            self.forget_translations();
        }
    }

    /// One tick is one instruction, or one that was skipped.
    pub fn ticks(&self) -> u64 {
        self.icount() + self.skipped
    }

    /// Instructions retired.
    pub fn icount(&self) -> u64 {
        self.stop_at - u64::from(self.left)
    }

    /// End the trace behind the present instruction.
    pub(crate) fn cut(&mut self) {
        self.stop_at -= u64::from(self.left.saturating_sub(1));
        self.left = self.left.min(1);
        self.noticed = true;
    }

    pub(crate) fn fault(&mut self, vector: u8, error: u32) -> Stop {
        (self.raised.vector, self.raised.error) = (vector, Some(error));
        Stop::Exception
    }

    pub(crate) fn fault_without_code(&mut self, vector: u8) -> Stop {
        (self.raised.vector, self.raised.error) = (vector, None);
        Stop::Exception
    }

    pub(crate) fn ud(&mut self) -> Stop {
        self.fault_without_code(6)
    }

    /// #DB behind an instruction.
    pub(crate) fn trap(&mut self, vector: u8) -> Stop {
        self.fault_without_code(vector)
    }

    #[inline(always)]
    pub(crate) fn r8(&self, number: u8) -> u8 {
        (self.regs[usize::from(number & 3)] >> (8 * u32::from(number >> 2 & 1))) as u8
    }

    #[inline(always)]
    pub(crate) fn set_r8(&mut self, number: u8, value: u8) {
        let shift = 8 * u32::from(number >> 2 & 1);
        let register = &mut self.regs[usize::from(number & 3)];
        *register = *register & !(0xff << shift) | u32::from(value) << shift;
    }

    #[inline(always)]
    pub(crate) fn r16(&self, number: u8) -> u16 {
        self.regs[usize::from(number & 7)] as u16
    }

    #[inline(always)]
    pub(crate) fn set_r16(&mut self, number: u8, value: u16) {
        let register = &mut self.regs[usize::from(number & 7)];
        *register = *register & 0xffff_0000 | u32::from(value);
    }

    #[inline(always)]
    pub(crate) fn r32(&self, number: u8) -> u32 {
        self.regs[usize::from(number & 7)]
    }

    #[inline(always)]
    pub(crate) fn set_r32(&mut self, number: u8, value: u32) {
        self.regs[usize::from(number & 7)] = value;
    }
}
