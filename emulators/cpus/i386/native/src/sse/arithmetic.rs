//! Arithmetic of SSE and SSE2, and what is done bit by bit. Intel SDM volume 1, §5.5.1.2, §5.5.1.4, §5.6.1.2.

use guest_memory::Memory;

use super::float::{self, Float};
use crate::access::Word;
use crate::op::{Done, Op};
use crate::state::Cpu;

/// ADDPS, ADDPD and so on: xmm, xmm/m128.
pub(crate) fn whole<O: Float, const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let source = cpu.xmm_operand::<MEMORY>(memory, op)?;
    let result = O::compute(cpu.xmm(op.reg), source, &mut cpu.sse.mxcsr);
    let result = cpu.computed(result)?;
    cpu.set_xmm(op.reg, result);
    Ok(())
}

/// ADDSS, ADDSD and so on: xmm, xmm/m32 or m64; also CVTPS2PD and CVTDQ2PD, which read 64 bits.
pub(crate) fn part<O: Float, T: Word + Into<u128>, const MEMORY: bool>(
    cpu: &mut Cpu,
    memory: &mut Memory,
    op: &Op,
) -> Done {
    cpu.sse_ready()?;
    let source = cpu.xmm_part::<T, MEMORY>(memory, op)?;
    let result = O::compute(cpu.xmm(op.reg), source, &mut cpu.sse.mxcsr);
    let result = cpu.computed(result)?;
    cpu.set_xmm(op.reg, result);
    Ok(())
}

/// RCPPS, RSQRTPS: no exceptions.
fn approximate_whole<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op, of: fn(u32) -> u32) -> Done {
    cpu.sse_ready()?;
    let source = cpu.xmm_operand::<MEMORY>(memory, op)?;
    let result = (0..4).fold(0, |result, lane| result | u128::from(of((source >> (32 * lane)) as u32)) << (32 * lane));
    cpu.set_xmm(op.reg, result);
    Ok(())
}

fn approximate_part<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op, of: fn(u32) -> u32) -> Done {
    cpu.sse_ready()?;
    let source = cpu.xmm_part::<u32, MEMORY>(memory, op)?;
    cpu.set_xmm_low(op.reg, of(source as u32).into(), 32);
    Ok(())
}

pub(crate) fn rcpps<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    approximate_whole::<MEMORY>(cpu, memory, op, float::reciprocal)
}

pub(crate) fn rsqrtps<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    approximate_whole::<MEMORY>(cpu, memory, op, float::reciprocal_root)
}

pub(crate) fn rcpss<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    approximate_part::<MEMORY>(cpu, memory, op, float::reciprocal)
}

pub(crate) fn rsqrtss<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    approximate_part::<MEMORY>(cpu, memory, op, float::reciprocal_root)
}
