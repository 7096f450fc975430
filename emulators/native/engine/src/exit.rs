//! Why an engine came back, and what a caller did wrong.

/// Why `run` came back. See `emulators/exits.py` for what each means.
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

/// What a debugger asked to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Breakpoint,
    WatchRead,
    WatchWrite,
}

/// The caller asked for what cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}
