//! Floating-point arithmetic by integers: PEM §3.3 (IEEE 754-1985 as the PowerPC has it).
//!
//! Operands and results are doubles, as registers hold them; a result of single precision is rounded once, to 24 bits
//! and the single format's exponents. Tininess is detected before rounding (§3.3.6.2.2); an enabled overflow or
//! underflow gives the result with an exponent that is 1536 (single: 192) less or more. Of several NaNs the first one
//! in the order frA, frB, frC counts (§3.3.6.1.1), quieted; in single precision without the fraction's 29 bits that no
//! single has (undefined but for frsp; processors do so). The generated NaN is 0x7ff8000000000000.

use crate::exact::{Exact, exact, product, shifted, sum};

/// FPSCR's exception bits (PEM table 2-4).
pub(crate) const OX: u32 = 1 << 28;
pub(crate) const UX: u32 = 1 << 27;
pub(crate) const ZX: u32 = 1 << 26;
pub(crate) const XX: u32 = 1 << 25;
pub(crate) const VXSNAN: u32 = 1 << 24;
pub(crate) const VXISI: u32 = 1 << 23;
pub(crate) const VXIDI: u32 = 1 << 22;
pub(crate) const VXZDZ: u32 = 1 << 21;
pub(crate) const VXIMZ: u32 = 1 << 20;
pub(crate) const VXVC: u32 = 1 << 19;
pub(crate) const VXSQRT: u32 = 1 << 9;
pub(crate) const VXCVI: u32 = 1 << 8;

/// FPSCR[RN].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    Nearest,
    Zero,
    Up,
    Down,
}

impl Rounding {
    pub(crate) fn new(fpscr: u32) -> Self {
        match fpscr & 3 {
            0 => Rounding::Nearest,
            1 => Rounding::Zero,
            2 => Rounding::Up,
            _ => Rounding::Down,
        }
    }

    /// Is a magnitude increased whose last kept bit and rest (as if it were behind the point) are these?
    fn increases(self, negative: bool, odd: bool, rest: u64) -> bool {
        match self {
            Rounding::Nearest => rest > 1 << 63 || rest == 1 << 63 && odd,
            Rounding::Zero => false,
            Rounding::Up => rest != 0 && !negative,
            Rounding::Down => rest != 0 && negative,
        }
    }
}

/// How to compute, and what was noticed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub rounding: Rounding,
    /// Overflow, underflow are enabled.
    pub overflow: bool,
    pub underflow: bool,
    /// FPSCR[NI]: tiny results are zeros.
    pub flush: bool,
    pub single: bool,
    /// Exceptions, as bits of FPSCR.
    pub noticed: u32,
    /// The result's magnitude was increased (FR); it was rounded (FI).
    pub increased: bool,
    pub inexact: bool,
}

const SIGN: u64 = 1 << 63;
const INFINITY: u64 = 0x7ff << 52;
const QUIET: u64 = 1 << 51;
/// The fraction's bits that a single has not.
const BEYOND_SINGLE: u64 = (1 << 29) - 1;
pub(crate) const DEFAULT_NAN: u64 = INFINITY | QUIET;

pub(crate) fn is_nan(a: u64) -> bool {
    a & !SIGN > INFINITY
}

fn is_signalling(a: u64) -> bool {
    is_nan(a) && a & QUIET == 0
}

fn is_infinite(a: u64) -> bool {
    a & !SIGN == INFINITY
}

fn is_zero(a: u64) -> bool {
    a & !SIGN == 0
}

fn is_negative(a: u64) -> bool {
    a & SIGN != 0
}

fn zero(negative: bool) -> u64 {
    if negative { SIGN } else { 0 }
}

fn infinity(negative: bool) -> u64 {
    zero(negative) | INFINITY
}

impl Context {
    fn note(&mut self, exception: u32) {
        self.noticed |= exception;
    }

    fn invalid(&mut self, why: u32) -> u64 {
        self.note(why);
        DEFAULT_NAN
    }

