//! The guest's own debugging: breakpoint registers, single-stepping.
//!
//! Specification: SDM 3A, 17.2 (debug registers), 17.3 (debug exceptions), 6.8.3 (shadows), 6.9 (priorities).
//!
//! # Theory of operation
//!
//! While TF is set or a breakpoint is enabled, the processor goes one instruction at a time, and the soft TLB keeps no page
//! that a data breakpoint is in. Before an instruction, [`Cpu::debug_before`] looks for instruction
//! breakpoints: a fault, unless RF is set. Accesses that meet a data breakpoint are noted by [`Cpu::note_access`];
//! behind the instruction, [`Cpu::debug_after`] makes one trap of them and of the single step.
//!
//! A repeated string instruction traps behind each of its iterations that meets a data breakpoint. MOV to SS and POP SS
//! hold traps off until the next instruction is done. RF lasts for one instruction; IRET and task switches set it for the
//! next one.

use crate::control_registers::{CR4_DE, DR6_BS};
use crate::exit::Stop;
use crate::flags::RF;
use crate::state::Cpu;
use crate::vectors::DB;
use guest_memory::PAGE_OCTETS;

/// DR7: L0, G0…L3, G3.
const DR7_ENABLED: u32 = 0xff;

/// What meets a breakpoint; the numbers are those of R/W0…R/W3 (SDM 3A, 17.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meets {
    Fetch = 0,
    Write = 1,
    /// With CR4.DE.
    Port = 2,
    Read = 3,
}

impl Cpu {
    /// Is any breakpoint enabled?
    #[inline]
    pub(crate) fn has_breakpoints(&self) -> bool {
        self.dr[7] & DR7_ENABLED != 0
    }

    /// Breakpoint `number`: is it enabled, and for what; its first octet and its length.
    fn breakpoint(&self, number: u32) -> Option<(u32, u32, u32)> {
        if self.dr[7] >> (number * 2) & 3 == 0 {
            return None;
        }
        let fields = self.dr[7] >> (16 + number * 4);
        // LEN: 1, 2, (undefined: 8 where there are 64 bits), 4 octets; the address is aligned to it.
        let octets = (fields >> 2 & 3) + 1;
        let octets = if octets == 3 { 4 } else { octets };
        Some((self.dr[number as usize] & !(octets - 1), octets, fields & 3))
    }

    /// The breakpoints that an access meets, as in DR6.
    pub(crate) fn breakpoints_met(&self, at: u32, octets: u32, access: Meets) -> u32 {
        (0..4).fold(0, |met, number| {
            let Some((first, length, kind)) = self.breakpoint(number) else { return met };
            let kind_meets = match access {
                Meets::Fetch => kind == 0,
                Meets::Write => kind == 1 || kind == 3,
                Meets::Read => kind == 3,
                Meets::Port => kind == 2 && self.cr4 & CR4_DE != 0,
            };
            // Ranges of a circle overlap if one's start is in the other.
            let overlaps = at.wrapping_sub(first) < length || first.wrapping_sub(at) < octets;
            if kind_meets && overlaps { met | 1 << number } else { met }
        })
    }

    /// Is a data breakpoint in the page of `linear`? Then the soft TLB must not keep it.
    pub(crate) fn has_breakpoint_in_page(&self, linear: u32) -> bool {
        self.has_breakpoints()
            && (0..4).any(|number| {
                self.breakpoint(number).is_some_and(|(first, _, kind)| {
                    matches!(kind, 1 | 3) && first / PAGE_OCTETS == linear / PAGE_OCTETS
                })
            })
    }

    /// A data access or a port's: remember the breakpoints that it meets.
    pub(crate) fn note_access(&mut self, at: u32, octets: u32, access: Meets) {
        if !self.has_breakpoints() {
            return;
        }
        let met = self.breakpoints_met(at, octets, access);
        if met != 0 {
            self.system.met |= met;
            self.cut();
        }
    }

