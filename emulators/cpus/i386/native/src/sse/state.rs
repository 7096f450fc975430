//! SSE's registers, and MXCSR's instructions. Intel SDM volume 1, §10.2; FXSAVE and FXRSTOR are with the x87 unit's.

use guest_memory::Memory;

use super::mxcsr;
use crate::contract::Named;
use crate::exit::Refused;
use crate::interrupts::GP;
use crate::model::SSE2;
use crate::op::{Done, Op};
use crate::state::Cpu;
use engine_contract::saved::{Fields, damaged};

/// XMM0 to XMM7 and MXCSR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sse {
    pub xmm: [u128; 8],
    pub mxcsr: u32,
}

impl Default for Sse {
    fn default() -> Self {
        Sse { xmm: [0; 8], mxcsr: mxcsr::DEFAULT }
    }
}

impl Sse {
    /// For snapshots.
    pub(crate) fn fields(&mut self, to: &mut dyn Fields) -> Result<(), Refused> {
        for register in &mut self.xmm {
            to.u128(register)?;
        }
        to.u32(&mut self.mxcsr)?;
        if self.mxcsr & !MXCSR_MASK_DAZ != 0 {
            return Err(damaged("bits of MXCSR that there are not"));
        }
        Ok(())
    }

    /// Registers by name.
    pub(crate) fn state(&self, to: &mut Vec<Named>) {
        for (number, register) in self.xmm.iter().enumerate() {
            to.push((format!("xmm{number}"), *register));
        }
        to.push(("mxcsr".into(), self.mxcsr.into()));
    }

    /// Set one; false: there is none of this name.
    pub(crate) fn set(&mut self, name: &str, value: u128) -> bool {
        if name == "mxcsr" {
            self.mxcsr = value as u32 & MXCSR_MASK_DAZ;
            return true;
        }
        let number = name.strip_prefix("xmm").and_then(|number| number.parse::<usize>().ok());
        let Some(register) = number.and_then(|number| self.xmm.get_mut(number)) else {
            return false;
        };
        *register = value;
        true
    }
}

/// MXCSR's bits without denormals-are-zeros, which Pentium III has not. SDM volume 1, §11.6.6.
pub(crate) const MXCSR_MASK: u32 = 0xffbf;
/// And with.
pub(crate) const MXCSR_MASK_DAZ: u32 = 0xffff;

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
