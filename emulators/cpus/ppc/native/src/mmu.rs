//! Address translation: blocks, segments, pages (PEM chapter 7).
//!
//! A block that fits is used before segments are looked at (§7.1.3). The page table is searched in memory, primary
//! group first (§7.6.1.3); R and C are set in memory by the access that finds them clear. Where the table itself is not
//! in memory, nothing is found.
//!
//! Not supported: direct-store segments (T = 1: DSI and ISI, as on the 750), the guarded and cache bits other than for
//! fetching from guarded pages.

use crate::exception::{DIRECT_STORE, DSI, Exception, Fault, NO_EXECUTE, NO_PTE, PROTECTION, STORE, isi};
use crate::msr;
use crate::{Access, Cpu};
use guest_memory::{Memory, RamPage, Stored};

/// Where an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub gpa: u32,
    /// From the page table, not from a block or a real address.
    pub paged: bool,
    /// Stores may go there without another look: the right is there, and C is set.
    pub written: bool,
    /// Address of a page table entry's second word, if R or C are to be set, and the bits.
    update: Option<(u32, u32)>,
}

const PTE_V: u32 = 1 << 31;
const PTE_H: u32 = 1 << 6;
const PTE_R: u32 = 1 << 8;
const PTE_C: u32 = 1 << 7;
const PTE_G: u32 = 1 << 3;

/// One pair of BAT registers (§7.4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bat {
    pub upper: u32,
    pub lower: u32,
}

impl Bat {
    /// Where `ea` is, and PP.
    fn find(self, ea: u32, user: bool) -> Option<(u32, u32)> {
        let valid = if user { self.upper & 1 } else { self.upper >> 1 & 1 };
        let length = (self.upper & 0x1ffc) << 15;
        if valid == 0 || (ea ^ self.upper) & 0xfffe_0000 & !length != 0 {
            return None;
        }
        Some((self.lower & 0xfffe_0000 & !length | ea & (length | 0x1_ffff), self.lower & 3))
    }
}

impl Cpu {
    /// The exception of an access at `ea` that is not allowed.
    fn denied(&self, ea: u32, access: Access, cause: u32) -> (Exception, Fault) {
        let store = if access == Access::Write { STORE } else { 0 };
        match access {
            Access::Fetch => (isi(if cause == DIRECT_STORE { NO_EXECUTE } else { cause }), self.fault),
            _ => (DSI, Fault { dar: ea, dsisr: cause | store }),
        }
    }

    /// Where `ea` is; nothing is changed.
    pub(crate) fn find_place(&self, memory: &Memory, ea: u32, access: Access) -> Result<Place, (Exception, Fault)> {
        let fetch = access == Access::Fetch;
        let write = access == Access::Write;
        if self.msr & (if fetch { msr::IR } else { msr::DR }) == 0 {
            return Ok(Place { gpa: ea, paged: false, written: true, update: None });
        }
        let user = self.msr & msr::PR != 0;
        let bats = if fetch { &self.ibat } else { &self.dbat };
        if let Some((gpa, pp)) = bats.iter().find_map(|bat| bat.find(ea, user)) {
            if pp == 0 || write && pp != 2 {
                return Err(self.denied(ea, access, PROTECTION));
            }
            return Ok(Place { gpa, paged: false, written: pp == 2, update: None });
        }
        let segment = self.sr[(ea >> 28) as usize];
        if segment >> 31 != 0 {
            return Err(self.denied(ea, access, DIRECT_STORE));
        }
        if fetch && segment >> 28 & 1 != 0 {
            return Err(self.denied(ea, access, NO_EXECUTE));
        }
        let Some(at) = self.find_pte(memory, ea, segment) else {
            return Err(self.denied(ea, access, NO_PTE));
        };
        let pte = word(memory, at + 4).unwrap_or(0);
        if fetch && pte & PTE_G != 0 {
            return Err(self.denied(ea, access, NO_EXECUTE));
        }
        let key = segment >> if user { 29 } else { 30 } & 1;
        let (readable, writable) = match (key, pte & 3) {
            (0, 3) | (1, 1 | 3) => (true, false),
            (1, 0) => (false, false),
            _ => (true, true),
        };
        if !readable || write && !writable {
            return Err(self.denied(ea, access, PROTECTION));
        }
        let wanted = PTE_R | if write { PTE_C } else { 0 };
        Ok(Place {
            gpa: pte & 0xffff_f000 | ea & 0xfff,
            paged: true,
            written: writable && (write || pte & PTE_C != 0),
            update: (pte & wanted != wanted).then_some((at + 4, pte | wanted)),
        })
    }

    /// The address of the page table entry for `ea`.
    fn find_pte(&self, memory: &Memory, ea: u32, segment: u32) -> Option<u32> {
        let vsid = segment & 0x00ff_ffff;
        let page = ea >> 12 & 0xffff;
        let hash = (vsid ^ page) & 0x7_ffff;
        for (secondary, hash) in [(0, hash), (PTE_H, !hash & 0x7_ffff)] {
            let wanted = PTE_V | vsid << 7 | secondary | page >> 10;
            let group = self.sdr1 & 0xffff_0000 | (hash >> 10 & self.sdr1 & 0x1ff) << 16 | (hash & 0x3ff) << 6;
            for at in (group..group + 64).step_by(8) {
                if word(memory, at)? == wanted {
                    return Some(at);
                }
            }
        }
        None
    }

    /// Where `ea` is. R and C are set where they have to be.
    pub(crate) fn place(&mut self, memory: &mut Memory, ea: u32, access: Access) -> Result<Place, Exception> {
        match self.find_place(memory, ea, access) {
            Ok(place) => {
                if let Some((at, pte)) = place.update {
                    if memory.store(at, 4, pte.swap_bytes().into()) == Stored::Code {
                        self.code.catch_up(memory);
                    }
                }
                Ok(place)
            }
            Err((exception, fault)) => {
                self.fault = fault;
                Err(exception)
            }
        }
    }
}

/// A word of memory.
pub(crate) fn word(memory: &Memory, gpa: u32) -> Option<u32> {
    let page: RamPage = memory.page(gpa)?;
    Some(memory.load_u32(page, gpa).swap_bytes())
}
