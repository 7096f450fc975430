//! To and from the smaller formats: FLD and FST with memory operands.

use super::{BIAS, F80, INTEGER_BIT, TOP};
use crate::binary::{DOUBLE, Format, SINGLE};
use crate::{Context, DENORMAL, INEXACT, OVERFLOW, UNDERFLOW};

impl F80 {
    /// FLD: a denormal is noted and becomes normal, a signalling NaN quiet.
    pub fn of_single(bits: u32, context: &mut Context) -> F80 {
        context.flags |= if SINGLE.is_denormal(bits.into()) { DENORMAL } else { 0 };
        F80::raw_single(bits).quieted(context)
    }

    pub fn of_double(bits: u64, context: &mut Context) -> F80 {
        context.flags |= if DOUBLE.is_denormal(bits) { DENORMAL } else { 0 };
        F80::raw_double(bits).quieted(context)
    }

    /// The same number or NaN, whatever it is: an operand of something else.
    pub fn raw_single(bits: u32) -> F80 {
        F80::widened(SINGLE, bits.into())
    }

    pub fn raw_double(bits: u64) -> F80 {
        F80::widened(DOUBLE, bits)
    }

    #[inline]
    fn quieted(self, context: &mut Context) -> F80 {
        if self.is_nan() { self.odd(context) } else { self }
    }

    pub fn to_single(self, context: &mut Context) -> u32 {
        self.narrowed(SINGLE, context) as u32
    }

    pub fn to_double(self, context: &mut Context) -> u64 {
        self.narrowed(DOUBLE, context)
    }

    #[inline]
    fn widened(format: Format, bits: u64) -> F80 {
        let negative = format.is_negative(bits);
        let fraction = format.fraction(bits) << (63 - format.fraction_bits());
        let exponent = format.exponent(bits);
        if exponent == 0 {
            if fraction == 0 {
                return F80::zero(negative);
            }
            let shift = fraction.leading_zeros();
            return F80::new(negative, BIAS - format.bias() + 1 - shift as i32, fraction << shift);
        }
        if exponent == format.top() {
            return F80::new(negative, TOP, INTEGER_BIT | fraction);
        }
        F80::new(negative, exponent - format.bias() + BIAS, INTEGER_BIT | fraction)
    }

    #[inline]
    fn narrowed(self, format: Format, context: &mut Context) -> u64 {
        let negative = self.is_negative();
        let biased = self.exponent() - BIAS + format.bias();
        if self.is_normal() && 0 < biased && biased < format.top() - 1 {
            let cut = 63 - format.fraction_bits();
            let (kept, rest) = (self.significand << 1 >> (cut + 1), self.significand << (64 - cut));
            let up = context.rounding.increases(negative, kept & 1 != 0, rest);
            if rest != 0 {
                context.flags |= INEXACT;
                context.up = up;
            }
            // A carry into the exponent is right.
            return (format.zero(negative) | (biased as u64) << format.fraction_bits() | kept) + u64::from(up);
        }
        self.narrowed_special(format, context)
    }

    #[cold]
    fn narrowed_special(self, format: Format, context: &mut Context) -> u64 {
        let negative = self.is_negative();
        if self.is_odd() {
            let value = self.odd(context);
            let fraction = value.significand << 1 >> (64 - format.fraction_bits());
            return format.infinity(value.is_negative()) | fraction;
        }
        if self.is_infinite() {
            return format.infinity(negative);
        }
        if self.is_zero() {
            return format.zero(negative);
        }
        let x = self.finite();
        let before = *context;
        let bits = format.rounded(negative, x.exponent - BIAS, x.significand, context);
        let stopped = context.flags & context.unmasked & (OVERFLOW | UNDERFLOW);
        if stopped != 0 {
            // Nothing is stored, so nothing is inexact.
            *context = Context { flags: before.flags | stopped, ..before };
        }
        bits
    }
}
