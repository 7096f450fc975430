//! Saved processors: all that the guest could tell apart, and nothing of the caches. Hostile input on the way in.
//!
//! Layout, little-endian: magic (8 octets) · version · fields of 32 or 64 bits, in an order that their owner fixes ·
//! FNV-1a hash (64 bits) of all before.

use crate::exit::Refused;

/// Writes fields, or reads them: one description for both ways.
pub(crate) trait Fields {
    fn u64(&mut self, value: &mut u64) -> Result<(), Refused>;
    fn u32(&mut self, value: &mut u32) -> Result<(), Refused>;

    /// A number of 0 … `largest`.
    fn limited(&mut self, value: &mut u32, largest: u32) -> Result<(), Refused> {
        self.u32(value)?;
        if *value > largest { Err(damaged("a number is too large")) } else { Ok(()) }
    }

    fn flag(&mut self, value: &mut bool) -> Result<(), Refused> {
        let mut number = u32::from(*value);
        self.limited(&mut number, 1)?;
        *value = number != 0;
        Ok(())
    }

    /// A number that is what it is: a snapshot with another one is of another machine.
    fn fixed(&mut self, value: u32, what: &str) -> Result<(), Refused> {
        let mut number = value;
        self.u32(&mut number)?;
        if number == value { Ok(()) } else { Err(Refused(format!("snapshot: {what} was {number}, is {value} here"))) }
    }
}

pub(crate) fn damaged(what: &str) -> Refused {
    Refused(format!("snapshot: damaged: {what}"))
}

struct Writer(Vec<u8>);

impl Fields for Writer {
    fn u64(&mut self, value: &mut u64) -> Result<(), Refused> {
        self.0.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn u32(&mut self, value: &mut u32) -> Result<(), Refused> {
        self.0.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }
}

struct Reader<'octets>(&'octets [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let (head, rest) = self.0.split_first_chunk().ok_or_else(|| damaged("it is too short"))?;
        self.0 = rest;
        Ok(*head)
    }
}

impl Fields for Reader<'_> {
    fn u64(&mut self, value: &mut u64) -> Result<(), Refused> {
        *value = u64::from_le_bytes(self.take()?);
        Ok(())
    }

    fn u32(&mut self, value: &mut u32) -> Result<(), Refused> {
        *value = u32::from_le_bytes(self.take()?);
        Ok(())
    }
}

fn hash(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &octet| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3))
}

/// Octets with the fields that `fields` names.
pub(crate) fn pack(
    magic: &[u8; 8],
    version: u32,
    fields: impl FnOnce(&mut dyn Fields) -> Result<(), Refused>,
) -> Vec<u8> {
    let mut writer = Writer(Vec::with_capacity(1024));
    writer.0.extend_from_slice(magic);
    writer.0.extend_from_slice(&version.to_le_bytes());
    fields(&mut writer).expect("a processor's own state can be written");
    let sum = hash(&writer.0);
    writer.0.extend_from_slice(&sum.to_le_bytes());
    writer.0
}

/// Give the fields of packed octets to `fields`.
pub(crate) fn unpack(
    octets: &[u8],
    magic: &[u8; 8],
    version: u32,
    fields: impl FnOnce(&mut dyn Fields) -> Result<(), Refused>,
) -> Result<(), Refused> {
    let (body, sum) = octets.split_last_chunk::<8>().ok_or_else(|| damaged("it is too short"))?;
    let rest = body.strip_prefix(magic).ok_or_else(|| Refused("snapshot: not one of this processor model".into()))?;
    if hash(body) != u64::from_le_bytes(*sum) {
        return Err(damaged("its sum is wrong"));
    }
    let mut reader = Reader(rest);
    let mut found = 0;
    reader.u32(&mut found)?;
    if found != version {
        return Err(Refused(format!("snapshot: version {found}; this program knows {version}")));
    }
    fields(&mut reader)?;
    if reader.0.is_empty() { Ok(()) } else { Err(damaged("it is too long")) }
}
