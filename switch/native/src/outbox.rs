//! What a turn's frames become: a list of frame numbers for every endpoint that gets any.

use crate::frame::Form;

/// One frame for one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its number in the turn's batch.
    pub frame: u16,
    pub form: Form,
}

/// Lists are kept, empty, from turn to turn.
#[derive(Debug, Default)]
pub struct Outbox {
    lists: Vec<Vec<Item>>,
    /// Slots with a list that is not empty, in the order of their first items.
    filled: Vec<u32>,
    items: usize,
}

impl Outbox {
    pub fn put(&mut self, slot: u32, item: Item) {
        let index = slot as usize;
        if self.lists.len() <= index {
            self.lists.resize_with(index + 1, Vec::new);
        }
        let list = &mut self.lists[index];
        if list.is_empty() {
            self.filled.push(slot);
        }
        list.push(item);
        self.items += 1;
    }

    /// Items since it was last drained.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Give every list that is not empty to `send`, and empty it.
    pub fn drain(&mut self, mut send: impl FnMut(u32, &[Item])) {
        for slot in self.filled.drain(..) {
            let list = &mut self.lists[slot as usize];
            send(slot, list);
            list.clear();
        }
        self.items = 0;
    }
}
