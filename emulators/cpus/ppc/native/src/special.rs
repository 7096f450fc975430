//! Instructions that are rare, or that may change what follows.

use crate::Cpu;
use crate::access::Stop;
use crate::exception::{FP_ENABLED, ILLEGAL, SYSTEM_CALL};
use crate::msr;
use crate::op::Op;
use crate::table::{Insn, field};
use guest_memory::Memory;

impl Cpu {
    /// Never inlined: the loop's registers are for what is frequent.
    #[inline(never)]
    pub(crate) fn special(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let word = op.word;
        match op.insn {
            Insn::Lmw => return self.load_multiple(memory, op),
            Insn::Stmw => return self.store_multiple(memory, op),
            Insn::Lswi | Insn::Lswx => return self.load_string(memory, op),
            Insn::Stswi | Insn::Stswx => return self.store_string(memory, op),
            Insn::Lwarx => return self.load_reserved(memory, op),
            Insn::Stwcx => return self.store_conditional(memory, op),
            Insn::Dcbz => return self.clear_block(memory, op),
            Insn::Dcbi => {
                self.need_supervisor()?;
                return self.touch_block(memory, op);
            }
            Insn::Dcbf | Insn::Dcbst | Insn::Icbi => return self.touch_block(memory, op),
            Insn::Eciwx | Insn::Ecowx => return self.external_control(memory, op),
            Insn::Dcbt | Insn::Dcbtst | Insn::Dcba | Insn::Sync | Insn::Isync | Insn::Eieio => {}
            Insn::Sc if self.options.hypercalls && word >> 5 & 0x7f == 1 => return Err(Stop::Hypercall(self.regs[3])),
            Insn::Sc => return Err(Stop::Behind(SYSTEM_CALL)),
            Insn::Rfi => {
                self.need_supervisor()?;
                let target = self.return_from_interrupt();
                return Err(Stop::Goto(target));
            }
            Insn::Crand => self.cr_bits(word, |a, b| a && b),
            Insn::Cror => self.cr_bits(word, |a, b| a || b),
            Insn::Crxor => self.cr_bits(word, |a, b| a != b),
            Insn::Crnand => self.cr_bits(word, |a, b| !(a && b)),
            Insn::Crnor => self.cr_bits(word, |a, b| !(a || b)),
            Insn::Creqv => self.cr_bits(word, |a, b| a == b),
            Insn::Crandc => self.cr_bits(word, |a, b| a && !b),
            Insn::Crorc => self.cr_bits(word, |a, b| a || !b),
            Insn::Mcrf => self.cr[usize::from(field::crfd(word))] = self.cr[usize::from(field::crfs(word))],
            Insn::Mfcr => self.regs[usize::from(op.d)] = self.cr(),
            Insn::Mtcrf => {
                let mask = Cpu::cr_mask(word);
                self.set_cr(self.cr() & !mask | self.regs[usize::from(op.d)] & mask);
            }
            Insn::Mcrxr => {
                let xer = self.xer();
                self.cr[usize::from(field::crfd(word))] = (xer >> 28) as u8;
                self.set_xer(xer & 0x0fff_ffff);
            }
            Insn::Mfmsr => {
                self.need_supervisor()?;
                self.regs[usize::from(op.d)] = self.msr;
            }
            Insn::Mtmsr => {
                self.need_supervisor()?;
                self.set_msr(self.regs[usize::from(op.d)]);
                return Err(if self.dozes() { Stop::Halted } else { Stop::Retired });
            }
            Insn::Mfspr => {
                // The link register, the counter and XER are read in every function.
                self.regs[usize::from(op.d)] = match field::spr(word) {
                    8 => self.lr,
                    9 => self.ctr,
                    1 => self.xer(),
                    number => self.mfspr(number)?,
                };
            }
            Insn::Mtspr => {
                let value = self.regs[usize::from(op.d)];
                match field::spr(word) {
                    8 => self.lr = value,
                    9 => self.ctr = value,
                    1 => self.set_xer(value),
                    number => return self.mtspr(number, value),
                }
            }
            Insn::Mftb => {
                self.regs[usize::from(op.d)] = match field::spr(word) {
                    268 => self.tb() as u32,
                    269 => (self.tb() >> 32) as u32,
                    _ => return Err(ILLEGAL.into()),
                };
            }
            Insn::Mfsr => {
                self.need_supervisor()?;
                self.regs[usize::from(op.d)] = self.sr[usize::from(field::sr(word))];
            }
            Insn::Mfsrin => {
                self.need_supervisor()?;
                self.regs[usize::from(op.d)] = self.sr[(self.regs[usize::from(op.b)] >> 28) as usize];
            }
            Insn::Mtsr => return self.set_segment(field::sr(word).into(), op),
            Insn::Mtsrin => return self.set_segment((self.regs[usize::from(op.b)] >> 28) as usize, op),
            Insn::Tlbie => {
                self.need_supervisor()?;
                self.soft.forget_page(self.regs[usize::from(op.b)]);
                return Err(Stop::Retired);
            }
            Insn::Tlbsync => self.need_supervisor()?,
            insn if insn.is_vector() => return self.vector(memory, op),
            _ => return self.floating(memory, op),
        }
        Ok(())
    }

    fn set_segment(&mut self, number: usize, op: Op) -> Result<(), Stop> {
        self.need_supervisor()?;
        let value = self.regs[usize::from(op.d)];
        if self.sr[number] == value {
            return Ok(());
        }
        self.sr[number] = value;
        self.soft.forget_paged();
        Err(Stop::Retired)
    }

    fn cr_bits(&mut self, word: u32, combine: impl Fn(bool, bool) -> bool) {
        let cr = self.cr();
        let bit = |n: u8| cr >> (31 - n) & 1 != 0;
        let to = field::d(word);
        let value = u32::from(combine(bit(field::a(word)), bit(field::b(word))));
        self.set_cr(cr & !(1 << (31 - to)) | value << (31 - to));
    }

    /// What a floating-point instruction whose exceptions are enabled ends with.
    pub(crate) fn fp_exception(&self) -> Result<(), Stop> {
        let enabled = self.msr & (msr::FE0 | msr::FE1) != 0;
        if enabled && self.fpscr & crate::fpu::FEX != 0 { Err(FP_ENABLED.into()) } else { Ok(()) }
    }
}
