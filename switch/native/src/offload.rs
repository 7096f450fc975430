//! The virtio-net header before a tap's frames (`IFF_VNET_HDR`), and what may be believed of it.
//!
//! ```text
//! offset size (in the machine's byte order)
//! 0      1    flags: 1 the checksum is to be completed
//! 1      1    kind of a frame that is to be segmented: 0 none, 1 TCP/IPv4, 4 TCP/IPv6, 5 UDP; 0x80 ECN as well
//! 2      2    octets of all headers (a hint)
//! 4      2    octets of payload in a segment
//! 6      2    where the checksummed part begins
//! 8      2    where in it the checksum stands
//! ```
//!
//! Source: virtio 1.2 §5.1.6 (the legacy header, §5.1.6.1); Linux Documentation/networking/tuntap.rst. In the
//! checksum's place stands the sum of the pseudo-header, not inverted.
//!
//! Theory of operation: a header of all zeros ([`Offload::NONE`]) says that the frame is a whole, ordinary one. Any other
//! is checked once, when its frame comes in ([`Offload::check`]), against the frame's own headers; what passes can be
//! given to another tap or be made ordinary frames (`segment`). The program that made the frame is not trusted: it may be
//! anyone who may open a packet socket on the interface.
//!
//! Not supported: UFO (fragments; Linux no longer makes them), tunnels' inner headers, more than two VLAN tags.

use crate::frame::{Form, HEADER_OCTETS, TAG_OCTETS};

pub const VNET_OCTETS: usize = 10;
/// Longest frame that may be one to be segmented: 64 KiB of IP and Ethernet's header with two tags.
pub const GSO_OCTETS_MAX: usize = 65_535 + HEADER_OCTETS + 2 * TAG_OCTETS;
/// Segments of one frame. Chosen: 64 KiB of the smallest segments that Linux' TCP makes (TCP_MIN_SND_MSS, 48 octets).
pub const SEGMENTS_MAX: usize = 65_535_usize.div_ceil(48);

const NEEDS_CSUM: u8 = 1; // VIRTIO_NET_HDR_F_NEEDS_CSUM
const GSO_NONE: u8 = 0; // VIRTIO_NET_HDR_GSO_*
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xDD];
const ETHERTYPE_VLAN: [u8; 2] = [0x81, 0x00];
const ETHERTYPE_PROVIDER_VLAN: [u8; 2] = [0x88, 0xA8];
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;

/// The header, as a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    flags: u8,
    gso_type: u8,
    hdr_len: u16,
    gso_size: u16,
    csum_start: u16,
    csum_offset: u16,
}

/// The header is none that its frame could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Implausible;

/// Transport protocols that are segmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

/// Where the headers of a frame to be segmented are. All lie within the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub network: usize,
    pub is_ipv6: bool,
    pub transport: usize,
    pub protocol: Transport,
    /// Octets of all headers.
    pub headers: usize,
    /// Octets of payload in a segment but the last, at least 1.
    pub payload: usize,
}

impl Plan {
    /// How many segments `frame_octets` become.
    pub fn segments(&self, frame_octets: usize) -> usize {
        (frame_octets - self.headers).div_ceil(self.payload).max(1)
    }

    /// The longest of them.
    pub fn longest(&self, frame_octets: usize) -> usize {
        frame_octets.min(self.headers + self.payload)
    }
}

/// What is to be done to make the frame ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Nothing,
    /// Complete the checksum of what begins at `start`, at `place`.
    Checksum {
        start: usize,
        place: usize,
    },
    Segment(Plan),
}

impl Offload {
    pub const NONE: Offload =
        Offload { flags: 0, gso_type: GSO_NONE, hdr_len: 0, gso_size: 0, csum_start: 0, csum_offset: 0 };

    /// Of a frame whose checksum is to be completed, and which is to be segmented unless `gso_type` is 0.
    pub const fn new(gso_type: u8, gso_size: u16, csum_start: u16, csum_offset: u16) -> Self {
        Offload { flags: NEEDS_CSUM, gso_type, hdr_len: 0, gso_size, csum_start, csum_offset }
    }

    pub fn parse(octets: &[u8; VNET_OCTETS]) -> Self {
        let word = |at: usize| u16::from_ne_bytes([octets[at], octets[at + 1]]);
        Offload {
            flags: octets[0] & NEEDS_CSUM, // the others are advice (DATA_VALID)
            gso_type: octets[1],
            hdr_len: word(2),
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
        }
    }

