//! FADD, FSUB, FMUL, FDIV in all their forms; FSQRT, FSCALE, FPREM, FRNDINT, FXTRACT, FABS, FCHS: SDM vol. 1 §8.3.5.
//!
//! The operations are numbered as in the instructions' reg field: 0 add, 1 multiply, 4 subtract, 5 the other way round,
//! 6 divide, 7 the other way round.

use super::state::{C0, C1, C2, C3, Fpu};
use crate::exit::Stop;
use crate::op::Op;
use crate::state::Cpu;
use guest_memory::Memory;
use soft_float::binary::{DOUBLE, SINGLE};
use soft_float::{Context, F80};

#[inline]
fn compute<const KIND: u8>(a: F80, b: F80, context: &mut Context) -> F80 {
    match KIND {
        0 => a.add(b, context),
        1 => a.mul(b, context),
        4 => a.sub(b, context),
        5 => b.sub(a, context),
        6 => a.div(b, context),
        _ => b.div(a, context),
    }
}

impl Fpu {
    /// On ST(0) and ST(`other`); false if an unmasked exception stopped it.
    #[inline]
    fn binary(&mut self, other: u8, destination: u8, function: impl Fn(F80, F80, &mut Context) -> F80) -> bool {
        if self.is_empty(0) || self.is_empty(other) {
            return self.underflow_in(destination);
        }
        let mut context = self.context();
        let result = function(self.st(0), self.st(other), &mut context);
        let stored = self.note(&context);
        if stored {
            self.set_st(destination, result);
        }
        stored
    }

    /// On ST(0) and an operand from memory, which may be a denormal of a smaller format.
    #[inline]
    fn with_memory<const KIND: u8>(&mut self, operand: F80, denormal: bool) {
        if self.is_empty(0) {
            self.underflow_in(0);
            return;
        }
        let (a, mut context) = (self.st(0), self.context());
        // Neither NaNs nor a zero divide leave it to be noticed.
        let hidden = a.is_nan() || a.is_unsupported() || KIND == 7 && a.is_zero();
        if denormal && !hidden {
            context.flags |= soft_float::DENORMAL;
        }
        let result = if context.stopped() { a } else { compute::<KIND>(a, operand, &mut context) };
        if self.note(&context) {
            self.set_st(0, result);
        }
    }

    /// On ST(0), rounded to the precision that is set.
    fn unary(&mut self, function: impl Fn(F80, &mut Context) -> F80) {
        self.binary(0, 0, |a, _, context| function(a, context));
    }
}

/// ST(0) = ST(0) ∘ ST(i).
pub(crate) fn arithmetic_st0<const KIND: u8>(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.binary(op.rm, 0, compute::<KIND>);
    Ok(())
}

/// ST(i) = ST(0) ∘ ST(i).
pub(crate) fn arithmetic_sti<const KIND: u8>(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.binary(op.rm, op.rm, compute::<KIND>);
    Ok(())
}

/// ST(i) = ST(0) ∘ ST(i), and pop.
pub(crate) fn arithmetic_pop<const KIND: u8>(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    if cpu.fpu.binary(op.rm, op.rm, compute::<KIND>) {
        cpu.fpu.pop();
    }
    Ok(())
}

pub(crate) fn arithmetic_m32<const KIND: u8>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let bits = cpu.x87_load::<u32>(memory, op)?;
    cpu.fpu.with_memory::<KIND>(F80::raw_single(bits), SINGLE.is_denormal(bits.into()));
    Ok(())
}

pub(crate) fn arithmetic_m64<const KIND: u8>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let bits = cpu.x87_load::<u64>(memory, op)?;
    cpu.fpu.with_memory::<KIND>(F80::raw_double(bits), DOUBLE.is_denormal(bits));
    Ok(())
}

pub(crate) fn arithmetic_m16i<const KIND: u8>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let value = cpu.x87_load::<u16>(memory, op)? as i16;
    cpu.fpu.with_memory::<KIND>(F80::of_integer(value.into()), false);
    Ok(())
}

pub(crate) fn arithmetic_m32i<const KIND: u8>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let value = cpu.x87_load::<u32>(memory, op)? as i32;
    cpu.fpu.with_memory::<KIND>(F80::of_integer(value.into()), false);
    Ok(())
}

pub(crate) fn fsqrt(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.unary(F80::sqrt);
    Ok(())
}

pub(crate) fn frndint(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.unary(F80::round);
    Ok(())
}

pub(crate) fn fscale(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.binary(1, 0, F80::scale);
    Ok(())
}

/// FPREM and FPREM1 (`NEAREST`).
pub(crate) fn fprem<const NEAREST: bool>(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    let fpu = &mut cpu.fpu;
    fpu.status &= !C2;
    if fpu.is_empty(0) || fpu.is_empty(1) {
        fpu.underflow_in(0);
        return Ok(());
    }
    let mut context = fpu.full_context();
    let remainder = fpu.st(0).remainder(fpu.st(1), NEAREST, &mut context);
    if fpu.note(&context) {
        fpu.set_st(0, remainder.value);
        if remainder.value.is_nan() {
            return Ok(()); // there is no quotient
        }
        let bit = |condition: bool, code: u16| if condition { code } else { 0 };
        let quotient = remainder.quotient;
        fpu.set_codes(
            bit(remainder.partial, C2)
                | bit(quotient & 4 != 0, C0)
                | bit(quotient & 2 != 0, C3)
                | bit(quotient & 1 != 0, C1),
        );
    }
    Ok(())
}

/// The exponent in ST(1), the significand in ST(0).
pub(crate) fn fxtract(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.split(|a, context| {
        let (exponent, significand) = a.extract(context);
        Some((exponent, significand))
    });
    Ok(())
}

impl Fpu {
    /// ST(0) becomes two numbers: the second is pushed. None: nothing, C2 set.
    pub(super) fn split(&mut self, function: impl Fn(F80, &mut Context) -> Option<(F80, F80)>) {
        if self.is_empty(0) || !self.is_empty(7) {
            let masked = if self.is_empty(0) { self.underflow() } else { self.no_room() };
            if masked {
                self.set_st(0, F80::INDEFINITE);
                self.push(F80::INDEFINITE);
            }
            return;
        }
        let mut context = self.full_context();
        let Some((first, second)) = function(self.st(0), &mut context) else {
            self.status |= C2;
            return;
        };
        if self.note(&context) {
            self.set_st(0, first);
            self.push(second);
        }
    }
}

pub(crate) fn fabs(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.sign(F80::abs);
    Ok(())
}

pub(crate) fn fchs(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.sign(F80::negate);
    Ok(())
}

impl Fpu {
    fn sign(&mut self, function: fn(F80) -> F80) {
        if self.is_empty(0) {
            self.underflow_in(0);
        } else {
            self.clear_c1();
            self.set_st(0, function(self.st(0)));
        }
    }
}
