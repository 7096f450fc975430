//! Loads and stores through segments and pages, and accesses to devices.
//!
//! An access where no memory is ends the run; the next run executes the instruction again, and the **log** gives it the
//! results of the accesses that were made, so that none is made twice. A repeated string instruction begins a new log with
//! each of its steps.
//!
//! A segment is checked by its [`crate::state::Reach`], a page by the soft TLB ([`crate::soft`]).

use crate::asked::{Asked, Done};
use crate::breakpoints::Meets;
use crate::control_registers::CR0_AM;
use crate::descriptor::{CODE, EXPAND_DOWN, PRESENT, READABLE, S, WRITABLE};
use crate::exit::{Reason, Stop};
use crate::flags::AC;
use crate::paging::{Access, Mapped};
use crate::soft::OFFSET;
use crate::state::{Cpu, SS, is_within};
use crate::vectors::{AC_FAULT, GP, SS_FAULT};
use guest_memory::{Memory, PAGE_OCTETS, RamPage, Stored};

/// What memory holds.
pub(crate) trait Word: Copy + Default + 'static {
    const OCTETS: u32;
    /// What an address must be a multiple of, if alignment is checked (SDM 3A, table 6-7).
    const ALIGNMENT: u32;
    fn peek(memory: &Memory, page: RamPage, offset: u32) -> Self;
    fn poke(self, memory: &mut Memory, page: RamPage, offset: u32);
    fn of(octets: [u8; 16]) -> Self;
    fn octets(self) -> [u8; 16];
}

macro_rules! words {
    ($($type:ty, $octets:literal, $alignment:literal;)*) => {$(
        impl Word for $type {
            const OCTETS: u32 = $octets;
            const ALIGNMENT: u32 = $alignment;

            #[inline(always)]
            fn peek(memory: &Memory, page: RamPage, offset: u32) -> Self {
                <$type>::from_le_bytes(memory.peek::<$octets>(page, offset))
            }

            #[inline(always)]
            fn poke(self, memory: &mut Memory, page: RamPage, offset: u32) {
                memory.poke::<$octets>(page, offset, self.to_le_bytes());
            }

            #[inline(always)]
            fn of(octets: [u8; 16]) -> Self {
                u128::from_le_bytes(octets) as $type
            }

            #[inline(always)]
            fn octets(self) -> [u8; 16] {
                (self as u128).to_le_bytes()
            }
        }
    )*};
}

// Of 16 octets it is the instructions that mind (#GP), and those that do not may be anywhere.
words! { u8, 1, 1; u16, 2, 2; u32, 4, 4; u64, 8, 8; u128, 16, 1; }

/// Ten octets: an extended real number or a decimal one in memory. In FSAVE's area they may be anywhere.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ten<const ALIGNMENT: u32 = 8>(pub u128);

impl<const A: u32> Word for Ten<A> {
    const OCTETS: u32 = 10;
    const ALIGNMENT: u32 = A;

    fn peek(memory: &Memory, page: RamPage, offset: u32) -> Self {
        let octets = memory.peek::<10>(page, offset);
        let mut all = [0; 16];
        all[..10].copy_from_slice(&octets);
        Ten(u128::from_le_bytes(all))
    }

    fn poke(self, memory: &mut Memory, page: RamPage, offset: u32) {
        let all = self.0.to_le_bytes();
        let octets: [u8; 10] = std::array::from_fn(|at| all[at]);
        memory.poke::<10>(page, offset, octets);
    }

    fn of(octets: [u8; 16]) -> Self {
        Ten(u128::from_le_bytes(octets) & ((1 << 80) - 1))
    }

    fn octets(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }
}

impl Cpu {
    /// All translations.
    pub(crate) fn forget_translations(&mut self) {
        self.tlb.forget();
    }

    /// Those that are not global.
    pub(crate) fn forget_local_translations(&mut self) {
        self.tlb.forget_local();
    }

    /// Those of one page.
    pub(crate) fn forget_page(&mut self, linear: u32) {
        self.tlb.forget_page(linear);
    }

