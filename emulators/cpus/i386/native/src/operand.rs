//! Operands of integer instructions: registers and memory of 8, 16 and 32 bits.

use crate::access::Word;
use crate::exit::Stop;
use crate::op::{Done, Op};
use crate::state::{Cpu, ESP, SS};
use guest_memory::Memory;

/// A general register's or memory's value.
pub(crate) trait Num: Word + PartialEq {
    const BITS: u32;
    fn get(cpu: &Cpu, register: u8) -> Self;
    fn set(cpu: &mut Cpu, register: u8, value: Self);
    /// Zero-extended.
    fn zx(self) -> u32;
    /// Sign-extended.
    fn sx(self) -> u32;
    /// The low bits.
    fn low(value: u32) -> Self;
}

impl Num for u8 {
    const BITS: u32 = 8;

    #[inline(always)]
    fn get(cpu: &Cpu, register: u8) -> Self {
        cpu.r8(register)
    }

    #[inline(always)]
    fn set(cpu: &mut Cpu, register: u8, value: Self) {
        cpu.set_r8(register, value);
    }

    #[inline(always)]
    fn zx(self) -> u32 {
        self.into()
    }

    #[inline(always)]
    fn sx(self) -> u32 {
        self as i8 as u32
    }

    #[inline(always)]
    fn low(value: u32) -> Self {
        value as u8
    }
}

impl Num for u16 {
    const BITS: u32 = 16;

    #[inline(always)]
    fn get(cpu: &Cpu, register: u8) -> Self {
        cpu.r16(register)
    }

    #[inline(always)]
    fn set(cpu: &mut Cpu, register: u8, value: Self) {
        cpu.set_r16(register, value);
    }

    #[inline(always)]
    fn zx(self) -> u32 {
        self.into()
    }

    #[inline(always)]
    fn sx(self) -> u32 {
        self as i16 as u32
    }

    #[inline(always)]
    fn low(value: u32) -> Self {
        value as u16
    }
}

impl Num for u32 {
    const BITS: u32 = 32;

    #[inline(always)]
    fn get(cpu: &Cpu, register: u8) -> Self {
        cpu.r32(register)
    }

    #[inline(always)]
    fn set(cpu: &mut Cpu, register: u8, value: Self) {
        cpu.set_r32(register, value);
    }

    #[inline(always)]
    fn zx(self) -> u32 {
        self
    }

    #[inline(always)]
    fn sx(self) -> u32 {
        self
    }

    #[inline(always)]
    fn low(value: u32) -> Self {
        value
    }
}

impl Cpu {
    /// The r/m operand; `M`: it is memory.
    #[inline(always)]
    pub(crate) fn rm<T: Num, const M: bool>(&mut self, memory: &mut Memory, op: &Op) -> Result<T, Stop> {
        if !M {
            return Ok(T::get(self, op.rm));
        }
        let offset = self.ea(op);
        self.load::<T>(memory, op.seg, offset)
    }

    #[inline(always)]
    pub(crate) fn set_rm<T: Num, const M: bool>(&mut self, memory: &mut Memory, op: &Op, value: T) -> Done {
        if !M {
            T::set(self, op.rm, value);
            return Ok(());
        }
        let offset = self.ea(op);
        self.store::<T>(memory, op.seg, offset, value)
    }

    /// The stack pointer moved by `by`; of a 16-bit stack, SP alone.
    #[inline(always)]
    pub(crate) fn moved_stack(&self, by: u32) -> u32 {
        let esp = self.regs[ESP];
        if self.is_stack_big() { esp.wrapping_add(by) } else { esp & 0xffff_0000 | esp.wrapping_add(by) & 0xffff }
    }

    /// The offset in SS that a stack pointer is.
    #[inline(always)]
    pub(crate) fn stack_offset(&self, pointer: u32) -> u32 {
        if self.is_stack_big() { pointer } else { pointer & 0xffff }
    }

    #[inline(always)]
    pub(crate) fn push<T: Num>(&mut self, memory: &mut Memory, value: T) -> Done {
        let pointer = self.moved_stack(T::OCTETS.wrapping_neg());
        let offset = self.stack_offset(pointer);
        self.store::<T>(memory, SS as u8, offset, value)?;
        self.regs[ESP] = pointer;
        Ok(())
    }

    /// What is on the stack's top; it stays.
    #[inline(always)]
    pub(crate) fn top<T: Num>(&mut self, memory: &mut Memory) -> Result<T, Stop> {
        let offset = self.stack_offset(self.regs[ESP]);
        self.load::<T>(memory, SS as u8, offset)
    }

    #[inline(always)]
    pub(crate) fn pop<T: Num>(&mut self, memory: &mut Memory) -> Result<T, Stop> {
        let value = self.top::<T>(memory)?;
        self.regs[ESP] = self.moved_stack(T::OCTETS);
        Ok(value)
    }

    /// Done, and what follows must be looked at.
    #[inline(always)]
    pub(crate) fn retire(&mut self, op: &Op) -> Done {
        self.eip = self.next(op);
        Err(Stop::Retired)
    }
}
