//! Paging: from linear addresses to guest-physical ones.
//!
//! Specification: SDM 3A, 4.3 (32-bit paging), 4.4 (PAE), 4.6 (access rights), 4.7 (page faults), 4.8 (accessed and dirty),
//! 4.10 (caches of translations).
//!
//! # Theory of operation
//!
//! [`Cpu::walk`] reads the tables in guest memory, each time; what it finds is kept by the soft TLB. The accessed and
//! dirty bits are set when an access is allowed, not before. With PAE, the four directory pointers are registers,
//! loaded and checked when CR3, CR0.PG or CR4.PAE change.
//!
//! Tables that are not in memory read as ones, as on an empty bus: present, and for the most part with reserved bits set.
//!
//! Limits: physical addresses of 32 bits; in PAE's entries the bits above are reserved, and so are those of PSE-36.

use crate::control_registers::{CR0_PG, CR0_WP, CR4_PAE, CR4_PGE, CR4_PSE, EFER_NXE};
use crate::exit::Stop;
use crate::model;
use crate::state::Cpu;
use crate::vectors::{GP, PF};
use guest_memory::Memory;

/// What an access is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    Fetch,
}

/// Entries' bits.
const P: u64 = 1;
const RW: u64 = 1 << 1;
const US: u64 = 1 << 2;
const A: u64 = 1 << 5;
const D: u64 = 1 << 6;
/// In a directory: the page is a large one. In a table: PAT.
const PS: u64 = 1 << 7;
const G: u64 = 1 << 8;
/// PAT of a large page.
const LARGE_PAT: u64 = 1 << 12;
const XD: u64 = 1 << 63;

/// Error code (SDM 3A, 4.7).
const ERROR_P: u32 = 1;
const ERROR_WRITE: u32 = 1 << 1;
const ERROR_USER: u32 = 1 << 2;
const ERROR_RESERVED: u32 = 1 << 3;
const ERROR_FETCH: u32 = 1 << 4;

/// A translation, as far as the TLB wants to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    pub gpa: u32,
    /// It stays when CR3 is loaded.
    pub global: bool,
}

/// An entry that was used.
#[derive(Clone, Copy)]
struct Entry {
    at: u32,
    value: u64,
}

/// The way through the tables to a page.
struct Path {
    directory: Entry,
    /// None: a large page.
    table: Option<Entry>,
    gpa: u32,
}

/// Why there is none.
enum Missing {
    NotPresent,
    Reserved,
}

impl Cpu {
    #[inline(always)]
    pub(crate) fn is_paging(&self) -> bool {
        self.cr0 & CR0_PG != 0
    }

    #[inline(always)]
    fn a20(&self, gpa: u32) -> u32 {
        if self.a20 { gpa } else { gpa & !(1 << 20) }
    }

    /// Where `linear` is, for an access by the supervisor or (`user`) at level 3. Sets accessed and dirty bits.
    ///
    /// Errors: a page fault, in `self.raised`.
    pub(crate) fn walk(
        &mut self,
        memory: &mut Memory,
        linear: u32,
        access: Access,
        user: bool,
    ) -> Result<Mapped, Stop> {
        if !self.is_paging() {
            return Ok(Mapped { gpa: self.a20(linear), global: false });
        }
        let path = match self.path(memory, linear) {
            Ok(path) => path,
            Err(Missing::NotPresent) => return Err(self.page_fault(linear, access, user, 0)),
            Err(Missing::Reserved) => {
                return Err(self.page_fault(linear, access, user, ERROR_P | ERROR_RESERVED));
            }
        };
        if !self.is_allowed(&path, access, user) {
            return Err(self.page_fault(linear, access, user, ERROR_P));
        }
        let dirty = if access == Access::Write { D } else { 0 };
        match path.table {
            Some(table) => {
                self.mark(memory, path.directory, A);
                self.mark(memory, table, A | dirty);
            }
            None => self.mark(memory, path.directory, A | dirty),
        }
        let last = path.table.unwrap_or(path.directory).value;
        Ok(Mapped { gpa: self.a20(path.gpa), global: last & G != 0 && self.cr4 & CR4_PGE != 0 })
    }

    /// As [`Cpu::walk`], but for somebody who only looks: nothing changes, and there are no faults.
    pub(crate) fn look(&self, memory: &Memory, linear: u32, access: Access, user: bool) -> Option<u32> {
        if !self.is_paging() {
            return Some(self.a20(linear));
        }
        let path = self.path(memory, linear).ok()?;
        self.is_allowed(&path, access, user).then(|| self.a20(path.gpa))
    }

    fn page_fault(&mut self, linear: u32, access: Access, user: bool, mut error: u32) -> Stop {
        match access {
            Access::Read => {}
            Access::Write => error |= ERROR_WRITE,
            Access::Fetch if self.has_xd() => error |= ERROR_FETCH,
            Access::Fetch => {}
        }
        if user {
            error |= ERROR_USER;
        }
        let stop = self.fault(PF, error);
        self.raised.cr2 = linear;
        stop
    }

    fn has_xd(&self) -> bool {
        self.cr4 & CR4_PAE != 0 && self.system.efer & EFER_NXE != 0
    }

