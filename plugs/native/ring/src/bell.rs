//! Waking a peer that sleeps, such that neither side can stop the other.
//!
//! An [`Ear`] is an epoll descriptor: readable, for `poll` and the like, once its bell has rung, until it is cleared. It
//! holds the bell's eventfd edge-triggered, so that nobody ever has to read that. Whoever is given only the ear
//! cannot reach the eventfd: not fill it, nor make it blocking.
//!
//! After the ringer's end an ear is silent for ever, not readable for ever, as a pipe's end would be.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Tokens of bells in an ear.
const PEER: u64 = 0;
const OWN: u64 = 1;

/// Rings an ear.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer; the descriptor is new and nobody else's.
        Ok(Bell(unsafe { owned(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC))? }))
    }

    /// It cannot fail but by overflow, after 2⁶⁴ rings, when it has rung.
    pub fn ring(&self) {
        let one = 1u64;
        // SAFETY: eight octets are read from `one`, which lives during the call.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }
}

impl From<OwnedFd> for Bell {
    fn from(fd: OwnedFd) -> Self {
        Bell(fd)
    }
}

impl From<Bell> for OwnedFd {
    fn from(bell: Bell) -> Self {
        bell.0
    }
}

/// Hears one bell, and its owner's own.
#[derive(Debug)]
pub struct Ear(OwnedFd);

impl Ear {
    /// An ear, and its bell.
    pub fn new() -> io::Result<(Self, Bell)> {
        let bell = Bell::new()?;
        // SAFETY: takes no pointer; the descriptor is new and nobody else's.
        let ear = Ear(unsafe { owned(libc::epoll_create1(libc::EPOLL_CLOEXEC))? });
        ear.hear(&bell, PEER)?;
        Ok((ear, bell))
    }

    /// A second bell, which its owner can ring even if the first one is not its own.
    pub fn add_bell(&self) -> io::Result<Bell> {
        let bell = Bell::new()?;
        self.hear(&bell, OWN)?;
        Ok(bell)
    }

    fn hear(&self, bell: &Bell, whose: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: whose };
        // SAFETY: `event` lives during the call.
        if unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, bell.0.as_raw_fd(), &mut event) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Forget what rang. Was the peer's bell (not the owner's own) among it?
    pub fn clear(&self) -> bool {
        let mut events = [libc::epoll_event { events: 0, u64: OWN }; 2];
        // SAFETY: `events` has room for two, as is said, and lives during the call, which does not wait.
        unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), 2, 0) };
        events.iter().any(|event| event.u64 == PEER)
    }
}

impl AsRawFd for Ear {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Ear {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Ear {
    fn from(fd: OwnedFd) -> Self {
        Ear(fd)
    }
}

impl From<Ear> for OwnedFd {
    fn from(ear: Ear) -> Self {
        ear.0
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

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(ear: &Ear) -> bool {
        let mut poll = libc::pollfd { fd: ear.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, which lives during the call.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 && poll.revents == libc::POLLIN }
    }

    #[test]
    fn an_ear_is_readable_until_cleared() {
        let (ear, bell) = Ear::new().unwrap();
        assert!(!readable(&ear) && !ear.clear());
        for _ in 0..3 {
            bell.ring();
            bell.ring();
            assert!(readable(&ear) && readable(&ear));
            assert!(ear.clear() && !readable(&ear) && !ear.clear());
        }
    }

    #[test]
    fn both_bells_are_cleared_at_once() {
        let (ear, bell) = Ear::new().unwrap();
        let own = ear.add_bell().unwrap();
        bell.ring();
        own.ring();
        assert!(ear.clear() && !readable(&ear));
        own.ring();
        assert!(readable(&ear));
        assert!(!ear.clear() && !readable(&ear));
    }

    #[test]
    fn an_ear_whose_ringer_is_gone_is_silent() {
        let (ear, bell) = Ear::new().unwrap();
        drop(bell);
        assert!(!readable(&ear) && !ear.clear());
    }
}
