//! Rare instructions: system calls, CP0, LL and SC, bit insertion. MD00086 under each name.

use super::Cpu;
use super::access::Stop;
use super::code::{Op, SINK};
use super::cp0::{COUNT_TICKS, DEBUG_DBP, DEBUG_DM, STATUS_CU0, STATUS_IE, SYNCI_STEP};
use super::exception::{BP, DEBUG, RI, SYS, unusable};
use super::tlb::Access;
use crate::table::{Insn, field};
use guest_memory::Memory;

impl Cpu {
    /// Execute what the loop does not know. The instruction count is that of the instructions before.
    pub(crate) fn special(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let word = op.imm;
        match op.insn {
            Insn::Syscall => Err(SYS.into()),
            Insn::Break => Err(BP.into()),
            Insn::Sdbbp if self.options.hypercalls => Err(Stop::Hypercall(field::code(word))),
            Insn::Sdbbp => Err(DEBUG.into()),
            Insn::Ins => {
                let (position, last) = (u32::from(field::sa(word)), u32::from(field::rd(word)));
                if last >= position {
                    let mask = u32::MAX >> (31 - (last - position)) << position;
                    let (from, to) = (self.reg(field::rs(word)), self.reg(field::rt(word)));
                    self.set_reg(field::rt(word), to & !mask | from << position & mask);
                }
                Ok(())
            }
            Insn::Ll => {
                let va = self.regs[usize::from(op.b)].wrapping_add(op.imm);
                let value = self.load(memory, va, 4)? as u32;
                self.ll_bit = true;
                self.cp0.ll_addr = self.translated(va, Access::Read)? >> 4;
                self.regs[usize::from(op.a)] = value;
                Ok(())
            }
            Insn::Sc => {
                let va = self.reg(field::rs(word)).wrapping_add(field::signed(word));
                self.fault_address = va;
                if va % 4 != 0 {
                    return Err(super::exception::ADES.into());
                }
                let linked = self.ll_bit && self.translated(va, Access::Write)? >> 4 == self.cp0.ll_addr;
                if linked {
                    self.store_slow(memory, va, 4, self.reg(field::rt(word)).into(), false)?;
                }
                self.ll_bit = false;
                self.set_reg(field::rt(word), linked.into());
                Ok(())
            }
            Insn::Movf | Insn::Movt => {
                if self.condition(field::cc_test(word))? == (op.insn == Insn::Movt) {
                    self.set_reg(field::rd(word), self.reg(field::rs(word)));
                }
                Ok(())
            }
            Insn::Rdhwr => self.rdhwr(word),
            Insn::Cache | Insn::Mfc0 | Insn::Mtc0 | Insn::Rdpgpr | Insn::Wrpgpr | Insn::Di | Insn::Ei | Insn::Wait => {
                self.privileged(op)
            }
            Insn::Tlbr | Insn::Tlbwi | Insn::Tlbwr | Insn::Tlbp | Insn::Eret | Insn::Deret => self.privileged(op),
            Insn::Cop0 => {
                self.need_cp0()?;
                Err(RI.into())
            }
            Insn::Cop2 | Insn::Lwc2 | Insn::Ldc2 | Insn::Swc2 | Insn::Sdc2 => Err(unusable(2).into()),
            _ => self.floating(memory, op),
        }
    }

    #[inline]
    pub(crate) fn reg(&self, number: u8) -> u32 {
        self.regs[usize::from(number)]
    }

    #[inline]
    pub(crate) fn set_reg(&mut self, number: u8, value: u32) {
        self.regs[usize::from(if number == 0 { SINK } else { number })] = value;
    }

    fn need_cp0(&self) -> Result<(), Stop> {
        if self.user && self.cp0.status & STATUS_CU0 == 0 { Err(unusable(0).into()) } else { Ok(()) }
    }

    /// What needs coprocessor 0.
    fn privileged(&mut self, op: Op) -> Result<(), Stop> {
        self.need_cp0()?;
        let word = op.imm;
        match op.insn {
            Insn::Mfc0 => {
                let value = self.cp0_read(field::rd(word), field::select(word));
                self.set_reg(field::rt(word), value);
                return Ok(());
            }
            Insn::Mtc0 => {
                let register = field::rd(word);
                self.cp0_write(register, field::select(word), self.reg(field::rt(word)));
                if !(9..14).contains(&register) {
                    return Ok(());
                }
            }
            Insn::Rdpgpr | Insn::Wrpgpr => {
                // There is one set of registers: its own shadow.
                self.regs[usize::from(op.a)] = self.reg(op.b);
                return Ok(());
            }
            Insn::Di | Insn::Ei => {
                let before = self.cp0.status;
                let ie = if op.insn == Insn::Ei { STATUS_IE } else { 0 };
                self.cp0.status = before & !STATUS_IE | ie;
                self.set_reg(field::rt(word), before);
            }
            Insn::Tlbr => self.tlb_read(),
            Insn::Tlbwi => self.tlb_write(self.cp0.index & !(1 << 31)),
            Insn::Tlbwr => self.tlb_write(self.random()),
            Insn::Tlbp => self.tlb_probe(),
            Insn::Eret => return Err(Stop::Goto(self.eret())),
            Insn::Deret => {
                if self.cp0.debug & DEBUG_DM == 0 {
                    return Err(RI.into());
                }
                self.cp0.debug &= !(DEBUG_DM | DEBUG_DBP);
                self.refresh_mode();
                return Err(Stop::Goto(self.cp0.depc));
            }
            Insn::Wait => return Err(Stop::Halted),
            _ => return Ok(()), // CACHE
        }
        Err(Stop::Retired)
    }

    /// RDHWR: what HWREna lets user mode read.
    fn rdhwr(&mut self, word: u32) -> Result<(), Stop> {
        let register = field::rd(word);
        let allowed = !self.user || self.cp0.status & STATUS_CU0 != 0 || self.cp0.hwrena >> register & 1 != 0;
        let value = match register {
            0 => self.cp0.ebase & 0x3ff,
            1 => SYNCI_STEP,
            2 => self.count(),
            3 => COUNT_TICKS as u32,
            29 => self.cp0.user_local,
            _ => return Err(RI.into()),
        };
        if !allowed {
            return Err(RI.into());
        }
        self.set_reg(field::rt(word), value);
        Ok(())
    }
}
