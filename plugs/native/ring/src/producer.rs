//! The side of a ring that writes.

use crate::bell::Bell;
use crate::memory::{Memory, take_flag};
use crate::{Broken, RECORD_HEADER_OCTETS, record_octets};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It leaves at the next `publish`.
    Taken,
    /// There is no room now.
    Full,
    /// Longer than the ring's longest frame: not for this ring.
    Oversize,
}

#[derive(Debug)]
pub struct Producer {
    memory: Arc<Memory>,
    ring: usize,
    /// Rung when the consumer sleeps.
    bell: Bell,
    head: u32,
    published: u32,
    /// As last seen, and checked.
    tail: u32,
}

impl Producer {
    pub(crate) fn new(memory: Arc<Memory>, ring: usize, bell: Bell) -> Self {
        let head = memory.control(ring).head.load(Ordering::Relaxed) & !7;
        let tail = head.wrapping_sub(memory.layout().ring_octets()); // as if it were full: the first frame looks
        Producer { memory, ring, bell, head, published: head, tail }
    }

    /// Write a frame, given in pieces.
    pub fn push(&mut self, pieces: &[&[u8]]) -> Result<Pushed, Broken> {
        let octets: usize = pieces.iter().map(|piece| piece.len()).sum();
        if octets > self.memory.layout().frame_octets() as usize {
            return Ok(Pushed::Oversize);
        }
        let record = record_octets(octets as u32);
        if record > self.free() {
            self.look_at_tail()?;
            if record > self.free() {
                return Ok(Pushed::Full);
            }
        }
        let mut at = self.memory.at(self.ring, self.head);
        // SAFETY: from `at` on a whole ring is mapped, of which the record takes a part that is ours until `publish`.
        // The peer may write there nevertheless; nobody reads it here.
        unsafe {
            at.cast::<[u32; 2]>().write_volatile([octets as u32, 0]);
            at = at.add(RECORD_HEADER_OCTETS as usize);
            for piece in pieces {
                ptr::copy_nonoverlapping(piece.as_ptr(), at, piece.len());
                at = at.add(piece.len());
            }
        }
        self.head = self.head.wrapping_add(record);
        Ok(Pushed::Taken)
    }

    /// Let the consumer have what was pushed, and wake it if it sleeps.
    pub fn publish(&mut self) {
        if self.published == self.head {
            return;
        }
        self.published = self.head;
        let control = self.memory.control(self.ring);
        control.head.store(self.head, Ordering::Release);
        fence(Ordering::SeqCst);
        if take_flag(control.consumer_sleeps) {
            self.bell.ring();
        }
    }

    /// Ask for a bell when there is room for a longest frame. Is there already? Then none is asked for.
    pub fn wait_for_room(&mut self) -> Result<bool, Broken> {
        let control = self.memory.control(self.ring);
        control.producer_waits.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.look_at_tail()?;
        if record_octets(self.memory.layout().frame_octets()) <= self.free() {
            self.memory.control(self.ring).producer_waits.store(0, Ordering::Relaxed);
            return Ok(true);
        }
        Ok(false)
    }

    pub(crate) fn into_bell(self) -> Bell {
        self.bell
    }

    fn free(&self) -> u32 {
        self.memory.layout().ring_octets() - self.head.wrapping_sub(self.tail)
    }

    fn look_at_tail(&mut self) -> Result<(), Broken> {
        let tail = self.memory.control(self.ring).tail.load(Ordering::Acquire);
        if self.head.wrapping_sub(tail) > self.memory.layout().ring_octets() || tail % 8 != 0 {
            return Err(Broken);
        }
        self.tail = tail;
        Ok(())
    }
}
