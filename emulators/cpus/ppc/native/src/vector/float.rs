//! Floating point: ALTIVECPEM §3.2 and §4.2.2. Single precision, rounded to the nearest, without exceptions or flags.
//!
//! Results are computed by the host's IEEE arithmetic without NaNs and infinities being left to it where hosts differ: a
//! NaN among the operands is the result, the first in the order vA, vB, vC, quieted; NaNs of our own are 0x7fc00000.
//! With VSCR\[NJ\] operands that are denormalised are zeros of their sign, and so are results that are tiny before they are
//! rounded.
//!
//! The four estimates are as exact as singles can be, or nearly: 1 / x rounded once, 1 / √x rounded after each step, 2^x
//! and log2 x to some bits more than a single has. The manual asks for 1/4096, 1/4096, 1/16 and 1/32.

use super::lanes::{Saturation, of_words, words};
use crate::op::Op;
use crate::table::{Insn, field};
use std::array::from_fn;

const SIGN: u32 = 1 << 31;
const INFINITY: u32 = 0xff << 23;
const QUIET: u32 = 1 << 22;
const DEFAULT_NAN: u32 = INFINITY | QUIET;
/// The least number that is normal, as a double.
const LEAST: f64 = f32::MIN_POSITIVE as f64;

fn is_nan(a: u32) -> bool {
    a & !SIGN > INFINITY
}

/// The first NaN of these, quieted.
fn nan_of(operands: &[u32]) -> Option<u32> {
    operands.iter().find(|&&a| is_nan(a)).map(|a| a | QUIET)
}

/// A mask over an element.
fn truth(holds: bool) -> u32 {
    if holds { u32::MAX } else { 0 }
}

/// a + b to odd: if it is not exact, its last bit is 1, so that it can be rounded once more.
fn odd_sum(a: f64, b: f64) -> f64 {
    let sum = a + b;
    if !sum.is_finite() {
        return sum;
    }
    let of_b = sum - a;
    let lost = (a - (sum - of_b)) + (b - of_b);
    let bits = sum.to_bits();
    match (lost != 0.0 && bits & 1 == 0, (lost > 0.0) == (sum > 0.0)) {
        (false, _) => sum,
        (_, true) => f64::from_bits(bits + 1),
        (_, false) => f64::from_bits(bits - 1),
    }
}

/// 2^n for an exponent of a double.
fn power(n: i32) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}

/// 2^x by e^f's series, where |f| < ln 2 / 2.
fn exp2(x: f64) -> f64 {
    let whole = x.clamp(-1000.0, 1000.0).round_ties_even();
    let f = (x.clamp(-1000.0, 1000.0) - whole) * std::f64::consts::LN_2;
    let series = (1..=16).rev().fold(1.0, |sum, n| 1.0 + sum * f / f64::from(n));
    series * power(whole as i32)
}

/// log2 x of a positive number, by artanh's series.
fn log2(x: f64) -> f64 {
    let bits = x.to_bits();
    let (mut exponent, mut m) = ((bits >> 52) as i32 - 1023, f64::from_bits(bits & (1 << 52) - 1 | 1023 << 52));
    if m > std::f64::consts::SQRT_2 {
        (exponent, m) = (exponent + 1, m / 2.0);
    }
    let s = (m - 1.0) / (m + 1.0);
    let series = (0..=14).rev().fold(0.0, |sum, n| 1.0 / f64::from(2 * n + 1) + sum * s * s);
    f64::from(exponent) + 2.0 * s * series * std::f64::consts::LOG2_E
}

/// How to compute.
#[derive(Clone, Copy)]
struct Context {
    nj: bool,
}

impl Context {
    /// An operand.
    fn operand(self, a: u32) -> u32 {
        if self.nj && a & INFINITY == 0 { a & SIGN } else { a }
    }

    /// A result out of a number that, if it is tiny, is exact.
    fn result(self, value: f32) -> u32 {
        if value.is_nan() { DEFAULT_NAN } else { self.operand(value.to_bits()) }
    }

    /// A result out of a number of more precision.
    fn rounded(self, value: f64) -> u32 {
        if value.is_nan() {
            DEFAULT_NAN
        } else if self.nj && value.abs() < LEAST {
            u32::from(value.is_sign_negative()) << 31
        } else {
            (value as f32).to_bits()
        }
    }

    /// Of one operand that is not NaN.
    fn one(self, b: u128, of: impl Fn(f32) -> u32) -> u128 {
        of_words(words(b).map(|b| match nan_of(&[b]) {
            Some(nan) => nan,
            None => of(f32::from_bits(self.operand(b))),
        }))
    }

    fn two(self, a: u128, b: u128, of: impl Fn(f32, f32) -> u32) -> u128 {
        let (a, b) = (words(a), words(b));
        of_words(from_fn(|n| match nan_of(&[a[n], b[n]]) {
            Some(nan) => nan,
            None => of(f32::from_bits(self.operand(a[n])), f32::from_bits(self.operand(b[n]))),
        }))
    }

