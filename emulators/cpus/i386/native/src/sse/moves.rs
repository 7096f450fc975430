//! SSE's and SSE2's data transfers. Intel SDM volume 1, §5.5.1.1, §5.6.1.1, §5.6.3; volume 2 under each name.

use guest_memory::Memory;

use super::lanes;
use crate::op::{Done, Op};
use crate::state::Cpu;

const LOW: u128 = u64::MAX as u128;

/// MOVAPS, MOVAPD, MOVDQA.
pub(crate) fn load_aligned<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.xmm_operand::<MEMORY>(memory, op)?;
    cpu.set_xmm(op.reg, value);
    Ok(())
}

/// MOVAPS, MOVAPD, MOVDQA, and with memory alone MOVNTPS, MOVNTPD, MOVNTDQ.
pub(crate) fn store_aligned<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.xmm(op.reg);
    if !MEMORY {
        cpu.set_xmm(op.rm, value);
        return Ok(());
    }
    let offset = cpu.ea(op);
    cpu.aligned(op, offset)?;
    cpu.store::<u128>(memory, op.seg, offset, value)
}

/// MOVUPS, MOVUPD, MOVDQU.
pub(crate) fn load_unaligned<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.xmm_part::<u128, MEMORY>(memory, op)?;
    cpu.set_xmm(op.reg, value);
    Ok(())
}

pub(crate) fn store_unaligned<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.xmm(op.reg);
    if MEMORY {
        return cpu.store_operand::<u128>(memory, op, value);
    }
    cpu.set_xmm(op.rm, value);
    Ok(())
}

/// MOVSS xmm, xmm/m32: from memory, the other bits become 0.
pub(crate) fn movss_load<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.xmm_part::<u32, MEMORY>(memory, op)?;
    if MEMORY {
        cpu.set_xmm(op.reg, value)
    } else {
        cpu.set_xmm_low(op.reg, value, 32)
    }
    Ok(())
}

pub(crate) fn movss_store<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.xmm(op.reg);
    if MEMORY {
        return cpu.store_operand(memory, op, value as u32);
    }
    cpu.set_xmm_low(op.rm, value, 32);
    Ok(())
}

/// MOVSD xmm, xmm/m64.
pub(crate) fn movsd_load<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.xmm_part::<u64, MEMORY>(memory, op)?;
    if MEMORY {
        cpu.set_xmm(op.reg, value)
    } else {
        cpu.set_xmm_low(op.reg, value, 64)
    }
    Ok(())
}

pub(crate) fn movsd_store<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.xmm(op.reg);
    if MEMORY {
        return cpu.store_operand(memory, op, value as u64);
    }
    cpu.set_xmm_low(op.rm, value, 64);
    Ok(())
}

/// MOVLPS, MOVLPD xmm, m64; MOVHLPS xmm, xmm.
pub(crate) fn load_low<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = if MEMORY { cpu.memory_operand::<u64>(memory, op)?.into() } else { cpu.xmm(op.rm) >> 64 };
    cpu.set_xmm_low(op.reg, value, 64);
    Ok(())
}

/// MOVHPS, MOVHPD xmm, m64; MOVLHPS xmm, xmm.
pub(crate) fn load_high<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = if MEMORY { cpu.memory_operand::<u64>(memory, op)?.into() } else { cpu.xmm(op.rm) };
    cpu.set_xmm(op.reg, cpu.xmm(op.reg) & LOW | value << 64);
    Ok(())
}

/// MOVLPS, MOVLPD m64, xmm, and MOVQ m64, xmm.
pub(crate) fn store_low(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.xmm(op.reg) as u64;
    cpu.store_operand(memory, op, value)
}

/// MOVHPS, MOVHPD m64, xmm.
pub(crate) fn store_high(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = (cpu.xmm(op.reg) >> 64) as u64;
    cpu.store_operand(memory, op, value)
}

/// MOVQ xmm, xmm/m64.
pub(crate) fn movq_load<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.xmm_part::<u64, MEMORY>(memory, op)?;
    cpu.set_xmm(op.reg, value & LOW);
    Ok(())
}

/// MOVQ xmm/m64, xmm.
pub(crate) fn movq_store<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.xmm(op.reg) & LOW;
    if MEMORY {
        return cpu.store_operand(memory, op, value as u64);
    }
    cpu.set_xmm(op.rm, value);
    Ok(())
}

/// MOVD xmm, r/m32.
pub(crate) fn movd_load<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.general_operand::<MEMORY>(memory, op)?;
    cpu.set_xmm(op.reg, value.into());
    Ok(())
}

/// MOVD r/m32, xmm.
pub(crate) fn movd_store<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.xmm(op.reg) as u32;
    cpu.set_general::<MEMORY>(memory, op, value)
}

/// MOVMSKPS.
pub(crate) fn movmskps(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.xmm(op.rm);
    let signs = (0..4).fold(0, |signs, lane| signs | ((value >> (32 * lane + 31)) as u32 & 1) << lane);
    cpu.regs[usize::from(op.reg & 7)] = signs;
    Ok(())
}

/// MOVMSKPD.
pub(crate) fn movmskpd(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.xmm(op.rm);
    cpu.regs[usize::from(op.reg & 7)] = (value >> 63) as u32 & 1 | (value >> 126) as u32 & 2;
    Ok(())
}

/// PMOVMSKB r32, xmm.
pub(crate) fn pmovmskb(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    cpu.regs[usize::from(op.reg & 7)] = lanes::octet_signs(cpu.xmm(op.rm), 16);
    Ok(())
}

/// MOVDQ2Q mm, xmm: an MMX instruction to the x87 unit.
pub(crate) fn movdq2q(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    cpu.mmx_ready()?;
    let value = cpu.xmm(op.rm) as u64;
    cpu.set_mm(op.reg, value);
    Ok(())
}

/// MOVQ2DQ xmm, mm.
pub(crate) fn movq2dq(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    cpu.mmx_ready()?;
    let value = cpu.fpu.mm(op.rm);
    cpu.fpu.enter_mmx();
    cpu.set_xmm(op.reg, value.into());
    Ok(())
}
