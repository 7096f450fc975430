//! epoll, and the two eventfds: one wakes the thread, one tells policy of events.

use crate::limits::ENDPOINTS_PER_ROUND;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Token of the eventfd that wakes the thread; an endpoint's token is its number and its serial number, so that tokens
/// sort as endpoints' numbers do.
const WAKE: u64 = u64::MAX;

pub fn token(number: u32, serial: u32) -> u64 {
    u64::from(number) << 32 | u64::from(serial)
}

/// What epoll said of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    pub number: u32,
    pub serial: u32,
    mask: u32,
}

impl Ready {
    /// There is room to send.
    pub fn room(self) -> bool {
        self.mask & libc::EPOLLOUT as u32 != 0
    }

    /// There is something to read, be it an error.
    pub fn input(self) -> bool {
        self.mask & !(libc::EPOLLOUT as u32) != 0
    }

    pub fn hung_up(self) -> bool {
        self.mask & libc::EPOLLHUP as u32 != 0
    }
}

#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    wake: OwnedFd,
    events: OwnedFd,
}

impl Poller {
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer; the descriptor is new and nobody else's.
        let epoll = unsafe { owned(libc::epoll_create1(libc::EPOLL_CLOEXEC))? };
        let poller = Poller { epoll, wake: eventfd()?, events: eventfd()? };
        poller.control(libc::EPOLL_CTL_ADD, poller.wake.as_raw_fd(), libc::EPOLLIN as u32, WAKE)?;
        Ok(poller)
    }

    pub fn add(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN as u32, token)
    }

    /// Ask for room to send, or no more.
    pub fn want_room(&self, fd: RawFd, token: u64, wanted: bool) -> io::Result<()> {
        let mask = if wanted { libc::EPOLLIN | libc::EPOLLOUT } else { libc::EPOLLIN } as u32;
        self.control(libc::EPOLL_CTL_MOD, fd, mask, token)
    }

    pub fn remove(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0)
    }

    /// Ready endpoints, in the order of their numbers, into `ready`. `timeout_ms` as epoll_wait's.
    pub fn wait(&self, timeout_ms: i32, ready: &mut Vec<Ready>) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; ENDPOINTS_PER_ROUND];
        ready.clear();
        // SAFETY: `events` has room for as many as are asked for, and lives during the call.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), ENDPOINTS_PER_ROUND as i32, timeout_ms)
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        }
        for event in &events[..count as usize] {
            let (mask, token) = (event.events, event.u64);
            if token == WAKE {
                clear(&self.wake);
            } else {
                ready.push(Ready { number: (token >> 32) as u32, serial: token as u32, mask });
            }
        }
        ready.sort_unstable_by_key(|ready| ready.number);
        Ok(())
    }

    /// Make a `wait` return.
    pub fn wake(&self) {
        signal(&self.wake);
    }

    /// Tell policy that events wait.
    pub fn announce(&self) {
        signal(&self.events);
    }

    /// Policy has been told.
    pub fn clear_announcement(&self) {
        clear(&self.events);
    }

    /// Readable when events wait.
    pub fn events_fd(&self) -> RawFd {
        self.events.as_raw_fd()
    }

    fn control(&self, operation: i32, fd: RawFd, mask: u32, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: mask, u64: token };
        // SAFETY: `event` lives during the call.
        if unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &mut event) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// # Safety
/// `fd`, if it is one, is new and nobody else's.
unsafe fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and nobody else's as the caller says.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer; the descriptor is new and nobody else's.
    unsafe { owned(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)) }
}

/// Makes it readable. It cannot fail but by overflow, when it is readable already.
fn signal(eventfd: &OwnedFd) {
    let one = 1u64;
    // SAFETY: eight octets are read from `one`, which lives during the call.
    unsafe { libc::write(eventfd.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
}

fn clear(eventfd: &OwnedFd) {
    let mut count = 0u64;
    // SAFETY: there is room for eight octets in `count`, which lives during the call.
    unsafe { libc::read(eventfd.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
}
