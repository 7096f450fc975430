//! The side of a ring that reads.

use crate::bell::Bell;
use crate::memory::{Memory, take_flag};
use crate::{Broken, RECORD_HEADER_OCTETS, record_octets};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// A frame that was taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Popped {
    /// That are in the caller's buffer.
    pub octets: usize,
    /// It had more of them than fit, or than the ring's longest frame.
    pub truncated: bool,
}

#[derive(Debug)]
pub struct Consumer {
    memory: Arc<Memory>,
    ring: usize,
    /// Rung when the producer waits for room.
    bell: Bell,
    tail: u32,
    published: u32,
    /// As last seen, and checked.
    head: u32,
}

impl Consumer {
    pub(crate) fn new(memory: Arc<Memory>, ring: usize, bell: Bell) -> Self {
        let tail = memory.control(ring).tail.load(Ordering::Relaxed) & !7;
        Consumer { memory, ring, bell, tail, published: tail, head: tail }
    }

    /// Take the next frame out, if there is one.
    pub fn pop(&mut self, into: &mut [u8]) -> Result<Option<Popped>, Broken> {
        if self.is_empty()? {
            return Ok(None);
        }
        let at = self.memory.at(self.ring, self.tail);
        // SAFETY: from `at` on a whole ring is mapped; aligned, as positions are multiples of 8. Looked at once.
        let [octets, _] = unsafe { at.cast::<[u32; 2]>().read_volatile() };
        let waiting = self.head.wrapping_sub(self.tail);
        if octets > waiting - RECORD_HEADER_OCTETS || record_octets(octets) > waiting {
            return Err(Broken);
        }
        let fits = (octets as usize).min(into.len()).min(self.memory.layout().frame_octets() as usize);
        // SAFETY: the record is within what is mapped from `at` on. The peer may change it meanwhile: then the copy has
        // other octets, but as many.
        unsafe { ptr::copy_nonoverlapping(at.add(RECORD_HEADER_OCTETS as usize), into.as_mut_ptr(), fits) };
        self.tail = self.tail.wrapping_add(record_octets(octets));
        if self.tail.wrapping_sub(self.published) > self.memory.layout().ring_octets() / 8 {
            self.publish();
        }
        Ok(Some(Popped { octets: fits, truncated: fits < octets as usize }))
    }

    /// Is nothing there? Looks at head if all that was seen is taken.
    pub fn is_empty(&mut self) -> Result<bool, Broken> {
        if self.head == self.tail {
            self.look_at_head()?;
        }
        Ok(self.head == self.tail)
    }

    /// Give the producer the room of what was taken, and wake it if it waits and half of the ring is free.
    pub fn publish(&mut self) {
        if self.published == self.tail {
            return;
        }
        self.published = self.tail;
        let control = self.memory.control(self.ring);
        control.tail.store(self.tail, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.head.wrapping_sub(self.tail) <= self.memory.layout().ring_octets() / 2
            && take_flag(control.producer_waits)
        {
            self.bell.ring();
        }
    }

    /// Ask for a bell at the next frame. Had the last wish for one been heard?
    pub fn ask_for_bell(&mut self) -> bool {
        let heard = self.memory.control(self.ring).consumer_sleeps.swap(1, Ordering::Relaxed) == 0;
        fence(Ordering::SeqCst);
        heard
    }

    /// Ask for none. Had the wish for one been heard?
    pub fn ask_for_no_bell(&mut self) -> bool {
        self.memory.control(self.ring).consumer_sleeps.swap(0, Ordering::Relaxed) == 0
    }

    /// Is the wish for a bell still there?
    pub fn asks_for_bell(&self) -> bool {
        self.memory.control(self.ring).consumer_sleeps.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn into_bell(self) -> Bell {
        self.bell
    }

    fn look_at_head(&mut self) -> Result<(), Broken> {
        let head = self.memory.control(self.ring).head.load(Ordering::Acquire);
        if head.wrapping_sub(self.tail) > self.memory.layout().ring_octets() || head % 8 != 0 {
            return Err(Broken);
        }
        self.head = head;
        Ok(())
    }
}