    /// The first NaN of these, if there is one.
    fn nan_of(&mut self, operands: &[u64]) -> Option<u64> {
        if operands.iter().any(|&a| is_signalling(a)) {
            self.note(VXSNAN);
        }
        let kept = if self.single { !BEYOND_SINGLE } else { u64::MAX };
        operands.iter().find(|&&a| is_nan(a)).map(|a| (a | QUIET) & kept)
    }

    /// Is it the sign of a sum that is zero?
    fn zero_is_negative(&self) -> bool {
        self.rounding == Rounding::Down
    }

    /// Round to the format.
    fn rounded(&mut self, value: Exact) -> u64 {
        let (least, greatest, bits, adjust) = if self.single { (-126, 127, 24, 192) } else { (-1022, 1023, 53, 1536) };
        let Exact { negative, mut exponent, mut significand } = value;
        let tiny = exponent < least;
        if tiny && self.underflow {
            self.note(UX);
            exponent += adjust;
        } else if tiny && self.flush {
            self.note(UX | XX);
            self.inexact = true;
            return zero(negative);
        } else if tiny {
            significand = shifted(significand, (least - exponent) as u32);
            exponent = least;
        }
        let kept = (significand >> (128 - bits)) as u64;
        let rest = significand << bits;
        let rest = (rest >> 64) as u64 | u64::from(rest as u64 != 0);
        self.inexact = rest != 0;
        self.increased = self.rounding.increases(negative, kept & 1 != 0, rest);
        let mut kept = kept + u64::from(self.increased);
        if kept >> bits != 0 {
            kept >>= 1;
            exponent += 1;
        }
        if self.inexact {
            self.note(XX);
            if tiny {
                self.note(UX);
            }
        }
        if exponent > greatest {
            self.note(OX);
            if self.overflow {
                exponent -= adjust;
            } else {
                self.note(XX);
                self.inexact = true;
                let infinite = match self.rounding {
                    Rounding::Nearest => true,
                    Rounding::Zero => false,
                    Rounding::Up => !negative,
                    Rounding::Down => negative,
                };
                self.increased = infinite;
                let largest = if self.single { 0x47ef_ffff_e000_0000 } else { INFINITY - 1 };
                return zero(negative) | if infinite { INFINITY } else { largest };
            }
        }
        if kept == 0 {
            return zero(negative);
        }
        // As a double: singles are normal there, however small.
        let shift = kept.leading_zeros() as i32;
        let (exponent, kept) = (exponent - (shift - (64 - bits)), kept << shift);
        match exponent {
            -1022.. => zero(negative) | ((exponent + 1023) as u64) << 52 | kept << 1 >> 12,
            _ => zero(negative) | kept >> (11 + (-1022 - exponent)),
        }
    }

    pub(crate) fn add(&mut self, a: u64, b: u64) -> u64 {
        if let Some(nan) = self.nan_of(&[a, b]) {
            return nan;
        }
        self.sum_of(a, b)
    }

    pub(crate) fn sub(&mut self, a: u64, b: u64) -> u64 {
        if let Some(nan) = self.nan_of(&[a, b]) {
            return nan;
        }
        self.sum_of(a, b ^ SIGN)
    }

    fn sum_of(&mut self, a: u64, b: u64) -> u64 {
        match (is_infinite(a), is_infinite(b)) {
            (true, true) if a != b => return self.invalid(VXISI),
            (true, _) => return a,
            (_, true) => return b,
            _ => {}
        }
        match (is_zero(a), is_zero(b)) {
            (true, true) if a == b => a,
            (true, true) => zero(self.zero_is_negative()),
            (true, false) => self.rounded(exact(b)),
            (false, true) => self.rounded(exact(a)),
            _ => match sum(exact(a), exact(b)) {
                Some(total) => self.rounded(total),
                None => zero(self.zero_is_negative()),
            },
        }
    }

