//! Random numbers of all kinds, near all borders.

use crate::F80;

pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn significand(&mut self) -> u64 {
        let kind = self.next();
        let cut = [0, 0, 11, 40][(kind >> 8 & 3) as usize];
        let near = (self.next() & 3).wrapping_sub(1) << (cut as u32).saturating_sub(1);
        match kind & 15 {
            0 => 1 << 63,
            1 => u64::MAX,
            2 => (1u64 << 63).wrapping_add(near),
            3 => u64::MAX << cut,
            4 => (u64::MAX << cut).wrapping_add(near),
            5 => 1 << 63 | 1 << (self.next() & 63),
            6 => u64::MAX << (self.next() & 63),
            7 => 1 << 63 | self.next() & self.next() & self.next(),
            8 => self.next(), // may lack its integer bit
            9..12 => (1 << 63 | self.next()) & u64::MAX << cut,
            12 => ((1 << 63 | self.next()) & u64::MAX << cut).wrapping_add(near),
            _ => 1 << 63 | self.next(),
        }
    }

    pub fn number(&mut self) -> F80 {
        let kind = self.next();
        let negative = kind & 1 != 0;
        let exponent = match kind >> 1 & 31 {
            0 => 0,
            1 => 0x7fff,
            2 => 1 + (kind >> 16 & 63),
            3 => 0x7ffe - (kind >> 16 & 63),
            4 => 0x1fff + (kind >> 16 & 7),
            5 => 0x5ffb + (kind >> 16 & 7),
            6..16 => 0x3fff - 8 + (kind >> 16 & 15),
            16..22 => 0x3fff - 64 + (kind >> 16 & 127),
            22 => 0x3f81 - 60 + (kind >> 16 & 63), // binary32's smallest
            23 => 0x3c01 - 60 + (kind >> 16 & 63), // binary64's smallest
            24 => 0x407e + (kind >> 16 & 3),
            25 => 0x43fe + (kind >> 16 & 3),
            _ => kind >> 16 & 0x7fff,
        } as i32;
        match kind >> 40 & 63 {
            0 | 1 => F80::zero(negative),
            2 => F80::infinity(negative),
            3 => F80::new(negative, 0, self.next() >> (kind >> 48 & 63)),
            4 => F80::new(negative, 0x7fff, self.next() | 3 << 62),
            5 => F80::new(negative, 0x7fff, self.next() >> 2 | 1 << 63),
            6 => F80::new(negative, 0, 1 << 63 | self.next()),
            _ => F80::new(negative, exponent, self.significand()),
        }
    }

    /// Two numbers, often close to each other.
    pub fn pair(&mut self) -> (F80, F80) {
        let (a, b) = (self.number(), self.number());
        match self.next() & 15 {
            0 => (a, F80 { significand: a.significand ^ self.next() >> (self.next() & 63), ..a }),
            1 => (a, F80 { sign_exponent: a.sign_exponent ^ 0x8000, significand: a.significand.wrapping_add(1) }),
            2 => (a, F80 { sign_exponent: a.sign_exponent ^ (self.next() & 0x8003) as u16, ..b }),
            3 => (a, F80 { sign_exponent: a.sign_exponent.wrapping_sub((self.next() & 127) as u16), ..b }),
            _ => (a, b),
        }
    }

    /// A finite number of the range 2^low…2^high.
    pub fn between(&mut self, low: i32, high: i32) -> F80 {
        let exponent = low + (self.next() % (high - low) as u64) as i32;
        F80::new(self.next() & 1 != 0, super::BIAS + exponent, self.significand() | 1 << 63)
    }
}
