//! The transcendental functions beside the host's, which are themselves within one unit of the last place.

use super::host::{self, Instruction, Run};
use super::{Differences, rounds, status};
use crate::extended::BIAS;
use crate::extended::random::Random;
use crate::{Context, F80, Rounding};

/// How many representable numbers apart.
fn distance(a: F80, b: F80) -> u128 {
    let key = |x: F80| {
        let magnitude = i128::from(x.abs().sign_exponent) << 63 | i128::from(x.significand & !(1 << 63));
        if x.is_negative() { -magnitude } else { magnitude }
    };
    key(a).abs_diff(key(b))
}

/// Results of a function of ST(0) and ST(1).
type Ours = fn(F80, F80, &mut Context) -> F80;
type Operands = fn(&mut Random) -> (F80, F80);

fn compare(name: &'static str, instruction: Instruction, ours: Ours, operands: Operands) {
    let mut random = Random(7);
    let mut differences = Differences::default();
    let (mut apart, count) = (0, rounds(10_000));
    for _ in 0..count {
        let (a, b) = operands(&mut random);
        let mut context = Context::new();
        let result = ours(a, b, &mut context);
        let host = Run::new(0x37f, &[a, b]).execute(instruction);
        let case = || format!("{name} {a} {b}");
        let distance = distance(result, host.st(0));
        apart += u32::from(distance != 0);
        // C1 is of the rounding, which may differ.
        let flags = (status(&context) & 0x3f, host.status & 0x43f);
        differences.compare(name, (distance.clamp(1, 2), flags.0), (1, flags.1), || {
            format!("{}: {result} {}", case(), host.st(0))
        });
    }
    println!("{name}: {apart} of {count} differ from the host's in the last place");
}

#[test]
fn exponentials_are_the_hosts() {
    compare("f2xm1", host::F2XM1, |a, _, context| a.exp2_minus_1(context), |random| (random.between(-70, 0), F80::ONE));
}

#[test]
fn logarithms_are_the_hosts() {
    compare(
        "fyl2x",
        host::FYL2X,
        |a, b, context| b.times_log2(a, context),
        |random| (random.between(-8, 8).abs(), random.between(-20, 20)),
    );
    compare(
        "fyl2x",
        host::FYL2X,
        |a, b, context| b.times_log2(a, context),
        |random| (random.between(-8000, 8000).abs(), random.between(-200, 200)),
    );
    compare(
        "fyl2xp1",
        host::FYL2XP1,
        |a, b, context| b.times_log2_plus_1(a, context),
        |random| (random.between(-80, -2), random.between(-20, 20)),
    );
}

#[test]
fn angles_are_the_hosts() {
    compare(
        "fsin",
        host::FSIN,
        |a, _, context| a.sin(context).unwrap_or(a),
        |random| (random.between(-40, 0), F80::ONE),
    );
    compare(
        "fcos",
        host::FCOS,
        |a, _, context| a.cos(context).unwrap_or(a),
        |random| (random.between(-40, 0), F80::ONE),
    );
    compare(
        "fsin2",
        host::FSIN,
        |a, _, context| a.sin(context).unwrap_or(a),
        |random| (random.between(0, 63), F80::ONE),
    );
    compare(
        "fcos2",
        host::FCOS,
        |a, _, context| a.cos(context).unwrap_or(a),
        |random| (random.between(0, 63), F80::ONE),
    );
    compare(
        "fpatan",
        host::FPATAN,
        |a, b, context| b.arctangent(a, context),
        |random| (random.between(-10, 10), random.between(-10, 10)),
    );
}