    pub fn emit(self) -> [u8; VNET_OCTETS] {
        let mut octets = [0; VNET_OCTETS];
        octets[0] = self.flags;
        octets[1] = self.gso_type;
        for (at, word) in [(2, self.hdr_len), (4, self.gso_size), (6, self.csum_start), (8, self.csum_offset)] {
            octets[at..at + 2].copy_from_slice(&word.to_ne_bytes());
        }
        octets
    }

    /// Is the frame an ordinary one?
    pub fn is_none(self) -> bool {
        self.flags == 0 && self.gso_type == GSO_NONE
    }

    /// The header of the frame as it leaves: with a tag more or less, offsets move.
    pub fn of_form(self, form: Form) -> Self {
        if self.is_none() {
            return Offload::NONE;
        }
        let moved = |at: u16| match form {
            Form::AsIs => at,
            Form::Tagged(_) => at.saturating_add(TAG_OCTETS as u16),
            Form::Untagged => at.saturating_sub(TAG_OCTETS as u16),
        };
        Offload { hdr_len: moved(self.hdr_len), csum_start: moved(self.csum_start), ..self }
    }

    /// The header as it may be passed on, and what to do where it may not.
    pub fn check(self, frame: &[u8]) -> Result<(Offload, Work), Implausible> {
        if self.is_none() {
            return Ok((Offload::NONE, Work::Nothing));
        }
        let start = usize::from(self.csum_start);
        let place = start + usize::from(self.csum_offset);
        if self.flags & NEEDS_CSUM == 0
            || start < HEADER_OCTETS
            || place + 2 > frame.len()
            || usize::from(self.hdr_len) > frame.len()
        {
            return Err(Implausible); // what is to be segmented needs its checksums completed
        }
        if self.gso_type == GSO_NONE {
            // Not even a tag may come between header and checksum.
            let (network, _) = network_of(frame).unwrap_or((HEADER_OCTETS, [0; 2]));
            if start < network {
                return Err(Implausible);
            }
            let header = Offload { hdr_len: 0, gso_size: 0, ..self };
            return Ok((header, Work::Checksum { start, place }));
        }
        let plan = self.plan(frame).ok_or(Implausible)?;
        let header = Offload { hdr_len: plan.headers as u16, ..self };
        Ok((header, Work::Segment(plan)))
    }

    fn plan(self, frame: &[u8]) -> Option<Plan> {
        let (network, ethertype) = network_of(frame)?;
        let transport = usize::from(self.csum_start);
        let is_ipv6 = ethertype == ETHERTYPE_IPV6;
        let protocol = match (self.gso_type & !GSO_ECN, is_ipv6) {
            (GSO_TCPV4, false) | (GSO_TCPV6, true) => Transport::Tcp,
            (GSO_UDP_L4, _) if self.gso_type & GSO_ECN == 0 => Transport::Udp,
            _ => return None,
        };
        let said = if is_ipv6 {
            if transport < network + 40 || frame[network] >> 4 != 6 {
                return None;
            }
            // Behind extension headers the protocol is the last one's word; Linux segments only what begins at once.
            (transport == network + 40).then(|| frame[network + 6])?
        } else {
            if ethertype != ETHERTYPE_IPV4 || transport < network + 20 {
                return None;
            }
            let header = usize::from(frame[network] & 0x0F) * 4;
            let fragment = u16::from_be_bytes([frame[network + 6], frame[network + 7]]) & 0x3FFF;
            if frame[network] >> 4 != 4 || network + header != transport || fragment != 0 {
                return None;
            }
            frame[network + 9]
        };
        let (number, checksum, header) = match protocol {
            Transport::Tcp => {
                let words = *frame.get(transport + 12)? >> 4;
                if words < 5 {
                    return None;
                }
                (PROTOCOL_TCP, 16, usize::from(words) * 4)
            }
            Transport::Udp => (PROTOCOL_UDP, 6, 8),
        };
        let headers = transport + header;
        if said != number || usize::from(self.csum_offset) != checksum || headers > frame.len() || self.gso_size == 0 {
            return None;
        }
        let payload = usize::from(self.gso_size);
        let plan = Plan { network, is_ipv6, transport, protocol, headers, payload };
        (plan.segments(frame.len()) <= SEGMENTS_MAX && frame.len() - network <= 65_535).then_some(plan)
    }
}

