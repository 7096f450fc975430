//! Endpoints that are a VXLAN network: a UDP socket, a header before each frame, and a table of who is where.
//!
//! ```text
//! octet 0   flags: 0x08 "the VNI is valid"; others are ignored on receipt, as all reserved bits are (RFC 7348 §5)
//!       4-6 VNI, big-endian
//!       8-  Ethernet frame
//! ```
//!
//! Its twin is `vde/overlay.py`. Frames to a group address, or to one that nobody has used as a source lately, go to
//! every remote (a multicast group is one); others to where the address was last heard from, at the port of the terms.
//! Addresses are known by themselves and the VLAN of the first tag. The table is bounded: a new address takes the place of
//! the one unheard of for the longest time.
//!
//! The socket's send buffer is the only queue: what it does not take is dropped (`QUEUE_FULL`).

use crate::clock::monotonic_ns;
use crate::frame::{self, Form, TAG_OCTETS};
use crate::limits::FRAMES_PER_TURN;
use crate::outbox::Item;
use crate::receive::Receiver;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::RawFd;
use std::ptr;

const HEADER_OCTETS: usize = 8;
const FLAG_VNI: u8 = 0x08;
const ADDRESS_OCTETS: usize = size_of::<libc::sockaddr_in6>();
const MESSAGES: usize = 64;
const PIECES: usize = 4;

type Key = [u8; 8];

/// A socket address, IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    octets: [u8; ADDRESS_OCTETS],
    len: usize,
}

impl Address {
    /// From a `sockaddr_in` or `sockaddr_in6` as the kernel has them.
    pub fn new(sockaddr: &[u8]) -> Option<Self> {
        let fits = matches!(sockaddr.len(), 16 | ADDRESS_OCTETS);
        let mut octets = [0; ADDRESS_OCTETS];
        octets.get_mut(..sockaddr.len()).filter(|_| fits)?.copy_from_slice(sockaddr);
        Some(Address { octets, len: sockaddr.len() })
    }

    /// The same host at another port.
    fn at(mut self, port: u16) -> Self {
        self.octets[2..4].copy_from_slice(&port.to_be_bytes());
        self
    }

    /// What names the host: neither port nor flow information.
    fn host(self) -> Self {
        let mut host = self.at(0);
        if self.len == ADDRESS_OCTETS {
            host.octets[4..8].fill(0);
        } else {
            host.octets[8..16].fill(0);
        }
        host
    }
}

/// What the network is: `vde.endpoint.OverlayTerms`.
#[derive(Clone, Debug)]
pub struct Terms {
    pub vni: u32,
    pub remotes: Vec<Address>,
    pub port: u16,
    pub only_remotes: bool,
    pub addresses_max: usize,
    pub expire_ns: u64,
}

struct Known {
    address: Address,
    heard_ns: u64,
    order: u64,
}

/// Where addresses were last heard from.
struct Table {
    addresses_max: usize,
    expire_ns: u64,
    known: hashbrown::HashMap<Key, Known>,
    /// Oldest first.
    by_age: BTreeMap<u64, Key>,
    last: u64,
}

impl Table {
    fn learn(&mut self, key: Key, address: Address, now_ns: u64) {
        match self.known.get_mut(&key) {
            Some(known) if known.order == self.last => {
                (known.address, known.heard_ns) = (address, now_ns);
                return;
            }
            Some(known) => drop(self.by_age.remove(&known.order)),
            None => {}
        }
        self.last += 1;
        self.by_age.insert(self.last, key);
        self.known.insert(key, Known { address, heard_ns: now_ns, order: self.last });
        if self.known.len() > self.addresses_max
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.known.remove(&oldest);
        }
    }

    fn find(&self, key: &Key, now_ns: u64) -> Option<Address> {
        let known = self.known.get(key)?;
        (now_ns.saturating_sub(known.heard_ns) <= self.expire_ns).then_some(known.address)
    }
}

/// What became of frames given to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub full: u64,
    pub refused: u64,
}

pub struct Overlay {
    vni: [u8; 3],
    header: [u8; HEADER_OCTETS],
    remotes: Vec<Address>,
    /// Whose datagrams are taken; empty: everybody's.
    hosts: Vec<Address>,
    port: u16,
    table: Table,
    headers: Box<[libc::mmsghdr]>,
    iovecs: Box<[[libc::iovec; PIECES]]>,
    names: Box<[Address]>,
    before: Box<[[u8; HEADER_OCTETS]]>,
    tags: Box<[[u8; TAG_OCTETS]]>,
}

