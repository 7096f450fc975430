//! Every operation beside the host's own instruction.

use super::*;
use core::arch::{asm, x86_64::__m128i};

/// Octets that meet all limits often.
fn values() -> impl Iterator<Item = u128> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..2000).map(move |_| {
        let mut octets = (u128::from(next()) << 64 | u128::from(next())).to_le_bytes();
        for octet in &mut octets {
            let dice = next();
            if dice & 3 == 0 {
                *octet = [0, 0x7f, 0x80, 0xff][(dice >> 2 & 3) as usize];
            }
        }
        u128::from_le_bytes(octets)
    })
}

fn wide(value: u128) -> __m128i {
    // SAFETY: both are 128 bits, any of which are a value.
    unsafe { core::mem::transmute(value) }
}

fn plain(value: __m128i) -> u128 {
    // SAFETY: both are 128 bits, any of which are a value.
    unsafe { core::mem::transmute(value) }
}

macro_rules! beside_the_host {
    ($($name:ident $insn:literal $operation:ident $mmx:literal;)*) => {$(
        #[test]
        fn $name() {
            let list: Vec<u128> = values().collect();
            for pair in list.windows(2) {
                let mut result = wide(pair[0]);
                // SAFETY: registers alone.
                unsafe { asm!(concat!($insn, " {a}, {b}"), a = inout(xmm_reg) result, b = in(xmm_reg) wide(pair[1])) };
                assert_eq!($operation::xmm(pair[0], pair[1]), plain(result), "{:#x} {:#x}", pair[0], pair[1]);
                if $mmx {
                    let (mut result, operand) = (pair[0] as u64, pair[1] as u64);
                    // SAFETY: two MMX registers, and EMMS behind.
                    unsafe {
                        asm!("movq mm0, {a}", "movq mm1, {b}", concat!($insn, " mm0, mm1"), "movq {a}, mm0", "emms",
                            a = inout(reg) result, b = in(reg) operand, out("mm0") _, out("mm1") _,
                            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _);
                    }
                    assert_eq!($operation::mmx(pair[0] as u64, operand), result, "{:#x} {operand:#x}", pair[0] as u64);
                }
            }
        }
    )*};
}

beside_the_host! {
    paddb "paddb" PaddB true; paddw "paddw" PaddW true; paddd "paddd" PaddD true; paddq "paddq" PaddQ true;
    paddsb "paddsb" PaddsB true; paddsw "paddsw" PaddsW true; paddusb "paddusb" PaddusB true; paddusw "paddusw" PaddusW true;
    psubb "psubb" PsubB true; psubw "psubw" PsubW true; psubd "psubd" PsubD true; psubq "psubq" PsubQ true;
    psubsb "psubsb" PsubsB true; psubsw "psubsw" PsubsW true; psubusb "psubusb" PsubusB true; psubusw "psubusw" PsubusW true;
    pmullw "pmullw" PmullW true; pmulhw "pmulhw" PmulhW true; pmulhuw "pmulhuw" PmulhuW true; pmuludq "pmuludq" PmuludQ true;
    pmaddwd "pmaddwd" PmaddWd true; pand "pand" Pand true; pandn "pandn" Pandn true; por "por" Por true; pxor "pxor" Pxor true;
    pcmpeqb "pcmpeqb" PcmpeqB true; pcmpeqw "pcmpeqw" PcmpeqW true; pcmpeqd "pcmpeqd" PcmpeqD true;
    pcmpgtb "pcmpgtb" PcmpgtB true; pcmpgtw "pcmpgtw" PcmpgtW true; pcmpgtd "pcmpgtd" PcmpgtD true;
    pminub "pminub" PminuB true; pmaxub "pmaxub" PmaxuB true; pminsw "pminsw" PminsW true; pmaxsw "pmaxsw" PmaxsW true;
    pavgb "pavgb" PavgB true; pavgw "pavgw" PavgW true; psadbw "psadbw" PsadBw true;
    punpcklbw "punpcklbw" PunpcklBw true; punpcklwd "punpcklwd" PunpcklWd true; punpckldq "punpckldq" PunpcklDq true;
    punpckhbw "punpckhbw" PunpckhBw true; punpckhwd "punpckhwd" PunpckhWd true; punpckhdq "punpckhdq" PunpckhDq true;
    packsswb "packsswb" PackssWb true; packssdw "packssdw" PackssDw true; packuswb "packuswb" PackusWb true;
}

macro_rules! sse2_alone {
    ($($name:ident $insn:literal $operation:ident;)*) => {$(
        #[test]
        fn $name() {
            let list: Vec<u128> = values().collect();
            for pair in list.windows(2) {
                let mut result = wide(pair[0]);
                // SAFETY: registers alone.
                unsafe { asm!(concat!($insn, " {a}, {b}"), a = inout(xmm_reg) result, b = in(xmm_reg) wide(pair[1])) };
                assert_eq!($operation::xmm(pair[0], pair[1]), plain(result), "{:#x} {:#x}", pair[0], pair[1]);
            }
        }
    )*};
}

sse2_alone! {
    punpcklqdq "punpcklqdq" PunpcklQdq;
    punpckhqdq "punpckhqdq" PunpckhQdq;
}

macro_rules! shifts_beside_the_host {
    ($($name:ident $insn:literal $operation:ident;)*) => {$(
        #[test]
        fn $name() {
            let counts = (0..70).chain([127, 128, 255, 256, 1 << 32, (1 << 63) + 1, u64::MAX]);
            for count in counts {
                for value in values().take(50) {
                    let mut result = wide(value);
                    // SAFETY: registers alone.
                    unsafe {
                        asm!(concat!($insn, " {a}, {b}"), a = inout(xmm_reg) result, b = in(xmm_reg) wide(count.into()));
                    }
                    assert_eq!($operation::xmm(value, count), plain(result), "{value:#x} {count}");
                    assert_eq!($operation::mmx(value as u64, count), plain(result) as u64, "{value:#x} {count}");
                }
            }
        }
    )*};
}

shifts_beside_the_host! {
    psllw "psllw" PsllW; pslld "pslld" PsllD; psllq "psllq" PsllQ; psrlw "psrlw" PsrlW; psrld "psrld" PsrlD;
    psrlq "psrlq" PsrlQ; psraw "psraw" PsraW; psrad "psrad" PsraD;
}

#[test]
fn shuffles_and_signs() {
    use core::arch::x86_64::*;
    for value in values() {
        let other = value.rotate_left(37);
        // SAFETY: SSE2 is a part of x86-64.
        let (pshufd, pshuflw, shufps, signs) = unsafe {
            (
                plain(_mm_shuffle_epi32::<0x1e>(wide(value))),
                plain(_mm_shufflelo_epi16::<0xc9>(wide(value))),
                plain(_mm_castps_si128(_mm_shuffle_ps::<0x72>(
                    _mm_castsi128_ps(wide(value)),
                    _mm_castsi128_ps(wide(other)),
                ))),
                _mm_movemask_epi8(wide(value)),
            )
        };
        assert_eq!(shuffle_doubles(value, value, 0x1e), pshufd);
        assert_eq!(shuffle_doubles(value, other, 0x72), shufps);
        assert_eq!(u128::from(shuffle_words(value as u64, 0xc9)) | value >> 64 << 64, pshuflw);
        assert_eq!(octet_signs(value, 16), signs as u32);
    }
    assert_eq!((PsllDq::xmm(0x1234, 1), PsrlDq::xmm(0x1234, 1), PsllDq::xmm(1, 16)), (0x12_3400, 0x12, 0));
}
