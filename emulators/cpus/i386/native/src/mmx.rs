//! MMX: Intel SDM volume 1, chapter 9; with Pentium III's additions (§5.5.2) and SSE2's two (§5.6.3).
//!
//! MM0 to MM7 are the significands of the x87 unit's physical registers. Every MMX instruction but EMMS makes all of
//! them valid and TOP 0; one that writes a register sets its sign and exponent to ones (§9.5.1). CR0.EM makes MMX an
//! invalid opcode; a waiting x87 exception is taken first (§9.6.1).
//!
//! Not supported: nothing of it.

use guest_memory::Memory;

use crate::control_registers::{CR0_EM, CR0_TS};
use crate::op::{Done, Op};
use crate::sse::lanes::{self, Packed, Shift};
use crate::state::Cpu;
use crate::vectors::NM;

impl Cpu {
    /// Of every MMX instruction: #UD, #NM, #MF.
    #[inline(always)]
    pub(crate) fn mmx_ready(&mut self) -> Done {
        if self.cr0 & CR0_EM != 0 {
            return Err(self.ud());
        }
        if self.cr0 & CR0_TS != 0 {
            return Err(self.fault_without_code(NM));
        }
        self.fpu_pending()
    }

    /// A register is written: the unit is MMX's.
    #[inline(always)]
    pub(crate) fn set_mm(&mut self, register: u8, value: u64) {
        self.fpu.enter_mmx();
        self.fpu.set_mm(register, value);
    }
}

/// PADDB and so on: mm, mm/m64.
pub(crate) fn packed<O: Packed, const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.mmx_ready()?;
    let source = cpu.mm_operand::<MEMORY>(memory, op)?;
    cpu.set_mm(op.reg, O::mmx(cpu.fpu.mm(op.reg), source));
    Ok(())
}

/// PUNPCKLBW and so on: mm, mm/m32. The upper half of memory is not read.
pub(crate) fn unpack_low<O: Packed, const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.mmx_ready()?;
    let source = if MEMORY { cpu.memory_operand::<u32>(memory, op)?.into() } else { cpu.fpu.mm(op.rm) };
    cpu.set_mm(op.reg, O::mmx(cpu.fpu.mm(op.reg), source));
    Ok(())
}

/// PSLLW and so on: mm, mm/m64.
pub(crate) fn shift<O: Shift, const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.mmx_ready()?;
    let count = cpu.mm_operand::<MEMORY>(memory, op)?;
    cpu.set_mm(op.reg, O::mmx(cpu.fpu.mm(op.reg), count));
    Ok(())
}

/// PSLLW and so on: mm, imm8.
pub(crate) fn shift_by_immediate<O: Shift>(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Done {
    cpu.mmx_ready()?;
    cpu.set_mm(op.rm, O::mmx(cpu.fpu.mm(op.rm), u64::from(op.imm & 0xff)));
    Ok(())
}

/// MOVD mm, r/m32.
pub(crate) fn movd_load<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.mmx_ready()?;
    let value = cpu.general_operand::<MEMORY>(memory, op)?;
    cpu.set_mm(op.reg, value.into());
    Ok(())
}

/// MOVD r/m32, mm.
pub(crate) fn movd_store<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.mmx_ready()?;
    let value = cpu.fpu.mm(op.reg) as u32;
    cpu.set_general::<MEMORY>(memory, op, value)?;
    cpu.fpu.enter_mmx();
    Ok(())
}

/// MOVQ mm, mm/m64.
pub(crate) fn movq_load<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.mmx_ready()?;
    let value = cpu.mm_operand::<MEMORY>(memory, op)?;
    cpu.set_mm(op.reg, value);
    Ok(())
}

/// MOVQ mm/m64, mm.
pub(crate) fn movq_store<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.mmx_ready()?;
    let value = cpu.fpu.mm(op.reg);
    if MEMORY {
        cpu.store_operand(memory, op, value)?;
        cpu.fpu.enter_mmx();
    } else {
        cpu.set_mm(op.rm, value);
    }
    Ok(())
}

/// EMMS: all registers are empty.
pub(crate) fn emms(cpu: &mut Cpu, _: &mut Memory, _: &Op) -> Done {
    cpu.mmx_ready()?;
    cpu.fpu.leave_mmx();
    Ok(())
}

/// PSHUFW mm, mm/m64, imm8.
pub(crate) fn pshufw<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.mmx_ready()?;
    let source = cpu.mm_operand::<MEMORY>(memory, op)?;
    cpu.set_mm(op.reg, lanes::shuffle_words(source, op.imm as u8));
    Ok(())
}

/// PINSRW mm, r32/m16, imm8.
pub(crate) fn pinsrw<const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.mmx_ready()?;
    let word = if MEMORY { cpu.memory_operand::<u16>(memory, op)? } else { cpu.regs[usize::from(op.rm & 7)] as u16 };
    let at = 16 * (op.imm & 3);
    cpu.set_mm(op.reg, cpu.fpu.mm(op.reg) & !(0xffff << at) | u64::from(word) << at);
    Ok(())
}

/// PEXTRW r32, mm, imm8.
pub(crate) fn pextrw(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Done {
    cpu.mmx_ready()?;
    cpu.regs[usize::from(op.reg & 7)] = u32::from((cpu.fpu.mm(op.rm) >> (16 * (op.imm & 3))) as u16);
    cpu.fpu.enter_mmx();
    Ok(())
}

/// PMOVMSKB r32, mm.
pub(crate) fn pmovmskb(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Done {
    cpu.mmx_ready()?;
    cpu.regs[usize::from(op.reg & 7)] = lanes::octet_signs(cpu.fpu.mm(op.rm).into(), 8);
    cpu.fpu.enter_mmx();
    Ok(())
}
