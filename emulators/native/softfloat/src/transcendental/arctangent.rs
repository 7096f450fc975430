//! FPATAN: the angle of the point (x, y).
//!
//! The ratio, taken to be at most 1, is moved to within 1/16 of 0 by atan q = atan c + atan ((q − c) / (1 + q·c)), c = k/8.

use super::wide::{ODD_RECIPROCALS, Wide, high, series};
use crate::Context;
use crate::extended::F80;

/// π.
const PI: Wide = Wide { negative: false, exponent: 1, significand: 0xc90fdaa22168c234c4c6628b80dc1cd1 };
const HALF_PI: Wide = Wide { exponent: 0, ..PI };
const QUARTER_PI: Wide = Wide { exponent: -1, ..PI };
const THREE_QUARTERS_PI: Wide = Wide { negative: false, exponent: 1, significand: 0x96cbe3f9990e91a79394c9e8a0a5159c };

/// atan (k/8), k = 1…8: exponents and significands.
const ARCTANGENTS: [(i32, u128); 8] = [
    (-4, 0xfeadd4d5617b6e32c897989f3e888ef7),
    (-3, 0xfadbafc96406eb156dc79ef5f7a217e5),
    (-2, 0xb7b0ca0f26f784738aa32122dcfe4483),
    (-2, 0xed63382b0dda7b456fe445ecbc3a8d03),
    (-1, 0x8f005d5ef7f59f9b5c835e1665c43747),
    (-1, 0xa4bc7d1934f7092419a87f2a457dac9e),
    (-1, 0xb8053e2bc2319e73cb2da55210a4443d),
    (-1, 0xc90fdaa22168c234c4c6628b80dc1cd1),
];

/// atan of a number of at most 1/16.
fn near(t: Wide) -> Wide {
    let fixed = t.fixed();
    let z = high(fixed, fixed) << 1;
    // Below 1, however little: the last bit shows it.
    t.mul(Wide::of(false, series(&ODD_RECIPROCALS[..17], z, true) - 1, -127))
}

/// atan (n / d), for positive n ≤ d.
fn of_ratio(n: Wide, d: Wide) -> Wide {
    let distance = d.exponent - n.exponent;
    if distance > 5 {
        return near(n.div(d));
    }
    // Both have at most 64 bits: with the distance, 69.
    let (up, down) = ((n.significand >> 64) as i128, (d.significand >> 64 << distance) as i128);
    let k = (16 * up + down) / (2 * down);
    let above = 8 * up - k * down;
    if k == 0 {
        return near(n.div(d));
    }
    let (exponent, significand) = ARCTANGENTS[k as usize - 1];
    let base = Wide { negative: false, exponent, significand };
    if above == 0 {
        return base;
    }
    let t = Wide::of(above < 0, above.unsigned_abs(), 0).div(Wide::of(false, (8 * down + k * up) as u128, 0));
    base.add(near(t)).unwrap_or(base)
}

impl F80 {
    /// Of ST(1) (`self`) over ST(0) (`x`).
    pub fn arctangent(self, x: F80, context: &mut Context) -> F80 {
        let y = self;
        if x.is_odd() || y.is_odd() {
            return x.odd_of(y, context);
        }
        if (x.is_denormal() || y.is_denormal()) && context.denormal() {
            return F80::INDEFINITE;
        }
        let signed = |angle: Wide| Wide { negative: y.is_negative(), ..angle };
        let far = match (y.is_infinite(), x.is_infinite()) {
            (true, true) if x.is_negative() => Some(THREE_QUARTERS_PI),
            (true, true) => Some(QUARTER_PI),
            (true, false) => Some(HALF_PI),
            (false, true) if x.is_negative() => Some(PI),
            (false, true) => return F80::zero(y.is_negative()),
            (false, false) if y.is_zero() && x.is_negative() => Some(PI),
            (false, false) if y.is_zero() => return F80::zero(y.is_negative()),
            (false, false) if x.is_zero() => Some(HALF_PI),
            (false, false) => None,
        };
        if let Some(angle) = far {
            return signed(angle).round(context);
        }
        let (n, d) = (Wide::new(y.abs()), Wide::new(x.abs()));
        let steep = (n.exponent, n.significand) > (d.exponent, d.significand);
        let angle = match (steep, x.is_negative()) {
            (false, false) => Some(of_ratio(n, d)),
            (false, true) => PI.add(of_ratio(n, d).negate()),
            (true, false) => HALF_PI.add(of_ratio(d, n).negate()),
            (true, true) => HALF_PI.add(of_ratio(d, n)),
        };
        signed(angle.unwrap_or(HALF_PI)).round(context)
    }
}
