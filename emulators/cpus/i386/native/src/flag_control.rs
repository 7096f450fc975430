//! Flag control: SDM 1, 5.1.11; SDM 2 under each name.

use crate::flags::{AC, AF, CF, DF, ID, IF, IOPL, NT, OF, PF, RF, SF, TF, VM, ZF};
use crate::op::{Done, Op};
use crate::operand::Num;
use crate::state::Cpu;
use crate::vectors::GP;
use guest_memory::Memory;

const AH: u8 = 4;

/// CLC (0), STC (1), CMC (2).
pub(crate) fn carry<const K: u8>(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    let carry = match K {
        0 => false,
        1 => true,
        _ => !cpu.arithmetic.cf(),
    };
    cpu.arithmetic.set_carry(carry);
    Ok(())
}

pub(crate) fn direction<const DOWN: bool>(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    cpu.other_flags = cpu.other_flags & !DF | if DOWN { DF } else { 0 };
    Ok(())
}

/// CLI, STI: by IOPL, in virtual-8086 mode as well (without VME).
pub(crate) fn interrupts<const ON: bool>(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    if cpu.is_protected() && u32::from(cpu.cpl) > cpu.iopl() {
        return Err(cpu.fault(GP, 0));
    }
    if !ON {
        cpu.other_flags &= !IF;
        return Ok(());
    }
    if cpu.other_flags & IF == 0 {
        cpu.other_flags |= IF;
        cpu.shadow = true;
        return cpu.retire(op);
    }
    Ok(())
}

pub(crate) fn lahf(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    let flags = cpu.eflags() as u8;
    cpu.set_r8(AH, flags);
    Ok(())
}

pub(crate) fn sahf(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    let loaded = u32::from(cpu.r8(AH)) & (SF | ZF | AF | PF | CF);
    let overflow = cpu.arithmetic.get() & OF;
    cpu.arithmetic.set(loaded | overflow);
    Ok(())
}

pub(crate) fn pushf<T: Num>(cpu: &mut Cpu, memory: &mut Memory, _op: &Op) -> Done {
    if cpu.is_v86() && cpu.iopl() < 3 {
        return Err(cpu.fault(GP, 0));
    }
    let flags = cpu.eflags() & !(VM | RF);
    cpu.push::<T>(memory, T::low(flags))
}

pub(crate) fn popf<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    if cpu.is_v86() && cpu.iopl() < 3 {
        return Err(cpu.fault(GP, 0));
    }
    let value = cpu.pop::<T>(memory)?.zx();
    let mut may = CF | PF | AF | ZF | SF | TF | DF | OF | NT;
    if T::BITS == 32 {
        may |= AC | ID;
    }
    if !cpu.is_protected() || cpu.cpl == 0 && !cpu.is_v86() {
        may |= IOPL | IF;
    } else if u32::from(cpu.cpl) <= cpu.iopl() {
        may |= IF;
    }
    let before = cpu.eflags();
    let flags = before & !may | value & may;
    cpu.set_eflags(if T::BITS == 32 { flags & !RF } else { flags });
    if (before ^ flags) & AC != 0 {
        cpu.forget_translations();
    }
    if (before ^ flags) & (IF | TF | AC | ID) != 0 { cpu.retire(op) } else { Ok(()) }
}

/// SALC.
pub(crate) fn salc(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    let value = if cpu.arithmetic.cf() { 0xff } else { 0 };
    cpu.set_r8(0, value);
    Ok(())
}
