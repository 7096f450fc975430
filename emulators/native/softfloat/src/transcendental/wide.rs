//! Floating point of 128 bits, cut rather than rounded, and series in fixed point.

use crate::Context;
use crate::extended::{BIAS, F80};

/// ± significand × 2^(exponent − 127), where the significand has bit 127.
#[derive(Clone, Copy, Debug)]
pub struct Wide {
    pub negative: bool,
    pub exponent: i32,
    pub significand: u128,
}

/// 1 in fixed point: one bit before the point, 127 behind it.
pub const UNIT: u128 = 1 << 127;

impl Wide {
    pub const ONE: Wide = Wide { negative: false, exponent: 0, significand: UNIT };

    /// A finite number other than zero.
    pub fn new(x: F80) -> Wide {
        let x = x.finite();
        Wide { negative: x.negative, exponent: x.exponent - BIAS, significand: u128::from(x.significand) << 64 }
    }

    /// ± magnitude × 2^scale, of a magnitude other than zero.
    pub fn of(negative: bool, magnitude: u128, scale: i32) -> Wide {
        let shift = magnitude.leading_zeros();
        Wide { negative, exponent: 127 - shift as i32 + scale, significand: magnitude << shift }
    }

    pub fn negate(self) -> Wide {
        Wide { negative: !self.negative, ..self }
    }

    pub fn mul(self, other: Wide) -> Wide {
        let product = high(self.significand, other.significand); // 2¹²⁶ to 2¹²⁸
        let carry = (product >> 127) as i32;
        Wide {
            negative: self.negative != other.negative,
            exponent: self.exponent + other.exponent + carry,
            significand: product << (1 - carry),
        }
    }

    pub fn div(self, other: Wide) -> Wide {
        let less = self.significand < other.significand;
        let dividend = if less { self.significand } else { self.significand >> 1 };
        let (upper, rest) = digit(dividend, other.significand);
        let (lower, _) = digit(rest, other.significand);
        let quotient = u128::from(upper) << 64 | u128::from(lower); // 2¹²⁷ to 2¹²⁸, or just below
        let shift = quotient.leading_zeros();
        Wide {
            negative: self.negative != other.negative,
            exponent: self.exponent - other.exponent - i32::from(less) - shift as i32,
            significand: quotient << shift,
        }
    }

    /// The sum, or None for zero.
    pub fn add(self, other: Wide) -> Option<Wide> {
        let (x, y) = if (self.exponent, self.significand) < (other.exponent, other.significand) {
            (other, self)
        } else {
            (self, other)
        };
        let aligned = y.significand.checked_shr((x.exponent - y.exponent) as u32).unwrap_or(0);
        if x.negative != y.negative {
            let difference = x.significand - aligned;
            return (difference != 0).then(|| Wide::of(x.negative, difference, x.exponent - 127));
        }
        let (sum, carry) = x.significand.overflowing_add(aligned);
        Some(if carry {
            Wide { exponent: x.exponent + 1, significand: sum >> 1 | UNIT, ..x }
        } else {
            Wide { significand: sum, ..x }
        })
    }

    /// The magnitude in fixed point; it is below 2.
    pub fn fixed(self) -> u128 {
        debug_assert!(self.exponent <= 0);
        self.significand.checked_shr(-self.exponent as u32).unwrap_or(0)
    }

    /// Rounded; it is known to be inexact.
    pub fn round(self, context: &mut Context) -> F80 {
        let parts = ((self.significand >> 64) as u64, self.significand as u64 | 1);
        F80::rounded(self.negative, self.exponent + BIAS, parts, 64, context)
    }
}

/// The upper half of a product.
pub fn high(a: u128, b: u128) -> u128 {
    let (a1, a0, b1, b0) = (a >> 64, a as u64 as u128, b >> 64, b as u64 as u128);
    let middle = a1 * b0 + ((a0 * b0) >> 64);
    let other = a0 * b1 + (middle as u64 as u128);
    a1 * b1 + (middle >> 64) + (other >> 64)
}

/// One digit of 64 bits of dividend / divisor, and the rest; the divisor has bit 127 and is above the dividend.
fn digit(dividend: u128, divisor: u128) -> (u64, u128) {
    let (d1, d0) = (divisor >> 64, divisor as u64 as u128);
    let mut quotient = (dividend / d1).min(u128::from(u64::MAX));
    let mut rest = dividend - quotient * d1;
    while rest >> 64 == 0 && quotient * d0 > rest << 64 {
        quotient -= 1;
        rest += d1;
    }
    (quotient as u64, (dividend << 64).wrapping_sub(quotient.wrapping_mul(divisor)))
}

/// c₀ ± c₁·z + c₂·z² ± …, all in fixed point, with the upper sign or the lower.
pub fn series(coefficients: &[u128], z: u128, alternating: bool) -> u128 {
    coefficients.iter().rev().fold(0, |sum, &coefficient| {
        let term = high(sum, z) << 1;
        if alternating { coefficient - term } else { coefficient + term }
    })
}

/// 1, 1/3, 1/5, 1/7…
pub const ODD_RECIPROCALS: [u128; 26] = {
    let mut list = [0; 26];
    let mut k = 0;
    while k < list.len() {
        list[k] = UNIT / (2 * k as u128 + 1);
        k += 1;
    }
    list
};

/// 1/first!, 1/(first + step)!, 1/(first + 2·step)!…
pub const fn factorials<const N: usize>(first: u128, step: u128) -> [u128; N] {
    let mut list = [0; N];
    let (mut n, mut value, mut k) = (0, UNIT, 0);
    while k < N {
        while n < first + step * k as u128 {
            n += 1;
            value /= n;
        }
        list[k] = value;
        k += 1;
    }
    list
}