impl std::fmt::Debug for Overlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay").field("vni", &self.vni).field("remotes", &self.remotes).finish_non_exhaustive()
    }
}

// SAFETY: the raw pointers in `headers` and `iovecs` are set anew before each system call, and are not used otherwise.
unsafe impl Send for Overlay {}

impl Overlay {
    pub fn new(terms: Terms) -> Self {
        // SAFETY: a header and an iovec of zeros are valid: null pointers and no lengths.
        let (header, iovec) = unsafe { std::mem::zeroed::<(libc::mmsghdr, libc::iovec)>() };
        let vni = [(terms.vni >> 16) as u8, (terms.vni >> 8) as u8, terms.vni as u8];
        let hosts =
            if terms.only_remotes { terms.remotes.iter().map(|remote| remote.host()).collect() } else { vec![] };
        Overlay {
            vni,
            header: [FLAG_VNI, 0, 0, 0, vni[0], vni[1], vni[2], 0],
            remotes: terms.remotes,
            hosts,
            port: terms.port,
            table: Table {
                addresses_max: terms.addresses_max,
                expire_ns: terms.expire_ns,
                known: hashbrown::HashMap::new(),
                by_age: BTreeMap::new(),
                last: 0,
            },
            headers: vec![header; MESSAGES].into(),
            iovecs: vec![[iovec; PIECES]; MESSAGES].into(),
            names: vec![Address { octets: [0; ADDRESS_OCTETS], len: 0 }; MESSAGES].into(),
            before: vec![[0; HEADER_OCTETS]; MESSAGES].into(),
            tags: vec![[0; TAG_OCTETS]; MESSAGES].into(),
        }
    }

    /// Take up to `most` datagrams; the frames in them are in the arena's slots. How many.
    pub fn receive(&mut self, fd: RawFd, receiver: &mut Receiver, most: usize) -> io::Result<usize> {
        let most = most.min(FRAMES_PER_TURN);
        for index in 0..most {
            let slot = receiver.slot(index);
            self.iovecs[index][0] =
                libc::iovec { iov_base: self.before[index].as_mut_ptr().cast(), iov_len: HEADER_OCTETS };
            self.iovecs[index][1] = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = self.names[index].octets.as_mut_ptr().cast();
            header.msg_namelen = ADDRESS_OCTETS as u32;
            header.msg_iov = self.iovecs[index].as_mut_ptr();
            header.msg_iovlen = 2;
        }
        let (headers, flags) = (self.headers.as_mut_ptr(), libc::MSG_DONTWAIT);
        let count = loop {
            // SAFETY: names, iovecs, headers and slots are distinct, as long as is said, and live during the call.
            let count = unsafe { libc::recvmmsg(fd, headers, most as u32, flags, ptr::null_mut()) };
            let error = io::Error::last_os_error();
            if count >= 0 {
                break count as usize;
            } else if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        };
        for index in 0..count {
            let header = &self.headers[index];
            let octets = header.msg_len as usize;
            self.names[index].len = header.msg_hdr.msg_namelen as usize;
            if octets < HEADER_OCTETS {
                self.before[index] = [0; HEADER_OCTETS]; // no header
            }
            let truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            receiver.fill(index, octets.saturating_sub(HEADER_OCTETS), truncated);
        }
        Ok(count)
    }

    /// Is the frame in slot `index` one of this network? Its sender is learned then.
    pub fn accept(&mut self, index: usize, octets: &[u8]) -> bool {
        let header = &self.before[index];
        let sender = self.names[index];
        let known = self.hosts.is_empty() || self.hosts.contains(&sender.host());
        if !known || header[0] & FLAG_VNI == 0 || header[4..7] != self.vni {
            return false;
        }
        if octets.len() >= frame::HEADER_OCTETS && !frame::is_group(&frame::source(octets)) {
            self.table.learn(key(&octets[6..12], octets), sender.at(self.port), monotonic_ns());
        }
        true
    }

