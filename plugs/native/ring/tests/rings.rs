//! Two sides in one process: frames, wake-ups, and a peer that writes what it likes into the shared memory.

use frame_ring::{Broken, Given, Layout, Pushed, Received, Ring};
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

fn pair(ring_octets: u32, frame_octets: u32) -> (Ring, Ring) {
    let (listener, given) = Ring::create(Layout::new(ring_octets, frame_octets).unwrap()).unwrap();
    (listener, Ring::join(given).unwrap())
}

fn poll(fd: RawFd, timeout_ms: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, which lives during the call.
    unsafe { libc::poll(&mut poll, 1, timeout_ms) > 0 }
}

fn frame(number: u64, octets: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..octets).map(|index| (number as usize + index) as u8).collect();
    frame[..8].copy_from_slice(&number.to_ne_bytes());
    frame
}

/// A generator of pseudo-random numbers (splitmix64), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[test]
fn frames_pass_both_ways_whole_and_in_order() {
    let (mut listener, mut connector) = pair(1 << 16, 9234);
    let mut buffer = vec![0; 9234];
    for round in 0..500u64 {
        let sent: Vec<Vec<u8>> =
            (0..5).map(|index| frame(round * 5 + index, 14 + (round as usize * 37) % 9221)).collect();
        let (from, to) = if round % 2 == 0 { (&mut listener, &mut connector) } else { (&mut connector, &mut listener) };
        for one in &sent {
            assert_eq!(from.push(&[&one[..5], &one[5..]]), Ok(Pushed::Taken));
        }
        from.publish();
        for one in &sent {
            let popped = to.pop(&mut buffer).unwrap().unwrap();
            assert_eq!((&buffer[..popped.octets], popped.truncated), (&one[..], false));
        }
        assert_eq!(to.pop(&mut buffer), Ok(None));
        assert_eq!(to.sleep(), Ok(true));
    }
}

#[test]
fn the_descriptor_is_readable_while_frames_wait() {
    let (mut listener, mut connector) = pair(1 << 16, 1518);
    assert_eq!(connector.sleep(), Ok(true));
    assert!(!poll(connector.frames_fd(), 0));
    for number in 0..3 {
        listener.push(&[&frame(number, 60)]).unwrap();
    }
    assert!(!poll(connector.frames_fd(), 0));
    listener.publish();
    let mut buffer = [0; 1518];
    for left in (0..3).rev() {
        assert!(poll(connector.frames_fd(), 0));
        assert!(connector.pop(&mut buffer).unwrap().is_some());
        assert_eq!(connector.sleep(), Ok(left == 0));
    }
    assert!(!poll(connector.frames_fd(), 0));
}

/// Frames that were found without a bell, by somebody who did not wait for it.
#[test]
fn the_descriptor_is_readable_for_what_an_early_reader_leaves() {
    let (mut listener, mut connector) = pair(1 << 16, 1518);
    assert_eq!(connector.sleep(), Ok(true));
    let mut buffer = [0; 1518];
    for _ in 0..3 {
        for number in 0..2 {
            listener.push(&[&frame(number, 60)]).unwrap();
        }
        listener.publish();
        connector.pop(&mut buffer).unwrap().unwrap();
        assert_eq!(connector.sleep(), Ok(false));
        assert!(poll(connector.frames_fd(), 0));
        connector.pop(&mut buffer).unwrap().unwrap();
        assert_eq!(connector.sleep(), Ok(true));
        assert!(!poll(connector.frames_fd(), 0));
    }
}

#[test]
fn a_full_ring_takes_no_more_until_half_of_it_is_free() {
    let (mut listener, mut connector) = pair(1 << 16, 1518);
    let one = frame(1, 1514);
    let mut taken = 0;
    while listener.push(&[&one]) == Ok(Pushed::Taken) {
        taken += 1;
    }
    assert_eq!(taken, (1 << 16) / 1528);
    listener.publish();
    assert_eq!(listener.push(&[&[0; 1519]]), Ok(Pushed::Oversize));
    assert_eq!(listener.wait_for_room(), Ok(false));
    assert!(!poll(listener.room_fd(), 0));
    let mut buffer = [0; 1518];
    for _ in 0..taken / 4 {
        connector.pop(&mut buffer).unwrap();
    }
    assert!(!poll(listener.room_fd(), 0));
    for _ in 0..taken / 2 {
        connector.pop(&mut buffer).unwrap();
    }
    connector.sleep().unwrap();
    assert!(poll(listener.room_fd(), 0));
    assert_eq!(listener.wait_for_room(), Ok(true));
    assert!(!poll(listener.room_fd(), 0));
    assert_eq!(listener.push(&[&one]), Ok(Pushed::Taken));
}

