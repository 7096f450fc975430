//! Bits of MSR (PEM table 2-5).

/// AltiVec is available.
pub const VEC: u32 = 1 << 25;
pub const POW: u32 = 1 << 18;
pub const ILE: u32 = 1 << 16;
pub const EE: u32 = 1 << 15;
pub const PR: u32 = 1 << 14;
pub const FP: u32 = 1 << 13;
pub const ME: u32 = 1 << 12;
pub const FE0: u32 = 1 << 11;
pub const SE: u32 = 1 << 10;
pub const BE: u32 = 1 << 9;
pub const FE1: u32 = 1 << 8;
pub const IP: u32 = 1 << 6;
pub const IR: u32 = 1 << 5;
pub const DR: u32 = 1 << 4;
pub const PM: u32 = 1 << 2;
pub const RI: u32 = 1 << 1;
/// What can be set. Little-endian mode (ILE, LE) cannot.
pub const WRITABLE: u32 = POW | EE | PR | FP | ME | FE0 | SE | BE | FE1 | IP | IR | DR | PM | RI;
