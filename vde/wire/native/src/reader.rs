//! Frames that are there on a descriptor, with the times of their arrival.

use crate::end::{End, Road};
use frame_ring::{Broken, Ring};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

/// At most so many a turn, as the switch's forwarder.
pub const FRAMES: usize = 32;
/// A slot: the longest datagram that a descriptor here gives.
const SLOT_OCTETS: usize = 65_536;
const CONTROL_OCTETS: usize = 64; // CMSG_SPACE(sizeof(struct timespec)) is 32

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_OCTETS]);

pub struct Reader {
    arena: Box<[u8]>,
    headers: Box<[libc::mmsghdr]>,
    iovecs: Box<[libc::iovec]>,
    controls: Box<[Control]>,
    lengths: [usize; FRAMES],
    /// By the wall clock; 0: not known.
    stamps_ns: [i64; FRAMES],
}

// SAFETY: the raw pointers in `headers` and `iovecs` are set anew before each system call, to memory of this very
// struct, and are not used otherwise.
unsafe impl Send for Reader {}

impl Reader {
    pub fn new() -> Self {
        // SAFETY: a header and an iovec of zeros are valid: null pointers and no lengths.
        let (header, iovec) = unsafe { std::mem::zeroed::<(libc::mmsghdr, libc::iovec)>() };
        Reader {
            arena: vec![0; SLOT_OCTETS * FRAMES].into(),
            headers: vec![header; FRAMES].into(),
            iovecs: vec![iovec; FRAMES].into(),
            controls: vec![Control([0; CONTROL_OCTETS]); FRAMES].into(),
            lengths: [0; FRAMES],
            stamps_ns: [0; FRAMES],
        }
    }

    /// Take frames that are there; how many.
    pub fn take(&mut self, end: &mut End) -> io::Result<usize> {
        match &mut end.0 {
            Road::Socket { fd, .. } => self.messages(fd.as_raw_fd()),
            Road::Tap(fd) => self.reads(fd.as_raw_fd()),
            Road::Ring(ring) => self.pops(ring),
        }
    }

    /// From a ring, which has none then or stays readable.
    fn pops(&mut self, ring: &mut Ring) -> io::Result<usize> {
        let mut count = 0;
        while count < FRAMES {
            let slot = &mut self.arena[count * SLOT_OCTETS..][..SLOT_OCTETS];
            match ring.pop(slot).map_err(broken)? {
                Some(popped) if popped.truncated => {} // longer than the peer was told
                Some(popped) => {
                    (self.lengths[count], self.stamps_ns[count]) = (popped.octets, 0);
                    count += 1;
                }
                None => break,
            }
        }
        ring.sleep().map_err(broken)?;
        Ok(count)
    }

    /// Take messages that are there from a socket; how many.
    fn messages(&mut self, fd: RawFd) -> io::Result<usize> {
        for index in 0..FRAMES {
            let slot = &mut self.arena[index * SLOT_OCTETS..][..SLOT_OCTETS];
            self.iovecs[index] = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: SLOT_OCTETS };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_iov = &raw mut self.iovecs[index];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_OCTETS;
        }
        // SAFETY: the headers name distinct slots and controls, which nobody else uses during the call.
        let count = retry(|| unsafe {
            libc::recvmmsg(fd, self.headers.as_mut_ptr(), FRAMES as u32, libc::MSG_DONTWAIT, ptr::null_mut()) as isize
        })?;
        for index in 0..count {
            self.lengths[index] = self.headers[index].msg_len as usize;
            self.stamps_ns[index] = stamp(&self.headers[index].msg_hdr);
        }
        Ok(count)
    }

    /// Take frames that are there from a tap; how many.
    fn reads(&mut self, fd: RawFd) -> io::Result<usize> {
        for index in 0..FRAMES {
            let slot = &mut self.arena[index * SLOT_OCTETS..][..SLOT_OCTETS];
            // SAFETY: `slot` has the room that is said.
            match retry(|| unsafe { libc::read(fd, slot.as_mut_ptr().cast(), SLOT_OCTETS) }) {
                Ok(0) => return Err(io::Error::from_raw_os_error(libc::ECONNRESET)),
                Ok(octets) => (self.lengths[index], self.stamps_ns[index]) = (octets, 0),
                Err(_) if index > 0 => return Ok(index),
                Err(error) => return Err(error),
            }
        }
        Ok(FRAMES)
    }

    /// What was taken: its octets, and its arrival by the wall clock (0: not known).
    pub fn frame(&self, index: usize) -> (&[u8], i64) {
        (&self.arena[index * SLOT_OCTETS..][..self.lengths[index]], self.stamps_ns[index])
    }
}

/// socket(7), SO_TIMESTAMPNS: a message's arrival.
fn stamp(header: &libc::msghdr) -> i64 {
    // SAFETY: the kernel has filled the control buffer up to msg_controllen; CMSG_* stay within it.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while let Some(control) = message.as_ref() {
            if control.cmsg_level == libc::SOL_SOCKET && control.cmsg_type == libc::SCM_TIMESTAMPNS {
                let time = ptr::read_unaligned(libc::CMSG_DATA(message).cast::<libc::timespec>());
                return time.tv_sec * 1_000_000_000 + time.tv_nsec;
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    0
}

fn broken(_: Broken) -> io::Error {
    io::Error::from_raw_os_error(libc::EPROTO)
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
