//! binary32 and binary64 with the rules of SSE: SDM vol. 1 §4.8, §11.5, appendix D.4.
//!
//! Numbers are their bits in a `u64`. Of two NaNs the first one counts, quieted. Conversions to integers that do not fit
//! give the integer indefinite.

use crate::{Context, DIVISION, INEXACT, INVALID, OVERFLOW, Rounding, UNDERFLOW, extended::Relation, shifted};

/// A format: bits of exponent and fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    exponent: u32,
    fraction: u32,
}

pub const SINGLE: Format = Format { exponent: 8, fraction: 23 };
pub const DOUBLE: Format = Format { exponent: 11, fraction: 52 };

impl Format {
    pub(crate) const fn fraction_bits(self) -> u32 {
        self.fraction
    }

    pub(crate) const fn bias(self) -> i32 {
        (1 << (self.exponent - 1)) - 1
    }

    /// The exponent of infinities and NaNs.
    pub(crate) const fn top(self) -> i32 {
        (1 << self.exponent) - 1
    }

    const fn sign_bit(self) -> u64 {
        1 << (self.exponent + self.fraction)
    }

    const fn fraction_mask(self) -> u64 {
        (1 << self.fraction) - 1
    }

    pub(crate) const fn fraction(self, bits: u64) -> u64 {
        bits & self.fraction_mask()
    }

    pub(crate) const fn exponent(self, bits: u64) -> i32 {
        (bits >> self.fraction) as i32 & self.top()
    }

    pub const fn zero(self, negative: bool) -> u64 {
        if negative { self.sign_bit() } else { 0 }
    }

    pub const fn infinity(self, negative: bool) -> u64 {
        self.zero(negative) | (self.top() as u64) << self.fraction
    }

    /// What invalid operations give.
    pub const fn indefinite(self) -> u64 {
        self.infinity(true) | self.quiet_bit()
    }

    const fn quiet_bit(self) -> u64 {
        1 << (self.fraction - 1)
    }

    pub const fn is_negative(self, bits: u64) -> bool {
        bits & self.sign_bit() != 0
    }

    pub const fn is_nan(self, bits: u64) -> bool {
        bits & !self.sign_bit() > self.infinity(false)
    }

    pub const fn is_signalling(self, bits: u64) -> bool {
        self.is_nan(bits) && bits & self.quiet_bit() == 0
    }

    const fn is_infinite(self, bits: u64) -> bool {
        bits & !self.sign_bit() == self.infinity(false)
    }

    const fn is_zero(self, bits: u64) -> bool {
        bits & !self.sign_bit() == 0
    }

    pub const fn is_denormal(self, bits: u64) -> bool {
        self.exponent(bits) == 0 && !self.is_zero(bits)
    }

    fn invalid(self, context: &mut Context) -> u64 {
        context.flags |= INVALID;
        self.indefinite()
    }

    /// The result for operands of which one is a NaN (SDM vol. 1, table 4-7: SSE).
    fn nan_of(self, a: u64, b: u64, context: &mut Context) -> u64 {
        if self.is_signalling(a) || self.is_signalling(b) {
            context.flags |= INVALID;
        }
        (if self.is_nan(a) { a } else { b }) | self.quiet_bit()
    }

    /// An operand as it counts: denormals may be zeros.
    #[inline]
    fn operand(self, bits: u64, context: &Context) -> u64 {
        if context.flush_operands && self.is_denormal(bits) { bits & self.sign_bit() } else { bits }
    }

    /// Note denormal operands; is that the end?
    #[inline]
    fn denormal(self, a: u64, b: u64, context: &mut Context) -> bool {
        (self.is_denormal(a) || self.is_denormal(b)) && context.denormal()
    }

    /// A finite number that is not zero.
    #[inline]
    fn unpack(self, bits: u64) -> Finite {
        let negative = self.is_negative(bits);
        let significand = self.fraction(bits) << (63 - self.fraction);
        match self.exponent(bits) {
            0 => {
                let shift = significand.leading_zeros();
                let exponent = 1 - self.bias() - shift as i32;
                Finite { negative, exponent, significand: significand << shift }
            }
            exponent => Finite { negative, exponent: exponent - self.bias(), significand: significand | 1 << 63 },
        }
    }

