//! Accesses to devices, of instructions that make several.
//!
//! An access ends the run; the next run executes the instruction again, and a log gives it the outcomes of the accesses
//! that were made, so that none is made twice.

use crate::exit::Refused;
use crate::saved::{Fields, damaged};

/// An access to where no memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub gpa: u32,
    pub octets: u32,
    /// What to write; None: a read.
    pub write: Option<u64>,
}

/// An access that was made, with its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    pub value: u64,
    pub bus_error: bool,
}

/// For snapshots: an access that waits for its outcome.
pub fn asked_fields(asked: &mut Option<Asked>, to: &mut dyn Fields) -> Result<(), Refused> {
    let mut there = asked.is_some();
    to.flag(&mut there)?;
    if !there {
        *asked = None;
        return Ok(());
    }
    let mut it = asked.unwrap_or(Asked { gpa: 0, octets: 0, write: None });
    to.u32(&mut it.gpa)?;
    to.u32(&mut it.octets)?;
    let mut is_write = it.write.is_some();
    let mut value = it.write.unwrap_or(0);
    to.flag(&mut is_write)?;
    to.u64(&mut value)?;
    it.write = is_write.then_some(value);
    if !matches!(it.octets, 1 | 2 | 4 | 8) {
        return Err(damaged("an access of no possible size"));
    }
    *asked = Some(it);
    Ok(())
}

/// For snapshots: the log; `most`: what no instruction exceeds.
pub fn log_fields(log: &mut Vec<Done>, most: u32, to: &mut dyn Fields) -> Result<(), Refused> {
    let mut entries = log.len() as u32;
    to.u32(&mut entries)?;
    if entries > most {
        return Err(damaged("a log longer than any instruction's"));
    }
    log.resize(entries as usize, Done { value: 0, bus_error: false });
    for done in log {
        to.u64(&mut done.value)?;
        to.flag(&mut done.bus_error)?;
    }
    Ok(())
}