    fn is_allowed(&self, path: &Path, access: Access, user: bool) -> bool {
        let last = path.table.unwrap_or(path.directory);
        let rights = path.directory.value & last.value;
        if access == Access::Fetch && self.has_xd() && (path.directory.value | last.value) & XD != 0 {
            return false;
        }
        if user {
            rights & US != 0 && (access != Access::Write || rights & RW != 0)
        } else {
            access != Access::Write || rights & RW != 0 || self.cr0 & CR0_WP == 0
        }
    }

    fn path(&self, memory: &Memory, linear: u32) -> Result<Path, Missing> {
        if self.cr4 & CR4_PAE != 0 { self.path_pae(memory, linear) } else { self.path_32(memory, linear) }
    }

    /// 32-bit paging (SDM 3A, 4.3).
    fn path_32(&self, memory: &Memory, linear: u32) -> Result<Path, Missing> {
        let entry = |at: u32| {
            let at = self.a20(at);
            let value = memory.page(at).map_or(u32::MAX, |page| memory.load_u32(page, at));
            Entry { at, value: value.into() }
        };
        // Older processors have no reserved bits; those of figure 4-4 came with PSE (SDM 3A, 4.7: RSVD).
        let checks = self.cr4 & CR4_PSE != 0;
        let directory = entry(self.cr3 & 0xffff_f000 | linear >> 20 & 0xffc);
        if directory.value & P == 0 {
            return Err(Missing::NotPresent);
        }
        if checks && directory.value & PS != 0 {
            let reserved = 0x003f_e000 | if self.model.has(model::PAT) { 0 } else { LARGE_PAT };
            if directory.value & reserved != 0 {
                return Err(Missing::Reserved);
            }
            let gpa = directory.value as u32 & 0xffc0_0000 | linear & 0x003f_ffff;
            return Ok(Path { directory, table: None, gpa });
        }
        let table = entry(directory.value as u32 & 0xffff_f000 | linear >> 10 & 0xffc);
        if table.value & P == 0 {
            return Err(Missing::NotPresent);
        }
        if checks && table.value & PS != 0 && !self.model.has(model::PAT) {
            return Err(Missing::Reserved);
        }
        let gpa = table.value as u32 & 0xffff_f000 | linear & 0xfff;
        Ok(Path { directory, table: Some(table), gpa })
    }

    /// PAE paging (SDM 3A, 4.4).
    fn path_pae(&self, memory: &Memory, linear: u32) -> Result<Path, Missing> {
        let entry = |at: u32| {
            let at = self.a20(at);
            let value = memory.page(at).map_or(u64::MAX, |page| memory.load_u64(page, at));
            Entry { at, value }
        };
        let above = 0x7fff_ffff_0000_0000 | if self.system.efer & EFER_NXE != 0 { 0 } else { XD };
        let pointer = self.system.pdpte[(linear >> 30) as usize];
        if pointer & P == 0 {
            return Err(Missing::NotPresent);
        }
        let directory = entry(pointer as u32 & 0xffff_f000 | linear >> 18 & 0xff8);
        if directory.value & P == 0 {
            return Err(Missing::NotPresent);
        }
        if directory.value & above != 0 {
            return Err(Missing::Reserved);
        }
        if directory.value & PS != 0 {
            let reserved = 0x001f_e000 | if self.model.has(model::PAT) { 0 } else { LARGE_PAT };
            if directory.value & reserved != 0 {
                return Err(Missing::Reserved);
            }
            let gpa = directory.value as u32 & 0xffe0_0000 | linear & 0x001f_ffff;
            return Ok(Path { directory, table: None, gpa });
        }
        let table = entry(directory.value as u32 & 0xffff_f000 | linear >> 9 & 0xff8);
        if table.value & P == 0 {
            return Err(Missing::NotPresent);
        }
        if table.value & above != 0 || (table.value & PS != 0 && !self.model.has(model::PAT)) {
            return Err(Missing::Reserved);
        }
        let gpa = table.value as u32 & 0xffff_f000 | linear & 0xfff;
        Ok(Path { directory, table: Some(table), gpa })
    }

    /// Set bits of an entry in memory; they are all in its first octet.
    fn mark(&mut self, memory: &mut Memory, entry: Entry, bits: u64) {
        if entry.value & bits != bits {
            // Where memory is read-only or none, the bits are lost. Decoded code that is written over is noticed.
            memory.store(entry.at, 1, (entry.value | bits) & 0xff);
        }
    }

    /// With PAE, load the directory pointers that `cr3` points to. #GP(0), and nothing changes, if one has reserved bits
    /// (SDM 3A, 4.4.1).
    pub(crate) fn load_directory_pointers(&mut self, memory: &Memory, cr3: u32) -> Result<(), Stop> {
        let mut pointers = [0; 4];
        for (number, pointer) in (0..).zip(&mut pointers) {
            let at = self.a20((cr3 & 0xffff_ffe0) + number * 8);
            let value = memory.page(at).map_or(u64::MAX, |page| memory.load_u64(page, at));
            if value & P != 0 && value & 0xffff_ffff_0000_01e6 != 0 {
                return Err(self.fault(GP, 0));
            }
            *pointer = value;
        }
        self.system.pdpte = pointers;
        Ok(())
    }
}