/// Where the network header begins, and its EtherType; up to two tags before it are passed over.
fn network_of(frame: &[u8]) -> Option<(usize, [u8; 2])> {
    let mut at = HEADER_OCTETS - 2;
    for _ in 0..3 {
        let ethertype = [*frame.get(at)?, *frame.get(at + 1)?];
        if ethertype != ETHERTYPE_VLAN && ethertype != ETHERTYPE_PROVIDER_VLAN {
            return Some((at + 2, ethertype));
        }
        at += TAG_OCTETS;
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::segment::tests::{TCP4, UDP6, tcp4, udp6};

    #[test]
    fn a_header_survives_parsing() {
        let octets = TCP4.emit();
        assert_eq!(Offload::parse(&octets), TCP4);
        assert_eq!(Offload::parse(&[0; VNET_OCTETS]), Offload::NONE);
        assert!(Offload::parse(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_none()); // DATA_VALID alone
    }

    #[test]
    fn a_plan_finds_the_headers() {
        let frame = tcp4(3000);
        let (header, work) = TCP4.check(&frame).unwrap();
        let Work::Segment(plan) = work else { panic!("{work:?}") };
        assert_eq!((plan.network, plan.transport, plan.headers, plan.payload), (14, 34, 54, 1000));
        assert_eq!((plan.segments(frame.len()), plan.longest(frame.len())), (3, 1054));
        assert_eq!(header.hdr_len, 54);
        let tagged = Form::Tagged(7).copy(&frame);
        let (header, work) = TCP4.of_form(Form::Tagged(7)).check(&tagged).unwrap();
        assert!(matches!(work, Work::Segment(Plan { network: 18, headers: 58, .. })));
        assert_eq!(header.of_form(Form::Untagged).csum_start, TCP4.csum_start);
    }

    #[test]
    fn hostile_headers_are_refused() {
        let frame = tcp4(3000);
        let wrong = [
            Offload { gso_size: 0, ..TCP4 },
            Offload { gso_size: 1, ..TCP4 }, // too many segments
            Offload { flags: 0, ..TCP4 },
            Offload { hdr_len: 3055, ..TCP4 },
            Offload { gso_type: 3, ..TCP4 }, // UFO
            Offload { gso_type: GSO_TCPV6, ..TCP4 },
            Offload { gso_type: GSO_UDP_L4, ..TCP4 },
            Offload { gso_type: 0x7F, ..TCP4 },
            Offload { csum_start: 0, ..TCP4 },
            Offload { csum_start: 33, ..TCP4 },
            Offload { csum_start: 38, ..TCP4 },
            Offload { csum_start: 0xFFFF, ..TCP4 },
            Offload { csum_offset: 0xFFFF, ..TCP4 },
            Offload { csum_offset: 6, ..TCP4 },
            Offload { gso_type: GSO_NONE, csum_offset: 3020, ..TCP4 },
            Offload { gso_type: GSO_NONE, csum_start: 13, ..TCP4 },
        ];
        for header in wrong {
            assert_eq!(header.check(&frame), Err(Implausible), "{header:?}");
        }
        for cut in 0..54 {
            assert_eq!(TCP4.check(&frame[..cut]), Err(Implausible), "{cut}");
        }
        assert!(TCP4.check(&frame[..54]).is_ok());
    }

    #[test]
    fn hostile_frames_are_refused() {
        let spoiled = |at: usize, value: u8| {
            let mut frame = tcp4(3000);
            frame[at] = value;
            TCP4.check(&frame)
        };
        for (at, value) in [(14, 0x46), (14, 0x65), (20, 0x20), (21, 1), (23, 17), (46, 0x40), (12, 0x86)] {
            assert_eq!(spoiled(at, value), Err(Implausible), "{at} {value:#x}");
        }
        let mut beyond = tcp4(0);
        beyond[46] = 0xF0; // a TCP header of 60 octets
        assert_eq!(TCP4.check(&beyond), Err(Implausible));
        let mut frame = udp6(3000);
        assert!(UDP6.check(&frame).is_ok());
        frame[20] = 0; // hop-by-hop options
        assert_eq!(UDP6.check(&frame), Err(Implausible));
    }

    #[test]
    fn random_headers_never_panic() {
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut accepted = 0;
        for _ in 0..200_000 {
            let mut frame = if next() & 1 == 0 { tcp4(200) } else { udp6(200) };
            let mut header = if next() & 1 == 0 { TCP4.emit() } else { UDP6.emit() };
            for _ in 0..next() % 4 {
                header[next() as usize % VNET_OCTETS] = next() as u8;
            }
            for _ in 0..next() % 3 {
                let at = next() as usize % 60;
                frame[at] = next() as u8;
            }
            frame.truncate(14 + next() as usize % 300);
            if let Ok((_, work)) = Offload::parse(&header).check(&frame) {
                accepted += 1;
                let mut into = Vec::new();
                let mut lengths = Vec::new();
                crate::segment::make_ordinary(&frame, work, &mut into, |octets| lengths.push(octets));
                assert_eq!(into.len(), lengths.iter().sum::<usize>());
            }
        }
        assert!(accepted > 1000);
    }
}
