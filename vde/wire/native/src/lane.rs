//! One direction: frames in with their times, frames out when they are due. `vde/wire/{direction,lane}.py`.
//!
//! ```text
//! loss ─ down? ─ mtu ─ loss's verdict ─ duplicate ─ corrupt ─ queue and rate ─ delay, jitter, reorder ─► line
//! ```

use crate::chance::Numbers;
use crate::corrupt::{BitErrors, invert, one_position};
pub use crate::line::Held;
use crate::line::Line;
use crate::loss::LossProcess;
use crate::queue::{Queue, Rate};
use crate::settings::{Settings, Shape};
use crate::verdict::{FATES, Fate, Ring, Verdict};

/// Counters of what was done since the lane was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub received_frames: u64,
    pub received_octets: u64,
    pub sent_frames: u64,
    pub sent_octets: u64,
    pub dropped: [u64; FATES],
    pub duplicated: u64,
    pub corrupted: u64,
    pub reordered: u64,
    pub delayed: u64,
}

/// What is carried over when another goes on for a lane.
#[derive(Default)]
pub struct State {
    pub number: u64,
    pub arrived_ns: i64,
    pub last_due_ns: i64,
    /// Of the chain of losses.
    pub loss: u8,
    /// Frames since the last one that overtook.
    pub delayed: u64,
    /// Of the bucket: when it is full · rate.
    pub full: i128,
    pub queue: Vec<Held>,
    pub line: Vec<Held>,
}

/// The numbers of one copy.
struct Draws {
    delay: Numbers,
    second: Numbers,
    corrupt: Numbers,
    bit: Numbers,
    errors: Option<BitErrors>,
}

pub struct Lane {
    settings: Settings,
    up: bool,
    number: u64,
    arrived_ns: i64,
    last_due_ns: i64,
    pub tally: Tally,
    ring: Ring,
    line: Line,
    loss: Option<LossProcess>,
    queue: Option<Queue>,
    reorder: Numbers,
    delayed: u64,
    duplicate: Numbers,
    draws: [Draws; 2],
    flipped: Vec<u32>,
}

impl Lane {
    /// `prefix`: as `Numbers::new`.
    pub fn new(settings: Settings, up: bool, prefix: &[u8], state: State) -> Self {
        let draws = ["", "copy/"].map(|copy| Draws {
            delay: Numbers::new(prefix, &format!("{copy}delay")),
            second: Numbers::new(prefix, &format!("{copy}delay-second")),
            corrupt: Numbers::new(prefix, &format!("{copy}corrupt")),
            bit: Numbers::new(prefix, &format!("{copy}corrupt-bit")),
            errors: (settings.ber > 0.0)
                .then(|| BitErrors::new(settings.ber, Numbers::new(prefix, &format!("{copy}ber")))),
        });
        let mut loss = settings.loss.map(|loss| LossProcess::new(loss, prefix));
        if let Some(process) = &mut loss {
            process.state = state.loss;
        }
        let queue = Rate::new(&settings, 0).map(|mut rate| {
            rate.full = state.full;
            Queue::new(rate, &settings)
        });
        let mut lane = Lane {
            up,
            number: state.number,
            arrived_ns: state.arrived_ns,
            last_due_ns: state.last_due_ns,
            tally: Tally::default(),
            ring: Ring::new(),
            line: Line::default(),
            loss,
            queue,
            reorder: Numbers::new(prefix, "reorder"),
            delayed: state.delayed,
            duplicate: Numbers::new(prefix, "duplicate"),
            draws,
            settings,
            flipped: Vec::new(),
        };
        for held in state.line {
            lane.ring.put(&held.verdict);
            lane.line.put(held);
        }
        for held in state.queue {
            lane.ring.put(&held.verdict);
            match &mut lane.queue {
                Some(queue) => queue.keep(held),
                None => lane.delay(held),
            }
        }
        lane
    }

