//! Interrupts and exceptions: their delivery in every mode.
//!
//! Specification: SDM 3A, 6 (interrupt and exception handling), 20.1.4 (real mode), 20.3 (virtual-8086 mode); SDM 2A, INT n,
//! for the order of checks and the error codes; tables 6-4 and 6-5 for the double fault.
//!
//! # Theory of operation
//!
//! [`Cpu::deliver`] tries to deliver an event. A fault in that is the next event, or both together are a double fault
//! (table 6-5), or, if that was being delivered, the processor shuts down. Nothing changes before an event's handler is
//! reached, so each attempt starts from the interrupted instruction's state.
//!
//! Faults that are benign to one another have no end: at level 3, with alignment checked and a gate to level 3, each push
//! of an #AC's frame on an odd stack is an #AC. Processors never come back from that (CVE-2015-5307, CVE-2015-8104). Here
//! such a delivery is given up after [`MOST_ATTEMPTS`], with the program where it was, which tries again: budgets end,
//! and whoever watches sees where the guest hangs.
//!
//! While an event that no instruction asked for is delivered, `system.external` is 1: the bit EXT of error codes.
//!
//! Not supported: virtual-8086 mode extensions (VME, PVI).

use crate::control_registers::DR7_GD;
use crate::descriptor::is_null;
use crate::descriptor::{Descriptor, INTERRUPT_GATE16, INTERRUPT_GATE32, TASK_GATE, TRAP_GATE16, TRAP_GATE32, WIDE};
use crate::exit::Stop;
use crate::flags::{AC, IF, IOPL, NT, RF, TF, VM};
use crate::state::{CS, Cpu, DS, ES, FS, GS, SS, Segment};
use crate::task::Switch;
use crate::vectors::{AC_FAULT, BP, DB, DE, DF, GP, NP, OF, PF, TS};
use guest_memory::Memory;

/// Chosen: more than any chain of faults that ends has (benign, page fault, contributory, double fault, shutdown; and
/// tasks whose T bit traps, which run out of tasks).
const MOST_ATTEMPTS: u32 = 32;

/// Where an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A pin: INTR or NMI.
    External,
    /// INT n.
    Software,
    /// INT3 and INTO: they ask for an exception, from any IOPL, but a gate's DPL counts.
    Trap,
    /// INT1: neither DPL nor IOPL counts.
    Icebp,
    Exception,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    vector: u8,
    error: Option<u32>,
    kind: Kind,
    /// Where the interrupted program goes on.
    eip: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Benign,
    Contributory,
    PageFault,
    DoubleFault,
}

/// SDM 3A, table 6-4.
fn class(event: &Event) -> Class {
    if event.kind != Kind::Exception {
        return Class::Benign;
    }
    match event.vector {
        DE | TS..=GP => Class::Contributory,
        PF => Class::PageFault,
        DF => Class::DoubleFault,
        _ => Class::Benign,
    }
}

/// Does the exception push an error code in protected mode?
fn has_error_code(vector: u8) -> bool {
    matches!(vector, DF | TS..=PF | AC_FAULT)
}

impl Cpu {
    /// Deliver an event; the interrupted program goes on at `eip`. What of it is left to the caller: whether it is masked.
    ///
    /// Errors: `Shutdown`, or what a device that the delivery meets asks for.
    pub(crate) fn deliver(
        &mut self,
        memory: &mut Memory,
        vector: u8,
        error: Option<u32>,
        kind: Kind,
        eip: u32,
    ) -> Result<(), Stop> {
        let mut event = Event { vector, error, kind, eip };
        self.stepped = true; // no single step behind an instruction that interrupts
        for _ in 0..MOST_ATTEMPTS {
            self.system.external = (!matches!(event.kind, Kind::Software | Kind::Trap)).into();
            let outcome = self.deliver_once(memory, &event);
            self.system.external = 0;
            match outcome {
                Err(Stop::Exception) => {}
                other => return other,
            }
            let raised = self.raised;
            let second = Event { vector: raised.vector, error: raised.error, kind: Kind::Exception, eip: self.eip };
            event = match (class(&event), class(&second)) {
                (Class::DoubleFault, Class::Contributory | Class::PageFault) => return Err(Stop::Shutdown),
                (Class::Contributory, Class::Contributory)
                | (Class::PageFault, Class::Contributory | Class::PageFault) => {
                    Event { vector: DF, error: Some(0), kind: Kind::Exception, eip: self.eip }
                }
                _ => second,
            };
        }
        Ok(())
    }

    fn deliver_once(&mut self, memory: &mut Memory, event: &Event) -> Result<(), Stop> {
        if event.kind == Kind::Exception && event.vector == PF {
            self.cr2 = self.raised.cr2;
        }
        if self.is_protected() {
            self.deliver_protected(memory, event)?
        } else {
            self.deliver_real(memory, event)?
        }
        if event.kind == Kind::Exception && event.vector == DB {
            self.dr[7] &= !DR7_GD; // the handler may look (SDM 3A, 17.2.4)
        }
        Ok(())
    }

