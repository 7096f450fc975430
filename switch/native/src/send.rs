//! Sending frames of the arena, or of a queue, without copying them.

use crate::endpoint::Kind;
use crate::frame::{Form, TAG_OCTETS};
use crate::limits::FRAMES_PER_TURN;
use crate::offload::{Offload, VNET_OCTETS};
use std::io;
use std::os::fd::RawFd;

const PIECES: usize = 4;

/// A frame as it is to be sent.
#[derive(Clone, Copy)]
pub struct Leaving<'a> {
    pub octets: &'a [u8],
    pub form: Form,
    /// Sent before it; None: nothing is, or it is there already.
    pub header: Option<Offload>,
}

/// How far a sending came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames that are done with: sent, or refused. Fewer than were given: the kernel has no room now.
    pub done: usize,
    /// Frames among them that the kernel refused.
    pub refused: u64,
}

/// The headers by which `sendmmsg` finds the pieces of frames.
pub struct Sender {
    headers: Box<[libc::mmsghdr]>,
    iovecs: Box<[[libc::iovec; PIECES]]>,
    tags: Box<[[u8; TAG_OCTETS]]>,
    offloads: Box<[[u8; VNET_OCTETS]]>,
}

// SAFETY: the raw pointers in `headers` and `iovecs` are set anew before each system call, and are not used otherwise.
unsafe impl Send for Sender {}

impl Sender {
    pub fn new() -> Self {
        // SAFETY: a header and an iovec of zeros are valid: null pointers and no lengths.
        let (header, iovec) = unsafe { std::mem::zeroed::<(libc::mmsghdr, libc::iovec)>() };
        Sender {
            headers: vec![header; FRAMES_PER_TURN].into(),
            iovecs: vec![[iovec; PIECES]; FRAMES_PER_TURN].into(),
            tags: vec![[0; TAG_OCTETS]; FRAMES_PER_TURN].into(),
            offloads: vec![[0; VNET_OCTETS]; FRAMES_PER_TURN].into(),
        }
    }

    /// Send `count` frames in order. Never blocks.
    pub fn send<'a>(&mut self, fd: RawFd, kind: Kind, count: usize, frame: impl Fn(usize) -> Leaving<'a>) -> Sent {
        let mut sent = Sent::default();
        while sent.done < count {
            let batch = (count - sent.done).min(FRAMES_PER_TURN);
            for index in 0..batch {
                self.prepare(index, frame(sent.done + index));
            }
            let mut next = 0;
            while next < batch {
                match self.send_prepared(fd, kind, next, batch) {
                    Ok(taken) => next += taken,
                    Err(error) => match error.raw_os_error() {
                        Some(libc::EINTR) => {}
                        Some(libc::EAGAIN | libc::ENOBUFS) => {
                            sent.done += next;
                            return sent;
                        }
                        _ => {
                            sent.refused += 1;
                            next += 1;
                        }
                    },
                }
            }
            sent.done += batch;
        }
        sent
    }

    fn prepare(&mut self, index: usize, leaving: Leaving<'_>) {
        self.tags[index] = leaving.form.tag();
        let mut before: &[u8] = &[];
        if let Some(header) = leaving.header {
            self.offloads[index] = header.emit();
            before = &self.offloads[index];
        }
        let pieces = leaving.form.pieces(leaving.octets, &self.tags[index]);
        let mut used = 0;
        for piece in std::iter::once(before).chain(pieces).filter(|piece| !piece.is_empty()) {
            self.iovecs[index][used] = libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() };
            used += 1;
        }
        let header = &mut self.headers[index];
        header.msg_hdr.msg_iov = self.iovecs[index].as_mut_ptr();
        header.msg_hdr.msg_iovlen = used;
    }

    /// Send prepared frames from `next` on; returns how many the kernel took, at least one.
    fn send_prepared(&mut self, fd: RawFd, kind: Kind, next: usize, batch: usize) -> io::Result<usize> {
        let headers = &mut self.headers[next..batch];
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let header = &headers[0].msg_hdr;
        let result = if matches!(kind, Kind::Tap | Kind::TapVnet) {
            // SAFETY: `prepare` has just pointed the iovecs at octets that the caller of `send` still borrows.
            let octets = unsafe {
                match header.msg_iovlen {
                    1 => libc::write(fd, (*header.msg_iov).iov_base, (*header.msg_iov).iov_len),
                    pieces => libc::writev(fd, header.msg_iov, pieces as i32),
                }
            };
            if octets < 0 { -1 } else { 1 }
        } else if let ([only], 1) = (&*headers, header.msg_iovlen) {
            // SAFETY: as above (there is one iovec); a sending only reads the octets.
            let octets = unsafe {
                let iovec = *only.msg_hdr.msg_iov;
                libc::send(fd, iovec.iov_base, iovec.iov_len, flags)
            };
            if octets < 0 { -1 } else { 1 }
        } else {
            // SAFETY: as above.
            unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), headers.len() as u32, flags) }
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result.max(1) as usize) }
    }
}
