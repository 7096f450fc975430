//! Singles between registers, which hold them as doubles, and memory: PEM §D.6, §D.7.

/// A single as a register holds it (PEM §D.6: load).
pub(crate) fn widened(single: u32) -> u64 {
    let sign = u64::from(single >> 31) << 63;
    let (exponent, fraction) = (single >> 23 & 0xff, u64::from(single & 0x7f_ffff));
    match (exponent, fraction) {
        (0, 0) => sign,
        (0, _) => {
            let shift = fraction.leading_zeros() - 40;
            sign | u64::from(897 - shift) << 52 | (fraction << shift & 0x7f_ffff) << 29
        }
        (255, _) => sign | 0x7ff << 52 | fraction << 29,
        _ => sign | u64::from(exponent + 896) << 52 | fraction << 29,
    }
}

/// What stfs writes of a register (PEM §D.7: store). Too small for a single is undefined there; processors write zeros.
pub(crate) fn narrowed(double: u64) -> u32 {
    let exponent = (double >> 52 & 0x7ff) as u32;
    let sign = (double >> 32) as u32 & 1 << 31;
    match exponent {
        0..874 => sign,
        874..=896 => {
            let significand = (double & 0x000f_ffff_ffff_ffff | 1 << 52) >> 29;
            sign | (significand >> (897 - exponent)) as u32
        }
        _ => (double >> 32) as u32 & 0xc000_0000 | (double >> 29) as u32 & 0x3fff_ffff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singles_go_to_memory_and_back() {
        for bits in (0..=u32::MAX).step_by(65_521).chain([1, 0x7f_ffff, 0x80_0000, 0x7f80_0000, 0x7f80_0001]) {
            assert_eq!(narrowed(widened(bits)), bits);
            let single = f32::from_bits(bits);
            if !single.is_nan() {
                assert_eq!(widened(bits), f64::from(single).to_bits());
            }
        }
    }

    #[test]
    fn what_is_too_small_is_zero() {
        for (double, single) in [
            (0x0010_0000_0000_0001, 0),
            (0x8000_0000_0000_0001, 1 << 31),
            (0x3690_0000_0000_0000, 0),
            (0xb6a0_0000_0000_0000, 0x8000_0001),
        ] {
            assert_eq!(narrowed(double), single, "{double:x}");
        }
    }
}
