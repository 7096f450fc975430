//! vdeswitch's frame forwarder: owns the ports' file descriptors and moves frames between them.
//!
//! Purpose: everything that is done once a frame. What it does with one is specified, rule by rule, in
//! `switch/forwarding/contract.py`; the numbers in this crate's comments are the rules' numbers there. Its twin in
//! readable Python is `switch/forwarding/reference.py`, and a stateful test holds the two equal.
//!
//! Theory of operation: one epoll set. A *turn* serves one ready endpoint: what waits in its queue is sent, then up to
//! 32 of its frames are received by one `recvmmsg` into a fixed arena (`receive`). The sans-I/O [`plane`] decides on
//! each frame and puts its number on the lists of the endpoints that get it (`outbox`). At the end of the turn the
//! lists leave straight from the arena, tags being put in and taken out by iovecs: all of them by one submission to
//! io_uring (`burst`) where it is certain that the kernel has room for them (`room`), else each by one `sendmmsg`
//! (`send`). What the kernel does not take is copied to the endpoint's bounded queue (`queue`). Nothing ever blocks
//! but `epoll_wait`.
//!
//! A tap with offloads hands over unfinished frames of up to 64 KiB (`offload`). Between such taps they pass as they are;
//! for all other endpoints they are made ordinary ones (`segment`).
//!
//! All state is behind one lock ([`forwarder`]), which the thread holds for a turn at a time and hands over fairly.
//!
//! Limits: the arena, the lists (32 frames, times the mirrors), queues, events and the table are bounded; ports ≤ 65,536.
//! Not supported: receiving by io_uring, more than one thread.
//!
//! Read first: [`plane`], then [`forwarder`].

mod burst;
mod clock;
mod configure;
pub mod endpoint;
pub mod error;
pub mod events;
pub mod fdb;
pub mod forwarder;
pub mod frame;
pub mod limits;
pub mod mirror;
pub mod offload;
pub mod outbox;
pub mod overlay;
pub mod plane;
mod poller;
pub mod port;
mod queue;
mod receive;
mod room;
pub mod segment;
mod send;
mod shared;
pub mod state;
pub mod storm;
pub mod vlan;

pub use error::Error;
pub use forwarder::Forwarder;
pub use limits::Limits;
pub use state::State;
