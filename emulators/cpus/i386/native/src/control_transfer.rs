//! Jumps, calls, returns, loops: SDM 1, 5.1.7; SDM 2 under each name. Far ones: [`crate::transfer`].

use crate::exit::Stop;
use crate::interrupts::Kind;
use crate::op::{Done, Op};
use crate::operand::Num;
use crate::state::{CS, Cpu, ECX};
use crate::vectors::GP;
use guest_memory::Memory;

impl Cpu {
    /// Go on at `target`, if that is within the code segment.
    #[inline(always)]
    fn jump_near<T: Num>(&mut self, target: u32) -> Done {
        let target = T::low(target).zx();
        if target > self.seg[CS].limit {
            return Err(self.fault(GP, 0));
        }
        self.eip = target;
        Err(Stop::Jump)
    }

    fn check_near<T: Num>(&mut self, target: u32) -> Result<u32, Stop> {
        let target = T::low(target).zx();
        if target > self.seg[CS].limit { Err(self.fault(GP, 0)) } else { Ok(target) }
    }
}

#[inline(always)]
fn relative(cpu: &Cpu, op: &Op) -> u32 {
    cpu.next(op).wrapping_add(op.imm)
}

pub(crate) fn jcc<T: Num, const C: u8>(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    if cpu.condition::<C>() {
        let target = relative(cpu, op);
        return cpu.jump_near::<T>(target);
    }
    Ok(())
}

pub(crate) fn jmp<T: Num>(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    let target = relative(cpu, op);
    cpu.jump_near::<T>(target)
}

pub(crate) fn jmp_e<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let target = cpu.rm::<T, M>(memory, op)?.zx();
    cpu.jump_near::<T>(target)
}

#[inline(always)]
fn call_to<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op, target: u32) -> Done {
    let target = cpu.check_near::<T>(target)?;
    let next = cpu.next(op);
    cpu.push::<T>(memory, T::low(next))?;
    cpu.eip = target;
    Err(Stop::Jump)
}

pub(crate) fn call<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let target = relative(cpu, op);
    call_to::<T>(cpu, memory, op, target)
}

pub(crate) fn call_e<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let target = cpu.rm::<T, M>(memory, op)?.zx();
    call_to::<T>(cpu, memory, op, target)
}

/// RET, RET n.
pub(crate) fn ret<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let target = cpu.top::<T>(memory)?.zx();
    let target = cpu.check_near::<T>(target)?;
    cpu.regs[crate::state::ESP] = cpu.moved_stack(T::OCTETS + (op.imm & 0xffff));
    cpu.eip = target;
    Err(Stop::Jump)
}

#[inline(always)]
fn counter(cpu: &Cpu, op: &Op) -> u32 {
    cpu.regs[ECX] & op.mask
}

#[inline(always)]
pub(crate) fn set_counter(cpu: &mut Cpu, op: &Op, value: u32) {
    cpu.regs[ECX] = cpu.regs[ECX] & !op.mask | value & op.mask;
}

/// LOOPNE (0), LOOPE (1), LOOP (2).
pub(crate) fn loop_<T: Num, const K: u8>(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    let left = counter(cpu, op).wrapping_sub(1) & op.mask;
    let goes = left != 0
        && match K {
            0 => !cpu.arithmetic.zf(),
            1 => cpu.arithmetic.zf(),
            _ => true,
        };
    if !goes {
        set_counter(cpu, op, left);
        return Ok(());
    }
    let target = relative(cpu, op);
    let target = cpu.check_near::<T>(target)?;
    set_counter(cpu, op, left);
    cpu.eip = target;
    Err(Stop::Jump)
}

/// JCXZ, JECXZ.
pub(crate) fn jcxz<T: Num>(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    if counter(cpu, op) == 0 {
        let target = relative(cpu, op);
        return cpu.jump_near::<T>(target);
    }
    Ok(())
}

pub(crate) fn jmp_far<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let next = cpu.next(op);
    cpu.jump_far(memory, op.imm2, T::low(op.imm).zx(), next)?;
    Err(Stop::Retired)
}

pub(crate) fn call_far<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let next = cpu.next(op);
    cpu.call_far(memory, op.imm2, T::low(op.imm).zx(), T::BITS == 32, next)?;
    Err(Stop::Retired)
}

fn far_pointer<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(u16, u32), Stop> {
    let offset = cpu.ea(op);
    let target = cpu.load::<T>(memory, op.seg, offset)?.zx();
    let selector = cpu.load::<u16>(memory, op.seg, offset.wrapping_add(T::OCTETS) & op.mask)?;
    Ok((selector, target))
}

pub(crate) fn jmp_far_e<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let (selector, target) = far_pointer::<T>(cpu, memory, op)?;
    let next = cpu.next(op);
    cpu.jump_far(memory, selector, target, next)?;
    Err(Stop::Retired)
}

pub(crate) fn call_far_e<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let (selector, target) = far_pointer::<T>(cpu, memory, op)?;
    let next = cpu.next(op);
    cpu.call_far(memory, selector, target, T::BITS == 32, next)?;
    Err(Stop::Retired)
}

pub(crate) fn ret_far<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.return_far(memory, T::BITS == 32, op.imm & 0xffff)?;
    Err(Stop::Retired)
}

pub(crate) fn iret<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let next = cpu.next(op);
    cpu.interrupt_return(memory, T::BITS == 32, next)?;
    Err(Stop::Retired)
}

pub(crate) fn int(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    software(cpu, memory, op, op.imm as u8, Kind::Software)
}

pub(crate) fn int3(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    software(cpu, memory, op, crate::vectors::BP, Kind::Trap)
}

pub(crate) fn int1(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    software(cpu, memory, op, crate::vectors::DB, Kind::Icebp)
}

pub(crate) fn into(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    if cpu.arithmetic.of() { software(cpu, memory, op, crate::vectors::OF, Kind::Trap) } else { Ok(()) }
}

fn software(cpu: &mut Cpu, memory: &mut Memory, op: &Op, vector: u8, kind: Kind) -> Done {
    if cpu.is_intercepted(vector) {
        cpu.raised.vector = vector;
        cpu.raised.error = None;
        cpu.next_pc = Some(cpu.next(op));
        return Err(Stop::Exception);
    }
    let next = cpu.next(op);
    cpu.deliver(memory, vector, None, kind, next)?;
    Err(Stop::Retired)
}
