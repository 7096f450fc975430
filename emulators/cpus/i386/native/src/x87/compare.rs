//! FCOM, FUCOM, FCOMI, FICOM, FTST, FXAM and their relations: SDM vol. 1 §8.3.6.

use super::state::{C0, C1, C2, C3, Fpu};
use crate::exit::Stop;
use crate::flags::{AF, CF, OF, PF, SF, ZF};
use crate::op::Op;
use crate::state::Cpu;
use guest_memory::Memory;
use soft_float::binary::{DOUBLE, SINGLE};
use soft_float::{F80, Relation};

fn codes(relation: Relation) -> u16 {
    match relation {
        Relation::Greater => 0,
        Relation::Less => C0,
        Relation::Equal => C3,
        Relation::Unordered => C0 | C2 | C3,
    }
}

impl Fpu {
    /// ST(0) beside a number, and whether an unmasked exception stops what follows: the relation is told all the same
    /// (found on processors). A denormal of a smaller format is told apart.
    fn relation(&mut self, other: Option<F80>, denormal: bool, quiet: bool) -> (Relation, bool) {
        let Some(other) = other.filter(|_| !self.is_empty(0)) else {
            return (Relation::Unordered, !self.underflow());
        };
        let mut context = self.context();
        let relation = self.st(0).compare(other, quiet, &mut context);
        if denormal && relation != Relation::Unordered {
            context.flags |= soft_float::DENORMAL;
        }
        (relation, !self.note(&context))
    }

    fn operand(&self, number: u8) -> Option<F80> {
        (!self.is_empty(number)).then(|| self.st(number))
    }

    /// Compared, condition codes set, popped so many times.
    fn order(&mut self, other: Option<F80>, denormal: bool, quiet: bool, pops: u8) {
        let (relation, stopped) = self.relation(other, denormal, quiet);
        self.set_codes(codes(relation));
        if !stopped {
            for _ in 0..pops {
                self.pop();
            }
        }
    }
}

/// FCOM, FUCOM (`QUIET`) with ST(i); with two pops ST(1).
pub(crate) fn fcom<const QUIET: bool, const POPS: u8>(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    let other = cpu.fpu.operand(if POPS == 2 { 1 } else { op.rm });
    cpu.fpu.order(other, false, QUIET, POPS);
    Ok(())
}

pub(crate) fn fcom_m32<const POPS: u8>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let bits = cpu.x87_load::<u32>(memory, op)?;
    cpu.fpu.order(Some(F80::raw_single(bits)), SINGLE.is_denormal(bits.into()), false, POPS);
    Ok(())
}

pub(crate) fn fcom_m64<const POPS: u8>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let bits = cpu.x87_load::<u64>(memory, op)?;
    cpu.fpu.order(Some(F80::raw_double(bits)), DOUBLE.is_denormal(bits), false, POPS);
    Ok(())
}

pub(crate) fn ficom_m16<const POPS: u8>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let value = cpu.x87_load::<u16>(memory, op)? as i16;
    cpu.fpu.order(Some(F80::of_integer(value.into())), false, false, POPS);
    Ok(())
}

pub(crate) fn ficom_m32<const POPS: u8>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let value = cpu.x87_load::<u32>(memory, op)? as i32;
    cpu.fpu.order(Some(F80::of_integer(value.into())), false, false, POPS);
    Ok(())
}

/// FCOMI, FUCOMI (`QUIET`), and with a pop.
pub(crate) fn fcomi<const QUIET: bool, const POPS: u8>(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    let other = cpu.fpu.operand(op.rm);
    let (relation, stopped) = cpu.fpu.relation(other, false, QUIET);
    let flags = match relation {
        Relation::Greater => 0,
        Relation::Less => CF,
        Relation::Equal => ZF,
        Relation::Unordered => ZF | PF | CF,
    };
    cpu.set_eflags(cpu.eflags() & !(ZF | PF | CF | OF | SF | AF) | flags);
    if !stopped {
        for _ in 0..POPS {
            cpu.fpu.pop();
        }
    }
    Ok(())
}

pub(crate) fn ftst(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.order(Some(F80::ZERO), false, false, 0);
    Ok(())
}

/// SDM vol. 2, FXAM, table.
pub(crate) fn fxam(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    let fpu = &mut cpu.fpu;
    let value = fpu.st(0);
    let class = if fpu.is_empty(0) {
        C3 | C0
    } else if value.is_unsupported() {
        0
    } else if value.is_nan() {
        C0
    } else if value.is_infinite() {
        C2 | C0
    } else if value.is_zero() {
        C3
    } else if value.is_denormal() {
        C3 | C2
    } else {
        C2
    };
    fpu.set_codes(class | if value.is_negative() { C1 } else { 0 });
    Ok(())
}
