//! The TLB and the segments: MD00090 chapters 4 and 9.
//!
//! An entry maps two adjacent pages of a size of its own. Not supported: pages of 1 KiB (Config3.SP is 0), machine
//! checks for entries that match together (the lowest one wins).

use super::Cpu;
use super::cp0::{DEBUG_DM, STATUS_ERL, STATUS_EXL, STATUS_UM};
use super::exception::{ADEL, ADES, Exception, MOD, REFILL, TLBL, TLBS};

/// What an access is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    Fetch,
}

/// An entry, as TLBWI wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// EntryHi: VPN2 and ASID.
    pub hi: u32,
    /// PageMask.
    pub mask: u32,
    /// EntryLo0 and EntryLo1; G is in both or in none.
    pub lo: [u32; 2],
}

pub(crate) const LO_G: u32 = 1;
const LO_V: u32 = 2;
const LO_D: u32 = 4;

impl Entry {
    /// Address bits that are not compared.
    fn within(&self) -> u32 {
        self.mask | 0x1fff
    }

    #[inline]
    pub(crate) fn matches(&self, va: u32, asid: u32) -> bool {
        (va ^ self.hi) & !self.within() == 0 && (self.lo[0] & LO_G != 0 || (self.hi ^ asid) & 0xff == 0)
    }

    /// First address and octets of what it maps.
    pub(crate) fn range(&self) -> (u32, u32) {
        (self.hi & !self.within(), self.within())
    }

    fn translate(&self, va: u32, access: Access) -> Result<u32, Exception> {
        let offset = self.within() >> 1;
        let lo = self.lo[usize::from(va & (offset + 1) != 0)];
        let code = if access == Access::Write { TLBS } else { TLBL };
        if lo & LO_V == 0 {
            return Err(Exception { code, detail: 0 });
        }
        if access == Access::Write && lo & LO_D == 0 {
            return Err(MOD);
        }
        Ok(lo << 6 & !offset & 0xffff_f000 | va & offset)
    }
}

impl Cpu {
    pub(crate) fn is_user(&self) -> bool {
        self.cp0.status & (STATUS_UM | STATUS_EXL | STATUS_ERL) == STATUS_UM && self.cp0.debug & DEBUG_DM == 0
    }

    /// The physical address of `va`; sets nothing.
    pub(crate) fn translated(&self, va: u32, access: Access) -> Result<u32, Exception> {
        if va >> 31 != 0 {
            if self.user {
                return Err(if access == Access::Write { ADES } else { ADEL });
            }
            if va >> 30 == 2 {
                return Ok(va & 0x1fff_ffff); // kseg0, kseg1
            }
        } else if self.cp0.status & STATUS_ERL != 0 {
            return Ok(va); // kuseg while Status.ERL is set: unmapped
        }
        match self.tlb.iter().find(|entry| entry.matches(va, self.cp0.entry_hi)) {
            Some(entry) => entry.translate(va, access),
            None => Err(Exception { code: if access == Access::Write { TLBS } else { TLBL }, detail: REFILL }),
        }
    }

    /// TLBP.
    pub(crate) fn tlb_probe(&mut self) {
        let hi = self.cp0.entry_hi;
        // The entry's own mask decides which bits are compared.
        self.cp0.index = match self.tlb.iter().position(|entry| entry.matches(hi & 0xffff_e000, hi)) {
            Some(index) => index as u32,
            None => 1 << 31,
        };
    }

    /// TLBR.
    pub(crate) fn tlb_read(&mut self) {
        let Some(entry) = self.tlb.get(self.cp0.index as usize).copied() else { return };
        self.set_entry_hi(entry.hi);
        self.cp0.page_mask = entry.mask;
        self.cp0.entry_lo = entry.lo;
    }

    /// TLBWI and TLBWR.
    pub(crate) fn tlb_write(&mut self, index: u32) {
        let cp0 = &self.cp0;
        let global = cp0.entry_lo[0] & cp0.entry_lo[1] & LO_G;
        let mask = cp0.page_mask;
        let lo = cp0.entry_lo.map(|lo| lo & !LO_G | global);
        let new = Entry { hi: cp0.entry_hi & !(mask & 0xffff_e000), mask, lo };
        let Some(entry) = self.tlb.get_mut(index as usize) else { return };
        let old = std::mem::replace(entry, new);
        for (start, within) in [old.range(), new.range()] {
            self.soft.forget_range(start, within);
        }
    }

    /// Random: a function of the instruction count, so that runs repeat themselves; hashed, so that it has no period
    /// that a refill loop could fall into.
    pub(crate) fn random(&self) -> u32 {
        let size = self.tlb.len() as u32;
        let wired = self.cp0.wired.min(size - 1);
        let hash = (self.icount.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32;
        wired + hash % (size - wired)
    }
}
