//! MIPS processors.
//!
//! [`table`] knows the encodings of all of them, [`exit`] why an engine comes back. [`mips32`] is an interpreter of
//! MIPS32 release 2 (24Kf), [`r3000`] are interpreters of MIPS I: uMPS3's processors. Guest memory is `guest-memory`'s. Nothing here knows Python.

#![allow(clippy::precedence)] // of shifts over masks: fields of words are the daily bread here

pub use engine_contract::exit;

pub mod disassemble;
pub mod float;
pub mod mips32;
pub mod r3000;
pub mod table;
