//! The floating-point unit: Intel SDM vol. 1 chapter 8, vol. 2 (F…), vol. 3 §2.5, §9.2 (CR0), §8.7 (FERR#).
//!
//! Arithmetic is `soft-float`'s; here are the register stack, tags, exceptions and pointers (`state.rs`: read it first) and
//! the instructions, in files named as the manual's groups. An instruction first looks whether it may run (#NM, a pending
//! exception), then loads its operand, computes, and only then changes anything: it can be restarted.
//!
//! A pending exception is #MF before the next waiting instruction, if CR0.NE is set. If it is not, the processor drives
//! FERR# and waits before that instruction until an interrupt or IGNNE# comes (`Cpu::ferr`, `Cpu::set_ignne`).
//!
//! Found on processors rather than in the manual: C1 of overflows and stack faults, a zero divide hides a denormal dividend,
//! unmasked overflow of a store is not inexact. The tests run the host's own unit beside this one.
//!
//! Not supported: the 8087's and 80287's own formats and instructions (FNENI, FNDISI, FNSETPM do nothing, as since the
//! 387); pointers are kept for every instruction, whether or not it raises an exception.

mod arithmetic;
mod compare;
mod control;
mod environment;
mod state;
mod transcendental;
mod transfer;

pub(crate) use arithmetic::*;
pub(crate) use compare::*;
pub(crate) use control::*;
pub(crate) use environment::*;
pub use state::Fpu;
pub(crate) use transcendental::*;
pub(crate) use transfer::*;

#[cfg(test)]
mod environment_tests;
#[cfg(test)]
mod tests;
