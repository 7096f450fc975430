//! Coprocessor 0 of the 24Kf: MD00090 chapter 9, MD00343 (24K family) chapter 5. Numbers are (register, select).
//!
//! Read as 0 and ignored when written: registers that this model does not have. Supervisor mode (Status.R0), reverse
//! endianness (Status.RE), MIPS16, DSP, vectored and external interrupts (Config3 is 0), shadow registers, watch
//! registers and performance counters are not there, as the configuration registers say.

use super::Cpu;

pub(crate) const STATUS_IE: u32 = 1;
pub(crate) const STATUS_EXL: u32 = 1 << 1;
pub(crate) const STATUS_ERL: u32 = 1 << 2;
pub(crate) const STATUS_UM: u32 = 1 << 4;
pub(crate) const STATUS_BEV: u32 = 1 << 22;
pub(crate) const STATUS_FR: u32 = 1 << 26;
pub(crate) const STATUS_CU0: u32 = 1 << 28;
pub(crate) const STATUS_CU1: u32 = 1 << 29;
/// CU1, CU0, FR, BEV, TS, SR, NMI, IM7…0, UM, ERL, EXL, IE.
const STATUS_MASK: u32 = 0x3478_ff17;

pub(crate) const CAUSE_EXC: u32 = 0x7c;
pub(crate) const CAUSE_IP: u32 = 0xff00;
pub(crate) const CAUSE_IV: u32 = 1 << 23;
pub(crate) const CAUSE_DC: u32 = 1 << 27;
pub(crate) const CAUSE_CE: u32 = 3 << 28;
pub(crate) const CAUSE_TI: u32 = 1 << 30;
pub(crate) const CAUSE_BD: u32 = 1 << 31;
/// DC, IV, WP, IP1, IP0.
const CAUSE_MASK: u32 = CAUSE_DC | CAUSE_IV | 1 << 22 | 3 << 8;
/// EntryLo: PFN 25…6, C 5…3, D, V, G.
pub(crate) const LO_MASK: u32 = 0x03ff_ffff;
/// PageMask of pages of up to 256 MiB.
pub(crate) const PAGE_MASK: u32 = 0x1fff_e000;
/// Debug.DBp: a breakpoint instruction was executed; Debug.DM: debug mode (MD00047 §5.8.1).
pub(crate) const DEBUG_DBP: u32 = 1 << 1;
pub(crate) const DEBUG_DM: u32 = 1 << 30;
/// IntCtl.IPTI: the timer's line is IP7.
const TIMER_LINE: u32 = 7;
/// RDHWR 1: octets that one SYNCI covers.
pub(crate) const SYNCI_STEP: u32 = 32;
/// RDHWR 3: ticks of one step of Count.
pub(crate) const COUNT_TICKS: u64 = 2;
/// HWREna: registers 0…3 and 29 (UserLocal).
const HWRENA_MASK: u32 = 0x2000_000f;
/// MIPS, 24K family with FPU.
const PRID_24KF: u32 = 0x0001_9300;
/// M, release 2, TLB, kseg0 cacheable.
const CONFIG0: u32 = 1 << 31 | 1 << 10 | 1 << 7 | 2;
/// M, two caches of 2 × 64 lines of 16 octets, FPU; the TLB's size is added.
const CONFIG1: u32 = 1 << 31 | 3 << 19 | 1 << 16 | 3 << 10 | 1 << 7 | 1;
/// M.
const CONFIG2: u32 = 1 << 31;
/// WII: WAIT ends for an interrupt that Status.IE holds back.
const CONFIG7: u32 = 1 << 31;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cp0 {
    pub index: u32,
    pub entry_lo: [u32; 2],
    pub context: u32,
    pub user_local: u32,
    pub page_mask: u32,
    pub wired: u32,
    pub hwrena: u32,
    pub bad_vaddr: u32,
    /// Count = this + half the ticks, or, while Cause.DC holds it, this.
    pub count_base: u32,
    pub entry_hi: u32,
    pub compare: u32,
    pub status: u32,
    pub int_ctl: u32,
    pub cause: u32,
    pub epc: u32,
    pub ebase: u32,
    pub config0: u32,
    pub ll_addr: u32,
    pub debug: u32,
    pub depc: u32,
    pub err_ctl: u32,
    /// ITagLo, IDataLo, DTagLo, DDataLo.
    pub tag_lo: [u32; 4],
    pub error_epc: u32,
    pub desave: u32,
}

