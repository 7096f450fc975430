//! Permutation and formatting: ALTIVECPEM §4.2.5.

use super::lanes::{Saturation, halves, octets, of_halves, of_octets, of_words, words};
use crate::op::Op;
use crate::table::{Insn, field};
use std::array::from_fn;

/// Half words of two vectors, each made an octet.
fn to_octets(a: u128, b: u128, mut of: impl FnMut(u16) -> u8) -> u128 {
    let (a, b) = (halves(a), halves(b));
    of_octets(from_fn(|n| of(if n < 8 { a[n] } else { b[n - 8] })))
}

/// Words of two vectors, each made a half word.
fn to_halves(a: u128, b: u128, mut of: impl FnMut(u32) -> u16) -> u128 {
    let (a, b) = (words(a), words(b));
    of_halves(from_fn(|n| of(if n < 4 { a[n] } else { b[n - 4] })))
}

/// A pixel of 1, 5, 5, 5 bits out of one of 8, 8, 8, 8 (ALTIVECPEM §4.2.5.1).
fn packed_pixel(word: u32) -> u16 {
    (word >> 9 & 0xfc00 | word >> 6 & 0x03e0 | word >> 3 & 0x001f) as u16
}

/// And back; the first bit fills its octet.
fn unpacked_pixel(half: u16) -> u32 {
    let [first, red, green, blue] = [half >> 15, half >> 10 & 31, half >> 5 & 31, half & 31].map(u32::from);
    first * 0xff00_0000 | red << 16 | green << 8 | blue
}

/// SIMM.
fn simm(word: u32) -> i8 {
    ((field::a(word) << 3) as i8) >> 3
}

