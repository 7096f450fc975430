//! Why the processor came back, and why an instruction does not simply go on to the next.

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

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    Breakpoint,
    WatchRead,
    WatchWrite,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    Budget,
    MmioRead { gpa: u32, octets: u32 },
    MmioWrite { gpa: u32, octets: u32, value: u64 },
    IoRead { port: u16, octets: u32, count: u32 },
    IoWrite { port: u16, octets: u32, count: u32, data: Vec<u8> },
    Kicked,
    Halt,
    Debug { reason: Reason, address: u32 },
    Hypercall(u32),
    Exception { vector: u32, next_pc: u32 },
    InternalError { pc: u32, octets: Vec<u8> },
    IrqWindow,
    Shutdown,
}

/// What was asked of the engine is not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);
