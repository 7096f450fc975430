//! Accesses to devices: what an instruction asks for, and the log of what it was given (`access.rs` says what for).

/// An access to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    MmioRead { gpa: u32, octets: u32 },
    MmioWrite { gpa: u32, octets: u32, value: u64 },
    IoRead { port: u16, octets: u32, count: u32 },
    IoWrite { port: u16, octets: u32, count: u32, data: Vec<u8> },
}

impl Asked {
    /// With how many octets is it answered? 0: it is a write.
    pub(crate) fn wants(&self) -> usize {
        match *self {
            Asked::MmioRead { octets, .. } => octets as usize,
            Asked::IoRead { octets, count, .. } => octets as usize * count as usize,
            _ => 0,
        }
    }
}

/// The octets that an access gave; of a write, none.
pub(crate) type Done = Vec<u8>;
