//! One descriptor of a port: a client's data socket, a tap, or what tells of frames in shared memory.

use crate::error::{Error, Result};
use crate::limits::FRAMES_PER_TURN;
use crate::overlay::Overlay;
use crate::queue::Queue;
use crate::room::Room;
use frame_ring::Ring;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A datagram socket: one frame per message.
    Datagram,
    /// A seqpacket socket: likewise, but an empty message is the end of the connection.
    Seqpacket,
    /// A tap's character device: one frame per read and write.
    Tap,
    /// Rings in shared memory; the descriptor is readable when frames are there.
    Ring,
    /// A VXLAN network's UDP socket.
    Overlay,
    /// Likewise, with a virtio-net header before each frame: unfinished ones are taken and given.
    TapVnet,
}

/// What a caller says that a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descriptor {
    Socket,
    Tap,
    TapVnet,
}

impl Kind {
    /// Does an empty message mean the end?
    pub fn is_connection(self) -> bool {
        matches!(self, Kind::Seqpacket | Kind::Tap) // before a tap's frame with offloads there is a header
    }

    /// Does reading go on after this error? A datagram socket reports what befell its peer, once.
    pub fn survives(self, errno: i32) -> bool {
        matches!(self, Kind::Datagram | Kind::Overlay) && matches!(errno, libc::ECONNRESET | libc::ECONNREFUSED)
    }
}

/// Owns its descriptor.
#[derive(Debug)]
pub struct Endpoint {
    pub number: u32,
    pub port: u16,
    pub kind: Kind,
    pub fd: OwnedFd,
    /// Unlike any earlier endpoint's: tells late readiness of another from this one's.
    pub serial: u32,
    pub queue: Queue,
    /// Is the poller asked for room to send?
    pub wants_room: bool,
    /// Reading failed: not polled any more.
    pub failed: bool,
    /// Did its last turn bring more than one frame?
    pub bursty: bool,
    /// When that was.
    pub last_round: u64,
    /// How many turns in a row brought one frame, not right after the one before.
    pub lone_turns: u8,
    /// How many frames its next turn may take.
    pub frames_per_turn: usize,
    /// What its kernel buffer certainly holds.
    pub room: Room,
    /// Of kind `Ring`, and only of that.
    pub ring: Option<Box<Ring>>,
    /// Of kind `Overlay`, and only of that.
    pub overlay: Option<Box<Overlay>>,
}

impl Endpoint {
    /// An endpoint of its own kind, on rings; `fd` is another descriptor of what the ring's is.
    ///
    /// # Safety
    /// It is open, and nobody else closes it from now on.
    pub unsafe fn of_ring(number: u32, port: u16, serial: u32, fd: RawFd, ring: Ring) -> Endpoint {
        Endpoint {
            number,
            port,
            kind: Kind::Ring,
            // SAFETY: as the caller says.
            fd: unsafe { OwnedFd::from_raw_fd(fd) },
            serial,
            queue: Queue::new(0),
            wants_room: false,
            failed: false,
            bursty: true,
            lone_turns: 0,
            last_round: u64::MAX - 1,
            frames_per_turn: FRAMES_PER_TURN,
            room: Room::NONE,
            ring: Some(Box::new(ring)),
            overlay: None,
        }
    }
}

/// A descriptor that was made ready for forwarding, but is still its caller's.
pub struct Prepared {
    fd: RawFd,
    kind: Kind,
    room: Room,
}

impl Prepared {
    /// Make `fd` non-blocking; a socket also gets its send buffer.
    pub fn new(fd: RawFd, descriptor: Descriptor, send_buffer_octets: i32) -> io::Result<Self> {
        let mut room = Room::NONE;
        let kind = match descriptor {
            Descriptor::Tap => Kind::Tap,
            Descriptor::TapVnet => {
                take_offloads(fd)?;
                Kind::TapVnet
            }
            Descriptor::Socket => {
                set_option(fd, libc::SO_SNDBUF, send_buffer_octets)?;
                room = Room::new(option(fd, libc::SO_SNDBUF)?);
                match option(fd, libc::SO_TYPE)? {
                    libc::SOCK_SEQPACKET => Kind::Seqpacket,
                    _ => Kind::Datagram,
                }
            }
        };
        // SAFETY: F_GETFL takes no pointer; a bad descriptor is answered with EBADF.
        let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
        // SAFETY: F_SETFL takes no pointer.
        check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
        Ok(Prepared { fd, kind, room })
    }

