//! The double extended format: a sign, 15 bits of exponent (bias 16383), 64 of significand with its integer bit.
//!
//! SDM vol. 1 §4.2.2 and §8.2.2 (unsupported encodings). Read `rounding.rs` next.

mod arithmetic;
mod conversion;
mod integer;
mod remainder;
mod rounding;
mod scale;

pub use integer::BCD_INDEFINITE;
pub use remainder::Remainder;

use crate::{Context, INVALID};
use std::fmt;

pub(crate) const BIAS: i32 = 16383;
pub(crate) const TOP: i32 = 0x7fff;
pub(crate) const INTEGER_BIT: u64 = 1 << 63;
const QUIET_BIT: u64 = 1 << 62;

/// Its bits: any are possible, the unsupported ones, too.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct F80 {
    pub sign_exponent: u16,
    pub significand: u64,
}

/// Compared with another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Less,
    Equal,
    Greater,
    Unordered,
}

/// A finite number other than zero: ± significand × 2^(exponent − BIAS − 63), the integer bit set.
#[derive(Clone, Copy)]
pub(crate) struct Finite {
    pub negative: bool,
    pub exponent: i32,
    pub significand: u64,
}

impl F80 {
    pub const ZERO: F80 = F80 { sign_exponent: 0, significand: 0 };
    pub const ONE: F80 = F80 { sign_exponent: 0x3fff, significand: INTEGER_BIT };
    /// The real indefinite: what invalid operations give (SDM vol. 1, table 4-3).
    pub const INDEFINITE: F80 = F80 { sign_exponent: 0xffff, significand: INTEGER_BIT | QUIET_BIT };

    #[inline]
    pub const fn new(negative: bool, exponent: i32, significand: u64) -> F80 {
        F80 { sign_exponent: exponent as u16 | (negative as u16) << 15, significand }
    }

    /// From the ten octets in memory.
    #[inline]
    pub const fn from_bits(bits: u128) -> F80 {
        F80 { sign_exponent: (bits >> 64) as u16, significand: bits as u64 }
    }

    #[inline]
    pub const fn to_bits(self) -> u128 {
        (self.sign_exponent as u128) << 64 | self.significand as u128
    }

    pub const fn infinity(negative: bool) -> F80 {
        F80::new(negative, TOP, INTEGER_BIT)
    }

    pub const fn zero(negative: bool) -> F80 {
        F80::new(negative, 0, 0)
    }

    #[inline]
    pub const fn is_negative(self) -> bool {
        self.sign_exponent >> 15 != 0
    }

    #[inline]
    pub(crate) const fn exponent(self) -> i32 {
        (self.sign_exponent & 0x7fff) as i32
    }

    #[inline]
    pub const fn is_zero(self) -> bool {
        self.exponent() == 0 && self.significand == 0
    }

    /// Denormals and pseudo-denormals.
    #[inline]
    pub const fn is_denormal(self) -> bool {
        self.exponent() == 0 && self.significand != 0
    }

    #[inline]
    pub const fn is_normal(self) -> bool {
        (self.exponent() as u32).wrapping_sub(1) < 0x7ffe && self.significand & INTEGER_BIT != 0
    }

    #[inline]
    pub const fn is_infinite(self) -> bool {
        self.exponent() == TOP && self.significand == INTEGER_BIT
    }

    /// Pseudo-NaNs, pseudo-infinities and unnormals, which no processor since the 387 makes or takes.
    #[inline]
    pub const fn is_unsupported(self) -> bool {
        self.exponent() != 0 && self.significand & INTEGER_BIT == 0
    }

    #[inline]
    pub const fn is_nan(self) -> bool {
        self.exponent() == TOP && self.significand > INTEGER_BIT
    }

    #[inline]
    pub const fn is_signalling(self) -> bool {
        self.is_nan() && self.significand & QUIET_BIT == 0
    }

    pub const fn negate(self) -> F80 {
        F80 { sign_exponent: self.sign_exponent ^ 0x8000, ..self }
    }

    pub const fn abs(self) -> F80 {
        F80 { sign_exponent: self.sign_exponent & 0x7fff, ..self }
    }

    const fn quiet(self) -> F80 {
        F80 { significand: self.significand | QUIET_BIT, ..self }
    }

    /// No number: neither zero, finite nor infinite.
    #[inline]
    pub(crate) const fn is_odd(self) -> bool {
        self.is_nan() || self.is_unsupported()
    }

    pub(crate) fn invalid(context: &mut Context) -> F80 {
        context.flags |= INVALID;
        F80::INDEFINITE
    }

    /// The result for an operand that is no number.
    pub(crate) fn odd(self, context: &mut Context) -> F80 {
        if self.is_unsupported() {
            return F80::invalid(context);
        }
        if self.is_signalling() {
            context.flags |= INVALID;
        }
        self.quiet()
    }

    /// The result for two operands of which one is no number (SDM vol. 1, table 4-7).
    pub(crate) fn odd_of(self, other: F80, context: &mut Context) -> F80 {
        if self.is_unsupported() || other.is_unsupported() {
            return F80::invalid(context);
        }
        let signalling = (self.is_signalling(), other.is_signalling());
        if signalling.0 || signalling.1 {
            context.flags |= INVALID;
        }
        let first = match (self.is_nan(), other.is_nan()) {
            (true, false) => true,
            (false, _) => false,
            _ => match signalling {
                (true, false) => false,
                (false, true) => true,
                // The larger significand; of equal ones the positive.
                _ if self.significand == other.significand => self.sign_exponent < other.sign_exponent,
                _ => self.significand > other.significand,
            },
        };
        if first { self.quiet() } else { other.quiet() }
    }

    /// A normal number.
    #[inline(always)]
    pub(crate) fn normal(self) -> Finite {
        Finite { negative: self.is_negative(), exponent: self.exponent(), significand: self.significand }
    }

    /// A finite number other than zero, normalised.
    #[inline]
    pub(crate) fn finite(self) -> Finite {
        let shift = self.significand.leading_zeros();
        let exponent = self.exponent();
        Finite {
            negative: self.is_negative(),
            exponent: if exponent == 0 { 1 - shift as i32 } else { exponent },
            significand: self.significand << shift,
        }
    }

    /// Compared. A quiet comparison (FUCOM) does not mind quiet NaNs.
    pub fn compare(self, other: F80, quiet: bool, context: &mut Context) -> Relation {
        if self.is_odd() || other.is_odd() {
            let unsupported = self.is_unsupported() || other.is_unsupported();
            if !quiet || unsupported || self.is_signalling() || other.is_signalling() {
                context.flags |= INVALID;
            }
            return Relation::Unordered;
        }
        if self.is_denormal() || other.is_denormal() {
            context.flags |= crate::DENORMAL;
        }
        if self.is_zero() && other.is_zero() {
            return Relation::Equal;
        }
        let key = |x: F80| {
            let exponent = if x.is_denormal() { 1 } else { x.exponent() };
            let magnitude = (exponent as i128) << 64 | i128::from(x.significand);
            if x.is_negative() { -magnitude } else { magnitude }
        };
        match key(self).cmp(&key(other)) {
            std::cmp::Ordering::Less => Relation::Less,
            std::cmp::Ordering::Equal => Relation::Equal,
            std::cmp::Ordering::Greater => Relation::Greater,
        }
    }
}

/// The bits: sign and exponent, significand.
impl fmt::Display for F80 {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{:04x}.{:016x}", self.sign_exponent, self.significand)
    }
}

impl fmt::Debug for F80 {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
pub(crate) mod random;
#[cfg(test)]
mod tests;
