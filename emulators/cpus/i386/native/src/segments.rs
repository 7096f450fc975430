//! Segment registers: descriptor tables, loads and their checks.
//!
//! Specification: SDM 3A, 3.4 (segmentation), 5.2–5.7 (limits, types, privilege), 20.1 (real mode), 20.2 (virtual-8086);
//! SDM 2B, MOV, for the order of checks and the error codes.
//!
//! # Theory of operation
//!
//! A segment register is its hidden part: base, limit, rights. In real mode a load changes selector and base alone, so
//! limits set in protected mode stay; in virtual-8086 mode it sets limit and rights as well. In protected mode a null
//! selector leaves rights of 0, which no access passes.
//!
//! A fault while an event is being delivered has the bit EXT in its error code; [`Cpu::selector_fault`] puts it there.

use crate::descriptor::{
    ACCESSED, BIG, CODE, CONFORMING, Descriptor, INDEX, PRESENT, REAL_RIGHTS, S, V86_RIGHTS, WRITABLE, dpl, is_local,
    is_null, rpl,
};
use crate::exit::Stop;
use crate::state::{CS, Cpu, DS, ES, FS, GS, SS, Segment, is_within};
use crate::vectors::{GP, NP, SS_FAULT, TS};
use guest_memory::Memory;

impl Cpu {
    /// The fault with a selector as its error code.
    pub(crate) fn selector_fault(&mut self, vector: u8, selector: u16) -> Stop {
        let error = u32::from(selector & INDEX) | self.system.external;
        self.fault(vector, error)
    }

    /// The descriptor that `selector` names, and its linear address. None: it is outside its table.
    pub(crate) fn find_descriptor(
        &mut self,
        memory: &mut Memory,
        selector: u16,
    ) -> Result<Option<(u32, Descriptor)>, Stop> {
        let (base, limit) = if is_local(selector) {
            if self.ldtr.rights & PRESENT == 0 {
                return Ok(None);
            }
            (self.ldtr.base, self.ldtr.limit)
        } else {
            (self.gdtr.base, self.gdtr.limit)
        };
        let offset = u32::from(selector & !7);
        if offset + 7 > limit {
            return Ok(None);
        }
        let at = base.wrapping_add(offset);
        let raw = self.load_system::<u64>(memory, at)?;
        Ok(Some((at, Descriptor::new(raw))))
    }

    /// As above; outside its table is a fault with the selector.
    pub(crate) fn descriptor(
        &mut self,
        memory: &mut Memory,
        selector: u16,
        vector: u8,
    ) -> Result<(u32, Descriptor), Stop> {
        match self.find_descriptor(memory, selector)? {
            Some(found) => Ok(found),
            None => Err(self.selector_fault(vector, selector)),
        }
    }

    /// A segment is going to be loaded: set its descriptor's accessed bit.
    pub(crate) fn mark_accessed(
        &mut self,
        memory: &mut Memory,
        at: u32,
        descriptor: &mut Descriptor,
    ) -> Result<(), Stop> {
        if descriptor.high & ACCESSED == 0 {
            descriptor.high |= ACCESSED;
            self.store_system::<u8>(memory, at.wrapping_add(5), (descriptor.high >> 8) as u8)?;
        }
        Ok(())
    }

    /// Load a segment register other than CS: MOV, POP, LDS….
    pub(crate) fn load_segment(&mut self, memory: &mut Memory, which: usize, selector: u16) -> Result<(), Stop> {
        if !self.is_protected() || self.is_v86() {
            self.load_real_segment(which, selector);
            return Ok(());
        }
        let segment = if which == SS {
            self.stack_segment(memory, selector, self.cpl, GP)?
        } else {
            self.data_segment(memory, selector, GP)?
        };
        self.set_segment(which, segment);
        Ok(())
    }

    /// Load a segment register as in real or virtual-8086 mode.
    pub(crate) fn load_real_segment(&mut self, which: usize, selector: u16) {
        let base = u32::from(selector) << 4;
        let old = self.seg[which];
        let segment = if self.is_v86() {
            Segment::new(selector, base, 0xffff, V86_RIGHTS)
        } else {
            let big = old.rights & 0x00f0_0000;
            Segment::new(selector, base, old.limit, REAL_RIGHTS | big)
        };
        self.set_segment(which, segment);
    }

    /// What ES, DS, FS or GS becomes. `vector`: of the faults with the selector.
    pub(crate) fn data_segment(&mut self, memory: &mut Memory, selector: u16, vector: u8) -> Result<Segment, Stop> {
        if is_null(selector) {
            return Ok(Segment::null(selector));
        }
        let (at, mut descriptor) = self.descriptor(memory, selector, vector)?;
        let (rpl, dpl) = (rpl(selector), descriptor.dpl());
        if !descriptor.is_readable() || (!descriptor.is_conforming_code() && (rpl > dpl || self.cpl > dpl)) {
            return Err(self.selector_fault(vector, selector));
        }
        if !descriptor.is_present() {
            return Err(self.selector_fault(NP, selector));
        }
        self.mark_accessed(memory, at, &mut descriptor)?;
        Ok(Segment::of(selector, descriptor))
    }

    /// What SS becomes at level `cpl`. `vector`: of the faults with the selector.
    pub(crate) fn stack_segment(
        &mut self,
        memory: &mut Memory,
        selector: u16,
        cpl: u8,
        vector: u8,
    ) -> Result<Segment, Stop> {
        if is_null(selector) {
            // SDM 2B, MOV: #GP(0); a stack out of a TSS: #TS with the selector, which is null but for its RPL.
            return Err(self.selector_fault(vector, 0));
        }
        let (at, mut descriptor) = self.descriptor(memory, selector, vector)?;
        if rpl(selector) != cpl || !descriptor.is_writable_data() || descriptor.dpl() != cpl {
            return Err(self.selector_fault(vector, selector));
        }
        if !descriptor.is_present() {
            return Err(self.selector_fault(SS_FAULT, selector));
        }
        self.mark_accessed(memory, at, &mut descriptor)?;
        Ok(Segment::of(selector, descriptor))
    }

