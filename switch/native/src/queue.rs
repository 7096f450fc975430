//! Frames that wait until an endpoint's kernel buffer has room.

use std::collections::VecDeque;

/// Bounded, in order. Keeps no memory while empty.
#[derive(Debug)]
pub struct Queue {
    frames: VecDeque<Box<[u8]>>,
    pub most: usize,
}

impl Queue {
    pub fn new(most: usize) -> Self {
        Queue { frames: VecDeque::new(), most }
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub fn len(&self) -> usize {
        self.frames.len()
    }

    pub fn is_full(&self) -> bool {
        self.frames.len() >= self.most
    }

    pub fn push(&mut self, frame: Box<[u8]>) {
        self.frames.push_back(frame);
    }

    /// The frame at `index`, counted from the front.
    pub fn get(&self, index: usize) -> &[u8] {
        &self.frames[index]
    }

    /// The first `count` are gone.
    pub fn remove_front(&mut self, count: usize) {
        self.frames.drain(..count);
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
    }

    pub fn clear(&mut self) {
        self.frames = VecDeque::new();
    }
}
