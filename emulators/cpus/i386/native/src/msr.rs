//! Model-specific registers. The instructions that reach them are in `msr_access.rs`.
//!
//! Specification: SDM 4, 2 (MSRs); 2.22–2.23 for the P6 family's and the Pentium's; SDM 3A, 12.11 (MTRRs), 12.12 (PAT).
//!
//! Memory has one type, so MTRRs and PAT are stored, checked, and mean nothing. What is not in the list below is #GP(0).
//!
//! Not supported: machine-check banks, performance counters, last-branch records, microcode (its revision is 0 and
//! an update is ignored), speed steps.

use crate::control_registers::EFER_NXE;
use crate::model::{self, Model};

/// The registers that belong to no chapter of the instruction set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct System {
    /// 1 while an event is delivered that no instruction asked for: bit EXT of error codes.
    pub external: u32,
    /// The breakpoints that the present instruction has met, as in DR6.
    pub met: u32,
    /// The present instruction has set RF for the next one.
    pub resume: bool,
    /// The present instruction has loaded SS: no traps behind it.
    pub held: bool,
    /// PAE's directory pointers.
    pub pdpte: [u64; 4],
    pub efer: u64,
    /// IA32_APIC_BASE, of models with a local APIC.
    pub apic_base: u64,
    pub sysenter_cs: u32,
    pub sysenter_esp: u32,
    pub sysenter_eip: u32,
    pub pat: u64,
    pub mtrr_default: u64,
    pub mtrr_fixed: [u64; 11],
    /// Base and mask of each.
    pub mtrr_variable: [u64; 16],
    /// What is added to the ticks to get the time-stamp counter.
    pub tsc_offset: u64,
}

const P5_MC_ADDR: u32 = 0;
const P5_MC_TYPE: u32 = 1;
pub(crate) const TIME_STAMP_COUNTER: u32 = 0x10;
const PLATFORM_ID: u32 = 0x17;
const APIC_BASE: u32 = 0x1b;
const EBL_CR_POWERON: u32 = 0x2a;
const BIOS_UPDT_TRIG: u32 = 0x79;
const BIOS_SIGN: u32 = 0x8b;
const MTRRCAP: u32 = 0xfe;
const BBL_CR_CTL: u32 = 0x119;
const SYSENTER_CS: u32 = 0x174;
const SYSENTER_ESP: u32 = 0x175;
const SYSENTER_EIP: u32 = 0x176;
const MTRR_FIRST_VARIABLE: u32 = 0x200;
const MTRR_LAST_VARIABLE: u32 = 0x20f;
const PAT: u32 = 0x277;
const MTRR_DEF_TYPE: u32 = 0x2ff;
const EFER: u32 = 0xc000_0080;

/// At FEE00000H, on, of the bootstrap processor (SDM 3A, 11.4.4).
const APIC_BASE_AT_RESET: u64 = 0xfee0_0900;
/// 8 variable ranges, fixed ones, write-combining (SDM 3A, figure 12-5).
const MTRR_CAPABILITIES: u64 = 0x508;
/// After a reset: write-back, write-through, uncached-, uncached, twice (SDM 3A, table 12-12).
const PAT_AT_RESET: u64 = 0x0007_0406_0007_0406;

/// Which of the fixed-range registers an address is.
fn fixed_range(index: u32) -> Option<usize> {
    match index {
        0x250 => Some(0),
        0x258 | 0x259 => Some((index - 0x258 + 1) as usize),
        0x268..=0x26f => Some((index - 0x268 + 3) as usize),
        _ => None,
    }
}

/// Are all eight octets memory types? (SDM 3A, tables 12-2 and 12-10; PAT knows one more, 7.)
fn are_types(value: u64, pat: bool) -> bool {
    value.to_le_bytes().into_iter().all(|octet| matches!(octet, 0 | 1 | 4 | 5 | 6) || (pat && octet == 7))
}

impl System {
    pub(crate) fn at_reset() -> Self {
        System {
            external: 0,
            met: 0,
            resume: false,
            held: false,
            pdpte: [0; 4],
            efer: 0,
            apic_base: APIC_BASE_AT_RESET,
            sysenter_cs: 0,
            sysenter_esp: 0,
            sysenter_eip: 0,
            pat: PAT_AT_RESET,
            mtrr_default: 0,
            mtrr_fixed: [0; 11],
            mtrr_variable: [0; 16],
            tsc_offset: 0,
        }
    }

    /// A register's value; None: there is no such register, or it cannot be read.
    pub(crate) fn read(&self, model: &Model, index: u32, tsc: u64) -> Option<u64> {
        let p6 = model.signature >> 8 & 0xf >= 6;
        let found = match index {
            P5_MC_ADDR | P5_MC_TYPE => 0,
            TIME_STAMP_COUNTER => tsc,
            PLATFORM_ID | EBL_CR_POWERON | BIOS_SIGN | BBL_CR_CTL if p6 => 0,
            APIC_BASE if model.has(model::APIC) => self.apic_base,
            SYSENTER_CS if model.has(model::SEP) => self.sysenter_cs.into(),
            SYSENTER_ESP if model.has(model::SEP) => self.sysenter_esp.into(),
            SYSENTER_EIP if model.has(model::SEP) => self.sysenter_eip.into(),
            MTRRCAP if model.has(model::MTRR) => MTRR_CAPABILITIES,
            MTRR_DEF_TYPE if model.has(model::MTRR) => self.mtrr_default,
            MTRR_FIRST_VARIABLE..=MTRR_LAST_VARIABLE if model.has(model::MTRR) => {
                self.mtrr_variable[(index - MTRR_FIRST_VARIABLE) as usize]
            }
            PAT if model.has(model::PAT) => self.pat,
            EFER if model.has(model::NX) => self.efer,
            _ if model.has(model::MTRR) => self.mtrr_fixed[fixed_range(index)?],
            _ => return None,
        };
        Some(found)
    }

