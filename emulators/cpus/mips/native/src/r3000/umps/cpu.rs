//! A processor's registers, coprocessor 0 and exceptions.
//!
//! Reference: uMPS3 Principles of Operation, chapters 2 (processor, CP0) and 4 (virtual memory); where uMPS3 3.0.5
//! itself differs from a MIPS, it is uMPS3 that counts.

use crate::r3000::code::SINK;

/// Exception codes (Cause.ExcCode). uMPS3 gives bus errors on data 6 and on instructions 7, unlike a MIPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exception {
    Interrupt,
    Modified,
    /// No entry: goes to the refill vector.
    RefillLoad,
    InvalidLoad,
    RefillStore,
    InvalidStore,
    AddressLoad,
    AddressStore,
    DataBus,
    InstructionBus,
    Syscall,
    Breakpoint,
    Reserved,
    /// Of the coprocessor with this number.
    Coprocessor(u32),
    Overflow,
}

impl Exception {
    pub(crate) fn code(self) -> u32 {
        match self {
            Exception::Interrupt => 0,
            Exception::Modified => 1,
            Exception::RefillLoad | Exception::InvalidLoad => 2,
            Exception::RefillStore | Exception::InvalidStore => 3,
            Exception::AddressLoad => 4,
            Exception::AddressStore => 5,
            Exception::DataBus => 6,
            Exception::InstructionBus => 7,
            Exception::Syscall => 8,
            Exception::Breakpoint => 9,
            Exception::Reserved => 10,
            Exception::Coprocessor(_) => 11,
            Exception::Overflow => 12,
        }
    }
}

/// What an address is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    Fetch,
}

/// What a processor does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Nothing, until it is reset.
    #[default]
    Halted,
    Running,
    /// Waits for an interrupt line (WAIT).
    Idle,
}

/// A register that gets its value behind the next instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pending {
    #[default]
    None,
    General(u8, u32),
    Cp0(u8, u32),
}

impl Pending {
    /// A load to `register`; to register 0 (decoded: [`SINK`]) it is none.
    pub(crate) fn general(register: u8, value: u32) -> Self {
        if register == 0 || register == SINK { Pending::None } else { Pending::General(register, value) }
    }
}

pub(crate) const STATUS_IEC: u32 = 1;
pub(crate) const STATUS_KUC: u32 = 1 << 1;
const STATUS_BEV: u32 = 1 << 22;
pub(crate) const STATUS_TE: u32 = 1 << 27;
const STATUS_CU0: u32 = 1 << 28;
const STATUS_RESET: u32 = STATUS_CU0 | STATUS_BEV;
pub(crate) const STATUS_MASK: u32 = 0x1f40_ff3f;
pub(crate) const CAUSE_IP: u32 = 0xff00;
const CAUSE_BD: u32 = 1 << 31;
/// A MIPS has it at bit 28.
const CAUSE_CE_SHIFT: u32 = 27;
pub(crate) const ENTRY_HI_MASK: u32 = 0xffff_ffc0;
const ASID_MASK: u32 = 0xfc0;
const VPN_MASK: u32 = 0xffff_f000;
pub(crate) const ENTRY_LO_MASK: u32 = 0xffff_ff00;
const LO_D: u32 = 1 << 10;
const LO_V: u32 = 1 << 9;
const LO_G: u32 = 1 << 8;
/// Where Index and Random have their value.
pub(crate) const INDEX_SHIFT: u32 = 8;
const BOOT_VECTORS: u32 = 0x1fc0_0100;
/// User mode may not go below.
pub(crate) const USER_BASE: u32 = 0x8000_0000;

/// HI and LO behind a division by zero.
pub(crate) const BY_ZERO: (u32, u32) = (0, i32::MAX as u32);
/// The interrupt line of the processor's own timer.
const CPU_TIMER_LINE: u32 = 1;