    /// Round and pack ± significand × 2^(exponent − 63); its last bit may stand for more.
    #[inline]
    pub(crate) fn rounded(self, negative: bool, exponent: i32, significand: u64, context: &mut Context) -> u64 {
        debug_assert!(significand >> 63 == 1);
        let cut = 63 - self.fraction;
        let round = |significand: u64| {
            let rest = significand << (64 - cut);
            let kept = significand >> cut;
            let up = context.rounding.increases(negative, kept & 1 != 0, rest);
            (kept + u64::from(up), rest != 0, up)
        };
        let sign = self.zero(negative);
        let biased = exponent + self.bias();
        let (mut kept, inexact, up) = round(significand);
        let carry = (kept >> (self.fraction + 1)) as i32;
        if biased >= 1 {
            if biased + carry >= self.top() {
                context.flags |= OVERFLOW;
                if context.unmasked & OVERFLOW != 0 {
                    // Not stored; inexact as the result with an exponent of any size is.
                    context.flags |= if inexact { INEXACT } else { 0 };
                    context.up = up;
                    return self.infinity(negative);
                }
                context.flags |= INEXACT;
                context.up = context.rounding.overflows(negative);
                return if context.up { self.infinity(negative) } else { self.infinity(negative) - 1 };
            }
            if inexact {
                context.flags |= INEXACT;
                context.up = up;
            }
            kept >>= carry;
            return sign | ((biased + carry) as u64) << self.fraction | self.fraction(kept);
        }
        let tiny = biased + carry < 1;
        if tiny && context.unmasked & UNDERFLOW != 0 {
            // Not stored, as above.
            context.flags |= UNDERFLOW | if inexact { INEXACT } else { 0 };
            context.up = up;
            return sign;
        }
        if tiny && context.flush_results {
            context.flags |= UNDERFLOW | INEXACT;
            return sign;
        }
        let (kept, inexact, up) = round(shifted(significand.into(), (1 - biased) as u32) as u64);
        if inexact {
            context.flags |= if tiny { UNDERFLOW | INEXACT } else { INEXACT };
            context.up = up;
        }
        sign | kept // a carry into the exponent is right
    }

    #[inline]
    pub fn add(self, a: u64, b: u64, context: &mut Context) -> u64 {
        let (a, b) = (self.operand(a, context), self.operand(b, context));
        if self.is_nan(a) || self.is_nan(b) {
            return self.nan_of(a, b, context);
        }
        self.sum(a, b, context)
    }

    #[inline]
    pub fn sub(self, a: u64, b: u64, context: &mut Context) -> u64 {
        let (a, b) = (self.operand(a, context), self.operand(b, context));
        if self.is_nan(a) || self.is_nan(b) {
            return self.nan_of(a, b, context);
        }
        self.sum(a, b ^ self.sign_bit(), context)
    }

    #[inline]
    fn sum(self, a: u64, b: u64, context: &mut Context) -> u64 {
        let infinite = (self.is_infinite(a), self.is_infinite(b));
        if infinite == (true, true) && a != b {
            return self.invalid(context);
        }
        if self.denormal(a, b, context) {
            return self.indefinite();
        }
        if infinite.0 {
            return a;
        }
        if infinite.1 {
            return b;
        }
        match (self.is_zero(a), self.is_zero(b)) {
            (true, true) if a == b => return a,
            (true, true) => return self.zero(context.rounding == Rounding::Down),
            (true, false) => return self.again(b, context),
            (false, true) => return self.again(a, context),
            _ => {}
        }
        let (mut x, mut y) = (self.unpack(a), self.unpack(b));
        if (x.exponent, x.significand) < (y.exponent, y.significand) {
            std::mem::swap(&mut x, &mut y);
        }
        let wide = |significand: u64| u128::from(significand) << 63;
        let other = shifted(wide(y.significand), (x.exponent - y.exponent) as u32);
        let total = if x.negative == y.negative { wide(x.significand) + other } else { wide(x.significand) - other };
        if total == 0 {
            return self.zero(context.rounding == Rounding::Down);
        }
        let shift = total.leading_zeros() as i32;
        self.rounded(x.negative, x.exponent + 1 - shift, top(total << shift), context)
    }

