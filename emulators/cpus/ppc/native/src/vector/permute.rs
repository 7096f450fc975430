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
