//! A decoded instruction of this processor.

pub(crate) use crate::operation::Done;
use crate::operation::{self, Operation};
use crate::state::{Cpu, DS, NONE};
use guest_memory::Memory;

pub(crate) type Handler = operation::Handler<Cpu>;

/// Flags of an [`Op`].
pub(crate) const ADDRESS16: u8 = 1;
pub(crate) const OPERAND16: u8 = 1 << 1;
/// F3: REP, REPE.
pub(crate) const REP: u8 = 1 << 2;
/// F2: REPNE.
pub(crate) const REPNE: u8 = 1 << 3;
pub(crate) const LOCK: u8 = 1 << 4;
/// The ModRM octet names a register, or there is none.
pub(crate) const REGISTER: u8 = 1 << 5;

pub(crate) type Op = Operation<Cpu>;

impl Default for Op {
    fn default() -> Self {
        Op {
            run: undefined,
            imm: 0,
            disp: 0,
            mask: u32::MAX,
            imm2: 0,
            row: u16::MAX,
            length: 1,
            reg: 0,
            rm: 0,
            base: NONE,
            index: NONE,
            scale: 0,
            seg: DS as u8,
            flags: REGISTER,
        }
    }
}

/// An opcode that there is not.
pub(crate) fn undefined(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    Err(cpu.ud())
}

impl Cpu {
    /// The offset of the memory operand.
    #[inline(always)]
    pub(crate) fn ea(&self, op: &Op) -> u32 {
        let base = self.regs[usize::from(op.base & 15)];
        let index = self.regs[usize::from(op.index & 15)];
        base.wrapping_add(index << (op.scale & 3)).wrapping_add(op.disp) & op.mask
    }

    /// Behind the instruction.
    #[inline(always)]
    pub(crate) fn next(&self, op: &Op) -> u32 {
        self.eip.wrapping_add(op.length.into())
    }
}
