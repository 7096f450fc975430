//! Taking a turn's frames into the arena.

use crate::limits::FRAMES_PER_TURN;
use crate::offload::{GSO_OCTETS_MAX, Offload, VNET_OCTETS, Work};
use std::io;
use std::os::fd::RawFd;
use std::ptr;

/// What one `recvmmsg`, or some `read`s, brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    pub octets: usize,
    /// The frame was longer than the arena's slot.
    pub truncated: bool,
}

/// The arena: `FRAMES_PER_TURN` slots of one frame each, and the headers by which `recvmmsg` fills them.
///
/// A slot holds one octet more than the longest frame, so that a `read` can tell one that is longer.
pub struct Receiver {
    arena: Box<[u8]>,
    stride: usize,
    frame_octets_max: usize,
    headers: Box<[libc::mmsghdr]>,
    iovecs: Box<[libc::iovec]>,
    received: [Received; FRAMES_PER_TURN],
    /// Of frames of a tap with offloads: their headers, and what they mean.
    offloads: [(Offload, Work); FRAMES_PER_TURN],
    /// Is any of them more than `ORDINARY`?
    unfinished: bool,
}

const ORDINARY: (Offload, Work) = (Offload::NONE, Work::Nothing);

// SAFETY: the raw pointers in `headers` and `iovecs` are set anew before each system call, to memory of this very
// struct, and are not used otherwise.
unsafe impl Send for Receiver {}

impl Receiver {
    pub fn new(frame_octets_max: usize) -> Self {
        let stride = stride(frame_octets_max);
        // SAFETY: a header and an iovec of zeros are valid: null pointers and no lengths.
        let (header, iovec) = unsafe { std::mem::zeroed::<(libc::mmsghdr, libc::iovec)>() };
        Receiver {
            arena: vec![0; stride * FRAMES_PER_TURN].into(),
            stride,
            frame_octets_max,
            headers: vec![header; FRAMES_PER_TURN].into(),
            iovecs: vec![iovec; FRAMES_PER_TURN].into(),
            received: [Received::default(); FRAMES_PER_TURN],
            offloads: [ORDINARY; FRAMES_PER_TURN],
            unfinished: false,
        }
    }

    /// Have room for frames of 64 KiB.
    pub fn grow(&mut self) {
        let stride = stride(GSO_OCTETS_MAX);
        if self.stride < stride {
            self.stride = stride;
            self.arena = vec![0; stride * FRAMES_PER_TURN].into();
        }
    }

    /// A new turn: no frame has a header.
    pub fn begin(&mut self) {
        if self.unfinished {
            self.unfinished = false;
            self.offloads = [ORDINARY; FRAMES_PER_TURN];
        }
    }

    /// Take one message that is there into the first slot.
    pub fn take_message(&mut self, fd: RawFd) -> io::Result<()> {
        let slot = &mut self.arena[..self.frame_octets_max];
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC; // the latter: tell the true length
        // SAFETY: `slot` has the room that is said.
        let octets = retry(|| unsafe { libc::recv(fd, slot.as_mut_ptr().cast(), slot.len(), flags) })?;
        self.received[0] = self.up_to_max(octets);
        Ok(())
    }

    /// Take up to `most` messages that are there; returns how many.
    pub fn take_messages(&mut self, fd: RawFd, most: usize) -> io::Result<usize> {
        let most = most.min(FRAMES_PER_TURN);
        let arena = self.arena.as_mut_ptr();
        let iovecs = self.iovecs.as_mut_ptr();
        for index in 0..most {
            // SAFETY: slot `index` and iovec `index` are within their allocations.
            let (base, iovec) = unsafe { (arena.add(index * self.stride), iovecs.add(index)) };
            // SAFETY: `iovec` is valid for writing; so is `self.headers[index]`, a place of its own.
            unsafe { *iovec = libc::iovec { iov_base: base.cast(), iov_len: self.frame_octets_max } };
            let header = &mut self.headers[index];
            header.msg_hdr.msg_iov = iovec;
            header.msg_hdr.msg_iovlen = 1;
        }
        let (headers, flags) = (self.headers.as_mut_ptr(), libc::MSG_DONTWAIT);
        let count = retry(|| {
            // SAFETY: the headers' iovecs name distinct slots of the arena, which nobody else uses during the call.
            unsafe { libc::recvmmsg(fd, headers, most as u32, flags, ptr::null_mut()) as isize }
        })?;
        for (received, header) in self.received.iter_mut().zip(&self.headers[..count]) {
            *received = Received {
                octets: header.msg_len as usize,
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            };
        }
        Ok(count)
    }