    /// Is what was known about memory still so?
    pub(crate) fn follow_memory(&mut self, memory: &Memory) {
        if self.mapping_epoch != memory.mapping_epoch() {
            self.mapping_epoch = memory.mapping_epoch();
            self.tlb.forget();
            self.code.forget(memory);
        }
        if self.plain_epoch != memory.plain_epoch() {
            self.plain_epoch = memory.plain_epoch();
            self.tlb.forget_writing();
        }
    }

    /// Read through segment register `seg`.
    #[inline(always)]
    pub(crate) fn load<T: Word>(&mut self, memory: &mut Memory, seg: u8, offset: u32) -> Result<T, Stop> {
        let reach = &self.reach[usize::from(seg)];
        if i64::from(offset) + i64::from(T::OCTETS - 1) > reach.read {
            return self.load_closely(memory, seg, offset);
        }
        let linear = reach.base.wrapping_add(offset);
        match self.tlb.find(usize::from(self.cpl == 3) << 1, linear, T::OCTETS) {
            Some(page) => Ok(T::peek(memory, page, linear)),
            None => self.load_slow(memory, linear, self.cpl == 3),
        }
    }

    /// Write through segment register `seg`.
    #[inline(always)]
    pub(crate) fn store<T: Word>(&mut self, memory: &mut Memory, seg: u8, offset: u32, value: T) -> Result<(), Stop> {
        let reach = &self.reach[usize::from(seg)];
        if i64::from(offset) + i64::from(T::OCTETS - 1) > reach.write {
            return self.store_closely(memory, seg, offset, value);
        }
        let linear = reach.base.wrapping_add(offset);
        match self.tlb.find(usize::from(self.cpl == 3) << 1 | 1, linear, T::OCTETS) {
            Some(page) => {
                value.poke(memory, page, linear);
                Ok(())
            }
            None => self.store_slow(memory, linear, value, self.cpl == 3),
        }
    }

    #[cold]
    fn load_closely<T: Word>(&mut self, memory: &mut Memory, seg: u8, offset: u32) -> Result<T, Stop> {
        let linear = self.check_segment(seg, offset, T::OCTETS, false)?;
        self.load_slow(memory, linear, self.cpl == 3)
    }

    #[cold]
    fn store_closely<T: Word>(&mut self, memory: &mut Memory, seg: u8, offset: u32, value: T) -> Result<(), Stop> {
        let linear = self.check_segment(seg, offset, T::OCTETS, true)?;
        self.store_slow(memory, linear, value, self.cpl == 3)
    }

    /// The linear address of an access that the segment allows (SDM 3A, 5.3, 5.4).
    pub(crate) fn check_segment(&mut self, seg: u8, offset: u32, octets: u32, write: bool) -> Result<u32, Stop> {
        let segment = &self.seg[usize::from(seg)];
        let rights = segment.rights;
        let is_code = rights & CODE != 0;
        let allowed = rights & (PRESENT | S) == PRESENT | S
            && if write { !is_code && rights & WRITABLE != 0 } else { !is_code || rights & READABLE != 0 };
        if !allowed || !is_within(segment, offset, octets) {
            return Err(self.fault(if usize::from(seg) == SS { SS_FAULT } else { GP }, 0));
        }
        debug_assert!(is_code || rights & EXPAND_DOWN != 0 || octets > 0);
        Ok(segment.base.wrapping_add(offset))
    }

    /// #AC (SDM 3A, 6.15, interrupt 17): of user accesses, if CR0.AM and EFLAGS.AC are set.
    fn check_alignment(&mut self, linear: u32, alignment: u32, user: bool) -> Result<(), Stop> {
        if user && self.cr0 & CR0_AM != 0 && self.other_flags & AC != 0 && linear & (alignment - 1) != 0 {
            return Err(self.fault(AC_FAULT, 0));
        }
        Ok(())
    }

