//! Everything behind the lock: the plane, its endpoints, and what a turn does.

use crate::burst::{Burst, Parcel};
use crate::clock::monotonic_ns;
use crate::endpoint::{Descriptor, Endpoint, Endpoints, Kind, Prepared};
use crate::error::{Error, Result, in_range};
use crate::events::Event;
use crate::frame::{Form, HEADER_OCTETS, TAG_OCTETS};
use crate::limits::{
    COUNT_MAX, FRAMES_AT_DETACH, FRAMES_PER_SHORT_TURN, FRAMES_PER_TURN, LONE_ROUNDS, LONE_TURNS, Limits,
    OCTETS_PER_TURN, QUEUED_PER_TURN, next_turn,
};
use crate::offload::{Offload, Work};
use crate::outbox::{Item, Outbox};
use crate::overlay::{self, Overlay, Terms};
use crate::plane::{Inbound, Plane};
use crate::poller::{Poller, Ready, token};
use crate::port::DropReason;
use crate::receive::Receiver;
use crate::room::Room;
use crate::segment::Segments;
use crate::send::{Leaving, Sender};
use crate::shared;
use frame_ring::Ring;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

pub struct State {
    pub plane: Plane,
    poller: Arc<Poller>,
    endpoints: Endpoints,
    outbox: Outbox,
    receiver: Receiver,
    segments: Segments,
    sender: Sender,
    /// None: not to be had, or not wanted, or not tried yet.
    burst: Option<Burst>,
    wants_burst: bool,
    parcels: Vec<Parcel>,
    /// An endpoint's items, once unfinished frames among them have become ordinary ones.
    ordinary: Vec<Item>,
    rounds: u64,
    /// Which endpoint that steadily sends single frames was served last, and in which round.
    lone: Option<(u32, u64)>,
    /// Of the last poll; while the thread runs, the clock is asked instead.
    pub polled_ns: u64,
    pub running: bool,
    pub closed: bool,
    announced: bool,
}

/// One endpoint's turn to be read.
struct Turn {
    fd: RawFd,
    kind: Kind,
    port: u16,
    now_ns: u64,
    frames: usize,
    deliveries: usize,
    /// Of the last reading.
    error: Option<i32>,
}

impl State {
    pub fn new(limits: Limits, seed: u64, io_uring: bool, poller: Arc<Poller>) -> Self {
        State {
            plane: Plane::new(limits, seed),
            poller,
            endpoints: Endpoints::default(),
            outbox: Outbox::default(),
            receiver: Receiver::new(limits.max_frame_octets),
            segments: Segments::default(),
            sender: Sender::new(),
            burst: None,
            wants_burst: io_uring,
            parcels: Vec::new(),
            ordinary: Vec::new(),
            rounds: 0,
            lone: None,
            polled_ns: 0,
            running: false,
            closed: false,
            announced: false,
        }
    }

    /// Own `fd` if all goes well.
    pub fn attach(&mut self, port: u64, endpoint: u64, fd: RawFd, descriptor: Descriptor) -> Result<()> {
        self.attach_as(port, endpoint, fd, descriptor, None)
    }

    /// Own `fd`, a UDP socket, as a VXLAN network, if all goes well.
    pub fn attach_overlay(&mut self, port: u64, endpoint: u64, fd: RawFd, terms: Terms) -> Result<()> {
        self.attach_as(port, endpoint, fd, Descriptor::Socket, Some(terms))
    }