#[test]
fn a_short_buffer_gets_the_beginning() {
    let (mut listener, mut connector) = pair(1 << 16, 1518);
    listener.push(&[&frame(7, 100)]).unwrap();
    listener.publish();
    let mut buffer = [0; 20];
    let popped = connector.pop(&mut buffer).unwrap().unwrap();
    assert_eq!((popped.octets, popped.truncated), (20, true));
    assert_eq!(buffer, frame(7, 100)[..20]);
}

#[test]
fn parts_are_a_ring_again() {
    let (mut listener, mut connector) = pair(1 << 16, 1518);
    listener.push(&[&frame(1, 60)]).unwrap();
    connector.push(&[&frame(2, 60)]).unwrap();
    connector.publish();
    let role = listener.role();
    let mut listener = Ring::from_parts(role, listener.into_parts()).unwrap();
    let mut buffer = [0; 1518];
    assert!(connector.pop(&mut buffer).unwrap().is_some());
    assert!(poll(listener.frames_fd(), 0));
    assert!(listener.pop(&mut buffer).unwrap().is_some());
    assert_eq!(buffer[..60], frame(2, 60));
    listener.push(&[&frame(3, 60)]).unwrap();
    listener.publish();
    assert!(connector.pop(&mut buffer).unwrap().is_some());
    assert_eq!(buffer[..60], frame(3, 60));
}

/// Every sleep and every wake-up of both sides, many times: nothing is lost and nobody sleeps for ever.
#[test]
fn two_threads_sleep_and_wake() {
    const FRAMES: u64 = 200_000;
    let (mut listener, connector) = pair(1 << 16, 1518);
    let (done, ended) = mpsc::channel();
    let receiving = thread::spawn(move || {
        let (_sender, mut receiver) = connector.split();
        let mut buffer = [0; 1518];
        for number in 0..FRAMES {
            let popped = loop {
                if let Received::Frame(popped) = receiver.receive(&mut buffer).unwrap() {
                    break popped;
                }
                assert!(poll(receiver.frames_fd(), 20_000), "frame {number} has not come");
            };
            assert_eq!(buffer[..popped.octets], frame(number, 60 + (number % 1400) as usize));
        }
        assert!(!poll(receiver.frames_fd(), 0));
        done.send(()).unwrap();
    });
    for number in 0..FRAMES {
        let one = frame(number, 60 + (number % 1400) as usize);
        while listener.push(&[&one]) != Ok(Pushed::Taken) {
            listener.publish();
            if !listener.wait_for_room().unwrap() {
                assert!(poll(listener.room_fd(), 20_000), "no room for frame {number}");
            }
        }
        if number % 7 == 0 || number + 1 == FRAMES {
            listener.publish();
        }
    }
    ended.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    receiving.join().unwrap();
}

fn memory_of(given: &Given) -> std::fs::File {
    std::fs::File::from(given.memory.try_clone().unwrap())
}

/// What a hostile peer may write, and where: numbers that matter, and anything anywhere.
fn scribble(memory: &std::fs::File, random: &mut Random) {
    let offsets = [512, 640, 768, 896, 1024, 1152, 1280, 1408, 4096, 4104, 4096 + (1 << 16)];
    let values = [0, 1, 7, 8, 0x1_0000, 0x1_0008, 0xFFFF, 0x8000_0000, 0xFFFF_FFF8, u32::MAX];
    match random.next() % 4 {
        0 => {
            let at = offsets[random.next() as usize % offsets.len()];
            let value = values[random.next() as usize % values.len()];
            memory.write_all_at(&value.to_ne_bytes(), at).unwrap();
        }
        1 => {
            let at = offsets[random.next() as usize % offsets.len()];
            memory.write_all_at(&(random.next() as u32).to_ne_bytes(), at).unwrap();
        }
        2 => {
            let noise: Vec<u8> = (0..64).map(|_| random.next() as u8).collect();
            memory.write_all_at(&noise, random.next() % (4096 + 2 * (1 << 16) - 64)).unwrap();
        }
        _ => {
            let noise: Vec<u8> = (0..4096 + 2 * (1 << 16)).map(|_| random.next() as u8).collect();
            memory.write_all_at(&noise, 0).unwrap();
        }
    }
}

