//! Break- and watchpoints of the host's debugger.

use crate::exit::{Reason, Refused};
use crate::state::Cpu;
use guest_memory::PAGE_OCTETS;

/// Chosen: they are searched one after the other.
const POINTS_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Watchpoint {
    va: u32,
    octets: u32,
    read: bool,
    write: bool,
}

#[derive(Default)]
pub(crate) struct Debugger {
    breakpoints: Vec<u32>,
    watchpoints: Vec<Watchpoint>,
    /// Instruction count and address at which a breakpoint was told of: the next run goes past it.
    told: Option<(u64, u32)>,
    hit: Option<(Reason, u32)>,
}

impl Debugger {
    /// Must one instruction be executed at a time?
    #[inline(always)]
    pub(crate) fn is_active(&self) -> bool {
        !self.breakpoints.is_empty()
    }

    /// Does a breakpoint stop at the linear address, and was not told of yet?
    pub(crate) fn stops_at(&mut self, icount: u64, linear: u32) -> bool {
        if !self.breakpoints.contains(&linear) || self.told == Some((icount, linear)) {
            return false;
        }
        self.told = Some((icount, linear));
        true
    }

    #[inline(always)]
    pub(crate) fn watches(&self, linear: u32, octets: u32, write: bool) -> bool {
        !self.watchpoints.is_empty()
            && self.watchpoints.iter().any(|point| {
                (if write { point.write } else { point.read })
                    && u64::from(linear) < u64::from(point.va) + u64::from(point.octets)
                    && u64::from(point.va) < u64::from(linear) + u64::from(octets)
            })
    }

    /// Is a watchpoint in the page? Then every access to it is looked at.
    pub(crate) fn touches_page(&self, linear: u32) -> bool {
        !self.watchpoints.is_empty() && {
            let page = linear / PAGE_OCTETS;
            self.watchpoints.iter().any(|point| {
                let last = point.va.saturating_add(point.octets - 1);
                (point.va / PAGE_OCTETS..=last / PAGE_OCTETS).contains(&page)
            })
        }
    }

    pub(crate) fn note(&mut self, reason: Reason, linear: u32) {
        self.hit.get_or_insert((reason, linear));
    }

    pub(crate) fn take(&mut self) -> Option<(Reason, u32)> {
        self.hit.take()
    }
}

impl Cpu {
    /// Exit before the instruction at the linear address.
    pub fn add_breakpoint(&mut self, va: u32) -> Result<(), Refused> {
        if !self.debugger.breakpoints.contains(&va) {
            if self.debugger.breakpoints.len() == POINTS_MAX {
                return Err(Refused(format!("more than {POINTS_MAX} breakpoints")));
            }
            self.debugger.breakpoints.push(va);
        }
        Ok(())
    }

    pub fn remove_breakpoint(&mut self, va: u32) {
        self.debugger.breakpoints.retain(|&other| other != va);
    }

    /// Exit behind an instruction that accesses any of `octets` octets at the linear address.
    pub fn add_watchpoint(&mut self, va: u32, octets: u32, read: bool, write: bool) -> Result<(), Refused> {
        let point = Watchpoint { va, octets, read, write };
        if octets == 0 || self.debugger.watchpoints.len() == POINTS_MAX {
            return Err(Refused(format!("watchpoint of {octets} octets, one of at most {POINTS_MAX}")));
        }
        if !self.debugger.watchpoints.contains(&point) {
            self.debugger.watchpoints.push(point);
            self.forget_translations();
        }
        Ok(())
    }

    pub fn remove_watchpoint(&mut self, va: u32, octets: u32, read: bool, write: bool) {
        self.debugger.watchpoints.retain(|other| *other != Watchpoint { va, octets, read, write });
    }

    /// DR7 has changed.
    pub(crate) fn debug_changed(&mut self) {
        self.forget_translations();
    }
}
