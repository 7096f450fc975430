//! The time base and the decrementer: PEM §2.2, §2.3.11 and §6.4.9.
//!
//! Both step once in `Options::timebase_ticks` ticks, at the same ones; a tick is an instruction, or was skipped. The
//! decrementer's exception is noted when its most significant bit becomes one, by counting or by mtdec, and stays
//! until it is taken.

use crate::{Cpu, exit::Refused};

impl Cpu {
    /// The clock: instructions, and what was skipped.
    pub fn ticks(&self) -> u64 {
        self.icount + self.skipped
    }

    /// Steps of the time base since the processor was made.
    fn steps(&self) -> u64 {
        self.ticks() / u64::from(self.options.timebase_ticks)
    }

    pub(crate) fn tb(&self) -> u64 {
        self.tb_base.wrapping_add(self.steps())
    }

    pub(crate) fn set_tb(&mut self, value: u64) {
        self.tb_base = value.wrapping_sub(self.steps());
    }

    pub(crate) fn dec(&self) -> u32 {
        self.dec_base.wrapping_sub(self.steps() as u32)
    }

    pub(crate) fn set_dec(&mut self, value: u32) {
        self.update_timer();
        if self.dec() >> 31 == 0 && value >> 31 != 0 {
            self.dec_pending = true;
        }
        self.put_dec(value);
    }

    /// Without a look at the exception.
    pub(crate) fn put_dec(&mut self, value: u32) {
        self.dec_base = value.wrapping_add(self.steps() as u32);
        self.arm_timer();
    }

    pub(crate) fn arm_timer(&mut self) {
        let steps = (self.steps() + 1).saturating_add(self.dec().into());
        self.timer_at = steps.saturating_mul(self.options.timebase_ticks.into());
    }

    /// Note what time has brought.
    #[inline]
    pub(crate) fn update_timer(&mut self) {
        if self.ticks() >= self.timer_at {
            self.dec_pending = true;
            self.arm_timer();
        }
    }

    /// Ticks until the decrementer's exception.
    pub fn next_timer(&self) -> Option<u64> {
        Some(self.timer_at.saturating_sub(self.ticks()))
    }

    /// Let time pass without instructions, at most up to the timer.
    pub fn skip(&mut self, ticks: u64) -> Result<(), Refused> {
        if self.next_timer().is_some_and(|left| ticks > left) || self.ticks().checked_add(ticks).is_none() {
            return Err(Refused(format!("skip of {ticks} ticks: the decrementer's exception is before")));
        }
        self.skipped += ticks;
        self.update_timer();
        Ok(())
    }
}