    /// Take one frame by `read` into slot `index`.
    pub fn take_read(&mut self, fd: RawFd, index: usize) -> io::Result<()> {
        let slot = &mut self.arena[index * self.stride..][..self.frame_octets_max + 1];
        // SAFETY: `slot` has the room that is said.
        let octets = retry(|| unsafe { libc::read(fd, slot.as_mut_ptr().cast(), slot.len()) })?;
        self.received[index] = self.up_to_max(octets);
        Ok(())
    }

    /// Where a frame of slot `index` goes, if it comes otherwise.
    pub fn slot(&mut self, index: usize) -> &mut [u8] {
        &mut self.arena[index * self.stride..][..self.frame_octets_max]
    }

    /// A frame of `octets` came into slot `index`.
    pub fn fill(&mut self, index: usize, octets: usize, truncated: bool) {
        self.received[index] = Received { octets: octets.min(self.frame_octets_max), truncated };
    }

    /// Likewise with the header before it; `grow` was called before.
    pub fn take_vnet(&mut self, fd: RawFd, index: usize) -> io::Result<()> {
        let mut header = [0u8; VNET_OCTETS];
        let slot = &mut self.arena[index * self.stride..][..GSO_OCTETS_MAX + 1];
        let pieces = [
            libc::iovec { iov_base: header.as_mut_ptr().cast(), iov_len: VNET_OCTETS },
            libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() },
        ];
        // SAFETY: both pieces have the room that is said, and nobody else uses them during the call.
        let read = retry(|| unsafe { libc::readv(fd, pieces.as_ptr(), 2) })?;
        if read == 0 {
            return Err(io::Error::from_raw_os_error(libc::ECONNRESET));
        }
        let octets = read.saturating_sub(VNET_OCTETS);
        let truncated = octets > GSO_OCTETS_MAX;
        self.received[index] = Received { octets: octets.min(GSO_OCTETS_MAX), truncated };
        let header = Offload::parse(&header);
        if !header.is_none() {
            self.unfinished = true;
            self.offloads[index] = (header, Work::Nothing);
        }
        Ok(())
    }

    /// Check what the header of the frame in slot `index` says; false: it cannot be.
    pub fn check_offload(&mut self, index: usize) -> bool {
        let (header, _) = self.offloads[index];
        match header.check(self.frame(index)) {
            Ok(checked) => self.offloads[index] = checked,
            Err(_) => return false,
        }
        true
    }

    /// Does any frame of this turn have a header that says more than nothing?
    pub fn unfinished(&self) -> bool {
        self.unfinished
    }

    /// The header of the frame in slot `index`, and what it means.
    pub fn offload(&self, index: usize) -> (Offload, Work) {
        self.offloads[index]
    }

    fn up_to_max(&self, octets: usize) -> Received {
        Received { octets: octets.min(self.frame_octets_max), truncated: octets > self.frame_octets_max }
    }

    /// What the frame in slot `index` is.
    pub fn received(&self, index: usize) -> Received {
        self.received[index]
    }

    /// The octets in slot `index`.
    pub fn frame(&self, index: usize) -> &[u8] {
        &self.arena[index * self.stride..][..self.received[index].octets]
    }
}

/// Octets of a slot, one more than `frame_octets_max` at least; odd in cache lines, so that slots fall into unlike sets.
fn stride(frame_octets_max: usize) -> usize {
    (frame_octets_max + 1).next_multiple_of(128) + 64
}

/// A system call's result, once no signal interrupts it.
fn retry(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        let result = call();
        if result >= 0 {
            return Ok(result as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
