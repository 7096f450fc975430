//! The plane alone: frames in, what goes to which endpoint out. (`tests/switch/forwarding` has every rule, on sockets.)

use forwarder::Limits;
use forwarder::events::{Direction, Event, WATCH_HASH, WATCH_PACKETS};
use forwarder::outbox::Outbox;
use forwarder::plane::{Inbound, Plane};
use forwarder::port::DropReason;
use forwarder::vlan::Member;

const SECOND_NS: u64 = 1_000_000_000;
const UNTAGGED: Member = Member { tagged: false, learning: true, forwarding: true };
const TAGGED: Member = Member { tagged: true, ..UNTAGGED };

/// Ports have one endpoint each, whose slot is their number plus 100.
struct Bench {
    plane: Plane,
    outbox: Outbox,
    now_ns: u64,
}

impl Bench {
    fn new(ports: &[(u16, u64, Member)]) -> Self {
        let mut plane = Plane::new(Limits::default(), 1);
        plane.add_vlan(0).unwrap();
        plane.add_vlan(10).unwrap();
        for &(port, vlan, member) in ports {
            plane.add_port(port.into(), if member.tagged { 0 } else { vlan }).unwrap();
            plane.set_member(vlan, port.into(), member).unwrap();
            plane.add_endpoint(port, u32::from(port) + 100);
        }
        Bench { plane, outbox: Outbox::default(), now_ns: SECOND_NS }
    }

    /// What port `from` sends, as (port, octets) in the order of the lists.
    fn ingress(&mut self, from: u16, octets: &[u8]) -> Vec<(u16, Vec<u8>)> {
        self.plane.ingress(from, Inbound { octets, number: 0 }, false, self.now_ns, &mut self.outbox);
        let mut out = Vec::new();
        self.outbox.drain(|slot, items| {
            out.extend(items.iter().map(|item| ((slot - 100) as u16, item.form.copy(octets).into_vec())));
        });
        out
    }

    fn drops(&self, port: u16, reason: DropReason) -> u64 {
        self.plane.statistics(port.into()).unwrap().drops[reason as usize]
    }
}

fn frame(from: u8, to: u8) -> Vec<u8> {
    let to = if to == 0xFF { [0xFF; 6] } else { [2, 0, 0, 0, 0, to] };
    [&to[..], &[2, 0, 0, 0, 0, from], &[0x88, 0xB5], &[7; 46]].concat()
}

fn tagged(frame: &[u8], tci: u16) -> Vec<u8> {
    [&frame[..12], &[0x81, 0], &tci.to_be_bytes(), &frame[12..]].concat()
}

#[test]
fn floods_then_knows() {
    let mut bench = Bench::new(&[(1, 0, UNTAGGED), (2, 0, UNTAGGED), (3, 0, UNTAGGED)]);
    let (there, back) = (frame(1, 2), frame(2, 1));
    assert_eq!(bench.ingress(1, &there), [(2, there.clone()), (3, there.clone())]);
    assert_eq!(bench.ingress(2, &back), [(1, back.clone())]);
    assert_eq!(bench.ingress(1, &there), [(2, there.clone())]);
    assert_eq!(bench.ingress(2, &there), []);
    assert_eq!(bench.drops(2, DropReason::SamePort), 1);
    let of = bench.plane.statistics(1).unwrap();
    assert_eq!((of.in_frames, of.in_octets, of.out_frames, of.out_octets), (2, 120, 1, 60));
}

#[test]
fn tags_go_in_and_out_and_stay() {
    let mut bench = Bench::new(&[(1, 10, UNTAGGED), (2, 10, TAGGED), (3, 10, TAGGED), (4, 10, UNTAGGED)]);
    let plain = frame(1, 0xFF);
    let urgent = tagged(&plain, 0x600A);
    let as_10 = tagged(&plain, 10);
    assert_eq!(bench.ingress(1, &plain), [(2, as_10.clone()), (3, as_10), (4, plain.clone())]);
    assert_eq!(bench.ingress(2, &urgent), [(1, plain.clone()), (3, urgent.clone()), (4, plain)]);
    assert_eq!(bench.ingress(1, &tagged(&urgent, 20)), []);
    assert_eq!(bench.drops(1, DropReason::Vlan), 1);
}

#[test]
fn undefined_tags_are_payload_if_transparent() {
    let mut bench = Bench::new(&[(1, 0, UNTAGGED), (2, 0, UNTAGGED)]);
    let stray = tagged(&frame(1, 0xFF), 77);
    assert_eq!(bench.ingress(1, &stray), []);
    bench.plane.set_mode(false, false, true);
    assert_eq!(bench.ingress(1, &stray), [(2, stray.clone())]);
    assert_eq!(bench.ingress(1, &tagged(&frame(1, 0xFF), 10)), []);
}

#[test]
fn lengths_are_checked_before_all_else() {
    let mut bench = Bench::new(&[(1, 0, UNTAGGED), (2, 0, UNTAGGED)]);
    bench.plane.set_mode(true, false, false);
    for octets in [0, 1, 13] {
        assert_eq!(bench.ingress(1, &frame(1, 2)[..octets]), []);
    }
    assert_eq!(bench.ingress(1, &tagged(&frame(1, 2), 0)[..17]), []);
    assert_eq!(bench.ingress(1, &vec![0; 9235]), []);
    assert_eq!((bench.drops(1, DropReason::Short), bench.drops(1, DropReason::Oversize)), (4, 1));
    assert_eq!(bench.plane.statistics(1).unwrap().in_frames, 0);
    assert_eq!(bench.ingress(1, &[0; 9234]).len(), 1);
}

