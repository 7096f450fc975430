//! Against the host's own x87: results, flags and C1 of every operation, under all roundings, precisions and masks, for
//! operands of all kinds. `SOFT_FLOAT_ROUNDS` multiplies the number of cases (`make test-oracles`).
#![cfg(target_arch = "x86_64")]

mod host;
mod transcendental;

use super::random::Random;
use super::*;
use crate::{OVERFLOW, Rounding, UNDERFLOW};
use host::{Instruction, Run};
use std::collections::BTreeMap;
use std::fmt::Debug;

fn rounds(count: u32) -> u32 {
    let factor = std::env::var("SOFT_FLOAT_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    count * factor
}

/// A control word: any rounding, precision and masks; most often everything masked.
fn control(random: &mut Random) -> u16 {
    let bits = random.next() as u16;
    let precision = [0x300, 0x300, 0x200, 0x000][(bits >> 12 & 3) as usize];
    let masks = if bits & 0x3000 == 0x1000 || random.next() & 3 == 0 { bits & 0x3f } else { 0x3f };
    bits & 0xc00 | precision | masks | 0x40
}

fn context(control: u16) -> Context {
    Context {
        rounding: Rounding::new((control >> 10).into()),
        precision: [24, 64, 53, 64][(control >> 8 & 3) as usize],
        unmasked: u32::from(!control & 0x3f),
        ..Context::new()
    }
}

/// What differed from the host: all are counted, the first ones of each name shown.
#[derive(Default)]
struct Differences(BTreeMap<&'static str, (u32, Vec<String>)>);

impl Differences {
    fn compare<T: PartialEq + Debug>(&mut self, name: &'static str, ours: T, hosts: T, case: impl Fn() -> String) {
        if ours != hosts {
            let (count, shown) = self.0.entry(name).or_default();
            *count += 1;
            if shown.len() < 8 {
                shown.push(format!("{}: ours {ours:x?} host {hosts:x?}", case()));
            }
        }
    }
}

impl Drop for Differences {
    fn drop(&mut self) {
        let texts = self.0.iter().map(|(name, (count, shown))| format!("{name}: {count}\n{}\n", shown.join("\n")));
        assert!(self.0.is_empty(), "{}", texts.collect::<String>());
    }
}

/// What we expect in FSW of the host: exceptions and C1.
fn status(context: &Context) -> u16 {
    context.flags as u16 | u16::from(context.up) << 9
}

type Ours = fn(F80, F80, &mut Context) -> F80;

/// Operations of ST(0) and ST(1) with a result in one register.
fn compare_binary(seed: u64, list: &[(&'static str, Instruction, Ours)], count: u32) {
    let mut random = Random(seed);
    let mut differences = Differences::default();
    for &(name, instruction, ours) in list {
        for _ in 0..rounds(count) {
            let (a, b) = random.pair();
            let control = control(&mut random);
            let mut context = context(control);
            let mut result = ours(a, b, &mut context);
            if context.stopped() {
                result = a;
                context.up = false;
            }
            let host = Run::new(control, &[a, b]).execute(instruction);
            let case = || format!("{name} {a} {b} control {control:#x}");
            differences.compare(name, (result, status(&context)), (host.st(0), host.status & 0x23f), case);
        }
    }
}

#[test]
fn arithmetic_is_the_hosts() {
    compare_binary(
        1,
        &[
            ("fadd", host::FADD, F80::add),
            ("fsub", host::FSUB, F80::sub),
            ("fsubr", host::FSUBR, |a, b, context| b.sub(a, context)),
            ("fmul", host::FMUL, F80::mul),
            ("fdiv", host::FDIV, F80::div),
            ("fdivr", host::FDIVR, |a, b, context| b.div(a, context)),
            ("fsqrt", host::FSQRT, |a, _, context| a.sqrt(context)),
            ("frndint", host::FRNDINT, |a, _, context| a.round(context)),
            ("fscale", host::FSCALE, F80::scale),
        ],
        20_000,
    );
}

#[test]
fn remainders_are_the_hosts() {
    let mut random = Random(2);
    let mut differences = Differences::default();
    for (name, instruction, nearest) in [("fprem", host::FPREM, false), ("fprem1", host::FPREM1, true)] {
        for _ in 0..rounds(30_000) {
            let (a, b) = random.pair();
            let control = control(&mut random);
            let mut context = context(control);
            let mut ours = a.remainder(b, nearest, &mut context);
            let mut expected = status(&context);
            if context.stopped() {
                ours.value = a;
            } else {
                let quotient = ours.quotient as u16;
                expected |= u16::from(ours.partial) << 10;
                expected |= (quotient & 1) << 9 | (quotient >> 1 & 1) << 14 | (quotient >> 2 & 1) << 8;
            }
            let host = Run::new(control, &[a, b]).execute(instruction);
            let case = || format!("{name} {a} {b} control {control:#x}");
            differences.compare(
                name,
                (ours.value, expected),
                (host.st(0), host.status & 0x473f | host.status & 0x200),
                case,
            );
        }
    }
}

#[test]
fn extraction_is_the_hosts() {
    let mut random = Random(3);
    let mut differences = Differences::default();
    for _ in 0..rounds(20_000) {
        let a = random.number();
        let control = control(&mut random);
        let mut context = context(control);
        let (exponent, significand) = a.extract(&mut context);
        let host = Run::new(control, &[a]).execute(host::FXTRACT);
        let ours = if context.stopped() { (a, F80::ZERO) } else { (significand, exponent) };
        let hosts = (host.st(0), if context.stopped() { F80::ZERO } else { host.st(1) });
        let case = || format!("fxtract {a} control {control:#x}");
        differences.compare("fxtract", (ours, status(&context)), (hosts, host.status & 0x23f), case);
    }
}

#[test]
fn comparisons_are_the_hosts() {
    let mut random = Random(4);
    let mut differences = Differences::default();
    for (name, instruction, quiet) in [("fcom", host::FCOM, false), ("fucom", host::FUCOM, true)] {
        for _ in 0..rounds(30_000) {
            let (a, b) = random.pair();
            let mut context = Context::new();
            let code = match a.compare(b, quiet, &mut context) {
                Relation::Greater => 0,
                Relation::Less => 0x100,
                Relation::Equal => 0x4000,
                Relation::Unordered => 0x4500,
            };
            let host = Run::new(0x37f, &[a, b]).execute(instruction);
            differences.compare(name, code | status(&context), host.status & 0x473f, || format!("{name} {a} {b}"));
        }
    }
}

/// A random number of a smaller format, near its borders.
fn smaller(random: &mut Random, exponent_bits: u32, fraction_bits: u32) -> u64 {
    let kind = random.next();
    let exponent = match kind & 7 {
        0 => 0,
        1 => u64::MAX,
        _ => kind >> 8,
    } & ((1 << exponent_bits) - 1);
    let fraction = match kind >> 3 & 3 {
        0 => 0,
        1 => random.next() >> (kind >> 56 & 63),
        _ => random.next(),
    } & ((1 << fraction_bits) - 1);
    (kind >> 7 & 1) << (exponent_bits + fraction_bits) | exponent << fraction_bits | fraction
}

#[test]
fn loads_are_the_hosts() {
    let mut random = Random(5);
    let mut differences = Differences::default();
    for _ in 0..rounds(20_000) {
        let bits = smaller(&mut random, 8, 23) as u32;
        let mut context = Context::new();
        let ours = F80::of_single(bits, &mut context);
        let host = Run::new(0x37f, &[]).with(&bits.to_le_bytes()).execute(host::FLD_SINGLE);
        let case = || format!("fld {bits:#x}");
        differences.compare("fld single", (ours, status(&context)), (host.st(0), host.status & 0x23f), case);

        let bits = smaller(&mut random, 11, 52);
        let mut context = Context::new();
        let ours = F80::of_double(bits, &mut context);
        let host = Run::new(0x37f, &[]).with(&bits.to_le_bytes()).execute(host::FLD_DOUBLE);
        let case = || format!("fld {bits:#x}");
        differences.compare("fld double", (ours, status(&context)), (host.st(0), host.status & 0x23f), case);

        let value = (random.next() as i64) >> (random.next() & 63);
        let host = Run::new(0x37f, &[]).with(&value.to_le_bytes()).execute(host::FILD_64);
        differences.compare("fild", F80::of_integer(value), host.st(0), || format!("fild {value}"));

        let decimal = (0..18).fold(u128::from(random.next() & 1) << 79, |bits, digit| {
            bits | u128::from(random.next() % 10) << (4 * digit)
        });
        let host = Run::new(0x37f, &[]).with(&decimal.to_le_bytes()).execute(host::FBLD);
        differences.compare("fbld", F80::of_decimal(decimal), host.st(0), || format!("fbld {decimal:x}"));
    }
}

/// What FST makes of memory: nothing, after an unmasked exception other than inexactness.
fn stored<const N: usize>(bits: u128, context: &mut Context) -> [u8; N] {
    if context.stopped() || context.flags & context.unmasked & (OVERFLOW | UNDERFLOW) != 0 {
        return [0x55; N];
    }
    bits.to_le_bytes()[..N].try_into().expect("16 octets or fewer")
}

#[test]
fn stores_are_the_hosts() {
    let mut random = Random(6);
    let mut differences = Differences::default();
    type Store = fn(F80, &mut Context) -> u128;
    let list: [(&str, Instruction, Store, usize); 6] = [
        ("fst single", host::FST_SINGLE, |a, context| a.to_single(context).into(), 4),
        ("fst double", host::FST_DOUBLE, |a, context| a.to_double(context).into(), 8),
        ("fist 16", host::FIST_16, |a, context| a.to_integer(16, context) as u128, 2),
        ("fist 32", host::FIST_32, |a, context| a.to_integer(32, context) as u128, 4),
        ("fist 64", host::FISTP_64, |a, context| a.to_integer(64, context) as u128, 8),
        ("fbstp", host::FBSTP, |a, context| a.to_decimal(context), 10),
    ];
    for (name, instruction, store, size) in list {
        for _ in 0..rounds(20_000) {
            let a = if random.next() & 1 == 0 { random.number() } else { random.between(-4, 68) };
            let control = control(&mut random);
            let mut context = context(control);
            let bits = store(a, &mut context);
            let mut ours = stored::<16>(bits, &mut context);
            ours[size..].fill(0x55);
            let host = Run::new(control, &[a]).execute(instruction);
            let case = || format!("{name} {a} control {control:#x}");
            differences.compare(name, (ours, status(&context)), (host.octets(), host.status & 0x23f), case);
        }
    }
}
