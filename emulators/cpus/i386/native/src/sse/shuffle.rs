//! Shuffles of SSE and SSE2; UNPCKLPS and so on are the packed integers' of the same size. SDM volume 1, §5.5.1.5.

use guest_memory::Memory;

use super::lanes;
use crate::op::{Done, Op};
use crate::state::Cpu;

pub(crate) fn shufps<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let source = cpu.xmm_operand::<MEMORY>(memory, op)?;
    cpu.set_xmm(op.reg, lanes::shuffle_doubles(cpu.xmm(op.reg), source, op.imm as u8));
    Ok(())
}

pub(crate) fn shufpd<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let source = cpu.xmm_operand::<MEMORY>(memory, op)?;
    let low = (cpu.xmm(op.reg) >> (64 * (op.imm & 1))) as u64;
    let high = (source >> (32 * (op.imm & 2))) as u64;
    cpu.set_xmm(op.reg, u128::from(low) | u128::from(high) << 64);
    Ok(())
}
