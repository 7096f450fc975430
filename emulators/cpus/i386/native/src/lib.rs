//! An i386, from the 486 to the Pentium III: an interpreter of traces behind the engine contract (`docs/engine.md`).
//!
//! Specification: Intel 64 and IA-32 Architectures Software Developer's Manual ("SDM"), volumes 1 to 4.
//!
//! # Layers
//!
//! Each line's files import from the lines below it, never from above. Methods of [`Cpu`] are in the file of their
//! chapter, whoever calls them.
//!
//! ```text
//! run                                      traces, one after the other; what is asynchronous
//! decode, table                            encodings, and the handlers that they name
//! arithmetic, string, x87, sse, mmx, …     handlers
//! operand, transfer, interrupts            operands; far jumps and calls; events
//! access, task, contract                   loads and stores; tasks; the state by its names
//! segments, paging, breakpoints, registers, msr_access, snapshot, op
//! state                                    the processor
//! code, operation, msr, soft, asked        what it is made of; x87::state, sse::state too
//! descriptor, control_registers, vectors, flags, model, exit
//! ```
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
mod asked;
mod bits;
mod breakpoints;
mod code;
mod contract;
mod control_registers;
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
#[cfg(test)]
mod interrupts_tests;
mod io;
mod mmx;
pub mod model;
mod msr;
mod msr_access;
mod op;
mod operand;
mod operation;
mod paging;
#[cfg(test)]
mod paging_tests;
mod registers;
#[cfg(test)]
mod registers_tests;
mod run;
mod segments;
mod shift;
mod snapshot;
mod soft;
mod sse;
mod state;
mod string;
mod system;
pub mod table;
mod task;
#[cfg(test)]
mod task_tests;
#[cfg(test)]
mod testbench;
mod transfer;
#[cfg(test)]
mod transfer_tests;
mod vectors;
mod x87;

pub use contract::Named;
pub use paging::Access;
pub use state::Cpu;
