//! Coprocessor 1's registers, moves, loads and stores: MD00086, MD00343 chapter 4.
//!
//! Thirty-two registers of 64 bits (Status.FR = 1), or sixteen at even numbers whose halves are the single ones
//! (FR = 0; odd numbers for 64 bits are then reserved instructions).

use super::Cpu;
use super::access::Stop;
use super::code::Op;
use super::cp0::{STATUS_CU1, STATUS_FR};
use super::exception::{FPE, RI, unusable};
use crate::table::{Insn, field};
use guest_memory::Memory;

/// FIR: F64, L, W, D, S; processor 0x93.
pub(crate) const FIR: u32 = 1 << 22 | 1 << 21 | 1 << 20 | 1 << 17 | 1 << 16 | 0x9300;
/// FCSR: all but bits 22…18.
pub(crate) const FCSR_MASK: u32 = 0xff83_ffff;
/// Cause: E, V, Z, O, U, I.
pub(crate) const FCSR_CAUSE: u32 = 0x3f << 12;
/// Cause.E: unimplemented operation.
const FCSR_E: u32 = 1 << 17;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fpu {
    pub regs: [u64; 32],
    pub fcsr: u32,
}

impl Fpu {
    pub(crate) fn condition(&self, number: u8) -> bool {
        let bit = if number == 0 { 23 } else { 24 + u32::from(number) };
        self.fcsr >> bit & 1 != 0
    }

    pub(crate) fn set_condition(&mut self, number: u8, holds: bool) {
        let bit = if number == 0 { 23 } else { 24 + u32::from(number) };
        self.fcsr = self.fcsr & !(1 << bit) | u32::from(holds) << bit;
    }

    /// Does FCSR ask for an exception that is its own cause?
    fn traps(&self) -> bool {
        self.fcsr & FCSR_E != 0 || self.fcsr >> 5 & self.fcsr & 0xf80 != 0
    }
}

impl Cpu {
    pub(crate) fn need_cp1(&self) -> Result<(), Stop> {
        if self.cp0.status & STATUS_CU1 == 0 { Err(unusable(1).into()) } else { Ok(()) }
    }

    /// A condition bit.
    #[inline]
    pub(crate) fn condition(&self, number: u8) -> Result<bool, Stop> {
        self.need_cp1()?;
        Ok(self.fpu.condition(number))
    }

    fn fr(&self) -> bool {
        self.cp0.status & STATUS_FR != 0
    }

    /// Numbers of 64 bits that are no doubles need all registers.
    pub(crate) fn need_fr(&self) -> Result<(), Stop> {
        if self.fr() { Ok(()) } else { Err(RI.into()) }
    }

    #[inline]
    pub(crate) fn single(&self, number: u8) -> u32 {
        if self.fr() {
            self.fpu.regs[usize::from(number & 31)] as u32
        } else {
            (self.fpu.regs[usize::from(number & 30)] >> (32 * u32::from(number & 1))) as u32
        }
    }

    #[inline]
    pub(crate) fn set_single(&mut self, number: u8, value: u32) {
        let (number, shift) = if self.fr() { (number & 31, 0) } else { (number & 30, 32 * u32::from(number & 1)) };
        let register = &mut self.fpu.regs[usize::from(number)];
        *register = *register & !(0xffff_ffff << shift) | u64::from(value) << shift;
    }

    #[inline]
    pub(crate) fn double(&self, number: u8) -> Result<u64, Stop> {
        if !self.fr() && number & 1 != 0 {
            return Err(RI.into());
        }
        Ok(self.fpu.regs[usize::from(number & 31)])
    }

    #[inline]
    pub(crate) fn set_double(&mut self, number: u8, value: u64) -> Result<(), Stop> {
        if !self.fr() && number & 1 != 0 {
            return Err(RI.into());
        }
        self.fpu.regs[usize::from(number & 31)] = value;
        Ok(())
    }