#[test]
fn a_mirror_gets_both_directions_and_nothing_else() {
    let mut bench = Bench::new(&[(1, 10, UNTAGGED), (2, 10, TAGGED), (3, 0, UNTAGGED)]);
    bench.plane.set_mirror(3, &[(1, 1), (2, 2)]).unwrap();
    let plain = frame(1, 0xFF);
    let as_10 = tagged(&plain, 10);
    assert_eq!(bench.ingress(1, &plain), [(3, plain.clone()), (3, as_10.clone()), (2, as_10)]);
    assert_eq!(bench.ingress(3, &plain), []);
    assert_eq!(bench.drops(3, DropReason::Mirror), 1);
    bench.plane.set_mode(true, false, false);
    assert_eq!(bench.ingress(2, &plain), [(1, plain.clone())]);
}

#[test]
fn a_hub_repeats_but_not_to_port_0() {
    let mut bench = Bench::new(&[(0, 0, UNTAGGED), (1, 0, UNTAGGED), (2, 10, TAGGED), (3, 10, UNTAGGED)]);
    bench.plane.set_mode(true, false, false);
    let any = tagged(&frame(1, 1), 99);
    assert_eq!(bench.ingress(1, &any), [(2, any.clone()), (3, any.clone())]);
    assert_eq!(bench.ingress(0, &any).len(), 3);
}

#[test]
fn events_come_in_order() {
    let mut bench = Bench::new(&[(1, 10, UNTAGGED), (2, 10, TAGGED)]);
    bench.plane.set_watch(WATCH_HASH | WATCH_PACKETS);
    bench.plane.set_mode(false, true, false);
    let plain = frame(1, 0xFF);
    bench.ingress(1, &plain);
    let packet = |direction, port, frame: &[u8]| Event::Packet {
        direction,
        port,
        vlan: Some(10),
        frame: frame.into(),
        when_ns: SECOND_NS,
    };
    let learned = Event::Learned { mac: [2, 0, 0, 0, 0, 1], vlan: 10, port: 1 };
    let expected = [packet(Direction::In, 1, &plain), learned, packet(Direction::Out, 2, &tagged(&plain, 10))];
    assert_eq!(bench.plane.take_events(), expected);

    let mut hello = plain.clone();
    hello[..6].copy_from_slice(&[0x01, 0x80, 0xC2, 0, 0, 0]);
    bench.plane.set_watch(0);
    assert_eq!(bench.ingress(1, &hello), []);
    assert_eq!(bench.plane.take_events(), [Event::Bpdu { port: 1, vlan: 10, frame: hello.into() }]);
}

#[test]
fn storms_are_held_and_known_traffic_is_not() {
    let mut bench = Bench::new(&[(1, 0, UNTAGGED), (2, 0, UNTAGGED)]);
    bench.plane.set_port_limits(1, None, Some(3)).unwrap();
    bench.ingress(2, &frame(2, 0xFF));
    let passed = (0..10).filter(|_| !bench.ingress(1, &frame(1, 0xFF)).is_empty()).count();
    assert_eq!((passed, bench.drops(1, DropReason::Storm)), (3, 7));
    assert_eq!(bench.ingress(1, &frame(1, 2)).len(), 1);
}

#[test]
fn addresses_expire_at_a_collection() {
    let mut bench = Bench::new(&[(1, 0, UNTAGGED), (2, 0, UNTAGGED)]);
    bench.plane.set_watch(WATCH_HASH);
    bench.ingress(1, &frame(1, 0xFF));
    bench.plane.take_events();
    bench.plane.collect(101 * SECOND_NS);
    assert_eq!(bench.plane.take_events(), []);
    bench.plane.collect(103 * SECOND_NS - 1);
    assert_eq!(bench.plane.entries().len(), 1);
    bench.plane.collect(103 * SECOND_NS);
    assert_eq!(bench.plane.take_events(), [Event::Forgot { mac: [2, 0, 0, 0, 0, 1], vlan: 0, port: 1 }]);
    assert_eq!(bench.plane.lookup(&[2, 0, 0, 0, 0, 1], 0), None);
}

#[test]
fn a_removed_port_leaves_nothing() {
    let mut bench = Bench::new(&[(1, 0, UNTAGGED), (2, 0, UNTAGGED)]);
    bench.plane.set_mirror(2, &[(1, 3)]).unwrap();
    bench.ingress(1, &frame(1, 0xFF));
    assert!(bench.plane.remove_port(1).is_err());
    bench.plane.remove_endpoint(1, 101);
    bench.plane.remove_port(1).unwrap();
    assert!(bench.plane.entries().is_empty());
    assert!(bench.plane.clear_member(0, 1).is_err());
    assert_eq!(bench.ingress(2, &frame(2, 1)), []);
    assert_eq!(bench.drops(2, DropReason::Mirror), 0);
    assert_eq!(bench.ingress(1, &frame(1, 2)), []);
}
