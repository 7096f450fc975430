//! What a wire's thread reads and writes: a socket, a tap, or rings in shared memory.

use frame_ring::Ring;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// How frames pass on a descriptor.
#[derive(Debug)]
pub enum Road {
    /// Frames are messages; `is_connection`: an empty one is the end.
    Socket { fd: OwnedFd, is_connection: bool },
    /// Frames are read and written.
    Tap(OwnedFd),
    /// Frames are in memory; its descriptors tell of them, and of room.
    Ring(Box<Ring>),
}

/// One end.
#[derive(Debug)]
pub struct End(pub(crate) Road);

impl End {
    /// A socket, made non-blocking, and told to stamp arrivals.
    ///
    /// # Safety
    /// `fd` is nobody else's from now on, if this succeeds.
    pub unsafe fn socket(fd: RawFd) -> io::Result<End> {
        do_not_block(fd)?;
        let (mut kind, on) = (0i32, 1i32);
        let mut length = size_of::<i32>() as libc::socklen_t;
        // SAFETY: there is room for an int, as is said, and both live during the call.
        check(unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &mut length) })?;
        // SAFETY: the value is an int, as long as is said, and lives during the call.
        check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, (&raw const on).cast(), length) })?;
        // SAFETY: it is open; the caller gives it up.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(End(Road::Socket { fd, is_connection: kind == libc::SOCK_SEQPACKET }))
    }

    /// A tap, made non-blocking.
    ///
    /// # Safety
    /// As of `socket`.
    pub unsafe fn tap(fd: RawFd) -> io::Result<End> {
        do_not_block(fd)?;
        // SAFETY: it is open; the caller gives it up.
        Ok(End(Road::Tap(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    pub fn ring(ring: Ring) -> End {
        End(Road::Ring(Box::new(ring)))
    }

    /// Leave the descriptor to whoever had it.
    pub fn disown(self) {
        use std::os::fd::IntoRawFd;
        if let Road::Socket { fd, .. } | Road::Tap(fd) = self.0 {
            let _ = fd.into_raw_fd();
        }
    }

    /// Readable when frames are there.
    pub(crate) fn frames_fd(&self) -> RawFd {
        match &self.0 {
            Road::Socket { fd, .. } | Road::Tap(fd) => fd.as_raw_fd(),
            Road::Ring(ring) => ring.frames_fd(),
        }
    }

    /// What tells that frames are taken again after they were not, and by which event.
    pub(crate) fn room(&self) -> (RawFd, i16) {
        match &self.0 {
            Road::Socket { fd, .. } | Road::Tap(fd) => (fd.as_raw_fd(), libc::POLLOUT),
            Road::Ring(ring) => (ring.room_fd(), libc::POLLIN),
        }
    }

    /// Is an empty message its end?
    pub(crate) fn is_connection(&self) -> bool {
        matches!(self.0, Road::Socket { is_connection: true, .. })
    }

    /// Does reading go on after this error? A datagram socket reports what befell its peer, once.
    pub(crate) fn survives(&self, errno: i32) -> bool {
        matches!(errno, libc::EAGAIN | libc::EINTR)
            || matches!(self.0, Road::Socket { is_connection: false, .. })
                && matches!(errno, libc::ECONNREFUSED | libc::ECONNRESET)
    }
}

fn do_not_block(fd: RawFd) -> io::Result<()> {
    // SAFETY: F_GETFL takes no pointer; a bad descriptor is answered with EBADF.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    // SAFETY: F_SETFL takes no pointer.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    Ok(())
}

pub(crate) fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
