//! Whether an instruction may run, and the control instructions: SDM vol. 1 §8.3.11, §8.6, §8.7; vol. 3 §2.5 (CR0).

use super::state::{C1, EXCEPTIONS, Fpu, STACK_FAULT};
use crate::access::Word;
use crate::control_registers::{CR0_EM, CR0_MP, CR0_NE, CR0_TS};
use crate::exit::Stop;
use crate::op::Op;
use crate::state::Cpu;
use crate::vectors::{MF, NM};
use guest_memory::Memory;

impl Cpu {
    /// Before an instruction that does not wait: is there a unit?
    #[inline]
    pub(crate) fn x87_present(&mut self) -> Result<(), Stop> {
        if self.cr0 & (CR0_EM | CR0_TS) != 0 {
            return Err(self.fault_without_code(NM));
        }
        Ok(())
    }

    /// Before every other one: is an exception pending?
    #[inline]
    pub(crate) fn x87_ready(&mut self) -> Result<(), Stop> {
        self.x87_present()?;
        self.fpu_pending()
    }

    /// #MF, if an exception is pending; MMX and SSE instructions ask, too.
    #[inline]
    pub(crate) fn fpu_pending(&mut self) -> Result<(), Stop> {
        if self.fpu.is_pending() { self.x87_pending() } else { Ok(()) }
    }

    #[cold]
    fn x87_pending(&mut self) -> Result<(), Stop> {
        if self.cr0 & CR0_NE != 0 {
            return Err(self.fault_without_code(MF));
        }
        if self.fpu.ignne {
            return Ok(());
        }
        // FERR# is driven: the processor stands before the instruction until it is interrupted.
        self.halted = true;
        Err(Stop::Halted)
    }

    /// FERR#: a floating-point error is for the board to report, as IRQ 13 (SDM vol. 1 appendix D).
    pub fn ferr(&self) -> bool {
        self.fpu.is_pending() && self.cr0 & CR0_NE == 0
    }

    /// IGNNE#: go on in spite of a pending exception (port F0h of a PC). It ends with FERR#.
    pub fn set_ignne(&mut self, level: bool) {
        self.fpu.ignne = level && self.fpu.is_pending();
    }

    /// Begin an instruction with an operand in memory, which is loaded.
    #[inline]
    pub(super) fn x87_load<T: Word>(&mut self, memory: &mut Memory, op: &Op) -> Result<T, Stop> {
        self.x87_ready()?;
        let offset = self.ea(op);
        let value = self.load::<T>(memory, op.seg, offset)?;
        self.x87_pointers(op, offset);
        Ok(value)
    }

    /// Begin an instruction without an operand in memory.
    #[inline]
    pub(super) fn x87(&mut self, op: &Op) -> Result<(), Stop> {
        self.x87_ready()?;
        self.note_instruction(op);
        Ok(())
    }

    #[inline]
    fn note_instruction(&mut self, op: &Op) {
        let pointers = &mut self.fpu.pointers;
        pointers.eip = self.eip;
        pointers.cs = self.seg[crate::state::CS].selector;
        pointers.opcode = op.imm as u16 & 0x7ff;
    }

    /// Note where the instruction and its operand are.
    #[inline]
    pub(super) fn x87_pointers(&mut self, op: &Op, offset: u32) {
        self.note_instruction(op);
        let pointers = &mut self.fpu.pointers;
        pointers.operand = offset;
        pointers.ds = self.seg[usize::from(op.seg)].selector;
    }
}

pub(crate) fn fnop(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)
}

/// FWAIT: with CR0.MP, TS counts; EM does not.
pub(crate) fn fwait(cpu: &mut Cpu, _: &mut Memory, _: &Op) -> Result<(), Stop> {
    if cpu.cr0 & (CR0_MP | CR0_TS) == CR0_MP | CR0_TS {
        return Err(cpu.fault_without_code(NM));
    }
    cpu.fpu_pending()
}

pub(crate) fn fninit(cpu: &mut Cpu, _: &mut Memory, _: &Op) -> Result<(), Stop> {
    cpu.x87_present()?;
    cpu.fpu.init();
    Ok(())
}

pub(crate) fn fnclex(cpu: &mut Cpu, _: &mut Memory, _: &Op) -> Result<(), Stop> {
    cpu.x87_present()?;
    cpu.fpu.status &= !(EXCEPTIONS | STACK_FAULT);
    cpu.fpu.summarise();
    Ok(())
}

/// FNENI, FNDISI, FNSETPM: of older units.
pub(crate) fn fn_nothing(cpu: &mut Cpu, _: &mut Memory, _: &Op) -> Result<(), Stop> {
    cpu.x87_present()
}

pub(crate) fn fldcw(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87_ready()?;
    let offset = cpu.ea(op);
    let value = cpu.load::<u16>(memory, op.seg, offset)?;
    cpu.fpu.set_control(value);
    Ok(())
}

pub(crate) fn fnstcw(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87_present()?;
    let offset = cpu.ea(op);
    cpu.store::<u16>(memory, op.seg, offset, cpu.fpu.control())
}

pub(crate) fn fnstsw(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87_present()?;
    let offset = cpu.ea(op);
    cpu.store::<u16>(memory, op.seg, offset, cpu.fpu.status())
}

pub(crate) fn fnstsw_ax(cpu: &mut Cpu, _: &mut Memory, _: &Op) -> Result<(), Stop> {
    cpu.x87_present()?;
    let status = cpu.fpu.status();
    cpu.set_r16(0, status);
    Ok(())
}

/// FFREE, and FFREEP, which pops, too.
pub(crate) fn ffree<const POP: bool>(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    cpu.fpu.status &= !C1;
    cpu.fpu.free(op.rm);
    if POP {
        cpu.fpu.pop();
    }
    Ok(())
}

/// FINCSTP (1), FDECSTP (7).
pub(crate) fn turn<const BY: u8>(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    let fpu: &mut Fpu = &mut cpu.fpu;
    fpu.status &= !C1;
    fpu.top = fpu.top.wrapping_add(BY) & 7;
    Ok(())
}