    /// a × c + b, or −(a × c − b); the product of two singles is exact as a double.
    fn mul_add(self, [a, b, c]: [u128; 3], negate: bool) -> u128 {
        let (a, b, c) = (words(a), words(b), words(c));
        let sign = if negate { -1.0 } else { 1.0 };
        of_words(from_fn(|n| {
            if let Some(nan) = nan_of(&[a[n], b[n], c[n]]) {
                return nan;
            }
            let [a, b, c] = [a[n], b[n], c[n]].map(|each| f64::from(f32::from_bits(self.operand(each))));
            self.rounded(sign * odd_sum(a * c, sign * b))
        }))
    }

    /// A comparison: false if there is a NaN.
    fn compare(self, a: u128, b: u128, of: impl Fn(f32, f32) -> u32) -> u128 {
        let (a, b) = (words(a), words(b));
        of_words(from_fn(|n| of(f32::from_bits(self.operand(a[n])), f32::from_bits(self.operand(b[n])))))
    }
}

/// The greater one, where +0 is greater than −0.
fn max(a: f32, b: f32) -> f32 {
    if a > b || a == b && a.is_sign_positive() { a } else { b }
}

/// Not within ± b: above (bit 0), below (bit 1); a NaN is both.
fn out_of_bounds(a: f32, b: f32) -> u32 {
    let (above, below) = (a.partial_cmp(&b), a.partial_cmp(&-b));
    u32::from(above.is_none_or(std::cmp::Ordering::is_gt)) << 31
        | u32::from(below.is_none_or(std::cmp::Ordering::is_lt)) << 30
}

/// vD.
pub(super) fn compute(op: Op, [a, b, c]: [u128; 3], nj: bool, to: &mut Saturation) -> u128 {
    let context = Context { nj };
    let scale: i32 = field::a(op.word).into();
    match op.insn {
        Insn::Vaddfp => context.two(a, b, |a, b| context.result(a + b)),
        Insn::Vsubfp => context.two(a, b, |a, b| context.result(a - b)),
        Insn::Vmaddfp => context.mul_add([a, b, c], false),
        Insn::Vnmsubfp => context.mul_add([a, b, c], true),
        Insn::Vmaxfp => context.two(a, b, |a, b| max(a, b).to_bits()),
        Insn::Vminfp => context.two(a, b, |a, b| (-max(-a, -b)).to_bits()),
        // Rounding
        Insn::Vrfin => context.one(b, |b| b.round_ties_even().to_bits()),
        Insn::Vrfiz => context.one(b, |b| b.trunc().to_bits()),
        Insn::Vrfip => context.one(b, |b| b.ceil().to_bits()),
        Insn::Vrfim => context.one(b, |b| b.floor().to_bits()),
        // Conversion: fixed-point numbers have UIMM bits behind the point
        Insn::Vcfux => of_words(words(b).map(|b| (b as f32 * power(-scale) as f32).to_bits())),
        Insn::Vcfsx => of_words(words(b).map(|b| (b as i32 as f32 * power(-scale) as f32).to_bits())),
        Insn::Vctuxs => of_words(words(b).map(|b| to.uw(fixed(b, scale)))),
        Insn::Vctsxs => of_words(words(b).map(|b| to.sw(fixed(b, scale)))),
        // Estimates
        Insn::Vrefp => context.one(b, |b| context.result(1.0 / b)),
        Insn::Vrsqrtefp => context.one(b, |b| context.result(1.0 / b.sqrt())),
        Insn::Vexptefp => context.one(b, |b| context.rounded(exp2(b.into()))),
        Insn::Vlogefp => context.one(b, |b| match b {
            0.0 => SIGN | INFINITY,
            f32::INFINITY => INFINITY,
            _ if b < 0.0 => DEFAULT_NAN,
            _ => context.rounded(log2(b.into())),
        }),
        // Comparisons
        Insn::Vcmpeqfp => context.compare(a, b, |a, b| truth(a == b)),
        Insn::Vcmpgefp => context.compare(a, b, |a, b| truth(a >= b)),
        Insn::Vcmpgtfp => context.compare(a, b, |a, b| truth(a > b)),
        Insn::Vcmpbfp => context.compare(a, b, out_of_bounds),
        insn => unreachable!("{insn:?} is no floating-point instruction"),
    }
}

