//! Binary floating point by integers: results, rounding and flags do not depend on the host.
//!
//! IEEE 754-1985 as x86 processors implement it (Intel SDM vol. 1, chapters 4.8, 8 and 11): binary32 and binary64 with
//! the rules of SSE (`binary`), the x87's double extended format (`F80`) with precision control, pseudo-denormals,
//! the responses to unmasked exceptions and the transcendental functions.
//!
//! An operation gets its operands' bits and a [`Context`]: how to round, and which exceptions are unmasked; there it
//! notes what it noticed, in the order of bits that FSW and MXCSR share. Tininess is detected after rounding. What is
//! returned is the masked response; whether it is stored, the caller decides ([`Context::stopped`]).
//!
//! Not supported: binary128, decimal formats, fused operations.

pub mod binary;
mod extended;
mod transcendental;

pub use extended::{BCD_INDEFINITE, F80, Relation, Remainder};

/// An operand is a signalling NaN or of an unsupported format, or the operation has no result.
pub const INVALID: u32 = 1;
/// An operand is denormal.
pub const DENORMAL: u32 = 2;
/// A finite number was divided by zero.
pub const DIVISION: u32 = 4;
pub const OVERFLOW: u32 = 8;
pub const UNDERFLOW: u32 = 16;
/// The result was rounded.
pub const INEXACT: u32 = 32;

/// In the order of FCW.RC and MXCSR.RC (SDM vol. 1, table 4-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    Nearest,
    Down,
    Up,
    Zero,
}

impl Rounding {
    #[inline]
    pub fn new(bits: u32) -> Self {
        match bits & 3 {
            0 => Rounding::Nearest,
            1 => Rounding::Down,
            2 => Rounding::Up,
            _ => Rounding::Zero,
        }
    }

    /// Is a magnitude to be increased, of which `rest` (in units of 2⁻⁶⁴ of the last place) is cut off?
    #[inline(always)]
    fn increases(self, negative: bool, odd: bool, rest: u64) -> bool {
        match self {
            Rounding::Nearest => rest > (1 << 63) - u64::from(odd),
            Rounding::Zero => false,
            Rounding::Up => rest != 0 && !negative,
            Rounding::Down => rest != 0 && negative,
        }
    }

    /// Does a number beyond the largest become infinite?
    #[inline]
    fn overflows(self, negative: bool) -> bool {
        match self {
            Rounding::Nearest => true,
            Rounding::Zero => false,
            Rounding::Up => !negative,
            Rounding::Down => negative,
        }
    }
}

/// How to compute, and what was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    pub rounding: Rounding,
    /// Bits of an extended result's significand: 24, 53 or 64 (FCW.PC); the exponent's range stays.
    pub precision: u32,
    /// Exceptions that are not masked.
    pub unmasked: u32,
    /// Denormal operands are zeros (MXCSR.DAZ; binary32 and binary64 only).
    pub flush_operands: bool,
    /// Tiny results are zeros (MXCSR.FZ; binary32 and binary64 only, if underflow is masked).
    pub flush_results: bool,
    pub flags: u32,
    /// The magnitude was increased by rounding (FSW.C1).
    pub up: bool,
}

impl Context {
    /// To the nearest, 64 bits, everything masked.
    pub const fn new() -> Self {
        Context {
            rounding: Rounding::Nearest,
            precision: 64,
            unmasked: 0,
            flush_operands: false,
            flush_results: false,
            flags: 0,
            up: false,
        }
    }

    /// Did an unmasked exception of the operands occur? Then there is no result.
    #[inline]
    pub fn stopped(&self) -> bool {
        self.flags & self.unmasked & (INVALID | DENORMAL | DIVISION) != 0
    }

    /// A denormal operand was met; does that stop the operation?
    #[inline]
    fn denormal(&mut self) -> bool {
        self.flags |= DENORMAL;
        self.unmasked & DENORMAL != 0
    }
}

impl Default for Context {
    fn default() -> Self {
        Context::new()
    }
}

/// 128 bits shifted right; the last bit is set if anything was lost.
#[inline]
fn shifted(value: u128, by: u32) -> u128 {
    match by {
        0 => value,
        1..128 => value >> by | u128::from(value << (128 - by) != 0),
        _ => u128::from(value != 0),
    }
}
