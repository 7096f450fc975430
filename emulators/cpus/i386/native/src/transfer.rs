//! Far transfers: JMP, CALL, RET and IRET between segments, privilege levels, modes and tasks.
//!
//! Specification: SDM 3A, 5.8 (privilege in transfers), 7 (tasks), 20.2 (virtual-8086 mode); SDM 2A and 2B, JMP, CALL,
//! RET, IRET, for the order of checks and the error codes.
//!
//! # Theory of operation
//!
//! Everything that may fail is done first, stacks are written through a [`Stack`] that is not yet the processor's, and
//! registers change last: an instruction that faults can be executed again.
//!
//! In each of them `wide` is the operand size: 32 bits, or 16. `self.eip` is the instruction's own address, and `next`
//! the one behind it.

use crate::descriptor::{CALL_GATE16, CALL_GATE32, Descriptor, TASK_GATE, TSS16, TSS32, V86_RIGHTS, WIDE};
use crate::descriptor::{is_local, is_null, rpl};
use crate::exit::Stop;
use crate::flags::{AC, ARITHMETIC, DF, ID, IF, IOPL, NT, RF, TF, VIF, VIP, VM};
use crate::segments::Stack;
use crate::state::{CS, Cpu, DS, ES, FS, GS, SS, Segment};
use crate::task::{Switch, TssStack};
use crate::vectors::{GP, NP, TS};
use guest_memory::Memory;

/// What a far pointer turned out to name.
enum Target {
    /// A code segment, of the level that it will run at.
    Code(Segment),
    /// A call gate.
    Gate(Descriptor),
    /// A task: selector of its TSS, where its descriptor is, and that.
    Task(u16, u32, Descriptor),
}

impl Cpu {
    /// JMP far.
    pub(crate) fn jump_far(&mut self, memory: &mut Memory, selector: u16, offset: u32, next: u32) -> Result<(), Stop> {
        if !self.is_protected() || self.is_v86() {
            return self.jump_real(selector, offset);
        }
        let (segment, offset) = match self.far_target(memory, selector)? {
            Target::Code(segment) => (segment, offset),
            Target::Gate(gate) => {
                let (selector, at, descriptor) = self.gate_target(memory, gate)?;
                // A jump never changes the level.
                let segment = self.checked_code_segment(memory, selector & !3, at, descriptor, self.cpl, GP)?;
                (segment, gate.gate_offset())
            }
            Target::Task(selector, at, descriptor) => {
                return self.switch_task(memory, selector, at, descriptor, Switch::Jump, next, None);
            }
        };
        self.check_target(&segment, offset)?;
        self.enter_code(segment, self.cpl, offset);
        Ok(())
    }

    fn jump_real(&mut self, selector: u16, offset: u32) -> Result<(), Stop> {
        if offset > self.seg[CS].limit {
            return Err(self.fault(GP, 0));
        }
        self.load_real_segment(CS, selector);
        self.eip = offset;
        self.mode_changed();
        Ok(())
    }

    /// CALL far.
    pub(crate) fn call_far(
        &mut self,
        memory: &mut Memory,
        selector: u16,
        offset: u32,
        wide: bool,
        next: u32,
    ) -> Result<(), Stop> {
        let mut stack = self.present_stack();
        let return_selector = u32::from(self.seg[CS].selector);
        if !self.is_protected() || self.is_v86() {
            if offset > self.seg[CS].limit {
                return Err(self.fault(GP, 0));
            }
            self.push_on(memory, &mut stack, return_selector, wide)?;
            self.push_on(memory, &mut stack, next, wide)?;
            self.commit_stack(&stack);
            return self.jump_real(selector, offset);
        }
        let (segment, offset, wide) = match self.far_target(memory, selector)? {
            Target::Code(segment) => (segment, offset, wide),
            Target::Gate(gate) => {
                let (selector, at, descriptor) = self.gate_target(memory, gate)?;
                if !descriptor.is_conforming_code() && descriptor.dpl() < self.cpl {
                    return self.call_inner(memory, gate, (selector, at, descriptor), next);
                }
                let segment = self.checked_code_segment(memory, selector & !3, at, descriptor, self.cpl, GP)?;
                (segment, gate.gate_offset(), gate.high >> 8 & WIDE != 0)
            }
            Target::Task(selector, at, descriptor) => {
                return self.switch_task(memory, selector, at, descriptor, Switch::Call, next, None);
            }
        };
        self.push_on(memory, &mut stack, return_selector, wide)?;
        self.push_on(memory, &mut stack, next, wide)?;
        self.check_target(&segment, offset)?;
        self.commit_stack(&stack);
        self.enter_code(segment, self.cpl, offset);
        Ok(())
    }

