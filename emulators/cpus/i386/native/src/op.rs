//! A decoded instruction.

use crate::exit::Stop;
use crate::state::{Cpu, NONE};
use guest_memory::Memory;

pub(crate) type Done = Result<(), Stop>;
pub(crate) type Handler = fn(&mut Cpu, &mut Memory, &Op) -> Done;

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

#[derive(Clone, Copy)]
pub struct Op {
    pub(crate) run: Handler,
    /// Immediate operand, sign-extended; a near branch's displacement; a far pointer's offset.
    pub(crate) imm: u32,
    pub(crate) disp: u32,
    /// Of the address: 0xffff or all ones.
    pub(crate) mask: u32,
    /// ENTER's second operand; a far pointer's selector.
    pub(crate) imm2: u16,
    /// Its row in [`crate::table::rows`], or `u16::MAX`.
    pub(crate) row: u16,
    /// In octets, prefixes included.
    pub(crate) length: u8,
    /// The ModRM octet's reg field, or the register in the opcode.
    pub(crate) reg: u8,
    /// The ModRM octet's r/m field, if it names a register.
    pub(crate) rm: u8,
    /// Of the address: general registers, or `NONE`.
    pub(crate) base: u8,
    pub(crate) index: u8,
    pub(crate) scale: u8,
    /// The segment register of the memory operand.
    pub(crate) seg: u8,
    pub(crate) flags: u8,
}

impl Op {
    #[inline(always)]
    pub(crate) fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

impl Default for Op {
    fn default() -> Self {
        Op {
            run: crate::system::undefined,
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
            seg: crate::state::DS as u8,
            flags: REGISTER,
        }
    }
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
