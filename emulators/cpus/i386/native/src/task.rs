//! Tasks: switches between them, their stacks for inner levels, their I/O permissions.
//!
//! Specification: SDM 3A, 7 (task management), tables 7-1 (checks) and 7-2 (busy, NT, link); figures 7-2 and 7-10 (TSS of
//! 32 and 16 bits); SDM 1, 18.5.2 (I/O permission bit map).
//!
//! # Theory of operation
//!
//! A switch reads the whole new TSS, then writes the old one, the link and the busy bits; whatever of that may fault does
//! so before anything has changed that a second attempt would notice. Then the processor is the new task's, and the
//! faults of loading its segments are the new task's, at its first instruction.
//!
//! Not supported: a task register that was never loaded has no TSS to save to, and nothing is saved.

use crate::breakpoints::Meets;
use crate::descriptor::{BUSY, Descriptor, LDT, PRESENT, TSS16, TSS32, V86_RIGHTS, WIDE};
use crate::descriptor::{is_local, is_null, rpl};
use crate::exit::Stop;
use crate::flags::{IOPL, NT, VM};
use crate::state::{CS, Cpu, DS, ES, FS, GS, SS, Segment};
use crate::vectors::{DB, GP, NP, TS};
use guest_memory::Memory;

/// What leads to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    Jump,
    /// CALL, or an event through a task gate: the new task returns to the old one.
    Call,
    Return,
}

/// An inner level's stack, as a TSS has it.
pub(crate) struct TssStack {
    pub selector: u16,
    pub pointer: u32,
}

/// Where things are in a TSS.
struct Layout {
    /// The last octet that a TSS must have.
    limit: u32,
    /// EIP; EFLAGS and the 8 general registers follow.
    eip: u32,
    /// ES; the other segment registers follow, as many as there are.
    es: u32,
    segments: usize,
    ldt: u32,
    wide: bool,
}

const TSS32_LAYOUT: Layout = Layout { limit: 0x67, eip: 0x20, es: 0x48, segments: 6, ldt: 0x60, wide: true };
const TSS16_LAYOUT: Layout = Layout { limit: 0x2b, eip: 0x0e, es: 0x22, segments: 4, ldt: 0x2a, wide: false };
const TSS32_CR3: u32 = 0x1c;
const TSS32_TRAP: u32 = 0x64;
const TSS32_IO_MAP: u32 = 0x66;

const CR0_TS: u32 = 1 << 3;
const DR6_BT: u32 = 1 << 15;
/// L0…L3 and LE: of the present task only.
const DR7_LOCAL: u32 = 0x155;

fn layout(rights: u32) -> &'static Layout {
    if rights >> 8 & WIDE != 0 { &TSS32_LAYOUT } else { &TSS16_LAYOUT }
}

/// The state that a TSS holds.
struct Saved {
    cr3: u32,
    eip: u32,
    eflags: u32,
    regs: [u32; 8],
    selectors: [u16; 6],
    ldt: u16,
    trap: bool,
}

impl Cpu {
    fn tss_word(&mut self, memory: &mut Memory, base: u32, at: u32, wide: bool) -> Result<u32, Stop> {
        let at = base.wrapping_add(at);
        Ok(if wide { self.load_system::<u32>(memory, at)? } else { self.load_system::<u16>(memory, at)?.into() })
    }

    fn read_tss(&mut self, memory: &mut Memory, base: u32, layout: &Layout) -> Result<Saved, Stop> {
        let wide = layout.wide;
        let step = if wide { 4 } else { 2 };
        let mut words = [0; 10];
        for (at, word) in (0..).zip(&mut words) {
            *word = self.tss_word(memory, base, layout.eip + at * step, wide)?;
        }
        let mut selectors = [0; 6];
        for (at, selector) in (0..).zip(&mut selectors[..layout.segments]) {
            *selector = self.tss_word(memory, base, layout.es + at * step, false)? as u16;
        }
        let mut regs: [u32; 8] = words[2..].try_into().expect("8 of 10");
        if !wide {
            // What a task of 16 bits finds in the upper halves (as processors do).
            for register in &mut regs {
                *register |= 0xffff_0000;
            }
        }
        Ok(Saved {
            cr3: if wide { self.tss_word(memory, base, TSS32_CR3, true)? } else { 0 },
            eip: words[0],
            eflags: words[1],
            regs,
            selectors,
            ldt: self.tss_word(memory, base, layout.ldt, false)? as u16,
            trap: wide && self.tss_word(memory, base, TSS32_TRAP, false)? & 1 != 0,
        })
    }