    fn attach_as(
        &mut self,
        port: u64,
        endpoint: u64,
        fd: RawFd,
        descriptor: Descriptor,
        terms: Option<Terms>,
    ) -> Result<()> {
        if self.closed {
            return Err(Error::State("attach: the forwarder is closed"));
        }
        in_range("endpoint", endpoint, COUNT_MAX)?;
        let port = self.plane.check_port(port)?;
        if self.endpoints.contains(endpoint) {
            return Err(Error::Invalid(format!("endpoint {endpoint} exists")));
        }
        let limits = self.plane.limits;
        let prepared = Prepared::new(fd, descriptor, limits.send_buffer_octets)?;
        let (number, serial) = (endpoint as u32, self.endpoints.next_serial());
        self.poller.add(fd, token(number, serial))?;
        // SAFETY: the contract of `attach`: the descriptor is ours from here on.
        let mut endpoint = unsafe { prepared.own(number, port, serial, limits.queue_frames) };
        if let Some(terms) = terms {
            endpoint.kind = Kind::Overlay;
            endpoint.room = Room::NONE;
            endpoint.overlay = Some(Box::new(Overlay::new(terms)));
        }
        if descriptor == Descriptor::TapVnet {
            self.receiver.grow();
        }
        let slot = self.endpoints.insert(endpoint);
        self.plane.add_endpoint(port, slot);
        Ok(())
    }

    /// Own the rings, and `fd`, which is another descriptor of what the ring's own one is, if all goes well.
    pub fn attach_ring(&mut self, port: u64, endpoint: u64, fd: RawFd, ring: Ring) -> Result<()> {
        if self.closed {
            return Err(Error::State("attach: the forwarder is closed"));
        }
        in_range("endpoint", endpoint, COUNT_MAX)?;
        let port = self.plane.check_port(port)?;
        if self.endpoints.contains(endpoint) {
            return Err(Error::Invalid(format!("endpoint {endpoint} exists")));
        }
        let (number, serial) = (endpoint as u32, self.endpoints.next_serial());
        self.poller.add(fd, token(number, serial))?;
        // SAFETY: it is open, as the poller has found; the contract of `attach_ring`: it is ours from here on.
        let endpoint = unsafe { Endpoint::of_ring(number, port, serial, fd, ring) };
        let slot = self.endpoints.insert(endpoint);
        self.plane.add_endpoint(port, slot);
        Ok(())
    }

    pub fn detach(&mut self, endpoint: u64) -> Result<()> {
        let slot = self.endpoints.slot(endpoint)?;
        self.take_rest(slot);
        self.remove(slot);
        Ok(())
    }

    /// Forward what a client had sent before it left and its socket still holds.
    fn take_rest(&mut self, slot: u32) {
        let Some(endpoint) = self.endpoints.get(slot) else {
            return;
        };
        if endpoint.failed || !matches!(endpoint.kind, Kind::Datagram | Kind::Seqpacket) {
            return;
        }
        let now_ns = if self.running { monotonic_ns() } else { self.polled_ns };
        let (fd, kind, port) = (endpoint.as_raw_fd(), endpoint.kind, endpoint.port);
        let mut turn = Turn { fd, kind, port, now_ns, frames: 0, deliveries: 0, error: None };
        let mut taken = 0;
        while taken < FRAMES_AT_DETACH && turn.error.is_none() {
            self.receive_batch(&mut turn, FRAMES_PER_TURN, None);
            if turn.frames == taken {
                break;
            }
            taken = turn.frames;
        }
    }

    pub fn set_queue(&mut self, endpoint: u64, frames: u64) -> Result<()> {
        let slot = self.endpoints.slot(endpoint)?;
        let most = in_range("queue", frames, COUNT_MAX)? as usize;
        if let Some(endpoint) = self.endpoints.get_mut(slot) {
            endpoint.queue.most = most;
        }
        Ok(())
    }

    pub fn queue_length(&self, endpoint: u64) -> Result<usize> {
        let slot = self.endpoints.slot(endpoint)?;
        Ok(self.endpoints.get(slot).map_or(0, |endpoint| endpoint.queue.len()))
    }

    pub fn transmit(&mut self, port: u64, frame: &[u8]) -> Result<()> {
        let port = self.plane.check_port(port)?;
        let most = self.plane.limits.max_frame_octets + TAG_OCTETS;
        if !(HEADER_OCTETS..=most).contains(&frame.len()) {
            return Err(Error::Invalid(format!("frame of {} octets: {HEADER_OCTETS} to {most} can go", frame.len())));
        }
        let now_ns = if self.running { monotonic_ns() } else { self.polled_ns };
        self.plane.egress(port, frame, now_ns, &mut self.outbox);
        let State { outbox, endpoints, plane, sender, poller, .. } = self;
        outbox.drain(|slot, items| {
            if let Some(endpoint) = endpoints.get_mut(slot) {
                deliver(endpoint, plane, sender, poller, items, |_| (frame, Offload::NONE));
            }
        });
        Ok(())
    }

