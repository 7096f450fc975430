//! Making ordinary frames of those that a tap hands over unfinished: checksums completed, long ones segmented.
//!
//! As the Linux kernel does it in software, to the octet (a test compares): the headers are repeated before each piece of
//! payload; IPv4's identification counts up, and its header's checksum is new; lengths are the segment's; TCP's sequence
//! number goes on, FIN and PSH stay with the last segment, CWR with the first; TCP's and
//! UDP's checksums are complete.
//!
//! Sources: RFC 1071 (checksum), RFC 9293 §3.1 (TCP), RFC 768 (UDP: a sum of 0 is sent as all ones), RFC 791, RFC 8200
//! §8.1 (pseudo-header), RFC 3168 §6.1.2 (CWR).

use crate::limits::FRAMES_PER_TURN;
use crate::offload::{Plan, Transport, Work};
use std::ops::Range;

/// Memory that is kept from turn to turn. Chosen: some GSO frames' segments.
const KEPT_OCTETS: usize = 1 << 19;

const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_CWR: u8 = 0x80;

/// The ordinary frames that a turn's unfinished ones have become, made once however many endpoints need them.
///
/// They are numbered on from the turn's own frames.
#[derive(Debug, Default)]
pub struct Segments {
    octets: Vec<u8>,
    /// Where each ends; it begins where the one before does.
    ends: Vec<usize>,
    /// Of the turn's frames, by number.
    made: [Option<(u16, u16)>; FRAMES_PER_TURN],
}

impl Segments {
    /// A new turn.
    pub fn clear(&mut self) {
        if !self.ends.is_empty() {
            self.ends.clear();
            self.octets.clear();
            self.octets.shrink_to(KEPT_OCTETS);
            self.made = [None; FRAMES_PER_TURN];
        }
    }

    /// The numbers of the frames that frame `number` becomes.
    pub fn of(&mut self, number: u16, frame: &[u8], work: Work) -> Range<u16> {
        let (first, end) = *self.made[usize::from(number)].get_or_insert_with(|| {
            let first = self.ends.len();
            let ends = &mut self.ends;
            make_ordinary(frame, work, &mut self.octets, |octets| {
                ends.push(ends.last().copied().unwrap_or(0) + octets);
            });
            ((FRAMES_PER_TURN + first) as u16, (FRAMES_PER_TURN + self.ends.len()) as u16)
        });
        first..end
    }

    /// One of them.
    pub fn frame(&self, number: usize) -> &[u8] {
        let index = number - FRAMES_PER_TURN;
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.octets[begin..self.ends[index]]
    }
}

/// Append what `frame` becomes, and tell each frame's length. `work` is what `Offload::check` said of this frame.
pub fn make_ordinary(frame: &[u8], work: Work, into: &mut Vec<u8>, mut made: impl FnMut(usize)) {
    match work {
        Work::Nothing => {
            into.extend_from_slice(frame);
            made(frame.len());
        }
        Work::Checksum { start, place } => {
            let base = into.len();
            into.extend_from_slice(frame);
            let sum = match inverted(sum(&frame[start..], 0)) {
                0 => 0xFFFF,
                sum => sum,
            };
            into[base + place..base + place + 2].copy_from_slice(&sum.to_be_bytes());
            made(frame.len());
        }
        Work::Segment(plan) => segment(frame, &plan, into, made),
    }
}

fn segment(frame: &[u8], plan: &Plan, into: &mut Vec<u8>, mut made: impl FnMut(usize)) {
    let (headers, payload) = frame.split_at(plan.headers);
    let count = plan.segments(frame.len());
    into.reserve(frame.len() + count * headers.len());
    for index in 0..count {
        let begin = index * plan.payload;
        let piece = &payload[begin..payload.len().min(begin + plan.payload)];
        let base = into.len();
        into.extend_from_slice(headers);
        into.extend_from_slice(piece);
        finish(&mut into[base..], plan, index, begin, count);
        made(into.len() - base);
    }
}

