//! A decoded instruction, of any processor `C`: the processor holds operations, and operations name handlers that take the
//! processor. [`crate::op`] ties the knot.

use crate::exit::Stop;
use guest_memory::Memory;

pub(crate) type Done = Result<(), Stop>;
pub(crate) type Handler<C> = fn(&mut C, &mut Memory, &Operation<C>) -> Done;

pub struct Operation<C> {
    pub(crate) run: Handler<C>,
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

impl<C> Clone for Operation<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Operation<C> {}

impl<C> Operation<C> {
    #[inline(always)]
    pub(crate) fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}