    /// Close every endpoint's descriptor.
    pub fn close(&mut self) {
        self.closed = true;
        self.burst = None;
        for slot in self.endpoints.used() {
            self.remove(slot);
        }
    }

    /// Have a ring, if that is wanted and possible. Not done at once, but when forwarding begins: a ring does not stand
    /// a daemon's fork.
    pub fn prepare(&mut self) {
        if std::mem::take(&mut self.wants_burst) {
            self.burst = Burst::new().ok();
        }
    }

    /// Are whole turns sent by one system call?
    pub fn uses_io_uring(&mut self) -> bool {
        self.prepare();
        self.burst.is_some()
    }

    pub fn take_events(&mut self) -> Vec<Event> {
        if self.announced {
            self.announced = false;
            self.poller.clear_announcement();
        }
        self.plane.take_events()
    }

    /// Tell policy, once, that there are events.
    pub fn announce(&mut self) {
        if self.running && !self.announced && !self.plane.events.is_empty() {
            self.announced = true;
            self.poller.announce();
        }
    }

    /// There will be turns.
    pub fn begin_round(&mut self) {
        self.rounds += 1;
    }

    /// Serve one endpoint, if it is still the one that was ready.
    pub fn turn(&mut self, ready: Ready, now_ns: u64) {
        let Ok(slot) = self.endpoints.slot(u64::from(ready.number)) else {
            return;
        };
        if self.endpoints.get(slot).is_none_or(|endpoint| endpoint.serial != ready.serial || endpoint.failed) {
            return;
        }
        if ready.room() {
            self.send_queued(slot);
        }
        if ready.input() {
            self.receive(slot, now_ns, ready.hung_up());
        }
    }

    /// Take some of an endpoint's frames, and send them on.
    fn receive(&mut self, slot: u32, now_ns: u64, hung_up: bool) {
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        if endpoint.ring.is_some() {
            return self.receive_ring(slot, now_ns);
        }
        let singly = !endpoint.bursty && endpoint.last_round.wrapping_add(1) != self.rounds;
        let hurry =
            self.lone.is_some_and(|(number, round)| number != endpoint.number && self.rounds - round < LONE_ROUNDS);
        let most = match (singly, hurry) {
            (true, _) => 1,
            (false, true) => endpoint.frames_per_turn.min(FRAMES_PER_SHORT_TURN),
            (false, false) => endpoint.frames_per_turn,
        };
        let (fd, kind, port) = (endpoint.as_raw_fd(), endpoint.kind, endpoint.port);
        let mut turn = Turn { fd, kind, port, now_ns, frames: 0, deliveries: 0, error: None };
        let mut overlay = endpoint.overlay.take();
        self.receive_batch(&mut turn, most, overlay.as_deref_mut());
        if let Some(endpoint) = self.endpoints.get_mut(slot) {
            endpoint.overlay = overlay;
            (endpoint.bursty, endpoint.last_round) = (turn.frames > 1, self.rounds);
            endpoint.frames_per_turn = next_turn(turn.frames, turn.deliveries);
            endpoint.lone_turns = if singly && turn.frames == 1 { endpoint.lone_turns.saturating_add(1) } else { 0 };
            if endpoint.lone_turns >= LONE_TURNS {
                self.lone = Some((endpoint.number, self.rounds));
            }
        }
        match turn.error {
            None => {}
            Some(libc::EAGAIN) if hung_up && turn.frames == 0 => self.fail(slot, libc::ECONNRESET),
            Some(libc::EAGAIN) => {}
            Some(errno) if kind.survives(errno) => {}
            Some(errno) => self.fail(slot, errno),
        }
    }

