use super::super::mxcsr::*;
use super::*;

#[test]
fn approximations_are_as_near_as_the_manual_wants() {
    let mut bits = 1_u32;
    for _ in 0..200_000 {
        bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let value = f32::from_bits(bits);
        if !value.is_normal() {
            continue;
        }
        let exact = 1.0 / f64::from(value);
        let ours = f64::from(f32::from_bits(reciprocal(bits)));
        if exact.abs() >= f64::from(f32::MIN_POSITIVE) {
            assert!(((ours - exact) / exact).abs() <= 1.5 / 4096.0, "1/{value:e} = {ours:e}");
        } else {
            assert!(ours == 0.0 || ours.abs() == f64::from(f32::MIN_POSITIVE), "1/{value:e} = {ours:e}");
        }
        let root = f32::from_bits(reciprocal_root(bits));
        if value < 0.0 {
            assert_eq!(root.to_bits(), 0xffc0_0000);
        } else {
            let exact = 1.0 / f64::from(value).sqrt();
            assert!(((f64::from(root) - exact) / exact).abs() <= 1.5 / 4096.0, "1/√{value:e} = {root:e}");
        }
    }
}

#[test]
fn approximations_of_what_is_no_number() {
    for (given, inverse, root) in [
        (0, 0x7f80_0000, 0x7f80_0000),
        (0x8000_0000, 0xff80_0000, 0xff80_0000),
        (1, 0x7f80_0000, 0x7f80_0000),
        (0x8000_0001, 0xff80_0000, 0xff80_0000),
        (0x7f80_0000, 0, 0),
        (0xff80_0000, 0x8000_0000, 0xffc0_0000),
        (0x7f80_0001, 0x7fc0_0001, 0x7fc0_0001),
        (0x3f80_0000, 0x3f80_0000, 0x3f80_0000),
        (0x4080_0000, 0x3e80_0000, 0x3f00_0000),
    ] {
        assert_eq!((reciprocal(given), reciprocal_root(given)), (inverse, root), "{given:#x}");
    }
}

#[test]
fn an_exact_tiny_result_underflows_only_if_unmasked() {
    let (tiny, half) = (0x0080_0000_u128, 0x3f00_0000_u128);
    let mut mxcsr = DEFAULT;
    assert_eq!(MulSs::compute(tiny, half, &mut mxcsr), Some(0x0040_0000));
    assert_eq!(mxcsr, DEFAULT);
    mxcsr = DEFAULT & !UM | FTZ;
    assert_eq!(MulSs::compute(tiny, half, &mut mxcsr), None);
    assert_eq!(mxcsr & FLAGS, UE);
}

#[test]
fn an_unmasked_operand_exception_hides_those_of_results() {
    // lane 0: 1/0; lane 1: 1/3, inexact
    let (a, b) = (0x3f80_0000_3f80_0000_u128, 0x4040_0000_0000_0000_u128 | 0x3f80_0000_3f80_0000_u128 << 64);
    let mut mxcsr = DEFAULT;
    assert!(DivPs::compute(a, b, &mut mxcsr).is_some());
    assert_eq!(mxcsr & FLAGS, ZE | PE);
    mxcsr = DEFAULT & !(ZE << 7);
    assert!(DivPs::compute(a, b, &mut mxcsr).is_none());
    assert_eq!(mxcsr & FLAGS, ZE);
}

#[test]
fn rounding_and_flushing_follow_mxcsr() {
    let (one, three) = (0x3f80_0000, 0x4040_0000);
    let quotients = [0, 0x2000, 0x4000, 0x6000].map(|rounding| {
        let mut mxcsr = DEFAULT | rounding;
        DivSs::compute(one, three, &mut mxcsr).unwrap() as u32
    });
    assert_eq!(quotients, [0x3eaa_aaab, 0x3eaa_aaaa, 0x3eaa_aaab, 0x3eaa_aaaa]);
    let mut mxcsr = DEFAULT | FTZ;
    assert_eq!(MulSs::compute(0x0080_0001, 0x3f00_0000, &mut mxcsr), Some(0));
    assert_eq!(mxcsr & FLAGS, UE | PE);
    mxcsr = DEFAULT | DAZ;
    assert_eq!(AddSs::compute(1, 1, &mut mxcsr), Some(0));
    assert_eq!(mxcsr & FLAGS, 0);
}