    /// A number that an operation gives unchanged: it may be tiny.
    fn again(self, bits: u64, context: &mut Context) -> u64 {
        let x = self.unpack(bits);
        self.rounded(x.negative, x.exponent, x.significand, context)
    }

    #[inline]
    pub fn mul(self, a: u64, b: u64, context: &mut Context) -> u64 {
        let (a, b) = (self.operand(a, context), self.operand(b, context));
        if self.is_nan(a) || self.is_nan(b) {
            return self.nan_of(a, b, context);
        }
        let infinite = self.is_infinite(a) || self.is_infinite(b);
        let zero = self.is_zero(a) || self.is_zero(b);
        if infinite && zero {
            return self.invalid(context);
        }
        if self.denormal(a, b, context) {
            return self.indefinite();
        }
        let negative = self.is_negative(a ^ b);
        if infinite {
            return self.infinity(negative);
        }
        if zero {
            return self.zero(negative);
        }
        let (x, y) = (self.unpack(a), self.unpack(b));
        let product = u128::from(x.significand) * u128::from(y.significand); // 2¹²⁶ to 2¹²⁸
        let carry = (product >> 127) as i32;
        self.rounded(negative, x.exponent + y.exponent + carry, top(product << (1 - carry)), context)
    }

    #[inline]
    pub fn div(self, a: u64, b: u64, context: &mut Context) -> u64 {
        let (a, b) = (self.operand(a, context), self.operand(b, context));
        if self.is_nan(a) || self.is_nan(b) {
            return self.nan_of(a, b, context);
        }
        if self.is_infinite(a) && self.is_infinite(b) || self.is_zero(a) && self.is_zero(b) {
            return self.invalid(context);
        }
        let negative = self.is_negative(a ^ b);
        if self.is_zero(b) && !self.is_infinite(a) {
            // Found before a denormal dividend is.
            context.flags |= DIVISION;
            return self.infinity(negative);
        }
        if self.denormal(a, b, context) {
            return self.indefinite();
        }
        if self.is_infinite(a) || self.is_zero(b) {
            return self.infinity(negative);
        }
        if self.is_infinite(b) || self.is_zero(a) {
            return self.zero(negative);
        }
        let (x, y) = (self.unpack(a), self.unpack(b));
        let less = u32::from(x.significand < y.significand);
        let dividend = u128::from(x.significand) << (63 + less);
        let divisor = u128::from(y.significand);
        let quotient = (dividend / divisor) as u64; // 2⁶³ to 2⁶⁴
        let significand = quotient | u64::from(u128::from(quotient) * divisor != dividend);
        self.rounded(negative, x.exponent - y.exponent - less as i32, significand, context)
    }

    pub fn sqrt(self, a: u64, context: &mut Context) -> u64 {
        let a = self.operand(a, context);
        if self.is_nan(a) {
            return self.nan_of(a, a, context);
        }
        if self.is_zero(a) {
            return a;
        }
        if self.is_negative(a) {
            return self.invalid(context);
        }
        if self.is_infinite(a) {
            return a;
        }
        if self.denormal(a, a, context) {
            return self.indefinite();
        }
        let x = self.unpack(a);
        let odd = x.exponent & 1;
        let square = u128::from(x.significand) << (63 + odd); // 2¹²⁶ to 2¹²⁸
        let root = square.isqrt();
        self.rounded(false, (x.exponent - odd) / 2, root as u64 | u64::from(root * root != square), context)
    }

