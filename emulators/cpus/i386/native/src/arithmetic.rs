//! Binary arithmetic and logic: SDM 1, 5.1.2 and 5.1.4; SDM 2 under each name.

use crate::exit::Stop;
use crate::flags::Arithmetic;
use crate::op::{Done, Op};
use crate::operand::Num;
use crate::state::{Cpu, EAX, EDX};
use crate::vectors::DE;
use guest_memory::Memory;

/// An instruction of two operands.
pub(crate) trait Alu {
    /// Is the result written?
    const WRITES: bool = true;
    fn run<T: Num>(flags: &mut Arithmetic, a: T, b: T) -> T;
}

pub(crate) struct Add;
pub(crate) struct Or;
pub(crate) struct Adc;
pub(crate) struct Sbb;
pub(crate) struct And;
pub(crate) struct Sub;
pub(crate) struct Xor;
pub(crate) struct Cmp;
pub(crate) struct Test;

macro_rules! sums {
    ($($name:ident, $writes:literal, $flags:ident, $method:ident, $carry:literal;)*) => {$(
        impl Alu for $name {
            const WRITES: bool = $writes;

            #[inline(always)]
            fn run<T: Num>(flags: &mut Arithmetic, a: T, b: T) -> T {
                let (a, b) = (a.zx(), b.zx());
                let carry = if $carry { u32::from(flags.cf()) } else { 0 };
                let result = T::low(a.$method(b).$method(carry));
                flags.$flags(a, b, result.sx(), T::BITS);
                result
            }
        }
    )*};
}

sums! {
    Add, true, added, wrapping_add, false;
    Adc, true, added, wrapping_add, true;
    Sub, true, subtracted, wrapping_sub, false;
    Sbb, true, subtracted, wrapping_sub, true;
    Cmp, false, subtracted, wrapping_sub, false;
}

macro_rules! logic {
    ($($name:ident, $writes:literal, $operator:tt;)*) => {$(
        impl Alu for $name {
            const WRITES: bool = $writes;

            #[inline(always)]
            fn run<T: Num>(flags: &mut Arithmetic, a: T, b: T) -> T {
                let result = T::low(a.zx() $operator b.zx());
                flags.logical(result.sx());
                result
            }
        }
    )*};
}

logic! {
    Or, true, |;
    And, true, &;
    Xor, true, ^;
    Test, false, &;
}

#[inline(always)]
fn to_rm<O: Alu, T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op, b: T) -> Done {
    let a = cpu.rm::<T, M>(memory, op)?;
    let mut flags = cpu.arithmetic;
    let result = O::run(&mut flags, a, b);
    if O::WRITES {
        cpu.set_rm::<T, M>(memory, op, result)?;
    }
    cpu.arithmetic = flags;
    Ok(())
}

/// E, G
pub(crate) fn e_g<O: Alu, T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let b = T::get(cpu, op.reg);
    to_rm::<O, T, M>(cpu, memory, op, b)
}

/// E, I
pub(crate) fn e_i<O: Alu, T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    to_rm::<O, T, M>(cpu, memory, op, T::low(op.imm))
}

/// G, E
pub(crate) fn g_e<O: Alu, T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let b = cpu.rm::<T, M>(memory, op)?;
    let a = T::get(cpu, op.reg);
    let result = O::run(&mut cpu.arithmetic, a, b);
    if O::WRITES {
        T::set(cpu, op.reg, result);
    }
    Ok(())
}

/// AL or eAX, I
pub(crate) fn a_i<O: Alu, T: Num, const M: bool>(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    let a = T::get(cpu, EAX as u8);
    let result = O::run(&mut cpu.arithmetic, a, T::low(op.imm));
    if O::WRITES {
        T::set(cpu, EAX as u8, result);
    }
    Ok(())
}

/// INC, DEC: CF stays.
#[inline(always)]
fn counted<T: Num, const DOWN: bool>(flags: &mut Arithmetic, a: T) -> T {
    let carry = flags.cf();
    let one = T::low(1);
    let result = if DOWN { Sub::run(flags, a, one) } else { Add::run(flags, a, one) };
    flags.set_carry(carry);
    result
}

pub(crate) fn inc_dec<T: Num, const DOWN: bool, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let a = cpu.rm::<T, M>(memory, op)?;
    let mut flags = cpu.arithmetic;
    let result = counted::<T, DOWN>(&mut flags, a);
    cpu.set_rm::<T, M>(memory, op, result)?;
    cpu.arithmetic = flags;
    Ok(())
}

pub(crate) fn inc_dec_z<T: Num, const DOWN: bool>(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    let a = T::get(cpu, op.reg);
    let result = counted::<T, DOWN>(&mut cpu.arithmetic, a);
    T::set(cpu, op.reg, result);
    Ok(())
}

pub(crate) fn neg<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let a = cpu.rm::<T, M>(memory, op)?;
    let mut flags = cpu.arithmetic;
    let result = Sub::run(&mut flags, T::low(0), a);
    cpu.set_rm::<T, M>(memory, op, result)?;
    cpu.arithmetic = flags;
    Ok(())
}

pub(crate) fn not<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let a = cpu.rm::<T, M>(memory, op)?;
    cpu.set_rm::<T, M>(memory, op, T::low(!a.zx()))
}

