//! AltiVec: the vector unit's registers and the way to its instructions. ALTIVECPEM (AltiVec Technology Programming
//! Environments Manual) chapters 2 to 4 and 6; MPC7400UM chapter 7.
//!
//! A register is a number of 128 bits whose most significant octet is that of the lowest address: element 0 of the
//! manual. The families of instructions are files: [`storage`], [`integer`], [`permute`], [`float`]; their rows are in
//! this order in the table, which is what [`Cpu::vector`] chooses by.
//!
//! Without MSR\[VEC\] all but the data streams is an AltiVec unavailable exception; VRSAVE is a register of its own, and
//! always there. VSCR has NJ and SAT; SAT stays set until mtvscr.
//!
//! Undefined by the manual, and here: the elements that lvebx, lvehx and lvewx do not load stay as they were; vsl and vsr
//! go by the last three bits of vB alone. A 7400 leaves denormalised numbers in Java mode to software (the AltiVec assist
//! exception, 0x1600); here the instructions do what that software does.
//!
//! Not supported: data streams fetch nothing, and lvxl and stvxl are lvx and stvx, for there are no caches.

mod float;
mod integer;
mod lanes;
mod permute;
mod storage;

use crate::Cpu;
use crate::access::Stop;
use crate::exception::VECTOR_UNAVAILABLE;
use crate::msr;
use crate::op::{Op, RC};
use crate::table::{Insn, field};
use guest_memory::Memory;
use lanes::Saturation;

/// VSCR: denormalised numbers are zeros (ALTIVECPEM §2.1.2).
pub(crate) const NJ: u32 = 1 << 16;
/// VSCR: something was saturated.
pub(crate) const SAT: u32 = 1;

/// The families' last rows.
const STREAMS: u16 = Insn::Dststt as u16;
const STORAGE: u16 = Insn::Stvxl as u16;
const INTEGER: u16 = Insn::Vsraw as u16;
const PERMUTE: u16 = Insn::Vsro as u16;
const FLOAT: u16 = Insn::Vcmpbfp as u16;
/// The rows behind them.
const INTEGER_END: u16 = INTEGER + 1;
const PERMUTE_END: u16 = PERMUTE + 1;

impl Insn {
    /// Is it AltiVec's?
    #[inline]
    pub(crate) fn is_vector(self) -> bool {
        (Insn::Dss as u16..=Insn::Mtvscr as u16).contains(&(self as u16))
    }
}

impl Cpu {
    #[inline(never)]
    pub(crate) fn vector(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let number = op.insn as u16;
        if number <= STREAMS {
            return Ok(());
        }
        if self.msr & msr::VEC == 0 {
            return Err(VECTOR_UNAVAILABLE.into());
        }
        if number <= STORAGE {
            return self.vector_storage(memory, op);
        }
        let [a, b, c] = [op.a & 31, op.b, field::c(op.word)].map(|number| self.vr[usize::from(number)]);
        let mut saturation = Saturation::default();
        let value = match number {
            ..=INTEGER => integer::compute(op.insn, [a, b, c], &mut saturation),
            INTEGER_END..=PERMUTE => permute::compute(op, [a, b, c], &mut saturation),
            PERMUTE_END..=FLOAT => float::compute(op, [a, b, c], self.vscr & NJ != 0, &mut saturation),
            _ if op.insn == Insn::Mtvscr => {
                self.vscr = b as u32 & (NJ | SAT);
                return Ok(());
            }
            _ => self.vscr.into(),
        };
        self.vr[usize::from(op.d)] = value;
        if saturation.happened {
            self.vscr |= SAT;
        }
        if op.flags & RC != 0 {
            self.cr[6] = match op.insn {
                // All are within their bounds.
                Insn::Vcmpbfp => u8::from(value == 0) << 1,
                _ => u8::from(value == u128::MAX) << 3 | u8::from(value == 0) << 1,
            };
        }
        Ok(())
    }
}
