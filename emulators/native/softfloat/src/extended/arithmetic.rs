//! FADD, FSUB, FMUL, FDIV, FSQRT: rounded to the precision that is set.

use super::{BIAS, F80, Finite, INTEGER_BIT};
use crate::{Context, DIVISION, Rounding, shifted};

impl F80 {
    #[inline]
    pub fn add(self, other: F80, context: &mut Context) -> F80 {
        if self.is_normal() && other.is_normal() {
            return sum(self.normal(), other.normal(), context);
        }
        self.add_special(other, false, context)
    }

    #[inline]
    pub fn sub(self, other: F80, context: &mut Context) -> F80 {
        if self.is_normal() && other.is_normal() {
            return sum(self.normal(), other.negate().normal(), context);
        }
        self.add_special(other, true, context)
    }

    #[cold]
    fn add_special(self, other: F80, subtract: bool, context: &mut Context) -> F80 {
        if self.is_odd() || other.is_odd() {
            return self.odd_of(other, context);
        }
        let other = if subtract { other.negate() } else { other };
        let (negative, others) = (self.is_negative(), other.is_negative());
        if self.is_infinite() && other.is_infinite() && negative != others {
            return F80::invalid(context);
        }
        if (self.is_denormal() || other.is_denormal()) && context.denormal() {
            return F80::INDEFINITE;
        }
        if self.is_infinite() {
            return self;
        }
        if other.is_infinite() {
            return other;
        }
        match (self.is_zero(), other.is_zero()) {
            (true, true) if negative == others => self,
            (true, true) => F80::zero(context.rounding == Rounding::Down),
            (true, false) => again(other.finite(), context),
            (false, true) => again(self.finite(), context),
            (false, false) => sum(self.finite(), other.finite(), context),
        }
    }

    #[inline]
    pub fn mul(self, other: F80, context: &mut Context) -> F80 {
        if self.is_normal() && other.is_normal() {
            return product(self.normal(), other.normal(), context);
        }
        self.mul_special(other, context)
    }

    #[cold]
    fn mul_special(self, other: F80, context: &mut Context) -> F80 {
        if self.is_odd() || other.is_odd() {
            return self.odd_of(other, context);
        }
        let infinite = self.is_infinite() || other.is_infinite();
        let zero = self.is_zero() || other.is_zero();
        if infinite && zero {
            return F80::invalid(context);
        }
        if (self.is_denormal() || other.is_denormal()) && context.denormal() {
            return F80::INDEFINITE;
        }
        let negative = self.is_negative() != other.is_negative();
        if infinite {
            return F80::infinity(negative);
        }
        if zero {
            return F80::zero(negative);
        }
        product(self.finite(), other.finite(), context)
    }

    #[inline]
    pub fn div(self, other: F80, context: &mut Context) -> F80 {
        if self.is_normal() && other.is_normal() {
            return quotient(self.normal(), other.normal(), context);
        }
        self.div_special(other, context)
    }

    #[cold]
    fn div_special(self, other: F80, context: &mut Context) -> F80 {
        if self.is_odd() || other.is_odd() {
            return self.odd_of(other, context);
        }
        if self.is_infinite() && other.is_infinite() || self.is_zero() && other.is_zero() {
            return F80::invalid(context);
        }
        let negative = self.is_negative() != other.is_negative();
        if other.is_zero() && !self.is_infinite() {
            // Found before a denormal dividend is.
            context.flags |= DIVISION;
            return F80::infinity(negative);
        }
        if (self.is_denormal() || other.is_denormal()) && context.denormal() {
            return F80::INDEFINITE;
        }
        if self.is_infinite() || other.is_zero() {
            return F80::infinity(negative);
        }
        if other.is_infinite() || self.is_zero() {
            return F80::zero(negative);
        }
        quotient(self.finite(), other.finite(), context)
    }

