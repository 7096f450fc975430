//! Against the host's SSE2: results and flags of every operation, under all roundings, with and without flushing.
#![cfg(target_arch = "x86_64")]

use super::*;
use crate::DENORMAL;
use crate::extended::random::Random;
use std::arch::asm;

/// One instruction on two scalars of the host: result and flags.
type Host = fn(u64, u64, u32) -> (u64, u32);

macro_rules! host {
    ($name:ident, $input:literal, $insn:literal, $output:literal) => {
        fn $name(a: u64, b: u64, control: u32) -> (u64, u32) {
            let (mut mxcsr, mut saved, mut result) = (control, 0u32, a);
            // SAFETY: MXCSR is as before when the block ends; nothing else is touched.
            unsafe {
                asm!(
                    "stmxcsr [{saved}]", "ldmxcsr [{mxcsr}]", $input, "movq xmm1, {b}", $insn, $output,
                    "stmxcsr [{mxcsr}]", "ldmxcsr [{saved}]",
                    saved = in(reg) &mut saved, mxcsr = in(reg) &mut mxcsr, b = in(reg) b, inout("rax") result,
                    out("xmm0") _, out("xmm1") _,
                );
            }
            (result, mxcsr & 0x3f)
        }
    };
    ($name:ident, $insn:literal) => {
        host!($name, "movq xmm0, rax", $insn, "movq rax, xmm0");
    };
}

host!(add_s, "addss xmm0, xmm1");
host!(sub_s, "subss xmm0, xmm1");
host!(mul_s, "mulss xmm0, xmm1");
host!(div_s, "divss xmm0, xmm1");
host!(sqrt_s, "sqrtss xmm0, xmm1");
host!(min_s, "minss xmm0, xmm1");
host!(max_s, "maxss xmm0, xmm1");
host!(add_d, "addsd xmm0, xmm1");
host!(sub_d, "subsd xmm0, xmm1");
host!(mul_d, "mulsd xmm0, xmm1");
host!(div_d, "divsd xmm0, xmm1");
host!(sqrt_d, "sqrtsd xmm0, xmm1");
host!(min_d, "minsd xmm0, xmm1");
host!(max_d, "maxsd xmm0, xmm1");
host!(d_to_s, "cvtsd2ss xmm0, xmm1");
host!(s_to_d, "cvtss2sd xmm0, xmm1");
host!(s_to_32, "", "cvtss2si eax, xmm1", "");
host!(s_to_64, "", "cvtss2si rax, xmm1", "");
host!(d_to_32, "", "cvtsd2si eax, xmm1", "");
host!(d_to_64, "", "cvtsd2si rax, xmm1", "");
host!(s_to_32_cut, "", "cvttss2si eax, xmm1", "");
host!(d_to_64_cut, "", "cvttsd2si rax, xmm1", "");
host!(of_32_s, "xorps xmm0, xmm0", "cvtsi2ss xmm0, eax", "movq rax, xmm0");
host!(of_64_s, "xorps xmm0, xmm0", "cvtsi2ss xmm0, rax", "movq rax, xmm0");
host!(of_64_d, "xorps xmm0, xmm0", "cvtsi2sd xmm0, rax", "movq rax, xmm0");
// ZF, PF, CF as LAHF has them.
host!(ucomis_s, "movq xmm0, rax", "ucomiss xmm0, xmm1", "lahf");
host!(comis_d, "movq xmm0, rax", "comisd xmm0, xmm1", "lahf");

