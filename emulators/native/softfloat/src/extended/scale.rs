//! FSCALE and FXTRACT.

use super::{BIAS, F80};
use crate::{Context, DIVISION};

impl F80 {
    /// Multiplied by 2 to the power of `other`, rounded towards zero.
    pub fn scale(self, other: F80, context: &mut Context) -> F80 {
        if self.is_odd() || other.is_odd() {
            return self.odd_of(other, context);
        }
        let negative = self.is_negative();
        if other.is_infinite() && (if other.is_negative() { self.is_infinite() } else { self.is_zero() }) {
            return F80::invalid(context);
        }
        if (self.is_denormal() || other.is_denormal()) && context.denormal() {
            return F80::INDEFINITE;
        }
        if other.is_infinite() {
            return if other.is_negative() { F80::zero(negative) } else { F80::infinity(negative) };
        }
        if self.is_infinite() || self.is_zero() {
            return self;
        }
        let x = self.finite();
        let mut by = 0;
        if !other.is_zero() {
            let y = other.finite();
            by = match y.exponent - BIAS {
                ..0 => 0,
                exponent @ 0..16 => (y.significand >> (63 - exponent)) as i32,
                _ => 1 << 16,
            };
        }
        let exponent = if other.is_negative() { x.exponent - by } else { x.exponent + by };
        F80::exact(x.negative, exponent, x.significand, context)
    }

    /// The exponent, and the significand as a number of 1 to 2.
    pub fn extract(self, context: &mut Context) -> (F80, F80) {
        if self.is_odd() {
            let value = self.odd(context);
            return (value, value);
        }
        if self.is_zero() {
            context.flags |= DIVISION;
            return (F80::infinity(true), self);
        }
        if self.is_infinite() {
            return (F80::infinity(false), self);
        }
        if self.is_denormal() && context.denormal() {
            return (F80::INDEFINITE, F80::INDEFINITE);
        }
        let x = self.finite();
        (F80::of_integer((x.exponent - BIAS).into()), F80::new(x.negative, BIAS, x.significand))
    }
}