/// CP0's registers, by their numbers.
pub(crate) mod cp0 {
    pub(crate) const INDEX: u8 = 0;
    pub(crate) const RANDOM: u8 = 1;
    pub(crate) const ENTRY_LO: u8 = 2;
    /// Context on a MIPS. Writing it clears the TLB but for entry 0; it cannot be read.
    pub(crate) const TLB_CLEAR: u8 = 4;
    pub(crate) const BAD_VADDR: u8 = 8;
    pub(crate) const TIMER: u8 = 9;
    pub(crate) const ENTRY_HI: u8 = 10;
    pub(crate) const STATUS: u8 = 12;
    pub(crate) const CAUSE: u8 = 13;
    pub(crate) const EPC: u8 = 14;
    pub(crate) const PRID: u8 = 15;
}

/// Recent translations of one kind of access: (virtual page | 1, physical page). Found by the page's low bits.
pub(crate) type Recent = [(u32, u32); RECENT];
pub(crate) const RECENT: usize = 64;

/// One processor.
#[derive(Clone, Debug)]
pub(crate) struct Cpu {
    /// Number [`SINK`] is where register 0 is written to; there are 64 so that six bits never lead outside.
    pub gpr: [u32; 64],
    pub hi: u32,
    pub lo: u32,
    pub index: u32,
    pub random: u32,
    pub entry_lo: u32,
    pub bad_vaddr: u32,
    pub timer: u32,
    pub entry_hi: u32,
    pub status: u32,
    pub cause: u32,
    pub epc: u32,
    pub prid: u32,
    /// (EntryHi, EntryLo)
    pub tlb: Vec<(u32, u32)>,
    pub tlb_floor: u32,
    /// The present instruction and the two behind it.
    pub pc: u32,
    pub next: u32,
    pub after: u32,
    /// The present instruction is in a delay slot, of the branch at `branch_pc`.
    pub in_slot: bool,
    pub branch_pc: u32,
    pub pending: Pending,
    pub activity: Activity,
    /// Of the fast path; empty whenever the TLB or EntryHi changes.
    pub recent_reads: Recent,
    pub recent_writes: Recent,
}

impl Cpu {
    pub(crate) fn new(number: u32, tlb_size: u32, tlb_floor: u32) -> Self {
        Cpu {
            gpr: [0; 64],
            hi: 0,
            lo: 0,
            index: 0,
            random: 0,
            entry_lo: 0,
            bad_vaddr: 0,
            timer: 0,
            entry_hi: 0,
            status: 0,
            cause: 0,
            epc: 0,
            prid: number,
            tlb: vec![(0, 0); tlb_size as usize],
            tlb_floor,
            pc: 0,
            next: 4,
            after: 8,
            in_slot: false,
            branch_pc: 0,
            pending: Pending::None,
            activity: Activity::Halted,
            recent_reads: [(0, 0); RECENT],
            recent_writes: [(0, 0); RECENT],
        }
    }

    /// Reset: everything but the TLB and the number is as new, and the processor runs.
    pub(crate) fn reset(&mut self, pc: u32, sp: u32) {
        let tlb = std::mem::take(&mut self.tlb);
        *self = Cpu { tlb, ..Cpu::new(self.prid, 0, self.tlb_floor) };
        self.gpr[29] = sp;
        self.random = (self.tlb.len() as u32 - 2) << INDEX_SHIFT;
        self.status = STATUS_RESET;
        self.jump(pc);
        self.activity = Activity::Running;
    }

    /// Go on at `pc`, which is in no delay slot.
    pub(crate) fn jump(&mut self, pc: u32) {
        self.pc = pc;
        self.next = pc.wrapping_add(4);
        self.after = pc.wrapping_add(8);
        self.in_slot = false;
    }

    pub(crate) fn is_user(&self) -> bool {
        self.status & STATUS_KUC != 0
    }

    pub(crate) fn cp0_usable(&self) -> bool {
        self.status & STATUS_CU0 != 0 || !self.is_user()
    }

    /// Would an interrupt be taken between two instructions now?
    #[inline(always)]
    pub(crate) fn wants_interrupt(&self) -> bool {
        self.status & STATUS_IEC != 0 && self.cause & self.status & CAUSE_IP != 0
    }

    /// Drive an interrupt line. Any line that rises ends a WAIT, masked or not.
    pub(crate) fn set_ip(&mut self, line: u32, level: bool) {
        if level {
            self.cause |= 1 << (8 + line);
            if self.activity == Activity::Idle {
                self.activity = Activity::Running;
            }
        } else {
            self.cause &= !(1 << (8 + line));
        }
    }

