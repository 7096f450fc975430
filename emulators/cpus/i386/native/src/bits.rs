//! Bits and octets: SDM 1, 5.1.6; SDM 2 under each name.

use crate::exit::Stop;
use crate::flags::ZF;
use crate::op::{Done, Op};
use crate::operand::Num;
use crate::state::Cpu;
use guest_memory::Memory;

pub(crate) const TEST: u8 = 0;
pub(crate) const SET: u8 = 1;
pub(crate) const RESET: u8 = 2;
pub(crate) const COMPLEMENT: u8 = 3;

/// What becomes of the operand.
#[inline(always)]
fn changed<const O: u8>(value: u32, bit: u32) -> u32 {
    match O {
        SET => value | 1 << bit,
        RESET => value & !(1 << bit),
        COMPLEMENT => value ^ 1 << bit,
        _ => value,
    }
}

/// BT, BTS, BTR, BTC with a register: in memory the bit may be far away.
pub(crate) fn bit_g<T: Num, const O: u8, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let number = T::get(cpu, op.reg);
    let bit = number.zx() % T::BITS;
    if !M {
        let value = T::get(cpu, op.rm).zx();
        cpu.arithmetic.set_carry(value >> bit & 1 != 0);
        if O != TEST {
            T::set(cpu, op.rm, T::low(changed::<O>(value, bit)));
        }
        return Ok(());
    }
    let words = (number.sx() as i32).div_euclid(T::BITS as i32);
    let offset = cpu.ea(op).wrapping_add((words as u32).wrapping_mul(T::OCTETS)) & op.mask;
    let value = cpu.load::<T>(memory, op.seg, offset)?.zx();
    if O != TEST {
        cpu.store::<T>(memory, op.seg, offset, T::low(changed::<O>(value, bit)))?;
    }
    cpu.arithmetic.set_carry(value >> bit & 1 != 0);
    Ok(())
}

/// The same with an immediate number.
pub(crate) fn bit_i<T: Num, const O: u8, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let bit = op.imm % T::BITS;
    let value = cpu.rm::<T, M>(memory, op)?.zx();
    if O != TEST {
        cpu.set_rm::<T, M>(memory, op, T::low(changed::<O>(value, bit)))?;
    }
    cpu.arithmetic.set_carry(value >> bit & 1 != 0);
    Ok(())
}

/// BSF, BSR. Of 0 the destination stays; the other flags, undefined, are those of a test of the operand.
pub(crate) fn scan<T: Num, const REVERSE: bool, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let value = cpu.rm::<T, M>(memory, op)?;
    let bits = value.zx();
    if bits != 0 {
        let at = if REVERSE { 31 - bits.leading_zeros() } else { bits.trailing_zeros() };
        T::set(cpu, op.reg, T::low(at));
    }
    let flags = cpu.arithmetic.get() & !ZF;
    cpu.arithmetic.set(flags | if bits == 0 { ZF } else { 0 });
    Ok(())
}

/// SETcc.
pub(crate) fn setcc<const C: u8, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let value = u8::from(cpu.condition::<C>());
    cpu.set_rm::<u8, M>(memory, op, value)
}

/// CMOVcc: memory is read in any case.
pub(crate) fn cmov<T: Num, const C: u8, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let value = cpu.rm::<T, M>(memory, op)?;
    if cpu.condition::<C>() {
        T::set(cpu, op.reg, value);
    }
    Ok(())
}

/// BOUND.
pub(crate) fn bound<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let offset = cpu.ea(op);
    let lower = cpu.load::<T>(memory, op.seg, offset)?.sx() as i32;
    let upper = cpu.load::<T>(memory, op.seg, offset.wrapping_add(T::OCTETS) & op.mask)?.sx() as i32;
    let index = T::get(cpu, op.reg).sx() as i32;
    if index < lower || index > upper {
        return Err::<(), Stop>(cpu.fault_without_code(crate::vectors::BR));
    }
    Ok(())
}

impl Cpu {
    /// Condition codes: SDM 1, appendix B.
    #[inline(always)]
    pub(crate) fn condition<const C: u8>(&self) -> bool {
        let flags = self.arithmetic;
        let holds = match C >> 1 {
            0 => flags.of(),
            1 => flags.cf(),
            2 => flags.zf(),
            3 => flags.cf() || flags.zf(),
            4 => flags.sf(),
            5 => flags.pf(),
            6 => flags.sf() != flags.of(),
            _ => flags.zf() || flags.sf() != flags.of(),
        };
        holds != (C & 1 != 0)
    }
}
