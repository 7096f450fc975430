//! How two processes come to share rings: one request, one answer, on a stream socket in the file system.
//!
//! The connection is silent afterwards; its end, from either side, is the end of the rings. Numbers are in native byte
//! order.
//!
//! ```text
//! request                                             answer
//! 0   8   magic "VDERING\0"                           0   8   magic "VDERING\0"
//! 8   2   newest version that the connector speaks    8   2   version that will be spoken
//! 10  2   oldest version                              10  2   0
//! 12  4   bits 7:0 0, or 1: management port;          12  4   0, or the errno of a refusal
//!         bits 31:8 wanted port, 0: any
//! 16  4   wanted octets of a ring, 0: any             16  4   octets of a ring
//! 20  4   octets of the longest frame, 0: any         20  4   octets of the longest frame
//! 24  4   0: features offered                         24  4   0: features accepted
//! 28  4   octets of the text that follows, 0…128      28  4   octets of the text that follows, 0…512
//! 32      description                                 32      a refusal's reason
//! ```
//!
//! An answer that is no refusal brings the five descriptors of [`Given`] by SCM_RIGHTS, with its first octet.

use crate::ring::{Given, Ring};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub const MAGIC: &[u8; 8] = b"VDERING\0";
pub const VERSION: u16 = 1;
pub const HEADER_OCTETS: usize = 32;
pub const DESCRIPTION_OCTETS: usize = 128;
pub const REASON_OCTETS: usize = 512;
/// Chosen: a listener that does not answer by then is not one.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What a connector asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// 0: any.
    pub port: u32,
    pub ring_octets: u32,
    pub frame_octets: u32,
    pub description: Vec<u8>,
}

impl Request {
    pub fn emit(&self) -> Vec<u8> {
        let text = &self.description[..self.description.len().min(DESCRIPTION_OCTETS)];
        let mut octets = MAGIC.to_vec();
        octets.extend(VERSION.to_ne_bytes());
        octets.extend(VERSION.to_ne_bytes());
        let numbers = [self.port << 8, self.ring_octets, self.frame_octets, 0, text.len() as u32];
        octets.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
        octets.extend(text);
        octets
    }
}

/// Why there are no rings.
#[derive(Debug)]
pub enum Failure {
    /// The listener said no.
    Refused { errno: i32, reason: String },
    /// Nobody listens, or what listens speaks something else.
    Io(io::Error),
}

impl Failure {
    pub fn errno(&self) -> i32 {
        match self {
            Failure::Refused { errno, .. } => *errno,
            Failure::Io(error) => error.raw_os_error().unwrap_or(libc::EPROTO),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Refused { reason, .. } => f.write_str(reason),
            Failure::Io(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

/// Connect to a listener: the rings, and the connection whose end is theirs.
pub fn connect(path: &Path, request: &Request) -> Result<(Ring, UnixStream), Failure> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    io::Write::write_all(&mut stream, &request.emit())?;
    let (mut header, mut fds) = ([0; HEADER_OCTETS], Vec::new());
    let mut have = 0;
    while have < HEADER_OCTETS {
        let got = receive(&stream, &mut header[have..], &mut fds)?;
        if got == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the listener closed the connection").into());
        }
        have += got;
    }
    let number = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let text_octets = number(28) as usize;
    if &header[..8] != MAGIC || text_octets > REASON_OCTETS {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "what listens there has no rings").into());
    }
    let mut text = vec![0; text_octets];
    io::Read::read_exact(&mut stream, &mut text)?;
    if number(12) != 0 {
        let errno = i32::try_from(number(12)).ok().filter(|errno| *errno < 4096).unwrap_or(libc::EPROTO);
        return Err(Failure::Refused { errno, reason: String::from_utf8_lossy(&text).into_owned() });
    }
    let version = u16::from_ne_bytes([header[8], header[9]]);
    if version != VERSION {
        let text = format!("the listener speaks version {version} of the rings, not {VERSION}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text).into());
    }
    let fds: [OwnedFd; Given::COUNT] = fds.try_into().map_err(|fds: Vec<OwnedFd>| {
        let text = format!("{} descriptors came with the answer: {} were expected", fds.len(), Given::COUNT);
        io::Error::new(io::ErrorKind::InvalidData, text)
    })?;
    stream.set_read_timeout(None)?;
    Ok((Ring::join(Given::from(fds))?, stream))
}

/// `recvmsg`, adding the descriptors that come along.
fn receive(stream: &UnixStream, into: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    /// Room for more than are expected, aligned as control messages want it.
    #[repr(align(8))]
    struct Ancillary(MaybeUninit<[u8; 256]>);
    let mut ancillary = Ancillary(MaybeUninit::uninit());
    let mut iovec = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: a header of zeros is valid: null pointers and no lengths.
    let mut header = unsafe { std::mem::zeroed::<libc::msghdr>() };
    header.msg_iov = &mut iovec;
    header.msg_iovlen = 1;
    header.msg_control = ancillary.0.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&ancillary.0) as _;
    let got = loop {
        // SAFETY: all that the header points at lives during the call.
        let got = unsafe { libc::recvmsg(stream.as_raw_fd(), &mut header, libc::MSG_CMSG_CLOEXEC) };
        if got >= 0 {
            break got as usize;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    };
    // SAFETY: the kernel has filled in the header; the macros walk within what it says.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(&header);
        while !message.is_null() {
            let (level, kind) = ((*message).cmsg_level, (*message).cmsg_type);
            if level == libc::SOL_SOCKET && kind == libc::SCM_RIGHTS {
                let octets = (*message).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(message).cast::<RawFd>();
                for index in 0..octets / size_of::<RawFd>() {
                    fds.push(OwnedFd::from_raw_fd(data.add(index).read_unaligned()));
                }
            }
            message = libc::CMSG_NXTHDR(&header, message);
        }
    }
    Ok(got)
}
