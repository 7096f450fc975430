//! Data transfer: SDM 1, 5.1.1; SDM 2 under each name.

use crate::exit::Stop;
use crate::op::{Done, Op};
use crate::operand::Num;
use crate::paging::Access;
use crate::state::{CS, Cpu, EAX, EBP, EBX, EDX, ESP, SS};
use guest_memory::Memory;

pub(crate) fn mov_e_g<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let value = T::get(cpu, op.reg);
    cpu.set_rm::<T, M>(memory, op, value)
}

pub(crate) fn mov_g_e<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let value = cpu.rm::<T, M>(memory, op)?;
    T::set(cpu, op.reg, value);
    Ok(())
}

pub(crate) fn mov_e_i<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.set_rm::<T, M>(memory, op, T::low(op.imm))
}

pub(crate) fn mov_z_i<T: Num>(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    T::set(cpu, op.reg, T::low(op.imm));
    Ok(())
}

/// MOV AL/eAX, moffs.
pub(crate) fn mov_a_o<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let offset = cpu.ea(op);
    let value = cpu.load::<T>(memory, op.seg, offset)?;
    T::set(cpu, EAX as u8, value);
    Ok(())
}

pub(crate) fn mov_o_a<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let offset = cpu.ea(op);
    let value = T::get(cpu, EAX as u8);
    cpu.store::<T>(memory, op.seg, offset, value)
}

/// MOVZX, MOVSX: from `S` to `T`.
pub(crate) fn movzx<T: Num, S: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let value = cpu.rm::<S, M>(memory, op)?;
    T::set(cpu, op.reg, T::low(value.zx()));
    Ok(())
}

pub(crate) fn movsx<T: Num, S: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let value = cpu.rm::<S, M>(memory, op)?;
    T::set(cpu, op.reg, T::low(value.sx()));
    Ok(())
}

pub(crate) fn xchg_e_g<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let there = cpu.rm::<T, M>(memory, op)?;
    let here = T::get(cpu, op.reg);
    cpu.set_rm::<T, M>(memory, op, here)?;
    T::set(cpu, op.reg, there);
    Ok(())
}

pub(crate) fn xchg_z<T: Num>(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    let (here, there) = (T::get(cpu, EAX as u8), T::get(cpu, op.reg));
    T::set(cpu, EAX as u8, there);
    T::set(cpu, op.reg, here);
    Ok(())
}

pub(crate) fn bswap<T: Num>(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    // Of 16 bits undefined: here as processors do, 0.
    let value = if T::BITS == 16 { 0 } else { T::get(cpu, op.reg).zx().swap_bytes() };
    T::set(cpu, op.reg, T::low(value));
    Ok(())
}

pub(crate) fn lea<T: Num>(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    let offset = cpu.ea(op);
    T::set(cpu, op.reg, T::low(offset));
    Ok(())
}

/// CBW, CWDE.
pub(crate) fn cbw<T: Num, S: Num>(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    let value = S::get(cpu, EAX as u8).sx();
    T::set(cpu, EAX as u8, T::low(value));
    Ok(())
}

/// CWD, CDQ.
pub(crate) fn cwd<T: Num>(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    let sign = (T::get(cpu, EAX as u8).sx() as i32 >> 31) as u32;
    T::set(cpu, EDX as u8, T::low(sign));
    Ok(())
}

pub(crate) fn push_z<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let value = T::get(cpu, op.reg);
    cpu.push::<T>(memory, value)
}

pub(crate) fn push_i<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.push::<T>(memory, T::low(op.imm))
}

pub(crate) fn push_e<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let value = cpu.rm::<T, M>(memory, op)?;
    cpu.push::<T>(memory, value)
}

pub(crate) fn pop_z<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let value = cpu.pop::<T>(memory)?;
    T::set(cpu, op.reg, value);
    Ok(())
}

/// The address of the destination is computed with the stack pointer of after the pop.
pub(crate) fn pop_e<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let before = cpu.regs[ESP];
    let value = cpu.pop::<T>(memory)?;
    let done = cpu.set_rm::<T, M>(memory, op, value);
    if done.is_err() {
        cpu.regs[ESP] = before;
    }
    done
}

pub(crate) fn pusha<T: Num>(cpu: &mut Cpu, memory: &mut Memory, _op: &Op) -> Done {
    let before = cpu.regs[ESP];
    for register in 0..8 {
        let value = if usize::from(register) == ESP { T::low(before) } else { T::get(cpu, register) };
        if let Err(stop) = cpu.push::<T>(memory, value) {
            cpu.regs[ESP] = before;
            return Err(stop);
        }
    }
    Ok(())
}

pub(crate) fn popa<T: Num>(cpu: &mut Cpu, memory: &mut Memory, _op: &Op) -> Done {
    let before = cpu.regs[ESP];
    let mut values = [T::default(); 8];
    for value in values.iter_mut().rev() {
        *value = match cpu.pop::<T>(memory) {
            Ok(value) => value,
            Err(stop) => {
                cpu.regs[ESP] = before;
                return Err(stop);
            }
        };
    }
    for register in (0..8u8).filter(|&register| usize::from(register) != ESP) {
        T::set(cpu, register, values[usize::from(register)]);
    }
    Ok(())
}

