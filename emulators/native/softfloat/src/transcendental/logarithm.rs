//! FYL2X and FYL2XP1: y · log₂ x, y · log₂ (x + 1).
//!
//! ln m = 2 · artanh s, s = (m − 1) / (m + 1), where m is x divided by a power of 2 to be near 1: |s| ≤ 0.172.

use super::wide::{ODD_RECIPROCALS, UNIT, Wide, high, series};
use crate::extended::{BIAS, F80};
use crate::{Context, DIVISION, INEXACT, UNDERFLOW};

/// 2 / ln 2.
const TWO_LOG2_E: Wide = Wide { negative: false, exponent: 1, significand: 0xb8aa3b295c17f0bbbe87fed0691d3e88 };
/// √2 in fixed point; nothing depends on its last bits.
const ROOT_2: u128 = 0xb504f333f9de6484597d89b3754abe9f;

/// log₂ of (1 + s) / (1 − s).
fn from_ratio(s: Wide) -> Wide {
    let fixed = s.fixed();
    let z = high(fixed, fixed) << 1;
    s.mul(Wide::of(false, series(&ODD_RECIPROCALS, z, false), -127)).mul(TWO_LOG2_E)
}

/// log₂ of a positive number; None for 1.
fn log2(x: Wide) -> Option<Wide> {
    let (mut exponent, mut m) = (x.exponent, Wide { exponent: 0, ..x });
    if m.significand > ROOT_2 {
        exponent += 1;
        m.exponent = -1;
    }
    let whole = (exponent != 0).then(|| Wide::of(exponent < 0, exponent.unsigned_abs().into(), 0));
    let Some(above) = m.add(Wide::ONE.negate()) else { return whole };
    let part = from_ratio(above.div(m.add(Wide::ONE)?));
    whole.map_or(Some(part), |whole| whole.add(part))
}

impl F80 {
    /// `self` is ST(1), `x` ST(0).
    pub fn times_log2(self, x: F80, context: &mut Context) -> F80 {
        let y = self;
        if x.is_odd() || y.is_odd() {
            return x.odd_of(y, context);
        }
        if x.is_negative() && !x.is_zero() {
            return F80::invalid(context);
        }
        let one = x == F80::ONE;
        if y.is_infinite() && one || y.is_zero() && (x.is_zero() || x.is_infinite()) {
            return F80::invalid(context);
        }
        let below = x.exponent() < BIAS;
        let negative = y.is_negative() != below;
        if x.is_zero() && !y.is_infinite() {
            // Found before a denormal factor is.
            context.flags |= DIVISION;
            return F80::infinity(negative);
        }
        if (x.is_denormal() || y.is_denormal()) && context.denormal() {
            return F80::INDEFINITE;
        }
        if y.is_infinite() {
            return F80::infinity(negative);
        }
        if x.is_infinite() {
            return F80::infinity(negative);
        }
        if y.is_zero() || one {
            return F80::zero(negative);
        }
        let x = Wide::new(x);
        if x.significand == UNIT {
            // Exact before it is rounded; processors call it inexact all the same.
            let exponent = Wide::of(x.exponent < 0, x.exponent.unsigned_abs().into(), 0);
            let result = exponent.mul(Wide::new(y)).round_exact(context);
            context.flags |= if result.is_denormal() { INEXACT | UNDERFLOW } else { INEXACT };
            return result;
        }
        log2(x).map_or(F80::ZERO, |log| log.mul(Wide::new(y)).round(context))
    }

    /// `self` is ST(1), `x` ST(0), which should be between √½ − 1 and 1 − √½.
    pub fn times_log2_plus_1(self, x: F80, context: &mut Context) -> F80 {
        let y = self;
        if x.is_odd() || y.is_odd() {
            return x.odd_of(y, context);
        }
        let negative = x.is_negative() != y.is_negative();
        if x.is_negative() && x.exponent() >= BIAS && x != F80::ONE.negate() {
            return F80::invalid(context);
        }
        if y.is_infinite() && x.is_zero() || y.is_zero() && x.is_infinite() {
            return F80::invalid(context);
        }
        if (x.is_denormal() || y.is_denormal()) && context.denormal() {
            return F80::INDEFINITE;
        }
        if x.is_infinite() || y.is_infinite() {
            return F80::infinity(negative);
        }
        if x.is_zero() || y.is_zero() {
            return F80::zero(negative);
        }
        let (wide, y) = (Wide::new(x), Wide::new(y));
        let Some(sum) = wide.add(Wide::ONE) else {
            context.flags |= DIVISION;
            return F80::infinity(negative);
        };
        let log = if wide.exponent < -1 {
            sum.add(Wide::ONE).map(|divisor| from_ratio(wide.div(divisor)))
        } else {
            log2(sum)
        };
        log.map_or(F80::zero(negative), |log| log.mul(y).round(context))
    }
}

impl Wide {
    /// Rounded; what is cut off is 0, if its bits are.
    fn round_exact(self, context: &mut Context) -> F80 {
        let parts = ((self.significand >> 64) as u64, self.significand as u64);
        F80::rounded(self.negative, self.exponent + BIAS, parts, 64, context)
    }
}