    /// CALL through a gate to an inner level.
    fn call_inner(
        &mut self,
        memory: &mut Memory,
        gate: Descriptor,
        (selector, at, mut descriptor): (u16, u32, Descriptor),
        next: u32,
    ) -> Result<(), Stop> {
        let cpl = descriptor.dpl();
        let wide = gate.high >> 8 & WIDE != 0;
        let mut stack = self.inner_stack(memory, cpl)?;
        let mut old = self.present_stack();
        let (old_selector, old_pointer) = (self.seg[SS].selector, self.regs[4]);
        let count = gate.gate_parameters() as usize;
        let mut parameters = [0; 32];
        for parameter in &mut parameters[..count] {
            *parameter = self.pop_from(memory, &mut old, wide)?;
        }
        self.push_on(memory, &mut stack, old_selector.into(), wide)?;
        self.push_on(memory, &mut stack, old_pointer, wide)?;
        for &parameter in parameters[..count].iter().rev() {
            self.push_on(memory, &mut stack, parameter, wide)?;
        }
        self.push_on(memory, &mut stack, self.seg[CS].selector.into(), wide)?;
        self.push_on(memory, &mut stack, next, wide)?;
        self.mark_accessed(memory, at, &mut descriptor)?;
        let segment = Segment::of(selector & !3 | u16::from(cpl), descriptor);
        self.check_target(&segment, gate.gate_offset())?;
        self.set_segment(SS, stack.segment);
        self.commit_stack(&stack);
        self.enter_code(segment, cpl, gate.gate_offset());
        Ok(())
    }

    /// What a far pointer's selector names, as far as the present level may go there.
    fn far_target(&mut self, memory: &mut Memory, selector: u16) -> Result<Target, Stop> {
        if is_null(selector) {
            return Err(self.fault(GP, 0));
        }
        let (at, descriptor) = self.descriptor(memory, selector, GP)?;
        let Some(kind) = descriptor.system_type() else {
            return self.checked_code_segment(memory, selector, at, descriptor, self.cpl, GP).map(Target::Code);
        };
        let known = matches!(kind, CALL_GATE16 | CALL_GATE32 | TASK_GATE | TSS16 | TSS32);
        if !known || descriptor.dpl() < self.cpl || descriptor.dpl() < rpl(selector) {
            return Err(self.selector_fault(GP, selector));
        }
        if !descriptor.is_present() {
            return Err(self.selector_fault(NP, selector));
        }
        match kind {
            CALL_GATE16 | CALL_GATE32 => Ok(Target::Gate(descriptor)),
            TASK_GATE => {
                let selector = descriptor.gate_selector();
                let (at, descriptor) = self.task_descriptor(memory, selector)?;
                Ok(Target::Task(selector, at, descriptor))
            }
            _ if is_local(selector) => Err(self.selector_fault(GP, selector)),
            _ => Ok(Target::Task(selector, at, descriptor)),
        }
    }

    /// The TSS that a task gate names.
    pub(crate) fn task_descriptor(&mut self, memory: &mut Memory, selector: u16) -> Result<(u32, Descriptor), Stop> {
        if is_local(selector) {
            return Err(self.selector_fault(GP, selector));
        }
        let (at, descriptor) = self.descriptor(memory, selector, GP)?;
        if !descriptor.is_available_tss() {
            return Err(self.selector_fault(GP, selector));
        }
        if !descriptor.is_present() {
            return Err(self.selector_fault(NP, selector));
        }
        Ok((at, descriptor))
    }

