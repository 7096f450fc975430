//! Sending a whole turn by one system call, through io_uring.
//!
//! Why: `sendmmsg` lets the scheduler in after every message. A receiver that the first message woke then takes the
//! processor, reads that one frame, sleeps, and is woken again by the next: two context switches a frame, and a turn
//! that takes many times as long. The submission of a ring has no such point, so the receiver finds all its frames at
//! once (measured: a quarter more frames a second between eight pairs, two thirds more in a flood, on two processors).
//!
//! Every request completes within the submission, because it may not block. The ring is used by whoever holds the
//! forwarder's lock. Where io_uring is not to be had (old kernels, `kernel.io_uring_disabled`, seccomp), `send`
//! does the work alone.

use crate::frame::{Form, TAG_OCTETS};
use crate::outbox::Item;
use io_uring::{IoUring, opcode, types};
use std::io;
use std::os::fd::RawFd;

/// Requests of one submission. Chosen: eight endpoints' full batches, in 20 KiB.
const REQUESTS: usize = 256;
const PIECES: usize = 3;
/// Result of a request that was not even submitted: to be tried again.
const NOT_SUBMITTED: i32 = -libc::EAGAIN;

/// A frame for an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Parcel {
    pub slot: u32,
    pub fd: RawFd,
    pub item: Item,
}

pub struct Burst {
    ring: IoUring,
    headers: Box<[libc::msghdr]>,
    iovecs: Box<[[libc::iovec; PIECES]]>,
    tags: Box<[[u8; TAG_OCTETS]]>,
    results: Box<[i32]>,
}

// SAFETY: the raw pointers in `headers` and `iovecs` are set anew before each submission, and are not used otherwise; a
// ring without IORING_SETUP_SINGLE_ISSUER may be used by any thread, one at a time.
unsafe impl Send for Burst {}

impl Burst {
    pub fn new() -> io::Result<Self> {
        // SAFETY: a header and an iovec of zeros are valid: null pointers and no lengths.
        let (header, iovec) = unsafe { std::mem::zeroed::<(libc::msghdr, libc::iovec)>() };
        Ok(Burst {
            ring: IoUring::new(REQUESTS as u32)?,
            headers: vec![header; REQUESTS].into(),
            iovecs: vec![[iovec; PIECES]; REQUESTS].into(),
            tags: vec![[0; TAG_OCTETS]; REQUESTS].into(),
            results: vec![0; REQUESTS].into(),
        })
    }

    /// Send `parcels` in order, then `settle` each, in order, with the octets sent or a negative errno.
    ///
    /// An error means that the ring is of no more use; every parcel was settled nevertheless.
    pub fn send<'a>(
        &mut self,
        parcels: &[Parcel],
        frame: impl Fn(usize) -> &'a [u8],
        mut settle: impl FnMut(&Parcel, i32),
    ) -> io::Result<()> {
        let mut outcome = Ok(());
        for chunk in parcels.chunks(REQUESTS) {
            self.results[..chunk.len()].fill(NOT_SUBMITTED);
            if outcome.is_ok() {
                outcome = self.submit(chunk, &frame);
            }
            for (parcel, &result) in chunk.iter().zip(&self.results) {
                settle(parcel, result);
            }
        }
        outcome
    }

    fn submit<'a>(&mut self, chunk: &[Parcel], frame: &impl Fn(usize) -> &'a [u8]) -> io::Result<()> {
        for (index, parcel) in chunk.iter().enumerate() {
            let request = self.request(index, parcel, frame(usize::from(parcel.item.frame)));
            // SAFETY: what the request points at (the frame, the header, its iovecs and tag) outlives this call, which
            // does not return before the request has completed.
            if unsafe { self.ring.submission().push(&request) }.is_err() {
                return Err(io::Error::other("the submission queue is full")); // it has room for REQUESTS
            }
        }
        let mut missing = chunk.len();
        let mut wanted = 0;
        while missing > 0 {
            match self.ring.submit_and_wait(wanted) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            for completion in self.ring.completion() {
                self.results[completion.user_data() as usize] = completion.result();
                missing -= 1;
            }
            wanted = missing; // none, as long as requests complete at once
        }
        Ok(())
    }

    fn request(&mut self, index: usize, parcel: &Parcel, octets: &[u8]) -> io_uring::squeue::Entry {
        let fd = types::Fd(parcel.fd);
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let request = if parcel.item.form == Form::AsIs {
            opcode::Send::new(fd, octets.as_ptr(), octets.len() as u32).flags(flags).build()
        } else {
            self.tags[index] = parcel.item.form.tag();
            let pieces = parcel.item.form.pieces(octets, &self.tags[index]);
            for (iovec, piece) in self.iovecs[index].iter_mut().zip(pieces) {
                *iovec = libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() };
            }
            let header = &mut self.headers[index];
            header.msg_iov = self.iovecs[index].as_mut_ptr();
            header.msg_iovlen = PIECES;
            opcode::SendMsg::new(fd, header).flags(flags as u32).build()
        };
        request.user_data(index as u64)
    }
}
