//! A port: its configuration as frames need it, and its counters.

use crate::fdb::Hint;
use crate::storm::StormBucket;

/// Why a frame was not delivered: `terms.DropReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum DropReason {
    Short = 0,
    Oversize = 1,
    Vlan = 2,
    Blocked = 3,
    SamePort = 4,
    Storm = 5,
    QueueFull = 6,
    SendError = 7,
    Mirror = 8,
    Offload = 9,
    Overlay = 10,
}

pub const DROP_REASONS: usize = 11;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub in_frames: u64,
    pub in_octets: u64,
    pub out_frames: u64,
    pub out_octets: u64,
    pub not_learned: u64,
    pub drops: [u64; DROP_REASONS],
}

#[derive(Debug, Default)]
pub struct Port {
    pub native: u16,
    /// Slots of its endpoints.
    pub endpoints: Vec<u32>,
    /// A mirror's destination?
    pub is_mirror: bool,
    /// Destinations of copies of what it receives, in the order of their numbers.
    pub copies_in: Vec<u16>,
    pub copies_out: Vec<u16>,
    pub addresses_max: Option<u32>,
    pub storm: Option<StormBucket>,
    pub counters: Counters,
    /// Where the table's entries of the last source and destination were.
    pub last_source: Hint,
    pub last_destination: Hint,
}

impl Port {
    pub fn new(native: u16) -> Self {
        Port { native, ..Port::default() }
    }

    pub fn drop_frame(&mut self, reason: DropReason) {
        self.drop_frames(reason, 1);
    }

    pub fn drop_frames(&mut self, reason: DropReason, frames: u64) {
        self.counters.drops[reason as usize] += frames;
    }
}