    pub(crate) fn mul(&mut self, a: u64, c: u64) -> u64 {
        if let Some(nan) = self.nan_of(&[a, c]) {
            return nan;
        }
        let negative = is_negative(a ^ c);
        if is_infinite(a) && is_zero(c) || is_zero(a) && is_infinite(c) {
            return self.invalid(VXIMZ);
        }
        if is_infinite(a) || is_infinite(c) {
            return infinity(negative);
        }
        if is_zero(a) || is_zero(c) {
            return zero(negative);
        }
        self.rounded(product(exact(a), exact(c)))
    }

    pub(crate) fn div(&mut self, a: u64, b: u64) -> u64 {
        if let Some(nan) = self.nan_of(&[a, b]) {
            return nan;
        }
        let negative = is_negative(a ^ b);
        match (is_infinite(a), is_infinite(b)) {
            (true, true) => return self.invalid(VXIDI),
            (true, false) => return infinity(negative),
            (false, true) => return zero(negative),
            _ => {}
        }
        match (is_zero(a), is_zero(b)) {
            (true, true) => return self.invalid(VXZDZ),
            (true, false) => return zero(negative),
            (false, true) => {
                self.note(ZX);
                return infinity(negative);
            }
            _ => {}
        }
        let (x, y) = (exact(a), exact(b));
        let divisor = y.significand >> 64;
        // The dividend has 53 bits at the top: the quotient has 64 or 65, and a rest.
        let (quotient, rest) = (x.significand / divisor, x.significand % divisor);
        let quotient = quotient << 1 | u128::from(rest != 0);
        let shift = quotient.leading_zeros();
        let exponent = x.exponent - y.exponent + (127 - shift as i32) - 65;
        self.rounded(Exact { negative, exponent, significand: quotient << shift })
    }

    /// ± (a × c ± b), rounded once: `subtract` is for b, `negate` for the result that is no NaN.
    pub(crate) fn mul_add(&mut self, a: u64, c: u64, b: u64, subtract: bool, negate: bool) -> u64 {
        let impossible = is_infinite(a) && is_zero(c) || is_zero(a) && is_infinite(c);
        if impossible {
            self.note(VXIMZ);
        }
        if let Some(nan) = self.nan_of(&[a, b, c]) {
            return nan;
        }
        if impossible {
            return DEFAULT_NAN;
        }
        let b = if subtract { b ^ SIGN } else { b };
        let negative = is_negative(a ^ c);
        let result = if is_infinite(a) || is_infinite(c) {
            if is_infinite(b) && is_negative(b) != negative {
                return self.invalid(VXISI);
            }
            infinity(negative)
        } else if is_infinite(b) {
            b
        } else if is_zero(a) || is_zero(c) {
            match (is_zero(b), is_negative(b) == negative) {
                (true, true) => b,
                (true, false) => zero(self.zero_is_negative()),
                _ => self.rounded(exact(b)),
            }
        } else {
            let product = product(exact(a), exact(c));
            let total = if is_zero(b) { Some(product) } else { sum(product, exact(b)) };
            match total {
                Some(total) => self.rounded(total),
                None => zero(self.zero_is_negative()),
            }
        };
        if negate { result ^ SIGN } else { result }
    }

    /// To single precision (frsp).
    pub(crate) fn round_to_single(&mut self, b: u64) -> u64 {
        if let Some(nan) = self.nan_of(&[b]) {
            return nan;
        }
        if is_infinite(b) || is_zero(b) { b } else { self.rounded(exact(b)) }
    }

    /// fres: 1 / b, here exactly rounded.
    pub(crate) fn reciprocal(&mut self, b: u64) -> u64 {
        self.div(0x3ff0_0000_0000_0000, b)
    }