#[test]
fn not_a_number_is_passed_on_as_x86_does() {
    let (quiet, signalling, one) = (0x7fc0_1234_u128, 0x7f80_5678_u128, 0x3f80_0000_u128);
    let mut mxcsr = DEFAULT;
    assert_eq!(AddSs::compute(quiet, one, &mut mxcsr), Some(quiet));
    assert_eq!(AddSs::compute(one, quiet, &mut mxcsr), Some(quiet));
    assert_eq!(mxcsr & FLAGS, 0);
    assert_eq!(AddSs::compute(quiet, signalling, &mut mxcsr), Some(quiet));
    assert_eq!(AddSs::compute(signalling, quiet, &mut mxcsr), Some(0x7fc0_5678));
    assert_eq!(MinSs::compute(signalling, one, &mut mxcsr), Some(one));
    assert_eq!(MinSs::compute(one, quiet, &mut mxcsr), Some(quiet));
    assert_eq!(mxcsr & FLAGS, IE);
    assert_eq!(CmpSs::compare(4, quiet, one, &mut mxcsr), Some(0xffff_ffff));
    assert_eq!(comiss(one, one, &mut mxcsr), Some((true, false, false)));
    assert_eq!(ucomiss(one, quiet, &mut mxcsr), Some((true, true, true)));
    assert_eq!(CvttSs2Si::to_integer(0xbfc0_0000, &mut mxcsr), Some(0xffff_ffff));
    assert_eq!(CvtSd2Si::to_integer(0x41f0_0000_0000_0000, &mut mxcsr), Some(0x8000_0000));
}

#[test]
fn a_denormal_that_lost_no_digits_but_its_own_was_inexact_when_underflow_was_unmasked() {
    // 1.5 · 2⁻¹⁰⁰ times 1.01₂ · 2⁻⁵⁰ is 1.875 · 2⁻¹⁵⁰: no single denormal, but of four digits
    let (a, b) = (0x0dc0_0000_u128, 0x26a0_0000_u128);
    let mut mxcsr = DEFAULT;
    assert!(MulSs::compute(a, b, &mut mxcsr).is_some());
    assert_eq!(mxcsr & FLAGS, UE | PE);
    mxcsr = DEFAULT & !UM;
    assert_eq!(MulSs::compute(a, b, &mut mxcsr), None);
    assert_eq!(mxcsr & FLAGS, UE);
    // from double precision, beside a lane that is inexact by itself, or not
    let tiny = 0x3700_8000_0000_0000_u128;
    for (other, flags) in [(0x3ff0_0000_0000_0000_u128, UE), (0x3ff0_0000_0000_0001, UE | PE)] {
        mxcsr = DEFAULT & !UM;
        assert_eq!(CvtPd2Ps::compute(0, tiny | other << 64, &mut mxcsr), None);
        assert_eq!(mxcsr & FLAGS, flags, "{other:#x}");
    }
    // a double denormal
    mxcsr = DEFAULT & !UM;
    assert_eq!(CvtSd2Ss::compute(0, 5, &mut mxcsr), None);
    assert_eq!(mxcsr & FLAGS, UE | DE);
}

#[test]
fn an_infinity_was_inexact_when_overflow_was_unmasked() {
    const OM: u32 = OE << 7;
    let large = 0x7f00_0000_u128;
    let mut mxcsr = DEFAULT & !OM;
    assert_eq!(AddSs::compute(large, large, &mut mxcsr), None);
    assert_eq!(mxcsr & FLAGS, OE);
    mxcsr = DEFAULT & !OM;
    assert_eq!(AddSs::compute(large | 1, large, &mut mxcsr), None);
    assert_eq!(mxcsr & FLAGS, OE | PE);
    mxcsr = DEFAULT & !OM;
    assert_eq!(DivSd::compute(0x7fe0 << 48, 0x0008 << 48, &mut mxcsr), None);
    assert_eq!(mxcsr & FLAGS, OE | DE);
}