/// The integer b × 2^scale without its fraction; a NaN is 0.
fn fixed(b: u32, scale: i32) -> i64 {
    (f64::from(f32::from_bits(b)) * power(scale)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const JAVA: Context = Context { nj: false };
    const FLUSHING: Context = Context { nj: true };

    fn splat(value: f32) -> u128 {
        of_words([value.to_bits(); 4])
    }

    fn first(vector: u128) -> f32 {
        f32::from_bits(words(vector)[0])
    }

    /// Numbers of all kinds, the same in each run.
    fn samples() -> Vec<f32> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) as u32
        };
        let mut samples = vec![0.0, -0.0, 1.0, -1.5, f32::MAX, f32::MIN_POSITIVE, 1e-45, f32::INFINITY, 1.0 / 3.0];
        samples.extend((0..60).map(|_| f32::from_bits(next())));
        samples.extend((0..20).map(|_| f32::from_bits(next() & 0x807f_ffff)));
        samples.extend((0..60).map(|_| f32::from_bits(next() & 0x80ff_ffff | 0x3f00_0000)));
        samples.retain(|sample| !sample.is_nan());
        samples
    }

    #[test]
    fn fused_ones_are_the_hosts() {
        let samples = samples();
        for (n, &a) in samples.iter().enumerate() {
            for (m, &b) in samples.iter().enumerate() {
                for c in (0..4).map(|k| samples[(n * 31 + m * 7 + k) % samples.len()]) {
                    let ours = JAVA.mul_add([splat(a), splat(b), splat(c)], false);
                    let host = a.mul_add(c, b);
                    let same =
                        first(ours).to_bits() == host.to_bits() || host.is_nan() && words(ours)[0] == DEFAULT_NAN;
                    assert!(same, "{a:e} × {c:e} + {b:e}: {:e}, host {host:e}", first(ours));
                }
            }
        }
    }

    #[test]
    fn what_is_tiny_before_rounding_is_flushed() {
        // The product is 2^-126 × (1 − 2^-24): rounded it were 2^-126.
        let (a, c) = (1.0 - 2f32.powi(-24), f32::MIN_POSITIVE);
        assert_eq!(first(JAVA.mul_add([splat(a), splat(0.0), splat(c)], false)), f32::MIN_POSITIVE);
        assert_eq!(first(FLUSHING.mul_add([splat(a), splat(0.0), splat(c)], false)), 0.0);
        assert_eq!(words(FLUSHING.mul_add([splat(a), splat(0.0), splat(c)], true))[0], SIGN);
        let least = splat(f32::from_bits(SIGN | 1));
        assert_eq!(words(FLUSHING.two(least, least, |a, b| FLUSHING.result(a + b)))[0], SIGN);
        assert_eq!(words(JAVA.two(least, least, |a, b| JAVA.result(a + b)))[0], SIGN | 2);
    }

    #[test]
    fn the_first_nan_is_the_result() {
        let (one, other, number) = (0x7f80_0001, 0xffc0_0002, 1.0f32.to_bits());
        let splat = |bits| of_words([bits; 4]);
        let of = |a, b, c| words(JAVA.mul_add([splat(a), splat(b), splat(c)], true))[0];
        assert_eq!(of(one, other, number), one | QUIET);
        assert_eq!(of(number, other, one), other);
        assert_eq!(of(number, number, one), one | QUIET);
        assert_eq!(of(INFINITY, number, 0), DEFAULT_NAN);
    }

    #[test]
    fn powers_and_logarithms_are_near() {
        for x in samples() {
            if x.abs() < 120.0 {
                let (ours, host) = (exp2(x.into()), f64::from(x).exp2());
                assert!((ours / host - 1.0).abs() < 1e-14, "2^{x:e}: {ours:e}, host {host:e}");
            }
            if x > 0.0 && x.is_finite() {
                let (ours, host) = (log2(x.into()), f64::from(x).log2());
                assert!((ours - host).abs() <= 1e-14 * host.abs().max(1.0), "log2 {x:e}: {ours:e}, host {host:e}");
            }
        }
        assert_eq!((exp2(-3.0), exp2(10.0), log2(0.125), log2(1.0)), (0.125, 1024.0, -3.0, 0.0));
        assert_eq!(JAVA.rounded(exp2(f64::NEG_INFINITY)), 0);
        assert_eq!(JAVA.rounded(exp2(f64::INFINITY)), INFINITY);
    }

    #[test]
    fn zeros_have_an_order() {
        for (a, b) in [(0.0f32, -0.0f32), (-0.0, 0.0)] {
            assert_eq!(max(a, b).to_bits(), 0);
            assert_eq!((-max(-a, -b)).to_bits(), SIGN);
        }
    }

    #[test]
    fn bounds_that_are_nans_or_negative_hold_nothing() {
        assert_eq!(out_of_bounds(1.0, 1.0), 0);
        assert_eq!(out_of_bounds(-1.0, 1.0), 0);
        assert_eq!(out_of_bounds(1.5, 1.0), SIGN);
        assert_eq!(out_of_bounds(-1.5, 1.0), SIGN >> 1);
        assert_eq!(out_of_bounds(0.0, -1.0), SIGN | SIGN >> 1);
        assert_eq!(out_of_bounds(f32::NAN, 1.0), SIGN | SIGN >> 1);
    }
}
