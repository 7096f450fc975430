//! Saved processors: all that the guest could tell apart, and nothing of the caches. Hostile input on the way in.
//!
//! Layout: `engine_contract::saved`, with the magic `VDEPPC\0\0`: version, the model's PVR, ticks of a step of the time base,
//! and the fields in the order of [`fields`].

use crate::Cpu;
use crate::exit::Refused;
use crate::storage::BLOCK_OCTETS;
use crate::vector::{NJ, SAT};
use engine_contract::replay;
use engine_contract::saved::{self, Fields, damaged};

const MAGIC: &[u8; 8] = b"VDEPPC\0\0";
const VERSION: u64 = 1;
/// Chosen: no instruction makes more accesses (lswx: 127).
const LOG_MAX: u32 = 128;

fn present(there: bool, to: &mut dyn Fields) -> Result<bool, Refused> {
    let mut there = there;
    to.flag(&mut there)?;
    Ok(there)
}

/// All fields, in order.
fn fields(cpu: &mut Cpu, to: &mut dyn Fields) -> Result<(), Refused> {
    for register in &mut cpu.regs[..32] {
        to.u32(register)?;
    }
    let (mut cr, mut xer, mut msr) = (cpu.cr(), cpu.xer(), cpu.msr);
    for field in [&mut cr, &mut xer, &mut msr] {
        to.u32(field)?;
    }
    cpu.set_cr(cr);
    cpu.set_xer(xer);
    cpu.set_msr(msr);
    if cpu.msr != msr {
        return Err(damaged("MSR has bits that cannot be set"));
    }
    for field in [
        &mut cpu.pc,
        &mut cpu.lr,
        &mut cpu.ctr,
        &mut cpu.srr0,
        &mut cpu.srr1,
        &mut cpu.dar,
        &mut cpu.dsisr,
        &mut cpu.sdr1,
        &mut cpu.dabr,
        &mut cpu.fpscr,
        &mut cpu.dec_base,
        &mut cpu.fault.dar,
        &mut cpu.fault.dsisr,
    ] {
        to.u32(field)?;
    }
    for field in cpu.sprg.iter_mut().chain(&mut cpu.sr).chain(&mut cpu.plain) {
        to.u32(field)?;
    }
    for bat in cpu.ibat.iter_mut().chain(&mut cpu.dbat) {
        to.u32(&mut bat.upper)?;
        to.u32(&mut bat.lower)?;
    }
    for register in &mut cpu.fpr {
        to.u64(register)?;
    }
    if cpu.has_vectors() {
        for register in cpu.vr.iter_mut() {
            to.u128(register)?;
        }
        to.u32(&mut cpu.vscr)?;
    }
    for flag in [&mut cpu.halted, &mut cpu.line, &mut cpu.dec_pending, &mut cpu.bus_error] {
        to.flag(flag)?;
    }
    for field in [&mut cpu.icount, &mut cpu.skipped, &mut cpu.timer_at, &mut cpu.tb_base] {
        to.u64(field)?;
    }
    for place in [&mut cpu.reserved, &mut cpu.written_at] {
        let there = present(place.is_some(), to)?;
        let mut address = place.unwrap_or_default();
        to.u32(&mut address)?;
        *place = there.then_some(address);
    }
    replay::asked_fields(&mut cpu.asked, to)?;
    replay::log_fields(&mut cpu.log, LOG_MAX, to)
}

impl Cpu {
    /// What a snapshot has to be of, and then everything.
    fn described(&mut self, to: &mut dyn Fields) -> Result<(), Refused> {
        to.fixed(VERSION, "the version")?;
        to.fixed(self.options.model.pvr().into(), "PVR")?;
        to.fixed(self.options.timebase_ticks.into(), "the length of a step of the time base")?;
        fields(self, to)
    }

    /// The processor as octets. Breakpoints, interceptions and the other options are the caller's.
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
        Ok(())
    }

    /// Can the fields be a processor's?
    fn check(&self) -> Result<(), Refused> {
        if self.pc % 4 != 0 || self.written_at.is_some_and(|pc| pc % 4 != 0) {
            return Err(damaged("an instruction's address is not a multiple of 4"));
        }
        if self.reserved.is_some_and(|gpa| gpa % BLOCK_OCTETS != 0) {
            return Err(damaged("a reservation that is no block's"));
        }
        if self.vscr & !(NJ | SAT) != 0 {
            return Err(damaged("VSCR has bits that it has not"));
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
