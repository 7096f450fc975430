//! Why the processor came back, and why an instruction does not simply go on to the next.

pub use engine_contract::exit::{Exit, Reason, Refused};

/// An instruction's end, other than the next one. Without fields, so that a handler's result is in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `Cpu::raised` says which.
    Exception,
    /// A device's answer is wanted (`Cpu::asked`); then the instruction is executed again.
    Asked,
    /// Done; `Cpu::eip` is where it goes on.
    Jump,
    /// Done, and `Cpu::eip` set; what follows may be another world (mode, interrupts, mappings).
    Retired,
    /// As `Retired`: a repeated string instruction that is not done yet. `Cpu::eip` is still its own.
    Again,
    /// As `Retired`: HLT.
    Halted,
    /// Triple fault.
    Shutdown,
    /// As `Retired`: a call of the host.
    Hypercall,
}