    /// The code segment that a call gate names: present, and not of an outer level.
    fn gate_target(&mut self, memory: &mut Memory, gate: Descriptor) -> Result<(u16, u32, Descriptor), Stop> {
        let selector = gate.gate_selector();
        if is_null(selector) {
            return Err(self.fault(GP, 0));
        }
        let (at, descriptor) = self.descriptor(memory, selector, GP)?;
        if !descriptor.is_code() || descriptor.dpl() > self.cpl {
            return Err(self.selector_fault(GP, selector));
        }
        if !descriptor.is_present() {
            return Err(self.selector_fault(NP, selector));
        }
        Ok((selector, at, descriptor))
    }

    /// Nothing is executed beyond a code segment's limit.
    pub(crate) fn check_target(&mut self, segment: &Segment, offset: u32) -> Result<(), Stop> {
        if offset > segment.limit { Err(self.fault(GP, self.system.external)) } else { Ok(()) }
    }

    /// The stack for an inner level, out of the task's TSS.
    pub(crate) fn inner_stack(&mut self, memory: &mut Memory, cpl: u8) -> Result<Stack, Stop> {
        let TssStack { selector, pointer } = self.tss_stack(memory, cpl)?;
        let segment = self.stack_segment(memory, selector, cpl, TS)?;
        Ok(Stack { segment, pointer, user: cpl == 3, selector })
    }

    /// RET far, which leaves `drop` octets of parameters behind.
    pub(crate) fn return_far(&mut self, memory: &mut Memory, wide: bool, drop: u32) -> Result<(), Stop> {
        let mut stack = self.present_stack();
        let offset = self.pop_from(memory, &mut stack, wide)?;
        let selector = self.pop_from(memory, &mut stack, wide)? as u16;
        Cpu::drop_from(&mut stack, drop);
        if !self.is_protected() || self.is_v86() {
            self.jump_real(selector, offset)?;
            self.commit_stack(&stack);
            return Ok(());
        }
        let segment = self.return_segment(memory, selector)?;
        if rpl(selector) == self.cpl {
            self.check_target(&segment, offset)?;
            self.commit_stack(&stack);
            self.enter_code(segment, self.cpl, offset);
            return Ok(());
        }
        let mut outer = self.outer_stack(memory, &mut stack, wide, rpl(selector))?;
        Cpu::drop_from(&mut outer, drop);
        self.check_target(&segment, offset)?;
        self.return_outward(segment, offset, &outer);
        Ok(())
    }

    /// The code segment of a return.
    fn return_segment(&mut self, memory: &mut Memory, selector: u16) -> Result<Segment, Stop> {
        if is_null(selector) {
            return Err(self.fault(GP, 0));
        }
        let (at, mut descriptor) = self.descriptor(memory, selector, GP)?;
        let level = rpl(selector);
        let allowed = descriptor.is_code()
            && level >= self.cpl
            && if descriptor.is_conforming_code() { descriptor.dpl() <= level } else { descriptor.dpl() == level };
        if !allowed {
            return Err(self.selector_fault(GP, selector));
        }
        if !descriptor.is_present() {
            return Err(self.selector_fault(NP, selector));
        }
        self.mark_accessed(memory, at, &mut descriptor)?;
        Ok(Segment::of(selector, descriptor))
    }

    /// The outer level's stack, popped off the inner one.
    fn outer_stack(&mut self, memory: &mut Memory, stack: &mut Stack, wide: bool, level: u8) -> Result<Stack, Stop> {
        let pointer = self.pop_from(memory, stack, wide)?;
        let selector = self.pop_from(memory, stack, wide)? as u16;
        let segment = self.stack_segment(memory, selector, level, GP)?;
        // A stack of 16 bits has but SP; the rest of ESP is the inner stack's (as processors do).
        let pointer = if wide || segment.is_big() { pointer } else { self.regs[4] & 0xffff_0000 | pointer & 0xffff };
        Ok(Stack { segment, pointer, user: level == 3, selector })
    }