/// Put right the headers of segment `index` of `count`, whose payload begins at `begin` of all.
fn finish(segment: &mut [u8], plan: &Plan, index: usize, begin: usize, count: usize) {
    let octets = segment.len();
    let network = &mut segment[plan.network..];
    if plan.is_ipv6 {
        put(network, 4, (octets - plan.network - 40) as u16);
    } else {
        put(network, 2, (octets - plan.network) as u16);
        let identification = word(network, 4).wrapping_add(index as u16);
        put(network, 4, identification);
        put(network, 10, 0);
        let header = sum(&network[..plan.transport - plan.network], 0);
        put(network, 10, inverted(header));
    }
    let pseudo = pseudo_header(segment, plan, octets - plan.transport);
    let transport = &mut segment[plan.transport..];
    match plan.protocol {
        Transport::Tcp => {
            let sequence = u32::from_be_bytes([transport[4], transport[5], transport[6], transport[7]]);
            transport[4..8].copy_from_slice(&sequence.wrapping_add(begin as u32).to_be_bytes());
            if index + 1 < count {
                transport[13] &= !(TCP_FIN | TCP_PSH);
            }
            if index > 0 {
                transport[13] &= !TCP_CWR;
            }
            put(transport, 16, 0);
            let sum = inverted(sum(transport, pseudo));
            put(transport, 16, sum);
        }
        Transport::Udp => {
            put(transport, 4, (octets - plan.transport) as u16);
            put(transport, 6, 0);
            let sum = inverted(sum(transport, pseudo));
            put(transport, 6, if sum == 0 { 0xFFFF } else { sum });
        }
    }
}

/// The sum over addresses, protocol and length.
fn pseudo_header(segment: &[u8], plan: &Plan, octets: usize) -> u64 {
    let addresses = if plan.is_ipv6 {
        &segment[plan.network + 8..plan.network + 40]
    } else {
        &segment[plan.network + 12..plan.network + 20]
    };
    let protocol = match plan.protocol {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    };
    sum(addresses, octets as u64 + protocol)
}

/// The sum of 16-bit big-endian words (an odd octet at the end counts as high), not folded.
///
/// Eight octets at a time, as four words in one: the order of addition does not matter (RFC 1071 §2).
fn sum(octets: &[u8], start: u64) -> u64 {
    let mut quads = octets.chunks_exact(4);
    // At most 64 KiB of 32-bit words: 2^14 × 2^32 fits many times over.
    let mut total: u64 =
        quads.by_ref().map(|quad| u64::from(u32::from_be_bytes([quad[0], quad[1], quad[2], quad[3]]))).sum();
    let rest = quads.remainder();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    total += u64::from(u32::from_be_bytes(last));
    total + start
}

/// Folded to 16 bits, and inverted.
fn inverted(mut sum: u64) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

