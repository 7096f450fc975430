//! A guest's memory, shared by the engines of all instruction sets.
//!
//! Purpose: slots of RAM and ROM in a guest-physical space of 32 bits; which pages were written (for incremental
//! snapshots); which octets an engine has decoded, so that whoever writes them, the guest or a device, is noticed.
//!
//! # Theory of operation
//!
//! Pages are 4 KiB. An engine keeps [`RamPage`]s in its soft TLB and reads through them without further checks.
//! For writing it keeps only **plain** pages ([`Memory::plain_page`]): writable, already dirty, without decoded code.
//! All others are written with [`Memory::store`], which keeps the books.
//!
//! An engine that decodes instructions calls [`Memory::mark_code`]: the marks are masks of 128 octets a page. A write
//! to marked octets clears their marks and enters page and mask in the **journal**; each engine reads the journal from
//! its own position ([`Memory::changes`]) and forgets what it decoded there. The journal is bounded: who is too late
//! forgets everything.
//!
//! Plain pages cease to be plain when code is marked in them or dirty bits are cleared: then [`Memory::plain_epoch`]
//! changes, and engines drop their entries for writing.
//!
//! A slot may be removed, and parts of slots become read-only and writable again: a machine does so between runs, when a
//! chipset's register or a card's base address changes. Then [`Memory::mapping_epoch`] changes, and engines drop every
//! entry; decoded code of removed memory is in the journal.
//!
//! Limits: 4 GiB; slots are multiples of 4 KiB. Not supported: larger physical addresses, one memory at two addresses.

mod region;

use region::Region;
pub use region::{PAGE_OCTETS, RamPage};
use std::collections::VecDeque;
use std::io;

/// Octets that one bit of a page's code mask stands for.
pub const CODE_BLOCK_OCTETS: u32 = 128;
/// Chosen: more writes to code than this between two looks make an engine start anew, which costs it milliseconds.
const JOURNAL_ENTRIES: usize = 4096;

const RAM: u8 = 1;
const READONLY: u8 = 2;
const DIRTY: u8 = 4;

/// A range of guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub gpa: u32,
    pub octets: u64,
    pub readonly: bool,
}

/// What was asked of memory cannot be.
#[derive(Debug)]
pub enum Error {
    /// A slot that is not whole pages, leaves the space, or overlaps another.
    Slot(String),
    /// No slot starts there.
    NoSlot { gpa: u64 },
    /// Octets that are not all in memory.
    Outside { gpa: u64, octets: u64 },
    /// The host has no memory.
    Os(io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Slot(text) => f.write_str(text),
            Error::NoSlot { gpa } => write!(f, "no memory was added at {gpa:#x}"),
            Error::Outside { gpa, octets } => write!(f, "{octets} octets at {gpa:#x} are not all guest memory"),
            Error::Os(error) => write!(f, "no room for guest memory: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// Octets of a page that an engine has decoded and that were written since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub page: u32,
    /// Bit n: octets 128 n … 128 n + 127.
    pub blocks: u32,
}

/// The answer of [`Memory::changes`].
#[derive(Debug, PartialEq, Eq)]
pub enum Changes {
    These(Vec<Change>),
    /// Too many to remember: all decoded code may be wrong.
    Everything,
}

/// Where a store went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Into memory.
    Data,
    /// Into memory, over decoded code: look at the journal before executing on.
    Code,
    /// Nowhere: there is no memory, or it is read-only.
    Not,
}

/// Guest memory.
pub struct Memory {
    region: Region,
    /// As they were added, by address. What of them is read-only at present is in `flags`.
    added: Vec<Slot>,
    flags: Vec<u8>,
    code: Vec<u32>,
    dirty_pages: usize,
    journal: VecDeque<Change>,
    /// Entries ever made.
    journal_end: u64,
    plain_epoch: u64,
    mapping_epoch: u64,
}

const PAGES: usize = 1 << 20;

#[inline(always)]
fn page_number(gpa: u32) -> usize {
    (gpa / PAGE_OCTETS) as usize
}

macro_rules! accessors {
    ($($load:ident, $store:ident, $type:ty;)*) => {$(
        /// The value at `offset` in `page`: the offset's bits above the page and below the alignment are not looked at.
        #[inline(always)]
        pub fn $load(&self, page: RamPage, offset: u32) -> $type {
            self.region.$load(page, offset)
        }

        /// Store into a page that [`Memory::plain_page`] gave; no books are kept.
        #[inline(always)]
        pub fn $store(&mut self, page: RamPage, offset: u32, value: $type) {
            self.region.$store(page, offset, value);
        }
    )*};
}

impl Memory {
    /// A space without memory.
    pub fn new() -> Result<Self, Error> {
        Ok(Memory {
            region: Region::new().map_err(Error::Os)?,
            added: Vec::new(),
            flags: vec![0; PAGES],
            code: vec![0; PAGES],
            dirty_pages: 0,
            journal: VecDeque::new(),
            journal_end: 0,
            plain_epoch: 0,
            mapping_epoch: 0,
        })
    }

