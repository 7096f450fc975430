//! Ethernet II frames and 802.1Q tags, as octets without FCS.
//!
//! ```text
//! offset size
//! 0      6    destination address
//! 6      6    source address
//! 12     2    EtherType, or 0x8100 (then: 14, 2: TCI = PCP 3 bits, DEI 1, VID 12; 16, 2: EtherType)
//! ```
//!
//! Sources: IEEE 802.3-2018 §3.1.1, IEEE 802.1Q-2018 §9.6.

pub const HEADER_OCTETS: usize = 14;
pub const TAG_OCTETS: usize = 4;
pub const TAGGED_HEADER_OCTETS: usize = HEADER_OCTETS + TAG_OCTETS;
const TAG_OFFSET: usize = 12;
const TPID: [u8; 2] = [0x81, 0x00]; // IEEE 802.1Q-2018 table 9-1, C-TAG
const VID_MASK: u16 = 0x0FFF;

/// IEEE 802.1Q-2018 table 8-1: the bridge group address.
pub const SPANNING_TREE: Mac = [0x01, 0x80, 0xC2, 0x00, 0x00, 0x00];

pub type Mac = [u8; 6];

/// Broadcast or multicast? IEEE 802-2014 §8.2.2.
pub fn is_group(mac: &Mac) -> bool {
    mac[0] & 0x01 != 0
}

/// Does the frame start with a tag? (A whole one if it has at least `TAGGED_HEADER_OCTETS`.)
pub fn is_tagged(frame: &[u8]) -> bool {
    frame.len() >= HEADER_OCTETS && frame[TAG_OFFSET..TAG_OFFSET + 2] == TPID
}

/// The VLAN identifier of a tagged frame, 0…4095.
pub fn vid(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[14], frame[15]]) & VID_MASK
}

/// Destination of a frame of at least `HEADER_OCTETS`.
pub fn destination(frame: &[u8]) -> Mac {
    [frame[0], frame[1], frame[2], frame[3], frame[4], frame[5]]
}

/// Source of a frame of at least `HEADER_OCTETS`.
pub fn source(frame: &[u8]) -> Mac {
    [frame[6], frame[7], frame[8], frame[9], frame[10], frame[11]]
}

/// How a received frame leaves (rule 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    AsIs,
    /// With a tag of this VLAN put in, PCP 0.
    Tagged(u16),
    /// Without its first tag.
    Untagged,
}

impl Form {
    /// Length of a frame of `octets` in this form.
    pub fn octets(self, octets: usize) -> usize {
        match self {
            Form::AsIs => octets,
            Form::Tagged(_) => octets + TAG_OCTETS,
            Form::Untagged => octets - TAG_OCTETS,
        }
    }

    /// The tag that is put in.
    pub fn tag(self) -> [u8; TAG_OCTETS] {
        match self {
            Form::Tagged(vlan) => [TPID[0], TPID[1], (vlan >> 8) as u8, vlan as u8],
            Form::AsIs | Form::Untagged => [0; TAG_OCTETS],
        }
    }

    /// The pieces of `frame` that leave, `tag` (of [`Form::tag`]) among them; unused ones at the end are empty.
    pub fn pieces<'a>(self, frame: &'a [u8], tag: &'a [u8; TAG_OCTETS]) -> [&'a [u8]; 3] {
        match self {
            Form::AsIs => [frame, &[], &[]],
            Form::Tagged(_) => [&frame[..TAG_OFFSET], tag, &frame[TAG_OFFSET..]],
            Form::Untagged => [&frame[..TAG_OFFSET], &frame[TAG_OFFSET + TAG_OCTETS..], &[]],
        }
    }

    /// A copy of `frame` in this form.
    pub fn copy(self, frame: &[u8]) -> Box<[u8]> {
        self.pieces(frame, &self.tag()).concat().into_boxed_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTAGGED: &[u8] = &[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0, 9];

    #[test]
    fn a_tag_goes_in_and_out() {
        let tagged = Form::Tagged(0x123).copy(UNTAGGED);
        assert_eq!(&tagged[..], [&UNTAGGED[..12], &[0x81, 0, 0x01, 0x23], &UNTAGGED[12..]].concat());
        assert_eq!(Form::Tagged(1).octets(UNTAGGED.len()), tagged.len());
        assert!(is_tagged(&tagged) && !is_tagged(UNTAGGED));
        assert_eq!(vid(&tagged), 0x123);
        assert_eq!(&Form::Untagged.copy(&tagged)[..], UNTAGGED);
        assert_eq!(Form::Untagged.octets(tagged.len()), UNTAGGED.len());
    }

    #[test]
    fn the_identifier_is_without_priority() {
        let mut tagged = Form::Tagged(10).copy(UNTAGGED);
        tagged[14] |= 0x60;
        assert_eq!(vid(&tagged), 10);
        assert_eq!(Form::AsIs.copy(&tagged), tagged);
    }

    #[test]
    fn thirteen_octets_have_no_tag() {
        assert!(!is_tagged(&[0x81; 13]));
    }
}
