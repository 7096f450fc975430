//! What is done with a frame. No descriptors, no clock: a frame and a time go in, items in an [`Outbox`] come out.
//!
//! The numbers in comments are the rules' in `switch/forwarding/contract.py`. Configuration is in `configure.rs`.

use crate::events::{Direction, Event, EventQueue, WATCH_HASH, WATCH_PACKETS};
use crate::fdb::{Key, Outcome, Table};
use crate::frame::{self, Form, HEADER_OCTETS, SPANNING_TREE, TAGGED_HEADER_OCTETS};
use crate::limits::{Limits, NO_VLAN};
use crate::mirror::Mirrors;
use crate::outbox::{Item, Outbox};
use crate::port::{DropReason, Port};
use crate::vlan::{Member, Vlan};

pub struct Plane {
    pub(crate) limits: Limits,
    pub(crate) hub: bool,
    pub(crate) fstp: bool,
    pub(crate) transparent: bool,
    /// By number; as long as the highest one needs.
    pub(crate) ports: Vec<Option<Box<Port>>>,
    /// By identifier.
    pub(crate) vlans: Vec<Option<Vlan>>,
    pub(crate) mirrors: Mirrors,
    pub(crate) table: Table,
    pub(crate) gc_interval_ns: u64,
    collected_ns: u64,
    pub(crate) watch: u32,
    pub(crate) events: EventQueue,
}

/// A frame in flight: its octets, and its number in the turn's batch.
#[derive(Clone, Copy)]
pub struct Inbound<'a> {
    pub octets: &'a [u8],
    pub number: u16,
}

impl Plane {
    pub fn new(limits: Limits, seed: u64) -> Self {
        Plane {
            limits,
            hub: false,
            fstp: false,
            transparent: false,
            ports: Vec::new(),
            vlans: std::iter::repeat_with(|| None).take(1 << 12).collect(),
            mirrors: Mirrors::default(),
            table: Table::new(seed),
            gc_interval_ns: 2_000_000_000, // vde_switch's default
            collected_ns: 0,
            watch: 0,
            events: EventQueue::new(limits.events),
        }
    }

    /// A frame came in by an endpoint of `number`; `oversize`: it had more octets than are there.
    pub fn ingress(&mut self, number: u16, inbound: Inbound<'_>, oversize: bool, now_ns: u64, out: &mut Outbox) {
        let oversize = oversize || inbound.octets.len() > self.limits.max_frame_octets;
        self.ingress_checked(number, inbound, oversize, now_ns, out);
    }

    /// Likewise, of a frame that may be long because it is to be segmented; `oversize`: a segment is too long.
    pub fn ingress_checked(
        &mut self,
        number: u16,
        inbound: Inbound<'_>,
        oversize: bool,
        now_ns: u64,
        out: &mut Outbox,
    ) {
        let Some(port) = port_of(&mut self.ports, number) else {
            return;
        };
        let octets = inbound.octets;
        let mut tagged = frame::is_tagged(octets);
        if oversize {
            return port.drop_frame(DropReason::Oversize); // 1
        }
        if octets.len() < if tagged { TAGGED_HEADER_OCTETS } else { HEADER_OCTETS } {
            return port.drop_frame(DropReason::Short);
        }
        port.counters.in_frames += 1;
        port.counters.in_octets += octets.len() as u64;

        let is_mirror = port.is_mirror;
        let mut vlan = None;
        if !self.hub && !is_mirror {
            if tagged && self.transparent {
                let vid = frame::vid(octets);
                tagged = vid != 0 && self.vlans[usize::from(vid)].is_some(); // 4
            }
            vlan = if tagged {
                let vid = frame::vid(octets);
                member_of(&self.vlans, vid, number).map(|_| vid)
            } else {
                Some(port.native).filter(|&native| native != NO_VLAN)
            };
        }
        let copies = port.copies_in.len();
        if self.watch & WATCH_PACKETS != 0 {
            self.observe(Direction::In, number, vlan, octets.into(), now_ns);
        }
        let as_is = Item { frame: inbound.number, form: Form::AsIs };
        for index in 0..copies {
            if let Some(&to) = port_of(&mut self.ports, number).and_then(|port| port.copies_in.get(index)) {
                self.give(to, as_is, octets, None, now_ns, out); // 11
            }
        }

        if is_mirror {
            self.drop_frame(number, DropReason::Mirror); // 2
        } else if self.hub {
            self.repeat(number, as_is, octets, now_ns, out); // 3
        } else if let Some(vlan) = vlan {
            if self.fstp && frame::destination(octets) == SPANNING_TREE {
                self.events.push(Event::Bpdu { port: number, vlan, frame: octets.into() }); // 5
            } else {
                self.switch(number, vlan, inbound, tagged, now_ns, out);
            }
        } else {
            self.drop_frame(number, DropReason::Vlan); // 4
        }
    }

    /// Does policy look at such a frame? Then it must be an ordinary one.
    pub fn looks_at(&self, octets: &[u8]) -> bool {
        self.watch & WATCH_PACKETS != 0 || octets.starts_with(&SPANNING_TREE)
    }

    /// Policy's own frame for a port; the caller has checked that there is one.
    pub fn egress(&mut self, number: u16, frame: &[u8], now_ns: u64, out: &mut Outbox) {
        self.give(number, Item { frame: 0, form: Form::AsIs }, frame, None, now_ns, out);
    }

    /// Rule 12, if it is time.
    pub fn collect(&mut self, now_ns: u64) {
        if now_ns.saturating_sub(self.collected_ns) >= self.gc_interval_ns {
            self.collected_ns = now_ns;
            let wanted = self.watch & WATCH_HASH != 0;
            let gone = self.table.expire(now_ns, wanted);
            self.report_forgotten(&gone);
        }
    }

