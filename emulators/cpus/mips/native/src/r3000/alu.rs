//! What instructions compute, apart from when it arrives. Octets are little-endian.

use crate::table::Insn;

/// The result of an instruction that makes one register of two operands and cannot fail. `b` is the first operand of
/// the decoded form ([`super::code::Op`]), `c` the second one, the immediate or the shift's amount.
#[inline(always)]
pub(crate) fn compute(insn: Insn, b: u32, c: u32) -> Option<u32> {
    Some(match insn {
        Insn::Addu | Insn::Addiu => b.wrapping_add(c),
        Insn::Subu => b.wrapping_sub(c),
        Insn::And | Insn::Andi => b & c,
        Insn::Or | Insn::Ori => b | c,
        Insn::Xor | Insn::Xori => b ^ c,
        Insn::Nor => !(b | c),
        Insn::Slt | Insn::Slti => u32::from((b as i32) < c as i32),
        Insn::Sltu | Insn::Sltiu => u32::from(b < c),
        Insn::Sll | Insn::Sllv => b << (c & 31),
        Insn::Srl | Insn::Srlv => b >> (c & 31),
        Insn::Sra | Insn::Srav => (b as i32 >> (c & 31)) as u32,
        Insn::Lui => c,
        _ => return None,
    })
}

/// ADD, ADDI, SUB. None: overflow.
#[inline(always)]
pub(crate) fn checked(insn: Insn, b: u32, c: u32) -> Option<u32> {
    let (b, c) = (b as i32, c as i32);
    let sum = if insn == Insn::Sub { b.checked_sub(c) } else { b.checked_add(c) };
    sum.map(|sum| sum as u32)
}

/// (HI, LO) of MULT and MULTU.
#[inline(always)]
pub(crate) fn multiply(insn: Insn, b: u32, c: u32) -> (u32, u32) {
    let product = if insn == Insn::Mult {
        (i64::from(b as i32) * i64::from(c as i32)) as u64
    } else {
        u64::from(b) * u64::from(c)
    };
    ((product >> 32) as u32, product as u32)
}

/// (HI, LO) of DIV and DIVU. None: the divisor is 0, and models differ.
#[inline(always)]
pub(crate) fn divide(insn: Insn, b: u32, c: u32) -> Option<(u32, u32)> {
    if c == 0 {
        return None;
    }
    Some(if insn == Insn::Div {
        let (b, c) = (b as i32, c as i32);
        (b.wrapping_rem(c) as u32, b.wrapping_div(c) as u32)
    } else {
        (b % c, b / c)
    })
}

/// Does a branch on registers branch? `b` is rs, `c` is rt.
#[inline(always)]
pub(crate) fn branches(insn: Insn, b: u32, c: u32) -> bool {
    match insn {
        Insn::Beq => b == c,
        Insn::Bne => b != c,
        Insn::Blez => b as i32 <= 0,
        Insn::Bgtz => b as i32 > 0,
        Insn::Bltz | Insn::Bltzal => (b as i32) < 0,
        _ => b as i32 >= 0, // BGEZ, BGEZAL
    }
}

/// The register behind LWL: `word` is the memory word around `address`.
#[inline(always)]
pub(crate) fn lwl(old: u32, word: u32, address: u32) -> u32 {
    let shift = 8 * (address & 3);
    old & 0x00ff_ffff >> shift | word << (24 - shift)
}

/// The register behind LWR.
#[inline(always)]
pub(crate) fn lwr(old: u32, word: u32, address: u32) -> u32 {
    let shift = 8 * (address & 3);
    old & !(u32::MAX >> shift) | word >> shift
}

/// The memory word behind SWL.
#[inline(always)]
pub(crate) fn swl(word: u32, value: u32, address: u32) -> u32 {
    let shift = 24 - 8 * (address & 3);
    word & !(u32::MAX >> shift) | value >> shift
}

/// The memory word behind SWR.
#[inline(always)]
pub(crate) fn swr(word: u32, value: u32, address: u32) -> u32 {
    let shift = 8 * (address & 3);
    word & !(u32::MAX << shift) | value << shift
}

/// The register of a load that takes `word`, the memory word around `address`; `old` is the register before.
#[inline(always)]
pub(crate) fn loaded(insn: Insn, old: u32, word: u32, address: u32) -> u32 {
    let shifted = word >> (8 * (address & 3));
    match insn {
        Insn::Lb => shifted as i8 as u32,
        Insn::Lbu => shifted & 0xff,
        Insn::Lh => shifted as i16 as u32,
        Insn::Lhu => shifted & 0xffff,
        Insn::Lwl => lwl(old, word, address),
        Insn::Lwr => lwr(old, word, address),
        _ => word,
    }
}

/// The memory word around `address` behind a store of `value`.
#[inline(always)]
pub(crate) fn stored(insn: Insn, word: u32, value: u32, address: u32) -> u32 {
    let shift = 8 * (address & 3);
    match insn {
        Insn::Sb => word & !(0xff << shift) | (value & 0xff) << shift,
        Insn::Sh => word & !(0xffff << shift) | (value & 0xffff) << shift,
        Insn::Swl => swl(word, value, address),
        Insn::Swr => swr(word, value, address),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unaligned_words_are_put_together() {
        for at in 0..4u32 {
            let octets = [0x11u8, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88];
            let word = |n: u32| u32::from_le_bytes(octets[n as usize..][..4].try_into().expect("4 octets"));
            let right = lwr(0xdead_beef, word(0), at);
            let last = at + 3;
            assert_eq!(lwl(right, word(last & !3), last), word(at));
            let mut memory = [0u32; 2];
            memory[0] = swr(memory[0], 0x4433_2211, at);
            memory[(last / 4) as usize] = swl(memory[(last / 4) as usize], 0x4433_2211, last);
            let all = u64::from(memory[0]) | u64::from(memory[1]) << 32;
            assert_eq!(all, 0x4433_2211 << (8 * at));
        }
    }

    #[test]
    fn the_quotient_that_does_not_fit_wraps() {
        assert_eq!(divide(Insn::Div, 1 << 31, u32::MAX), Some((0, 1 << 31)));
        assert_eq!(divide(Insn::Divu, 5, 0), None);
    }
}
