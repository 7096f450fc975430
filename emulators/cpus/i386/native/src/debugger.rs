//! Break- and watchpoints of the host's debugger.

use crate::exit::Refused;
use crate::state::Cpu;

impl Cpu {
    /// Exit before the instruction at the linear address.
    pub fn add_breakpoint(&mut self, va: u32) -> Result<(), Refused> {
        self.debugger.add_breakpoint(va)
    }

    pub fn remove_breakpoint(&mut self, va: u32) {
        self.debugger.remove_breakpoint(va);
    }

    /// Exit behind an instruction that accesses any of `octets` octets at the linear address.
    pub fn add_watchpoint(&mut self, va: u32, octets: u32, read: bool, write: bool) -> Result<(), Refused> {
        self.forget_translations();
        self.debugger.add_watchpoint(va, octets, read, write)
    }

    pub fn remove_watchpoint(&mut self, va: u32, octets: u32, read: bool, write: bool) {
        self.debugger.remove_watchpoint(va, octets, read, write);
    }

    /// DR7 has changed.
    pub(crate) fn debug_changed(&mut self) {
        self.forget_translations();
    }
}
