//! FPREM and FPREM1: exact remainders, in steps that reduce the exponent by less than 64 (SDM vol. 2, FPREM).

use super::{F80, INTEGER_BIT};
use crate::Context;

/// What FPREM leaves in ST(0) and the condition codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remainder {
    pub value: F80,
    /// The quotient's last three bits; 0 if it is partial.
    pub quotient: u32,
    /// The reduction is to go on (C2).
    pub partial: bool,
}

impl F80 {
    /// Of the division by `other`, whose quotient is rounded towards zero or (`nearest`: FPREM1) to the nearest.
    pub fn remainder(self, other: F80, nearest: bool, context: &mut Context) -> Remainder {
        let whole = |value| Remainder { value, quotient: 0, partial: false };
        if self.is_odd() || other.is_odd() {
            return whole(self.odd_of(other, context));
        }
        if self.is_infinite() || other.is_zero() {
            return whole(F80::invalid(context));
        }
        if (self.is_denormal() || other.is_denormal()) && context.denormal() {
            return whole(F80::INDEFINITE);
        }
        if self.is_zero() {
            return whole(self);
        }
        let x = self.finite();
        let exact = |negative: bool, exponent: i32, rest: u64, context: &mut Context| {
            if rest == 0 {
                return F80::zero(x.negative);
            }
            let shift = rest.leading_zeros();
            F80::exact(negative, exponent - shift as i32, rest << shift, context)
        };
        if other.is_infinite() {
            return whole(exact(x.negative, x.exponent, x.significand, context));
        }
        let y = other.finite();
        let divisor = u128::from(y.significand);
        let distance = x.exponent - y.exponent;
        if distance < -1 || distance == -1 && (!nearest || x.significand <= y.significand) {
            return whole(exact(x.negative, x.exponent, x.significand, context));
        }
        if distance == -1 {
            // Between a half and one: the quotient is 1. 2 · y − x is below y.
            let rest = (2 * divisor - u128::from(x.significand)) as u64;
            return Remainder { value: exact(!x.negative, x.exponent, rest, context), quotient: 1, partial: false };
        }
        if distance >= 64 {
            let step = distance & 31 | 32;
            let rest = ((u128::from(x.significand) << step) % divisor) as u64;
            let value = exact(x.negative, y.exponent + distance - step, rest, context);
            return Remainder { value, quotient: 0, partial: true };
        }
        let dividend = u128::from(x.significand) << distance;
        let (mut quotient, mut rest) = (dividend / divisor, dividend % divisor);
        let mut negative = x.negative;
        if nearest && (2 * rest > divisor || 2 * rest == divisor && quotient & 1 != 0) {
            quotient += 1;
            rest = divisor - rest;
            negative = !negative;
        }
        debug_assert!(rest <= u128::from(INTEGER_BIT) * 2);
        let value = exact(negative, y.exponent, rest as u64, context);
        Remainder { value, quotient: (quotient & 7) as u32, partial: false }
    }
}
