//! Exceptions: PEM chapter 6; MPC750UM chapter 4.

use crate::Cpu;
use crate::msr;

/// What stops an instruction. DAR and DSISR, where they are set, are in `Cpu::fault` by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    /// Its vector's offset.
    pub vector: u16,
    /// What it sets in SRR1, beside MSR's bits.
    pub bits: u32,
}

const fn plain(vector: u16) -> Exception {
    Exception { vector, bits: 0 }
}

pub(crate) const MACHINE_CHECK: Exception = plain(0x200);
pub(crate) const DSI: Exception = plain(0x300);
pub(crate) const EXTERNAL: Exception = plain(0x500);
pub(crate) const ALIGNMENT: Exception = plain(0x600);
pub(crate) const FP_UNAVAILABLE: Exception = plain(0x800);
pub(crate) const DECREMENTER: Exception = plain(0x900);
pub(crate) const SYSTEM_CALL: Exception = plain(0xc00);
pub(crate) const TRACE: Exception = plain(0xd00);
/// ALTIVECPEM §5.2.
pub(crate) const VECTOR_UNAVAILABLE: Exception = plain(0xf20);
pub(crate) const BREAKPOINT: Exception = plain(0x1300);

/// Program exceptions, by their cause in SRR1 (PEM table 6-13).
pub(crate) const FP_ENABLED: Exception = Exception { vector: 0x700, bits: 1 << 20 };
pub(crate) const ILLEGAL: Exception = Exception { vector: 0x700, bits: 1 << 19 };
pub(crate) const PRIVILEGED: Exception = Exception { vector: 0x700, bits: 1 << 18 };
pub(crate) const TRAP: Exception = Exception { vector: 0x700, bits: 1 << 17 };

/// Causes of DSI in DSISR, and of ISI in SRR1 (PEM tables 6-9 and 6-11).
pub(crate) const NO_PTE: u32 = 1 << 30;
pub(crate) const NO_EXECUTE: u32 = 1 << 28;
pub(crate) const PROTECTION: u32 = 1 << 27;
pub(crate) const DIRECT_STORE: u32 = 1 << 31;
pub(crate) const STORE: u32 = 1 << 25;
pub(crate) const BREAKPOINT_MATCH: u32 = 1 << 22;

pub(crate) const fn isi(cause: u32) -> Exception {
    Exception { vector: 0x400, bits: cause }
}

/// MSR's bits that SRR1 holds and RFI brings back (PEM §6.4, table 6-6).
pub(crate) const SAVED: u32 = 0x87c0_ffff;

/// DAR and DSISR of an exception that is not taken yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    pub dar: u32,
    pub dsisr: u32,
}

impl Cpu {
    /// Take an exception that returns to `self.pc`.
    pub(crate) fn take(&mut self, exception: Exception) {
        if matches!(exception.vector, 0x300 | 0x600) {
            self.dar = self.fault.dar;
            self.dsisr = self.fault.dsisr;
        }
        self.srr0 = self.pc;
        self.srr1 = self.msr & SAVED | exception.bits;
        let kept = msr::ME | msr::ILE | msr::IP;
        let me = if exception.vector == 0x200 { msr::ME } else { 0 };
        self.set_msr(self.msr & kept & !me);
        let base = if self.msr & msr::IP != 0 { 0xfff0_0000 } else { 0 };
        self.pc = base | u32::from(exception.vector);
        self.taken = self.taken.wrapping_add(1);
    }

    /// RFI: where it goes on.
    pub(crate) fn return_from_interrupt(&mut self) -> u32 {
        self.set_msr(self.msr & !(SAVED | msr::POW) | self.srr1 & SAVED);
        self.srr0 & !3
    }

    /// The alignment exception of the instruction `word` at `ea` (PEM table 6-12: DSISR).
    pub(crate) fn misaligned(&mut self, word: u32, ea: u32) -> Exception {
        let indexed = word >> 26 == 31;
        let dsisr = if indexed {
            (word >> 1 & 3) << 15 | (word >> 6 & 1) << 14 | (word >> 7 & 15) << 10
        } else {
            (word >> 26 & 1) << 14 | (word >> 27 & 15) << 10
        };
        self.fault = Fault { dar: ea, dsisr: dsisr | word >> 16 & 0x3ff };
        ALIGNMENT
    }
}
