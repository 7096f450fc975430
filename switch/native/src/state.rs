//! Everything behind the lock: the plane, its endpoints, and what a turn does.

use crate::clock::monotonic_ns;
use crate::endpoint::{Endpoints, Prepared};
use crate::error::{Error, Result, in_range};
use crate::events::Event;
use crate::frame::{Form, HEADER_OCTETS, TAG_OCTETS};
use crate::limits::{COUNT_MAX, FRAMES_PER_TURN, Limits, QUEUED_PER_TURN, next_turn};
use crate::outbox::{Item, Outbox};
use crate::plane::{Inbound, Plane};
use crate::poller::{Poller, Ready, token};
use crate::port::DropReason;
use crate::receive::Receiver;
use crate::send::Sender;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

pub struct State {
    pub plane: Plane,
    poller: Arc<Poller>,
    endpoints: Endpoints,
    outbox: Outbox,
    receiver: Receiver,
    sender: Sender,
    /// Of the last poll; while the thread runs, the clock is asked instead.
    pub polled_ns: u64,
    pub running: bool,
    pub closed: bool,
    announced: bool,
}

impl State {
    pub fn new(limits: Limits, seed: u64, poller: Arc<Poller>) -> Self {
        State {
            plane: Plane::new(limits, seed),
            poller,
            endpoints: Endpoints::default(),
            outbox: Outbox::default(),
            receiver: Receiver::new(limits.max_frame_octets),
            sender: Sender::new(),
            polled_ns: 0,
            running: false,
            closed: false,
            announced: false,
        }
    }

    /// Own `fd` if all goes well.
    pub fn attach(&mut self, port: u64, endpoint: u64, fd: RawFd, is_socket: bool) -> Result<()> {
        if self.closed {
            return Err(Error::State("attach: the forwarder is closed"));
        }
        in_range("endpoint", endpoint, COUNT_MAX)?;
        let port = self.plane.check_port(port)?;
        if self.endpoints.contains(endpoint) {
            return Err(Error::Invalid(format!("endpoint {endpoint} exists")));
        }
        let limits = self.plane.limits;
        let prepared = Prepared::new(fd, is_socket, limits.send_buffer_octets)?;
        let (number, serial) = (endpoint as u32, self.endpoints.next_serial());
        self.poller.add(fd, token(number, serial))?;
        // SAFETY: the contract of `attach`: the descriptor is ours from here on.
        let endpoint = unsafe { prepared.own(number, port, serial, limits.queue_frames) };
        let slot = self.endpoints.insert(endpoint);
        self.plane.port(port).endpoints.push(slot);
        Ok(())
    }

