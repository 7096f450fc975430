//! The soft TLB: what effective pages are where, in front of every access.
//!
//! Direct-mapped tables for reading, writing and fetching, each with a part for the supervisor's and the user's
//! translated addresses and one for real addresses, so that a hit needs no look at MSR or rights. An entry for writing
//! is only there while its page is *plain* (see `guest-memory`) and its PTE's C bit set, and none is there for a page
//! that a watchpoint touches. A tag is compared with the address whose alignment bits are left in: what is not aligned
//! misses.
//!
//! Entries that come from the page table are remembered, so that they alone are forgotten when a segment register
//! changes: an operating system writes a dozen of them in a row, while its kernel lies in BATs.

use guest_memory::RamPage;

/// Entries of one part of a table.
const PART: usize = 512;
const PLACES: usize = 4 * PART;
/// Chosen: more entries from the page table than this are not looked at one by one.
const PAGED_MAX: usize = 512;
/// Matches no address: an address under [`aligned`] never has all of these low bits.
const NONE: u32 = 0xfff;

/// The parts of a table.
pub(crate) const SUPERVISOR: u32 = 0;
pub(crate) const USER: u32 = 1;
pub(crate) const REAL: u32 = 2;

#[derive(Clone, Copy)]
struct Slot<T> {
    tag: u32,
    to: T,
}

pub(crate) struct Table<T> {
    slots: [Slot<T>; PLACES],
    /// Places of entries that come from the page table.
    paged: Vec<u16>,
}

/// The bits of `ea` that a tag is compared with, for accesses of `octets` octets.
#[inline(always)]
fn aligned(ea: u32, octets: u32) -> u32 {
    ea & (0xffff_f000 | (octets - 1))
}

impl<T: Copy> Table<T> {
    fn new(nothing: T) -> Self {
        Table { slots: [Slot { tag: NONE, to: nothing }; PLACES], paged: Vec::new() }
    }

    #[inline(always)]
    fn index(ea: u32, part: u32) -> usize {
        ((ea >> 12) as usize & (PART - 1)) | (part as usize & 3) * PART
    }

    #[inline(always)]
    pub(crate) fn find(&self, ea: u32, part: u32, octets: u32) -> Option<T> {
        let slot = &self.slots[Self::index(ea, part)];
        if slot.tag == aligned(ea, octets) { Some(slot.to) } else { None }
    }

    pub(crate) fn put(&mut self, ea: u32, part: u32, to: T, paged: bool) {
        let index = Self::index(ea, part);
        self.slots[index] = Slot { tag: ea & 0xffff_f000, to };
        if paged {
            if self.paged.len() == PAGED_MAX {
                self.forget();
                self.slots[index] = Slot { tag: ea & 0xffff_f000, to };
            }
            self.paged.push(index as u16);
        }
    }

    pub(crate) fn forget(&mut self) {
        for slot in self.slots.iter_mut() {
            slot.tag = NONE;
        }
        self.paged.clear();
    }

    fn forget_paged(&mut self) {
        for index in self.paged.drain(..) {
            self.slots[usize::from(index) % PLACES].tag = NONE;
        }
    }

    /// In all segments.
    fn forget_page(&mut self, ea: u32) {
        for part in [SUPERVISOR, USER] {
            let slot = &mut self.slots[Self::index(ea, part)];
            if (slot.tag ^ ea) & 0x0fff_f000 == 0 {
                slot.tag = NONE;
            }
        }
    }
}

pub(crate) struct SoftTlb {
    pub read: Table<RamPage>,
    pub write: Table<RamPage>,
    /// To decoded pages.
    pub fetch: Table<u32>,
}

impl SoftTlb {
    pub(crate) fn new() -> Self {
        SoftTlb { read: Table::new(RamPage::FILLER), write: Table::new(RamPage::FILLER), fetch: Table::new(0) }
    }

    /// Mappings have changed altogether.
    pub(crate) fn forget(&mut self) {
        self.read.forget();
        self.write.forget();
        self.fetch.forget();
    }

    /// Segments have changed.
    pub(crate) fn forget_paged(&mut self) {
        self.read.forget_paged();
        self.write.forget_paged();
        self.fetch.forget_paged();
    }

    /// tlbie: the page table's entry for an effective address has changed, whatever its segment.
    pub(crate) fn forget_page(&mut self, ea: u32) {
        self.read.forget_page(ea);
        self.write.forget_page(ea);
        self.fetch.forget_page(ea);
    }
}