/// vD.
pub(super) fn compute(op: Op, [a, b, c]: [u128; 3], to: &mut Saturation) -> u128 {
    let uimm = usize::from(field::a(op.word));
    match op.insn {
        // Pack
        Insn::Vpkuhum => to_octets(a, b, |half| half as u8),
        Insn::Vpkuhus => to_octets(a, b, |half| to.ub(half.into())),
        Insn::Vpkshus => to_octets(a, b, |half| to.ub((half as i16).into())),
        Insn::Vpkshss => to_octets(a, b, |half| to.sb((half as i16).into())),
        Insn::Vpkuwum => to_halves(a, b, |word| word as u16),
        Insn::Vpkuwus => to_halves(a, b, |word| to.uh(word.into())),
        Insn::Vpkswus => to_halves(a, b, |word| to.uh((word as i32).into())),
        Insn::Vpkswss => to_halves(a, b, |word| to.sh((word as i32).into())),
        Insn::Vpkpx => to_halves(a, b, packed_pixel),
        // Unpack
        Insn::Vupkhsb => of_halves(from_fn(|n| octets(b)[n] as i8 as u16)),
        Insn::Vupklsb => of_halves(from_fn(|n| octets(b)[n + 8] as i8 as u16)),
        Insn::Vupkhsh => of_words(from_fn(|n| halves(b)[n] as i16 as u32)),
        Insn::Vupklsh => of_words(from_fn(|n| halves(b)[n + 4] as i16 as u32)),
        Insn::Vupkhpx => of_words(from_fn(|n| unpacked_pixel(halves(b)[n]))),
        Insn::Vupklpx => of_words(from_fn(|n| unpacked_pixel(halves(b)[n + 4]))),
        // Merge
        Insn::Vmrghb => of_octets(from_fn(|n| octets(if n & 1 == 0 { a } else { b })[n / 2])),
        Insn::Vmrglb => of_octets(from_fn(|n| octets(if n & 1 == 0 { a } else { b })[n / 2 + 8])),
        Insn::Vmrghh => of_halves(from_fn(|n| halves(if n & 1 == 0 { a } else { b })[n / 2])),
        Insn::Vmrglh => of_halves(from_fn(|n| halves(if n & 1 == 0 { a } else { b })[n / 2 + 4])),
        Insn::Vmrghw => of_words(from_fn(|n| words(if n & 1 == 0 { a } else { b })[n / 2])),
        Insn::Vmrglw => of_words(from_fn(|n| words(if n & 1 == 0 { a } else { b })[n / 2 + 2])),
        // Splat
        Insn::Vspltb => of_octets([octets(b)[uimm % 16]; 16]),
        Insn::Vsplth => of_halves([halves(b)[uimm % 8]; 8]),
        Insn::Vspltw => of_words([words(b)[uimm % 4]; 4]),
        Insn::Vspltisb => of_octets([simm(op.word) as u8; 16]),
        Insn::Vspltish => of_halves([simm(op.word) as u16; 8]),
        Insn::Vspltisw => of_words([simm(op.word) as u32; 4]),
        // Permute, select
        Insn::Vperm => {
            let mut both = [0; 32];
            both[..16].copy_from_slice(&octets(a));
            both[16..].copy_from_slice(&octets(b));
            of_octets(octets(c).map(|place| both[usize::from(place & 31)]))
        }
        Insn::Vsel => a & !c | b & c,
        // Shifts of the whole: by octets, and by up to 7 bits
        Insn::Vsldoi => match field::c(op.word) & 15 {
            0 => a,
            by => a << (8 * by) | b >> (128 - 8 * by),
        },
        Insn::Vsl => a << (b & 7),
        Insn::Vsr => a >> (b & 7),
        Insn::Vslo => a << (b & 0x78),
        Insn::Vsro => a >> (b & 0x78),
        insn => unreachable!("{insn:?} permutes nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Decoder, VECTOR};

    fn of(word: u32, a: u128, b: u128) -> (u128, bool) {
        let mut to = Saturation::default();
        let value = compute(Op::new(&Decoder::new(VECTOR), word), [a, b, 0], &mut to);
        (value, to.happened)
    }

    fn vx(xo: u32) -> u32 {
        4 << 26 | xo
    }

    #[test]
    fn packing_saturates_one_behind_the_limits() {
        for (xo, element, expected) in [
            (0x10e, 0xffff, (0, true)),     // vpkshus
            (0x10e, 0x00ff, (0xff, false)), // vpkshus
            (0x10e, 0x0100, (0xff, true)),  // vpkshus
            (0x18e, 0x0080, (0x7f, true)),  // vpkshss
            (0x18e, 0xff80, (0x80, false)), // vpkshss
            (0x18e, 0xff7f, (0x80, true)),  // vpkshss
            (0x08e, 0xffff, (0xff, true)),  // vpkuhus
            (0x00e, 0x1234, (0x34, false)), // vpkuhum
        ] {
            let (value, saturated) = of(vx(xo), of_halves([element; 8]), of_halves([element; 8]));
            assert_eq!((octets(value), saturated), ([expected.0; 16], expected.1), "{xo:#x} of {element:#x}");
        }
        let (value, saturated) = of(vx(0x1ce), of_words([0x8000; 4]), of_words([0xffff_8000; 4])); // vpkswss
        assert_eq!((halves(value)[3], halves(value)[4], saturated), (0x7fff, 0x8000, true));
        let (value, saturated) = of(vx(0x14e), of_words([0xffff; 4]), of_words([u32::MAX; 4])); // vpkswus
        assert_eq!((halves(value)[3], halves(value)[4], saturated), (0xffff, 0, true));
    }

    #[test]
    fn pixels_lose_their_low_bits() {
        assert_eq!(packed_pixel(0x01f8_f8f8), 0xffff);
        assert_eq!(packed_pixel(0xfe07_0707), 0);
        assert_eq!(packed_pixel(0x0010_4080), 0x0910);
        assert_eq!(unpacked_pixel(0x8910), 0xff02_0810);
    }

    #[test]
    fn shifts_of_the_whole_go_up_to_their_ends() {
        let (a, b) = (u128::from_be_bytes(from_fn(|n| n as u8)), u128::from_be_bytes(from_fn(|n| n as u8 + 16)));
        for by in 0..16 {
            let (value, _) = of(4 << 26 | by << 6 | 44, a, b);
            assert_eq!(octets(value), from_fn(|n| n as u8 + by as u8));
        }
        assert_eq!(of(vx(1036), a, 15 << 3).0, 15 << 120);
        assert_eq!(of(vx(1100), u128::MAX, 15 << 3 | 7).0, 0xff);
        assert_eq!(of(vx(452), 1, 7).0, 1 << 7);
        assert_eq!(of(vx(708), 1 << 127, 0xff).0, 1 << 120);
    }
}