    /// Write a register; None: there is no such register, or it cannot hold the value. The time-stamp counter is not here.
    pub(crate) fn write(&mut self, model: &Model, index: u32, value: u64) -> Option<()> {
        let p6 = model.signature >> 8 & 0xf >= 6;
        match index {
            P5_MC_ADDR | P5_MC_TYPE => {}
            EBL_CR_POWERON | BIOS_UPDT_TRIG | BIOS_SIGN | BBL_CR_CTL if p6 => {}
            APIC_BASE if model.has(model::APIC) => {
                self.apic_base = (value & !0xffff_f900 == 0).then_some(value)?;
            }
            SYSENTER_CS if model.has(model::SEP) => self.sysenter_cs = value as u32,
            SYSENTER_ESP if model.has(model::SEP) => self.sysenter_esp = value as u32,
            SYSENTER_EIP if model.has(model::SEP) => self.sysenter_eip = value as u32,
            MTRR_DEF_TYPE if model.has(model::MTRR) => {
                let known = value & !0xcff == 0 && are_types(value & 0xff, false);
                self.mtrr_default = known.then_some(value)?;
            }
            MTRR_FIRST_VARIABLE..=MTRR_LAST_VARIABLE if model.has(model::MTRR) => {
                let mask = index & 1 != 0;
                let reserved = if mask { 0xffff_fff0_0000_07ff } else { 0xffff_fff0_0000_0f00 };
                let known = value & reserved == 0 && (mask || are_types(value & 0xff, false));
                self.mtrr_variable[(index - MTRR_FIRST_VARIABLE) as usize] = known.then_some(value)?;
            }
            PAT if model.has(model::PAT) => self.pat = are_types(value, true).then_some(value)?,
            EFER if model.has(model::NX) => self.efer = (value & !EFER_NXE == 0).then_some(value)?,
            _ if model.has(model::MTRR) => {
                let range = fixed_range(index)?;
                self.mtrr_fixed[range] = are_types(value, false).then_some(value)?;
            }
            _ => return None,
        }
        Some(())
    }
}

impl System {
    /// For snapshots.
    pub(crate) fn fields(&mut self, to: &mut dyn engine_contract::saved::Fields) -> Result<(), crate::exit::Refused> {
        to.u32(&mut self.external)?;
        to.u32(&mut self.met)?;
        self.pdpte.iter_mut().try_for_each(|pointer| to.u64(pointer))?;
        to.u64(&mut self.efer)?;
        to.u64(&mut self.apic_base)?;
        to.u32(&mut self.sysenter_cs)?;
        to.u32(&mut self.sysenter_esp)?;
        to.u32(&mut self.sysenter_eip)?;
        to.u64(&mut self.pat)?;
        to.u64(&mut self.mtrr_default)?;
        self.mtrr_fixed.iter_mut().try_for_each(|range| to.u64(range))?;
        self.mtrr_variable.iter_mut().try_for_each(|range| to.u64(range))?;
        to.u64(&mut self.tsc_offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Options;

    #[test]
    fn each_model_has_its_registers() {
        let mut system = System::at_reset();
        let find = |name, options| Model::find(name, options).unwrap();
        let none = Options::default();
        assert_eq!(system.write(find("pentium", none), SYSENTER_CS, 8), None);
        assert_eq!(system.write(find("pentium3", none), SYSENTER_CS, 8), Some(()));
        assert_eq!(system.read(find("pentium3", none), SYSENTER_CS, 0), Some(8));
        assert_eq!(system.write(find("pentium3", none), EFER, EFER_NXE), None);
        let nx = find("pentium3", Options { nx: true, ..none });
        assert_eq!(system.write(nx, EFER, EFER_NXE | 1), None, "there is no SYSCALL");
        assert_eq!(system.write(nx, EFER, EFER_NXE), Some(()));
        for (index, good, bad) in [
            (0x200, 0x1000_0006, 0x1000_0002),
            (0x201, 0xf_f000_0800, 0xf_f000_0c00),
            (0x250, 0x0606_0606_0606_0606, 0x0606_0306_0606_0606),
            (0x26f, 0x0505_0505_0505_0505, 7),
            (0x277, 0x0007_0406_0007_0401, 0x0207_0406_0007_0401),
            (0x2ff, 0xc06, 0x1c06),
        ] {
            assert_eq!(system.write(nx, index, good), Some(()), "{index:#x}");
            assert_eq!(system.write(nx, index, bad), None, "{index:#x}");
            assert_eq!(system.read(nx, index, 0), Some(good), "{index:#x}");
        }
        assert_eq!(system.read(nx, 0x1b, 0), None, "there is no local APIC");
        assert_eq!(system.read(nx, TIME_STAMP_COUNTER, 77), Some(77));
        assert_eq!(system.write(nx, MTRRCAP, 0), None);
    }
}