    /// A tick of the processor's own timer.
    #[inline(always)]
    pub(crate) fn tick_timer(&mut self) {
        if self.status & STATUS_TE != 0 {
            if self.timer == 0 {
                self.set_ip(CPU_TIMER_LINE, true);
            }
            self.timer = self.timer.wrapping_sub(1);
        } else {
            self.set_ip(CPU_TIMER_LINE, false);
        }
    }

    /// The same for several ticks, in which the timer does not run out.
    pub(crate) fn tick_timer_by(&mut self, ticks: u32) {
        if self.status & STATUS_TE != 0 {
            self.timer = self.timer.wrapping_sub(ticks);
        } else if ticks != 0 {
            self.set_ip(CPU_TIMER_LINE, false);
        }
    }

    /// Ticks until the one in which the timer runs out.
    pub(crate) fn ticks_to_timer(&self) -> Option<u64> {
        (self.activity != Activity::Halted && self.status & STATUS_TE != 0).then_some(self.timer.into())
    }

    /// Random goes from the TLB's last entry down to 1 and around, a step an instruction.
    #[inline(always)]
    pub(crate) fn step_random(&mut self) {
        let last = (self.tlb.len() as u32 - 1) << INDEX_SHIFT;
        self.random = self.random.wrapping_sub(1 << INDEX_SHIFT) & last;
        if self.random < 1 << INDEX_SHIFT {
            self.random = last;
        }
    }

    /// Many steps of Random.
    pub(crate) fn step_random_by(&mut self, steps: u64) {
        if steps == 0 {
            return;
        }
        self.step_random(); // now it is within 1 … last
        let around = self.tlb.len() as u64 - 1;
        let at = u64::from(self.random >> INDEX_SHIFT) - 1;
        self.random = (((at + around - (steps - 1) % around) % around + 1) as u32) << INDEX_SHIFT;
    }

    /// The late value, if there is one, arrives.
    #[inline(always)]
    pub(crate) fn arrive(&mut self) {
        match std::mem::take(&mut self.pending) {
            Pending::None => {}
            Pending::General(register, value) => {
                if register != 0 {
                    self.gpr[register as usize] = value;
                }
            }
            Pending::Cp0(register, value) => self.write_cp0(register, value),
        }
    }

    /// The register's value for MFC0; None: there is no such register.
    pub(crate) fn read_cp0(&self, register: u8) -> Option<u32> {
        Some(match register {
            cp0::INDEX => self.index,
            cp0::RANDOM => self.random,
            cp0::ENTRY_LO => self.entry_lo,
            cp0::BAD_VADDR => self.bad_vaddr,
            cp0::TIMER => self.timer,
            cp0::ENTRY_HI => self.entry_hi,
            cp0::STATUS => self.status,
            cp0::CAUSE => self.cause,
            cp0::EPC => self.epc,
            cp0::PRID => self.prid,
            _ => return None,
        })
    }

    /// What MTC0 does in the end. Other registers cannot be written.
    fn write_cp0(&mut self, register: u8, value: u32) {
        match register {
            cp0::INDEX => self.index = self.index & 1 << 31 | value & (self.tlb.len() as u32 - 1) << INDEX_SHIFT,
            cp0::ENTRY_LO => self.entry_lo = value & ENTRY_LO_MASK,
            cp0::TIMER => {
                self.timer = value;
                self.set_ip(CPU_TIMER_LINE, false);
            }
            cp0::ENTRY_HI => {
                self.entry_hi = value & ENTRY_HI_MASK;
                self.forget_translations();
            }
            cp0::STATUS => self.status = value & STATUS_MASK,
            _ => {}
        }
    }

    /// RFE: the stack of modes, three deep, goes down.
    pub(crate) fn pop_modes(&mut self) {
        self.status = self.status & !0xf | self.status >> 2 & 0xf;
    }

