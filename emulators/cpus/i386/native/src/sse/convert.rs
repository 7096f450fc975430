//! Conversions of SSE and SSE2 that leave the XMM registers. Intel SDM volume 1, §5.5.1.6, §5.6.1.6.
//!
//! Those between XMM registers alone are `arithmetic`'s.

use guest_memory::Memory;

use super::float::{CvtDq2Pd, CvtDq2Ps, Float, ToInteger};
use crate::access::Word;
use crate::op::{Done, Op};
use crate::state::Cpu;

/// CVTSI2SS: xmm, r/m32.
pub(crate) fn cvtsi2ss<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let source = cpu.general_operand::<MEMORY>(memory, op)?;
    let result = CvtDq2Ps::compute(0, source.into(), &mut cpu.sse.mxcsr);
    let result = cpu.computed(result)?;
    cpu.set_xmm_low(op.reg, result, 32);
    Ok(())
}

/// CVTSI2SD: xmm, r/m32. Always exact.
pub(crate) fn cvtsi2sd<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let source = cpu.general_operand::<MEMORY>(memory, op)?;
    let result = CvtDq2Pd::compute(0, source.into(), &mut cpu.sse.mxcsr);
    let result = cpu.computed(result)?;
    cpu.set_xmm_low(op.reg, result, 64);
    Ok(())
}

/// CVTSS2SI, CVTTSS2SI, CVTSD2SI, CVTTSD2SI: r32, xmm/m32 or m64.
pub(crate) fn to_general<O: ToInteger, T: Word + Into<u128>, const MEMORY: bool>(
    cpu: &mut Cpu,
    memory: &mut Memory,
    op: &Op,
) -> Done {
    cpu.sse_ready()?;
    let source = cpu.xmm_part::<T, MEMORY>(memory, op)?;
    let result = O::to_integer(source, &mut cpu.sse.mxcsr);
    cpu.regs[usize::from(op.reg & 7)] = cpu.computed(result)?;
    Ok(())
}

/// CVTPI2PS: xmm, mm/m64. The upper half stays.
pub(crate) fn cvtpi2ps<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    cpu.mmx_ready()?;
    let source = cpu.mm_operand::<MEMORY>(memory, op)?;
    let result = CvtDq2Ps::compute(0, source.into(), &mut cpu.sse.mxcsr);
    let result = cpu.computed(result)?;
    cpu.fpu.enter_mmx();
    cpu.set_xmm_low(op.reg, result, 64);
    Ok(())
}

/// CVTPI2PD: xmm, mm/m64. With memory, it is no MMX instruction.
pub(crate) fn cvtpi2pd<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    if !MEMORY {
        cpu.mmx_ready()?;
    }
    let source = cpu.mm_operand::<MEMORY>(memory, op)?;
    let result = CvtDq2Pd::compute(0, source.into(), &mut cpu.sse.mxcsr);
    let result = cpu.computed(result)?;
    if !MEMORY {
        cpu.fpu.enter_mmx();
    }
    cpu.set_xmm(op.reg, result);
    Ok(())
}

/// CVTPS2PI, CVTTPS2PI: mm, xmm/m64.
pub(crate) fn singles_to_mmx<O: Float, const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    cpu.mmx_ready()?;
    let source = cpu.xmm_part::<u64, MEMORY>(memory, op)? & u128::from(u64::MAX);
    let result = O::compute(0, source, &mut cpu.sse.mxcsr);
    let result = cpu.computed(result)?;
    cpu.set_mm(op.reg, result as u64);
    Ok(())
}

/// CVTPD2PI, CVTTPD2PI: mm, xmm/m128.
pub(crate) fn doubles_to_mmx<O: Float, const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    cpu.mmx_ready()?;
    let source = cpu.xmm_operand::<MEMORY>(memory, op)?;
    let result = O::compute(0, source, &mut cpu.sse.mxcsr);
    let result = cpu.computed(result)?;
    cpu.set_mm(op.reg, result as u64);
    Ok(())
}