/// Operands of all kinds, under all masks: what both registers and the flags are. Outside its domain, F2XM1's and
/// FYL2XP1's results are nobody's business.
#[test]
fn special_cases_are_the_hosts() {
    type Both = fn(F80, F80, &mut Context) -> Option<(F80, Option<F80>)>;
    fn pushed(result: Option<(F80, F80)>) -> Option<(F80, Option<F80>)> {
        result.map(|(below, top)| (top, Some(below)))
    }
    let list: [(&'static str, Instruction, Both, i32); 8] = [
        ("f2xm1", host::F2XM1, |a, _, context| Some((a.exp2_minus_1(context), None)), 0x3ffe),
        ("fyl2x", host::FYL2X, |a, b, context| Some((b.times_log2(a, context), None)), 0x7fff),
        ("fyl2xp1", host::FYL2XP1, |a, b, context| Some((b.times_log2_plus_1(a, context), None)), 0x3ffc),
        ("fpatan", host::FPATAN, |a, b, context| Some((b.arctangent(a, context), None)), 0x7fff),
        ("fsin", host::FSIN, |a, _, context| a.sin(context).map(|value| (value, None)), 0x7fff),
        ("fcos", host::FCOS, |a, _, context| a.cos(context).map(|value| (value, None)), 0x7fff),
        ("fsincos", host::FSINCOS, |a, _, context| pushed(a.sin_cos(context)), 0x7fff),
        ("fptan", host::FPTAN, |a, _, context| pushed(a.tan(context)), 0x7fff),
    ];
    let mut random = Random(8);
    let mut differences = Differences::default();
    for (name, instruction, ours, largest) in list {
        for _ in 0..rounds(20_000) {
            let (a, b) = random.pair();
            if a.exponent() > largest {
                continue;
            }
            let control = super::control(&mut random) | 0x300;
            let mut context = super::context(control);
            let result = ours(a, b, &mut context);
            let large = u16::from(result.is_none()) << 10;
            let (mut first, mut second) = result.unwrap_or((a, None));
            let mut host = Run::new(control, &[a, b]).execute(instruction);
            if context.stopped() {
                (first, second) = (a, None);
            }
            let near = distance(first, host.st(0)) <= 1 && second.is_none_or(|value| distance(value, host.st(1)) <= 1);
            host.status &= 0x43f;
            let case = || {
                format!("{name} {a} {b} control {control:#x}: {first} {second:?}, host {} {}", host.st(0), host.st(1))
            };
            differences.compare(name, (true, status(&context) & 0x3f | large), (near, host.status), case);
        }
    }
}

/// A line of `tests/emulators/cpus/transcendental_vectors.py`.
struct Value<'a> {
    name: &'a str,
    st: [F80; 2],
    negative: bool,
    exponent: i32,
    significand: u128,
}

fn value(line: &str) -> Option<Value<'_>> {
    let number = |text: &str| {
        let (head, significand) = text.split_once('.')?;
        let sign_exponent = u16::from_str_radix(head, 16).ok()?;
        Some(F80 { sign_exponent, significand: u64::from_str_radix(significand, 16).ok()? })
    };
    let words: Vec<&str> = line.split(' ').collect();
    let &[name, x, y, sign, exponent, significand] = words.as_slice() else { return None };
    Some(Value {
        name,
        st: [number(x)?, number(y)?],
        negative: sign == "-",
        exponent: exponent.parse().ok()?,
        significand: u128::from_str_radix(significand, 16).ok()?,
    })
}

/// Rounded as the true value is, under every rounding. (A value within 2⁻⁴⁶ of a half unit's border could go either way;
/// none is among them.)
#[test]
fn results_are_the_true_ones() {
    let file = std::env::var("SOFT_FLOAT_VALUES").map(|path| std::fs::read_to_string(path).expect("values"));
    let text = file.unwrap_or_else(|_| include_str!("true_values.txt").into());
    let mut differences = Differences::default();
    for line in text.lines() {
        let Value { name, st: [x, y], negative, exponent, significand } = value(line).expect("a line of six words");
        // The logarithm of a power of 2 is exact.
        let more = !(name == "fyl2x" && x.significand == 1 << 63);
        let parts = ((significand >> 64) as u64, significand as u64 | u64::from(more));
        for bits in 0..4 {
            let new = || Context { rounding: Rounding::new(bits), ..Context::new() };
            let (mut context, mut wanted) = (new(), new());
            let (name, result) = match name {
                "f2xm1" => ("f2xm1", x.exp2_minus_1(&mut context)),
                "fyl2x" => ("fyl2x", y.times_log2(x, &mut context)),
                "fyl2xp1" => ("fyl2xp1", y.times_log2_plus_1(x, &mut context)),
                "fpatan" => ("fpatan", y.arctangent(x, &mut context)),
                "fsin" => ("fsin", x.sin(&mut context).expect("small")),
                "fcos" => ("fcos", x.cos(&mut context).expect("small")),
                _ => ("fptan", x.tan(&mut context).expect("small").0),
            };
            let true_one = F80::rounded(negative, exponent + BIAS, parts, 64, &mut wanted);
            let case = || format!("{line} rounding {bits}");
            differences.compare(name, (result, context.up), (true_one, wanted.up), case);
        }
    }
}