    fn write_tss(&mut self, memory: &mut Memory, eip: u32, eflags: u32) -> Result<(), Stop> {
        let layout = layout(self.tr.rights);
        let base = self.tr.base;
        let mut words = [eip, eflags, 0, 0, 0, 0, 0, 0, 0, 0];
        words[2..].copy_from_slice(&self.regs[..8]);
        for (at, word) in (0..).zip(words) {
            if layout.wide {
                self.store_system::<u32>(memory, base.wrapping_add(layout.eip + at * 4), word)?;
            } else {
                self.store_system::<u16>(memory, base.wrapping_add(layout.eip + at * 2), word as u16)?;
            }
        }
        let step = if layout.wide { 4 } else { 2 };
        for (at, which) in (0..).zip([ES, CS, SS, DS, FS, GS]).take(layout.segments) {
            let selector = self.seg[which].selector;
            self.store_system::<u16>(memory, base.wrapping_add(layout.es + at * step), selector)?;
        }
        Ok(())
    }

    /// Go to the task of the TSS `selector`, whose descriptor is `descriptor`, at `at`. The old task continues at `next`.
    /// `error` is pushed on the new one's stack.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn switch_task(
        &mut self,
        memory: &mut Memory,
        selector: u16,
        at: u32,
        descriptor: Descriptor,
        kind: Switch,
        next: u32,
        error: Option<u32>,
    ) -> Result<(), Stop> {
        let layout = layout(descriptor.high);
        if descriptor.limit() < layout.limit {
            return Err(self.selector_fault(TS, selector));
        }
        let new = self.read_tss(memory, descriptor.base(), layout)?;

        let mut eflags = self.eflags();
        if kind == Switch::Return {
            eflags &= !NT;
        }
        let old = self.tr;
        let old_at = self.gdtr.base.wrapping_add(u32::from(old.selector & !7));
        let has_old = old.rights & PRESENT != 0;
        if has_old {
            self.write_tss(memory, next, eflags)?;
        }
        let old_type = if has_old && kind != Switch::Call {
            let octet = self.load_system::<u8>(memory, old_at.wrapping_add(5))?;
            self.store_system::<u8>(memory, old_at.wrapping_add(5), octet)?; // can it be written?
            Some(octet)
        } else {
            None
        };
        if kind == Switch::Call {
            self.store_system::<u16>(memory, descriptor.base(), old.selector)?;
        }
        let busy = descriptor.high | BUSY << 8;
        if kind != Switch::Return {
            self.store_system::<u8>(memory, at.wrapping_add(5), (busy >> 8) as u8)?;
        }
        if let Some(octet) = old_type {
            self.store_system::<u8>(memory, old_at.wrapping_add(5), octet & !(BUSY as u8))?;
        }

        // From here on, it is the new task.
        let busy = Descriptor { high: busy, ..descriptor };
        self.tr = Segment::of(selector, busy);
        self.cr0 |= CR0_TS;
        self.dr[7] &= !DR7_LOCAL;
        self.debug_changed();
        self.regs[..8].copy_from_slice(&new.regs);
        self.eip = new.eip;
        let flags = if layout.wide { new.eflags } else { new.eflags | self.eflags() & 0xffff_0000 & !VM };
        self.set_eflags(if kind == Switch::Call { flags | NT } else { flags });
        self.system.resume = true;
        if layout.wide && self.is_paging() {
            self.load_cr3(memory, new.cr3)?;
        }
        self.load_task_segments(memory, &new)?;
        if let Some(error) = error {
            let mut stack = self.present_stack();
            self.push_on(memory, &mut stack, error, layout.wide)?;
            self.commit_stack(&stack);
        }
        let code = self.seg[CS];
        self.check_target(&code, self.eip)?;
        if new.trap {
            self.dr[6] |= DR6_BT;
            return Err(self.trap(DB));
        }
        Ok(())
    }

    fn load_task_segments(&mut self, memory: &mut Memory, new: &Saved) -> Result<(), Stop> {
        const ORDER: [usize; 6] = [ES, CS, SS, DS, FS, GS];
        for (which, selector) in ORDER.into_iter().zip(new.selectors) {
            self.set_segment(which, Segment::null(selector));
        }
        self.ldtr = Segment::null(new.ldt);
        let v86 = self.is_v86();
        self.cpl = if v86 { 3 } else { rpl(new.selectors[1]) };
        self.mode_changed();

        if is_local(new.ldt) {
            return Err(self.selector_fault(TS, new.ldt));
        }
        if !is_null(new.ldt) {
            let (_, descriptor) = self.descriptor(memory, new.ldt, TS)?;
            if descriptor.system_type() != Some(LDT) || !descriptor.is_present() {
                return Err(self.selector_fault(TS, new.ldt));
            }
            self.ldtr = Segment::of(new.ldt, descriptor);
        }
        if v86 {
            for (which, selector) in ORDER.into_iter().zip(new.selectors) {
                let segment = Segment::new(selector, u32::from(selector) << 4, 0xffff, V86_RIGHTS);
                self.set_segment(which, segment);
            }
            self.mode_changed();
            return Ok(());
        }
        let cpl = self.cpl;
        let code = self.code_segment(memory, new.selectors[1], cpl, TS)?;
        self.set_segment(CS, code);
        self.mode_changed();
        let stack = self.stack_segment(memory, new.selectors[2], cpl, TS)?;
        self.set_segment(SS, stack);
        self.mode_changed();
        for (which, selector) in ORDER.into_iter().zip(new.selectors).filter(|&(which, _)| which != CS && which != SS) {
            let segment = self.data_segment(memory, selector, TS)?;
            self.set_segment(which, segment);
        }
        Ok(())
    }

    /// IRET with NT: back to the task that the TSS links to.
    pub(crate) fn task_return(&mut self, memory: &mut Memory, next: u32) -> Result<(), Stop> {
        let selector = self.load_system::<u16>(memory, self.tr.base)?;
        if is_local(selector) {
            return Err(self.selector_fault(TS, selector));
        }
        let (at, descriptor) = self.descriptor(memory, selector, TS)?;
        if !descriptor.is_busy_tss() {
            return Err(self.selector_fault(TS, selector));
        }
        if !descriptor.is_present() {
            return Err(self.selector_fault(NP, selector));
        }
        self.switch_task(memory, selector, at, descriptor, Switch::Return, next, None)?;
        self.nmi_blocked = false;
        Ok(())
    }

    /// The stack for level `cpl` in the present TSS.
    pub(crate) fn tss_stack(&mut self, memory: &mut Memory, cpl: u8) -> Result<TssStack, Stop> {
        let wide = self.tr.rights >> 8 & WIDE != 0;
        let (at, octets) = if wide { (4 + 8 * u32::from(cpl), 6) } else { (2 + 4 * u32::from(cpl), 4) };
        if at + octets - 1 > self.tr.limit || self.tr.rights & PRESENT == 0 {
            return Err(self.selector_fault(TS, self.tr.selector));
        }
        let pointer = self.tss_word(memory, self.tr.base, at, wide)?;
        let selector = self.tss_word(memory, self.tr.base, at + if wide { 4 } else { 2 }, false)? as u16;
        Ok(TssStack { selector, pointer })
    }

    /// May `octets` ports from `port` on be accessed? #GP(0) if not. They meet breakpoints.
    #[inline]
    pub(crate) fn check_io(&mut self, memory: &mut Memory, port: u16, octets: u32) -> Result<(), Stop> {
        self.note_access(port.into(), octets, Meets::Port);
        if !self.is_protected() || (u32::from(self.cpl) <= self.iopl() && !self.is_v86()) {
            return Ok(());
        }
        self.check_io_map(memory, port, octets)
    }

    #[cold]
    fn check_io_map(&mut self, memory: &mut Memory, port: u16, octets: u32) -> Result<(), Stop> {
        let tr = self.tr;
        let kind = tr.rights >> 8 & 0xf & !BUSY;
        if tr.rights & PRESENT == 0 || kind != TSS32 || tr.limit < TSS32_LAYOUT.limit {
            debug_assert!(kind == TSS16 || kind == TSS32 || tr.rights & PRESENT == 0);
            return Err(self.fault(GP, 0));
        }
        let map = u32::from(self.load_system::<u16>(memory, tr.base.wrapping_add(TSS32_IO_MAP))?);
        let at = map + u32::from(port / 8);
        // Two octets are read always: the map ends with one more (SDM 1, 18.5.2).
        if at + 1 > tr.limit {
            return Err(self.fault(GP, 0));
        }
        let bits = self.load_system::<u16>(memory, tr.base.wrapping_add(at))?;
        let wanted = ((1u32 << octets) - 1) << (port % 8);
        if u32::from(bits) & wanted != 0 { Err(self.fault(GP, 0)) } else { Ok(()) }
    }

    /// EFLAGS.IOPL.
    #[inline]
    pub(crate) fn iopl(&self) -> u32 {
        (self.eflags() & IOPL) >> 12
    }
}