    /// When `collect` next does something.
    pub fn next_collection_ns(&self) -> u64 {
        self.collected_ns.saturating_add(self.gc_interval_ns)
    }

    pub fn drop_frame(&mut self, number: u16, reason: DropReason) {
        self.drop_frames(number, reason, 1);
    }

    pub fn drop_frames(&mut self, number: u16, reason: DropReason, frames: u64) {
        if let Some(port) = port_of(&mut self.ports, number) {
            port.drop_frames(reason, frames);
        }
    }

    fn repeat(&mut self, number: u16, item: Item, octets: &[u8], now_ns: u64, out: &mut Outbox) {
        for other in 1..self.ports.len() as u32 {
            let other = other as u16;
            let takes_part = self.ports[usize::from(other)].as_ref().is_some_and(|port| !port.is_mirror);
            if other != number && takes_part {
                self.give(other, item, octets, None, now_ns, out);
            }
        }
    }

    fn switch(&mut self, number: u16, vlan: u16, inbound: Inbound<'_>, tagged: bool, now_ns: u64, out: &mut Outbox) {
        let octets = inbound.octets;
        let payload = vlan == 0 && !tagged && frame::is_tagged(octets); // 4
        let key_vlan = if payload { frame::vid(octets) } else { vlan };
        let member = member_of(&self.vlans, vlan, number);
        let Some(port) = port_of(&mut self.ports, number) else {
            return;
        };
        let source = frame::source(octets);
        if member.is_some_and(|member| member.learning) && !frame::is_group(&source) {
            let key = Key::new(&source, key_vlan); // 6
            match self.table.learn(key, number, port.addresses_max, now_ns, &mut port.last_source) {
                Outcome::Full => port.counters.not_learned += 1,
                Outcome::Learned if self.watch & WATCH_HASH != 0 => {
                    self.events.push(Event::Learned { mac: source, vlan: key_vlan, port: number });
                }
                _ => {}
            }
        }
        if !member.is_some_and(|member| member.forwarding) {
            return port.drop_frame(DropReason::Blocked); // 7
        }

        let destination = frame::destination(octets); // 8
        let known = if frame::is_group(&destination) {
            None
        } else {
            self.table.port_of(Key::new(&destination, key_vlan), &mut port.last_destination)
        };
        if let Some(to) = known {
            if to == number {
                return port.drop_frame(DropReason::SamePort);
            }
            let takes_part = self.ports[usize::from(to)].as_ref().is_some_and(|port| !port.is_mirror);
            match member_of(&self.vlans, vlan, to) {
                Some(member) if member.forwarding && takes_part => {
                    let form = form(member.tagged, tagged, vlan);
                    self.give(to, Item { frame: inbound.number, form }, octets, Some(vlan), now_ns, out);
                }
                _ => self.drop_frame(number, DropReason::Blocked),
            }
            return;
        }
        if port.storm.as_mut().is_some_and(|storm| !storm.take(now_ns)) {
            return port.drop_frame(DropReason::Storm);
        }
        let members = self.vlans[usize::from(vlan)].as_ref().map_or(0, |vlan| vlan.flood().len());
        for index in 0..members {
            let Some(&(other, member_tagged)) =
                self.vlans[usize::from(vlan)].as_ref().and_then(|vlan| vlan.flood().get(index))
            else {
                break;
            };
            let takes_part = self.ports[usize::from(other)].as_ref().is_some_and(|port| !port.is_mirror);
            if other != number && takes_part {
                let form = form(member_tagged, tagged, vlan);
                self.give(other, Item { frame: inbound.number, form }, octets, Some(vlan), now_ns, out);
            }
        }
    }

    fn give(&mut self, number: u16, item: Item, octets: &[u8], vlan: Option<u16>, now_ns: u64, out: &mut Outbox) {
        let Some(port) = port_of(&mut self.ports, number) else {
            return;
        };
        if port.endpoints.is_empty() {
            return; // 10
        }
        port.counters.out_frames += 1;
        port.counters.out_octets += item.form.octets(octets.len()) as u64;
        for &slot in &port.endpoints {
            out.put(slot, item);
        }
        let copies = port.copies_out.len();
        if self.watch & WATCH_PACKETS != 0 {
            self.observe(Direction::Out, number, vlan, item.form.copy(octets), now_ns);
        }
        for index in 0..copies {
            if let Some(&to) = port_of(&mut self.ports, number).and_then(|port| port.copies_out.get(index)) {
                self.give(to, item, octets, None, now_ns, out); // 11; a destination is never a source: this ends
            }
        }
    }

    #[cold]
    fn observe(&mut self, direction: Direction, port: u16, vlan: Option<u16>, frame: Box<[u8]>, when_ns: u64) {
        self.events.push(Event::Packet { direction, port, vlan, frame, when_ns });
    }

    pub(crate) fn report_forgotten(&mut self, gone: &[crate::fdb::Entry]) {
        for entry in gone {
            self.events.push(Event::forgot(entry));
        }
    }
}

/// Borrows the ports only, not the whole plane.
#[inline]
fn port_of(ports: &mut [Option<Box<Port>>], number: u16) -> Option<&mut Port> {
    ports.get_mut(usize::from(number))?.as_deref_mut()
}

#[inline]
fn member_of(vlans: &[Option<Vlan>], vlan: u16, port: u16) -> Option<Member> {
    vlans[usize::from(vlan)].as_ref()?.member(port)
}

/// Rule 9.
#[inline]
fn form(member_tagged: bool, tagged: bool, vlan: u16) -> Form {
    match (member_tagged, tagged) {
        (true, false) => Form::Tagged(vlan),
        (false, true) => Form::Untagged,
        _ => Form::AsIs,
    }
}