    /// Likewise, from shared memory. Its descriptor stays readable until its ring is empty.
    fn receive_ring(&mut self, slot: u32, now_ns: u64) {
        let State { endpoints, receiver, .. } = self;
        let Some(endpoint) = endpoints.get_mut(slot) else {
            return;
        };
        let (port, most) = (endpoint.port, endpoint.frames_per_turn);
        let Some(ring) = &mut endpoint.ring else {
            return;
        };
        receiver.begin();
        let (count, broken) = shared::receive(ring, receiver, most);
        for index in 0..count {
            let inbound = Inbound { octets: self.receiver.frame(index), number: index as u16 };
            let truncated = self.receiver.received(index).truncated;
            self.plane.ingress(port, inbound, truncated, now_ns, &mut self.outbox);
        }
        if let Some(endpoint) = self.endpoints.get_mut(slot) {
            endpoint.frames_per_turn = next_turn(count, self.outbox.items());
        }
        self.send_outbox();
        if let Some(errno) = broken {
            self.fail(slot, errno);
        }
    }

    fn receive_batch(&mut self, turn: &mut Turn, most: usize, mut overlay: Option<&mut Overlay>) {
        self.receiver.begin();
        self.segments.clear();
        let (mut count, mut octets) = (0, 0);
        let mut take = || -> std::io::Result<()> {
            if let Some(overlay) = overlay.as_deref_mut() {
                count = overlay.receive(turn.fd, &mut self.receiver, most)?;
            } else if turn.kind == Kind::Tap {
                while count < most {
                    self.receiver.take_read(turn.fd, count)?;
                    count += 1;
                }
            } else if turn.kind == Kind::TapVnet {
                while count < most && octets < OCTETS_PER_TURN {
                    self.receiver.take_vnet(turn.fd, count)?;
                    octets += self.receiver.received(count).octets;
                    count += 1;
                }
            } else if most == 1 {
                self.receiver.take_message(turn.fd)?;
                count = 1;
            } else {
                count = self.receiver.take_messages(turn.fd, most)?;
            }
            Ok(())
        };
        if let Err(error) = take() {
            turn.error = error.raw_os_error();
        }
        for index in 0..count {
            let received = self.receiver.received(index);
            if received.octets == 0 && turn.kind.is_connection() {
                turn.error = Some(libc::ECONNRESET);
                break;
            }
            turn.frames += 1;
            if self.receiver.unfinished() && !self.receiver.offload(index).0.is_none() {
                self.take_unfinished(turn, index);
                continue;
            }
            let inbound = Inbound { octets: self.receiver.frame(index), number: index as u16 };
            if overlay.as_deref_mut().is_some_and(|overlay| !overlay.accept(index, inbound.octets)) {
                self.plane.drop_frame(turn.port, DropReason::Overlay);
                continue;
            }
            self.plane.ingress(turn.port, inbound, received.truncated, turn.now_ns, &mut self.outbox);
        }
        turn.deliveries += self.outbox.items();
        turn.deliveries += self.send_outbox();
    }

    /// A frame with a header that says something came in.
    fn take_unfinished(&mut self, turn: &Turn, index: usize) {
        if !self.receiver.check_offload(index) {
            return self.plane.drop_frame(turn.port, DropReason::Offload);
        }
        let State { receiver, segments, plane, outbox, .. } = self;
        let (frame, number, (_, work)) = (receiver.frame(index), index as u16, receiver.offload(index));
        let longest = match work {
            Work::Segment(plan) => plan.longest(frame.len()),
            Work::Nothing | Work::Checksum { .. } => frame.len(),
        };
        let oversize = receiver.received(index).truncated || longest > plane.limits.max_frame_octets;
        if oversize || !plane.looks_at(frame) {
            plane.ingress_checked(turn.port, Inbound { octets: frame, number }, oversize, turn.now_ns, outbox);
            return;
        }
        for number in segments.of(number, frame, work) {
            let inbound = Inbound { octets: segments.frame(usize::from(number)), number };
            plane.ingress(turn.port, inbound, false, turn.now_ns, outbox);
        }
    }

