//! FSIN, FCOS, FSINCOS, FPTAN.

use super::wide::{Wide, factorials, high, series};
use crate::Context;
use crate::extended::{BIAS, F80};

/// π × 2⁶⁴, cut to the 66 bits that the processor has (SDM vol. 1 §8.3.8).
const PI_66: u128 = 0xc90fdaa22168c234c >> 2;
/// sin r / r and cos r in powers of r²: at π/4 the first terms left out are below 2⁻¹³⁰.
const SINE: [u128; 17] = factorials(1, 2);
const COSINE: [u128; 18] = factorials(0, 2);

/// An argument without whole quarters of a turn.
struct Reduced {
    rest: Wide,
    quarters: u32,
}

/// Sine and cosine of the rest.
struct Parts {
    sine: Wide,
    cosine: Wide,
}

fn reduce(x: F80) -> Reduced {
    let x = x.finite();
    let exponent = x.exponent - BIAS;
    // In units of 2⁻⁶⁵, π/2 is PI_66.
    let whole = if exponent < -2 { 0 } else { u128::from(x.significand) << (exponent + 2) };
    let (mut quarters, rest) = ((whole / PI_66) as u32, whole % PI_66);
    if quarters == 0 && 2 * rest <= PI_66 {
        let rest = Wide { negative: x.negative, exponent, significand: u128::from(x.significand) << 64 };
        return Reduced { rest, quarters };
    }
    // Never 0: no 64 bits hold a multiple of an odd number of 66.
    let rest = if 2 * rest > PI_66 {
        quarters = quarters.wrapping_add(1);
        Wide::of(!x.negative, PI_66 - rest, -65)
    } else {
        Wide::of(x.negative, rest, -65)
    };
    Reduced { rest, quarters: if x.negative { quarters.wrapping_neg() } else { quarters } }
}

fn parts(rest: Wide) -> Parts {
    let fixed = rest.fixed();
    let z = high(fixed, fixed) << 1;
    // Both are below 1, however little: the last bit shows it.
    let (sine, cosine) = (series(&SINE, z, true) - 1, series(&COSINE, z, true) - 1);
    Parts { sine: rest.mul(Wide::of(false, sine, -127)), cosine: Wide::of(false, cosine, -127) }
}

fn sine(reduced: &Reduced, parts: &Parts) -> Wide {
    let value = if reduced.quarters & 1 == 0 { parts.sine } else { parts.cosine };
    if reduced.quarters & 2 == 0 { value } else { value.negate() }
}

fn cosine(reduced: &Reduced, parts: &Parts) -> Wide {
    let value = if reduced.quarters & 1 == 0 { parts.cosine } else { parts.sine };
    if reduced.quarters.wrapping_add(1) & 2 == 0 { value } else { value.negate() }
}

/// What is known without computing.
enum Special {
    /// No number, or infinite: the result of all functions.
    Odd(F80),
    Zero,
    /// 2⁶³ and above: C2 is set, nothing done.
    Large,
    None,
}

fn special(x: F80, context: &mut Context) -> Special {
    if x.is_odd() {
        return Special::Odd(x.odd(context));
    }
    if x.is_infinite() {
        return Special::Odd(F80::invalid(context));
    }
    if x.is_zero() {
        return Special::Zero;
    }
    if x.exponent() >= BIAS + 63 {
        return Special::Large;
    }
    if x.is_denormal() && context.denormal() {
        return Special::Odd(F80::INDEFINITE);
    }
    Special::None
}

/// Each is None if the argument is too large (C2).
impl F80 {
    pub fn sin(self, context: &mut Context) -> Option<F80> {
        match special(self, context) {
            Special::Odd(value) => Some(value),
            Special::Zero => Some(self),
            Special::Large => None,
            Special::None => {
                let reduced = reduce(self);
                Some(sine(&reduced, &parts(reduced.rest)).round(context))
            }
        }
    }

    pub fn cos(self, context: &mut Context) -> Option<F80> {
        match special(self, context) {
            Special::Odd(value) => Some(value),
            Special::Zero => Some(F80::ONE),
            Special::Large => None,
            Special::None => {
                let reduced = reduce(self);
                Some(cosine(&reduced, &parts(reduced.rest)).round(context))
            }
        }
    }

    /// Sine and cosine.
    pub fn sin_cos(self, context: &mut Context) -> Option<(F80, F80)> {
        match special(self, context) {
            Special::Odd(value) => Some((value, value)),
            Special::Zero => Some((self, F80::ONE)),
            Special::Large => None,
            Special::None => {
                let reduced = reduce(self);
                let parts = parts(reduced.rest);
                let sine = sine(&reduced, &parts).round(context);
                Some((sine, cosine(&reduced, &parts).round(context)))
            }
        }
    }

    /// The tangent, and the 1 that is pushed behind it (for no number: that again).
    pub fn tan(self, context: &mut Context) -> Option<(F80, F80)> {
        match special(self, context) {
            Special::Odd(value) => Some((value, value)),
            Special::Zero => Some((self, F80::ONE)),
            Special::Large => None,
            Special::None => {
                let reduced = reduce(self);
                let parts = parts(reduced.rest);
                let tangent = if reduced.quarters & 1 == 0 {
                    parts.sine.div(parts.cosine)
                } else {
                    parts.cosine.div(parts.sine).negate()
                };
                Some((tangent.round(context), F80::ONE))
            }
        }
    }
}
