//! Exceptions and interrupts: MD00090 (MIPS32 vol. III) chapter 6; vectors of table 6-4.

use super::Cpu;
use super::cp0::{CAUSE_BD, CAUSE_CE, CAUSE_EXC, CAUSE_IV, DEBUG_DBP, DEBUG_DM, STATUS_BEV, STATUS_ERL, STATUS_EXL};

/// What stops an instruction. BadVAddr, where there is one, is in `Cpu::fault_address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    /// Cause.ExcCode.
    pub code: u8,
    /// [`REFILL`] of TLB exceptions, or the coprocessor's number.
    pub detail: u8,
}

pub(crate) const REFILL: u8 = 1;

const fn plain(code: u8) -> Exception {
    Exception { code, detail: 0 }
}

pub(crate) const INT: Exception = plain(0);
pub(crate) const MOD: Exception = plain(1);
pub(crate) const TLBL: u8 = 2;
pub(crate) const TLBS: u8 = 3;
pub(crate) const ADEL: Exception = plain(4);
pub(crate) const ADES: Exception = plain(5);
pub(crate) const IBE: Exception = plain(6);
pub(crate) const DBE: Exception = plain(7);
pub(crate) const SYS: Exception = plain(8);
pub(crate) const BP: Exception = plain(9);
pub(crate) const RI: Exception = plain(10);
pub(crate) const CPU: u8 = 11;
pub(crate) const OV: Exception = plain(12);
pub(crate) const TR: Exception = plain(13);
pub(crate) const FPE: Exception = plain(15);
/// Not an ExcCode: SDBBP enters debug mode instead (MD00047 §2.2).
pub(crate) const DEBUG: Exception = plain(0x80);

pub(crate) const fn unusable(coprocessor: u8) -> Exception {
    Exception { code: CPU, detail: coprocessor }
}

impl Cpu {
    /// Take an exception of the instruction at `self.pc`.
    pub(crate) fn take(&mut self, exception: Exception) {
        let at = if self.in_slot { self.pc.wrapping_sub(4) } else { self.pc };
        let cp0 = &mut self.cp0;
        if exception == DEBUG {
            cp0.depc = at;
            cp0.debug = DEBUG_DM | DEBUG_DBP | if self.in_slot { 1 << 31 } else { 0 };
            self.go(0xbfc0_0480);
            return;
        }
        match exception.code {
            1..=3 => {
                cp0.bad_vaddr = self.fault_address;
                cp0.context = cp0.context & 0xff80_0000 | self.fault_address >> 9 & 0x007f_fff0;
                cp0.entry_hi = cp0.entry_hi & 0xff | self.fault_address & 0xffff_e000;
            }
            4 | 5 => cp0.bad_vaddr = self.fault_address,
            _ => {}
        }
        let mut offset = 0x180;
        if cp0.status & STATUS_EXL == 0 {
            cp0.epc = at;
            cp0.cause = cp0.cause & !CAUSE_BD | if self.in_slot { CAUSE_BD } else { 0 };
            if matches!(exception.code, TLBL | TLBS) && exception.detail == REFILL {
                offset = 0;
            }
            if exception.code == INT.code && cp0.cause & CAUSE_IV != 0 {
                offset = 0x200;
            }
        }
        let unit = if exception.code == CPU { u32::from(exception.detail) << 28 } else { 0 };
        cp0.cause = cp0.cause & !(CAUSE_EXC | CAUSE_CE) | u32::from(exception.code) << 2 | unit;
        cp0.status |= STATUS_EXL;
        let base = if cp0.status & STATUS_BEV != 0 { 0xbfc0_0200 } else { cp0.ebase & 0xffff_f000 };
        self.go(base.wrapping_add(offset));
    }

    fn go(&mut self, pc: u32) {
        self.pc = pc;
        self.in_slot = false;
        self.refresh_mode();
    }

    /// ERET: MD00086. The caller goes to the answered address.
    pub(crate) fn eret(&mut self) -> u32 {
        let cp0 = &mut self.cp0;
        self.ll_bit = false;
        let target = if cp0.status & STATUS_ERL != 0 {
            cp0.status &= !STATUS_ERL;
            cp0.error_epc
        } else {
            cp0.status &= !STATUS_EXL;
            cp0.epc
        };
        self.refresh_mode();
        target
    }
}
