//! MIPS processors.
//!
//! Guest memory is `guest-memory`'s.

pub mod table;
