//! Numbers of any size between operands and rounding: sums and products that lose nothing but a bit that says so.

/// ± significand × 2^(exponent − 127), where the significand has bit 127; its last bit may stand for more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exact {
    pub negative: bool,
    pub exponent: i32,
    pub significand: u128,
}

/// A finite number that is not zero.
pub(crate) fn exact(a: u64) -> Exact {
    let fraction = u128::from(a & 0x000f_ffff_ffff_ffff) << 75;
    let negative = a >> 63 != 0;
    match (a >> 52 & 0x7ff) as i32 {
        0 => {
            let shift = fraction.leading_zeros();
            Exact { negative, exponent: -1022 - shift as i32, significand: fraction << shift }
        }
        exponent => Exact { negative, exponent: exponent - 1023, significand: fraction | 1 << 127 },
    }
}

/// Shifted right; the last bit is set if anything was lost.
pub(crate) fn shifted(value: u128, by: u32) -> u128 {
    match by {
        0 => value,
        1..128 => value >> by | u128::from(value << (128 - by) != 0),
        _ => u128::from(value != 0),
    }
}

/// None: it is zero.
pub(crate) fn sum(a: Exact, b: Exact) -> Option<Exact> {
    let (a, b) = if (a.exponent, a.significand) < (b.exponent, b.significand) { (b, a) } else { (a, b) };
    let other = shifted(b.significand, (a.exponent - b.exponent) as u32);
    if a.negative == b.negative {
        let (total, carry) = a.significand.overflowing_add(other);
        let significand = if carry { shifted(total, 1) | 1 << 127 } else { total };
        return Some(Exact { negative: a.negative, exponent: a.exponent + i32::from(carry), significand });
    }
    let total = a.significand - other;
    if total == 0 {
        return None;
    }
    let shift = total.leading_zeros();
    Some(Exact { negative: a.negative, exponent: a.exponent - shift as i32, significand: total << shift })
}

pub(crate) fn product(a: Exact, b: Exact) -> Exact {
    let full = (a.significand >> 64) * (b.significand >> 64); // of 53 bits each: nothing is lost
    let shift = full.leading_zeros();
    Exact {
        negative: a.negative != b.negative,
        exponent: a.exponent + b.exponent + 1 - shift as i32,
        significand: full << shift,
    }
}