/// MUL, IMUL of one operand. SF, ZF, PF are undefined: here of the low half; AF is clear.
pub(crate) fn mul<T: Num, const SIGNED: bool, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let b = cpu.rm::<T, M>(memory, op)?;
    let a = T::get(cpu, EAX as u8);
    let product = if SIGNED {
        (i64::from(a.sx() as i32) * i64::from(b.sx() as i32)) as u64
    } else {
        u64::from(a.zx()) * u64::from(b.zx())
    };
    let (low, high) = (T::low(product as u32), T::low((product >> T::BITS) as u32));
    if T::BITS == 8 {
        cpu.set_r16(EAX as u8, product as u16);
    } else {
        T::set(cpu, EAX as u8, low);
        T::set(cpu, EDX as u8, high);
    }
    let more = if SIGNED { high != T::low(((low.sx() as i32) >> 31) as u32) } else { high != T::low(0) };
    cpu.arithmetic.explicit(low.sx(), more, more, false);
    Ok(())
}

/// IMUL of two or three operands.
#[inline(always)]
fn signed_product<T: Num>(flags: &mut Arithmetic, a: T, b: T) -> T {
    let product = i64::from(a.sx() as i32) * i64::from(b.sx() as i32);
    let result = T::low(product as u32);
    let more = i64::from(result.sx() as i32) != product;
    flags.explicit(result.sx(), more, more, false);
    result
}

pub(crate) fn imul_g_e<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let b = cpu.rm::<T, M>(memory, op)?;
    let a = T::get(cpu, op.reg);
    let result = signed_product(&mut cpu.arithmetic, a, b);
    T::set(cpu, op.reg, result);
    Ok(())
}

pub(crate) fn imul_g_e_i<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let a = cpu.rm::<T, M>(memory, op)?;
    let result = signed_product(&mut cpu.arithmetic, a, T::low(op.imm));
    T::set(cpu, op.reg, result);
    Ok(())
}

/// DIV, IDIV. Flags are undefined: they stay.
pub(crate) fn div<T: Num, const SIGNED: bool, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let divisor = cpu.rm::<T, M>(memory, op)?;
    let dividend = if T::BITS == 8 {
        u64::from(cpu.r16(EAX as u8))
    } else {
        u64::from(T::get(cpu, EDX as u8).zx()) << T::BITS | u64::from(T::get(cpu, EAX as u8).zx())
    };
    let (quotient, remainder) = if SIGNED {
        let shift = 64 - 2 * T::BITS;
        signed_division::<T>((dividend << shift) as i64 >> shift, i64::from(divisor.sx() as i32))
    } else {
        unsigned_division::<T>(dividend, divisor.zx().into())
    }
    .ok_or_else(|| cpu.divide_error())?;
    if T::BITS == 8 {
        cpu.set_r16(EAX as u8, (remainder.zx() << 8 | quotient.zx()) as u16);
    } else {
        T::set(cpu, EAX as u8, quotient);
        T::set(cpu, EDX as u8, remainder);
    }
    Ok(())
}

fn unsigned_division<T: Num>(dividend: u64, divisor: u64) -> Option<(T, T)> {
    let quotient = dividend.checked_div(divisor)?;
    (quotient >> T::BITS == 0).then(|| (T::low(quotient as u32), T::low((dividend % divisor) as u32)))
}

fn signed_division<T: Num>(dividend: i64, divisor: i64) -> Option<(T, T)> {
    let quotient = dividend.checked_div(divisor)?;
    let low = T::low(quotient as u32);
    (i64::from(low.sx() as i32) == quotient).then(|| (low, T::low((dividend % divisor) as u32)))
}

impl Cpu {
    #[cold]
    pub(crate) fn divide_error(&mut self) -> Stop {
        self.fault_without_code(DE)
    }
}

/// CMPXCHG.
pub(crate) fn cmpxchg<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let there = cpu.rm::<T, M>(memory, op)?;
    let wanted = T::get(cpu, EAX as u8);
    let mut flags = cpu.arithmetic;
    Cmp::run(&mut flags, wanted, there);
    if wanted == there {
        let new = T::get(cpu, op.reg);
        cpu.set_rm::<T, M>(memory, op, new)?;
    } else {
        cpu.set_rm::<T, M>(memory, op, there)?; // as the processor does
        T::set(cpu, EAX as u8, there);
    }
    cpu.arithmetic = flags;
    Ok(())
}

/// XADD.
pub(crate) fn xadd<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let there = cpu.rm::<T, M>(memory, op)?;
    let more = T::get(cpu, op.reg);
    let mut flags = cpu.arithmetic;
    let sum = Add::run(&mut flags, there, more);
    if M {
        cpu.set_rm::<T, M>(memory, op, sum)?;
        T::set(cpu, op.reg, there);
    } else {
        T::set(cpu, op.reg, there);
        T::set(cpu, op.rm, sum);
    }
    cpu.arithmetic = flags;
    Ok(())
}

/// CMPXCHG8B.
pub(crate) fn cmpxchg8b(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let offset = cpu.ea(op);
    let there = cpu.load::<u64>(memory, op.seg, offset)?;
    let wanted = u64::from(cpu.regs[EDX]) << 32 | u64::from(cpu.regs[EAX]);
    let equal = there == wanted;
    let new = u64::from(cpu.regs[crate::state::ECX]) << 32 | u64::from(cpu.regs[crate::state::EBX]);
    cpu.store::<u64>(memory, op.seg, offset, if equal { new } else { there })?;
    if !equal {
        cpu.regs[EAX] = there as u32;
        cpu.regs[EDX] = (there >> 32) as u32;
    }
    let flags = cpu.arithmetic.get() & !crate::flags::ZF;
    cpu.arithmetic.set(flags | if equal { crate::flags::ZF } else { 0 });
    Ok(())
}
