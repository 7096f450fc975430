//! The soft TLB: what virtual pages are where, in front of every access.
//!
//! Direct-mapped tables for reading, writing and fetching, each with a half for user mode and one for the kernel's, so
//! that a hit needs no look at rights. An entry for writing is only there while its page is *plain* (see
//! `guest-memory`), and no entry is there for a page that a watchpoint touches. A tag is compared with the address
//! whose alignment bits are left in: a misaligned access misses.

use guest_memory::RamPage;

/// Entries of one half of a table.
const HALF: usize = 512;
/// Matches no address: an address under [`aligned`] never has all of these low bits.
const NONE: u32 = 0xfff;

#[derive(Clone, Copy)]
pub(crate) struct Slot<T> {
    tag: u32,
    pub to: T,
}

pub(crate) struct Table<T>([Slot<T>; 2 * HALF]);

/// The bits of `va` that a tag is compared with, for accesses of `octets` octets.
#[inline(always)]
fn aligned(va: u32, octets: u32) -> u32 {
    va & (0xffff_f000 | (octets - 1))
}

impl<T: Copy> Table<T> {
    fn new(nothing: T) -> Self {
        Table([Slot { tag: NONE, to: nothing }; 2 * HALF])
    }

    #[inline(always)]
    fn index(va: u32, mode: u32) -> usize {
        ((va >> 12) as usize & (HALF - 1)) | (mode as usize & 1) * HALF
    }

    #[inline(always)]
    pub(crate) fn find(&self, va: u32, mode: u32, octets: u32) -> Option<T> {
        let slot = &self.0[Self::index(va, mode)];
        if slot.tag == aligned(va, octets) { Some(slot.to) } else { None }
    }

    pub(crate) fn put(&mut self, va: u32, mode: u32, to: T) {
        let slot = &mut self.0[Self::index(va, mode)];
        *slot = Slot { tag: va & 0xffff_f000, to };
    }

    pub(crate) fn forget(&mut self) {
        for slot in self.0.iter_mut() {
            slot.tag = NONE;
        }
    }

    fn forget_page(&mut self, va: u32) {
        for mode in 0..2 {
            let slot = &mut self.0[Self::index(va, mode)];
            if slot.tag == va & 0xffff_f000 {
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

    /// The mapping of `start`…`start | within` has changed.
    pub(crate) fn forget_range(&mut self, start: u32, within: u32) {
        if within > 0x1fff {
            self.forget();
            return;
        }
        for va in [start, start | 0x1000] {
            self.read.forget_page(va);
            self.write.forget_page(va);
            self.fetch.forget_page(va);
        }
    }
}
