//! F2XM1, FYL2X, FYL2XP1, FSIN, FCOS, FSINCOS, FPTAN, FPATAN: SDM vol. 1 §8.3.7 and §8.3.8.

use super::state::{C2, Fpu};
use crate::exit::Stop;
use crate::op::Op;
use crate::state::Cpu;
use guest_memory::Memory;
use soft_float::{Context, F80};

impl Fpu {
    /// Of ST(0); C2 is set if it is too large.
    fn angle(&mut self, function: fn(F80, &mut Context) -> Option<F80>) {
        self.status &= !C2;
        if self.is_empty(0) {
            self.underflow_in(0);
            return;
        }
        let mut context = self.full_context();
        match function(self.st(0), &mut context) {
            None => self.status |= C2,
            Some(value) => {
                if self.note(&context) {
                    self.set_st(0, value);
                }
            }
        }
    }

    /// Of ST(1) and ST(0), to ST(1), and pop.
    fn pair(&mut self, function: fn(F80, F80, &mut Context) -> F80) {
        if self.is_empty(0) || self.is_empty(1) {
            if self.underflow_in(1) {
                self.pop();
            }
            return;
        }
        let mut context = self.full_context();
        let value = function(self.st(1), self.st(0), &mut context);
        if self.note(&context) {
            self.set_st(1, value);
            self.pop();
        }
    }
}

pub(crate) fn f2xm1(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    let fpu = &mut cpu.fpu;
    if fpu.is_empty(0) {
        fpu.underflow_in(0);
        return Ok(());
    }
    let mut context = fpu.full_context();
    let value = fpu.st(0).exp2_minus_1(&mut context);
    if fpu.note(&context) {
        fpu.set_st(0, value);
    }
    Ok(())
}

pub(crate) fn fyl2x(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.pair(F80::times_log2);
    Ok(())
}

pub(crate) fn fyl2xp1(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.pair(F80::times_log2_plus_1);
    Ok(())
}

pub(crate) fn fpatan(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.pair(F80::arctangent);
    Ok(())
}

pub(crate) fn fsin(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.angle(F80::sin);
    Ok(())
}

pub(crate) fn fcos(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.angle(F80::cos);
    Ok(())
}

pub(crate) fn fsincos(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.status &= !C2;
    cpu.fpu.split(F80::sin_cos);
    Ok(())
}

pub(crate) fn fptan(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.status &= !C2;
    cpu.fpu.split(F80::tan);
    Ok(())
}
