//! Both rings of one side, and their bells.

use crate::Broken;
use crate::bell::{Bell, Ear};
use crate::consumer::{Consumer, Popped};
use crate::memory::{Layout, Memory};
use crate::producer::{Producer, Pushed};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// Which side of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Made the memory and the bells.
    Listener,
    Connector,
}

impl Role {
    /// The rings that it writes and reads.
    fn rings(self) -> (usize, usize) {
        match self {
            Role::Listener => (1, 0),
            Role::Connector => (0, 1),
        }
    }
}

/// Descriptors for the connector, in the order in which they travel.
#[derive(Debug)]
pub struct Given {
    pub memory: OwnedFd,
    pub frames_ear: OwnedFd,
    pub room_ear: OwnedFd,
    pub frames_bell: OwnedFd,
    pub room_bell: OwnedFd,
}

impl Given {
    pub const COUNT: usize = 5;

    pub fn into_array(self) -> [OwnedFd; Self::COUNT] {
        [self.memory, self.frames_ear, self.room_ear, self.frames_bell, self.room_bell]
    }
}

impl From<[OwnedFd; Given::COUNT]> for Given {
    fn from([memory, frames_ear, room_ear, frames_bell, room_bell]: [OwnedFd; Self::COUNT]) -> Self {
        Given { memory, frames_ear, room_ear, frames_bell, room_bell }
    }
}

/// One side of a connection.
#[derive(Debug)]
pub struct Ring {
    role: Role,
    memory: OwnedFd,
    layout: Layout,
    producer: Producer,
    consumer: Consumer,
    rest: Rest,
    room_ear: Ear,
}

impl Ring {
    /// Make both sides' descriptors.
    pub fn create(layout: Layout) -> io::Result<(Self, Given)> {
        let (fd, memory) = Memory::create(layout)?;
        let (frames_ear, to_frames_ear) = Ear::new()?;
        let (room_ear, to_room_ear) = Ear::new()?;
        let (ear, frames_bell) = Ear::new()?;
        let (own_room_ear, room_bell) = Ear::new()?;
        let given = Given {
            memory: fd.try_clone()?,
            frames_ear: frames_ear.into(),
            room_ear: room_ear.into(),
            frames_bell: frames_bell.into(),
            room_bell: room_bell.into(),
        };
        let own_bell = ear.add_bell()?;
        let ring =
            Ring::assemble(Role::Listener, fd, memory, [to_frames_ear, to_room_ear, own_bell], [ear, own_room_ear])?;
        Ok((ring, given))
    }

    /// Be the connector, with what the listener gave.
    pub fn join(given: Given) -> io::Result<Self> {
        let memory = Memory::open(given.memory.as_fd())?;
        let ear = Ear::from(given.frames_ear);
        let own_bell = ear.add_bell()?;
        let bells = [given.frames_bell.into(), given.room_bell.into(), own_bell];
        Ring::assemble(Role::Connector, given.memory, memory, bells, [ear, given.room_ear.into()])
    }

    /// What `into_parts` of the same role made. They are dropped if they cannot be.
    pub fn from_parts(
        role: Role,
        [ear, memory, bell, room_bell, own_bell, room_ear]: [OwnedFd; 6],
    ) -> io::Result<Self> {
        let mapped = Memory::open(memory.as_fd())?;
        let bells = [bell.into(), room_bell.into(), own_bell.into()];
        Ring::assemble(role, memory, mapped, bells, [ear.into(), room_ear.into()])
    }

    fn assemble(
        role: Role,
        fd: OwnedFd,
        memory: Memory,
        [bell, room_bell, own_bell]: [Bell; 3],
        [ear, room_ear]: [Ear; 2],
    ) -> io::Result<Self> {
        let layout = memory.layout();
        let memory = Arc::new(memory);
        let (out, into) = role.rings();
        let producer = Producer::new(Arc::clone(&memory), out, bell);
        let consumer = Consumer::new(memory, into, room_bell);
        own_bell.ring(); // not asleep
        let rest = Rest { ear, own_bell, asked: false, owed: false };
        Ok(Ring { role, memory: fd, layout, producer, consumer, rest, room_ear })
    }

    /// For another owner in this process: the ear for frames, then memory, bells for frames and room, own bell, ear
    /// for room.
    pub fn into_parts(mut self) -> [OwnedFd; 6] {
        self.producer.publish();
        self.consumer.publish();
        let (bell, room_bell) = (self.producer.into_bell(), self.consumer.into_bell());
        let [bell, room_bell, own_bell] = [bell, room_bell, self.rest.own_bell].map(OwnedFd::from);
        [self.rest.ear.into(), self.memory, bell, room_bell, own_bell, self.room_ear.into()]
    }