    pub fn detach(&mut self, endpoint: u64) -> Result<()> {
        let slot = self.endpoints.slot(endpoint)?;
        self.remove(slot);
        Ok(())
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
            return Err(Error::Invalid(format!(
                "frame of {} octets: {HEADER_OCTETS} to {most} can go",
                frame.len()
            )));
        }
        let now_ns = if self.running { monotonic_ns() } else { self.polled_ns };
        self.plane.egress(port, frame, now_ns, &mut self.outbox);
        let State {
            outbox,
            endpoints,
            plane,
            sender,
            poller,
            ..
        } = self;
        outbox.drain(|slot, items| deliver(endpoints, plane, sender, poller, slot, items, |_| frame));
        Ok(())
    }

    /// Close every endpoint's descriptor.
    pub fn close(&mut self) {
        self.closed = true;
        for slot in self.endpoints.used() {
            self.remove(slot);
        }
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

    /// Serve one endpoint, if it is still the one that was ready.
    pub fn turn(&mut self, ready: Ready, now_ns: u64) {
        let Ok(slot) = self.endpoints.slot(u64::from(ready.number)) else {
            return;
        };
        if self
            .endpoints
            .get(slot)
            .is_none_or(|endpoint| endpoint.serial != ready.serial || endpoint.failed)
        {
            return;
        }
        if ready.room() {
            self.send_queued(slot);
        }
        if ready.input() {
            self.receive(slot, now_ns, ready.hung_up());
        }
    }

    fn receive(&mut self, slot: u32, now_ns: u64, hung_up: bool) {
        let Some(endpoint) = self.endpoints.get(slot) else {
            return;
        };
        let (fd, kind, port, most) = (
            endpoint.as_raw_fd(),
            endpoint.kind,
            endpoint.port,
            endpoint.frames_per_turn.min(FRAMES_PER_TURN),
        );
        let mut failure = None;
        let count = if kind == crate::endpoint::Kind::Tap {
            let mut count = 0;
            while count < most {
                match self.receiver.take_read(fd, count) {
                    Ok(_) => count += 1,
                    Err(error) => {
                        failure = error.raw_os_error();
                        break;
                    }
                }
            }
            count
        } else {
            self.receiver.take_messages(fd, most).unwrap_or_else(|error| {
                failure = error.raw_os_error();
                0
            })
        };
        failure = match failure {
            Some(libc::EAGAIN) if hung_up && count == 0 => Some(libc::ECONNRESET),
            Some(libc::EAGAIN) => None,
            Some(errno) if kind.survives(errno) => None,
            other => other,
        };

        let mut frames = 0;
        for index in 0..count {
            let received = self.receiver.received(index);
            if received.octets == 0 && kind.is_connection() {
                failure = Some(libc::ECONNRESET);
                break;
            }
            let inbound = Inbound {
                octets: self.receiver.frame(index),
                number: index as u16,
            };
            self.plane
                .ingress(port, inbound, received.truncated, now_ns, &mut self.outbox);
            frames += 1;
        }
        let deliveries = self.outbox.items();
        let State {
            outbox,
            endpoints,
            plane,
            sender,
            poller,
            receiver,
            ..
        } = self;
        outbox.drain(|slot, items| {
            deliver(endpoints, plane, sender, poller, slot, items, |number| {
                receiver.frame(number)
            });
        });
        if let Some(endpoint) = self.endpoints.get_mut(slot) {
            endpoint.frames_per_turn = next_turn(frames, deliveries);
        }
        if let Some(errno) = failure {
            self.fail(slot, errno);
        }
    }

    fn send_queued(&mut self, slot: u32) {
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        let queue = &endpoint.queue;
        let count = queue.len().min(QUEUED_PER_TURN);
        let sent = self
            .sender
            .send(endpoint.fd.as_raw_fd(), endpoint.kind, count, |index| {
                (queue.get(index), Form::AsIs)
            });
        endpoint.queue.remove_front(sent.done);
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
            self.plane.events.push(Event::EndpointFailed {
                endpoint: endpoint.number,
                errno,
            });
        }
    }

    fn remove(&mut self, slot: u32) {
        if let Some(endpoint) = self.endpoints.remove(slot) {
            if !endpoint.failed {
                let _ = self.poller.remove(endpoint.as_raw_fd()); // likewise
            }
            self.plane.port(endpoint.port).endpoints.retain(|&other| other != slot);
        }
    }
}

/// Rule 10: send an endpoint its items; what the kernel does not take goes to its queue.
fn deliver<'a>(
    endpoints: &mut Endpoints,
    plane: &mut Plane,
    sender: &mut Sender,
    poller: &Poller,
    slot: u32,
    items: &[Item],
    frame: impl Fn(usize) -> &'a [u8],
) {
    let Some(endpoint) = endpoints.get_mut(slot) else {
        return;
    };
    let (mut done, mut lost) = (0, 0);
    while endpoint.queue.is_empty() && done < items.len() {
        let rest = &items[done..];
        let sent = sender.send(endpoint.fd.as_raw_fd(), endpoint.kind, rest.len(), |index| {
            let item = rest[index];
            (frame(usize::from(item.frame)), item.form)
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
            endpoint.queue.push(item.form.copy(frame(usize::from(item.frame))));
        }
    }
    if lost > 0 {
        plane.drop_frames(endpoint.port, DropReason::QueueFull, lost);
    }
    if !endpoint.queue.is_empty() {
        want_room(endpoint, poller, true);
    }
}

fn want_room(endpoint: &mut crate::endpoint::Endpoint, poller: &Poller, wanted: bool) {
    if endpoint.wants_room != wanted {
        endpoint.wants_room = wanted;
        let token = token(endpoint.number, endpoint.serial);
        let _ = poller.want_room(endpoint.as_raw_fd(), token, wanted); // of a polled descriptor: it cannot fail
    }
}