    /// frsqrte: 1 / √b, here within one unit of the last place but for the rest (`b` is taken to 64 bits of its root).
    pub(crate) fn reciprocal_root(&mut self, b: u64) -> u64 {
        if let Some(nan) = self.nan_of(&[b]) {
            return nan;
        }
        if is_zero(b) {
            self.note(ZX);
            return infinity(is_negative(b));
        }
        if is_negative(b) {
            return self.invalid(VXSQRT);
        }
        if is_infinite(b) {
            return 0;
        }
        let x = exact(b);
        let odd = x.exponent & 1;
        // √(s × 2^(odd + 1)): 64 bits.
        let square = if odd != 0 { x.significand } else { x.significand >> 1 };
        let root = square.isqrt(); // 2^63 … 2^64
        let quotient = (u128::MAX >> 1) / root; // 2^63 … 2^64
        let shift = quotient.leading_zeros();
        let exponent = -(x.exponent - odd) / 2 + (127 - shift as i32) - 64;
        let significand = quotient << shift | 1;
        self.rounded(Exact { negative: false, exponent, significand })
    }

    /// To an integer of 32 bits (fctiw, fctiwz).
    pub(crate) fn integer(&mut self, b: u64, rounding: Rounding) -> u32 {
        if is_nan(b) {
            self.note(if is_signalling(b) { VXSNAN | VXCVI } else { VXCVI });
            return 1 << 31;
        }
        let negative = is_negative(b);
        let largest = if negative { 1 << 31 } else { (1 << 31) - 1 };
        if is_zero(b) {
            return 0;
        }
        let (whole, rest) = match exact(b) {
            _ if is_infinite(b) => (u64::MAX, 0),
            Exact { exponent: 33.., .. } => (u64::MAX, 0),
            Exact { exponent, significand, .. } => {
                // 64 bits before the point, 64 behind it.
                let fixed = shifted(significand, (63 - exponent) as u32);
                ((fixed >> 64) as u64, fixed as u64)
            }
        };
        let increased = rounding.increases(negative, whole & 1 != 0, rest);
        let magnitude = whole.saturating_add(increased.into());
        if magnitude > largest {
            self.note(VXCVI);
            return largest as u32;
        }
        if rest != 0 {
            self.note(XX);
            (self.inexact, self.increased) = (true, increased);
        }
        if negative { (magnitude as u32).wrapping_neg() } else { magnitude as u32 }
    }

    /// A field of CR: LT, GT, EQ, or unordered. `ordered`: quiet NaNs are invalid, too.
    pub(crate) fn compare(&mut self, a: u64, b: u64, ordered: bool, invalid_enabled: bool) -> u8 {
        if is_nan(a) || is_nan(b) {
            if is_signalling(a) || is_signalling(b) {
                self.note(VXSNAN);
                if ordered && !invalid_enabled {
                    self.note(VXVC);
                }
            } else if ordered {
                self.note(VXVC);
            }
            return 1;
        }
        let key = |a: u64| {
            let magnitude = (a & !SIGN) as i64;
            if is_negative(a) { -magnitude } else { magnitude }
        };
        match key(a).cmp(&key(b)) {
            std::cmp::Ordering::Less => 8,
            std::cmp::Ordering::Greater => 4,
            std::cmp::Ordering::Equal => 2,
        }
    }
}

