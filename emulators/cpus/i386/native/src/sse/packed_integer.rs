//! SSE2's packed integers in XMM registers. Intel SDM volume 1, §5.6.3; volume 2 under each name.

use guest_memory::Memory;

use super::lanes::{self, Packed, Shift};
use crate::op::{Done, Op};
use crate::state::Cpu;

/// PADDB and so on: xmm, xmm/m128.
pub(crate) fn packed<O: Packed, const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let source = cpu.xmm_operand::<MEMORY>(memory, op)?;
    cpu.set_xmm(op.reg, O::xmm(cpu.xmm(op.reg), source));
    Ok(())
}

/// PSLLW and so on: xmm, xmm/m128. The count is 64 bits.
pub(crate) fn shift<O: Shift, const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let count = cpu.xmm_operand::<MEMORY>(memory, op)? as u64;
    cpu.set_xmm(op.reg, O::xmm(cpu.xmm(op.reg), count));
    Ok(())
}

/// PSLLW and so on: xmm, imm8.
pub(crate) fn shift_by_immediate<O: Shift>(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    cpu.set_xmm(op.rm, O::xmm(cpu.xmm(op.rm), u64::from(op.imm & 0xff)));
    Ok(())
}

pub(crate) fn pshufd<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let source = cpu.xmm_operand::<MEMORY>(memory, op)?;
    cpu.set_xmm(op.reg, lanes::shuffle_doubles(source, source, op.imm as u8));
    Ok(())
}

pub(crate) fn pshuflw<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let source = cpu.xmm_operand::<MEMORY>(memory, op)?;
    let low = lanes::shuffle_words(source as u64, op.imm as u8);
    cpu.set_xmm(op.reg, source >> 64 << 64 | u128::from(low));
    Ok(())
}

pub(crate) fn pshufhw<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let source = cpu.xmm_operand::<MEMORY>(memory, op)?;
    let high = lanes::shuffle_words((source >> 64) as u64, op.imm as u8);
    cpu.set_xmm(op.reg, source & u128::from(u64::MAX) | u128::from(high) << 64);
    Ok(())
}

/// PINSRW xmm, r32/m16, imm8.
pub(crate) fn pinsrw<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let word = if MEMORY { cpu.memory_operand::<u16>(memory, op)? } else { cpu.regs[usize::from(op.rm & 7)] as u16 };
    let at = 16 * (op.imm & 7);
    cpu.set_xmm(op.reg, cpu.xmm(op.reg) & !(0xffff << at) | u128::from(word) << at);
    Ok(())
}

/// PEXTRW r32, xmm, imm8.
pub(crate) fn pextrw(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    cpu.regs[usize::from(op.reg & 7)] = u32::from((cpu.xmm(op.rm) >> (16 * (op.imm & 7))) as u16);
    Ok(())
}