    fn return_outward(&mut self, segment: Segment, offset: u32, outer: &Stack) {
        let level = rpl(segment.selector);
        self.set_segment(SS, outer.segment);
        self.commit_stack(outer);
        self.drop_segments_above(level);
        self.enter_code(segment, level, offset);
    }

    /// IRET.
    pub(crate) fn interrupt_return(&mut self, memory: &mut Memory, wide: bool, next: u32) -> Result<(), Stop> {
        if !self.is_protected() {
            return self.interrupt_return_real(memory, wide, if wide { AC | ID | RF | IOPL } else { IOPL });
        }
        let eflags = self.eflags();
        if eflags & VM != 0 {
            if eflags & IOPL != IOPL {
                return Err(self.fault(GP, 0));
            }
            return self.interrupt_return_real(memory, wide, if wide { AC | ID | RF } else { 0 });
        }
        if eflags & NT != 0 {
            return self.task_return(memory, next);
        }
        let mut stack = self.present_stack();
        let offset = self.pop_from(memory, &mut stack, wide)?;
        let selector = self.pop_from(memory, &mut stack, wide)? as u16;
        let flags = self.pop_from(memory, &mut stack, wide)?;
        if wide && flags & VM != 0 && self.cpl == 0 {
            return self.return_to_v86(memory, stack, selector, offset, flags);
        }
        let segment = self.return_segment(memory, selector)?;
        let mut mask = ARITHMETIC | TF | DF | NT;
        if wide {
            mask |= RF | AC | ID;
        }
        if u32::from(self.cpl) <= eflags >> 12 & 3 {
            mask |= IF;
        }
        if self.cpl == 0 {
            mask |= IOPL;
            if wide {
                mask |= VIF | VIP;
            }
        }
        let flags = eflags & !mask | flags & mask;
        if rpl(selector) == self.cpl {
            self.check_target(&segment, offset)?;
            self.commit_stack(&stack);
            self.set_eflags(flags);
            self.enter_code(segment, self.cpl, offset);
        } else {
            let outer = self.outer_stack(memory, &mut stack, wide, rpl(selector))?;
            self.check_target(&segment, offset)?;
            self.set_eflags(flags);
            self.return_outward(segment, offset, &outer);
        }
        self.nmi_blocked = false;
        self.system.resume = true;
        Ok(())
    }

    /// IRET in real and virtual-8086 mode; `more` flags are loaded than those that always are.
    fn interrupt_return_real(&mut self, memory: &mut Memory, wide: bool, more: u32) -> Result<(), Stop> {
        let mut stack = self.present_stack();
        let offset = self.pop_from(memory, &mut stack, wide)?;
        let selector = self.pop_from(memory, &mut stack, wide)? as u16;
        let flags = self.pop_from(memory, &mut stack, wide)?;
        self.jump_real(selector, offset)?;
        self.commit_stack(&stack);
        let mask = ARITHMETIC | TF | IF | DF | NT | more;
        let flags = self.eflags() & !mask | flags & mask;
        self.set_eflags(flags);
        self.nmi_blocked = false;
        self.system.resume = true;
        Ok(())
    }

    fn return_to_v86(
        &mut self,
        memory: &mut Memory,
        mut stack: Stack,
        selector: u16,
        offset: u32,
        flags: u32,
    ) -> Result<(), Stop> {
        let pointer = self.pop_from(memory, &mut stack, true)?;
        let mut selectors = [0; 5];
        for selector in &mut selectors {
            *selector = self.pop_from(memory, &mut stack, true)? as u16;
        }
        if offset > 0xffff {
            return Err(self.fault(GP, 0));
        }
        let segment = |selector: u16| Segment::new(selector, u32::from(selector) << 4, 0xffff, V86_RIGHTS);
        for (which, selector) in [SS, ES, DS, FS, GS].into_iter().zip(selectors) {
            self.set_segment(which, segment(selector));
        }
        self.set_eflags(flags);
        self.enter_code(segment(selector), 3, offset);
        self.regs[4] = pointer;
        self.nmi_blocked = false;
        self.system.resume = true;
        Ok(())
    }
}