    /// Compared. A quiet comparison (UCOMISS, CMPEQ) does not mind quiet NaNs.
    pub fn compare(self, a: u64, b: u64, quiet: bool, context: &mut Context) -> Relation {
        let (a, b) = (self.operand(a, context), self.operand(b, context));
        if self.is_nan(a) || self.is_nan(b) {
            if !quiet || self.is_signalling(a) || self.is_signalling(b) {
                context.flags |= INVALID;
            }
            return Relation::Unordered;
        }
        self.denormal(a, b, context);
        let key = |bits: u64| {
            let magnitude = (bits & !self.sign_bit()) as i64;
            if self.is_negative(bits) { -magnitude } else { magnitude }
        };
        match key(a).cmp(&key(b)) {
            std::cmp::Ordering::Less => Relation::Less,
            std::cmp::Ordering::Equal => Relation::Equal,
            std::cmp::Ordering::Greater => Relation::Greater,
        }
    }

    /// MINSS and MAXSS: the second operand, unless the first is less (`least`) or greater than it.
    pub fn extreme(self, a: u64, b: u64, least: bool, context: &mut Context) -> u64 {
        let (a, b) = (self.operand(a, context), self.operand(b, context));
        let wanted = if least { Relation::Less } else { Relation::Greater };
        if self.compare(a, b, false, context) == wanted { a } else { b }
    }

    /// To another format.
    pub fn convert(self, a: u64, to: Format, context: &mut Context) -> u64 {
        let a = self.operand(a, context);
        let negative = self.is_negative(a);
        if self.is_nan(a) {
            let quiet = self.nan_of(a, a, context);
            let fraction = self.fraction(quiet) << (64 - self.fraction) >> (64 - to.fraction);
            return to.infinity(negative) | fraction;
        }
        if self.is_infinite(a) {
            return to.infinity(negative);
        }
        if self.is_zero(a) {
            return to.zero(negative);
        }
        if self.denormal(a, a, context) {
            return to.indefinite();
        }
        let x = self.unpack(a);
        to.rounded(negative, x.exponent, x.significand, context)
    }

    /// To a signed integer of `bits` bits; the most negative one, if it does not fit.
    pub fn to_integer(self, a: u64, bits: u32, rounding: Rounding, context: &mut Context) -> i64 {
        let a = self.operand(a, context);
        let indefinite = i64::MIN >> (64 - bits);
        if self.is_zero(a) {
            return 0;
        }
        let x = self.unpack(a);
        let behind = 63 - x.exponent; // bits behind the point
        let (kept, rest) = match behind {
            ..0 => (u64::MAX, 0),
            0 => (x.significand, 0),
            1..64 => (x.significand >> behind, x.significand << (64 - behind)),
            64 => (0, x.significand),
            _ => (0, 1),
        };
        let negative = self.is_negative(a);
        let limit = (1 << (bits - 1)) - u64::from(!negative);
        let magnitude = kept.saturating_add(u64::from(rounding.increases(negative, kept & 1 != 0, rest)));
        if self.exponent(a) == self.top() || magnitude > limit {
            context.flags |= INVALID;
            return indefinite;
        }
        if rest != 0 {
            context.flags |= INEXACT;
        }
        if negative { magnitude.wrapping_neg() as i64 } else { magnitude as i64 }
    }

    pub fn of_integer(self, value: i64, context: &mut Context) -> u64 {
        if value == 0 {
            return 0;
        }
        let magnitude = value.unsigned_abs();
        let shift = magnitude.leading_zeros();
        self.rounded(value < 0, 63 - shift as i32, magnitude << shift, context)
    }
}

/// ± significand × 2^(exponent − 63), where the significand has bit 63.
#[derive(Clone, Copy, Debug)]
struct Finite {
    negative: bool,
    exponent: i32,
    significand: u64,
}

/// The upper half; its last bit is set if the lower is not 0.
#[inline]
fn top(value: u128) -> u64 {
    (value >> 64) as u64 | u64::from(value as u64 != 0)
}

#[cfg(test)]
mod tests;