    /// An instruction is done that began with RF.
    pub(crate) fn end_resume(&mut self) {
        if !std::mem::take(&mut self.system.resume) {
            self.other_flags &= !RF;
        }
    }

    /// The instruction at `linear` is next. Err: #DB before it.
    pub(crate) fn debug_before(&mut self, linear: u32) -> Result<(), Stop> {
        if self.other_flags & RF != 0 {
            return Ok(());
        }
        match self.breakpoints_met(linear, 1, Meets::Fetch) {
            0 => Ok(()),
            met => {
                self.dr[6] |= met;
                Err(self.fault_without_code(DB))
            }
        }
    }

    /// An instruction is done that began with `stepping` (TF). Err: #DB behind it.
    pub(crate) fn debug_after(&mut self, stepping: bool) -> Result<(), Stop> {
        let met = std::mem::take(&mut self.system.met);
        if met == 0 && !stepping {
            return Ok(());
        }
        self.dr[6] |= met | if stepping { DR6_BS } else { 0 };
        Err(self.trap(DB))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_registers::DR7_AT_RESET;
    use crate::testbench::Bench;

    fn bench(dr7: u32, address: u32) -> Bench {
        let mut bench = Bench::new();
        bench.cpu.set_dr(0, address);
        bench.cpu.set_dr(7, dr7);
        bench
    }

    #[test]
    fn lengths_and_kinds() {
        let write4 = bench(0x000d_0001, 0x1003).cpu; // aligned: 1000…1003
        for (at, octets, met) in [(0xfff, 1, 0), (0xfff, 2, 1), (0x1003, 1, 1), (0x1004, 4, 0), (0xf00, 0x200, 1)] {
            assert_eq!(write4.breakpoints_met(at, octets, Meets::Write), met, "{at:#x}");
            assert_eq!(write4.breakpoints_met(at, octets, Meets::Read), 0);
            assert_eq!(write4.breakpoints_met(at, octets, Meets::Fetch), 0);
        }
        let access1 = bench(0x0003_0002, 0).cpu;
        assert_eq!(access1.breakpoints_met(u32::MAX, 2, Meets::Read), 1, "around the end");
        assert_eq!(access1.breakpoints_met(u32::MAX, 2, Meets::Write), 1);
        let mut port = bench(0x0002_0001, 0x3f8).cpu;
        assert_eq!(port.breakpoints_met(0x3f8, 1, Meets::Port), 0, "needs CR4.DE");
        port.cr4 |= CR4_DE;
        assert_eq!(port.breakpoints_met(0x3f8, 1, Meets::Port), 1);
        assert!(write4.has_breakpoint_in_page(0x1ffc) && !write4.has_breakpoint_in_page(0x2000));
        assert!(!port.has_breakpoint_in_page(0x3f8));
    }

    #[test]
    fn an_instruction_breakpoint_faults_unless_rf_is_set() {
        let mut bench = bench(1, 0x5000);
        assert_eq!(bench.fault(|cpu, _| cpu.debug_before(0x5000)), (DB, None));
        assert_eq!(bench.cpu.dr[6] & 0xf00f, 1);
        bench.ok(|cpu, _| cpu.debug_before(0x5001));
        bench.cpu.set_eflags(RF | 2);
        bench.ok(|cpu, _| cpu.debug_before(0x5000));
    }

    #[test]
    fn data_breakpoints_and_single_steps_trap_once() {
        let mut bench = bench(0x0001_0001, 0x5000);
        bench.ok(|cpu, _| cpu.debug_before(0x5000));
        bench.cpu.note_access(0x5000, 4, Meets::Write);
        assert_eq!(bench.fault(|cpu, _| cpu.debug_after(true)), (DB, None));
        assert_eq!(bench.cpu.dr[6] & 0xf00f, 0x4001);
        bench.ok(|cpu, _| cpu.debug_after(false));
        bench.cpu.set_dr(7, DR7_AT_RESET);
        assert!(!bench.cpu.has_breakpoints());
    }
}