    /// Send items; never blocks.
    pub fn send<'a>(&mut self, fd: RawFd, items: &[Item], frame: impl Fn(usize) -> &'a [u8]) -> Outcome {
        let mut outcome = Outcome::default();
        let (mut waiting, now_ns) = (0, monotonic_ns());
        for item in items {
            let octets = frame(usize::from(item.frame));
            let one = self.destination(item.form, octets, now_ns);
            let copies = if one.is_some() { 1 } else { self.remotes.len() };
            for copy in 0..copies {
                self.prepare(waiting, item.form, octets, one.unwrap_or_else(|| self.remotes[copy]));
                waiting += 1;
                if waiting == MESSAGES {
                    self.submit(fd, waiting, &mut outcome);
                    waiting = 0;
                }
            }
        }
        self.submit(fd, waiting, &mut outcome);
        outcome
    }

    /// None: all remotes.
    fn destination(&self, form: Form, octets: &[u8], now_ns: u64) -> Option<Address> {
        if frame::is_group(&frame::destination(octets)) {
            return None;
        }
        let tag = form.tag();
        let mut head = [0; 16];
        let mut filled = 0;
        for piece in form.pieces(octets, &tag) {
            let more = piece.len().min(head.len() - filled);
            head[filled..filled + more].copy_from_slice(&piece[..more]);
            filled += more;
        }
        self.table.find(&key(&octets[..6], &head[..filled]), now_ns)
    }

    fn prepare(&mut self, index: usize, form: Form, octets: &[u8], to: Address) {
        self.tags[index] = form.tag();
        self.names[index] = to;
        let pieces = form.pieces(octets, &self.tags[index]);
        let mut used = 0;
        for piece in std::iter::once(&self.header[..]).chain(pieces).filter(|piece| !piece.is_empty()) {
            self.iovecs[index][used] = libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() };
            used += 1;
        }
        let header = &mut self.headers[index].msg_hdr;
        header.msg_name = self.names[index].octets.as_mut_ptr().cast();
        header.msg_namelen = to.len as u32;
        header.msg_iov = self.iovecs[index].as_mut_ptr();
        header.msg_iovlen = used;
    }

    fn submit(&mut self, fd: RawFd, count: usize, outcome: &mut Outcome) {
        let mut next = 0;
        while next < count {
            let headers = &mut self.headers[next..count];
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: `prepare` has just pointed these headers at names, tags and octets that still live.
            let sent = unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), headers.len() as u32, flags) };
            if sent > 0 {
                next += sent as usize;
                continue;
            }
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN | libc::ENOBUFS) => {
                    outcome.full += (count - next) as u64;
                    return;
                }
                _ => {
                    outcome.refused += 1;
                    next += 1;
                }
            }
        }
    }
}

/// What the table knows an address by: itself, and the VLAN of a frame (0: untagged).
fn key(mac: &[u8], frame: &[u8]) -> Key {
    let vid = if frame.len() >= 16 && frame::is_tagged(frame) { frame::vid(frame) } else { 0 };
    [mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], (vid >> 8) as u8, vid as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Address {
        let mut sockaddr = [0; 16];
        sockaddr[0] = libc::AF_INET as u8;
        sockaddr[7] = last;
        Address::new(&sockaddr).unwrap()
    }

    #[test]
    fn the_table_forgets_the_oldest() {
        let mut table = Table {
            addresses_max: 2,
            expire_ns: 10,
            known: hashbrown::HashMap::new(),
            by_age: BTreeMap::new(),
            last: 0,
        };
        table.learn([1; 8], address(1), 0);
        table.learn([2; 8], address(2), 1);
        table.learn([1; 8], address(3), 2);
        table.learn([3; 8], address(4), 3);
        assert_eq!(table.find(&[1; 8], 3), Some(address(3)));
        assert_eq!(table.find(&[2; 8], 3), None);
        assert_eq!(table.find(&[3; 8], 13), Some(address(4)));
        assert_eq!(table.find(&[3; 8], 14), None);
        assert_eq!((table.known.len(), table.by_age.len()), (2, 2));
    }

    #[test]
    fn hosts_are_compared_without_ports() {
        assert_eq!(address(1).at(4789).host(), address(1).host());
        assert_ne!(address(1).host(), address(2).host());
        assert!(Address::new(&[0; 15]).is_none() && Address::new(&[0; 28]).is_some());
    }
}
