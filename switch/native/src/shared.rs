//! Endpoints that are rings in shared memory (`frame_ring`).
//!
//! A ring bounds what waits for its receiver, so such an endpoint has no queue: what a full ring does not take is
//! dropped (`QUEUE_FULL`). What the peer breaks ends the endpoint (EPROTO).

use crate::frame::Form;
use crate::outbox::Item;
use crate::receive::Receiver;
use frame_ring::{Pushed, Ring};

/// What became of frames given to a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub full: u64,
    pub refused: u64,
}

/// Send an endpoint's items, and wake its peer at most once.
pub fn send<'a>(ring: &mut Ring, items: &[Item], frame: impl Fn(usize) -> &'a [u8]) -> Outcome {
    let mut outcome = Outcome::default();
    for item in items {
        let tag = item.form.tag();
        let octets = frame(usize::from(item.frame));
        let pushed = match item.form {
            Form::AsIs => ring.push(&[octets]),
            form => ring.push(&form.pieces(octets, &tag)),
        };
        match pushed {
            Ok(Pushed::Taken) => {}
            Ok(Pushed::Full) => outcome.full += 1,
            Ok(Pushed::Oversize) | Err(_) => outcome.refused += 1,
        }
    }
    ring.publish();
    outcome
}

/// Take up to `most` frames into the arena; how many, and the errno if the ring is broken.
pub fn receive(ring: &mut Ring, receiver: &mut Receiver, most: usize) -> (usize, Option<i32>) {
    let mut count = 0;
    while count < most {
        match ring.pop(receiver.slot(count)) {
            Ok(Some(popped)) => receiver.fill(count, popped.octets, popped.truncated),
            Ok(None) => break,
            Err(_) => return (count, Some(libc::EPROTO)),
        }
        count += 1;
    }
    match ring.sleep() {
        Ok(_) => (count, None),
        Err(_) => (count, Some(libc::EPROTO)),
    }
}
