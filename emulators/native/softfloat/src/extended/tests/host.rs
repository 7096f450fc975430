//! One x87 instruction executed by the host, from a given state to the state behind it.

use crate::F80;
use std::arch::asm;

/// FNSAVE's image in its 32-bit protected layout: environment of 28 octets, eight registers from ST(0) on.
#[repr(C, align(16))]
struct Image([u8; 112]);

pub type Instruction = unsafe fn(*const u8, *mut u8, *mut u8);

macro_rules! instructions {
    ($($name:ident = $text:literal;)*) => {$(
        #[doc = $text]
        pub const $name: Instruction = {
            /// # Safety
            /// `before` and `after` are images, `memory` is at least 16 octets.
            unsafe fn run(before: *const u8, memory: *mut u8, after: *mut u8) {
                // SAFETY: as above. FNSAVE leaves the registers empty and everything masked, which is Rust's state.
                unsafe {
                    asm!(
                        "frstor [{before}]",
                        $text,
                        "fnsave [{after}]",
                        before = in(reg) before,
                        in("rdx") memory,
                        after = in(reg) after,
                        out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                        out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                    );
                }
            }
            run
        };
    )*};
}

instructions! {
    FADD = "fadd st, st(1)";
    FSUB = "fsub st, st(1)";
    FSUBR = "fsubr st, st(1)";
    FMUL = "fmul st, st(1)";
    FDIV = "fdiv st, st(1)";
    FDIVR = "fdivr st, st(1)";
    FSQRT = "fsqrt";
    FRNDINT = "frndint";
    FSCALE = "fscale";
    FXTRACT = "fxtract";
    FPREM = "fprem";
    FPREM1 = "fprem1";
    FCOM = "fcom st(1)";
    FUCOM = "fucom st(1)";
    FLD_SINGLE = "fld dword ptr [rdx]";
    FLD_DOUBLE = "fld qword ptr [rdx]";
    FST_SINGLE = "fst dword ptr [rdx]";
    FST_DOUBLE = "fst qword ptr [rdx]";
    FILD_64 = "fild qword ptr [rdx]";
    FIST_16 = "fist word ptr [rdx]";
    FIST_32 = "fist dword ptr [rdx]";
    FISTP_64 = "fistp qword ptr [rdx]";
    FBLD = "fbld tbyte ptr [rdx]";
    FBSTP = "fbstp tbyte ptr [rdx]";
    F2XM1 = "f2xm1";
    FYL2X = "fyl2x";
    FYL2XP1 = "fyl2xp1";
    FSIN = "fsin";
    FCOS = "fcos";
    FSINCOS = "fsincos";
    FPTAN = "fptan";
    FPATAN = "fpatan";
}

/// A state and, behind `execute`, the next.
pub struct Run {
    before: Image,
    after: Image,
    pub memory: [u8; 16],
    pub status: u16,
}

impl Run {
    /// With these numbers in ST(0), ST(1)… and the rest empty.
    pub fn new(control: u16, stack: &[F80]) -> Run {
        let mut image = Image([0; 112]);
        let top = (8 - stack.len()) & 7;
        let mut tags = 0xffffu16;
        for (index, value) in stack.iter().enumerate() {
            tags &= !(3 << (2 * (top + index)));
            image.0[28 + 10 * index..][..10].copy_from_slice(&value.to_bits().to_le_bytes()[..10]);
        }
        image.0[0..2].copy_from_slice(&control.to_le_bytes());
        image.0[4..6].copy_from_slice(&((top as u16) << 11).to_le_bytes());
        image.0[8..10].copy_from_slice(&tags.to_le_bytes());
        Run { before: image, after: Image([0; 112]), memory: [0x55; 16], status: 0 }
    }

    pub fn with(mut self, memory: &[u8]) -> Run {
        self.memory[..memory.len()].copy_from_slice(memory);
        self
    }

    pub fn execute(mut self, instruction: Instruction) -> Run {
        // SAFETY: images and memory are ours, as large as they have to be.
        unsafe { instruction(self.before.0.as_ptr(), self.memory.as_mut_ptr(), self.after.0.as_mut_ptr()) };
        self.status = u16::from_le_bytes([self.after.0[4], self.after.0[5]]);
        self
    }

    pub fn st(&self, index: usize) -> F80 {
        let mut bits = [0; 16];
        bits[..10].copy_from_slice(&self.after.0[28 + 10 * index..][..10]);
        F80::from_bits(u128::from_le_bytes(bits))
    }

    pub fn octets<const N: usize>(&self) -> [u8; N] {
        self.memory[..N].try_into().expect("16 octets or fewer")
    }
}
