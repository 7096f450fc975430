//! Decoded code: an array of operations for each physical page that was executed.
//!
//! A place of a page is decoded when it is first reached, together with the rest of its block of 128 octets; the block
//! is marked in guest memory, and a write to it makes its places undecoded again. Pages stay until there are too many:
//! then all are forgotten. An operation holds no address, so a page serves all virtual addresses that it is mapped at.
//!
//! For instruction sets whose instructions all have four octets, aligned.

use guest_memory::{CODE_BLOCK_OCTETS, Change, Changes, Memory, PAGE_OCTETS};
use std::ptr::NonNull;

/// Places in a page.
pub const PLACES: usize = PAGE_OCTETS as usize / 4;
/// Chosen: with operations of 8 octets these hold 8 MiB of guest code, with 16 octets 4 MiB; a Linux kernel with a busy
/// userland has some 3.
const DECODED_OCTETS: usize = 16 << 20;
const NOT_DECODED: u32 = u32::MAX;

/// A decoded instruction.
pub trait Operation: Copy + 'static {
    /// What knows the encodings.
    type Decoder;
    /// A place that is still to be decoded.
    const UNDECODED: Self;

    /// The operation of an instruction; `word` has its first octet as the least significant one.
    fn decode(decoder: &Self::Decoder, word: u32) -> Self;
}

/// A decoded page. Copies of it are good until [`Code::forget`].
pub struct Page<Op>(NonNull<[Op; PLACES]>);

impl<Op> Clone for Page<Op> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Op> Copy for Page<Op> {}

impl<Op: Copy> Page<Op> {
    fn new(undecoded: Op) -> Self {
        Page(NonNull::from(Box::leak(Box::new([undecoded; PLACES]))))
    }

    /// Its first operation, of [`PLACES`].
    #[inline(always)]
    pub fn start(self) -> *const Op {
        self.0.as_ptr().cast()
    }

    /// # Safety
    /// The page has not been forgotten.
    unsafe fn set(self, place: usize, op: Op) {
        // SAFETY: as above.
        unsafe { self.0.as_ptr().cast::<Op>().add(place & (PLACES - 1)).write(op) }
    }
}

/// The decoded pages of a processor.
pub struct Code<Op: Operation> {
    decoder: Op::Decoder,
    /// All alive, each made by `Box::into_raw`. The first one is for instructions that are in no memory.
    pages: Vec<Page<Op>>,
    /// Their guest-physical addresses.
    addresses: Vec<u32>,
    /// Of each physical page its number in `pages`.
    by_number: Vec<u32>,
    journal_at: u64,
}

// SAFETY: the pages belong to this object alone; they go where it goes.
unsafe impl<Op: Operation + Send> Send for Code<Op> where Op::Decoder: Send {}

/// The page for instructions that are in no memory.
pub const SCRATCH: u32 = 0;

impl<Op: Operation> Code<Op> {
    const PAGES_MAX: usize = DECODED_OCTETS / (PLACES * size_of::<Op>());

    pub fn new(decoder: Op::Decoder) -> Self {
        Code {
            decoder,
            pages: vec![Page::new(Op::UNDECODED)],
            addresses: vec![0],
            by_number: vec![NOT_DECODED; 1 << 20],
            journal_at: 0,
        }
    }

    /// The page with the number that [`Code::number_of`] gave.
    #[inline(always)]
    pub fn page(&self, number: u32) -> Page<Op> {
        self.pages[number as usize]
    }

    /// The number of the decoded page at `gpa`, which is memory. None: there is no room, [`Code::forget`] first.
    pub fn number_of(&mut self, gpa: u32) -> Option<u32> {
        let number = &mut self.by_number[(gpa / PAGE_OCTETS) as usize];
        if *number == NOT_DECODED {
            if self.pages.len() == Self::PAGES_MAX {
                return None;
            }
            *number = self.pages.len() as u32;
            self.pages.push(Page::new(Op::UNDECODED));
            self.addresses.push(gpa & !(PAGE_OCTETS - 1));
        }
        Some(*number)
    }

    /// Decode the block that `place` of page `number` is in, from there on.
    pub fn decode(&mut self, memory: &mut Memory, number: u32, place: usize) {
        let gpa = self.addresses[number as usize];
        let Some(ram) = memory.page(gpa) else { return };
        let block = CODE_BLOCK_OCTETS as usize / 4;
        let end = (place / block + 1) * block;
        let page = self.pages[number as usize];
        for at in place..end {
            let op = Op::decode(&self.decoder, memory.load_u32(ram, at as u32 * 4));
            // SAFETY: pages are forgotten only with `&mut self`, and then they leave `pages`.
            unsafe { page.set(at, op) };
        }
        memory.mark_code(gpa + place as u32 * 4, (end - place) as u32 * 4);
    }

    /// Put an instruction that is in no memory into the scratch page.
    pub fn scratch(&mut self, place: usize, word: u32) {
        let op = Op::decode(&self.decoder, word);
        // SAFETY: as above.
        unsafe { self.pages[SCRATCH as usize].set(place, op) };
    }

    /// Make undecoded what was written over. Pages stay.
    pub fn catch_up(&mut self, memory: &Memory) {
        let from = std::mem::replace(&mut self.journal_at, memory.journal_end());
        if from == self.journal_at {
            return;
        }
        match memory.changes(from) {
            Changes::These(changes) => {
                for Change { page, blocks } in changes {
                    self.undecode(page, blocks);
                }
            }
            Changes::Everything => {
                for at in 1..self.addresses.len() {
                    self.undecode(self.addresses[at] / PAGE_OCTETS, u32::MAX);
                }
            }
        }
    }

    fn undecode(&mut self, page: u32, blocks: u32) {
        let number = self.by_number[page as usize];
        if number == NOT_DECODED {
            return;
        }
        let page = self.pages[number as usize];
        let places = CODE_BLOCK_OCTETS as usize / 4;
        for place in (0..PLACES).filter(|place| blocks >> (place / places) & 1 != 0) {
            // SAFETY: as above.
            unsafe { page.set(place, Op::UNDECODED) };
        }
    }

    /// Forget everything. Nobody may use a [`Page`] from before.
    pub fn forget(&mut self, memory: &Memory) {
        self.by_number.fill(NOT_DECODED);
        self.addresses.truncate(1);
        for page in self.pages.drain(1..) {
            // SAFETY: made by `Page::new`; it is in `pages` once, and leaves it here.
            drop(unsafe { Box::from_raw(page.0.as_ptr()) });
        }
        self.journal_at = memory.journal_end();
    }
}

impl<Op: Operation> Drop for Code<Op> {
    fn drop(&mut self) {
        for page in self.pages.drain(..) {
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(page.0.as_ptr()) });
        }
    }
}
