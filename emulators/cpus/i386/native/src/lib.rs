//! An i386, from the 486 to the Pentium III: an interpreter of traces behind the engine contract (`docs/engine.md`).
//!
//! Specification: Intel 64 and IA-32 Architectures Software Developer's Manual ("SDM"), volumes 1 to 4.
//!
//! # Theory of operation
//!
//! Instructions are decoded once, into operations that name their handler ([`op`]); operations are kept as traces
//! ([`code`]), found by physical address. [`run`] executes trace after trace, and looks between them for what is
//! asynchronous; handlers are in files named as the manual's chapters. Flags are computed when they are wanted
//! ([`flags`]). Accesses go through the segments' reach and a soft TLB ([`access`]).
//!
//! Everything before the last possible fault of an instruction leaves the processor as it was: it can begin again.

mod access;
mod arithmetic;
mod bits;
mod code;
mod contract;
mod control_transfer;
mod data_transfer;
mod debugger;
mod decimal;
mod decode;
mod descriptor;
pub mod exit;
mod flag_control;
mod flags;
mod interrupts;
mod io;
pub mod model;
mod msr;
mod op;
mod operand;
mod paging;
mod registers;
mod run;
mod segments;
mod shift;
mod snapshot;
mod sse;
mod state;
mod string;
mod system;
pub mod table;
mod task;
mod transfer;
mod x87;

pub use contract::Named;
pub use paging::Access;
pub use state::Cpu;
