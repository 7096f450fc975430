//! Precision exceptions of results whose overflow or underflow is unmasked.
//!
//! Intel SDM volume 1, §4.9.1.4 to §4.9.1.6, §11.5.2.4, §11.5.2.5: such a result is the one rounded as if exponents had no
//! bounds, and inexact is what that rounding lost; what the masked response would lose (digits of a denormal, all of an
//! infinity) does not count. Found on processors too.
//!
//! Each lane is computed alone, as before, to see what it raises; where that is an unmasked overflow or underflow, once
//! more with operands whose exponents are moved so that nothing overflows and nothing is tiny.

use super::mxcsr::{OE, PE, UE, UM, control};

/// How operands are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The operation has no result that overflows or is tiny.
    Never,
    /// Products and quotients: each operand's exponent is made that of 1.
    Product,
    /// Sums and differences, which overflow alone matters to (tiny ones are exact): all exponents less 4.
    Sum,
    /// From double to single precision: the second operand's exponent is made that of 1.
    Narrow,
}

/// What a result's lanes are, for tiny ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// Not a result that can be tiny.
    Never,
    Single(u32),
    Double(u32),
}

impl Lanes {
    /// Is a lane denormal?
    pub(super) fn tiny(self, result: u128) -> bool {
        match self {
            Lanes::Never => false,
            Lanes::Single(count) => (0..count).any(|lane| {
                let bits = (result >> (32 * lane)) as u32;
                bits & 0x7f80_0000 == 0 && bits & 0x7f_ffff != 0
            }),
            Lanes::Double(count) => (0..count).any(|lane| {
                let bits = (result >> (64 * lane)) as u64;
                bits >> 52 & 0x7ff == 0 && bits << 12 != 0
            }),
        }
    }
}

/// What the host computes for the guest.
pub trait Operation {
    const LANES: Lanes;
    /// How a lane's exactness is told if its exponent does not matter.
    const SCALE: Scale = Scale::Never;
    /// The result and what was raised. `control` is a whole MXCSR with all exceptions masked and no flag raised.
    fn host(a: u128, b: u128, control: u32) -> (u128, u32);
}

/// A format's fields.
#[derive(Clone, Copy)]
struct Format {
    /// Of the exponent, from the lowest.
    exponent_at: u32,
    bits: u32,
}

const SINGLE: Format = Format { exponent_at: 23, bits: 32 };
const DOUBLE: Format = Format { exponent_at: 52, bits: 64 };

impl Format {
    fn fraction(self) -> u64 {
        (1 << self.exponent_at) - 1
    }

    fn highest(self) -> u64 {
        (1 << (self.bits - 1 - self.exponent_at)) - 1
    }

    fn one(self) -> u64 {
        (self.highest() >> 1) << self.exponent_at
    }

    fn lane(self, value: u128, lane: u32) -> u64 {
        (value >> (self.bits * lane)) as u64 & (u64::MAX >> (64 - self.bits))
    }

    /// A finite number's digits, between 1 and 2; 0 stays.
    fn as_one(self, value: u64) -> u64 {
        let (exponent, fraction) = (value >> self.exponent_at & self.highest(), value & self.fraction());
        if exponent == 0 && fraction == 0 {
            return 0;
        }
        let digits = match exponent {
            0 => fraction << (fraction.leading_zeros() - (63 - self.exponent_at)), // a denormal's highest digit, to its place
            _ => fraction,
        };
        digits & self.fraction() | self.one()
    }

    /// A 16th, if it is so large that it can take part in an overflow; less is inexact beside it in any case.
    fn less_4(self, value: u64) -> u64 {
        let exponent = value >> self.exponent_at & self.highest();
        if exponent > 4 { value - (4 << self.exponent_at) } else { value }
    }
}

/// What is raised, by all lanes, where `raised` holds an unmasked overflow or underflow.
#[cold]
pub(super) fn raised<O: Operation + ?Sized>(a: u128, b: u128, mxcsr: u32, raised: u32) -> u32 {
    let (lanes, result) = match O::LANES {
        Lanes::Never => return raised,
        Lanes::Single(lanes) => (lanes, SINGLE),
        Lanes::Double(lanes) => (lanes, DOUBLE),
    };
    let source = if O::SCALE == Scale::Narrow { DOUBLE } else { result };
    let unmasked = !(mxcsr >> 7) & (OE | UE);
    // Lanes that are none of ours: 0 + 1, 0 · 1, 0 : 1.
    let neutral = (0..128 / source.bits).fold(0, |all, at| all | u128::from(source.one()) << (source.bits * at));
    let alone = |first: u64, second: u64| {
        let second = neutral & !u128::from(source.one()) | u128::from(second);
        let (value, flags) = O::host(first.into(), second, control(mxcsr));
        // Of the result, the lanes that are not ours are 0 or 1.
        flags | if mxcsr & UM == 0 && O::LANES.tiny(value) { UE } else { 0 }
    };
    (0..lanes).fold(raised & !PE, |all, lane| {
        let (first, second) = (source.lane(a, lane), source.lane(b, lane));
        let flags = alone(first, second);
        if flags & unmasked == 0 {
            return all | flags & PE;
        }
        let flags = match O::SCALE {
            Scale::Never => flags,
            Scale::Product => alone(source.as_one(first), source.as_one(second)),
            Scale::Sum => alone(source.less_4(first), source.less_4(second)),
            Scale::Narrow => alone(0, source.as_one(second)),
        };
        all | flags & PE
    })
}
