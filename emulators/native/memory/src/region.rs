//! The reserved address space in which a guest's memory lives: the one place with pointers to guest RAM.
//!
//! 4 GiB of address space, plus a guard page at each end, are reserved without access rights; a slot of guest memory is
//! made accessible where its guest-physical address says. So a guest-physical address of 32 bits *is* the offset, and
//! an access of up to a page at any such offset stays inside the reservation, whatever the caller got wrong: the worst
//! is a fault in the guard, never an access to the host's own memory. Every access still requires a [`RamPage`], which
//! only [`crate::Memory`] hands out, for pages that are guest memory.
//!
//! Limits: guest-physical addresses of 32 bits. Octets are little-endian (`*_be` where a guest is not).

use std::io;
use std::ptr::NonNull;

/// Octets in a page; dirty bits, marks of code and rights are kept by pages.
pub const PAGE_OCTETS: u32 = 4096;
const PAGE: usize = PAGE_OCTETS as usize;
const SPACE: usize = 1 << 32;
const RESERVED: usize = SPACE + 2 * PAGE;

/// A page of guest memory: accesses through it need no further check, since an offset cannot leave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RamPage(u32);

impl RamPage {
    /// Fills places of a table that are never used. An access may end the process, and harms nothing else.
    pub const FILLER: RamPage = RamPage(0);

    /// The page at `gpa`; the caller has found that it is guest memory.
    pub(crate) fn new(gpa: u32) -> Self {
        RamPage(gpa & !(PAGE_OCTETS - 1))
    }

    /// Its guest-physical address.
    #[inline(always)]
    pub fn gpa(self) -> u32 {
        self.0
    }
}

/// The reservation.
pub(crate) struct Region {
    /// Of guest-physical address 0, one guard page behind the reservation's start.
    base: NonNull<u8>,
}

// SAFETY: the region is owned memory that nothing else points to; it goes where its owner goes.
unsafe impl Send for Region {}

macro_rules! accessors {
    ($load:ident, $store:ident, $type:ty, $octets:literal) => {
        /// The value at `offset` (its bits above the page, and those below the alignment, are not looked at).
        #[inline(always)]
        pub(crate) fn $load(&self, page: RamPage, offset: u32) -> $type {
            let offset = offset & (PAGE_OCTETS - $octets);
            // SAFETY: `page` is accessible memory of this region or, were it of another one, inside this reservation;
            // the masked offset is aligned, and its last octet is in the same page.
            unsafe { self.at(page.0 + offset).cast::<$type>().read() }.to_le()
        }

        /// Put `value` at `offset` (as above).
        #[inline(always)]
        pub(crate) fn $store(&mut self, page: RamPage, offset: u32, value: $type) {
            let offset = offset & (PAGE_OCTETS - $octets);
            // SAFETY: as for loading; `&mut self` makes this the only access.
            unsafe { self.at(page.0 + offset).cast::<$type>().write(value.to_le()) }
        }
    };
}

impl Region {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: a new private mapping at an address that the system chooses; no memory is affected.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                RESERVED,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping is longer than a page.
        let base = unsafe { start.cast::<u8>().add(PAGE) };
        Ok(Region { base: NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)? })
    }

    /// Make `octets` octets at `gpa` accessible; they are zero. Both are multiples of the page, inside 32 bits.
    pub(crate) fn open(&mut self, gpa: u32, octets: usize) -> io::Result<()> {
        assert!(gpa % PAGE_OCTETS == 0 && octets % PAGE == 0 && gpa as usize + octets <= SPACE);
        // SAFETY: the range lies inside our own reservation, by the assertion.
        let done = unsafe { libc::mprotect(self.at(gpa).cast(), octets, libc::PROT_READ | libc::PROT_WRITE) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The opposite of [`Region::open`]: the octets are lost.
    pub(crate) fn close(&mut self, gpa: u32, octets: usize) -> io::Result<()> {
        assert!(gpa % PAGE_OCTETS == 0 && octets % PAGE == 0 && gpa as usize + octets <= SPACE);
        // SAFETY: a fresh mapping in place of a part of our own reservation, by the assertion; nobody else points there.
        let mapped = unsafe {
            libc::mmap(
                self.at(gpa).cast(),
                octets,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED,
                -1,
                0,
            )
        };
        if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    #[inline(always)]
    fn at(&self, gpa: u32) -> *mut u8 {
        // SAFETY: every offset of 32 bits lies inside the reservation of 4 GiB behind `base`.
        unsafe { self.base.as_ptr().add(gpa as usize) }
    }

    accessors!(load_u8, store_u8, u8, 1);
    accessors!(load_u16, store_u16, u16, 2);
    accessors!(load_u32, store_u32, u32, 4);
    accessors!(load_u64, store_u64, u64, 8);

    /// `N` octets at `offset`, wherever they begin; at the page's end, its last ones.
    #[inline(always)]
    pub(crate) fn peek<const N: usize>(&self, page: RamPage, offset: u32) -> [u8; N] {
        let offset = (offset & (PAGE_OCTETS - 1)).min(PAGE_OCTETS - N as u32);
        // SAFETY: `page` is accessible memory of this region or, were it of another one, inside this reservation; all N
        // octets are in the page, and octets have no alignment.
        unsafe { self.at(page.0 + offset).cast::<[u8; N]>().read() }
    }

    /// Put octets at `offset` (as above).
    #[inline(always)]
    pub(crate) fn poke<const N: usize>(&mut self, page: RamPage, offset: u32, octets: [u8; N]) {
        let offset = (offset & (PAGE_OCTETS - 1)).min(PAGE_OCTETS - N as u32);
        // SAFETY: as for `peek`; `&mut self` makes this the only access.
        unsafe { self.at(page.0 + offset).cast::<[u8; N]>().write(octets) }
    }

    /// Copy out of one page. Panics where the range leaves it.
    pub(crate) fn copy_out(&self, page: RamPage, offset: u32, into: &mut [u8]) {
        assert!(offset as usize + into.len() <= PAGE);
        // SAFETY: the range lies inside the accessible page, by the assertion; `into` is Rust's, so it does not overlap.
        unsafe { std::ptr::copy_nonoverlapping(self.at(page.0 + offset), into.as_mut_ptr(), into.len()) }
    }

    /// Copy into one page. Panics where the range leaves it.
    pub(crate) fn copy_in(&mut self, page: RamPage, offset: u32, from: &[u8]) {
        assert!(offset as usize + from.len() <= PAGE);
        // SAFETY: as above.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), self.at(page.0 + offset), from.len()) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the start and length of the mapping that `new` made; nobody uses it afterwards.
        unsafe { libc::munmap(self.base.as_ptr().sub(PAGE).cast(), RESERVED) };
    }
}
