//! Saved processors: all that the guest could tell apart, and nothing of the caches. Hostile input on the way in.
//!
//! Layout: `engine_contract::saved`, with the magic `VDEI386\0`: version, model, features, and the fields in the order of
//! [`Cpu::fields`].

use crate::asked::Asked;
use crate::descriptor::RIGHTS;
use crate::exit::Refused;
use crate::flags;
use crate::state::{Cpu, Segment, Table};
use engine_contract::saved::{self, Fields, damaged};

const MAGIC: &[u8; 8] = b"VDEI386\0";
const VERSION: u64 = 1;
/// Chosen: no instruction makes more accesses, nor longer ones.
const LOG_MAX: u64 = 64;
const DATA_MAX: u64 = 1 << 16;

fn segment(of: &mut Segment, to: &mut dyn Fields) -> Result<(), Refused> {
    to.u16(&mut of.selector)?;
    to.u32(&mut of.base)?;
    to.u32(&mut of.limit)?;
    to.u32(&mut of.rights)?;
    of.rights &= RIGHTS;
    Ok(())
}

fn table(of: &mut Table, to: &mut dyn Fields) -> Result<(), Refused> {
    to.u32(&mut of.base)?;
    to.u32(&mut of.limit)
}

fn octets(of: &mut Vec<u8>, to: &mut dyn Fields) -> Result<(), Refused> {
    let mut length = of.len() as u64;
    to.u64(&mut length)?;
    if length > DATA_MAX {
        return Err(damaged("an access of too many octets"));
    }
    of.resize(length as usize, 0);
    for part in of.chunks_mut(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        let mut value = u64::from_le_bytes(word);
        to.u64(&mut value)?;
        part.copy_from_slice(&value.to_le_bytes()[..part.len()]);
    }
    Ok(())
}

fn asked(of: &mut Option<Asked>, to: &mut dyn Fields) -> Result<(), Refused> {
    let (mut kind, mut at, mut size, mut count, mut value, mut data) = match of.clone() {
        None => (0u8, 0u32, 0u32, 0u32, 0u64, Vec::new()),
        Some(Asked::MmioRead { gpa, octets }) => (1, gpa, octets, 1, 0, Vec::new()),
        Some(Asked::MmioWrite { gpa, octets, value }) => (2, gpa, octets, 1, value, Vec::new()),
        Some(Asked::IoRead { port, octets, count }) => (3, port.into(), octets, count, 0, Vec::new()),
        Some(Asked::IoWrite { port, octets, count, data }) => (4, port.into(), octets, count, 0, data),
    };
    to.u8(&mut kind)?;
    to.u32(&mut at)?;
    to.u32(&mut size)?;
    to.u32(&mut count)?;
    to.u64(&mut value)?;
    octets(&mut data, to)?;
    if kind != 0 && (!matches!(size, 1 | 2 | 4 | 8) || count == 0 || u64::from(count) > DATA_MAX) {
        return Err(damaged("an access of no size"));
    }
    let port = at as u16;
    *of = match kind {
        0 => None,
        1 => Some(Asked::MmioRead { gpa: at, octets: size }),
        2 => Some(Asked::MmioWrite { gpa: at, octets: size, value }),
        3 => Some(Asked::IoRead { port, octets: size, count }),
        4 => Some(Asked::IoWrite { port, octets: size, count, data }),
        _ => return Err(damaged("an access of no kind")),
    };
    Ok(())
}

impl Cpu {
    fn fields(&mut self, to: &mut dyn Fields) -> Result<(), Refused> {
        self.regs[..8].iter_mut().try_for_each(|register| to.u32(register))?;
        to.u32(&mut self.eip)?;
        let mut eflags = self.eflags();
        to.u32(&mut eflags)?;
        if eflags & !(flags::KNOWN | flags::ONE) != 0 {
            return Err(damaged("a flag that there is not"));
        }
        self.set_eflags(eflags);
        for which in 0..6 {
            let mut one = self.seg[which];
            segment(&mut one, to)?;
            self.set_segment(which, one);
        }
        segment(&mut self.ldtr, to)?;
        segment(&mut self.tr, to)?;
        table(&mut self.gdtr, to)?;
        table(&mut self.idtr, to)?;
        for register in [&mut self.cr0, &mut self.cr2, &mut self.cr3, &mut self.cr4] {
            to.u32(register)?;
        }
        self.dr.iter_mut().try_for_each(|register| to.u32(register))?;
        to.u8(&mut self.cpl)?;
        if self.cpl > 3 {
            return Err(damaged("a level above 3"));
        }
        self.system.fields(to)?;
        self.fpu.fields(to)?;
        self.sse.fields(to)?;
        for flag in [
            &mut self.a20,
            &mut self.nmi_blocked,
            &mut self.shadow,
            &mut self.halted,
            &mut self.intr,
            &mut self.nmi,
            &mut self.stepped,
        ] {
            to.flag(flag)?;
        }
        let mut injected = self.injected.map_or(256, u32::from);
        to.u32(&mut injected)?;
        self.injected = u8::try_from(injected).ok();
        let mut icount = self.icount();
        to.u64(&mut icount)?;
        (self.stop_at, self.left) = (icount, 0);
        to.u64(&mut self.skipped)?;
        if icount.checked_add(self.skipped).is_none() {
            return Err(damaged("more ticks than there are"));
        }
        asked(&mut self.asked, to)?;
        let mut accesses = self.log.len() as u64;
        to.u64(&mut accesses)?;
        if accesses > LOG_MAX {
            return Err(damaged("an instruction of too many accesses"));
        }
        self.log.resize(accesses as usize, Vec::new());
        self.log.iter_mut().try_for_each(|access| octets(access, to))
    }

    /// What a snapshot has to be of, and then everything.
    fn described(&mut self, to: &mut dyn Fields) -> Result<(), Refused> {
        to.fixed(VERSION, "the version")?;
        to.fixed(self.model.signature.into(), "the processor's signature")?;
        to.fixed(self.model.features, "the set of its features")?;
        self.fields(to)
    }

    /// Everything, as octets.
    pub fn snapshot(&mut self) -> Vec<u8> {
        saved::save(MAGIC, |to| self.described(to))
    }

    /// Become what `octets` say; nothing changes if they are not a snapshot of such a processor.
    pub fn restore(&mut self, octets: &[u8]) -> Result<(), Refused> {
        let mut other = Cpu::new(self.model, self.hypercalls);
        saved::load(MAGIC, octets, |from| other.described(from))?;
        other.kicked = std::sync::Arc::clone(&self.kicked);
        other.intercepted = self.intercepted;
        std::mem::swap(&mut other.debugger, &mut self.debugger);
        other.debugger.moved();
        *self = other;
        Ok(())
    }
}
