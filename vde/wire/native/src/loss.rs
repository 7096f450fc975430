//! Which frames are lost: `vde/wire/loss.py` says what the chains are.

use crate::chance::Numbers;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    Bernoulli { probability: f64 },
    Gilbert { to_bad: f64, to_good: f64, in_bad: f64, in_good: f64 },
    FourState { p13: f64, p31: f64, p32: f64, p23: f64, p14: f64 },
}

/// Decides, for frames in the order of their numbers.
pub(crate) struct LossProcess {
    loss: Loss,
    draw: Numbers,
    step: Numbers,
    /// Gilbert: 0 good, 1 bad; four states: 1…4.
    pub state: u8,
}

impl LossProcess {
    pub fn new(loss: Loss, prefix: &[u8]) -> Self {
        let state = u8::from(matches!(loss, Loss::FourState { .. }));
        LossProcess { loss, draw: Numbers::new(prefix, "loss"), step: Numbers::new(prefix, "loss-state"), state }
    }

    pub fn decide(&mut self, n: u64) -> bool {
        match self.loss {
            Loss::Bernoulli { probability } => self.draw.uniform(n) < probability,
            Loss::Gilbert { to_bad, to_good, in_bad, in_good } => {
                if self.step.uniform(n) < (if self.state == 0 { to_bad } else { to_good }) {
                    self.state ^= 1;
                }
                let lost = if self.state == 0 { in_good } else { in_bad };
                lost >= 1.0 || (lost > 0.0 && self.draw.uniform(n) < lost)
            }
            Loss::FourState { p13, p31, p32, p23, p14 } => {
                let draw = self.step.uniform(n);
                self.state = match self.state {
                    1 if draw < p13 => 3,
                    1 if draw < p13 + p14 => 4,
                    1 => 1,
                    2 if draw < p23 => 3,
                    2 => 2,
                    3 if draw < p31 => 1,
                    3 if draw < p31 + p32 => 2,
                    3 => 3,
                    _ => 1,
                };
                self.state >= 3
            }
        }
    }
}
