//! The **soft TLB**: one table for each of supervisor and user, reading and writing, and executing. An entry says that the
//! access is allowed and plain (SDM 3A, 4.10).

use guest_memory::{PAGE_OCTETS, RamPage};

pub(crate) const OFFSET: u32 = PAGE_OCTETS - 1;
/// Entries of each table. Chosen: 1 MiB of a guest's pages.
const ENTRIES: usize = 256;
/// No page's address.
const NO_PAGE: u32 = 1;

#[derive(Clone, Copy)]
struct Entry {
    /// The page's linear address, or `NO_PAGE`.
    tag: u32,
    page: RamPage,
}

/// Pages that may be read or written without a closer look.
pub(crate) struct SoftTlb {
    /// By 2 · user + write.
    tables: Box<[[Entry; ENTRIES]; 4]>,
    /// Pages that may be executed, by user: their linear and physical addresses.
    fetch: Box<[[(u32, u32); ENTRIES]; 2]>,
    /// A bit for each entry of `tables`, then of `fetch`: the page is a global one.
    global: [[u64; ENTRIES / 64]; 6],
}

/// Where the tables of pages that may be executed are in `SoftTlb::global`.
const FETCH: usize = 4;

impl SoftTlb {
    pub(crate) fn new() -> Self {
        let nothing = Entry { tag: NO_PAGE, page: RamPage::FILLER };
        SoftTlb {
            tables: Box::new([[nothing; ENTRIES]; 4]),
            fetch: Box::new([[(NO_PAGE, 0); ENTRIES]; 2]),
            global: [[0; ENTRIES / 64]; 6],
        }
    }

    /// The page of `octets` octets at `linear`, if all are in one that is known.
    #[inline(always)]
    pub(crate) fn find(&self, table: usize, linear: u32, octets: u32) -> Option<RamPage> {
        let entry = &self.tables[table & 3][(linear / PAGE_OCTETS) as usize % ENTRIES];
        // What crosses the page's end has another page's address there.
        (entry.tag == linear.wrapping_add(octets - 1) & !OFFSET).then_some(entry.page)
    }

    pub(crate) fn put(&mut self, table: usize, linear: u32, page: RamPage, global: bool) {
        let at = (linear / PAGE_OCTETS) as usize % ENTRIES;
        self.tables[table & 3][at] = Entry { tag: linear & !OFFSET, page };
        self.mark(table & 3, at, global);
    }

    pub(crate) fn mark(&mut self, table: usize, at: usize, global: bool) {
        let word = &mut self.global[table][at / 64];
        *word = *word & !(1 << (at % 64)) | u64::from(global) << (at % 64);
    }

    pub(crate) fn forget(&mut self) {
        for table in self.tables.iter_mut() {
            table.iter_mut().for_each(|entry| entry.tag = NO_PAGE);
        }
        for table in self.fetch.iter_mut() {
            table.iter_mut().for_each(|entry| entry.0 = NO_PAGE);
        }
    }

    /// All but global pages: CR3 was loaded.
    pub(crate) fn forget_local(&mut self) {
        let SoftTlb { tables, fetch, global } = self;
        let is_global = |table: usize, at: usize| global[table][at / 64] >> (at % 64) & 1 != 0;
        for (number, table) in tables.iter_mut().enumerate() {
            for (at, entry) in table.iter_mut().enumerate() {
                entry.tag = if is_global(number, at) { entry.tag } else { NO_PAGE };
            }
        }
        for (number, table) in fetch.iter_mut().enumerate() {
            for (at, entry) in table.iter_mut().enumerate() {
                entry.0 = if is_global(FETCH + number, at) { entry.0 } else { NO_PAGE };
            }
        }
    }

    /// The physical address of what is executed at `linear`.
    #[inline(always)]
    pub(crate) fn find_code(&self, user: bool, linear: u32) -> Option<u32> {
        let (tag, gpa) = self.fetch[usize::from(user)][(linear / PAGE_OCTETS) as usize % ENTRIES];
        (tag == linear & !OFFSET).then_some(gpa | linear & OFFSET)
    }

    pub(crate) fn put_code(&mut self, user: bool, linear: u32, gpa: u32, global: bool) {
        let at = (linear / PAGE_OCTETS) as usize % ENTRIES;
        self.fetch[usize::from(user)][at] = (linear & !OFFSET, gpa & !OFFSET);
        self.mark(FETCH + usize::from(user), at, global);
    }

    /// The tables for writing alone.
    pub(crate) fn forget_writing(&mut self) {
        for table in [1, 3] {
            self.tables[table].iter_mut().for_each(|entry| entry.tag = NO_PAGE);
        }
    }

    pub(crate) fn forget_page(&mut self, linear: u32) {
        let at = (linear / PAGE_OCTETS) as usize % ENTRIES;
        self.tables.iter_mut().for_each(|table| table[at].tag = NO_PAGE);
        self.fetch.iter_mut().for_each(|table| table[at].0 = NO_PAGE);
    }
}