    /// Send what the arena's frames have become: in one burst where that keeps their order, else endpoint by endpoint.
    ///
    /// Returns how many frames more than the lists have it sent, segments of unfinished ones.
    fn send_outbox(&mut self) -> usize {
        let State { outbox, endpoints, plane, sender, burst, parcels, poller, receiver, segments, ordinary, .. } = self;
        let bursts = burst.is_some() && (outbox.items() > 1 || receiver.unfinished());
        let mut more = 0;
        outbox.drain(|slot, items| {
            let Some(endpoint) = endpoints.get_mut(slot) else {
                return;
            };
            let fd = endpoint.fd.as_raw_fd();
            let items = if receiver.unfinished() && endpoint.kind != Kind::TapVnet {
                make_ordinary(items, receiver, segments, ordinary);
                more += ordinary.len() - items.len();
                &ordinary[..]
            } else {
                items
            };
            let frame = |number: usize| frame_of(receiver, segments, number);
            let lengths = items.iter().map(|item| item.form.octets(frame(usize::from(item.frame)).0.len()));
            if bursts && endpoint.queue.is_empty() && endpoint.room.take(fd, lengths) {
                parcels.extend(items.iter().map(|&item| Parcel { slot, fd, item }));
            } else {
                deliver(endpoint, plane, sender, poller, items, frame);
            }
        });
        if let (Some(ring), false) = (burst.as_mut(), parcels.is_empty()) {
            let outcome = ring.send(
                parcels,
                |number| frame_of(receiver, segments, number).0,
                |parcel, result| {
                    if result < 0 {
                        if let Some(endpoint) = endpoints.get_mut(parcel.slot) {
                            settle_refusal(endpoint, plane, poller, -result, || {
                                parcel.item.form.copy(frame_of(receiver, segments, usize::from(parcel.item.frame)).0)
                            });
                        }
                    }
                },
            );
            if outcome.is_err() {
                *burst = None; // from now on without
            }
            parcels.clear();
        }
        more
    }

    fn send_queued(&mut self, slot: u32) {
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        let queue = &endpoint.queue;
        let count = queue.len().min(QUEUED_PER_TURN);
        let sent = self.sender.send(endpoint.fd.as_raw_fd(), endpoint.kind, count, |index| Leaving {
            octets: queue.get(index),
            form: Form::AsIs,
            header: None, // it stands before the octets, if there is one
        });
        endpoint.queue.remove_front(sent.done);
        endpoint.room.forget();
        let port = endpoint.port;
        if endpoint.queue.is_empty() {
            want_room(endpoint, &self.poller, false);
        }
        self.plane.drop_frames(port, DropReason::SendError, sent.refused);
    }

    fn fail(&mut self, slot: u32, errno: i32) {
        if let Some(endpoint) = self.endpoints.get_mut(slot) {
            endpoint.failed = true;
            endpoint.queue.clear();
            endpoint.wants_room = false;
            let _ = self.poller.remove(endpoint.as_raw_fd()); // it can only be gone already
            self.plane.events.push(Event::EndpointFailed { endpoint: endpoint.number, errno });
        }
    }

    fn remove(&mut self, slot: u32) {
        if let Some(endpoint) = self.endpoints.remove(slot) {
            if !endpoint.failed {
                let _ = self.poller.remove(endpoint.as_raw_fd()); // likewise
            }
            self.plane.remove_endpoint(endpoint.port, slot);
        }
    }
}

/// A frame of this turn, and the header it has if it is unfinished.
fn frame_of<'a>(receiver: &'a Receiver, segments: &'a Segments, number: usize) -> (&'a [u8], Offload) {
    if number < FRAMES_PER_TURN {
        (receiver.frame(number), receiver.offload(number).0)
    } else {
        (segments.frame(number), Offload::NONE)
    }
}

