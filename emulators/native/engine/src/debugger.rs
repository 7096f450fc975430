//! Break- and watchpoints of the host's debugger. While there are any, a processor goes instruction by instruction.

use crate::exit::{Reason, Refused};
use guest_memory::PAGE_OCTETS;

/// Chosen: a debugger's needs, and a bound for a client's wishes.
const POINTS_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Watchpoint {
    va: u32,
    octets: u32,
    read: bool,
    write: bool,
}

#[derive(Default)]
pub struct Debugger {
    breakpoints: Vec<u32>,
    watchpoints: Vec<Watchpoint>,
    /// A watched access was made by the instruction under way.
    hit: Option<(Reason, u32)>,
    /// Instruction count and address at which a breakpoint was told of: the next run goes past it.
    told: Option<(u64, u32)>,
}

impl Debugger {
    #[inline(always)]
    pub fn is_active(&self) -> bool {
        !(self.breakpoints.is_empty() && self.watchpoints.is_empty())
    }

    #[inline(always)]
    pub fn has_breakpoints(&self) -> bool {
        !self.breakpoints.is_empty()
    }

    /// Does a breakpoint stop at `va`, and was not told of yet?
    pub fn stops_at(&mut self, icount: u64, va: u32) -> bool {
        if !self.breakpoints.contains(&va) || self.told == Some((icount, va)) {
            return false;
        }
        self.told = Some((icount, va));
        true
    }

    /// The processor became another: a breakpoint where it is now was not told of.
    pub fn moved(&mut self) {
        self.told = None;
    }

    #[inline(always)]
    pub fn watches(&self, va: u32, octets: u32, write: bool) -> bool {
        !self.watchpoints.is_empty()
            && self.watchpoints.iter().any(|point| {
                let wanted = if write { point.write } else { point.read };
                wanted && overlap(va, octets, point.va, point.octets)
            })
    }

    /// Is a watchpoint in the page? Then every access to it is looked at.
    pub fn touches_page(&self, va: u32) -> bool {
        let page = va & !(PAGE_OCTETS - 1);
        self.watchpoints.iter().any(|point| overlap(page, PAGE_OCTETS, point.va, point.octets))
    }

    /// A watched access was made.
    pub fn note(&mut self, reason: Reason, va: u32) {
        self.hit.get_or_insert((reason, va));
    }

    #[inline(always)]
    pub fn is_hit(&self) -> bool {
        self.hit.is_some()
    }

    pub fn take(&mut self) -> Option<(Reason, u32)> {
        self.hit.take()
    }

    /// Exit before the instruction at `va`.
    pub fn add_breakpoint(&mut self, va: u32) -> Result<(), Refused> {
        if !self.breakpoints.contains(&va) {
            if self.breakpoints.len() == POINTS_MAX {
                return Err(Refused(format!("more than {POINTS_MAX} breakpoints")));
            }
            self.breakpoints.push(va);
        }
        Ok(())
    }

    pub fn remove_breakpoint(&mut self, va: u32) {
        self.breakpoints.retain(|&other| other != va);
    }

    /// Exit behind an instruction that accesses any of `octets` octets at `va`. Entries for the page in a soft TLB are
    /// then to be forgotten.
    pub fn add_watchpoint(&mut self, va: u32, octets: u32, read: bool, write: bool) -> Result<(), Refused> {
        let point = Watchpoint { va, octets, read, write };
        if octets == 0 || self.watchpoints.len() == POINTS_MAX {
            return Err(Refused(format!("watchpoint of {octets} octets, one of at most {POINTS_MAX}")));
        }
        if !self.watchpoints.contains(&point) {
            self.watchpoints.push(point);
        }
        Ok(())
    }

    pub fn remove_watchpoint(&mut self, va: u32, octets: u32, read: bool, write: bool) {
        self.watchpoints.retain(|&other| other != Watchpoint { va, octets, read, write });
    }
}

fn overlap(a: u32, a_octets: u32, b: u32, b_octets: u32) -> bool {
    u64::from(a) < u64::from(b) + u64::from(b_octets) && u64::from(b) < u64::from(a) + u64::from(a_octets)
}
