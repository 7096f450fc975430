//! Single and double precision as SSE and SSE2 compute it: results and MXCSR's flags, no processor in sight.
//!
//! Intel SDM volume 1, §10.2.3 (MXCSR), §11.5 (exceptions), §E.4 (responses).
//!
//! The host's own SSE2 computes, with the guest's rounding, denormals-are-zeros and flush-to-zero and all exceptions
//! masked; the flags that it raised tell what the guest's MXCSR makes of it. IEEE 754 leaves no freedom in these
//! operations, so all hosts agree; the two approximations (RCP, RSQRT), which differ from maker to maker, are integers'
//! work here. Two things masked execution does not show: an unmasked underflow is raised by a tiny result even if exact
//! (flush-to-zero is off then), and where overflow or underflow is unmasked, inexact is what has too many digits whatever
//! its exponent is (`unbounded`).
//!
//! Not supported: hosts other than x86-64.

#[cfg(not(target_arch = "x86_64"))]
compile_error!("SSE's floating point is computed by the host's SSE2");

use core::arch::{asm, x86_64::__m128i};

use super::mxcsr::{OE, UE, UM, control, settle};
use super::unbounded::{self, Lanes, Operation, Scale};

/// An operation whose destination is an XMM register.
pub trait Float: Operation {
    /// None: an unmasked exception, which MXCSR tells.
    #[inline(always)]
    fn compute(a: u128, b: u128, mxcsr: &mut u32) -> Option<u128> {
        let (result, mut raised) = Self::host(a, b, control(*mxcsr));
        if *mxcsr & UM == 0 && Self::LANES.tiny(result) {
            raised |= UE;
        }
        if raised & !(*mxcsr >> 7) & (OE | UE) != 0 {
            raised = unbounded::raised::<Self>(a, b, *mxcsr, raised);
        }
        if settle(mxcsr, raised) { None } else { Some(result) }
    }
}

impl<O: Operation> Float for O {}

#[inline(always)]
fn wide(value: u128) -> __m128i {
    // SAFETY: both are 128 bits, any of which are a value.
    unsafe { core::mem::transmute(value) }
}

#[inline(always)]
fn plain(value: __m128i) -> u128 {
    // SAFETY: both are 128 bits, any of which are a value.
    unsafe { core::mem::transmute(value) }
}

macro_rules! floats {
    ($($name:ident $insn:literal $lanes:ident $($scale:ident)?;)*) => {$(
        pub struct $name;
        impl Operation for $name {
            const LANES: Lanes = $lanes;
            $(const SCALE: Scale = Scale::$scale;)?
            #[inline]
            fn host(a: u128, b: u128, control: u32) -> (u128, u32) {
                let (mut own, mut result, mut csr) = (0_u32, wide(a), control);
                // SAFETY: SSE2 is a part of x86-64; the operands are registers, MXCSR is the host's own again.
                unsafe {
                    asm!(
                        "stmxcsr [{own}]", "ldmxcsr [{csr}]", $insn, "stmxcsr [{csr}]", "ldmxcsr [{own}]",
                        own = in(reg) &raw mut own, csr = in(reg) &raw mut csr,
                        a = inout(xmm_reg) result, b = in(xmm_reg) wide(b), options(nostack)
                    );
                }
                (plain(result), csr)
            }
        }
    )*};
}

const S4: Lanes = Lanes::Single(4);
const S2: Lanes = Lanes::Single(2);
const S1: Lanes = Lanes::Single(1);
const D2: Lanes = Lanes::Double(2);
const D1: Lanes = Lanes::Double(1);
const NO: Lanes = Lanes::Never;

