//! Processors of MIPS I, whose loads arrive one instruction late.
//!
//! [`plain`] is an R3000 in a flat 32-bit space, [`umps`] are uMPS3's processors, in lock-step. They share the decoded
//! code ([`code`]) and what instructions compute ([`alu`]); they differ in when loads arrive, in what ill-formed
//! instructions do, and in coprocessor 0.

pub(crate) mod alu;
pub(crate) mod code;
pub mod plain;
pub(crate) mod saved;
pub mod umps;

use crate::exit::Exit;

/// Why an instruction did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop<Exception> {
    Exception(Exception),
    /// A device is needed. The instruction begins again, with the access in its log.
    Exit(Exit),
}

/// The accesses to devices that the present instruction has made: it is begun again behind each of them, and makes none
/// twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Log {
    /// The values of completed accesses, in order (0 for writes).
    values: [u32; Log::MAX],
    completed: u32,
    /// How many octets the host must give, before the instruction can go on.
    pub wanted: u32,
    /// Where from.
    wanted_at: u32,
    /// The last completed access ended in a bus error.
    failed: bool,
    /// The access that the instruction comes to next.
    at: u32,
}

/// An access to a device has not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    Exit(Exit),
    BusError,
}

impl Log {
    /// SWL without memory: four octets; SB on a uMPS device: a read and a write.
    const MAX: usize = 4;

    /// The instruction begins, or begins again.
    pub(crate) fn rewind(&mut self) {
        self.at = 0;
    }

    /// The instruction is over.
    pub(crate) fn clear(&mut self) {
        *self = Log::default();
    }

    /// The host has answered the read.
    pub(crate) fn answer(&mut self, value: u32) {
        (self.wanted, self.wanted_at) = (0, 0);
        if let Some(place) = self.values.get_mut(self.completed as usize) {
            *place = value;
            self.completed += 1;
        }
    }

    /// The (address, octets) of the read that is to be answered.
    pub(crate) fn pending(&self) -> Option<(u32, u32)> {
        (self.wanted != 0).then_some((self.wanted_at, self.wanted))
    }

    /// The access that the host was told of last ended in a bus error.
    pub(crate) fn fail(&mut self) {
        if self.wanted != 0 {
            self.answer(0);
        }
        self.failed = self.completed != 0;
    }

    fn next(&mut self) -> Result<Option<u32>, Unfinished> {
        let at = self.at;
        self.at += 1;
        if self.failed && self.at == self.completed {
            return Err(Unfinished::BusError);
        }
        Ok((at < self.completed).then(|| self.values[at as usize]))
    }

    /// Read a device: the value, or the exit that asks for it.
    pub(crate) fn read(&mut self, gpa: u32, octets: u32) -> Result<u32, Unfinished> {
        if let Some(value) = self.next()? {
            return Ok(value);
        }
        (self.wanted, self.wanted_at) = (octets, gpa);
        Err(Unfinished::Exit(Exit::MmioRead { gpa, octets }))
    }

    /// Write a device: the exit that tells so comes once.
    pub(crate) fn write(&mut self, gpa: u32, octets: u32, value: u32) -> Result<(), Unfinished> {
        if self.next()?.is_some() {
            return Ok(());
        }
        self.answer(0);
        Err(Unfinished::Exit(Exit::MmioWrite { gpa, octets, value: value.into() }))
    }

    pub(crate) fn fields(&mut self, to: &mut dyn saved::Fields) -> Result<(), crate::exit::Refused> {
        for value in &mut self.values {
            to.u32(value)?;
        }
        to.limited(&mut self.completed, Log::MAX as u32)?;
        to.flag(&mut self.failed)?;
        to.limited(&mut self.wanted, 4)?;
        to.u32(&mut self.wanted_at)?;
        self.at = 0;
        if self.wanted != 0 && self.completed == Log::MAX as u32 {
            return Err(saved::damaged("a log longer than any instruction's"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_is_told_once_and_answered_in_order() {
        let mut log = Log::default();
        assert_eq!(log.read(0x10, 4), Err(Unfinished::Exit(Exit::MmioRead { gpa: 0x10, octets: 4 })));
        assert_eq!(log.pending(), Some((0x10, 4)));
        log.answer(7);
        log.rewind();
        assert_eq!(log.read(0x10, 4), Ok(7));
        assert!(matches!(log.write(0x10, 4, 8), Err(Unfinished::Exit(Exit::MmioWrite { .. }))));
        log.rewind();
        assert_eq!((log.read(0x10, 4), log.write(0x10, 4, 8)), (Ok(7), Ok(())));
        log.fail();
        log.rewind();
        assert_eq!((log.read(0x10, 4), log.write(0x10, 4, 8)), (Ok(7), Err(Unfinished::BusError)));
    }
}
