//! What the engines of all instruction sets share (`docs/engine.md`).
//!
//! [`exit`]: why an engine comes back. [`debugger`]: the host's break- and watchpoints. [`saved`]: a processor as octets,
//! and back. [`replay`]: accesses to devices, and the log of those that were made. [`pages`]: decoded code of instruction sets whose instructions all have four octets. Nothing here knows an
//! instruction set, or Python.

pub mod debugger;
pub mod exit;
pub mod pages;
pub mod replay;
pub mod saved;