impl Cp0 {
    /// As after a reset: MD00090 §6.2.3.
    pub(crate) fn new() -> Self {
        Cp0 {
            index: 0,
            entry_lo: [0; 2],
            context: 0,
            user_local: 0,
            page_mask: 0,
            wired: 0,
            hwrena: 0,
            bad_vaddr: 0,
            count_base: 0,
            entry_hi: 0,
            compare: 0,
            status: STATUS_BEV | STATUS_ERL,
            int_ctl: TIMER_LINE << 29,
            cause: 0,
            epc: 0,
            ebase: 1 << 31,
            config0: CONFIG0,
            ll_addr: 0,
            debug: 0,
            depc: 0,
            err_ctl: 0,
            tag_lo: [0; 4],
            error_epc: 0,
            desave: 0,
        }
    }
}

impl Cpu {
    /// Ticks since the reset: instructions, and what was skipped.
    pub fn ticks(&self) -> u64 {
        self.icount + self.skipped
    }

    pub(crate) fn count(&self) -> u32 {
        let steps = if self.cp0.cause & CAUSE_DC != 0 { 0 } else { (self.ticks() / COUNT_TICKS) as u32 };
        self.cp0.count_base.wrapping_add(steps)
    }

    pub(crate) fn set_count(&mut self, value: u32) {
        let steps = if self.cp0.cause & CAUSE_DC != 0 { 0 } else { (self.ticks() / COUNT_TICKS) as u32 };
        self.cp0.count_base = value.wrapping_sub(steps);
        self.arm_timer();
    }

    /// Compute when Count will next become equal to Compare.
    pub(crate) fn arm_timer(&mut self) {
        if self.cp0.cause & CAUSE_DC != 0 {
            self.timer_at = u64::MAX;
            return;
        }
        let left = match self.cp0.compare.wrapping_sub(self.count()) {
            0 => 1 << 32,
            left => u64::from(left),
        };
        self.timer_at = (self.ticks() / COUNT_TICKS + left) * COUNT_TICKS;
    }

    /// Set Cause.TI if the time has come.
    pub(crate) fn update_timer(&mut self) {
        while self.ticks() >= self.timer_at {
            self.cp0.cause |= CAUSE_TI | 1 << (8 + TIMER_LINE);
            self.timer_at = self.timer_at.saturating_add(COUNT_TICKS << 32);
        }
    }

    /// Drive IP2…IP7 from outside.
    pub(crate) fn update_lines(&mut self) {
        let timer = if self.cp0.cause & CAUSE_TI != 0 { 1 << TIMER_LINE } else { 0 };
        let lines = u32::from(self.lines) | timer;
        self.cp0.cause = self.cp0.cause & !0xfc00 | lines << 8 & 0xfc00;
    }

    /// Is an interrupt asserted whose mask bit is set?
    pub(crate) fn interrupt_pending(&self) -> bool {
        self.cp0.cause & self.cp0.status & CAUSE_IP != 0
    }

    /// Would it be taken now?
    pub(crate) fn interrupt_ready(&self) -> bool {
        self.interrupt_pending()
            && self.cp0.status & (STATUS_IE | STATUS_EXL | STATUS_ERL) == STATUS_IE
            && self.cp0.debug & DEBUG_DM == 0
    }

    pub(crate) fn set_entry_hi(&mut self, value: u32) {
        let value = value & 0xffff_e0ff;
        if (value ^ self.cp0.entry_hi) & 0xff != 0 {
            self.soft.forget();
        }
        self.cp0.entry_hi = value;
    }

    pub(crate) fn set_status(&mut self, value: u32) {
        let before = self.cp0.status;
        self.cp0.status = before & !STATUS_MASK | value & STATUS_MASK;
        if (before ^ self.cp0.status) & STATUS_ERL != 0 {
            self.soft.forget(); // kuseg is mapped otherwise
        }
        self.refresh_mode();
    }

