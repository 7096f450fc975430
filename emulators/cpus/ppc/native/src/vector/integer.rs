//! Integers: ALTIVECPEM §4.2.1.

use super::lanes::{Saturation, by_halves, by_octets, by_words, halves, octets, of_halves, of_words, words};
use crate::table::Insn;
use std::array::from_fn;

/// Signed elements, and unsigned ones, as numbers with room for every intermediate result.
fn sb(element: u8) -> i64 {
    (element as i8).into()
}

fn ub(element: u8) -> i64 {
    element.into()
}

fn sh(element: u16) -> i64 {
    (element as i16).into()
}

fn uh(element: u16) -> i64 {
    element.into()
}

fn sw(element: u32) -> i64 {
    (element as i32).into()
}

fn uw(element: u32) -> i64 {
    element.into()
}

/// A mask over an element.
macro_rules! truth {
    ($type:ty, $holds:expr) => {
        if $holds { <$type>::MAX } else { 0 }
    };
}

/// The products of even (`first` = 0) or odd (1) octets, as half words.
fn octet_products(a: u128, b: u128, first: usize, of: fn(u8) -> i64) -> u128 {
    let (a, b) = (octets(a), octets(b));
    of_halves(from_fn(|n| (of(a[2 * n + first]) * of(b[2 * n + first])) as u16))
}

fn half_products(a: u128, b: u128, first: usize, of: fn(u16) -> i64) -> u128 {
    let (a, b) = (halves(a), halves(b));
    of_words(from_fn(|n| (of(a[2 * n + first]) * of(b[2 * n + first])) as u32))
}

/// For each half word of `a`, `b` and `c`.
fn three_halves(a: u128, b: u128, c: u128, mut of: impl FnMut(u16, u16, u16) -> u16) -> u128 {
    let (a, b, c) = (halves(a), halves(b), halves(c));
    of_halves(from_fn(|n| of(a[n], b[n], c[n])))
}

/// For each word: c + the sum of the products of the octets in it.
fn octet_sums(a: u128, b: u128, c: u128, of_a: fn(u8) -> i64, fit: impl FnMut(i64) -> u32) -> u128 {
    let (a, b) = (octets(a), octets(b));
    sums(c, uw, |n| (4 * n..4 * n + 4).map(|m| of_a(a[m]) * ub(b[m])).sum(), fit)
}

fn half_sums(a: u128, b: u128, c: u128, of: fn(u16) -> i64, of_c: fn(u32) -> i64, fit: impl FnMut(i64) -> u32) -> u128 {
    let (a, b) = (halves(a), halves(b));
    sums(c, of_c, |n| (2 * n..2 * n + 2).map(|m| of(a[m]) * of(b[m])).sum(), fit)
}

/// For each word: that of `start` + what `more` says of it.
fn sums(start: u128, of: fn(u32) -> i64, more: impl Fn(usize) -> i64, mut fit: impl FnMut(i64) -> u32) -> u128 {
    let start = words(start);
    of_words(from_fn(|n| fit(of(start[n]) + more(n))))
}

