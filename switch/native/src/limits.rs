//! Bounds. The same numbers, with their reasons, are in `switch/forwarding/terms.py`.

pub const PORT_MAX: u64 = 0xFFFF;
pub const VLAN_MAX: u64 = 4093;
pub const COUNT_MAX: u64 = (1 << 31) - 1;
pub const NANOSECONDS_MAX: u64 = (1 << 63) - 1;
/// As a native VLAN: no untagged frames.
pub const NO_VLAN: u16 = 4095;
/// Addresses in the table, until `set_table_limit`.
pub const TABLE_ADDRESSES: u32 = 1 << 17;

/// Frames taken from one endpoint in its turn.
pub const FRAMES_PER_TURN: usize = 32;
/// The same, while somebody else sends single frames.
pub const FRAMES_PER_SHORT_TURN: usize = 8;
/// So many turns of one frame in a row make an endpoint one that sends single frames,
pub const LONE_TURNS: u8 = 4;
/// and so many rounds after its last one the others need not care any more.
pub const LONE_ROUNDS: u64 = 64;
/// Frames that a client had sent before it left: taken when its socket is detached.
pub const FRAMES_AT_DETACH: usize = 1024;
/// Octets taken from one tap with offloads in its turn, a frame more or less.
pub const OCTETS_PER_TURN: usize = 1 << 18;
/// Deliveries that a turn should not much exceed: an endpoint whose turn did takes fewer frames in its next.
pub const DELIVERIES_PER_TURN: usize = 1024;
/// Frames of an endpoint's queue sent in its turn.
pub const QUEUED_PER_TURN: usize = 128;
/// Endpoints asked for by one `epoll_wait`.
pub const ENDPOINTS_PER_ROUND: usize = 64;
/// Bound of `Forwarder::poll`.
pub const ROUNDS_PER_POLL: usize = 64;
/// Frames' octets in waiting events.
pub const EVENT_OCTETS: usize = 1 << 24;

/// Chosen at start.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest accepted frame, tags included, without FCS. 1518…65535.
    pub max_frame_octets: usize,
    /// Default bound of an endpoint's queue.
    pub queue_frames: usize,
    /// SO_SNDBUF of sockets.
    pub send_buffer_octets: i32,
    /// Events waiting for policy.
    pub events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_frame_octets: 9234, queue_frames: 128, send_buffer_octets: 1 << 20, events: 8192 }
    }
}

/// How many frames an endpoint may take in its next turn, after one of `frames` frames made `deliveries`.
pub fn next_turn(frames: usize, deliveries: usize) -> usize {
    if deliveries <= DELIVERIES_PER_TURN {
        FRAMES_PER_TURN
    } else {
        (DELIVERIES_PER_TURN * frames / deliveries).clamp(1, FRAMES_PER_TURN)
    }
}
