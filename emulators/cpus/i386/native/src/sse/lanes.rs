//! Packed integers as arithmetic alone: what MMX does in 64 bits and SSE2 in 128, no processor in sight.
//!
//! Intel SDM volume 1, chapters 9 and 11; each operation is a section under its name in volume 2. An operation is a type
//! that implements [`Packed`], so that a handler is compiled for each.
//!
//! Not supported: nothing of MMX, SSE or SSE2 is left out.

/// An operation on two packed operands: the destination `a` and the source `b`.
pub trait Packed {
    fn mmx(a: u64, b: u64) -> u64;
    fn xmm(a: u128, b: u128) -> u128;
}

/// The lanes of both widths.
pub trait Lane: Copy + Default {
    const OCTETS: usize;
    fn get(octets: &[u8]) -> Self;
    fn put(self, octets: &mut [u8]);
}

macro_rules! lane {
    ($($type:ty)*) => {$(
        impl Lane for $type {
            const OCTETS: usize = size_of::<$type>();
            #[inline(always)]
            fn get(octets: &[u8]) -> Self {
                let mut own = [0; size_of::<$type>()];
                own.copy_from_slice(octets);
                <$type>::from_le_bytes(own)
            }
            #[inline(always)]
            fn put(self, octets: &mut [u8]) {
                octets.copy_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
lane!(u8 i8 u16 i16 u32 i32 u64);

/// Lane by lane: the same place of both operands.
#[inline(always)]
fn each<T: Lane, const N: usize>(a: [u8; N], b: [u8; N], operation: impl Fn(T, T) -> T) -> [u8; N] {
    let mut result = [0; N];
    for at in (0..N).step_by(T::OCTETS) {
        let place = at..at + T::OCTETS;
        operation(T::get(&a[place.clone()]), T::get(&b[place.clone()])).put(&mut result[place]);
    }
    result
}

macro_rules! packed {
    ($($(#[$note:meta])* $name:ident($type:ty): |$a:ident, $b:ident| $value:expr;)*) => {$(
        $(#[$note])*
        pub struct $name;
        impl Packed for $name {
            #[inline]
            fn mmx(a: u64, b: u64) -> u64 {
                u64::from_le_bytes(each(a.to_le_bytes(), b.to_le_bytes(), |$a: $type, $b: $type| $value))
            }
            #[inline]
            fn xmm(a: u128, b: u128) -> u128 {
                u128::from_le_bytes(each(a.to_le_bytes(), b.to_le_bytes(), |$a: $type, $b: $type| $value))
            }
        }
    )*};
}

packed! {
    PaddB(u8): |a, b| a.wrapping_add(b);
    PaddW(u16): |a, b| a.wrapping_add(b);
    PaddD(u32): |a, b| a.wrapping_add(b);
    PaddQ(u64): |a, b| a.wrapping_add(b);
    PaddsB(i8): |a, b| a.saturating_add(b);
    PaddsW(i16): |a, b| a.saturating_add(b);
    PaddusB(u8): |a, b| a.saturating_add(b);
    PaddusW(u16): |a, b| a.saturating_add(b);
    PsubB(u8): |a, b| a.wrapping_sub(b);
    PsubW(u16): |a, b| a.wrapping_sub(b);
    PsubD(u32): |a, b| a.wrapping_sub(b);
    PsubQ(u64): |a, b| a.wrapping_sub(b);
    PsubsB(i8): |a, b| a.saturating_sub(b);
    PsubsW(i16): |a, b| a.saturating_sub(b);
    PsubusB(u8): |a, b| a.saturating_sub(b);
    PsubusW(u16): |a, b| a.saturating_sub(b);
    PmullW(u16): |a, b| a.wrapping_mul(b);
    PmulhW(i16): |a, b| ((i32::from(a) * i32::from(b)) >> 16) as i16;
    PmulhuW(u16): |a, b| ((u32::from(a) * u32::from(b)) >> 16) as u16;
    PmuludQ(u64): |a, b| (a & 0xffff_ffff) * (b & 0xffff_ffff);
    /// Both products of a double word are added; only 0x8000 everywhere overflows, to 0x80000000.
    PmaddWd(u32): |a, b| ((i32::from(a as i16) * i32::from(b as i16)) as u32)
        .wrapping_add((i32::from((a >> 16) as i16) * i32::from((b >> 16) as i16)) as u32);
    PcmpeqB(u8): |a, b| if a == b { !0 } else { 0 };
    PcmpeqW(u16): |a, b| if a == b { !0 } else { 0 };
    PcmpeqD(u32): |a, b| if a == b { !0 } else { 0 };
    PcmpgtB(i8): |a, b| if a > b { !0 } else { 0 };
    PcmpgtW(i16): |a, b| if a > b { !0 } else { 0 };
    PcmpgtD(i32): |a, b| if a > b { !0 } else { 0 };
    Pand(u64): |a, b| a & b;
    Pandn(u64): |a, b| !a & b;
    Por(u64): |a, b| a | b;
    Pxor(u64): |a, b| a ^ b;
    PminuB(u8): |a, b| a.min(b);
    PmaxuB(u8): |a, b| a.max(b);
    PminsW(i16): |a, b| a.min(b);
    PmaxsW(i16): |a, b| a.max(b);
    PavgB(u8): |a, b| ((u16::from(a) + u16::from(b) + 1) >> 1) as u8;
    PavgW(u16): |a, b| ((u32::from(a) + u32::from(b) + 1) >> 1) as u16;
    PsadBw(u64): |a, b| {
        a.to_le_bytes().into_iter().zip(b.to_le_bytes()).map(|(a, b)| u64::from(a.abs_diff(b))).sum()
    };
}

/// Interleaves the lanes of the half that begins at octet `from`.
#[inline(always)]
fn interleave<T: Lane, const N: usize>(a: [u8; N], b: [u8; N], from: usize) -> [u8; N] {
    let mut result = [0; N];
    for at in (0..N / 2).step_by(T::OCTETS) {
        result[2 * at..2 * at + T::OCTETS].copy_from_slice(&a[from + at..from + at + T::OCTETS]);
        result[2 * at + T::OCTETS..2 * at + 2 * T::OCTETS].copy_from_slice(&b[from + at..from + at + T::OCTETS]);
    }
    result
}

macro_rules! unpacks {
    ($($low:ident $high:ident $type:ty;)*) => {$(
        pub struct $low;
        impl Packed for $low {
            #[inline]
            fn mmx(a: u64, b: u64) -> u64 {
                u64::from_le_bytes(interleave::<$type, 8>(a.to_le_bytes(), b.to_le_bytes(), 0))
            }
            #[inline]
            fn xmm(a: u128, b: u128) -> u128 {
                u128::from_le_bytes(interleave::<$type, 16>(a.to_le_bytes(), b.to_le_bytes(), 0))
            }
        }
        pub struct $high;
        impl Packed for $high {
            #[inline]
            fn mmx(a: u64, b: u64) -> u64 {
                u64::from_le_bytes(interleave::<$type, 8>(a.to_le_bytes(), b.to_le_bytes(), 4))
            }
            #[inline]
            fn xmm(a: u128, b: u128) -> u128 {
                u128::from_le_bytes(interleave::<$type, 16>(a.to_le_bytes(), b.to_le_bytes(), 8))
            }
        }
    )*};
}

unpacks! {
    PunpcklBw PunpckhBw u8;
    PunpcklWd PunpckhWd u16;
    PunpcklDq PunpckhDq u32;
}

/// SSE2 alone has it: there is one 64-bit lane in MMX.
pub struct PunpcklQdq;
impl Packed for PunpcklQdq {
    #[inline]
    fn mmx(a: u64, _: u64) -> u64 {
        a
    }
    #[inline]
    fn xmm(a: u128, b: u128) -> u128 {
        u128::from(a as u64) | b << 64
    }
}

/// SSE2 alone has it.
pub struct PunpckhQdq;
impl Packed for PunpckhQdq {
    #[inline]
    fn mmx(_: u64, b: u64) -> u64 {
        b
    }
    #[inline]
    fn xmm(a: u128, b: u128) -> u128 {
        a >> 64 | b >> 64 << 64
    }
}

/// Lanes of half the width: `a`'s first, then `b`'s.
#[inline(always)]
fn narrow<T: Lane, U: Lane, const N: usize>(a: [u8; N], b: [u8; N], saturate: impl Fn(T) -> U) -> [u8; N] {
    let mut result = [0; N];
    for (half, operand) in [a, b].iter().enumerate() {
        for at in (0..N).step_by(T::OCTETS) {
            let to = half * N / 2 + at / 2;
            saturate(T::get(&operand[at..at + T::OCTETS])).put(&mut result[to..to + U::OCTETS]);
        }
    }
    result
}

macro_rules! packs {
    ($($name:ident $from:ty => $to:ty: |$x:ident| $value:expr;)*) => {$(
        pub struct $name;
        impl Packed for $name {
            #[inline]
            fn mmx(a: u64, b: u64) -> u64 {
                u64::from_le_bytes(narrow(a.to_le_bytes(), b.to_le_bytes(), |$x: $from| -> $to { $value }))
            }
            #[inline]
            fn xmm(a: u128, b: u128) -> u128 {
                u128::from_le_bytes(narrow(a.to_le_bytes(), b.to_le_bytes(), |$x: $from| -> $to { $value }))
            }
        }
    )*};
}

packs! {
    PackssWb i16 => i8: |x| x.clamp(-128, 127) as i8;
    PackssDw i32 => i16: |x| x.clamp(-32768, 32767) as i16;
    PackusWb i16 => u8: |x| x.clamp(0, 255) as u8;
}

/// A shift of each lane by the same count.
pub trait Shift {
    fn mmx(a: u64, count: u64) -> u64;
    fn xmm(a: u128, count: u64) -> u128;
}

macro_rules! shifts {
    ($($name:ident($type:ty): |$a:ident, $count:ident| $value:expr, beyond |$b:ident| $beyond:expr;)*) => {$(
        pub struct $name;
        impl $name {
            #[inline(always)]
            fn lanes<const N: usize>(a: [u8; N], count: u64) -> [u8; N] {
                if count < <$type>::BITS.into() {
                    let $count = count as u32;
                    each(a, a, |$a: $type, _| $value)
                } else {
                    each(a, a, |$b: $type, _| $beyond)
                }
            }
        }
        impl Shift for $name {
            #[inline]
            fn mmx(a: u64, count: u64) -> u64 {
                u64::from_le_bytes(Self::lanes(a.to_le_bytes(), count))
            }
            #[inline]
            fn xmm(a: u128, count: u64) -> u128 {
                u128::from_le_bytes(Self::lanes(a.to_le_bytes(), count))
            }
        }
    )*};
}

shifts! {
    PsllW(u16): |a, count| a << count, beyond |_a| 0;
    PsllD(u32): |a, count| a << count, beyond |_a| 0;
    PsllQ(u64): |a, count| a << count, beyond |_a| 0;
    PsrlW(u16): |a, count| a >> count, beyond |_a| 0;
    PsrlD(u32): |a, count| a >> count, beyond |_a| 0;
    PsrlQ(u64): |a, count| a >> count, beyond |_a| 0;
    PsraW(i16): |a, count| a >> count, beyond |a| a >> 15;
    PsraD(i32): |a, count| a >> count, beyond |a| a >> 31;
}

/// By octets: SSE2 alone.
pub struct PsllDq;
impl Shift for PsllDq {
    #[inline]
    fn mmx(a: u64, _: u64) -> u64 {
        a
    }
    #[inline]
    fn xmm(a: u128, count: u64) -> u128 {
        if count < 16 { a << (8 * count) } else { 0 }
    }
}

/// By octets: SSE2 alone.
pub struct PsrlDq;
impl Shift for PsrlDq {
    #[inline]
    fn mmx(a: u64, _: u64) -> u64 {
        a
    }
    #[inline]
    fn xmm(a: u128, count: u64) -> u128 {
        if count < 16 { a >> (8 * count) } else { 0 }
    }
}

/// Four words, each chosen by two bits of `order` (PSHUFW, and half of PSHUFLW and PSHUFHW).
#[inline]
pub fn shuffle_words(from: u64, order: u8) -> u64 {
    (0..4).fold(0, |result, at| result | (from >> (16 * (order >> (2 * at) & 3)) & 0xffff) << (16 * at))
}

/// PSHUFD, and SHUFPS with two sources: the lower two from `low`, the upper two from `high`.
#[inline]
pub fn shuffle_doubles(low: u128, high: u128, order: u8) -> u128 {
    (0..4).fold(0, |result, at| {
        let from = if at < 2 { low } else { high };
        result | u128::from((from >> (32 * (order >> (2 * at) & 3))) as u32) << (32 * at)
    })
}

/// The sign bits of `octets` octets.
#[inline]
pub fn octet_signs(value: u128, octets: u32) -> u32 {
    (0..octets).fold(0, |mask, at| mask | ((value >> (8 * at + 7)) as u32 & 1) << at)
}

#[cfg(all(test, target_arch = "x86_64"))]
#[path = "lanes_tests.rs"]
mod tests;
