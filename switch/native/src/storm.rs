//! How many flooded frames a second a port may cause: a token bucket, one second deep.

const SECOND_NS: u64 = 1_000_000_000;

/// Full at first. Levels are in frames × nanoseconds; a rate of at most 2^31-1 keeps them within 63 bits.
#[derive(Debug)]
pub struct StormBucket {
    frames_per_s: u64,
    level: u64,
    filled_ns: Option<u64>,
}

impl StormBucket {
    pub fn new(frames_per_s: u32) -> Self {
        let frames_per_s = u64::from(frames_per_s);
        StormBucket { frames_per_s, level: frames_per_s * SECOND_NS, filled_ns: None }
    }

    /// May one more frame pass now?
    pub fn take(&mut self, now_ns: u64) -> bool {
        if let Some(filled_ns) = self.filled_ns {
            let elapsed_ns = now_ns.saturating_sub(filled_ns).min(SECOND_NS);
            self.level = (self.level + elapsed_ns * self.frames_per_s).min(self.frames_per_s * SECOND_NS);
        }
        self.filled_ns = Some(now_ns);
        if self.level < SECOND_NS {
            return false;
        }
        self.level -= SECOND_NS;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_deep_then_at_the_rate() {
        let mut bucket = StormBucket::new(10);
        assert_eq!((0..20).filter(|_| bucket.take(5)).count(), 10);
        assert!(!bucket.take(5 + SECOND_NS / 10 - 1));
        assert!(bucket.take(5 + SECOND_NS / 10));
        assert_eq!((0..20).filter(|_| bucket.take(100 * SECOND_NS)).count(), 10);
    }

    #[test]
    fn the_highest_rate_does_not_overflow() {
        let mut bucket = StormBucket::new((1 << 31) - 1);
        assert!(bucket.take(0) && bucket.take(u64::MAX));
    }

    #[test]
    fn none_at_all() {
        let mut bucket = StormBucket::new(0);
        assert!(!bucket.take(0) && !bucket.take(10 * SECOND_NS));
    }
}
