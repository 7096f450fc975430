//! Frames that are due, until the descriptor has taken them.

use crate::end::{End, Road};
use crate::lane::Held;
use frame_ring::{Pushed, Ring};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// Messages of one system call.
const BATCH: usize = 32;

/// What is due for one descriptor.
#[derive(Default)]
pub struct Sender {
    frames: VecDeque<Held>,
    /// The descriptor did not take the first one.
    pub blocked: bool,
}

impl Sender {
    pub fn push(&mut self, held: Held) {
        self.frames.push_back(held);
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Those that were not sent.
    pub fn into_frames(self) -> impl Iterator<Item = Held> {
        self.frames.into_iter()
    }

    /// Send until there are none, or the descriptor takes no more now. Those that it refuses go to `refused`.
    pub fn send(&mut self, end: &mut End, mut refused: impl FnMut(Held)) {
        self.blocked = false;
        while let Some(first) = self.frames.front() {
            let result = match &mut end.0 {
                Road::Socket { fd, .. } => messages(fd.as_raw_fd(), &self.frames),
                Road::Tap(fd) => write(fd.as_raw_fd(), &first.frame),
                Road::Ring(ring) => pushes(ring, &self.frames),
            };
            match result {
                Ok(sent) => drop(self.frames.drain(..sent.max(1))),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN | libc::ENOBUFS) => {
                        self.blocked = true;
                        return;
                    }
                    _ => {
                        self.frames.pop_front().map(&mut refused);
                    }
                },
            }
        }
    }
}

/// How many of the first frames a ring took; EAGAIN: none, and its descriptor will tell of room.
fn pushes(ring: &mut Ring, frames: &VecDeque<Held>) -> io::Result<usize> {
    let refused = || io::Error::from_raw_os_error(libc::EPROTO);
    let mut count = 0;
    let mut outcome = Ok(Pushed::Taken);
    for held in frames {
        outcome = ring.push(&[&held.frame]);
        if !matches!(outcome, Ok(Pushed::Taken)) {
            break;
        }
        count += 1;
    }
    ring.publish();
    match outcome.map_err(|_| refused())? {
        _ if count > 0 => Ok(count),
        Pushed::Full if ring.wait_for_room().map_err(|_| refused())? => Err(io::Error::from_raw_os_error(libc::EINTR)),
        Pushed::Full => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
        _ => Err(io::Error::from_raw_os_error(libc::EMSGSIZE)),
    }
}

fn write(fd: RawFd, frame: &[u8]) -> io::Result<usize> {
    // SAFETY: `frame` has the octets that are said.
    check(unsafe { libc::write(fd, frame.as_ptr().cast(), frame.len()) }).map(|_| 1)
}

/// How many of the first messages were sent.
fn messages(fd: RawFd, frames: &VecDeque<Held>) -> io::Result<usize> {
    // SAFETY: a header and an iovec of zeros are valid: null pointers and no lengths.
    let (mut headers, mut iovecs): ([libc::mmsghdr; BATCH], [libc::iovec; BATCH]) = unsafe { std::mem::zeroed() };
    let mut count = 0;
    for ((held, header), iovec) in frames.iter().zip(&mut headers).zip(&mut iovecs) {
        *iovec = libc::iovec { iov_base: held.frame.as_ptr().cast_mut().cast(), iov_len: held.frame.len() };
        header.msg_hdr.msg_iov = iovec;
        header.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the headers name frames that outlive the call; a sender does not write to them.
    check(unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), count, flags) } as isize)
}

fn check(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
