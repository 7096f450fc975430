//! Chance without a state: `vde/wire/chance.py` says what the numbers are.

use blake2::digest::consts::{U32, U64};
use blake2::digest::{Digest, FixedOutput, KeyInit, Mac};
use blake2::{Blake2b, Blake2bMac};

const UNIT: f64 = 1.0 / (1u64 << 53) as f64;

/// The numbers of one purpose.
pub struct Numbers {
    /// After the key.
    keyed: Blake2bMac<U64>,
    block: Option<u64>,
    words: [u64; 8],
}

impl Numbers {
    /// `purpose` of the direction that `prefix` names: seed ‖ 0 ‖ wire ‖ 0 ‖ direction ‖ 0.
    pub fn new(prefix: &[u8], purpose: &str) -> Self {
        let key = Blake2b::<U32>::new().chain_update(prefix).chain_update(purpose.as_bytes()).finalize();
        let keyed = <Blake2bMac<U64> as KeyInit>::new_from_slice(&key).expect("BLAKE2b takes keys of up to 64 octets");
        Numbers { keyed, block: None, words: [0; 8] }
    }

    /// 0 ≤ u < 1.
    pub fn uniform(&mut self, n: u64) -> f64 {
        let block = n >> 3;
        if self.block != Some(block) {
            let mut state = self.keyed.clone();
            Mac::update(&mut state, &block.to_le_bytes());
            for (word, octets) in self.words.iter_mut().zip(state.finalize_fixed().chunks_exact(8)) {
                *word = u64::from_le_bytes(octets.try_into().expect("chunks of eight"));
            }
            self.block = Some(block);
        }
        (self.words[(n & 7) as usize] >> 11) as f64 * UNIT
    }
}