/// `items` into `ordinary`, with the segments instead of unfinished frames.
fn make_ordinary(items: &[Item], receiver: &Receiver, segments: &mut Segments, ordinary: &mut Vec<Item>) {
    ordinary.clear();
    for &item in items {
        let number = usize::from(item.frame);
        if number >= FRAMES_PER_TURN || receiver.offload(number).0.is_none() {
            ordinary.push(item);
        } else {
            let numbers = segments.of(item.frame, receiver.frame(number), receiver.offload(number).1);
            ordinary.extend(numbers.map(|frame| Item { frame, form: item.form }));
        }
    }
}

/// Rule 10: send an endpoint its items; what the kernel does not take goes to its queue.
fn deliver<'a>(
    endpoint: &mut Endpoint,
    plane: &mut Plane,
    sender: &mut Sender,
    poller: &Poller,
    items: &[Item],
    frame: impl Fn(usize) -> (&'a [u8], Offload),
) {
    if let Some(ring) = &mut endpoint.ring {
        let outcome = shared::send(ring, items, |number| frame(number).0);
        if outcome != shared::Outcome::default() {
            plane.drop_frames(endpoint.port, DropReason::QueueFull, outcome.full);
            plane.drop_frames(endpoint.port, DropReason::SendError, outcome.refused);
        }
        return;
    }
    if let Some(overlay) = &mut endpoint.overlay {
        let outcome = overlay.send(endpoint.fd.as_raw_fd(), items, |number| frame(number).0);
        if outcome != overlay::Outcome::default() {
            plane.drop_frames(endpoint.port, DropReason::QueueFull, outcome.full);
            plane.drop_frames(endpoint.port, DropReason::SendError, outcome.refused);
        }
        return;
    }
    let with_header = endpoint.kind == Kind::TapVnet;
    endpoint.room.forget();
    let (mut done, mut lost) = (0, 0);
    while endpoint.queue.is_empty() && done < items.len() {
        let rest = &items[done..];
        let sent = sender.send(endpoint.fd.as_raw_fd(), endpoint.kind, rest.len(), |index| {
            let Item { frame: number, form } = rest[index];
            let (octets, offload) = frame(usize::from(number));
            Leaving { octets, form, header: with_header.then(|| offload.of_form(form)) }
        });
        done += sent.done;
        if sent.refused > 0 {
            plane.drop_frames(endpoint.port, DropReason::SendError, sent.refused);
        }
        if sent.done < rest.len() {
            // The kernel has no room.
            if endpoint.failed || endpoint.queue.is_full() {
                lost += 1; // nor is there a queue: the next one tries for itself
                done += 1;
            } else {
                break;
            }
        }
    }
    for item in &items[done..] {
        if endpoint.queue.is_full() {
            lost += 1;
        } else {
            let (octets, offload) = frame(usize::from(item.frame));
            let copy = item.form.copy(octets);
            endpoint.queue.push(if with_header {
                [&offload.of_form(item.form).emit(), &*copy].concat().into_boxed_slice()
            } else {
                copy
            });
        }
    }
    if lost > 0 {
        plane.drop_frames(endpoint.port, DropReason::QueueFull, lost);
    }
    if !endpoint.queue.is_empty() {
        want_room(endpoint, poller, true);
    }
}

/// Rule 10, of a frame in a burst that the kernel did not take.
fn settle_refusal(
    endpoint: &mut Endpoint,
    plane: &mut Plane,
    poller: &Poller,
    errno: i32,
    copy: impl FnOnce() -> Box<[u8]>,
) {
    if !matches!(errno, libc::EAGAIN | libc::ENOBUFS) {
        plane.drop_frame(endpoint.port, DropReason::SendError);
        return;
    }
    endpoint.room.distrust();
    if endpoint.failed || endpoint.queue.is_full() {
        plane.drop_frame(endpoint.port, DropReason::QueueFull);
    } else {
        endpoint.queue.push(copy());
        want_room(endpoint, poller, true);
    }
}

fn want_room(endpoint: &mut Endpoint, poller: &Poller, wanted: bool) {
    if endpoint.wants_room != wanted {
        endpoint.wants_room = wanted;
        let token = token(endpoint.number, endpoint.serial);
        let _ = poller.want_room(endpoint.as_raw_fd(), token, wanted); // of a polled descriptor: it cannot fail
    }
}
