//! Ethernet frames between two processes through rings in shared memory.
//!
//! Purpose: the fast path between switch, wires, emulators and libvdeplug clients. A frame costs two copies and no
//! system call while both sides are busy; whoever sleeps is woken by an eventfd, and only then (the rule of virtio).
//!
//! # The shared memory
//!
//! One memfd, sealed against growing and shrinking, of `4096 + 2 × R` octets. `R`, the size of one ring's data, is a
//! power of two of 64 KiB to 16 MiB. All numbers are in native byte order, as both processes run on one machine.
//!
//! ```text
//! offset  octets
//! 0       8       magic "VDERING\0"
//! 8       4       version of this layout, 1
//! 12      4       R
//! 16      4       octets of the longest frame, F: 1518 to 65,539
//! 512     512     control of ring 0: frames from the connector to the listener
//! 1024    512     control of ring 1: frames from the listener to the connector
//! 4096    R       data of ring 0
//! 4096+R  R       data of ring 1
//!
//! control of a ring, offsets from its start; each in a pair of cache lines of its own
//! 0       4       head: octets ever written, modulo 2³², a multiple of 8. Stored by the producer
//! 128     4       tail: octets ever read, likewise. Stored by the consumer
//! 256     4       consumer sleeps: 1 asks for a bell at the next frame. The producer swaps it for 0 and rings
//! 384     4       producer waits: 1 asks for a bell when there is room. The consumer swaps it for 0 and rings
//!
//! record, at data[head mod R], octets wrapping round to data[0]
//! 0       4       length L of the frame, 0…F
//! 4       4       0: for a version to come (the frame's offloads)
//! 8       L       the frame, without FCS
//! 8+L     0…7     up to a multiple of 8
//! ```
//!
//! Head is stored (release) after the records below it, and tail after they were read. Between a store of head or tail
//! and the look at the other's flag, and between a store of a flag and the last look at head or tail, there is a full
//! fence: one of the two sides always sees the other.
//!
//! # Bells
//!
//! An eventfd is a hazard among strangers: whoever has the descriptor can make it blocking and fill or empty it,
//! and so stop a peer in `write` or `read`. So a peer is not given the eventfd that it is woken by, but an epoll
//! descriptor that watches it, edge-triggered ([`bell`]). The other way, the listener gives an eventfd to be rung, and
//! neither reads nor writes that one itself.
//!
//! Descriptors given by the listener with its answer, in this order: memfd · epoll: frames for the connector · epoll:
//! room for the connector · eventfd: frames for the listener · eventfd: room for the listener.
//!
//! # Who is trusted
//!
//! Nobody, with the memory: the peer may write anything anywhere at any time. Each side keeps its own head and tail to
//! itself, looks at each shared number once, checks it, and copies a frame out before looking at it. A number that
//! cannot be is the ring's end ([`Broken`]). Work is bounded by what the caller asks for.
//! A connector can be stopped by its listener in a write to a listener's eventfd; a listener by nobody.
//!
//! Limits: one producer and one consumer a ring, a process each. Not supported: offloads, more than two sides.

pub mod bell;
pub mod consumer;
pub mod handshake;
mod memory;
pub mod producer;
mod ring;

pub use consumer::{Consumer, Popped};
pub use memory::{Layout, Memory};
pub use producer::{Producer, Pushed};
pub use ring::{Given, Received, Receiver, Ring, Role, Sender};

/// The peer has put something into the shared memory that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the peer has broken the ring")
    }
}

impl std::error::Error for Broken {}

/// A record's length and reserved word.
pub(crate) const RECORD_HEADER_OCTETS: u32 = 8;

/// What a frame takes in the ring.
pub(crate) fn record_octets(frame_octets: u32) -> u32 {
    RECORD_HEADER_OCTETS + frame_octets.next_multiple_of(8)
}
