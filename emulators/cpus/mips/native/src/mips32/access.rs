//! Loads, stores and fetches that the soft TLB does not know, and accesses to devices.
//!
//! An access where no memory is ends the run; the next run executes the instruction again, and the **log** gives it the
//! results of the accesses that were made, so that none is made twice. A store that is its instruction's only access
//! completes it at once.

use super::Cpu;
use super::code::Op;
use super::exception::{ADEL, ADES, DBE, Exception, IBE};
use super::tlb::Access;
use crate::exit::Reason;
use engine_contract::pages::{Page, SCRATCH};
use engine_contract::replay::Asked;
use guest_memory::{Memory, PAGE_OCTETS, Stored};

/// Why an instruction does not simply go on to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    Exception(Exception),
    /// `Cpu::asked` wants an answer; then the instruction is executed again.
    Asked,
    /// `Cpu::asked` is a write that completes the instruction.
    Written,
    /// Done; what follows may be another world (mode, interrupts, mappings).
    Retired,
    /// Done; go on at the address, without a delay slot.
    Goto(u32),
    /// Done: WAIT.
    Halted,
    /// Done: a call of the host.
    Hypercall(u32),
}

impl From<Exception> for Stop {
    fn from(exception: Exception) -> Self {
        Stop::Exception(exception)
    }
}

impl Cpu {
    /// The decoded page that `self.pc` is in, its number, and whether only that one place of it may be executed.
    #[inline(always)]
    pub(crate) fn locate(&mut self, memory: &mut Memory) -> Result<(Page<Op>, u32, bool), Stop> {
        match self.soft.fetch.find(self.pc, self.user.into(), 4) {
            Some(number) => Ok((self.code.page(number), number, false)),
            None => self.locate_slow(memory),
        }
    }

    #[cold]
    fn locate_slow(&mut self, memory: &mut Memory) -> Result<(Page<Op>, u32, bool), Stop> {
        let pc = self.pc;
        self.fault_address = pc;
        if pc % 4 != 0 {
            return Err(ADEL.into());
        }
        let gpa = self.translated(pc, Access::Fetch)?;
        if memory.page(gpa).is_none() {
            let word = self.device_read(gpa, 4, IBE)?;
            self.code.scratch((pc % PAGE_OCTETS / 4) as usize, word as u32);
            return Ok((self.code.page(SCRATCH), SCRATCH, true));
        }
        let number = match self.code.number_of(gpa) {
            Some(number) => number,
            None => {
                self.code.forget(memory);
                self.soft.fetch.forget();
                self.code.number_of(gpa).expect("an empty cache has room")
            }
        };
        self.soft.fetch.put(pc, self.user.into(), number);
        Ok((self.code.page(number), number, false))
    }

    /// Decode what is at `va`, in page `number`.
    #[cold]
    #[inline(never)]
    pub(crate) fn decode(&mut self, memory: &mut Memory, number: u32, va: u32) {
        self.code.decode(memory, number, (va % PAGE_OCTETS / 4) as usize);
        self.follow_plain_pages(memory);
    }

    /// Forget pages for writing if some are not plain any more, and all if memory came or went.
    #[inline]
    pub(crate) fn follow_plain_pages(&mut self, memory: &Memory) {
        if self.plain_epoch != memory.plain_epoch() {
            self.plain_epoch = memory.plain_epoch();
            self.soft.write.forget();
        }
        if self.mapping_epoch != memory.mapping_epoch() {
            self.mapping_epoch = memory.mapping_epoch();
            self.soft.forget();
        }
    }

    /// A load of 4 or 8 octets.
    #[inline]
    pub(crate) fn load(&mut self, memory: &mut Memory, va: u32, octets: u32) -> Result<u64, Stop> {
        match self.soft.read.find(va, self.user.into(), octets) {
            Some(page) if octets == 4 => Ok(memory.load_u32(page, va).into()),
            Some(page) => Ok(memory.load_u64(page, va)),
            None => self.load_slow(memory, va, octets),
        }
    }

    /// A store of 4 or 8 octets that is all that its instruction does.
    #[inline]
    pub(crate) fn store(&mut self, memory: &mut Memory, va: u32, octets: u32, value: u64) -> Result<(), Stop> {
        match self.soft.write.find(va, self.user.into(), octets) {
            Some(page) if octets == 4 => memory.store_u32(page, va, value as u32),
            Some(page) => memory.store_u64(page, va, value),
            None => return self.store_slow(memory, va, octets, value, true),
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn load_slow(&mut self, memory: &mut Memory, va: u32, octets: u32) -> Result<u64, Stop> {
        self.fault_address = va;
        if va & (octets - 1) != 0 {
            return Err(ADEL.into());
        }
        let gpa = self.translated(va, Access::Read)?;
        let watched = self.debugger.watches(va, octets, false);
        let value = match memory.page(gpa) {
            Some(page) => {
                if !self.debugger.touches_page(va) {
                    self.soft.read.put(va, self.user.into(), page);
                }
                match octets {
                    1 => memory.load_u8(page, gpa).into(),
                    2 => memory.load_u16(page, gpa).into(),
                    4 => memory.load_u32(page, gpa).into(),
                    _ => memory.load_u64(page, gpa),
                }
            }
            None => self.device_read(gpa, octets, DBE)?,
        };
        if watched {
            self.debugger.note(Reason::WatchRead, va);
        }
        Ok(value)
    }

    /// A store. `alone`: it is all that its instruction does.
    #[cold]
    #[inline(never)]
    pub(crate) fn store_slow(
        &mut self,
        memory: &mut Memory,
        va: u32,
        octets: u32,
        value: u64,
        alone: bool,
    ) -> Result<(), Stop> {
        self.fault_address = va;
        if va & (octets - 1) != 0 {
            return Err(ADES.into());
        }
        let gpa = self.translated(va, Access::Write)?;
        if self.debugger.watches(va, octets, true) {
            self.debugger.note(Reason::WatchWrite, va);
        }
        match memory.store(gpa, octets, value) {
            Stored::Data => {
                if let (Some(page), false) = (memory.plain_page(gpa), self.debugger.touches_page(va)) {
                    self.soft.write.put(va, self.user.into(), page);
                }
                Ok(())
            }
            Stored::Code => {
                self.code.catch_up(memory);
                Ok(())
            }
            Stored::Not => self.device_write(gpa, octets, value, alone),
        }
    }

    fn device_read(&mut self, gpa: u32, octets: u32, error: Exception) -> Result<u64, Stop> {
        self.device(Asked { gpa, octets, write: None }, error).and_then(|done| done.ok_or(Stop::Asked))
    }

    fn device_write(&mut self, gpa: u32, octets: u32, value: u64, alone: bool) -> Result<(), Stop> {
        let alone = alone && self.log.is_empty();
        let asked = Asked { gpa, octets, write: Some(value) };
        match self.device(asked, DBE)? {
            Some(_) => Ok(()),
            None => Err(if alone { Stop::Written } else { Stop::Asked }),
        }
    }

    /// The outcome of an access, if it was made.
    fn device(&mut self, asked: Asked, error: Exception) -> Result<Option<u64>, Stop> {
        let Some(done) = self.log.get(self.log_at) else {
            self.asked = Some(asked);
            return Ok(None);
        };
        self.log_at += 1;
        if done.bus_error { Err(error.into()) } else { Ok(Some(done.value)) }
    }
}