    /// Instructions of coprocessor 1, and those that are none.
    pub(crate) fn floating(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        if op.insn.row().is_none() {
            return Err(RI.into());
        }
        self.need_cp1()?;
        let word = op.imm;
        let (ft, fs, fd) = (field::rt(word), field::rd(word), field::sa(word));
        match op.insn {
            Insn::Mfc1 => self.set_reg(ft, self.single(fs)),
            Insn::Mtc1 => self.set_single(fs, self.reg(ft)),
            Insn::Mfhc1 => {
                let value = (self.fpu.regs[self.whole(fs)] >> 32) as u32;
                self.set_reg(ft, value);
            }
            Insn::Mthc1 => {
                let value = u64::from(self.reg(ft)) << 32;
                let number = self.whole(fs);
                let register = &mut self.fpu.regs[number];
                *register = *register & 0xffff_ffff | value;
            }
            Insn::Cfc1 => {
                let value = self.control(fs);
                self.set_reg(ft, value);
            }
            Insn::Ctc1 => return self.set_control(fs, self.reg(ft)),
            Insn::Lwc1 | Insn::Ldc1 | Insn::Swc1 | Insn::Sdc1 => {
                let va = self.regs[usize::from(op.b)].wrapping_add(op.imm);
                return match op.insn {
                    Insn::Lwc1 => self.load_single(memory, va, op.a),
                    Insn::Ldc1 => self.load_double(memory, va, op.a),
                    Insn::Swc1 => self.store(memory, va, 4, self.single(op.a).into()),
                    _ => self.store(memory, va, 8, self.double(op.a)?),
                };
            }
            Insn::Lwxc1 | Insn::Ldxc1 | Insn::Luxc1 | Insn::Swxc1 | Insn::Sdxc1 | Insn::Suxc1 => {
                if matches!(op.insn, Insn::Luxc1 | Insn::Suxc1) {
                    self.need_fr()?;
                }
                let va = self.reg(field::rs(word)).wrapping_add(self.reg(ft));
                return match op.insn {
                    Insn::Lwxc1 => self.load_single(memory, va, fd),
                    Insn::Ldxc1 => self.load_double(memory, va, fd),
                    Insn::Luxc1 => self.load_double(memory, va & !7, fd),
                    Insn::Swxc1 => self.store(memory, va, 4, self.single(fs).into()),
                    Insn::Sdxc1 => self.store(memory, va, 8, self.double(fs)?),
                    _ => self.store(memory, va & !7, 8, self.double(fs)?),
                };
            }
            Insn::Prefx => {}
            Insn::MovS => self.set_single(fd, self.single(fs)),
            Insn::MovD => return self.double(fs).and_then(|value| self.set_double(fd, value)),
            Insn::MovfS | Insn::MovtS => {
                if self.fpu.condition(field::cc_test(word)) == (op.insn == Insn::MovtS) {
                    self.set_single(fd, self.single(fs));
                }
            }
            Insn::MovzS | Insn::MovnS => {
                if (self.reg(ft) == 0) == (op.insn == Insn::MovzS) {
                    self.set_single(fd, self.single(fs));
                }
            }
            Insn::MovfD | Insn::MovtD => {
                let value = self.double(fs)?;
                if self.fpu.condition(field::cc_test(word)) == (op.insn == Insn::MovtD) {
                    return self.set_double(fd, value);
                }
            }
            Insn::MovzD | Insn::MovnD => {
                let value = self.double(fs)?;
                if (self.reg(ft) == 0) == (op.insn == Insn::MovzD) {
                    return self.set_double(fd, value);
                }
            }
            Insn::Cop1 | Insn::Cop1x => return Err(RI.into()),
            _ => return self.arithmetic(op.insn, word),
        }
        Ok(())
    }

    /// The register whose upper half MFHC1 and MTHC1 mean.
    fn whole(&self, number: u8) -> usize {
        usize::from(if self.fr() { number & 31 } else { number & 30 })
    }

    fn load_single(&mut self, memory: &mut Memory, va: u32, to: u8) -> Result<(), Stop> {
        let value = self.load(memory, va, 4)?;
        self.set_single(to, value as u32);
        Ok(())
    }

    fn load_double(&mut self, memory: &mut Memory, va: u32, to: u8) -> Result<(), Stop> {
        self.double(to)?;
        let value = self.load(memory, va, 8)?;
        self.set_double(to, value)
    }

    /// CFC1.
    fn control(&self, number: u8) -> u32 {
        let fcsr = self.fpu.fcsr;
        match number {
            0 => FIR,
            25 => fcsr >> 24 & 0xfe | fcsr >> 23 & 1,  // FCCR
            26 => fcsr & 0x0003_f07c,                  // FEXR
            28 => fcsr & 0x0000_0f83 | fcsr >> 22 & 4, // FENR
            31 => fcsr,
            _ => 0,
        }
    }

    /// CTC1. What FCSR then asks for is raised at once.
    fn set_control(&mut self, number: u8, value: u32) -> Result<(), Stop> {
        let before = self.fpu.fcsr;
        let fcsr = match number {
            25 => before & 0x017f_ffff | (value & 0xfe) << 24 | (value & 1) << 23,
            26 => before & !0x0003_f07c | value & 0x0003_f07c,
            28 => before & !0x0100_0f83 | value & 0x0000_0f83 | (value & 4) << 22,
            31 => value & FCSR_MASK,
            _ => return Ok(()),
        };
        self.fpu.fcsr = fcsr;
        if self.fpu.traps() { Err(FPE.into()) } else { Ok(()) }
    }
}