    /// Could a `T` be written? Its exceptions come even if nothing is written then.
    #[cold]
    pub(crate) fn probe<T: Word>(&mut self, memory: &mut Memory, seg: u8, offset: u32) -> Result<(), Stop> {
        let user = self.cpl == 3;
        let linear = self.check_segment(seg, offset, T::OCTETS, true)?;
        self.check_alignment(linear, T::ALIGNMENT, user)?;
        self.walk(memory, linear, Access::Write, user)?;
        let last = linear.wrapping_add(T::OCTETS - 1);
        if (linear ^ last) & !OFFSET != 0 {
            self.walk(memory, last, Access::Write, user)?;
        }
        Ok(())
    }

    /// Are unaligned accesses of users to be noticed? Then no page may be in the soft TLB.
    pub(crate) fn minds_alignment(&self) -> bool {
        self.cr0 & CR0_AM != 0 && self.other_flags & AC != 0 && self.cpl == 3
    }

    /// Is a watchpoint or a data breakpoint in the page? Then the soft TLB does not keep it.
    fn is_watched(&self, linear: u32) -> bool {
        self.debugger.touches_page(linear) || self.has_breakpoint_in_page(linear)
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn load_slow<T: Word>(&mut self, memory: &mut Memory, linear: u32, user: bool) -> Result<T, Stop> {
        self.check_alignment(linear, T::ALIGNMENT, user)?;
        let first = (PAGE_OCTETS - linear % PAGE_OCTETS).min(T::OCTETS);
        let Mapped { gpa, global } = self.walk(memory, linear, Access::Read, user)?;
        let watched = self.debugger.watches(linear, T::OCTETS, false);
        self.note_access(linear, T::OCTETS, Meets::Read);
        let value = if first == T::OCTETS {
            match memory.page(gpa) {
                Some(page) => {
                    if !self.minds_alignment() && !self.is_watched(linear) {
                        self.tlb.put(usize::from(user) << 1, linear, page, global);
                    }
                    T::peek(memory, page, gpa)
                }
                None => T::of(self.gather(memory, gpa, T::OCTETS)?),
            }
        } else {
            let second = self.walk(memory, linear.wrapping_add(first), Access::Read, user)?.gpa;
            let mut octets = self.gather(memory, gpa, first)?;
            let rest = self.gather(memory, second, T::OCTETS - first)?;
            octets[first as usize..T::OCTETS as usize].copy_from_slice(&rest[..(T::OCTETS - first) as usize]);
            T::of(octets)
        };
        if watched {
            self.debugger.note(Reason::WatchRead, linear);
            self.cut();
        }
        Ok(value)
    }

    /// Octets of one page, be they memory or not.
    fn gather(&mut self, memory: &Memory, gpa: u32, octets: u32) -> Result<[u8; 16], Stop> {
        let mut all = [0; 16];
        let into = &mut all[..octets as usize];
        if memory.page(gpa).is_some() {
            memory.read(gpa.into(), into).unwrap_or_default();
            return Ok(all);
        }
        let mut at = 0;
        while at < octets {
            let part = part_of(gpa.wrapping_add(at), octets - at);
            let done = self.device(|| Asked::MmioRead { gpa: gpa.wrapping_add(at), octets: part })?;
            // An instruction that changed its own address tables before it was executed again may ask otherwise now.
            for (octet, told) in into[at as usize..(at + part) as usize].iter_mut().zip(done) {
                *octet = told;
            }
            at += part;
        }
        Ok(all)
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn store_slow<T: Word>(
        &mut self,
        memory: &mut Memory,
        linear: u32,
        value: T,
        user: bool,
    ) -> Result<(), Stop> {
        self.check_alignment(linear, T::ALIGNMENT, user)?;
        let first = (PAGE_OCTETS - linear % PAGE_OCTETS).min(T::OCTETS);
        let Mapped { gpa, global } = self.walk(memory, linear, Access::Write, user)?;
        let octets = value.octets();
        if first < T::OCTETS {
            let second = self.walk(memory, linear.wrapping_add(first), Access::Write, user)?.gpa;
            self.scatter(memory, gpa, &octets[..first as usize])?;
            self.scatter(memory, second, &octets[first as usize..T::OCTETS as usize])?;
        } else {
            self.scatter(memory, gpa, &octets[..first as usize])?;
            if let Some(page) = memory.plain_page(gpa) {
                if !self.minds_alignment() && !self.is_watched(linear) {
                    self.tlb.put(usize::from(user) << 1 | 1, linear, page, global);
                }
            }
        }
        self.note_access(linear, T::OCTETS, Meets::Write);
        if self.debugger.watches(linear, T::OCTETS, true) {
            self.debugger.note(Reason::WatchWrite, linear);
            self.cut();
        }
        Ok(())
    }

    /// Write octets of one page, be they memory or not.
    pub(crate) fn scatter(&mut self, memory: &mut Memory, gpa: u32, octets: &[u8]) -> Result<(), Stop> {
        match memory.store_octets(gpa, octets) {
            Stored::Data => {}
            Stored::Code => {
                self.code.catch_up(memory);
                self.cut(); // the next instruction may be another one now
            }
            Stored::Not => {
                let mut at = 0;
                while at < octets.len() {
                    let here = gpa.wrapping_add(at as u32);
                    let part = part_of(here, (octets.len() - at) as u32);
                    let mut value = [0; 8];
                    value[..part as usize].copy_from_slice(&octets[at..at + part as usize]);
                    let value = u64::from_le_bytes(value);
                    self.device(|| Asked::MmioWrite { gpa: here, octets: part, value })?;
                    at += part as usize;
                }
            }
        }
        Ok(())
    }

    /// What an access gave that was made, or ask for it.
    pub(crate) fn device(&mut self, asked: impl FnOnce() -> Asked) -> Result<Done, Stop> {
        let Some(done) = self.log.get(self.log_at) else {
            self.asked = Some(asked());
            return Err(Stop::Asked);
        };
        self.log_at += 1;
        Ok(done.clone())
    }

    /// The accesses that were made belong to a step that is done.
    #[inline(always)]
    pub(crate) fn step_done(&mut self) {
        if self.log_at != 0 {
            self.log.clear();
            self.log_at = 0;
        }
    }

    /// Read at a linear address, for the system (SDM 3A, 4.6.1: a supervisor's access) or a user.
    pub(crate) fn load_linear<T: Word>(&mut self, memory: &mut Memory, linear: u32, user: bool) -> Result<T, Stop> {
        match self.tlb.find(usize::from(user) << 1, linear, T::OCTETS) {
            Some(page) => Ok(T::peek(memory, page, linear)),
            None => self.load_slow(memory, linear, user),
        }
    }

    pub(crate) fn store_linear<T: Word>(
        &mut self,
        memory: &mut Memory,
        linear: u32,
        value: T,
        user: bool,
    ) -> Result<(), Stop> {
        match self.tlb.find(usize::from(user) << 1 | 1, linear, T::OCTETS) {
            Some(page) => {
                value.poke(memory, page, linear);
                Ok(())
            }
            None => self.store_slow(memory, linear, value, user),
        }
    }

    pub(crate) fn load_system<T: Word>(&mut self, memory: &mut Memory, linear: u32) -> Result<T, Stop> {
        self.load_linear(memory, linear, false)
    }

    pub(crate) fn store_system<T: Word>(&mut self, memory: &mut Memory, linear: u32, value: T) -> Result<(), Stop> {
        self.store_linear(memory, linear, value, false)
    }

    /// A plain page for a whole block of a string instruction, and how many octets of it follow; direction upwards.
    pub(crate) fn plain_block(&self, linear: u32, write: bool) -> Option<(RamPage, u32)> {
        let page = self.tlb.find(usize::from(self.cpl == 3) << 1 | usize::from(write), linear, 1)?;
        Some((page, PAGE_OCTETS - linear % PAGE_OCTETS))
    }
}

/// The largest access that `octets` octets at `gpa` can begin with: aligned, and a power of two, at most 8; what is not
/// aligned but of one size goes as it is.
fn part_of(gpa: u32, octets: u32) -> u32 {
    match octets {
        1 | 2 | 4 | 8 => octets,
        _ => [8, 4, 2, 1].into_iter().find(|part| *part <= octets && gpa % part == 0).unwrap_or(1),
    }
}
