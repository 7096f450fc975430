//! From an exact result to the format: rounding, overflow, underflow (SDM vol. 1 §4.9.1, §8.5.4 to §8.5.6).

use super::{F80, INTEGER_BIT, TOP};
use crate::{Context, INEXACT, OVERFLOW, Rounding, UNDERFLOW, shifted};

/// What an unmasked overflow or underflow moves the exponent by (SDM vol. 1 §8.5.4).
const WRAP: i32 = 24576;

/// A significand rounded to 64 − `cut` bits.
struct Rounded {
    significand: u64,
    /// It became 2.0: the exponent is one more, the significand is 0.
    carry: bool,
    inexact: bool,
    up: bool,
}

#[inline(always)]
fn round(negative: bool, high: u64, low: u64, cut: u32, rounding: Rounding) -> Rounded {
    let rest = if cut == 0 { low } else { high << (64 - cut) | u64::from(low != 0) };
    let kept = high >> cut << cut;
    let up = rounding.increases(negative, high >> cut & 1 != 0, rest);
    let (significand, carry) = kept.overflowing_add(u64::from(up) << cut);
    Rounded { significand, carry, inexact: rest != 0, up }
}

impl F80 {
    /// Round ± high.low × 2^(exponent − BIAS − 63) to `precision` bits. `high` has its integer bit; the last bit of
    /// `low` may stand for more.
    #[inline]
    pub(crate) fn rounded(
        negative: bool,
        exponent: i32,
        (high, low): (u64, u64),
        precision: u32,
        context: &mut Context,
    ) -> F80 {
        debug_assert!(high & INTEGER_BIT != 0);
        if !(1..TOP - 1).contains(&exponent) {
            return F80::at_the_edge(negative, exponent, (high, low), precision, context);
        }
        let result = round(negative, high, low, 64 - precision, context.rounding);
        context.flags |= u32::from(result.inexact) * INEXACT;
        context.up = result.up;
        let carry = result.carry;
        F80::new(negative, exponent + i32::from(carry), result.significand | u64::from(carry) << 63)
    }

    /// The same where it may overflow or be tiny.
    #[cold]
    fn at_the_edge(
        negative: bool,
        exponent: i32,
        (high, low): (u64, u64),
        precision: u32,
        context: &mut Context,
    ) -> F80 {
        let cut = 64 - precision;
        let result = round(negative, high, low, cut, context.rounding);
        let carried = exponent + i32::from(result.carry);
        let note = |result: &Rounded, context: &mut Context| {
            if result.inexact {
                context.flags |= INEXACT;
                context.up = result.up;
            }
            result.significand | u64::from(result.carry) << 63
        };
        if exponent > 0 {
            if carried < TOP {
                return F80::new(negative, carried, note(&result, context));
            }
            context.flags |= OVERFLOW;
            if context.unmasked & OVERFLOW != 0 {
                if carried - WRAP < TOP {
                    return F80::new(negative, carried - WRAP, note(&result, context));
                }
                // FSCALE alone comes so far; rounding does not matter then (found on processors).
                context.flags |= INEXACT;
                context.up = true;
                return F80::infinity(negative);
            }
            context.flags |= INEXACT;
            context.up = context.rounding.overflows(negative);
            return if context.up { F80::infinity(negative) } else { F80::new(negative, TOP - 1, !0 >> cut << cut) };
        }
        // Tiny, if the result with an exponent of any size were below the smallest normal number.
        let tiny = carried < 1;
        if tiny && context.unmasked & UNDERFLOW != 0 {
            context.flags |= UNDERFLOW;
            if carried + WRAP > 0 {
                return F80::new(negative, carried + WRAP, note(&result, context));
            }
            context.flags |= INEXACT;
            return F80::zero(negative);
        }
        let wide = shifted(u128::from(high) << 64 | u128::from(low), (1 - exponent) as u32);
        let result = round(negative, (wide >> 64) as u64, wide as u64, cut, context.rounding);
        if tiny && result.inexact {
            context.flags |= UNDERFLOW;
        }
        let significand = note(&result, context);
        F80::new(negative, (significand >> 63) as i32, significand)
    }

    /// A number that is exact in 64 bits; it may overflow or be tiny.
    pub(crate) fn exact(negative: bool, exponent: i32, significand: u64, context: &mut Context) -> F80 {
        F80::rounded(negative, exponent, (significand, 0), 64, context)
    }
}
