//! Saved processors: all that the guest could tell apart, and nothing of the caches. Hostile input on the way in.
//!
//! Layout, little-endian: magic `VDEMIPS\0` · version · number of TLB entries · fields in the order of [`fields`] ·
//! FNV-1a hash (64 bits) of all before. A flag is an octet, 0 or 1.

use super::access::{Asked, Done};
use super::cp0::Cp0;
use super::{Cpu, exception};
use crate::exit::Refused;

const MAGIC: &[u8; 8] = b"VDEMIPS\0";
const VERSION: u32 = 1;
/// Chosen: no instruction makes more accesses.
const LOG_MAX: u32 = 16;

/// Writes fields, or reads them: one description for both ways.
trait Fields {
    fn u64(&mut self, value: &mut u64) -> Result<(), Refused>;

    fn u32(&mut self, value: &mut u32) -> Result<(), Refused> {
        let mut wide = u64::from(*value);
        self.u64(&mut wide)?;
        *value = u32::try_from(wide).map_err(|_| damaged("a number is too large"))?;
        Ok(())
    }

    fn flag(&mut self, value: &mut bool) -> Result<(), Refused> {
        let mut wide = u64::from(*value);
        self.u64(&mut wide)?;
        *value = match wide {
            0 => false,
            1 => true,
            _ => return Err(damaged("a flag is neither 0 nor 1")),
        };
        Ok(())
    }
}

fn damaged(what: &str) -> Refused {
    Refused(format!("snapshot of a 24Kf: damaged: {what}"))
}

struct Writer(Vec<u8>);

impl Fields for Writer {
    fn u64(&mut self, value: &mut u64) -> Result<(), Refused> {
        self.0.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }
}

struct Reader<'octets>(&'octets [u8]);

impl Fields for Reader<'_> {
    fn u64(&mut self, value: &mut u64) -> Result<(), Refused> {
        let (head, rest) = self.0.split_first_chunk().ok_or_else(|| damaged("it is too short"))?;
        *value = u64::from_le_bytes(*head);
        self.0 = rest;
        Ok(())
    }
}

fn hash(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &octet| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3))
}

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

fn asked_fields(asked: &mut Option<Asked>, to: &mut dyn Fields) -> Result<(), Refused> {
    let mut there = asked.is_some();
    to.flag(&mut there)?;
    if !there {
        *asked = None;
        return Ok(());
    }
    let mut it = asked.unwrap_or(Asked { gpa: 0, octets: 0, write: None });
    to.u32(&mut it.gpa)?;
    to.u32(&mut it.octets)?;
    let mut is_write = it.write.is_some();
    let mut value = it.write.unwrap_or(0);
    to.flag(&mut is_write)?;
    to.u64(&mut value)?;
    it.write = is_write.then_some(value);
    if !matches!(it.octets, 1 | 2 | 4 | 8) {
        return Err(damaged("an access of no possible size"));
    }
    *asked = Some(it);
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
    asked_fields(&mut cpu.asked, to)?;
    let mut written = cpu.written_at.is_some();
    let (mut pc, mut in_slot, mut target) = cpu.written_at.unwrap_or_default();
    to.flag(&mut written)?;
    to.u32(&mut pc)?;
    to.flag(&mut in_slot)?;
    to.u32(&mut target)?;
    cpu.written_at = written.then_some((pc, in_slot, target));
    let mut entries = cpu.log.len() as u32;
    to.u32(&mut entries)?;
    if entries > LOG_MAX {
        return Err(damaged("a log longer than any instruction's"));
    }
    cpu.log.resize(entries as usize, Done { value: 0, bus_error: false });
    for done in &mut cpu.log {
        to.u64(&mut done.value)?;
        to.flag(&mut done.bus_error)?;
    }
    Ok(())
}

impl Cpu {
    /// The processor as octets. Breakpoints, interceptions and options are the caller's.
    pub fn snapshot(&mut self) -> Vec<u8> {
        let mut writer = Writer(Vec::with_capacity(2048));
        writer.0.extend_from_slice(MAGIC);
        writer.0.extend_from_slice(&VERSION.to_le_bytes());
        writer.0.extend_from_slice(&self.options.tlb_entries.to_le_bytes());
        fields(self, &mut writer).expect("a processor's own state can be written");
        let hash = hash(&writer.0);
        writer.0.extend_from_slice(&hash.to_le_bytes());
        writer.0
    }

    /// Become what [`Cpu::snapshot`] gave; unchanged if that is refused.
    pub fn restore(&mut self, octets: &[u8]) -> Result<(), Refused> {
        let (body, sum) = octets.split_last_chunk::<8>().ok_or_else(|| damaged("it is too short"))?;
        let rest = body.strip_prefix(MAGIC).ok_or_else(|| Refused("snapshot: not one of a 24Kf".into()))?;
        if hash(body) != u64::from_le_bytes(*sum) {
            return Err(damaged("its sum is wrong"));
        }
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("it is too short"))?;
        let (entries, rest) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("it is too short"))?;
        let (version, entries) = (u32::from_le_bytes(*version), u32::from_le_bytes(*entries));
        if version != VERSION {
            return Err(Refused(format!("snapshot of a 24Kf: version {version}; this program knows {VERSION}")));
        }
        if entries != self.options.tlb_entries {
            let here = self.options.tlb_entries;
            return Err(Refused(format!("snapshot of a 24Kf: its TLB has {entries} entries, this one {here}")));
        }
        let mut new = Cpu::new(self.options)?;
        let mut reader = Reader(rest);
        fields(&mut new, &mut reader)?;
        if !reader.0.is_empty() {
            return Err(damaged("it is too long"));
        }
        new.check()?;
        // What is the caller's stays; code and mappings are found anew.
        std::mem::swap(&mut self.code, &mut new.code);
        std::mem::swap(&mut self.debugger, &mut new.debugger);
        new.intercepted = self.intercepted;
        new.kicked = self.kick();
        new.debugger.told = None;
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
        if cp0.debug & !(1 << 31 | exception::DEBUG_DM | exception::DEBUG_DBP) != 0 {
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
