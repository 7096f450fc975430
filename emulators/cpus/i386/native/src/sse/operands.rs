//! What SSE's and MMX's handlers share: may the instruction be executed, and where its operands are.
//!
//! Intel SDM volume 3, §12.1 and §13.1 (CR0.EM, CR0.TS, CR4.OSFXSR); volume 2, §2.7 (exceptions by type); volume 1,
//! §9.5 (MMX and the x87 unit). `MEMORY` of the handlers: the ModRM octet names memory, not a register.

use guest_memory::Memory;

use crate::access::Word;
use crate::control_registers::{CR0_EM, CR0_TS, CR4_OSFXSR, CR4_OSXMMEXCPT};
use crate::exit::Stop;
use crate::op::{Done, Op};
use crate::state::Cpu;
use crate::vectors::{GP, NM, XM};

impl Cpu {
    /// Of every SSE instruction that computes or moves: #UD, #NM.
    #[inline(always)]
    pub(crate) fn sse_ready(&mut self) -> Done {
        if self.cr0 & (CR0_EM | CR0_TS) != 0 || self.cr4 & CR4_OSFXSR == 0 {
            return Err(self.sse_unavailable());
        }
        Ok(())
    }

    #[cold]
    fn sse_unavailable(&mut self) -> Stop {
        if self.cr0 & CR0_EM != 0 || self.cr4 & CR4_OSFXSR == 0 { self.ud() } else { self.fault_without_code(NM) }
    }

    /// An unmasked SIMD floating-point exception, which MXCSR tells.
    #[cold]
    pub(crate) fn simd_exception(&mut self) -> Stop {
        if self.cr4 & CR4_OSXMMEXCPT != 0 { self.fault_without_code(XM) } else { self.ud() }
    }

    /// What a computation gave, or its exception.
    #[inline(always)]
    pub(crate) fn computed<T>(&mut self, result: Option<T>) -> Result<T, Stop> {
        match result {
            Some(value) => Ok(value),
            None => Err(self.simd_exception()),
        }
    }

    #[inline(always)]
    pub(crate) fn xmm(&self, register: u8) -> u128 {
        self.sse.xmm[usize::from(register & 7)]
    }

    #[inline(always)]
    pub(crate) fn set_xmm(&mut self, register: u8, value: u128) {
        self.sse.xmm[usize::from(register & 7)] = value;
    }

    /// The lowest bits of an XMM register; the others stay.
    #[inline(always)]
    pub(crate) fn set_xmm_low(&mut self, register: u8, value: u128, bits: u32) {
        let kept = self.xmm(register) >> bits << bits;
        self.set_xmm(register, kept | value & !(u128::MAX << bits));
    }

    /// A memory operand, wherever it is.
    #[inline(always)]
    pub(crate) fn memory_operand<T: Word>(&mut self, memory: &mut Memory, op: &Op) -> Result<T, Stop> {
        let offset = self.ea(op);
        self.load::<T>(memory, op.seg, offset)
    }

    #[inline(always)]
    pub(crate) fn store_operand<T: Word>(&mut self, memory: &mut Memory, op: &Op, value: T) -> Done {
        let offset = self.ea(op);
        self.store::<T>(memory, op.seg, offset, value)
    }

    /// 16 octets must be aligned, by linear address.
    #[inline(always)]
    pub(crate) fn aligned(&mut self, op: &Op, offset: u32) -> Done {
        let linear = self.seg[usize::from(op.seg)].base.wrapping_add(offset);
        if linear & 15 != 0 { Err(self.fault(GP, 0)) } else { Ok(()) }
    }

    /// 128 bits of an XMM register or of aligned memory.
    #[inline(always)]
    pub(crate) fn xmm_operand<const MEMORY: bool>(&mut self, memory: &mut Memory, op: &Op) -> Result<u128, Stop> {
        if !MEMORY {
            return Ok(self.xmm(op.rm));
        }
        let offset = self.ea(op);
        self.aligned(op, offset)?;
        self.load::<u128>(memory, op.seg, offset)
    }

    /// The lowest `T` of an XMM register, or a `T` of memory; the other bits are 0 or the register's.
    #[inline(always)]
    pub(crate) fn xmm_part<T: Word + Into<u128>, const MEMORY: bool>(
        &mut self,
        memory: &mut Memory,
        op: &Op,
    ) -> Result<u128, Stop> {
        if MEMORY { Ok(self.memory_operand::<T>(memory, op)?.into()) } else { Ok(self.xmm(op.rm)) }
    }

    /// 32 bits of a general register or memory.
    #[inline(always)]
    pub(crate) fn general_operand<const MEMORY: bool>(&mut self, memory: &mut Memory, op: &Op) -> Result<u32, Stop> {
        if MEMORY { self.memory_operand::<u32>(memory, op) } else { Ok(self.regs[usize::from(op.rm & 7)]) }
    }

    #[inline(always)]
    pub(crate) fn set_general<const MEMORY: bool>(&mut self, memory: &mut Memory, op: &Op, value: u32) -> Done {
        if MEMORY {
            return self.store_operand::<u32>(memory, op, value);
        }
        self.regs[usize::from(op.rm & 7)] = value;
        Ok(())
    }

    /// 64 bits of an MMX register or memory.
    #[inline(always)]
    pub(crate) fn mm_operand<const MEMORY: bool>(&mut self, memory: &mut Memory, op: &Op) -> Result<u64, Stop> {
        if MEMORY { self.memory_operand::<u64>(memory, op) } else { Ok(self.fpu.mm(op.rm)) }
    }
}
