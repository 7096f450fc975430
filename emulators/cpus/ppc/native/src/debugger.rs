//! Breakpoints and watchpoints. While there are any, the processor goes instruction by instruction.

use crate::exit::Reason;

/// Chosen: a debugger's needs, and a bound for a snapshot's or client's wishes.
pub(crate) const POINTS_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watchpoint {
    pub va: u32,
    pub octets: u32,
    pub read: bool,
    pub write: bool,
}

#[derive(Default)]
pub(crate) struct Debugger {
    pub breakpoints: Vec<u32>,
    pub watchpoints: Vec<Watchpoint>,
    /// A watched access was made by the instruction under way.
    pub hit: Option<(Reason, u32)>,
    /// (instruction count, address) of a breakpoint that was told: the next run goes past it.
    pub told: Option<(u64, u32)>,
}

impl Debugger {
    pub(crate) fn is_active(&self) -> bool {
        !(self.breakpoints.is_empty() && self.watchpoints.is_empty())
    }

    pub(crate) fn watched(&self, va: u32, octets: u32, write: bool) -> bool {
        self.watchpoints.iter().any(|point| {
            let wanted = if write { point.write } else { point.read };
            wanted && overlap(va, octets, point.va, point.octets)
        })
    }

    pub(crate) fn touches_page(&self, va: u32) -> bool {
        self.watchpoints.iter().any(|point| overlap(va & !0xfff, 0x1000, point.va, point.octets))
    }
}

fn overlap(a: u32, a_octets: u32, b: u32, b_octets: u32) -> bool {
    u64::from(a) < u64::from(b) + u64::from(b_octets) && u64::from(b) < u64::from(a) + u64::from(a_octets)
}