floats! {
    AddPs "addps {a}, {b}" S4 Sum; AddSs "addss {a}, {b}" S1 Sum; AddPd "addpd {a}, {b}" D2 Sum; AddSd "addsd {a}, {b}" D1 Sum;
    SubPs "subps {a}, {b}" S4 Sum; SubSs "subss {a}, {b}" S1 Sum; SubPd "subpd {a}, {b}" D2 Sum; SubSd "subsd {a}, {b}" D1 Sum;
    MulPs "mulps {a}, {b}" S4 Product; MulSs "mulss {a}, {b}" S1 Product; MulPd "mulpd {a}, {b}" D2 Product; MulSd "mulsd {a}, {b}" D1 Product;
    DivPs "divps {a}, {b}" S4 Product; DivSs "divss {a}, {b}" S1 Product; DivPd "divpd {a}, {b}" D2 Product; DivSd "divsd {a}, {b}" D1 Product;
    MinPs "minps {a}, {b}" NO; MinSs "minss {a}, {b}" NO; MinPd "minpd {a}, {b}" NO; MinSd "minsd {a}, {b}" NO;
    MaxPs "maxps {a}, {b}" NO; MaxSs "maxss {a}, {b}" NO; MaxPd "maxpd {a}, {b}" NO; MaxSd "maxsd {a}, {b}" NO;
    SqrtPs "sqrtps {a}, {b}" NO; SqrtSs "sqrtss {a}, {b}" NO; SqrtPd "sqrtpd {a}, {b}" NO; SqrtSd "sqrtsd {a}, {b}" NO;
    CvtPs2Pd "cvtps2pd {a}, {b}" NO; CvtPd2Ps "cvtpd2ps {a}, {b}" S2 Narrow;
    CvtSs2Sd "cvtss2sd {a}, {b}" NO; CvtSd2Ss "cvtsd2ss {a}, {b}" S1 Narrow;
    CvtDq2Ps "cvtdq2ps {a}, {b}" NO; CvtDq2Pd "cvtdq2pd {a}, {b}" NO;
    CvtPs2Dq "cvtps2dq {a}, {b}" NO; CvttPs2Dq "cvttps2dq {a}, {b}" NO;
    CvtPd2Dq "cvtpd2dq {a}, {b}" NO; CvttPd2Dq "cvttpd2dq {a}, {b}" NO;
    CmpEqPs "cmpps {a}, {b}, 0" NO; CmpEqSs "cmpss {a}, {b}, 0" NO; CmpEqPd "cmppd {a}, {b}, 0" NO; CmpEqSd "cmpsd {a}, {b}, 0" NO;
    CmpLtPs "cmpps {a}, {b}, 1" NO; CmpLtSs "cmpss {a}, {b}, 1" NO; CmpLtPd "cmppd {a}, {b}, 1" NO; CmpLtSd "cmpsd {a}, {b}, 1" NO;
    CmpLePs "cmpps {a}, {b}, 2" NO; CmpLeSs "cmpss {a}, {b}, 2" NO; CmpLePd "cmppd {a}, {b}, 2" NO; CmpLeSd "cmpsd {a}, {b}, 2" NO;
    CmpUnordPs "cmpps {a}, {b}, 3" NO; CmpUnordSs "cmpss {a}, {b}, 3" NO;
    CmpUnordPd "cmppd {a}, {b}, 3" NO; CmpUnordSd "cmpsd {a}, {b}, 3" NO;
}

/// CMPccPS and so on. Conditions 4 to 7 are 0 to 3 negated, with the same exceptions.
pub trait Compares {
    fn compare(condition: u8, a: u128, b: u128, mxcsr: &mut u32) -> Option<u128>;
}

macro_rules! compares {
    ($($name:ident $eq:ident $lt:ident $le:ident $unordered:ident $mask:expr;)*) => {$(
        pub struct $name;
        impl Compares for $name {
            fn compare(condition: u8, a: u128, b: u128, mxcsr: &mut u32) -> Option<u128> {
                let result = match condition & 3 {
                    0 => $eq::compute(a, b, mxcsr),
                    1 => $lt::compute(a, b, mxcsr),
                    2 => $le::compute(a, b, mxcsr),
                    _ => $unordered::compute(a, b, mxcsr),
                };
                result.map(|mask| if condition & 4 != 0 { mask ^ $mask } else { mask })
            }
        }
    )*};
}

compares! {
    CmpPs CmpEqPs CmpLtPs CmpLePs CmpUnordPs u128::MAX;
    CmpSs CmpEqSs CmpLtSs CmpLeSs CmpUnordSs 0xffff_ffff;
    CmpPd CmpEqPd CmpLtPd CmpLePd CmpUnordPd u128::MAX;
    CmpSd CmpEqSd CmpLtSd CmpLeSd CmpUnordSd 0xffff_ffff_ffff_ffff;
}

/// COMISS and so on: (ZF, PF, CF).
pub type Order = (bool, bool, bool);

