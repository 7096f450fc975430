//! Against the host's own arithmetic: every operation, rounding and flag, for operands of all kinds.
#![cfg(target_arch = "x86_64")]

use super::*;
use std::arch::asm;

/// MXCSR: all exceptions masked, nothing flagged, rounding in bits 14…13 in the order nearest, down, up, zero.
fn control(rounding: Rounding) -> u32 {
    let bits = match rounding {
        Rounding::Nearest => 0,
        Rounding::Down => 1,
        Rounding::Up => 2,
        Rounding::Zero => 3,
    };
    0x1f80 | bits << 13
}

/// MXCSR's flags in our order (the denormal one is not ours).
fn flags(status: u32) -> u32 {
    let mut flags = 0;
    for (bit, flag) in [(0, INVALID), (2, DIVISION), (3, OVERFLOW), (4, UNDERFLOW), (5, INEXACT)] {
        if status >> bit & 1 != 0 {
            flags |= flag;
        }
    }
    flags
}

macro_rules! host {
    ($name:ident, $type:ty, $insn:literal) => {
        fn $name(a: u64, b: u64, rounding: Rounding) -> (u64, u32) {
            let mut x = <$type>::from_bits(a as _);
            let y = <$type>::from_bits(b as _);
            let (mut mxcsr, mut saved) = (control(rounding), 0u32);
            // SAFETY: MXCSR is as before when the block ends; nothing else is touched.
            unsafe {
                asm!(
                    "stmxcsr [{saved}]", "ldmxcsr [{mxcsr}]", concat!($insn, " {x}, {y}"), "stmxcsr [{mxcsr}]", "ldmxcsr [{saved}]",
                    saved = in(reg) &mut saved, mxcsr = in(reg) &mut mxcsr, x = inout(xmm_reg) x, y = in(xmm_reg) y,
                );
            }
            (u64::from(x.to_bits()), flags(mxcsr))
        }
    };
}

host!(add_s, f32, "addss");
host!(sub_s, f32, "subss");
host!(mul_s, f32, "mulss");
host!(div_s, f32, "divss");
host!(sqrt_s, f32, "sqrtss");
host!(add_d, f64, "addsd");
host!(sub_d, f64, "subsd");
host!(mul_d, f64, "mulsd");
host!(div_d, f64, "divsd");
host!(sqrt_d, f64, "sqrtsd");

macro_rules! host_to_integer {
    ($name:ident, $float:ty, $integer:ty, $insn:literal, $register:literal) => {
        fn $name(a: u64, rounding: Rounding) -> (u64, u32) {
            let x = <$float>::from_bits(a as _);
            let value: $integer;
            let (mut mxcsr, mut saved) = (control(rounding), 0u32);
            // SAFETY: as above.
            unsafe {
                asm!(
                    "stmxcsr [{saved}]", "ldmxcsr [{mxcsr}]", concat!($insn, " {value:", $register, "}, {x}"), "stmxcsr [{mxcsr}]", "ldmxcsr [{saved}]",
                    saved = in(reg) &mut saved, mxcsr = in(reg) &mut mxcsr, x = in(xmm_reg) x, value = out(reg) value,
                );
            }
            (value as u64, flags(mxcsr))
        }
    };
}

host_to_integer!(w_s, f32, u32, "cvtss2si", "e");
host_to_integer!(l_s, f32, u64, "cvtss2si", "r");
host_to_integer!(w_d, f64, u32, "cvtsd2si", "e");
host_to_integer!(l_d, f64, u64, "cvtsd2si", "r");

fn host_convert(a: u64, rounding: Rounding) -> (u64, u32) {
    let x = f64::from_bits(a);
    let y: f32;
    let (mut mxcsr, mut saved) = (control(rounding), 0u32);
    // SAFETY: as above.
    unsafe {
        asm!(
            "stmxcsr [{saved}]", "ldmxcsr [{mxcsr}]", "cvtsd2ss {y}, {x}", "stmxcsr [{mxcsr}]", "ldmxcsr [{saved}]",
            saved = in(reg) &mut saved, mxcsr = in(reg) &mut mxcsr, x = in(xmm_reg) x, y = out(xmm_reg) y,
        );
    }
    (u64::from(y.to_bits()), flags(mxcsr))
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Numbers near all borders, without NaNs (theirs are other bits on the host).
    fn number(&mut self, format: Format) -> u64 {
        loop {
            let kind = self.next();
            let sign = format.signed(kind & 1 != 0);
            let fraction = match kind >> 1 & 7 {
                0 => 0,
                1 => format.fraction_mask(),
                2 => self.next() & 3,
                3 => format.fraction_mask() & !(self.next() & 3),
                4 => self.next() & self.next() & self.next() & format.fraction_mask(),
                _ => self.next() & format.fraction_mask(),
            };
            let exponent = match kind >> 4 & 7 {
                0 => 0,
                1 => 1,
                2 => format.top(),
                3 => format.top() - 1,
                4 => (format.bias() as u64 + (self.next() & 63)) & format.top(),
                5 => format.bias() as u64 - (self.next() & 63),
                _ => self.next() & format.top(),
            };
            let bits = sign | exponent << format.fraction | fraction;
            if !format.is_nan(bits) {
                return bits;
            }
        }
    }
}

const ROUNDINGS: [Rounding; 4] = [Rounding::Nearest, Rounding::Zero, Rounding::Up, Rounding::Down];

fn context(rounding: Rounding) -> Context {
    Context { rounding, flush: false, flags: 0 }
}

type Ours = fn(Format, u64, u64, &mut Context) -> u64;
type Hosts = fn(u64, u64, Rounding) -> (u64, u32);