    /// Add memory, filled with zeros. The guest cannot write `readonly` memory; [`Memory::write`] can.
    pub fn add(&mut self, gpa: u64, octets: u64, readonly: bool) -> Result<(), Error> {
        let page = u64::from(PAGE_OCTETS);
        if octets == 0 || gpa % page != 0 || octets % page != 0 {
            return Err(Error::Slot(format!(
                "memory at {gpa:#x}, {octets:#x} octets: whole pages of 4 KiB are expected"
            )));
        }
        if gpa.checked_add(octets).is_none_or(|end| end > 1 << 32) {
            return Err(Error::Slot(format!("memory at {gpa:#x}, {octets:#x} octets: does not end within 4 GiB")));
        }
        if let Some(slot) =
            self.added.iter().find(|slot| gpa < u64::from(slot.gpa) + slot.octets && u64::from(slot.gpa) < gpa + octets)
        {
            let there = slot.gpa;
            return Err(Error::Slot(format!("memory at {gpa:#x}, {octets:#x} octets: overlaps that at {there:#x}")));
        }
        let gpa = gpa as u32; // checked above
        self.region.open(gpa, octets as usize).map_err(Error::Os)?;
        let first = page_number(gpa);
        self.flags[first..first + (octets / page) as usize].fill(RAM | if readonly { READONLY } else { 0 });
        self.added.push(Slot { gpa, octets, readonly });
        self.added.sort_by_key(|slot| slot.gpa);
        self.remapped();
        Ok(())
    }

    /// Take away the memory that was added at `gpa`, all of it. Its octets are lost.
    pub fn remove(&mut self, gpa: u64) -> Result<Slot, Error> {
        let at = self.added.iter().position(|slot| u64::from(slot.gpa) == gpa).ok_or(Error::NoSlot { gpa })?;
        let slot = self.added[at];
        self.region.close(slot.gpa, slot.octets as usize).map_err(Error::Os)?;
        self.added.remove(at);
        for number in pages_of(slot.gpa, slot.octets) {
            if self.flags[number] & DIRTY != 0 {
                self.dirty_pages -= 1;
            }
            self.flags[number] = 0;
            if self.code[number] != 0 {
                self.enter(number, self.code[number]);
            }
        }
        self.remapped();
        Ok(slot)
    }

    /// Make whole pages of memory read-only for the guest, or writable. Their octets stay.
    pub fn set_readonly(&mut self, gpa: u64, octets: u64, readonly: bool) -> Result<(), Error> {
        let page = u64::from(PAGE_OCTETS);
        if octets == 0 || gpa % page != 0 || octets % page != 0 {
            return Err(Error::Slot(format!(
                "rights of {octets:#x} octets at {gpa:#x}: whole pages of 4 KiB are expected"
            )));
        }
        self.check(gpa, usize::try_from(octets).map_err(|_| Error::Outside { gpa, octets })?)?;
        for number in pages_of(gpa as u32, octets) {
            self.flags[number] = self.flags[number] & !READONLY | if readonly { READONLY } else { 0 };
        }
        self.remapped();
        Ok(())
    }

    /// The slots, by address; one whose pages differ in rights is told as several.
    pub fn slots(&self) -> Vec<Slot> {
        let mut slots: Vec<Slot> = Vec::with_capacity(self.added.len());
        for added in &self.added {
            for number in pages_of(added.gpa, added.octets) {
                let (gpa, readonly) = ((number as u32) << 12, self.flags[number] & READONLY != 0);
                match slots.last_mut() {
                    Some(slot) if gpa != added.gpa && slot.readonly == readonly => {
                        slot.octets += u64::from(PAGE_OCTETS)
                    }
                    _ => slots.push(Slot { gpa, octets: PAGE_OCTETS.into(), readonly }),
                }
            }
        }
        slots
    }

