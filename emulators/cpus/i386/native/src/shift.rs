//! Shifts and rotations: SDM 1, 5.1.5; SDM 2 under each name. AF, which is undefined, becomes 0; OF of counts other than 1,
//! undefined too, is what processors make of it: computed as for the last step of one.

use crate::flags::Arithmetic;
use crate::op::{Done, Op};
use crate::operand::Num;
use crate::state::{Cpu, ECX};
use guest_memory::Memory;

/// ROL ROR RCL RCR SHL SHR SHL SAR: the reg field.
pub(crate) const ROL: u8 = 0;
pub(crate) const ROR: u8 = 1;
pub(crate) const RCL: u8 = 2;
pub(crate) const RCR: u8 = 3;
pub(crate) const SHL: u8 = 4;
pub(crate) const SHR: u8 = 5;
pub(crate) const SAR: u8 = 7;

/// Shift `a` by `count`, 1 … 31.
#[inline(always)]
fn shifted<T: Num, const O: u8>(flags: &mut Arithmetic, a: T, count: u32) -> T {
    let bits = T::BITS;
    let value = u64::from(a.zx());
    let top = |value: u64| value >> (bits - 1) & 1 != 0;
    match O {
        SHL => {
            let wide = value << count;
            let result = T::low(wide as u32);
            let carry = wide >> bits & 1 != 0;
            flags.explicit(result.sx(), carry, carry != top(wide), false);
            result
        }
        SHR => {
            let result = T::low((value >> count) as u32);
            let carry = value >> (count - 1) & 1 != 0;
            flags.explicit(result.sx(), carry, top(value >> (count - 1)), false);
            result
        }
        SAR => {
            let value = a.sx() as i32;
            let last = value >> (count - 1);
            let result = T::low((last >> 1) as u32);
            flags.explicit(result.sx(), last & 1 != 0, false, false);
            result
        }
        ROL => {
            let by = count % bits;
            let result = T::low((value << by | value >> ((bits - by) % bits)) as u32);
            let carry = result.zx() & 1 != 0;
            flags.set_carry_overflow(carry, carry != top(result.zx().into()));
            result
        }
        ROR => {
            let by = count % bits;
            let result = T::low((value >> by | value << ((bits - by) % bits)) as u32);
            let carry = top(result.zx().into());
            flags.set_carry_overflow(carry, carry != top(u64::from(result.zx()) << 1));
            result
        }
        RCL => {
            let by = count % (bits + 1);
            if by == 0 {
                let carry = flags.cf();
                flags.set_carry_overflow(carry, carry != top(value));
                return a;
            }
            let wide = u64::from(flags.cf()) << bits | value;
            let turned = wide << by | wide >> (bits + 1 - by);
            let result = T::low(turned as u32);
            let carry = turned >> bits & 1 != 0;
            flags.set_carry_overflow(carry, carry != top(result.zx().into()));
            result
        }
        _ => {
            let by = count % (bits + 1);
            if by == 0 {
                let (carry, result) = (flags.cf(), value);
                flags.set_carry_overflow(carry, top(result) != top(result << 1));
                return a;
            }
            let wide = u64::from(flags.cf()) << bits | value;
            let turned = wide >> by | wide << (bits + 1 - by);
            let result = T::low(turned as u32);
            let carry = turned >> bits & 1 != 0;
            flags.set_carry_overflow(carry, top(result.zx().into()) != top(u64::from(result.zx()) << 1));
            result
        }
    }
}

#[inline(always)]
fn shift<T: Num, const O: u8, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op, count: u32) -> Done {
    let a = cpu.rm::<T, M>(memory, op)?;
    let count = count & 31;
    if count == 0 {
        // Memory is written nevertheless; nothing else changes.
        return if M { cpu.set_rm::<T, M>(memory, op, a) } else { Ok(()) };
    }
    let mut flags = cpu.arithmetic;
    let result = shifted::<T, O>(&mut flags, a, count);
    cpu.set_rm::<T, M>(memory, op, result)?;
    cpu.arithmetic = flags;
    Ok(())
}

pub(crate) fn by_one<T: Num, const O: u8, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    shift::<T, O, M>(cpu, memory, op, 1)
}

pub(crate) fn by_cl<T: Num, const O: u8, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let count = cpu.regs[ECX];
    shift::<T, O, M>(cpu, memory, op, count)
}

pub(crate) fn by_i<T: Num, const O: u8, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    shift::<T, O, M>(cpu, memory, op, op.imm)
}

/// SHLD, SHRD. A count above 16 of 16-bit operands is undefined: here the bits of the second operand go round.
#[inline(always)]
fn double<T: Num, const RIGHT: bool, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op, count: u32) -> Done {
    let a = cpu.rm::<T, M>(memory, op)?;
    let count = count & 31;
    if count == 0 {
        return if M { cpu.set_rm::<T, M>(memory, op, a) } else { Ok(()) };
    }
    let b = T::get(cpu, op.reg);
    let bits = T::BITS;
    let (a64, b64) = (u64::from(a.zx()), u64::from(b.zx()));
    let (result, carry) = if RIGHT {
        // a, then b, then a again above
        let wide = u128::from(a64) | u128::from(b64) << bits | u128::from(a64) << (2 * bits);
        (T::low((wide >> count) as u32), wide >> (count - 1) & 1 != 0)
    } else {
        let wide = u128::from(a64) << (2 * bits) | u128::from(b64) << bits | u128::from(a64);
        (T::low((wide << count >> (2 * bits)) as u32), wide >> (3 * bits - count) & 1 != 0)
    };
    cpu.set_rm::<T, M>(memory, op, result)?;
    let overflow = (result.zx() ^ a.zx()) >> (bits - 1) & 1 != 0;
    cpu.arithmetic.explicit(result.sx(), carry, overflow, false);
    Ok(())
}

pub(crate) fn double_i<T: Num, const RIGHT: bool, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    double::<T, RIGHT, M>(cpu, memory, op, op.imm)
}

pub(crate) fn double_cl<T: Num, const RIGHT: bool, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let count = cpu.regs[ECX];
    double::<T, RIGHT, M>(cpu, memory, op, count)
}
