//! Saved processors: all that the guest could tell apart, and nothing of the caches. Hostile input on the way in.
//!
//! Layout: `engine_contract::saved`, with the magic `VDEMIPS\0`: version, number of TLB entries, and the fields in the
//! order of [`fields`].

use super::Cpu;
use super::cp0::{Cp0, DEBUG_DBP, DEBUG_DM};
use crate::exit::Refused;
use engine_contract::replay;
use engine_contract::saved::{self, Fields, damaged};

const MAGIC: &[u8; 8] = b"VDEMIPS\0";
const VERSION: u64 = 2;
/// Chosen: no instruction makes more accesses.
const LOG_MAX: u32 = 16;

fn cp0_fields(cp0: &mut Cp0, to: &mut dyn Fields) -> Result<(), Refused> {
    let Cp0 {
        index,
        entry_lo: [lo0, lo1],
        context,
        user_local,
        page_mask,
        wired,
        hwrena,
        bad_vaddr,
        count_base,
        entry_hi,
        compare,
        status,
        int_ctl,
        cause,
        epc,
        ebase,
        config0,
        ll_addr,
        debug,
        depc,
        err_ctl,
        tag_lo: [tag0, tag1, tag2, tag3],
        error_epc,
        desave,
    } = cp0;
    for field in [
        index, lo0, lo1, context, user_local, page_mask, wired, hwrena, bad_vaddr, count_base, entry_hi, compare,
        status, int_ctl, cause, epc, ebase, config0, ll_addr, debug, depc, err_ctl, tag0, tag1, tag2, tag3, error_epc,
        desave,
    ] {
        to.u32(field)?;
    }
    Ok(())
}

/// All fields, in order.
fn fields(cpu: &mut Cpu, to: &mut dyn Fields) -> Result<(), Refused> {
    for register in 1..32 {
        to.u32(&mut cpu.regs[register])?;
    }
    for field in [&mut cpu.hi, &mut cpu.lo, &mut cpu.pc, &mut cpu.target] {
        to.u32(field)?;
    }
    for flag in [&mut cpu.in_slot, &mut cpu.ll_bit, &mut cpu.halted, &mut cpu.bus_error] {
        to.flag(flag)?;
    }
    for field in [&mut cpu.icount, &mut cpu.skipped, &mut cpu.timer_at] {
        to.u64(field)?;
    }
    let mut lines = cpu.lines.into();
    to.u32(&mut lines)?;
    cpu.lines = u8::try_from(lines).ok().filter(|lines| lines & 3 == 0).ok_or_else(|| damaged("lines"))?;
    cp0_fields(&mut cpu.cp0, to)?;
    for entry in &mut cpu.tlb {
        let [lo0, lo1] = &mut entry.lo;
        for field in [&mut entry.hi, &mut entry.mask, lo0, lo1] {
            to.u32(field)?;
        }
    }
    for register in &mut cpu.fpu.regs {
        to.u64(register)?;
    }
    to.u32(&mut cpu.fpu.fcsr)?;
    replay::asked_fields(&mut cpu.asked, to)?;
    let mut written = cpu.written_at.is_some();
    let (mut pc, mut in_slot, mut target) = cpu.written_at.unwrap_or_default();
    to.flag(&mut written)?;
    to.u32(&mut pc)?;
    to.flag(&mut in_slot)?;
    to.u32(&mut target)?;
    cpu.written_at = written.then_some((pc, in_slot, target));
    replay::log_fields(&mut cpu.log, LOG_MAX, to)
}

impl Cpu {
    /// What a snapshot has to be of, and then everything.
    fn described(&mut self, to: &mut dyn Fields) -> Result<(), Refused> {
        to.fixed(VERSION, "the version")?;
        to.fixed(self.options.tlb_entries.into(), "the number of TLB entries")?;
        fields(self, to)
    }

    /// The processor as octets. Breakpoints, interceptions and options are the caller's.
    pub fn snapshot(&mut self) -> Vec<u8> {
        saved::save(MAGIC, |to| self.described(to))
    }

    /// Become what [`Cpu::snapshot`] gave; unchanged if that is refused.
    pub fn restore(&mut self, octets: &[u8]) -> Result<(), Refused> {
        let mut new = Cpu::new(self.options)?;
        saved::load(MAGIC, octets, |from| new.described(from))?;
        new.check()?;
        // What is the caller's stays; code and mappings are found anew.
        std::mem::swap(&mut self.code, &mut new.code);
        std::mem::swap(&mut self.debugger, &mut new.debugger);
        new.intercepted = self.intercepted;
        new.kicked = self.kick();
        new.debugger.moved();
        std::mem::swap(self, &mut new);
        self.refresh_mode();
        Ok(())
    }

    /// Can the fields be a processor's?
    fn check(&self) -> Result<(), Refused> {
        let entries = self.options.tlb_entries;
        let cp0 = &self.cp0;
        if cp0.wired >= entries || cp0.index & !(1 << 31) >= entries {
            return Err(damaged("Wired or Index is beyond the TLB"));
        }
        if cp0.debug & !(1 << 31 | DEBUG_DM | DEBUG_DBP) != 0 {
            return Err(damaged("Debug"));
        }
        if self.icount.checked_add(self.skipped).is_none() || self.timer_at < self.ticks() {
            return Err(damaged("the timer lies in the past"));
        }
        if self.asked.is_some_and(|asked| asked.write.is_none()) && self.written_at.is_some() {
            return Err(damaged("two accesses at once"));
        }
        Ok(())
    }
}