/// vD.
#[allow(clippy::too_many_lines)] // an instruction is a line or two
pub(super) fn compute(insn: Insn, [a, b, c]: [u128; 3], to: &mut Saturation) -> u128 {
    let modulo = |value: i64| value as u32;
    match insn {
        // Sums and differences
        Insn::Vaddubm => by_octets(a, b, u8::wrapping_add),
        Insn::Vadduhm => by_halves(a, b, u16::wrapping_add),
        Insn::Vadduwm => by_words(a, b, u32::wrapping_add),
        Insn::Vaddcuw => by_words(a, b, |a, b| a.overflowing_add(b).1.into()),
        Insn::Vaddubs => by_octets(a, b, |a, b| to.ub(ub(a) + ub(b))),
        Insn::Vadduhs => by_halves(a, b, |a, b| to.uh(uh(a) + uh(b))),
        Insn::Vadduws => by_words(a, b, |a, b| to.uw(uw(a) + uw(b))),
        Insn::Vaddsbs => by_octets(a, b, |a, b| to.sb(sb(a) + sb(b))),
        Insn::Vaddshs => by_halves(a, b, |a, b| to.sh(sh(a) + sh(b))),
        Insn::Vaddsws => by_words(a, b, |a, b| to.sw(sw(a) + sw(b))),
        Insn::Vsububm => by_octets(a, b, u8::wrapping_sub),
        Insn::Vsubuhm => by_halves(a, b, u16::wrapping_sub),
        Insn::Vsubuwm => by_words(a, b, u32::wrapping_sub),
        Insn::Vsubcuw => by_words(a, b, |a, b| u32::from(a >= b)),
        Insn::Vsububs => by_octets(a, b, |a, b| to.ub(ub(a) - ub(b))),
        Insn::Vsubuhs => by_halves(a, b, |a, b| to.uh(uh(a) - uh(b))),
        Insn::Vsubuws => by_words(a, b, |a, b| to.uw(uw(a) - uw(b))),
        Insn::Vsubsbs => by_octets(a, b, |a, b| to.sb(sb(a) - sb(b))),
        Insn::Vsubshs => by_halves(a, b, |a, b| to.sh(sh(a) - sh(b))),
        Insn::Vsubsws => by_words(a, b, |a, b| to.sw(sw(a) - sw(b))),
        // Products
        Insn::Vmuleub => octet_products(a, b, 0, ub),
        Insn::Vmuloub => octet_products(a, b, 1, ub),
        Insn::Vmulesb => octet_products(a, b, 0, sb),
        Insn::Vmulosb => octet_products(a, b, 1, sb),
        Insn::Vmuleuh => half_products(a, b, 0, uh),
        Insn::Vmulouh => half_products(a, b, 1, uh),
        Insn::Vmulesh => half_products(a, b, 0, sh),
        Insn::Vmulosh => half_products(a, b, 1, sh),
        Insn::Vmhaddshs => three_halves(a, b, c, |a, b, c| to.sh((sh(a) * sh(b) >> 15) + sh(c))),
        Insn::Vmhraddshs => three_halves(a, b, c, |a, b, c| to.sh((sh(a) * sh(b) + 0x4000 >> 15) + sh(c))),
        Insn::Vmladduhm => three_halves(a, b, c, |a, b, c| a.wrapping_mul(b).wrapping_add(c)),
        Insn::Vmsumubm => octet_sums(a, b, c, ub, modulo),
        Insn::Vmsummbm => octet_sums(a, b, c, sb, modulo),
        Insn::Vmsumuhm => half_sums(a, b, c, uh, uw, modulo),
        Insn::Vmsumuhs => half_sums(a, b, c, uh, uw, |sum| to.uw(sum)),
        Insn::Vmsumshm => half_sums(a, b, c, sh, sw, modulo),
        Insn::Vmsumshs => half_sums(a, b, c, sh, sw, |sum| to.sw(sum)),
        // Sums across
        Insn::Vsum4ubs => {
            let a = octets(a);
            sums(b, uw, |n| (4 * n..4 * n + 4).map(|m| ub(a[m])).sum(), |sum| to.uw(sum))
        }
        Insn::Vsum4sbs => {
            let a = octets(a);
            sums(b, sw, |n| (4 * n..4 * n + 4).map(|m| sb(a[m])).sum(), |sum| to.sw(sum))
        }
        Insn::Vsum4shs => {
            let a = halves(a);
            sums(b, sw, |n| (2 * n..2 * n + 2).map(|m| sh(a[m])).sum(), |sum| to.sw(sum))
        }
        Insn::Vsum2sws => {
            let (a, b) = (words(a), words(b));
            let [first, second] = from_fn(|n| to.sw(sw(a[2 * n]) + sw(a[2 * n + 1]) + sw(b[2 * n + 1])));
            of_words([0, first, 0, second])
        }
        Insn::Vsumsws => to.sw(words(a).map(sw).iter().sum::<i64>() + sw(b as u32)).into(),
        // Averages, rounded up
        Insn::Vavgub => by_octets(a, b, |a, b| (ub(a) + ub(b) + 1 >> 1) as u8),
        Insn::Vavguh => by_halves(a, b, |a, b| (uh(a) + uh(b) + 1 >> 1) as u16),
        Insn::Vavguw => by_words(a, b, |a, b| (uw(a) + uw(b) + 1 >> 1) as u32),
        Insn::Vavgsb => by_octets(a, b, |a, b| (sb(a) + sb(b) + 1 >> 1) as u8),
        Insn::Vavgsh => by_halves(a, b, |a, b| (sh(a) + sh(b) + 1 >> 1) as u16),
        Insn::Vavgsw => by_words(a, b, |a, b| (sw(a) + sw(b) + 1 >> 1) as u32),
        // Extremes
        Insn::Vmaxub => by_octets(a, b, u8::max),
        Insn::Vmaxuh => by_halves(a, b, u16::max),
        Insn::Vmaxuw => by_words(a, b, u32::max),
        Insn::Vmaxsb => by_octets(a, b, |a, b| (a as i8).max(b as i8) as u8),
        Insn::Vmaxsh => by_halves(a, b, |a, b| (a as i16).max(b as i16) as u16),
        Insn::Vmaxsw => by_words(a, b, |a, b| (a as i32).max(b as i32) as u32),
        Insn::Vminub => by_octets(a, b, u8::min),
        Insn::Vminuh => by_halves(a, b, u16::min),
        Insn::Vminuw => by_words(a, b, u32::min),
        Insn::Vminsb => by_octets(a, b, |a, b| (a as i8).min(b as i8) as u8),
        Insn::Vminsh => by_halves(a, b, |a, b| (a as i16).min(b as i16) as u16),
        Insn::Vminsw => by_words(a, b, |a, b| (a as i32).min(b as i32) as u32),
        // Comparisons
        Insn::Vcmpequb => by_octets(a, b, |a, b| truth!(u8, a == b)),
        Insn::Vcmpequh => by_halves(a, b, |a, b| truth!(u16, a == b)),
        Insn::Vcmpequw => by_words(a, b, |a, b| truth!(u32, a == b)),
        Insn::Vcmpgtub => by_octets(a, b, |a, b| truth!(u8, a > b)),
        Insn::Vcmpgtuh => by_halves(a, b, |a, b| truth!(u16, a > b)),
        Insn::Vcmpgtuw => by_words(a, b, |a, b| truth!(u32, a > b)),
        Insn::Vcmpgtsb => by_octets(a, b, |a, b| truth!(u8, a as i8 > b as i8)),
        Insn::Vcmpgtsh => by_halves(a, b, |a, b| truth!(u16, a as i16 > b as i16)),
        Insn::Vcmpgtsw => by_words(a, b, |a, b| truth!(u32, a as i32 > b as i32)),
        // Logic
        Insn::Vand => a & b,
        Insn::Vandc => a & !b,
        Insn::Vor => a | b,
        Insn::Vxor => a ^ b,
        Insn::Vnor => !(a | b),
        // Rotation and shifts, by the low bits of each element
        Insn::Vrlb => by_octets(a, b, |a, b| a.rotate_left((b & 7).into())),
        Insn::Vrlh => by_halves(a, b, |a, b| a.rotate_left((b & 15).into())),
        Insn::Vrlw => by_words(a, b, |a, b| a.rotate_left(b & 31)),
        Insn::Vslb => by_octets(a, b, |a, b| a << (b & 7)),
        Insn::Vslh => by_halves(a, b, |a, b| a << (b & 15)),
        Insn::Vslw => by_words(a, b, |a, b| a << (b & 31)),
        Insn::Vsrb => by_octets(a, b, |a, b| a >> (b & 7)),
        Insn::Vsrh => by_halves(a, b, |a, b| a >> (b & 15)),
        Insn::Vsrw => by_words(a, b, |a, b| a >> (b & 31)),
        Insn::Vsrab => by_octets(a, b, |a, b| (a as i8 >> (b & 7)) as u8),
        Insn::Vsrah => by_halves(a, b, |a, b| (a as i16 >> (b & 15)) as u16),
        Insn::Vsraw => by_words(a, b, |a, b| (a as i32 >> (b & 31)) as u32),
        _ => unreachable!("{insn:?} is no integer instruction"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first element of the result of equal elements, and whether it was saturated.
    fn bytes(insn: Insn, a: u8, b: u8) -> (u8, bool) {
        let mut to = Saturation::default();
        let value = compute(insn, [u128::from_be_bytes([a; 16]), u128::from_be_bytes([b; 16]), 0], &mut to);
        (octets(value)[0], to.happened)
    }

    fn half(insn: Insn, a: u16, b: u16, c: u16) -> (u16, bool) {
        let mut to = Saturation::default();
        let value = compute(insn, [of_halves([a; 8]), of_halves([b; 8]), of_halves([c; 8])], &mut to);
        (halves(value)[0], to.happened)
    }

    fn word(insn: Insn, a: u128, b: u128, c: u32) -> (u32, bool) {
        let mut to = Saturation::default();
        let value = compute(insn, [a, b, of_words([c; 4])], &mut to);
        (words(value)[3], to.happened)
    }

    #[test]
    fn sums_saturate_one_behind_their_limits() {
        for (insn, a, b, expected) in [
            (Insn::Vaddsbs, 0x7f, 0, (0x7f, false)),
            (Insn::Vaddsbs, 0x7f, 1, (0x7f, true)),
            (Insn::Vaddsbs, 0x80, 0xff, (0x80, true)),
            (Insn::Vaddubs, 0xfe, 1, (0xff, false)),
            (Insn::Vaddubs, 0xff, 1, (0xff, true)),
            (Insn::Vsububs, 1, 1, (0, false)),
            (Insn::Vsububs, 0, 1, (0, true)),
            (Insn::Vsubsbs, 0x80, 1, (0x80, true)),
            (Insn::Vsubsbs, 0, 0x80, (0x7f, true)),
            (Insn::Vaddubm, 0xff, 1, (0, false)),
            (Insn::Vavgsb, 0x80, 0x80, (0x80, false)),
            (Insn::Vavgub, 0xff, 0xfe, (0xff, false)),
            (Insn::Vavgsb, 0xff, 0, (0, false)),
        ] {
            assert_eq!(bytes(insn, a, b), expected, "{insn:?} {a:#x}, {b:#x}");
        }
        let most = of_words([0x7fff_ffff; 4]);
        assert_eq!(word(Insn::Vaddsws, most, of_words([1; 4]), 0), (0x7fff_ffff, true));
        assert_eq!(word(Insn::Vsubuws, most, of_words([1 << 31; 4]), 0), (0, true));
        assert_eq!(word(Insn::Vadduws, u128::MAX, of_words([1; 4]), 0), (u32::MAX, true));
    }

    #[test]
    fn products_of_the_most_negative_numbers() {
        // −1 × −1 as fractions is 1, which is none.
        assert_eq!(half(Insn::Vmhaddshs, 0x8000, 0x8000, 0), (0x7fff, true));
        assert_eq!(half(Insn::Vmhaddshs, 0x8000, 0x8000, 0xffff), (0x7fff, false));
        assert_eq!(half(Insn::Vmhraddshs, 0x7fff, 0x7fff, 1), (0x7fff, false));
        assert_eq!(half(Insn::Vmhraddshs, 0x7fff, 0x7fff, 2), (0x7fff, true));
        let least = of_halves([0x8000; 8]);
        assert_eq!(word(Insn::Vmsumshs, least, least, 0), (0x7fff_ffff, true));
        assert_eq!(word(Insn::Vmsumshs, least, least, u32::MAX), (0x7fff_ffff, false));
        assert_eq!(word(Insn::Vmsumshm, least, least, 0), (1 << 31, false));
        assert_eq!(word(Insn::Vmsumuhs, u128::MAX, u128::MAX, u32::MAX), (u32::MAX, true));
        assert_eq!(word(Insn::Vmsumuhm, u128::MAX, u128::MAX, 0), (0xfffc_0002, false));
        assert_eq!(word(Insn::Vmsummbm, u128::MAX, u128::MAX, 0), ((-4 * 255_i32) as u32, false));
        assert_eq!(word(Insn::Vmulesh, least, least, 0), (0x4000_0000, false));
    }

    #[test]
    fn sums_across_saturate_at_their_end_only() {
        let (most, least) = (of_words([0x7fff_ffff; 4]), of_words([1 << 31; 4]));
        assert_eq!(word(Insn::Vsumsws, most, of_words([0, 0, 0, 1 << 31]), 0), (0x7fff_ffff, true));
        assert_eq!(word(Insn::Vsumsws, of_words([1 << 31, 0x7fff_ffff, 0, 0]), 5, 0), (4, false));
        assert_eq!(word(Insn::Vsum2sws, least, 0, 0), (1 << 31, true));
        assert_eq!(word(Insn::Vsum4ubs, u128::MAX, of_words([u32::MAX - 1020; 4]), 0), (u32::MAX, false));
        assert_eq!(word(Insn::Vsum4ubs, u128::MAX, of_words([u32::MAX - 1019; 4]), 0), (u32::MAX, true));
        assert_eq!(word(Insn::Vsum4sbs, u128::from_be_bytes([0x80; 16]), least, 0), (1 << 31, true));
        assert_eq!(word(Insn::Vsum4shs, of_halves([0x7fff; 8]), most, 0), (0x7fff_ffff, true));
    }

    #[test]
    fn carries_are_of_each_word() {
        assert_eq!(word(Insn::Vaddcuw, u128::MAX, of_words([1; 4]), 0), (1, false));
        assert_eq!(word(Insn::Vaddcuw, u128::MAX, 0, 0), (0, false));
        assert_eq!(word(Insn::Vsubcuw, 5, 5, 0), (1, false));
        assert_eq!(word(Insn::Vsubcuw, 4, 5, 0), (0, false));
    }
}
