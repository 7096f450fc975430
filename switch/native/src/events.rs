//! What policy hears of, in a bounded queue.

use crate::fdb::Entry;
use crate::frame::Mac;
use crate::limits::EVENT_OCTETS;
use std::collections::VecDeque;

/// `terms.Watch`.
pub const WATCH_HASH: u32 = 1;
pub const WATCH_PACKETS: u32 = 2;

/// `terms.Direction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Direction {
    In = 1,
    Out = 2,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Bpdu { port: u16, vlan: u16, frame: Box<[u8]> },
    Learned { mac: Mac, vlan: u16, port: u16 },
    Forgot { mac: Mac, vlan: u16, port: u16 },
    Packet { direction: Direction, port: u16, vlan: Option<u16>, frame: Box<[u8]>, when_ns: u64 },
    EndpointFailed { endpoint: u32, errno: i32 },
}

impl Event {
    pub fn forgot(entry: &Entry) -> Self {
        Event::Forgot { mac: entry.key.mac(), vlan: entry.key.vlan(), port: entry.port }
    }

    fn octets(&self) -> usize {
        match self {
            Event::Bpdu { frame, .. } | Event::Packet { frame, .. } => frame.len(),
            _ => 0,
        }
    }
}

/// Bounded in number and in octets. An eighth of the room is kept for `Bpdu`; an `EndpointFailed` (there is one at
/// most an endpoint) always fits.
#[derive(Debug)]
pub struct EventQueue {
    waiting: VecDeque<Event>,
    octets: usize,
    most: usize,
    lost: u64,
}

impl EventQueue {
    pub fn new(most: usize) -> Self {
        EventQueue { waiting: VecDeque::new(), octets: 0, most, lost: 0 }
    }

    pub fn push(&mut self, event: Event) {
        let octets = event.octets();
        let fits = match event {
            Event::EndpointFailed { .. } => true,
            Event::Bpdu { .. } => self.has_room(self.most, octets),
            _ => self.has_room(self.most - self.most / 8, octets),
        };
        if fits {
            self.octets += octets;
            self.waiting.push_back(event);
        } else {
            self.lost += 1;
        }
    }

    pub fn take(&mut self) -> Vec<Event> {
        self.octets = 0;
        std::mem::take(&mut self.waiting).into()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn has_room(&self, most: usize, octets: usize) -> bool {
        self.waiting.len() < most && self.octets + octets <= EVENT_OCTETS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bpdu(octets: usize) -> Event {
        Event::Bpdu { port: 1, vlan: 0, frame: vec![0; octets].into() }
    }

    const LEARNED: Event = Event::Learned { mac: [2; 6], vlan: 0, port: 1 };
    const FAILED: Event = Event::EndpointFailed { endpoint: 1, errno: 5 };

    #[test]
    fn room_is_kept_for_what_matters() {
        let mut queue = EventQueue::new(16);
        (0..20).for_each(|_| queue.push(LEARNED));
        assert_eq!((queue.waiting.len(), queue.lost()), (14, 6));
        (0..3).for_each(|_| queue.push(bpdu(60)));
        assert_eq!((queue.waiting.len(), queue.lost()), (16, 7));
        queue.push(FAILED);
        assert_eq!(queue.take().len(), 17);
        assert!(queue.is_empty());
    }

    #[test]
    fn octets_are_bounded_too() {
        let mut queue = EventQueue::new(1 << 20);
        (0..300).for_each(|_| queue.push(bpdu(65535)));
        assert_eq!(queue.take().len(), EVENT_OCTETS / 65535);
        queue.push(bpdu(65535));
        assert_eq!(queue.take().len(), 1);
    }
}