    /// Octets of memory, all in all.
    pub fn octets(&self) -> u64 {
        self.added.iter().map(|slot| slot.octets).sum()
    }

    /// Changes whenever an address may have become memory, or ceased to be, or its rights changed. Not while a
    /// processor runs.
    #[inline]
    pub fn mapping_epoch(&self) -> u64 {
        self.mapping_epoch
    }

    fn remapped(&mut self) {
        self.mapping_epoch += 1;
        self.plain_epoch += 1;
    }

    /// The page at `gpa`, if it is memory: for reading and fetching.
    #[inline]
    pub fn page(&self, gpa: u32) -> Option<RamPage> {
        (self.flags[page_number(gpa)] & RAM != 0).then(|| RamPage::new(gpa))
    }

    /// The page at `gpa`, if stores into it need no books. Stays so until [`Memory::plain_epoch`] changes.
    #[inline]
    pub fn plain_page(&self, gpa: u32) -> Option<RamPage> {
        let number = page_number(gpa);
        (self.flags[number] == RAM | DIRTY && self.code[number] == 0).then(|| RamPage::new(gpa))
    }

    /// Changes whenever a plain page may have ceased to be one.
    #[inline]
    pub fn plain_epoch(&self) -> u64 {
        self.plain_epoch
    }

    accessors! {
        load_u8, store_u8, u8;
        load_u16, store_u16, u16;
        load_u32, store_u32, u32;
        load_u64, store_u64, u64;
    }

    /// `N` octets from `offset` on, without alignment. They must not leave the page: then they are its last ones.
    #[inline(always)]
    pub fn peek<const N: usize>(&self, page: RamPage, offset: u32) -> [u8; N] {
        self.region.peek(page, offset)
    }

    /// Store likewise into a page that [`Memory::plain_page`] gave; no books are kept.
    #[inline(always)]
    pub fn poke<const N: usize>(&mut self, page: RamPage, offset: u32, octets: [u8; N]) {
        self.region.poke(page, offset, octets);
    }

    /// A guest's store of octets that do not leave their page, with all books kept.
    pub fn store_octets(&mut self, gpa: u32, from: &[u8]) -> Stored {
        let number = page_number(gpa);
        if self.flags[number] & (RAM | READONLY) != RAM {
            return Stored::Not;
        }
        let offset = gpa % PAGE_OCTETS;
        self.region.copy_in(RamPage::new(gpa), offset, from);
        if self.written(number, offset, from.len() as u32) { Stored::Code } else { Stored::Data }
    }

    /// A guest's store of 1, 2, 4 or 8 octets, aligned, with all books kept.
    pub fn store(&mut self, gpa: u32, octets: u32, value: u64) -> Stored {
        let number = page_number(gpa);
        if self.flags[number] & (RAM | READONLY) != RAM {
            return Stored::Not;
        }
        let page = RamPage::new(gpa);
        match octets {
            1 => self.region.store_u8(page, gpa, value as u8),
            2 => self.region.store_u16(page, gpa, value as u16),
            4 => self.region.store_u32(page, gpa, value as u32),
            _ => self.region.store_u64(page, gpa, value),
        }
        if self.written(number, gpa % PAGE_OCTETS, octets) { Stored::Code } else { Stored::Data }
    }

    /// Keep the books for octets of a page that were written. Were some decoded?
    #[inline]
    fn written(&mut self, number: usize, offset: u32, octets: u32) -> bool {
        if self.flags[number] & DIRTY == 0 {
            self.flags[number] |= DIRTY;
            self.dirty_pages += 1;
        }
        if self.code[number] == 0 {
            return false;
        }
        let blocks = self.code[number] & blocks(offset, octets);
        if blocks == 0 {
            return false;
        }
        self.enter(number, blocks);
        true
    }

    /// Decoded octets are no more: tell the engines.
    fn enter(&mut self, number: usize, blocks: u32) {
        self.code[number] &= !blocks;
        if self.journal.len() == JOURNAL_ENTRIES {
            self.journal.pop_front();
        }
        self.journal.push_back(Change { page: number as u32, blocks });
        self.journal_end += 1;
    }