    /// A frame comes, at a time not before the last one's.
    pub fn receive(&mut self, frame: &[u8], now_ns: i64) {
        let now_ns = now_ns.max(self.arrived_ns);
        self.arrived_ns = now_ns;
        self.advance(now_ns);
        self.number += 1;
        let number = self.number;
        self.tally.received_frames += 1;
        self.tally.received_octets += frame.len() as u64;
        self.ring.begin(number);
        let lost = self.loss.as_mut().is_some_and(|loss| loss.decide(number));
        let overtakes = self.settings.reorder.is_some_and(|probability| self.overtakes(number, probability));
        let mut verdict = Verdict {
            number,
            copy: 0,
            arrived_ns: now_ns,
            octets: frame.len() as u32,
            fate: Fate::Passed,
            flipped: Vec::new(),
            left_ns: now_ns,
            delay_ns: 0,
            reordered: false,
            due_ns: 0,
        };
        if !self.up {
            self.drop_frame(verdict, Fate::Down);
        } else if self.settings.mtu_octets.is_some_and(|most| frame.len() as u64 > most) {
            self.drop_frame(verdict, Fate::Mtu);
        } else if lost {
            self.drop_frame(verdict, Fate::Loss);
        } else {
            verdict.reordered = overtakes;
            let twin = self.settings.duplicate.is_some_and(|share| self.duplicate.uniform(number) < share);
            let second = twin.then(|| Verdict { copy: 1, ..verdict.clone() });
            self.pass(frame, verdict, now_ns);
            if let Some(second) = second {
                self.tally.duplicated += 1;
                self.pass(frame, second, now_ns);
            }
        }
    }

    /// Of the last frame whose order is kept.
    pub fn last_due_ns(&self) -> i64 {
        self.last_due_ns
    }

    /// Frames whose order is kept leave no earlier.
    pub fn not_before(&mut self, due_ns: i64) {
        self.last_due_ns = self.last_due_ns.max(due_ns);
    }

    /// When `take` may have a frame, or the queue wants to be looked at.
    pub fn next_deadline(&self) -> Option<i64> {
        let start = self.queue.as_ref().and_then(Queue::next_start_ns);
        [self.line.next_due_ns(), start].into_iter().flatten().min()
    }

    /// The next frame that is due; it counts as sent. `advance(now_ns)` was called.
    pub fn take(&mut self, now_ns: i64) -> Option<Held> {
        let held = self.line.take(now_ns)?;
        self.tally.sent_frames += 1;
        self.tally.sent_octets += held.frame.len() as u64;
        Some(held)
    }

    /// A frame that was taken has not been sent yet.
    pub fn put_back(&mut self, held: Held) {
        self.unsent(&held);
        self.line.put(held);
    }

    /// A frame that was taken cannot be sent.
    pub fn refused(&mut self, held: Held) {
        self.unsent(&held);
        self.drop_frame(held.verdict, Fate::Refused);
    }

    fn unsent(&mut self, held: &Held) {
        self.tally.sent_frames -= 1;
        self.tally.sent_octets -= held.frame.len() as u64;
    }

    /// Let frames leave the queue whose turn has come.
    pub fn advance(&mut self, now_ns: i64) {
        while let Some(held) = self.queue.as_mut().and_then(|queue| queue.leave(now_ns)) {
            self.delay(held);
        }
    }

    /// The number of the last frame that came.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// About the copies of a frame that were seen here, and are still known; the first copy before the second.
    pub fn why(&self, number: u64) -> Vec<Verdict> {
        self.ring.find(number).cloned().collect()
    }

    /// Frames and octets that wait for the rate, and that are on their way.
    pub fn held(&self) -> [(usize, usize); 2] {
        let queue = self.queue.as_ref().map_or((0, 0), |queue| (queue.len(), queue.octets as usize));
        [queue, (self.line.len(), self.line.octets)]
    }

