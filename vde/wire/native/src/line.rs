//! Frames on their way: `vde/wire/delay_line.py`.

use crate::verdict::Verdict;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// As there.
const MOST_FRAMES: usize = 1 << 17;
const MOST_OCTETS: usize = 128 << 20;

/// A frame that is on its way, with what was decided about it.
pub struct Held {
    pub frame: Box<[u8]>,
    pub verdict: Verdict,
}

/// Earliest first; of the same time, in the order in which they were put in.
struct Due {
    key: Reverse<(i64, u64)>,
    held: Held,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

#[derive(Default)]
pub(crate) struct Line {
    heap: BinaryHeap<Due>,
    serial: u64,
    pub octets: usize,
}

impl Line {
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    pub fn is_full(&self) -> bool {
        self.heap.len() >= MOST_FRAMES || self.octets >= MOST_OCTETS
    }

    /// Keep it until `verdict.due_ns`.
    pub fn put(&mut self, held: Held) {
        self.serial += 1;
        self.octets += held.frame.len();
        self.heap.push(Due { key: Reverse((held.verdict.due_ns, self.serial)), held });
    }

    pub fn next_due_ns(&self) -> Option<i64> {
        self.heap.peek().map(|due| due.key.0.0)
    }

    /// The next frame that is due.
    pub fn take(&mut self, now_ns: i64) -> Option<Held> {
        if self.next_due_ns()? > now_ns {
            return None;
        }
        let due = self.heap.pop()?;
        self.octets -= due.held.frame.len();
        Some(due.held)
    }

    /// All, in their order.
    pub fn empty(&mut self) -> Vec<Held> {
        self.octets = 0;
        let mut all: Vec<Due> = std::mem::take(&mut self.heap).into_vec();
        all.sort_unstable_by_key(|due| Reverse(due.key));
        all.into_iter().map(|due| due.held).collect()
    }
}
