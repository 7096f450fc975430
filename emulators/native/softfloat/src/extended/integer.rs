//! To and from integers, binary and decimal: FILD, FIST, FBLD, FBSTP, FRNDINT.

use super::{BIAS, F80, INTEGER_BIT};
use crate::{Context, INEXACT, INVALID};

/// The packed BCD indefinite (SDM vol. 1, table 4-4).
pub const BCD_INDEFINITE: u128 = 0xffff_c000_0000_0000_0000;
/// Eighteen digits.
const BCD_LIMIT: u64 = 1_000_000_000_000_000_000;

impl F80 {
    pub fn of_integer(value: i64) -> F80 {
        if value == 0 {
            return F80::ZERO;
        }
        let magnitude = value.unsigned_abs();
        let shift = magnitude.leading_zeros();
        F80::new(value < 0, BIAS + 63 - shift as i32, magnitude << shift)
    }

    /// The magnitude of a finite number as an integer, rounded; None if it is 2⁶⁴ or more.
    fn magnitude(self, context: &mut Context) -> Option<u64> {
        if self.is_zero() {
            return Some(0);
        }
        let x = self.finite();
        let behind = BIAS + 63 - x.exponent; // bits behind the point
        let (kept, rest) = match behind {
            ..0 => return None,
            0 => (x.significand, 0),
            1..64 => (x.significand >> behind, x.significand << (64 - behind)),
            64 => (0, x.significand),
            _ => (0, 1),
        };
        let up = context.rounding.increases(x.negative, kept & 1 != 0, rest);
        let rounded = kept.checked_add(u64::from(up))?;
        if rest != 0 {
            context.flags |= INEXACT;
            context.up = up;
        }
        Some(rounded)
    }

    /// To a signed integer of `bits` bits; the most negative one, if it does not fit.
    pub fn to_integer(self, bits: u32, context: &mut Context) -> i64 {
        let indefinite = i64::MIN >> (64 - bits);
        let before = *context;
        if !self.is_odd() && !self.is_infinite() {
            let negative = self.is_negative();
            let limit = (1 << (bits - 1)) - u64::from(!negative);
            if let Some(magnitude) = self.magnitude(context).filter(|&magnitude| magnitude <= limit) {
                return if negative { magnitude.wrapping_neg() as i64 } else { magnitude as i64 };
            }
        }
        *context = Context { flags: before.flags | INVALID, ..before };
        indefinite
    }

    /// To an integer of the same format.
    pub fn round(self, context: &mut Context) -> F80 {
        if self.is_odd() {
            return self.odd(context);
        }
        if self.is_zero() || self.is_infinite() || self.exponent() >= BIAS + 63 {
            return self;
        }
        if self.is_denormal() && context.denormal() {
            return F80::INDEFINITE;
        }
        let magnitude = self.magnitude(context).unwrap_or(INTEGER_BIT);
        if magnitude == 0 {
            return F80::zero(self.is_negative());
        }
        let shift = magnitude.leading_zeros();
        F80::new(self.is_negative(), BIAS + 63 - shift as i32, magnitude << shift)
    }

    /// Eighteen packed digits and a sign. Digits above nine count as what they are worth; nothing is checked.
    pub fn of_decimal(bits: u128) -> F80 {
        let mut magnitude = 0u64;
        for digit in (0..18).rev() {
            magnitude = magnitude * 10 + (bits >> (4 * digit) & 15) as u64;
        }
        let value = F80::of_integer(magnitude as i64);
        if bits >> 79 & 1 != 0 { value.negate() } else { value }
    }

    /// Packed decimal, the value rounded to an integer.
    pub fn to_decimal(self, context: &mut Context) -> u128 {
        let before = *context;
        let magnitude = if self.is_odd() || self.is_infinite() { None } else { self.magnitude(context) };
        let Some(mut rest) = magnitude.filter(|&magnitude| magnitude < BCD_LIMIT) else {
            *context = Context { flags: before.flags | INVALID, ..before };
            return BCD_INDEFINITE;
        };
        let mut bits = u128::from(self.is_negative()) << 79;
        for digit in 0..18 {
            bits |= u128::from(rest % 10) << (4 * digit);
            rest /= 10;
        }
        bits
    }
}