    pub(crate) fn set_cause(&mut self, value: u32) {
        let count = self.count();
        self.cp0.cause = self.cp0.cause & !CAUSE_MASK | value & CAUSE_MASK;
        self.set_count(count);
    }

    pub(crate) fn set_compare(&mut self, value: u32) {
        self.cp0.compare = value;
        self.cp0.cause &= !CAUSE_TI;
        self.update_lines();
        self.arm_timer();
    }

    /// MFC0.
    pub(crate) fn cp0_read(&self, register: u8, select: u8) -> u32 {
        let cp0 = &self.cp0;
        match (register, select) {
            (0, 0) => cp0.index,
            (1, 0) => self.random(),
            (2, 0) => cp0.entry_lo[0],
            (3, 0) => cp0.entry_lo[1],
            (4, 0) => cp0.context,
            (4, 2) => cp0.user_local,
            (5, 0) => cp0.page_mask,
            (6, 0) => cp0.wired,
            (7, 0) => cp0.hwrena,
            (8, 0) => cp0.bad_vaddr,
            (9, 0) => self.count(),
            (10, 0) => cp0.entry_hi,
            (11, 0) => cp0.compare,
            (12, 0) => cp0.status,
            (12, 1) => cp0.int_ctl,
            (13, 0) => cp0.cause,
            (14, 0) => cp0.epc,
            (15, 0) => PRID_24KF,
            (15, 1) => cp0.ebase,
            (16, 0) => cp0.config0,
            (16, 1) => CONFIG1 | (self.tlb.len() as u32 - 1) << 25,
            (16, 2) => CONFIG2,
            (16, 7) => CONFIG7,
            (17, 0) => cp0.ll_addr,
            (23, 0) => cp0.debug,
            (24, 0) => cp0.depc,
            (26, 0) => cp0.err_ctl,
            (28, 0..=3) => cp0.tag_lo[usize::from(select)],
            (30, 0) => cp0.error_epc,
            (31, 0) => cp0.desave,
            _ => 0, // SRSCtl, SRSMap and Config3 among them
        }
    }

    /// MTC0. Interrupts, mode and timer may have changed behind it.
    pub(crate) fn cp0_write(&mut self, register: u8, select: u8, value: u32) {
        let entries = self.tlb.len() as u32;
        let cp0 = &mut self.cp0;
        match (register, select) {
            (0, 0) => cp0.index = cp0.index & 1 << 31 | value & (entries - 1),
            (2, 0) => cp0.entry_lo[0] = value & LO_MASK,
            (3, 0) => cp0.entry_lo[1] = value & LO_MASK,
            (4, 0) => cp0.context = cp0.context & 0x007f_fff0 | value & 0xff80_0000,
            (4, 2) => cp0.user_local = value,
            (5, 0) => cp0.page_mask = value & PAGE_MASK,
            (6, 0) => cp0.wired = value & (entries - 1),
            (7, 0) => cp0.hwrena = value & HWRENA_MASK,
            (9, 0) => self.set_count(value),
            (10, 0) => self.set_entry_hi(value),
            (11, 0) => self.set_compare(value),
            (12, 0) => self.set_status(value),
            (13, 0) => self.set_cause(value),
            (14, 0) => cp0.epc = value,
            (15, 1) => cp0.ebase = 1 << 31 | value & 0x3fff_f000,
            (16, 0) => cp0.config0 = cp0.config0 & !7 | value & 7,
            (23, 0) => cp0.debug = cp0.debug & DEBUG_READONLY | value & !DEBUG_READONLY & DEBUG_MASK,
            (24, 0) => cp0.depc = value,
            (26, 0) => cp0.err_ctl = value,
            (28, 0..=3) => cp0.tag_lo[usize::from(select)] = value,
            (30, 0) => cp0.error_epc = value,
            (31, 0) => cp0.desave = value,
            _ => {}
        }
    }
}

/// Debug: DBD, DM and DBp are the processor's; nothing else of it does anything here.
const DEBUG_READONLY: u32 = 1 << 31 | 1 << 30 | 1 << 1;
const DEBUG_MASK: u32 = 0xc000_0002;
