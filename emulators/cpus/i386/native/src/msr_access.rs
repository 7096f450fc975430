//! RDMSR, WRMSR, RDTSC and CPUID: SDM 2 under each name.

use crate::control_registers::{CR4_TSD, EFER_NXE};
use crate::exit::Stop;
use crate::model;
use crate::msr::TIME_STAMP_COUNTER;
use crate::state::Cpu;
use crate::vectors::{GP, UD};

impl Cpu {
    /// The time-stamp counter.
    pub(crate) fn tsc(&self) -> u64 {
        self.ticks().wrapping_add(self.system.tsc_offset)
    }

    pub(crate) fn set_tsc(&mut self, value: u64) {
        self.system.tsc_offset = value.wrapping_sub(self.ticks());
    }

    /// RDTSC.
    pub(crate) fn rdtsc(&mut self) -> Result<(), Stop> {
        if !self.model.has(model::TSC) {
            return Err(self.ud());
        }
        if self.cr4 & CR4_TSD != 0 && self.cpl != 0 {
            return Err(self.fault(GP, 0));
        }
        self.set_edx_eax(self.tsc());
        Ok(())
    }

    fn set_edx_eax(&mut self, value: u64) {
        self.regs[0] = value as u32;
        self.regs[2] = (value >> 32) as u32;
    }

    /// RDMSR.
    pub(crate) fn rdmsr(&mut self) -> Result<(), Stop> {
        self.check_msr()?;
        match self.system.read(self.model, self.regs[1], self.tsc()) {
            Some(value) => {
                self.set_edx_eax(value);
                Ok(())
            }
            None => Err(self.fault(GP, 0)),
        }
    }

    /// WRMSR.
    pub(crate) fn wrmsr(&mut self) -> Result<(), Stop> {
        self.check_msr()?;
        let value = u64::from(self.regs[0]) | u64::from(self.regs[2]) << 32;
        let index = self.regs[1];
        if index == TIME_STAMP_COUNTER {
            // The processors at hand clear the upper half (SDM 3B, 18.17).
            self.set_tsc(value & 0xffff_ffff);
            return Ok(());
        }
        let no_execute = self.system.efer & EFER_NXE;
        if self.system.write(self.model, index, value).is_none() {
            return Err(self.fault(GP, 0));
        }
        if self.system.efer & EFER_NXE != no_execute {
            self.forget_translations();
        }
        Ok(())
    }

    fn check_msr(&mut self) -> Result<(), Stop> {
        if !self.model.has(model::MSR) {
            return Err(self.fault_without_code(UD));
        }
        self.check_supervisor()
    }

    /// CPUID.
    pub(crate) fn cpuid(&mut self) {
        let [eax, ebx, ecx, edx] = self.model.cpuid(self.regs[0]);
        (self.regs[0], self.regs[3], self.regs[1], self.regs[2]) = (eax, ebx, ecx, edx);
    }
}