fn rounds(count: u32) -> u32 {
    let factor = std::env::var("SOFT_FLOAT_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    count * factor
}

/// MXCSR with everything masked, and the same for us.
fn control(random: &mut Random) -> (u32, Context) {
    let bits = random.next() as u32;
    let (rounding, zeros, flush) = (bits & 3, bits & 0xc == 0, bits & 0x30 == 0);
    let mxcsr = 0x1f80 | rounding << 13 | u32::from(zeros) << 6 | u32::from(flush) << 15;
    let rounding = Rounding::new(rounding);
    (mxcsr, Context { rounding, flush_operands: zeros, flush_results: flush, ..Context::new() })
}

fn number(random: &mut Random, format: Format) -> u64 {
    let kind = random.next();
    let fraction = match kind >> 1 & 7 {
        0 => 0,
        1 => format.fraction_mask(),
        2 => random.next() & 3,
        3 => format.fraction_mask() & !(random.next() & 3),
        4 => random.next() & random.next() & random.next() & format.fraction_mask(),
        _ => random.next() & format.fraction_mask(),
    };
    let (bias, top) = (format.bias() as u64, format.top() as u64);
    let exponent = match kind >> 4 & 15 {
        0 | 1 => 0,
        2 => 1,
        3 => top,
        4 | 5 => top - 1,
        6 => bias / 2 + (random.next() & 3),
        7..11 => bias + (random.next() & 63),
        11 | 12 => bias - (random.next() & 63),
        _ => random.next() & top,
    };
    format.zero(kind & 1 != 0) | exponent << format.fraction | fraction
}

type Ours = fn(Format, u64, u64, &mut Context) -> u64;

#[test]
fn results_are_the_hosts() {
    let root: Ours = |format, _, b, context| format.sqrt(b, context);
    let least: Ours = |format, a, b, context| format.extreme(a, b, true, context);
    let greatest: Ours = |format, a, b, context| format.extreme(a, b, false, context);
    let to_32: Ours = |format, _, b, context| format.to_integer(b, 32, context.rounding, context) as u64;
    let to_64: Ours = |format, _, b, context| format.to_integer(b, 64, context.rounding, context) as u64;
    let cut_32: Ours = |format, _, b, context| format.to_integer(b, 32, Rounding::Zero, context) as u64;
    let cut_64: Ours = |format, _, b, context| format.to_integer(b, 64, Rounding::Zero, context) as u64;
    let of_32: Ours = |format, a, _, context| format.of_integer((a as i32).into(), context);
    let of_64: Ours = |format, a, _, context| format.of_integer(a as i64, context);
    let compared = |relation| match relation {
        Relation::Greater => 0x200,
        Relation::Less => 0x300,
        Relation::Equal => 0x4200,
        Relation::Unordered => 0x4700,
    };
    let operations: [(&str, Format, Ours, Host, u64); 27] = [
        ("addss", SINGLE, Format::add, add_s, 0xffff_ffff),
        ("subss", SINGLE, Format::sub, sub_s, 0xffff_ffff),
        ("mulss", SINGLE, Format::mul, mul_s, 0xffff_ffff),
        ("divss", SINGLE, Format::div, div_s, 0xffff_ffff),
        ("sqrtss", SINGLE, root, sqrt_s, 0xffff_ffff),
        ("minss", SINGLE, least, min_s, 0xffff_ffff),
        ("maxss", SINGLE, greatest, max_s, 0xffff_ffff),
        ("addsd", DOUBLE, Format::add, add_d, u64::MAX),
        ("subsd", DOUBLE, Format::sub, sub_d, u64::MAX),
        ("mulsd", DOUBLE, Format::mul, mul_d, u64::MAX),
        ("divsd", DOUBLE, Format::div, div_d, u64::MAX),
        ("sqrtsd", DOUBLE, root, sqrt_d, u64::MAX),
        ("minsd", DOUBLE, least, min_d, u64::MAX),
        ("maxsd", DOUBLE, greatest, max_d, u64::MAX),
        ("cvtsd2ss", DOUBLE, |_, _, b, context| DOUBLE.convert(b, SINGLE, context), d_to_s, 0xffff_ffff),
        ("cvtss2sd", SINGLE, |_, _, b, context| SINGLE.convert(b, DOUBLE, context), s_to_d, u64::MAX),
        ("cvtss2si 32", SINGLE, to_32, s_to_32, 0xffff_ffff),
        ("cvtss2si 64", SINGLE, to_64, s_to_64, u64::MAX),
        ("cvtsd2si 32", DOUBLE, to_32, d_to_32, 0xffff_ffff),
        ("cvtsd2si 64", DOUBLE, to_64, d_to_64, u64::MAX),
        ("cvttss2si", SINGLE, cut_32, s_to_32_cut, 0xffff_ffff),
        ("cvttsd2si", DOUBLE, cut_64, d_to_64_cut, u64::MAX),
        ("cvtsi2ss 32", SINGLE, of_32, of_32_s, 0xffff_ffff),
        ("cvtsi2ss 64", SINGLE, of_64, of_64_s, 0xffff_ffff),
        ("cvtsi2sd 64", DOUBLE, of_64, of_64_d, u64::MAX),
        ("ucomiss", SINGLE, |_, _, _, _| 0, ucomis_s, 0x4500),
        ("comisd", DOUBLE, |_, _, _, _| 0, comis_d, 0x4500),
    ];
    let mut random = Random(1);
    for (name, format, ours, host, mask) in operations {
        for _ in 0..rounds(20_000) {
            let (mxcsr, mut context) = control(&mut random);
            let (mut a, b) = (number(&mut random, format), number(&mut random, format));
            if name.starts_with("cvtsi2") {
                a = random.next() >> (random.next() & 63);
            }
            let result = match name {
                "ucomiss" | "comisd" => compared(format.compare(a, b, name == "ucomiss", &mut context)),
                _ => ours(format, a, b, &mut context),
            };
            let (expected, flags) = host(a, b, mxcsr);
            let case = format!("{name} {a:#x} {b:#x} {mxcsr:#x}: {result:#x} {expected:#x}");
            assert_eq!((result & mask, context.flags), (expected & mask, flags), "{case}");
        }
    }
}

/// An unmasked exception of operands hides those of the result; overflow and underflow are told with inexactness.
#[test]
fn unmasked_exceptions_stop() {
    let mut context = Context { unmasked: DENORMAL, ..Context::new() };
    DOUBLE.mul(1, 1, &mut context);
    assert_eq!((context.flags, context.stopped()), (DENORMAL, true));
    let mut context = Context { unmasked: UNDERFLOW, ..Context::new() };
    SINGLE.mul(0x0080_0000, 0x3f00_0000, &mut context);
    assert_eq!((context.flags, context.stopped()), (UNDERFLOW, false)); // tiny and exact
    let mut context = Context { unmasked: OVERFLOW, ..Context::new() };
    SINGLE.add(0x7f7f_ffff, 0x7f00_0000, &mut context);
    assert_eq!(context.flags, OVERFLOW | INEXACT);
}
