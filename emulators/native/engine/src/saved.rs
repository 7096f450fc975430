//! Saved processors: the octets' form. Hostile input on the way in.
//!
//! Layout, little-endian: magic (8 octets) · fields in the order that their owner fixes, of eight octets each · FNV-1a
//! hash (64 bits) of all before.

use crate::exit::Refused;

/// Writes fields, or reads them: one description for both ways.
pub trait Fields {
    fn u64(&mut self, value: &mut u64) -> Result<(), Refused>;

    fn u32(&mut self, value: &mut u32) -> Result<(), Refused> {
        let mut wide = u64::from(*value);
        self.u64(&mut wide)?;
        *value = u32::try_from(wide).map_err(|_| damaged("a number is too large"))?;
        Ok(())
    }

    fn u16(&mut self, value: &mut u16) -> Result<(), Refused> {
        let mut wide = u64::from(*value);
        self.u64(&mut wide)?;
        *value = u16::try_from(wide).map_err(|_| damaged("a number is too large"))?;
        Ok(())
    }

    fn u8(&mut self, value: &mut u8) -> Result<(), Refused> {
        let mut wide = u64::from(*value);
        self.u64(&mut wide)?;
        *value = u8::try_from(wide).map_err(|_| damaged("a number is too large"))?;
        Ok(())
    }

    fn u128(&mut self, value: &mut u128) -> Result<(), Refused> {
        let (mut low, mut high) = (*value as u64, (*value >> 64) as u64);
        self.u64(&mut low)?;
        self.u64(&mut high)?;
        *value = u128::from(high) << 64 | u128::from(low);
        Ok(())
    }

    fn flag(&mut self, value: &mut bool) -> Result<(), Refused> {
        let mut wide = u64::from(*value);
        self.u64(&mut wide)?;
        *value = match wide {
            0 => false,
            1 => true,
            _ => return Err(damaged("a flag is neither 0 nor 1")),
        };
        Ok(())
    }

    /// A number that is what it is: a snapshot with another one is of another machine.
    fn fixed(&mut self, value: u64, what: &str) -> Result<(), Refused> {
        let mut number = value;
        self.u64(&mut number)?;
        if number == value { Ok(()) } else { Err(Refused(format!("snapshot: {what} was {number}, is {value} here"))) }
    }
}

pub fn damaged(what: &str) -> Refused {
    Refused(format!("snapshot: damaged: {what}"))
}

struct Writer(Vec<u8>);

impl Fields for Writer {
    fn u64(&mut self, value: &mut u64) -> Result<(), Refused> {
        self.0.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }
}

struct Reader<'octets>(&'octets [u8]);

impl Fields for Reader<'_> {
    fn u64(&mut self, value: &mut u64) -> Result<(), Refused> {
        let (head, rest) = self.0.split_first_chunk().ok_or_else(|| damaged("it is too short"))?;
        *value = u64::from_le_bytes(*head);
        self.0 = rest;
        Ok(())
    }
}

fn hash(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &octet| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3))
}

/// The octets of what `fields` describes.
pub fn save(magic: &[u8; 8], fields: impl FnOnce(&mut dyn Fields) -> Result<(), Refused>) -> Vec<u8> {
    let mut writer = Writer(Vec::with_capacity(4096));
    writer.0.extend_from_slice(magic);
    fields(&mut writer).expect("a processor's own state can be written");
    let hash = hash(&writer.0);
    writer.0.extend_from_slice(&hash.to_le_bytes());
    writer.0
}

/// Have `fields` read what [`save`] gave; all of it.
pub fn load(
    magic: &[u8; 8],
    octets: &[u8],
    fields: impl FnOnce(&mut dyn Fields) -> Result<(), Refused>,
) -> Result<(), Refused> {
    let (body, sum) = octets.split_last_chunk::<8>().ok_or_else(|| damaged("it is too short"))?;
    let rest = body.strip_prefix(magic).ok_or_else(|| Refused("snapshot: not one of this processor".into()))?;
    if hash(body) != u64::from_le_bytes(*sum) {
        return Err(damaged("its sum is wrong"));
    }
    let mut reader = Reader(rest);
    fields(&mut reader)?;
    if reader.0.is_empty() { Ok(()) } else { Err(damaged("it is too long")) }
}