#[test]
fn arithmetic_is_the_hosts() {
    let root: Ours = |format, _, b, context| format.sqrt(b, context);
    let operations: [(&str, Format, Ours, Hosts); 10] = [
        ("add.s", SINGLE, Format::add, add_s),
        ("sub.s", SINGLE, Format::sub, sub_s),
        ("mul.s", SINGLE, Format::mul, mul_s),
        ("div.s", SINGLE, Format::div, div_s),
        ("sqrt.s", SINGLE, root, sqrt_s),
        ("add.d", DOUBLE, Format::add, add_d),
        ("sub.d", DOUBLE, Format::sub, sub_d),
        ("mul.d", DOUBLE, Format::mul, mul_d),
        ("div.d", DOUBLE, Format::div, div_d),
        ("sqrt.d", DOUBLE, root, sqrt_d),
    ];
    let mut random = Random(1);
    for (name, format, ours, host) in operations {
        for rounding in ROUNDINGS {
            for _ in 0..20_000 {
                let (a, b) = (random.number(format), random.number(format));
                let mut context = context(rounding);
                let mut result = ours(format, a, b, &mut context);
                let (mut expected, flags) = host(a, b, rounding);
                if format.is_nan(expected) {
                    assert_eq!(result, format.nan());
                    (result, expected) = (0, 0);
                }
                assert_eq!((result, context.flags), (expected, flags), "{name} {a:#x} {b:#x} {rounding:?}");
            }
        }
    }
}

#[test]
fn conversions_are_the_hosts() {
    type ToInteger = fn(u64, Rounding) -> (u64, u32);
    let conversions: [(&str, Format, u32, ToInteger); 4] =
        [("w.s", SINGLE, 32, w_s), ("l.s", SINGLE, 64, l_s), ("w.d", DOUBLE, 32, w_d), ("l.d", DOUBLE, 64, l_d)];
    let mut random = Random(2);
    for rounding in ROUNDINGS {
        for (name, format, bits, host) in conversions {
            for _ in 0..50_000 {
                let a = random.number(format);
                let mut context = context(rounding);
                let result = format.to_integer(a, bits, rounding, &mut context);
                let (mut expected, flags) = host(a, rounding);
                if flags & INVALID != 0 {
                    expected = (1 << (bits - 1)) - 1; // the host has the smallest
                }
                let mask = u64::MAX >> (64 - bits);
                assert_eq!((result & mask, context.flags), (expected, flags), "{name} {a:#x} {rounding:?}");
            }
        }
        for _ in 0..50_000 {
            let a = random.number(DOUBLE);
            let mut context = context(rounding);
            let result = DOUBLE.convert(a, SINGLE, &mut context);
            assert_eq!((result, context.flags), host_convert(a, rounding), "cvt.s.d {a:#x} {rounding:?}");
        }
    }
    for _ in 0..50_000 {
        let a = random.number(SINGLE);
        let mut context = context(Rounding::Nearest);
        assert_eq!(SINGLE.convert(a, DOUBLE, &mut context), f64::from(f32::from_bits(a as u32)).to_bits());
        let shift = random.next() & 63;
        let integer = (random.next() >> shift) as i64;
        assert_eq!(SINGLE.of_integer(integer, &mut context), u64::from((integer as f32).to_bits()));
        assert_eq!(DOUBLE.of_integer(integer, &mut context), (integer as f64).to_bits());
    }
}

#[test]
fn comparisons_are_the_hosts() {
    let mut random = Random(3);
    for _ in 0..50_000 {
        let (a, b) = (random.number(DOUBLE), random.number(DOUBLE));
        let (x, y) = (f64::from_bits(a), f64::from_bits(b));
        assert_eq!(DOUBLE.compare(a, b), (x < y, x == y, false));
        assert_eq!(DOUBLE.compare(a, a), (false, true, false));
        assert_eq!(DOUBLE.compare(a, DOUBLE.nan()), (false, false, true));
    }
}

#[test]
fn nans_are_those_of_before_2008() {
    let quiet = 0x7fb1_2345;
    let signalling = 0xffe0_0001;
    for (a, b, result, flags) in [
        (quiet, signalling, 0x7fbf_ffff, INVALID),
        (quiet, 0x3f80_0000, quiet, 0),
        (0x3f80_0000, 0xff81_0000, 0xff81_0000, 0),
        (quiet, 0x7f80_0001, quiet, 0),
        (0x7f80_0000, 0xff80_0000, 0x7fbf_ffff, INVALID),
    ] {
        let mut context = context(Rounding::Nearest);
        assert_eq!((SINGLE.add(a, b, &mut context), context.flags), (result, flags), "{a:#x} {b:#x}");
    }
    let mut context = context(Rounding::Nearest);
    assert_eq!(SINGLE.convert(quiet, DOUBLE, &mut context), 0x7ff6_2468_a000_0000);
    assert_eq!(DOUBLE.convert(0x7ff0_0000_0000_0001, SINGLE, &mut context), 0x7fbf_ffff);
    assert_eq!(context.flags, 0);
    assert_eq!(SINGLE.convert(signalling, DOUBLE, &mut context), DOUBLE.nan());
    assert_eq!(context.flags, INVALID);
}

#[test]
fn tiny_results_can_be_flushed() {
    let mut context = Context { rounding: Rounding::Nearest, flush: true, flags: 0 };
    assert_eq!(SINGLE.mul(0x8080_0000, 0x3f00_0000, &mut context), 0x8000_0000);
    assert_eq!(context.flags, UNDERFLOW | INEXACT);
}
