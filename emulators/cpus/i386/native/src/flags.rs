//! EFLAGS (SDM 1, 3.4.3), with the six arithmetic flags computed when somebody wants them.
//!
//! # Theory of operation
//!
//! An arithmetic instruction leaves its result, sign-extended to 32 bits, and in `auxiliary` what else the flags
//! depend on:
//!
//! | bit of `auxiliary` | |
//! |---|---|
//! | 31 | CF |
//! | 30 | the carry out of the bit below the highest: OF is bit 31 xor bit 30 |
//! | 8–15 | an octet that is added (xor) to the result's for PF |
//! | 3 | AF |
//! | 0 | xor with the result's sign for SF |
//!
//! ZF is "the result is 0". For ADD and SUB these are the vector of carries, shifted so that the operand's highest bit
//! is bit 31; any other set of flags can be written so, too ([`Arithmetic::set`]).

pub(crate) const CF: u32 = 1;
pub(crate) const PF: u32 = 1 << 2;
pub(crate) const AF: u32 = 1 << 4;
pub(crate) const ZF: u32 = 1 << 6;
pub(crate) const SF: u32 = 1 << 7;
pub(crate) const OF: u32 = 1 << 11;
pub(crate) const ARITHMETIC: u32 = CF | PF | AF | ZF | SF | OF;
pub(crate) const TF: u32 = 1 << 8;
pub(crate) const IF: u32 = 1 << 9;
pub(crate) const DF: u32 = 1 << 10;
pub(crate) const IOPL: u32 = 3 << 12;
pub(crate) const NT: u32 = 1 << 14;
pub(crate) const RF: u32 = 1 << 16;
pub(crate) const VM: u32 = 1 << 17;
pub(crate) const AC: u32 = 1 << 18;
pub(crate) const VIF: u32 = 1 << 19;
pub(crate) const VIP: u32 = 1 << 20;
pub(crate) const ID: u32 = 1 << 21;
/// All that there are, without the one that is always 1.
pub(crate) const KNOWN: u32 = ARITHMETIC | TF | IF | DF | IOPL | NT | RF | VM | AC | VIF | VIP | ID;
pub(crate) const ONE: u32 = 1 << 1;

const CARRY: u32 = 1 << 31;
const BELOW: u32 = 1 << 30;
const HALF: u32 = 1 << 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arithmetic {
    pub result: u32,
    pub auxiliary: u32,
}

impl Default for Arithmetic {
    fn default() -> Self {
        let mut flags = Arithmetic { result: 0, auxiliary: 0 };
        flags.set(0);
        flags
    }
}

impl Arithmetic {
    #[inline(always)]
    pub fn cf(self) -> bool {
        self.auxiliary & CARRY != 0
    }

    #[inline(always)]
    pub fn of(self) -> bool {
        (self.auxiliary ^ self.auxiliary << 1) & CARRY != 0
    }

    #[inline(always)]
    pub fn zf(self) -> bool {
        self.result == 0
    }

    #[inline(always)]
    pub fn sf(self) -> bool {
        (self.result >> 31 ^ self.auxiliary) & 1 != 0
    }

    #[inline(always)]
    pub fn af(self) -> bool {
        self.auxiliary & HALF != 0
    }

    #[inline(always)]
    pub fn pf(self) -> bool {
        (self.result as u8 ^ (self.auxiliary >> 8) as u8).count_ones() % 2 == 0
    }

    /// As bits of EFLAGS.
    pub fn get(self) -> u32 {
        let bit = |on: bool, flag: u32| if on { flag } else { 0 };
        bit(self.cf(), CF)
            | bit(self.pf(), PF)
            | bit(self.af(), AF)
            | bit(self.zf(), ZF)
            | bit(self.sf(), SF)
            | bit(self.of(), OF)
    }