    /// For two threads: one sends, the other receives.
    pub fn split(self) -> (Sender, Receiver) {
        let sender = Sender { producer: self.producer, room_ear: self.room_ear };
        (sender, Receiver { consumer: self.consumer, rest: self.rest })
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Readable when frames may be there, until `sleep`.
    pub fn frames_fd(&self) -> RawFd {
        self.rest.ear.as_raw_fd()
    }

    /// Readable when there may be room, after `wait_for_room`.
    pub fn room_fd(&self) -> RawFd {
        self.room_ear.as_raw_fd()
    }

    /// Write a frame, given in pieces; it leaves at the next `publish`.
    pub fn push(&mut self, pieces: &[&[u8]]) -> Result<Pushed, Broken> {
        self.producer.push(pieces)
    }

    /// Let what was pushed leave.
    pub fn publish(&mut self) {
        self.producer.publish();
    }

    /// Is there room for a longest frame? If not, `room_fd` will tell.
    pub fn wait_for_room(&mut self) -> Result<bool, Broken> {
        self.room_ear.clear();
        self.producer.wait_for_room()
    }

    /// Take the next frame out, if there is one.
    pub fn pop(&mut self, into: &mut [u8]) -> Result<Option<Popped>, Broken> {
        self.consumer.pop(into)
    }

    /// Give back the room of what was taken. If nothing more is there, `frames_fd` is not readable from now on until
    /// there is: returns true. To be called after a batch.
    pub fn sleep(&mut self) -> Result<bool, Broken> {
        self.consumer.publish();
        self.rest.begin(&mut self.consumer)
    }
}

/// A consumer's sleep. While it is awake, its ear is readable, or will be as soon as the producer has got round to it.
#[derive(Debug)]
struct Rest {
    ear: Ear,
    own_bell: Bell,
    /// A bell was asked for, and that it was heard has not been seen.
    asked: bool,
    /// A wish for a bell was heard, and the bell not yet.
    owed: bool,
}

impl Rest {
    /// Fall asleep, unless frames are there. The order is: ask for a bell, look, forget what rang, look again. What
    /// comes before the second look may have rung in vain; then we ring ourselves.
    fn begin(&mut self, consumer: &mut Consumer) -> Result<bool, Broken> {
        let heard = consumer.ask_for_bell();
        let was_asleep = self.asked && !heard;
        self.owed |= self.asked && heard;
        self.asked = true;
        let silent = if consumer.is_empty()? {
            self.clear();
            if consumer.is_empty()? {
                return Ok(true);
            }
            true
        } else {
            was_asleep // nobody has rung, and nobody will
        };
        self.owed |= consumer.ask_for_no_bell();
        self.asked = false;
        if silent {
            self.own_bell.ring();
        }
        Ok(false)
    }

    /// Nothing is there. Had the ear told of something nevertheless? A producer can be slow to ring, and frames gone
    /// by then. (It rings one bell before it hears the next wish, so one at most is late.)
    fn disturbed(&mut self, consumer: &mut Consumer) -> Result<bool, Broken> {
        if self.asked && consumer.asks_for_bell() {
            return Ok(self.owed && self.clear());
        }
        let owed = self.owed || self.asked;
        self.begin(consumer)?;
        Ok(owed && !self.owed)
    }

    fn clear(&mut self) -> bool {
        let rang = self.ear.clear();
        self.owed &= !rang;
        rang
    }
}

/// The sending half.
#[derive(Debug)]
pub struct Sender {
    producer: Producer,
    room_ear: Ear,
}

impl Sender {
    /// Send one frame now.
    pub fn send(&mut self, frame: &[u8]) -> Result<Pushed, Broken> {
        let pushed = self.producer.push(&[frame])?;
        self.producer.publish();
        Ok(pushed)
    }

    /// As `Ring::wait_for_room`.
    pub fn wait_for_room(&mut self) -> Result<bool, Broken> {
        self.room_ear.clear();
        self.producer.wait_for_room()
    }

    pub fn room_fd(&self) -> RawFd {
        self.room_ear.as_raw_fd()
    }
}

/// The receiving half.
#[derive(Debug)]
pub struct Receiver {
    consumer: Consumer,
    rest: Rest,
}

/// What a receiver finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    Frame(Popped),
    Nothing,
    /// Nothing, although `frames_fd` was readable.
    InVain,
}

impl Receiver {
    /// Take one frame. `frames_fd` is readable afterwards if and only if another one is there (or comes).
    pub fn receive(&mut self, into: &mut [u8]) -> Result<Received, Broken> {
        let Some(popped) = self.consumer.pop(into)? else {
            let in_vain = self.rest.disturbed(&mut self.consumer)?;
            return Ok(if in_vain { Received::InVain } else { Received::Nothing });
        };
        if self.consumer.is_empty()? {
            self.settle()?;
        }
        Ok(Received::Frame(popped))
    }

    /// Make `frames_fd` tell the truth: at first it is readable, whatever is there.
    pub fn settle(&mut self) -> Result<(), Broken> {
        self.consumer.publish();
        self.rest.begin(&mut self.consumer).map(drop)
    }

    pub fn frames_fd(&self) -> RawFd {
        self.rest.ear.as_raw_fd()
    }
}