    /// Octets of the host's choice.
    pub fn read(&self, gpa: u64, into: &mut [u8]) -> Result<(), Error> {
        self.check(gpa, into.len())?;
        let mut at = gpa as u32; // checked above
        let mut rest = into;
        while !rest.is_empty() {
            let offset = at % PAGE_OCTETS;
            let (part, tail) = rest.split_at_mut(rest.len().min((PAGE_OCTETS - offset) as usize));
            self.region.copy_out(RamPage::new(at), offset, part);
            at = at.wrapping_add(part.len() as u32);
            rest = tail;
        }
        Ok(())
    }

    /// Write octets, all or none, also into read-only memory: a loader's or a device's write.
    pub fn write(&mut self, gpa: u64, from: &[u8]) -> Result<(), Error> {
        self.check(gpa, from.len())?;
        let mut at = gpa as u32; // checked above
        let mut rest = from;
        while !rest.is_empty() {
            let offset = at % PAGE_OCTETS;
            let (part, tail) = rest.split_at(rest.len().min((PAGE_OCTETS - offset) as usize));
            self.region.copy_in(RamPage::new(at), offset, part);
            self.written(page_number(at), offset, part.len() as u32);
            at = at.wrapping_add(part.len() as u32);
            rest = tail;
        }
        Ok(())
    }

    fn check(&self, gpa: u64, octets: usize) -> Result<(), Error> {
        let outside = || Error::Outside { gpa, octets: octets as u64 };
        let end = gpa.checked_add(octets as u64).filter(|&end| end <= 1 << 32).ok_or_else(outside)?;
        let mut at = gpa;
        while at < end {
            let slot = self.added.iter().rfind(|slot| u64::from(slot.gpa) <= at).ok_or_else(outside)?;
            let slot_end = u64::from(slot.gpa) + slot.octets;
            if slot_end <= at {
                return Err(outside());
            }
            at = slot_end;
        }
        Ok(())
    }

    /// Numbers of the pages that were written since the last clearing.
    pub fn dirty(&mut self, clear: bool) -> Vec<u32> {
        let mut pages = Vec::with_capacity(self.dirty_pages);
        for slot in &self.added {
            let first = page_number(slot.gpa);
            for (number, flags) in (first..).zip(&mut self.flags[first..first + (slot.octets as usize >> 12)]) {
                if *flags & DIRTY != 0 {
                    pages.push(number as u32);
                    if clear {
                        *flags &= !DIRTY;
                    }
                }
            }
        }
        if clear && !pages.is_empty() {
            self.dirty_pages = 0;
            self.plain_epoch += 1;
        }
        pages
    }

    /// An engine has decoded `octets` octets at `gpa`, which are in one page of memory: tell it of writes to them.
    pub fn mark_code(&mut self, gpa: u32, octets: u32) {
        let code = &mut self.code[page_number(gpa)];
        if *code == 0 {
            self.plain_epoch += 1;
        }
        *code |= blocks(gpa % PAGE_OCTETS, octets);
    }

    /// Where the journal ends: an engine that has decoded nothing begins here.
    #[inline]
    pub fn journal_end(&self) -> u64 {
        self.journal_end
    }

    /// What was written over decoded code since `position`. The next position is [`Memory::journal_end`].
    pub fn changes(&self, position: u64) -> Changes {
        match usize::try_from(self.journal_end - position) {
            Ok(late) if late <= self.journal.len() => {
                Changes::These(self.journal.iter().skip(self.journal.len() - late).copied().collect())
            }
            _ => Changes::Everything,
        }
    }
}

/// The numbers of the pages of a range that was checked.
fn pages_of(gpa: u32, octets: u64) -> std::ops::Range<usize> {
    let first = page_number(gpa);
    first..first + (octets / u64::from(PAGE_OCTETS)) as usize
}

/// The mask of the blocks that `octets` octets from `offset` on touch.
fn blocks(offset: u32, octets: u32) -> u32 {
    let first = offset / CODE_BLOCK_OCTETS;
    let last = (offset + octets.max(1) - 1).min(PAGE_OCTETS - 1) / CODE_BLOCK_OCTETS;
    (u32::MAX << first) & (u32::MAX >> (31 - last))
}

#[cfg(test)]
mod tests;