    /// The code segment of a direct transfer, or of a task (`vector` #TS): its privilege must be the present one's.
    pub(crate) fn code_segment(
        &mut self,
        memory: &mut Memory,
        selector: u16,
        cpl: u8,
        vector: u8,
    ) -> Result<Segment, Stop> {
        if is_null(selector) {
            return Err(self.selector_fault(vector, 0));
        }
        let (at, descriptor) = self.descriptor(memory, selector, vector)?;
        self.checked_code_segment(memory, selector, at, descriptor, cpl, vector)
    }

    /// As above, the descriptor having been read.
    pub(crate) fn checked_code_segment(
        &mut self,
        memory: &mut Memory,
        selector: u16,
        at: u32,
        mut descriptor: Descriptor,
        cpl: u8,
        vector: u8,
    ) -> Result<Segment, Stop> {
        let allowed = if !descriptor.is_code() {
            false
        } else if descriptor.is_conforming_code() {
            // A task's selector carries the level that it will run at.
            descriptor.dpl() <= cpl
        } else {
            descriptor.dpl() == cpl && (vector == TS || rpl(selector) <= cpl)
        };
        if !allowed {
            return Err(self.selector_fault(vector, selector));
        }
        if !descriptor.is_present() {
            return Err(self.selector_fault(NP, selector));
        }
        self.mark_accessed(memory, at, &mut descriptor)?;
        Ok(Segment::of(selector & !3 | u16::from(cpl), descriptor))
    }

    /// The level is going to be an outer one: data segments that are not for it are no more (SDM 3A, 5.8.6).
    pub(crate) fn drop_segments_above(&mut self, level: u8) {
        for which in [ES, DS, FS, GS] {
            let rights = self.seg[which].rights;
            let conforming = rights & (S | CODE | CONFORMING) == S | CODE | CONFORMING;
            if !conforming && dpl(rights) < level {
                self.set_segment(which, Segment::null(0));
            }
        }
    }

    /// Commit CS, the level and EIP together.
    pub(crate) fn enter_code(&mut self, segment: Segment, cpl: u8, eip: u32) {
        self.cpl = cpl;
        self.set_segment(CS, segment);
        self.eip = eip;
        self.mode_changed();
    }
}

/// A stack that is being written, while nothing of the processor has changed yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack {
    pub segment: Segment,
    /// ESP; with a stack of 16 bits, only SP moves.
    pub pointer: u32,
    /// At which level pages are accessed.
    pub user: bool,
    /// What #SS tells when it is full.
    pub selector: u16,
}

impl Stack {
    fn offset(&self, pointer: u32) -> u32 {
        if self.segment.rights & BIG != 0 { pointer } else { pointer & 0xffff }
    }

    fn moved(&self, by: u32) -> u32 {
        if self.segment.rights & BIG != 0 {
            self.pointer.wrapping_add(by)
        } else {
            self.pointer & 0xffff_0000 | self.pointer.wrapping_add(by) & 0xffff
        }
    }
}

impl Cpu {
    /// The stack that is in use.
    pub(crate) fn present_stack(&self) -> Stack {
        Stack { segment: self.seg[SS], pointer: self.regs[4], user: self.cpl == 3, selector: 0 }
    }

    fn stack_access(&mut self, stack: &Stack, pointer: u32, octets: u32, write: bool) -> Result<u32, Stop> {
        let offset = stack.offset(pointer);
        let rights = stack.segment.rights;
        let usable = rights & (PRESENT | S) == PRESENT | S && (!write || rights & (CODE | WRITABLE) == WRITABLE);
        if !usable || !is_within(&stack.segment, offset, octets) {
            return Err(self.selector_fault(SS_FAULT, stack.selector));
        }
        Ok(stack.segment.base.wrapping_add(offset))
    }

    /// Push 4 octets, or 2 if not `wide`.
    pub(crate) fn push_on(
        &mut self,
        memory: &mut Memory,
        stack: &mut Stack,
        value: u32,
        wide: bool,
    ) -> Result<(), Stop> {
        let octets: u32 = if wide { 4 } else { 2 };
        let pointer = stack.moved(octets.wrapping_neg());
        let at = self.stack_access(stack, pointer, octets, true)?;
        if wide {
            self.store_linear::<u32>(memory, at, value, stack.user)?;
        } else {
            self.store_linear::<u16>(memory, at, value as u16, stack.user)?;
        }
        stack.pointer = pointer;
        Ok(())
    }

    /// Pop 4 octets, or 2 if not `wide`.
    pub(crate) fn pop_from(&mut self, memory: &mut Memory, stack: &mut Stack, wide: bool) -> Result<u32, Stop> {
        let octets: u32 = if wide { 4 } else { 2 };
        let at = self.stack_access(stack, stack.pointer, octets, false)?;
        let value = if wide {
            self.load_linear::<u32>(memory, at, stack.user)?
        } else {
            self.load_linear::<u16>(memory, at, stack.user)?.into()
        };
        stack.pointer = stack.moved(octets);
        Ok(value)
    }

    /// Leave `octets` octets of a stack behind.
    pub(crate) fn drop_from(stack: &mut Stack, octets: u32) {
        stack.pointer = stack.moved(octets);
    }

    /// Use a stack of the present SS from now on: in one of 16 bits only SP is written.
    pub(crate) fn commit_stack(&mut self, stack: &Stack) {
        self.regs[4] = stack.pointer;
    }
}
