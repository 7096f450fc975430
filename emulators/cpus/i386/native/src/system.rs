//! System instructions (SDM 1, 5.18): handlers that find the operands; what they do is in the other files.

use crate::exit::Stop;
use crate::flags::{RF, ZF};
use crate::op::{Done, Op};
use crate::operand::Num;
use crate::state::{Cpu, Table};
use guest_memory::Memory;

pub(crate) fn nop(_cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    Ok(())
}

pub(crate) fn hlt(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    cpu.check_supervisor()?;
    cpu.halted = true;
    cpu.eip = cpu.next(op);
    Err(Stop::Halted)
}

/// INVD, WBINVD.
pub(crate) fn caches(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    cpu.check_supervisor()
}

pub(crate) fn invlpg(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    cpu.check_supervisor()?;
    let offset = cpu.ea(op);
    let linear = cpu.seg[usize::from(op.seg)].base.wrapping_add(offset);
    cpu.forget_page(linear);
    cpu.retire(op)
}

pub(crate) fn mov_r_c(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    let value = cpu.read_cr(op.reg)?;
    cpu.set_r32(op.rm, value);
    Ok(())
}

pub(crate) fn mov_c_r(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let value = cpu.r32(op.rm);
    cpu.write_cr(memory, op.reg, value)?;
    cpu.retire(op)
}

pub(crate) fn mov_r_d(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    let value = cpu.read_dr(op.reg)?;
    cpu.set_r32(op.rm, value);
    Ok(())
}

pub(crate) fn mov_d_r(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    let value = cpu.r32(op.rm);
    cpu.write_dr(op.reg, value)?;
    cpu.retire(op)
}

pub(crate) fn clts(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    cpu.clts()?;
    cpu.retire(op)
}

/// SMSW: to memory always 16 bits.
pub(crate) fn smsw<T: Num, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let value = cpu.cr0;
    if M { cpu.set_rm::<u16, M>(memory, op, value as u16) } else { cpu.set_rm::<T, M>(memory, op, T::low(value)) }
}

pub(crate) fn lmsw<const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.check_supervisor()?;
    let value = cpu.rm::<u16, M>(memory, op)?;
    cpu.lmsw(memory, value)?;
    cpu.retire(op)
}

/// SGDT (0), SIDT (1).
pub(crate) fn store_table<const K: u8>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let table = if K == 0 { cpu.gdtr } else { cpu.idtr };
    let offset = cpu.ea(op);
    cpu.store::<u16>(memory, op.seg, offset, table.limit as u16)?;
    cpu.store::<u32>(memory, op.seg, offset.wrapping_add(2) & op.mask, table.base)
}

/// LGDT (0), LIDT (1): with 16-bit operands the base has 24 bits.
pub(crate) fn load_table<T: Num, const K: u8>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.check_supervisor()?;
    let offset = cpu.ea(op);
    let limit = cpu.load::<u16>(memory, op.seg, offset)?.into();
    let base = cpu.load::<u32>(memory, op.seg, offset.wrapping_add(2) & op.mask)?;
    let table = Table { base: if T::BITS == 16 { base & 0xff_ffff } else { base }, limit };
    if K == 0 {
        cpu.gdtr = table
    } else {
        cpu.idtr = table
    }
    Ok(())
}

/// SLDT (0), STR (1): to memory always 16 bits.
pub(crate) fn store_selector<T: Num, const K: u8, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.check_protected()?;
    let selector = if K == 0 { cpu.ldtr.selector } else { cpu.tr.selector };
    if M {
        return cpu.set_rm::<u16, M>(memory, op, selector);
    }
    cpu.set_rm::<T, M>(memory, op, T::low(selector.into()))
}

pub(crate) fn lldt<const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.check_protected()?;
    cpu.check_supervisor()?;
    let selector = cpu.rm::<u16, M>(memory, op)?;
    cpu.lldt(memory, selector)
}

pub(crate) fn ltr<const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.check_protected()?;
    cpu.check_supervisor()?;
    let selector = cpu.rm::<u16, M>(memory, op)?;
    cpu.ltr(memory, selector)
}

fn set_zero(cpu: &mut Cpu, on: bool) {
    let flags = cpu.arithmetic.get() & !ZF;
    cpu.arithmetic.set(flags | if on { ZF } else { 0 });
}

/// VERR, VERW.
pub(crate) fn verify<const WRITE: bool, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.check_protected()?;
    let selector = cpu.rm::<u16, M>(memory, op)?;
    let good = cpu.verify(memory, selector, WRITE)?;
    set_zero(cpu, good);
    Ok(())
}

/// LAR, LSL.
pub(crate) fn look<T: Num, const LIMIT: bool, const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.check_protected()?;
    let selector = cpu.rm::<u16, M>(memory, op)?;
    let found = if LIMIT { cpu.segment_limit(memory, selector)? } else { cpu.access_rights(memory, selector)? };
    if let Some(value) = found {
        T::set(cpu, op.reg, T::low(value));
    }
    set_zero(cpu, found.is_some());
    Ok(())
}

pub(crate) fn arpl<const M: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.check_protected()?;
    let there = cpu.rm::<u16, M>(memory, op)?;
    let wanted = cpu.r16(op.reg) & 3;
    let raise = there & 3 < wanted;
    if raise {
        cpu.set_rm::<u16, M>(memory, op, there & !3 | wanted)?;
    }
    set_zero(cpu, raise);
    Ok(())
}

pub(crate) fn cpuid(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    cpu.cpuid();
    Ok(())
}

/// The count of instructions must be exact: a trace begins behind it.
pub(crate) fn rdtsc(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    cpu.rdtsc()
}

pub(crate) fn rdmsr(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    cpu.rdmsr()
}

pub(crate) fn wrmsr(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    cpu.wrmsr()?;
    cpu.retire(op)
}

pub(crate) fn sysenter(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    cpu.sysenter()?;
    Err(Stop::Retired)
}

pub(crate) fn sysexit(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    cpu.sysexit()?;
    Err(Stop::Retired)
}

/// The instruction set aside for calls of the host: VMCALL, 0F 01 C1; EAX is the number.
pub(crate) fn vmcall(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    if !cpu.hypercalls {
        return Err(cpu.ud());
    }
    cpu.hypercall = cpu.regs[crate::state::EAX];
    cpu.eip = cpu.next(op);
    cpu.other_flags &= !RF;
    Err(Stop::Hypercall)
}
