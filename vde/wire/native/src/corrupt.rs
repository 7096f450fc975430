//! Bits that arrive inverted: `vde/wire/corrupt.py`.

use crate::chance::Numbers;

/// The k-th error of frame n takes the number n·2³² + k.
const SHIFT: u32 = 32;

/// A bit error rate of 0 < rate ≤ 0.5.
pub(crate) struct BitErrors {
    log: f64,
    numbers: Numbers,
}

impl BitErrors {
    pub fn new(rate: f64, numbers: Numbers) -> Self {
        BitErrors { log: (-rate).ln_1p(), numbers }
    }

    /// Append the inverted bits of frame n, ascending: octet · 8 + bit.
    pub fn positions(&mut self, n: u64, octets: usize, found: &mut Vec<u32>) {
        let bits = octets as u64 * 8;
        let mut error = n << SHIFT;
        let mut next = 0; // the first bit that is not decided
        loop {
            let gap = (-self.numbers.uniform(error)).ln_1p() / self.log;
            if gap >= bits as f64 {
                return;
            }
            let position = next + gap as u64;
            if position >= bits {
                return;
            }
            found.push(position as u32); // a frame has fewer bits
            next = position + 1;
            error += 1;
        }
    }
}

/// A bit of frame n, each as likely.
pub(crate) fn one_position(numbers: &mut Numbers, n: u64, octets: usize) -> u32 {
    (numbers.uniform(n) * octets as f64 * 8.0) as u32
}

pub(crate) fn invert(frame: &mut [u8], positions: &[u32]) {
    for position in positions {
        if let Some(octet) = frame.get_mut((position >> 3) as usize) {
            *octet ^= 1 << (position & 7);
        }
    }
}