fn word(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

fn put(octets: &mut [u8], at: usize, word: u16) {
    octets[at..at + 2].copy_from_slice(&word.to_be_bytes());
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::offload::Offload;

    /// Header of [`tcp4`]: segments of 1000 octets.
    pub const TCP4: Offload = offload(1, 1000, 34, 16);
    /// Header of [`udp6`].
    pub const UDP6: Offload = offload(5, 1000, 54, 6);

    const fn offload(gso_type: u8, gso_size: u16, csum_start: u16, csum_offset: u16) -> Offload {
        Offload::new(gso_type, gso_size, csum_start, csum_offset)
    }

    pub fn tcp4(payload: usize) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let octets = (40 + payload) as u16;
        frame.extend([
            0x45,
            0,
            (octets >> 8) as u8,
            octets as u8,
            0xFF,
            0xFE,
            0x40,
            0,
            64,
            6,
            0,
            0,
            10,
            0,
            0,
            1,
            10,
            0,
            0,
            2,
        ]);
        frame.extend([0, 80, 1, 2, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 1, 0x50, 0x99, 1, 0, 0, 0, 0, 0]);
        frame.extend((0..payload).map(|octet| octet as u8));
        frame
    }

    pub fn udp6(payload: usize) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xDD];
        let octets = (8 + payload) as u16;
        frame.extend([0x60, 0, 0, 0, (octets >> 8) as u8, octets as u8, 17, 64]);
        frame.extend([0xFD; 32]);
        frame.extend([0, 53, 1, 2, (octets >> 8) as u8, octets as u8, 0, 0]);
        frame.extend((0..payload).map(|octet| octet as u8));
        frame
    }

    fn ordinary(frame: &[u8], header: Offload) -> Vec<Vec<u8>> {
        let (_, work) = header.check(frame).unwrap();
        let mut segments = Segments::default();
        let numbers = segments.of(3, frame, work);
        assert_eq!(numbers, segments.of(3, frame, work)); // made once
        numbers.map(|number| segments.frame(usize::from(number)).to_vec()).collect()
    }

    fn checks_out(segment: &[u8], network: usize, transport: usize, protocol: u64) {
        let is_ipv6 = segment[network] >> 4 == 6;
        let addresses = if is_ipv6 { network + 8..network + 40 } else { network + 12..network + 20 };
        let start = (segment.len() - transport) as u64 + protocol;
        assert_eq!(inverted(sum(&segment[transport..], sum(&segment[addresses], start))), 0);
        if !is_ipv6 {
            assert_eq!(inverted(sum(&segment[network..transport], 0)), 0);
            assert_eq!(usize::from(word(&segment[network..], 2)), segment.len() - network);
        }
    }

    #[test]
    fn tcp_is_segmented() {
        let segments = ordinary(&tcp4(2500), TCP4);
        assert_eq!(segments.iter().map(Vec::len).collect::<Vec<_>>(), [1054, 1054, 554]);
        for (index, segment) in segments.iter().enumerate() {
            checks_out(segment, 14, 34, 6);
            assert_eq!(word(segment, 18), 0xFFFE_u16.wrapping_add(index as u16));
            let sequence = u32::from_be_bytes([segment[38], segment[39], segment[40], segment[41]]);
            assert_eq!(sequence, 0xFFFF_FF00_u32.wrapping_add(1000 * index as u32));
            assert_eq!(segment[47], [0x90, 0x10, 0x19][index]);
            assert_eq!(segment[54], (1000 * index) as u8);
        }
    }

    #[test]
    fn udp_is_segmented() {
        let segments = ordinary(&udp6(2500), UDP6);
        assert_eq!(segments.iter().map(Vec::len).collect::<Vec<_>>(), [1062, 1062, 562]);
        for segment in &segments {
            checks_out(segment, 14, 54, 17);
            assert_eq!(usize::from(word(segment, 18)), segment.len() - 54);
            assert_eq!(usize::from(word(segment, 58)), segment.len() - 54);
        }
    }

    #[test]
    fn a_frame_without_payload_stays_one() {
        let segments = ordinary(&tcp4(0), TCP4);
        assert_eq!(segments.len(), 1);
        checks_out(&segments[0], 14, 34, 6);
    }

    #[test]
    fn a_checksum_is_completed() {
        let mut frame = tcp4(5);
        let pseudo = sum(&frame[26..34], 25 + 6);
        put(&mut frame[..], 34 + 16, !inverted(pseudo));
        let header = Offload::new(0, 0, 34, 16);
        put(&mut frame[..], 24, 0);
        let header_sum = inverted(sum(&frame[14..34], 0));
        put(&mut frame[..], 24, header_sum);
        checks_out(&ordinary(&frame, header)[0], 14, 34, 6);
    }

    #[test]
    fn sums_of_every_length() {
        let octets: Vec<u8> = (0..65_535u32).map(|octet| ((octet * 7919) >> 3) as u8).collect();
        for length in (0..200).chain([65_535]) {
            let plain: u64 = octets[..length]
                .chunks(2)
                .map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0)))
                .sum();
            assert_eq!(inverted(sum(&octets[..length], 5)), inverted(plain + 5), "{length}");
        }
        assert_eq!(inverted(sum(&[0xFF; 65_534], 0)), 0);
    }
}