macro_rules! orders {
    ($($name:ident $insn:literal;)*) => {$(
        /// None: an unmasked exception, which MXCSR tells.
        pub fn $name(a: u128, b: u128, mxcsr: &mut u32) -> Option<Order> {
            let (mut own, mut csr) = (0_u32, control(*mxcsr));
            let (zero, parity, carry): (u8, u8, u8);
            // SAFETY: SSE2 is a part of x86-64; the operands are registers, MXCSR is the host's own again.
            unsafe {
                asm!(
                    "stmxcsr [{own}]", "ldmxcsr [{csr}]", $insn, "setz {z}", "setp {p}", "setc {c}",
                    "stmxcsr [{csr}]", "ldmxcsr [{own}]",
                    own = in(reg) &raw mut own, csr = in(reg) &raw mut csr, a = in(xmm_reg) wide(a), b = in(xmm_reg) wide(b),
                    z = out(reg_byte) zero, p = out(reg_byte) parity, c = out(reg_byte) carry, options(nostack)
                );
            }
            if settle(mxcsr, csr) { None } else { Some((zero != 0, parity != 0, carry != 0)) }
        }
    )*};
}

orders! {
    comiss "comiss {a}, {b}";
    ucomiss "ucomiss {a}, {b}";
    comisd "comisd {a}, {b}";
    ucomisd "ucomisd {a}, {b}";
}

/// Of a scalar, to a general register.
pub trait ToInteger {
    fn to_integer(value: u128, mxcsr: &mut u32) -> Option<u32>;
}

macro_rules! to_integers {
    ($($name:ident $via:ident $mask:expr;)*) => {$(
        pub struct $name;
        impl ToInteger for $name {
            #[inline]
            fn to_integer(value: u128, mxcsr: &mut u32) -> Option<u32> {
                $via::compute(0, value & $mask, mxcsr).map(|result| result as u32) // the other lanes are 0: exact
            }
        }
    )*};
}

to_integers! {
    CvtSs2Si CvtPs2Dq 0xffff_ffff;
    CvttSs2Si CvttPs2Dq 0xffff_ffff;
    CvtSd2Si CvtPd2Dq 0xffff_ffff_ffff_ffff;
    CvttSd2Si CvttPd2Dq 0xffff_ffff_ffff_ffff;
}

/// 1/x to 12 bits, to nearest: within the 1.5 · 2⁻¹² that SDM volume 2 (RCPPS) allows. Denormals are zeros, tiny results 0.
pub fn reciprocal(bits: u32) -> u32 {
    let sign = bits & 0x8000_0000;
    let (exponent, fraction) = ((bits >> 23 & 0xff) as i32, bits & 0x7f_ffff);
    match (exponent, fraction) {
        (0, _) => sign | 0x7f80_0000,
        (255, 0) => sign,
        (255, _) => bits | 0x40_0000,
        _ => {
            let value = u64::from(fraction | 0x80_0000); // 1.f · 2²³
            let quotient = (1_u64 << 46) / value; // 2²³/1.f: of 2²² to 2²³
            pack(sign, 253 - exponent, quotient << 1, fraction == 0)
        }
    }
}

/// 1/√x to 12 bits, to nearest. Denormals are zeros.
pub fn reciprocal_root(bits: u32) -> u32 {
    let sign = bits & 0x8000_0000;
    let (exponent, fraction) = ((bits >> 23 & 0xff) as i32, bits & 0x7f_ffff);
    match (exponent, fraction) {
        (0, _) => sign | 0x7f80_0000,
        (255, 1..) => bits | 0x40_0000,
        _ if sign != 0 => 0xffc0_0000,
        (255, 0) => 0,
        _ => {
            // 1.f · 2^e, e even: 1/√ is 2^(−e/2) · 1/√(1.f or 2·1.f)
            let odd = (exponent - 127) & 1;
            let value = u128::from(fraction | 0x80_0000) << odd; // 1 to 4, · 2²³
            let root = ((1_u128 << (23 + 2 * 23)) / value).isqrt() as u64; // 2²³/√value
            pack(0, 126 - (exponent - 127 - odd) / 2, root << 1, fraction == 0 && odd == 0)
        }
    }
}

/// `significand` is of 2²³ to 2²⁴ (the latter if `one`: exactly twice 1), and is rounded to 12 bits.
fn pack(sign: u32, exponent: i32, significand: u64, one: bool) -> u32 {
    if one {
        return if exponent < 0 { sign } else { sign | ((exponent + 1) as u32) << 23 };
    }
    let rounded = ((significand + (1 << 11)) >> 12) << 12;
    if exponent <= 0 {
        return sign;
    }
    sign | ((exponent as u32) << 23).wrapping_add(rounded as u32 - 0x80_0000) // a carry into the exponent is right
}

#[cfg(test)]
#[path = "float_tests.rs"]
mod tests;
