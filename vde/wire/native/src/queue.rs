//! Frames that wait for the rate: `vde/wire/{queue,rate}.py`, with tail-drop.

use crate::line::Held;
use crate::settings::Settings;
use std::collections::VecDeque;

const NS_PER_S: i128 = 1_000_000_000;

/// A token bucket, exact in integers.
pub(crate) struct Rate {
    rate: i128,
    burst: i128,
    overhead: i64,
    /// When the bucket is full again, · rate.
    pub full: i128,
}

impl Rate {
    /// None: `settings` have no rate. Busy until `busy_ns`.
    pub fn new(settings: &Settings, busy_ns: i64) -> Option<Self> {
        let rate = i128::from(settings.rate_bit_s?);
        Some(Rate {
            rate,
            burst: i128::from(settings.burst_octets) * 8 * NS_PER_S,
            overhead: settings.overhead_octets,
            full: i128::from(busy_ns) * rate,
        })
    }

    /// When a frame that is there since `ready_ns` begins to leave.
    pub fn start_ns(&self, ready_ns: i64) -> i64 {
        ready_ns.max(self.free_ns())
    }

    /// A frame begins to leave: when it will have left.
    pub fn transmit(&mut self, start_ns: i64, octets: usize) -> i64 {
        let bits = i128::from((octets as i64 + self.overhead).max(0)) * 8;
        self.full = self.full.max(i128::from(start_ns) * self.rate) + bits * NS_PER_S;
        start_ns.max(self.free_ns())
    }

    fn free_ns(&self) -> i64 {
        // -((burst - full) div rate), rounded as Python's //
        i64::try_from(-(self.burst - self.full).div_euclid(self.rate)).unwrap_or(i64::MAX)
    }
}

pub(crate) struct Queue {
    pub rate: Rate,
    most_octets: Option<u64>,
    most_frames: u64,
    waiting: VecDeque<Held>,
    pub octets: u64,
}

impl Queue {
    pub fn new(rate: Rate, settings: &Settings) -> Self {
        Queue {
            rate,
            most_octets: settings.queue_octets,
            most_frames: settings.queue_frames,
            waiting: VecDeque::new(),
            octets: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A frame comes, and `leave` was called until there was none: it is given back with `left_ns` set (`Ok(Some)`),
    /// kept (`Ok(None)`), or there is no room (`Err`).
    pub fn put(&mut self, mut held: Held, now_ns: i64) -> Result<Option<Held>, Held> {
        let octets = held.frame.len() as u64;
        if self.waiting.is_empty() && self.rate.start_ns(now_ns) <= now_ns {
            held.verdict.left_ns = self.rate.transmit(now_ns, held.frame.len());
            return Ok(Some(held));
        }
        if self.waiting.len() as u64 >= self.most_frames
            || self.most_octets.is_some_and(|most| self.octets + octets > most)
        {
            return Err(held);
        }
        self.keep(held);
        Ok(None)
    }

    /// Behind the others, whatever there is room for.
    pub fn keep(&mut self, held: Held) {
        self.octets += held.frame.len() as u64;
        self.waiting.push_back(held);
    }

    /// When `leave` next has one.
    pub fn next_start_ns(&self) -> Option<i64> {
        Some(self.rate.start_ns(self.waiting.front()?.verdict.arrived_ns))
    }

    /// The next frame whose turn has come.
    pub fn leave(&mut self, now_ns: i64) -> Option<Held> {
        let start_ns = self.next_start_ns().filter(|&start_ns| start_ns <= now_ns)?;
        let mut held = self.waiting.pop_front()?;
        self.octets -= held.frame.len() as u64;
        held.verdict.left_ns = self.rate.transmit(start_ns, held.frame.len());
        Some(held)
    }

    pub fn empty(&mut self) -> Vec<Held> {
        self.octets = 0;
        std::mem::take(&mut self.waiting).into()
    }
}