    /// Take an exception. It arises at the present instruction; an interrupt before it.
    pub(crate) fn take(&mut self, exception: Exception) {
        self.arrive();
        self.cause = self.cause & CAUSE_IP | exception.code() << 2;
        if std::mem::take(&mut self.in_slot) {
            self.cause |= CAUSE_BD;
            self.epc = self.branch_pc;
        } else {
            self.epc = self.pc;
        }
        if let Exception::Coprocessor(number) = exception {
            self.cause |= number << CAUSE_CE_SHIFT;
        }
        let base = if self.status & STATUS_BEV != 0 { BOOT_VECTORS } else { 0 };
        self.status = self.status & !0x3f | (self.status & 0xf) << 2;
        let refill = matches!(exception, Exception::RefillLoad | Exception::RefillStore);
        let vector = base + if refill { 0 } else { 0x80 };
        if exception == Exception::Interrupt {
            self.jump(vector);
        } else {
            // The present instruction has become a NOP, which is still to be left behind.
            self.next = vector;
            self.after = vector + 4;
        }
    }

    /// The highest entry that matches.
    pub(crate) fn probe(&self, va: u32) -> Option<usize> {
        self.tlb.iter().rposition(|&(hi, lo)| {
            (hi ^ va) & VPN_MASK == 0 && (lo & LO_G != 0 || (hi ^ self.entry_hi) & ASID_MASK == 0)
        })
    }

    pub(crate) fn set_entry(&mut self, index: usize, hi: u32, lo: u32) {
        if let Some(entry) = self.tlb.get_mut(index) {
            *entry = (hi & ENTRY_HI_MASK, lo & ENTRY_LO_MASK);
        }
        self.forget_translations();
    }

    pub(crate) fn forget_translations(&mut self) {
        self.recent_reads = [(0, 0); RECENT];
        self.recent_writes = [(0, 0); RECENT];
    }

    /// Where `va` is; changes nothing. The flag: the TLB was asked, so a failure sets EntryHi.
    pub(crate) fn find(&self, va: u32, access: Access) -> Result<u32, (Exception, bool)> {
        let write = access == Access::Write;
        if va & 3 != 0 || self.is_user() && va < USER_BASE {
            let exception = if write { Exception::AddressStore } else { Exception::AddressLoad };
            return Err((exception, false));
        }
        if va < self.tlb_floor {
            return Ok(va);
        }
        let Some(index) = self.probe(va) else {
            return Err((if write { Exception::RefillStore } else { Exception::RefillLoad }, true));
        };
        let (_, lo) = self.tlb[index];
        if lo & LO_V == 0 {
            Err((if write { Exception::InvalidStore } else { Exception::InvalidLoad }, true))
        } else if write && lo & LO_D == 0 {
            Err((Exception::Modified, true))
        } else {
            Ok(lo & VPN_MASK | va & !VPN_MASK)
        }
    }

    /// Where `va` is, for an access: a failure sets BadVAddr, and one of the TLB's EntryHi.
    pub(crate) fn map(&mut self, va: u32, access: Access) -> Result<u32, Exception> {
        self.find(va, access).map_err(|(exception, by_tlb)| {
            self.bad_vaddr = va;
            if by_tlb {
                self.entry_hi = va & VPN_MASK | self.entry_hi & ASID_MASK; // the same ASID: translations stay
            }
            exception
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_steps_of_random_are_as_many_single_ones() {
        for size in [4, 8, 16, 32, 64] {
            for start in 0..size {
                for steps in [0, 1, 2, 3, 62, 63, 64, 127, 1000] {
                    let mut once = Cpu::new(0, size, u32::MAX);
                    once.random = start << INDEX_SHIFT;
                    let mut each = once.clone();
                    once.step_random_by(steps);
                    (0..steps).for_each(|_| each.step_random());
                    assert_eq!(once.random, each.random, "size {size}, from {start}, {steps} steps");
                }
            }
        }
    }

    #[test]
    fn an_exception_and_its_return_leave_the_modes_as_they_were() {
        let mut cpu = Cpu::new(0, 16, u32::MAX);
        cpu.reset(0x100, 0);
        for modes in 0..16 {
            cpu.status = STATUS_CU0 | modes;
            cpu.take(Exception::Syscall);
            assert_eq!(cpu.status & 3, 0);
            cpu.pop_modes();
            assert_eq!(cpu.status & 0xf, modes);
        }
    }
}