/// Whatever is in the shared memory, every call ends, within its bounds, with a result or with `Broken`.
fn exercise(ring: &mut Ring, random: &mut Random, buffer: &mut [u8]) {
    let bounded = |result: Result<_, Broken>| result.is_ok();
    match random.next() % 5 {
        0 => {
            let one = frame(random.next(), 14 + random.next() as usize % 1600);
            bounded(ring.push(&[&one]).map(drop));
        }
        1 => ring.publish(),
        2 => {
            if let Ok(Some(popped)) = ring.pop(buffer) {
                assert!(popped.octets <= 1518);
            }
        }
        3 => {
            bounded(ring.sleep().map(drop));
        }
        _ => {
            bounded(ring.wait_for_room().map(drop));
        }
    }
}

#[test]
fn fuzz_a_hostile_peer_between_calls() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let (mut listener, given) = Ring::create(Layout::new(1 << 16, 1518).unwrap()).unwrap();
        let memory = memory_of(&given);
        let mut buffer = [0; 9000];
        for _ in 0..200 {
            if random.next() % 3 == 0 {
                scribble(&memory, &mut random);
            }
            exercise(&mut listener, &mut random, &mut buffer);
        }
    }
}

#[test]
fn fuzz_a_hostile_peer_during_calls() {
    let (mut listener, given) = Ring::create(Layout::new(1 << 16, 1518).unwrap()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let scribbling = thread::spawn({
        let (memory, stop) = (memory_of(&given), Arc::clone(&stop));
        move || {
            let mut random = Random(1);
            while !stop.load(Ordering::Relaxed) {
                scribble(&memory, &mut random);
            }
        }
    });
    let (mut random, mut buffer) = (Random(2), [0; 9000]);
    for _ in 0..200_000 {
        exercise(&mut listener, &mut random, &mut buffer);
    }
    stop.store(true, Ordering::Relaxed);
    scribbling.join().unwrap();
}

#[test]
fn impossible_numbers_break_the_ring() {
    // head: more than the ring, not aligned; a record's length: beyond head
    for (at, value) in [(512, (1 << 16) + 8), (512, 4), (4096, 60_000u32)] {
        let (mut listener, given) = Ring::create(Layout::new(1 << 16, 1518).unwrap()).unwrap();
        let memory = memory_of(&given);
        let mut connector = Ring::join(given).unwrap();
        connector.push(&[&frame(1, 60)]).unwrap();
        connector.publish();
        memory.write_all_at(&value.to_ne_bytes(), at).unwrap();
        assert_eq!(listener.pop(&mut [0; 1518]), Err(Broken));
    }
    // tail: ahead of head
    let (mut listener, given) = Ring::create(Layout::new(1 << 16, 1518).unwrap()).unwrap();
    memory_of(&given).write_all_at(&8u32.to_ne_bytes(), 1024 + 128).unwrap();
    assert_eq!(listener.push(&[&frame(1, 60)]), Err(Broken));
}

#[test]
fn memory_that_could_shrink_or_lies_is_refused() {
    let layout = Layout::new(1 << 16, 1518).unwrap();
    for (at, value) in [(0, 0u32), (8, 2), (12, 1 << 17), (12, 1 << 15), (12, 65_535), (16, 70_000), (16, 0)] {
        let (_listener, given) = Ring::create(layout).unwrap();
        memory_of(&given).write_all_at(&value.to_ne_bytes(), at).unwrap();
        assert!(Ring::join(given).is_err(), "{value} at {at}");
    }
    let (_listener, mut given) = Ring::create(layout).unwrap();
    let mut whole = vec![0; 4096 + 2 * (1 << 16)];
    memory_of(&given).read_exact_at(&mut whole, 0).unwrap();
    // SAFETY: the name is a C string; the descriptor is new and nobody else's.
    let unsealed = unsafe {
        use std::os::fd::FromRawFd;
        std::os::fd::OwnedFd::from_raw_fd(libc::memfd_create(c"unsealed".as_ptr(), libc::MFD_CLOEXEC))
    };
    std::fs::File::from(unsealed.try_clone().unwrap()).write_all_at(&whole, 0).unwrap();
    given.memory = unsealed;
    assert!(Ring::join(given).unwrap_err().to_string().contains("sealed"));
}

#[test]
fn wishes_are_brought_within_bounds() {
    for (ring, frame) in [(0, 0), (1, 1), (u32::MAX, u32::MAX), (100_000, 9234), (0, 65_539), (3, 65_535)] {
        let layout = Layout::for_wish(ring, frame);
        assert_eq!(Layout::new(layout.ring_octets(), layout.frame_octets()), Some(layout));
    }
    assert_eq!(Layout::for_wish(0, 0).ring_octets(), Layout::RING_OCTETS);
    assert_eq!(Layout::new(1 << 16, 65_535), None);
    assert_eq!(Layout::new(100_000, 1518), None);
}