    pub fn sqrt(self, context: &mut Context) -> F80 {
        if self.is_odd() {
            return self.odd(context);
        }
        if self.is_zero() {
            return self;
        }
        if self.is_negative() {
            return F80::invalid(context);
        }
        if self.is_infinite() {
            return self;
        }
        if self.is_denormal() && context.denormal() {
            return F80::INDEFINITE;
        }
        let x = self.finite();
        let exponent = x.exponent - BIAS;
        let odd = exponent & 1;
        let square = u128::from(x.significand) << (63 + odd); // 2¹²⁶ to 2¹²⁸
        let root = square.isqrt();
        let rest = square - root * root;
        // (root + ½)² = root² + root + ¼: never met exactly.
        let low = if rest > root { INTEGER_BIT | 1 } else { u64::from(rest != 0) };
        F80::rounded(false, (exponent - odd) / 2 + BIAS, (root as u64, low), context.precision, context)
    }
}

/// A number that an operation gives unchanged, but for the precision.
fn again(x: Finite, context: &mut Context) -> F80 {
    F80::rounded(x.negative, x.exponent, (x.significand, 0), context.precision, context)
}

#[inline]
fn sum(mut x: Finite, mut y: Finite, context: &mut Context) -> F80 {
    if x.exponent < y.exponent {
        std::mem::swap(&mut x, &mut y);
    }
    let distance = (x.exponent - y.exponent) as u32;
    let aligned = u128::from(y.significand) << 64;
    let aligned = if distance < 64 { aligned >> distance } else { shifted(aligned, distance) };
    let (high, low) = ((aligned >> 64) as u64, aligned as u64);
    if x.negative == y.negative {
        let (sum, carry) = x.significand.overflowing_add(high);
        let (exponent, parts) = if carry {
            (x.exponent + 1, (INTEGER_BIT | sum >> 1, sum << 63 | low >> 1 | low & 1))
        } else {
            (x.exponent, (sum, low))
        };
        return F80::rounded(x.negative, exponent, parts, context.precision, context);
    }
    let (mut negative, minuend) = (x.negative, u128::from(x.significand) << 64);
    let (mut difference, borrow) = minuend.overflowing_sub(aligned);
    if difference == 0 {
        return F80::zero(context.rounding == Rounding::Down);
    }
    if borrow {
        negative = !negative;
        difference = difference.wrapping_neg();
    }
    let shift = difference.leading_zeros();
    difference <<= shift;
    let parts = ((difference >> 64) as u64, difference as u64);
    F80::rounded(negative, x.exponent - shift as i32, parts, context.precision, context)
}

#[inline]
fn product(x: Finite, y: Finite, context: &mut Context) -> F80 {
    let product = u128::from(x.significand) * u128::from(y.significand); // 2¹²⁶ to 2¹²⁸
    let carry = (product >> 127) as i32;
    let product = product << (1 - carry);
    let parts = ((product >> 64) as u64, product as u64);
    let exponent = x.exponent + y.exponent - BIAS + carry;
    F80::rounded(x.negative != y.negative, exponent, parts, context.precision, context)
}

#[inline]
fn quotient(x: Finite, y: Finite, context: &mut Context) -> F80 {
    let less = u32::from(x.significand < y.significand);
    let dividend = u128::from(x.significand) << (63 + less);
    let divisor = u128::from(y.significand);
    let quotient = (dividend / divisor) as u64; // 2⁶³ to 2⁶⁴
    let rest = dividend - u128::from(quotient) * divisor;
    let low = match (2 * rest).cmp(&divisor) {
        std::cmp::Ordering::Less => u64::from(rest != 0),
        std::cmp::Ordering::Equal => INTEGER_BIT,
        std::cmp::Ordering::Greater => INTEGER_BIT | 1,
    };
    let exponent = x.exponent - y.exponent + BIAS - less as i32;
    F80::rounded(x.negative != y.negative, exponent, (quotient, low), context.precision, context)
}
