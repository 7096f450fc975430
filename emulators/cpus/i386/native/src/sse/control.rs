//! MXCSR's instructions. Intel SDM volume 1, §10.4.7; FXSAVE and FXRSTOR are with the x87 unit's.

use guest_memory::Memory;

use super::mxcsr::{MXCSR_MASK, MXCSR_MASK_DAZ};
use crate::model::SSE2;
use crate::op::{Done, Op};
use crate::state::Cpu;
use crate::vectors::GP;

impl Cpu {
    /// The bits of MXCSR that this model has.
    pub(crate) fn mxcsr_mask(&self) -> u32 {
        if self.model.has(SSE2) { MXCSR_MASK_DAZ } else { MXCSR_MASK }
    }
}

pub(crate) fn ldmxcsr(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.memory_operand::<u32>(memory, op)?;
    if value & !cpu.mxcsr_mask() != 0 {
        return Err(cpu.fault(GP, 0));
    }
    cpu.sse.mxcsr = value;
    Ok(())
}

pub(crate) fn stmxcsr(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let value = cpu.sse.mxcsr;
    cpu.store_operand(memory, op, value)
}