    /// Take the descriptor over.
    ///
    /// # Safety
    /// Nobody else closes it from now on.
    pub unsafe fn own(self, number: u32, port: u16, serial: u32, queue_frames: usize) -> Endpoint {
        Endpoint {
            number,
            port,
            kind: self.kind,
            // SAFETY: `Prepared::new` has shown that it is open; the caller gives it up.
            fd: unsafe { OwnedFd::from_raw_fd(self.fd) },
            serial,
            queue: Queue::new(queue_frames),
            wants_room: false,
            failed: false,
            bursty: false,
            lone_turns: 0,
            last_round: u64::MAX - 1,
            frames_per_turn: FRAMES_PER_TURN,
            room: self.room,
            ring: None,
            overlay: None,
        }
    }
}

/// Endpoints in slots, which are small and reused, and by their numbers, which policy chooses.
#[derive(Debug, Default)]
pub struct Endpoints {
    slots: Vec<Option<Endpoint>>,
    vacant: Vec<u32>,
    by_number: hashbrown::HashMap<u32, u32>,
    serial: u32,
}

impl Endpoints {
    pub fn contains(&self, number: u64) -> bool {
        u32::try_from(number).is_ok_and(|number| self.by_number.contains_key(&number))
    }

    /// The slot of endpoint `number`.
    pub fn slot(&self, number: u64) -> Result<u32> {
        u32::try_from(number)
            .ok()
            .and_then(|number| self.by_number.get(&number).copied())
            .ok_or_else(|| Error::Unknown(format!("endpoint {number} does not exist")))
    }

    pub fn get(&self, slot: u32) -> Option<&Endpoint> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Endpoint> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// A serial number for the next endpoint.
    pub fn next_serial(&mut self) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    pub fn insert(&mut self, endpoint: Endpoint) -> u32 {
        let number = endpoint.number;
        let slot = match self.vacant.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(endpoint);
                slot
            }
            None => {
                self.slots.push(Some(endpoint));
                (self.slots.len() - 1) as u32
            }
        };
        self.by_number.insert(number, slot);
        slot
    }

    pub fn remove(&mut self, slot: u32) -> Option<Endpoint> {
        let endpoint = self.slots.get_mut(slot as usize)?.take()?;
        self.by_number.remove(&endpoint.number);
        self.vacant.push(slot);
        Some(endpoint)
    }

    /// Slots in use, in no order.
    pub fn used(&self) -> Vec<u32> {
        self.by_number.values().copied().collect()
    }
}

impl AsRawFd for Endpoint {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// linux/if_tun.h: TUNSETOFFLOAD, _IOW('T', 208, unsigned int); TUN_F_*.
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54D0;
const TUN_F_CSUM: libc::c_ulong = 0x01;
const TUN_F_TSO: libc::c_ulong = 0x02 | 0x04; // IPv4, IPv6
const TUN_F_TSO_ECN: libc::c_ulong = 0x08;
const TUN_F_USO: libc::c_ulong = 0x20 | 0x40; // IPv4, IPv6; since Linux 6.2

/// Ask a tap for all the unfinished frames that `offload` understands, as far as this kernel can.
fn take_offloads(fd: RawFd) -> io::Result<()> {
    let most = TUN_F_CSUM | TUN_F_TSO | TUN_F_TSO_ECN;
    for offloads in [most | TUN_F_USO, most] {
        // SAFETY: TUNSETOFFLOAD takes a number, no pointer.
        match check(unsafe { libc::ioctl(fd, TUNSETOFFLOAD, offloads) }) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => break, // no tap: another program knows already
            result => return result.map(drop),
        }
    }
    Ok(()) // none then
}

fn set_option(fd: RawFd, option: i32, value: i32) -> io::Result<()> {
    let octets = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the value is an int, as long as is said, and lives during the call.
    check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, (&raw const value).cast(), octets) })?;
    Ok(())
}

fn option(fd: RawFd, option: i32) -> io::Result<i32> {
    let mut value = 0i32;
    let mut octets = size_of::<i32>() as libc::socklen_t;
    // SAFETY: there is room for an int, as is said, and both live during the call.
    check(unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, (&raw mut value).cast(), &mut octets) })?;
    Ok(value)
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
