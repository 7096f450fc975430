//! How many frames a socket's send buffer certainly takes.
//!
//! A burst through io_uring is not stopped by a full buffer: a frame may be refused and, the receiver having read one
//! meanwhile, the next one taken. So that frames stay in order, a burst is only sent where the buffer holds all of it.
//! The kernel counts a frame by the size of its allocation, which is bounded here from above; it tells what is in use
//! (SIOCOUTQ), which is asked when the bound's arithmetic has used up what was known to be free.
//!
//! This does not cover a client that never connects its socket to ours, as some old emulators do: its receive queue
//! has a bound of its own (`net.unix.max_dgram_qlen`). It is known by the first refusal in spite of room, and gets no
//! bursts from then on ([`Room::distrust`]).

use std::os::fd::RawFd;

/// An estimate from below of the free octets of a send buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    limit: i64,
    free: i64,
}

/// Of a frame's allocation: twice its length (slabs are powers of two), and its descriptors.
fn allocation(octets: usize) -> i64 {
    2 * octets as i64 + 2048
}

impl Room {
    /// Never any.
    pub const NONE: Room = Room { limit: 0, free: 0 };

    /// Of a socket with this SO_SNDBUF, which is empty.
    pub fn new(send_buffer_octets: i32) -> Self {
        Room { limit: i64::from(send_buffer_octets), free: 0 }
    }

    /// Does the buffer of `fd` hold frames of these lengths? Then they are taken to be sent.
    pub fn take(&mut self, fd: RawFd, lengths: impl Iterator<Item = usize>) -> bool {
        let needed: i64 = lengths.map(allocation).sum();
        if needed > self.limit {
            return false;
        }
        if needed > self.free {
            self.free = self.limit - in_use(fd).unwrap_or(self.limit);
        }
        let fits = needed <= self.free;
        if fits {
            self.free -= needed;
        }
        fits
    }

    /// Frames were sent that `take` was not asked about.
    pub fn forget(&mut self) {
        self.free = 0;
    }

    /// A frame was refused although there was room: bound by something else, there is none for bursts.
    pub fn distrust(&mut self) {
        *self = Room::NONE;
    }
}

/// What the kernel has allocated for frames sent by `fd` and not read yet.
fn in_use(fd: RawFd) -> Option<i64> {
    let mut octets = 0i32;
    // SAFETY: SIOCOUTQ (as TIOCOUTQ is called for sockets) writes an int, and `octets` lives during the call.
    let result = unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &raw mut octets) };
    (result == 0).then_some(i64::from(octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn allocations_are_bounded_from_above() {
        let lengths = (14..2000).chain((2000..65_535).step_by(61)).chain([65_535, 65_539]);
        for octets in lengths {
            let (ours, _peer) = UnixDatagram::pair().unwrap();
            ours.send(&vec![0; octets]).unwrap();
            let used = in_use(ours.as_raw_fd()).unwrap();
            assert!(octets as i64 <= used && used <= allocation(octets), "{octets} octets take {used}");
        }
    }

    #[test]
    fn what_is_promised_is_kept() {
        let (ours, _peer) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut room = Room::new(212_992);
        for octets in [60, 1514, 64, 9000].into_iter().cycle() {
            if !room.take(ours.as_raw_fd(), std::iter::once(octets)) {
                break;
            }
            ours.send(&vec![0; octets]).unwrap();
        }
        assert!(in_use(ours.as_raw_fd()).unwrap() > 150_000);
    }

    #[test]
    fn room_comes_back() {
        let (ours, peer) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut room = Room::new(212_992);
        while room.take(ours.as_raw_fd(), std::iter::once(1514)) {
            ours.send(&[0; 1514]).unwrap();
        }
        for _ in 0..10 {
            peer.recv(&mut [0; 2000]).unwrap();
        }
        assert!(room.take(ours.as_raw_fd(), std::iter::once(1514)));
        room.distrust();
        assert!(!room.take(ours.as_raw_fd(), std::iter::once(14)));
    }

    #[test]
    fn more_than_all_is_refused_without_asking() {
        assert!(!Room::new(4608).take(-1, [1514, 1514].into_iter()));
        let mut none = Room::NONE;
        assert!(!none.take(-1, [14].into_iter()));
    }
}