/// ENTER.
pub(crate) fn enter<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let before = cpu.regs[ESP];
    let done = enter_steps::<T>(cpu, memory, op.imm & 0xffff, op.imm2 & 31);
    match done {
        Ok((frame, pointer)) => {
            T::set(cpu, EBP as u8, T::low(frame));
            cpu.regs[ESP] = pointer;
            Ok(())
        }
        Err(stop) => {
            cpu.regs[ESP] = before;
            Err(stop)
        }
    }
}

fn enter_steps<T: Num>(cpu: &mut Cpu, memory: &mut Memory, size: u32, level: u16) -> Result<(u32, u32), Stop> {
    let ebp = cpu.regs[EBP];
    cpu.push::<T>(memory, T::get(cpu, EBP as u8))?;
    let frame = cpu.regs[ESP];
    for number in 1..level {
        let pointer = ebp.wrapping_sub(u32::from(number) * T::OCTETS);
        let offset = cpu.stack_offset(pointer);
        let value = cpu.load::<T>(memory, SS as u8, offset)?;
        cpu.push::<T>(memory, value)?;
    }
    if level > 0 {
        cpu.push::<T>(memory, T::low(frame))?;
    }
    let pointer = cpu.moved_stack(size.wrapping_neg());
    // The new top must be writable.
    let offset = cpu.stack_offset(pointer);
    let linear = cpu.check_segment(SS as u8, offset, 1, true)?;
    cpu.walk(memory, linear, Access::Write, cpu.cpl == 3)?;
    Ok((frame, pointer))
}

/// LEAVE.
pub(crate) fn leave<T: Num>(cpu: &mut Cpu, memory: &mut Memory, _op: &Op) -> Done {
    let before = cpu.regs[ESP];
    let ebp = cpu.regs[EBP];
    cpu.regs[ESP] = if cpu.is_stack_big() { ebp } else { before & 0xffff_0000 | ebp & 0xffff };
    match cpu.pop::<T>(memory) {
        Ok(value) => {
            T::set(cpu, EBP as u8, value);
            Ok(())
        }
        Err(stop) => {
            cpu.regs[ESP] = before;
            Err(stop)
        }
    }
}

/// XLAT.
pub(crate) fn xlat(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let offset = cpu.regs[EBX].wrapping_add(cpu.r8(0).into()) & op.mask;
    let value = cpu.load::<u8>(memory, op.seg, offset)?;
    cpu.set_r8(0, value);
    Ok(())
}

/// MOV r/m, Sreg: to memory always 16 bits.
pub(crate) fn mov_e_s<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let selector = cpu.selector(op)?;
    if M {
        return cpu.set_rm::<u16, M>(memory, op, selector);
    }
    T::set(cpu, op.rm, T::low(selector.into()));
    Ok(())
}

/// MOV Sreg, r/m.
pub(crate) fn mov_s_e<const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.selector(op)?;
    if usize::from(op.reg) == CS {
        return Err(cpu.ud());
    }
    let selector = cpu.rm::<u16, M>(memory, op)?;
    load_selector(cpu, memory, op, op.reg.into(), selector)
}

impl Cpu {
    /// The segment register that reg names.
    fn selector(&mut self, op: &Op) -> Result<u16, Stop> {
        match self.seg.get(usize::from(op.reg)) {
            Some(segment) => Ok(segment.selector),
            None => Err(self.ud()),
        }
    }
}

fn load_selector(cpu: &mut Cpu, memory: &mut Memory, op: &Op, which: usize, selector: u16) -> Done {
    cpu.load_segment(memory, which, selector)?;
    if which == SS {
        cpu.shadow = true;
        cpu.system.held = true;
        return cpu.retire(op);
    }
    Ok(())
}

/// PUSH of a segment register: of 32 bits, the upper half is written as zeros (AMD's processors; Intel's later ones leave it).
pub(crate) fn push_s<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let value = cpu.seg[usize::from(op.reg)].selector;
    cpu.push::<T>(memory, T::low(value.into()))
}

pub(crate) fn pop_s<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let offset = cpu.stack_offset(cpu.regs[ESP]);
    let selector = cpu.load::<u16>(memory, SS as u8, offset)?;
    let big = cpu.is_stack_big();
    cpu.load_segment(memory, op.reg.into(), selector)?;
    let esp = cpu.regs[ESP];
    let moved = esp.wrapping_add(T::OCTETS);
    cpu.regs[ESP] = if big { moved } else { esp & 0xffff_0000 | moved & 0xffff };
    if usize::from(op.reg) == SS {
        cpu.shadow = true;
        cpu.system.held = true;
        return cpu.retire(op);
    }
    Ok(())
}

/// LES, LDS, LSS, LFS, LGS.
pub(crate) fn load_far<T: Num, const S: usize>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let offset = cpu.ea(op);
    let value = cpu.load::<T>(memory, op.seg, offset)?;
    let selector = cpu.load::<u16>(memory, op.seg, offset.wrapping_add(T::OCTETS) & op.mask)?;
    cpu.load_segment(memory, S, selector)?;
    T::set(cpu, op.reg, value);
    if S == SS { cpu.retire(op) } else { Ok(()) }
}