    fn deliver_real(&mut self, memory: &mut Memory, event: &Event) -> Result<(), Stop> {
        let at = u32::from(event.vector) * 4;
        if at + 3 > self.idtr.limit {
            return Err(self.fault(GP, 0));
        }
        let target = self.load_system::<u32>(memory, self.idtr.base.wrapping_add(at))?;
        let (selector, offset) = ((target >> 16) as u16, target & 0xffff);
        let flags = self.eflags();
        let mut stack = self.present_stack();
        for value in [flags, self.seg[CS].selector.into(), event.eip] {
            self.push_on(memory, &mut stack, value, false)?;
        }
        if offset > self.seg[CS].limit {
            return Err(self.fault(GP, 0));
        }
        self.commit_stack(&stack);
        self.load_real_segment(CS, selector);
        self.eip = offset;
        self.set_eflags(flags & !(IF | TF | AC | RF));
        self.mode_changed();
        Ok(())
    }

    /// The image of EFLAGS that a handler finds.
    fn pushed_flags(&mut self, event: &Event) -> u32 {
        let flags = self.eflags();
        // Faults set RF, so that an instruction breakpoint is not met twice (SDM 3A, 17.3.1.1).
        let fault = event.kind == Kind::Exception && !matches!(event.vector, DB | BP | OF);
        if fault { flags | RF } else { flags }
    }

    fn deliver_protected(&mut self, memory: &mut Memory, event: &Event) -> Result<(), Stop> {
        let external = self.system.external;
        let flags = self.eflags();
        let v86 = flags & VM != 0;
        if v86 && event.kind == Kind::Software && flags & IOPL != IOPL {
            return Err(self.fault(GP, 0));
        }
        let at = u32::from(event.vector) * 8;
        // A fault with the gate's index, in the IDT.
        let gate_error = at | 2 | external;
        if at + 7 > self.idtr.limit {
            return Err(self.fault(GP, gate_error));
        }
        let raw = self.load_system::<u64>(memory, self.idtr.base.wrapping_add(at))?;
        let gate = Descriptor::new(raw);
        let kind = match gate.system_type() {
            Some(kind @ (TASK_GATE | INTERRUPT_GATE16 | TRAP_GATE16 | INTERRUPT_GATE32 | TRAP_GATE32)) => kind,
            _ => return Err(self.fault(GP, gate_error)),
        };
        if matches!(event.kind, Kind::Software | Kind::Trap) && gate.dpl() < self.cpl {
            return Err(self.fault(GP, gate_error));
        }
        if !gate.is_present() {
            return Err(self.fault(NP, gate_error));
        }
        let error = event.error.filter(|_| event.kind == Kind::Exception && has_error_code(event.vector));
        if kind == TASK_GATE {
            let selector = gate.gate_selector();
            let (at, descriptor) = self.task_descriptor(memory, selector)?;
            return self.switch_task(memory, selector, at, descriptor, Switch::Call, event.eip, error);
        }

        let selector = gate.gate_selector();
        if is_null(selector) {
            return Err(self.fault(GP, external));
        }
        let (at, mut descriptor) = self.descriptor(memory, selector, GP)?;
        if !descriptor.is_code() || descriptor.dpl() > self.cpl {
            return Err(self.selector_fault(GP, selector));
        }
        if !descriptor.is_present() {
            return Err(self.selector_fault(NP, selector));
        }
        let inner = !descriptor.is_conforming_code() && descriptor.dpl() < self.cpl;
        if v86 && !(inner && descriptor.dpl() == 0) {
            return Err(self.selector_fault(GP, selector));
        }
        let cpl = if inner { descriptor.dpl() } else { self.cpl };
        let wide = kind & WIDE != 0;
        let mut stack = if inner { self.inner_stack(memory, cpl)? } else { self.present_stack() };
        if v86 {
            for which in [GS, FS, DS, ES] {
                self.push_on(memory, &mut stack, self.seg[which].selector.into(), wide)?;
            }
        }
        if inner {
            self.push_on(memory, &mut stack, self.seg[SS].selector.into(), wide)?;
            self.push_on(memory, &mut stack, self.regs[4], wide)?;
        }
        let image = self.pushed_flags(event);
        for value in [image, self.seg[CS].selector.into(), event.eip] {
            self.push_on(memory, &mut stack, value, wide)?;
        }
        if let Some(error) = error {
            self.push_on(memory, &mut stack, error, wide)?;
        }
        self.mark_accessed(memory, at, &mut descriptor)?;
        let segment = Segment::of(selector & !3 | u16::from(cpl), descriptor);
        self.check_target(&segment, gate.gate_offset())?;

        let cleared = TF | VM | RF | NT | if kind & !WIDE == INTERRUPT_GATE16 { IF } else { 0 };
        self.set_eflags(flags & !cleared);
        if inner {
            self.set_segment(SS, stack.segment);
        }
        self.commit_stack(&stack);
        if v86 {
            for which in [GS, FS, DS, ES] {
                self.set_segment(which, Segment::null(0));
            }
        }
        self.enter_code(segment, cpl, gate.gate_offset());
        Ok(())
    }
}