    /// Stop: what another needs to go on, and the known verdicts in their order.
    pub fn into_state(mut self) -> (State, Vec<Verdict>) {
        let mut verdicts: Vec<Verdict> = self.ring.into_verdicts().collect();
        verdicts.sort_unstable_by_key(|verdict| (verdict.number, verdict.copy));
        let state = State {
            number: self.number,
            arrived_ns: self.arrived_ns,
            last_due_ns: self.last_due_ns,
            loss: self.loss.as_ref().map_or(0, |loss| loss.state),
            delayed: self.delayed,
            full: self.queue.as_ref().map_or(0, |queue| queue.rate.full),
            queue: self.queue.as_mut().map_or_else(Vec::new, Queue::empty),
            line: self.line.empty(),
        };
        (state, verdicts)
    }

    fn overtakes(&mut self, number: u64, probability: f64) -> bool {
        if self.delayed + 1 >= self.settings.gap && self.reorder.uniform(number) < probability {
            self.delayed = 0;
            return true;
        }
        self.delayed += 1;
        false
    }

    fn pass(&mut self, frame: &[u8], mut verdict: Verdict, now_ns: i64) {
        let (number, draws) = (verdict.number, &mut self.draws[usize::from(verdict.copy)]);
        let mut frame: Box<[u8]> = frame.into();
        self.flipped.clear();
        if let Some(errors) = &mut draws.errors {
            errors.positions(number, frame.len(), &mut self.flipped);
        }
        if self.settings.corrupt.is_some_and(|share| draws.corrupt.uniform(number) < share) {
            self.flipped.push(one_position(&mut draws.bit, number, frame.len()));
        }
        if !self.flipped.is_empty() {
            invert(&mut frame, &self.flipped);
            verdict.flipped.clone_from(&self.flipped);
            self.tally.corrupted += 1;
        }
        if self.line.is_full() {
            return self.drop_frame(verdict, Fate::Held);
        }
        let held = Held { frame, verdict };
        let Some(queue) = &mut self.queue else { return self.delay(held) };
        let verdict = held.verdict.clone();
        match queue.put(held, now_ns) {
            Ok(Some(held)) => self.delay(held),
            Ok(None) => self.ring.put(&verdict),
            Err(held) => self.drop_frame(held.verdict, Fate::Queue),
        }
    }

    /// It left the queue at `left_ns`, or did not have to wait.
    fn delay(&mut self, mut held: Held) {
        let verdict = &mut held.verdict;
        if verdict.reordered {
            self.tally.reordered += 1;
            verdict.due_ns = verdict.left_ns;
        } else {
            verdict.delay_ns = delay_of(&self.settings, &mut self.draws[usize::from(verdict.copy & 1)], verdict.number);
            verdict.due_ns = verdict.left_ns.saturating_add(verdict.delay_ns);
            if self.settings.keep_order {
                self.last_due_ns = self.last_due_ns.max(verdict.due_ns);
                verdict.due_ns = self.last_due_ns;
            }
            if verdict.due_ns > verdict.arrived_ns {
                self.tally.delayed += 1;
            }
        }
        self.ring.put(verdict);
        self.line.put(held);
    }

    fn drop_frame(&mut self, mut verdict: Verdict, fate: Fate) {
        verdict.fate = fate;
        self.tally.dropped[fate as usize] += 1;
        self.ring.put(&verdict);
    }
}

/// Nanoseconds, not less than 0.
fn delay_of(settings: &Settings, draws: &mut Draws, number: u64) -> i64 {
    if settings.jitter_ns == 0 {
        return settings.delay_ns;
    }
    let shape = match &settings.shape {
        Shape::Uniform => 2.0 * draws.delay.uniform(number) - 1.0,
        shape => shape.of(draws.delay.uniform(number), &mut draws.second, number),
    };
    let more = (shape * settings.jitter_ns as f64).round_ties_even() as i64; // as Python's round
    settings.delay_ns.saturating_add(more).max(0)
}