    /// From bits of EFLAGS.
    pub fn set(&mut self, flags: u32) {
        // 0, of even parity, and 1, of odd parity; both without a sign
        self.result = u32::from(flags & ZF == 0);
        let odd = u32::from(flags & ZF == 0 && flags & PF != 0 || flags & ZF != 0 && flags & PF == 0);
        let carry = flags & CF != 0;
        let below = carry != (flags & OF != 0);
        self.auxiliary = u32::from(carry) << 31
            | u32::from(below) << 30
            | odd << 8
            | u32::from(flags & AF != 0) << 3
            | u32::from(flags & SF != 0);
    }

    /// Of a sum, with or without a carry in: `bits` are the operands' size, `result` is sign-extended.
    #[inline(always)]
    pub fn added(&mut self, a: u32, b: u32, result: u32, bits: u32) {
        let carries = a & b | (a | b) & !result;
        self.result = result;
        self.auxiliary = carries & HALF | carries << (32 - bits) & (CARRY | BELOW);
    }

    /// Of a difference a − b, with or without a borrow in.
    #[inline(always)]
    pub fn subtracted(&mut self, a: u32, b: u32, result: u32, bits: u32) {
        let borrows = !a & b | (!a | b) & result;
        self.result = result;
        self.auxiliary = borrows & HALF | borrows << (32 - bits) & (CARRY | BELOW);
    }

    /// Of AND, OR, XOR, TEST.
    #[inline(always)]
    pub fn logical(&mut self, result: u32) {
        self.result = result;
        self.auxiliary = 0;
    }

    /// Result, CF, OF and AF.
    #[inline(always)]
    pub fn explicit(&mut self, result: u32, carry: bool, overflow: bool, half: bool) {
        self.result = result;
        self.auxiliary = u32::from(carry) << 31 | u32::from(carry != overflow) << 30 | u32::from(half) << 3;
    }

    /// CF and OF alone change.
    #[inline(always)]
    pub fn set_carry_overflow(&mut self, carry: bool, overflow: bool) {
        self.auxiliary =
            self.auxiliary & !(CARRY | BELOW) | u32::from(carry) << 31 | u32::from(carry != overflow) << 30;
    }

    /// CF alone changes.
    #[inline(always)]
    pub fn set_carry(&mut self, carry: bool) {
        let overflow = self.of();
        self.set_carry_overflow(carry, overflow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_flags_is_kept() {
        for bits in 0..64u32 {
            let flags = [CF, PF, AF, ZF, SF, OF].iter().enumerate();
            let flags = flags.fold(0, |all, (at, flag)| if bits >> at & 1 != 0 { all | flag } else { all });
            let mut kept = Arithmetic::default();
            kept.set(flags);
            assert_eq!(kept.get(), flags);
            for carry in [false, true] {
                let mut other = kept;
                other.set_carry(carry);
                assert_eq!(other.get(), flags & !CF | u32::from(carry));
            }
        }
    }

    #[test]
    fn octets_are_added_and_subtracted_as_the_manual_says() {
        for a in 0..256u32 {
            for b in 0..256u32 {
                for carry in 0..2u32 {
                    let (sum, difference) = (a + b + carry, a.wrapping_sub(b).wrapping_sub(carry));
                    let signed = |value: u32| value as u8 as i8 as i32;
                    let mut flags = Arithmetic::default();
                    flags.added(a, b, signed(sum) as u32, 8);
                    assert_eq!(flags.cf(), sum > 255);
                    assert_eq!(flags.of(), signed(a) + signed(b) + carry as i32 != signed(sum));
                    assert_eq!(flags.af(), a % 16 + b % 16 + carry > 15);
                    flags.subtracted(a, b, signed(difference) as u32, 8);
                    assert_eq!(flags.cf(), a < b + carry);
                    assert_eq!(flags.of(), signed(a) - signed(b) - carry as i32 != signed(difference));
                    assert_eq!(flags.af(), a % 16 < b % 16 + carry);
                    assert_eq!(flags.zf(), difference & 255 == 0);
                    assert_eq!(flags.sf(), difference & 128 != 0);
                }
            }
        }
    }
}