/// FPSCR[FPRF] of a result (PEM table 2-4, bits 15…19).
pub(crate) fn class(a: u64, single: bool) -> u32 {
    let sign = is_negative(a);
    let least = if single { 0x3810_0000_0000_0000 } else { 1 << 52 };
    match a & !SIGN {
        _ if is_nan(a) => 0x11,
        INFINITY => {
            if sign {
                0x09
            } else {
                0x05
            }
        }
        0 => {
            if sign {
                0x12
            } else {
                0x02
            }
        }
        magnitude if magnitude < least => {
            if sign {
                0x18
            } else {
                0x14
            }
        }
        _ => {
            if sign {
                0x08
            } else {
                0x04
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context {
            rounding: Rounding::Nearest,
            overflow: false,
            underflow: false,
            flush: false,
            single: false,
            noticed: 0,
            increased: false,
            inexact: false,
        }
    }

    /// Numbers of all kinds, the same in each run.
    fn samples() -> Vec<f64> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut samples = vec![0.0, -0.0, 1.0, -1.5, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::INFINITY, 1.0 / 3.0];
        samples.extend((0..200).map(|_| f64::from_bits(next())));
        samples.extend((0..100).map(|_| f64::from_bits(next() & 0x000f_ffff_ffff_ffff)));
        samples.extend((0..100).map(|_| f64::from_bits(next() & 0x800f_ffff_ffff_ffff | 0x3ff << 52)));
        samples.retain(|sample| !sample.is_nan());
        samples
    }

    fn check(what: &str, ours: u64, host: f64) {
        let ours = f64::from_bits(ours);
        assert!(ours.to_bits() == host.to_bits() || ours.is_nan() && host.is_nan(), "{what}: {ours:e}, host {host:e}");
    }

    #[test]
    fn doubles_are_the_hosts() {
        let samples = samples();
        for &a in &samples {
            for &b in &samples {
                let (x, y) = (a.to_bits(), b.to_bits());
                check(&format!("{a:e} + {b:e}"), context().add(x, y), a + b);
                check(&format!("{a:e} - {b:e}"), context().sub(x, y), a - b);
                check(&format!("{a:e} * {b:e}"), context().mul(x, y), a * b);
                check(&format!("{a:e} / {b:e}"), context().div(x, y), a / b);
            }
        }
    }

    #[test]
    fn fused_ones_are_the_hosts() {
        let samples = samples();
        for (n, &a) in samples.iter().enumerate() {
            for (m, &b) in samples.iter().enumerate() {
                let c = samples[(n * 31 + m * 7) % samples.len()];
                let ours = context().mul_add(a.to_bits(), b.to_bits(), c.to_bits(), false, false);
                check(&format!("{a:e} * {b:e} + {c:e}"), ours, a.mul_add(b, c));
            }
        }
    }

    #[test]
    fn singles_are_the_hosts() {
        for &a in &samples() {
            for &b in &samples() {
                let (a, b) = (a as f32, b as f32);
                let (x, y) = (f64::from(a).to_bits(), f64::from(b).to_bits());
                let mut single = Context { single: true, ..context() };
                check(&format!("{a:e} * {b:e}"), single.mul(x, y), f64::from(a * b));
                check(&format!("{a:e} + {b:e}"), single.add(x, y), f64::from(a + b));
                check(&format!("{a:e} / {b:e}"), single.div(x, y), f64::from(a / b));
            }
        }
    }

    #[test]
    fn singles_stay_as_they_are() {
        for bits in (0..=u32::MAX).step_by(65_521) {
            let single = f64::from(f32::from_bits(bits));
            if !single.is_nan() {
                assert_eq!(context().round_to_single(single.to_bits()), single.to_bits());
            }
        }
    }

    #[test]
    fn nans_of_singles_are_cut() {
        let (nan, one) = (0x7ff7_ffff_ffff_ffff, 0x3ff0_0000_0000_0000);
        let mut single = Context { single: true, ..context() };
        let results = [
            single.add(nan, one),
            single.sub(one, nan),
            single.mul(one, nan),
            single.div(nan, one),
            single.mul_add(one, one, nan, false, false),
            single.round_to_single(nan),
        ];
        assert_eq!(results, [0x7fff_ffff_e000_0000; 6]);
        assert_eq!(single.noticed, VXSNAN);
        assert_eq!(context().add(nan, one), 0x7fff_ffff_ffff_ffff);
    }

    #[test]
    fn roots_are_near() {
        for a in samples().into_iter().filter(|&a| a > 0.0 && a.is_finite()) {
            let ours = f64::from_bits(context().reciprocal_root(a.to_bits()));
            let host = 1.0 / a.sqrt();
            assert!((ours / host - 1.0).abs() < 1e-14, "{a:e}: {ours:e}, host {host:e}");
        }
    }

    #[test]
    fn integers_are_the_hosts() {
        for a in samples() {
            let ours = context().integer(a.to_bits(), Rounding::Zero) as i32;
            assert_eq!(ours, a as i32, "{a:e}");
            let ours = context().integer(a.to_bits(), Rounding::Nearest) as i32;
            assert_eq!(ours, a.round_ties_even() as i32, "{a:e}");
        }
    }
}
