//! F2XM1: 2ˣ − 1 for −1 ≤ x ≤ 1.

use super::wide::{Wide, factorials, series};
use crate::Context;
use crate::extended::{BIAS, F80};

/// ln 2.
const LN_2: Wide = Wide { negative: false, exponent: -1, significand: 0xb17217f7d1cf79abc9e3b39803f2f6af };
/// (eʸ − 1) / y = 1/1! + y/2! + y²/3! + …: at y = ln 2 the first term left out is below 2⁻¹³⁰.
const TERMS: [u128; 32] = factorials(1, 1);

impl F80 {
    /// Outside −1…1, where the manual leaves it open, the operand (±∞: −1 or ∞).
    pub fn exp2_minus_1(self, context: &mut Context) -> F80 {
        if self.is_odd() {
            return self.odd(context);
        }
        if self.is_zero() {
            return self;
        }
        if self.is_infinite() {
            return if self.is_negative() { F80::ONE.negate() } else { self };
        }
        if self.is_denormal() && context.denormal() {
            return F80::INDEFINITE;
        }
        if self.exponent() >= BIAS {
            let minus_one = self == F80::ONE.negate();
            return if minus_one { F80::new(true, BIAS - 1, self.significand) } else { self };
        }
        let y = Wide::new(self).mul(LN_2);
        let factor = series(&TERMS, y.fixed(), y.negative);
        y.mul(Wide::of(false, factor, -127)).round(context)
    }
}
