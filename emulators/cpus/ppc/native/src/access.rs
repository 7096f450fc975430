//! Loads, stores and fetches that the soft TLB does not know, and accesses to devices.
//!
//! Values are in memory's order: the octet at the lowest address is the least significant of a value here. Who wants a
//! number turns it around.
//!
//! An access where no memory is ends the run; the next run executes the instruction again, and the **log** gives it the
//! results of the accesses that were made, so that none is made twice. A store that is its instruction's only access
//! completes it at once. Octets that are not aligned are one access where they are in one page of memory, and single
//! ones elsewhere.

use crate::exception::{BREAKPOINT_MATCH, DSI, Exception, Fault, MACHINE_CHECK, STORE};
use crate::exit::Reason;
use crate::op::Op;
use crate::{Access, Cpu};
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
    /// Done; go on at the address, perhaps in another world.
    Goto(u32),
    /// Done, and an exception follows it: sc.
    Behind(Exception),
    /// Done: MSR[POW] was set.
    Halted,
    /// Done: a call of the host.
    Hypercall(u32),
}

impl From<Exception> for Stop {
    fn from(exception: Exception) -> Self {
        Stop::Exception(exception)
    }
}

fn in_one_page(ea: u32, octets: u32) -> bool {
    ea % PAGE_OCTETS + octets <= PAGE_OCTETS
}

impl Cpu {
    /// The decoded page that `self.pc` is in, its number, and whether only that one place of it may be executed.
    #[inline(always)]
    pub(crate) fn locate(&mut self, memory: &mut Memory) -> Result<(Page<Op>, u32, bool), Stop> {
        match self.soft.fetch.find(self.pc, self.fetch_part, 4) {
            Some(number) => Ok((self.code.page(number), number, false)),
            None => self.locate_slow(memory),
        }
    }

    #[cold]
    fn locate_slow(&mut self, memory: &mut Memory) -> Result<(Page<Op>, u32, bool), Stop> {
        let pc = self.pc;
        let place = self.place(memory, pc, Access::Fetch)?;
        if memory.page(place.gpa).is_none() {
            let word = self.device_read(place.gpa, 4)? as u32;
            self.code.scratch((pc % PAGE_OCTETS / 4) as usize, word);
            return Ok((self.code.page(SCRATCH), SCRATCH, true));
        }
        let number = match self.code.number_of(place.gpa) {
            Some(number) => number,
            None => {
                self.code.forget(memory);
                self.soft.fetch.forget();
                self.code.number_of(place.gpa).expect("an empty cache has room")
            }
        };
        self.soft.fetch.put(pc, self.fetch_part, number, place.paged);
        Ok((self.code.page(number), number, false))
    }

    /// Decode what is at `ea`, in page `number`.
    #[cold]
    #[inline(never)]
    pub(crate) fn decode(&mut self, memory: &mut Memory, number: u32, ea: u32) {
        self.code.decode(memory, number, (ea % PAGE_OCTETS / 4) as usize);
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

    /// A load of 1, 2, 4 or 8 octets.
    #[inline]
    pub(crate) fn load(&mut self, memory: &mut Memory, ea: u32, octets: u32) -> Result<u64, Stop> {
        match self.soft.read.find(ea, self.data_part, octets) {
            Some(page) => Ok(match octets {
                1 => memory.load_u8(page, ea).into(),
                2 => memory.load_u16(page, ea).into(),
                4 => memory.load_u32(page, ea).into(),
                _ => memory.load_u64(page, ea),
            }),
            None => self.load_slow(memory, ea, octets),
        }
    }

    /// A store of 1, 2, 4 or 8 octets. `alone`: it is all that its instruction does.
    #[inline]
    pub(crate) fn store(
        &mut self,
        memory: &mut Memory,
        ea: u32,
        octets: u32,
        value: u64,
        alone: bool,
    ) -> Result<(), Stop> {
        match self.soft.write.find(ea, self.data_part, octets) {
            Some(page) => match octets {
                1 => memory.store_u8(page, ea, value as u8),
                2 => memory.store_u16(page, ea, value as u16),
                4 => memory.store_u32(page, ea, value as u32),
                _ => memory.store_u64(page, ea, value),
            },
            None => return self.store_slow(memory, ea, octets, value, alone),
        }
        Ok(())
    }

    /// Data address breakpoints of the guest's own (MPC750UM §2.1.2.1, DABR).
    fn check_dabr(&mut self, ea: u32, octets: u32, access: Access) -> Result<(), Stop> {
        let wanted = if access == Access::Write { 2 } else { 1 };
        let dabr = self.dabr;
        let translated = self.msr & crate::msr::DR != 0;
        if dabr & wanted == 0 || (dabr & 4 != 0) != translated {
            return Ok(());
        }
        let first = dabr & !7;
        if ea.wrapping_add(octets - 1) < first || ea > first + 7 {
            return Ok(());
        }
        let store = if access == Access::Write { STORE } else { 0 };
        self.fault = Fault { dar: ea, dsisr: BREAKPOINT_MATCH | store };
        Err(DSI.into())
    }

    /// May an entry of the soft TLB be made for the page of `ea`?
    fn is_quiet(&self, ea: u32) -> bool {
        !self.debugger.touches_page(ea) && (self.dabr & 3 == 0 || (self.dabr ^ ea) & !(PAGE_OCTETS - 1) != 0)
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn load_slow(&mut self, memory: &mut Memory, ea: u32, octets: u32) -> Result<u64, Stop> {
        self.check_dabr(ea, octets, Access::Read)?;
        let aligned = ea & (octets - 1) == 0;
        if !aligned && !in_one_page(ea, octets) {
            // The other page's faults come before any access.
            self.place(memory, ea.wrapping_add(octets - 1) & !(PAGE_OCTETS - 1), Access::Read)?;
            return self.load_octets(memory, ea, octets);
        }
        let place = self.place(memory, ea, Access::Read)?;
        let Some(page) = memory.page(place.gpa) else {
            let value =
                if aligned { self.device_read(place.gpa, octets)? } else { self.load_octets(memory, ea, octets)? };
            self.note_watched(ea, octets, Access::Read);
            return Ok(value);
        };
        if self.is_quiet(ea) {
            self.soft.read.put(ea, self.data_part, page, place.paged);
        }
        self.note_watched(ea, octets, Access::Read);
        let gpa = place.gpa;
        Ok(match (octets, aligned) {
            (1, _) => memory.load_u8(page, gpa).into(),
            (2, true) => memory.load_u16(page, gpa).into(),
            (4, true) => memory.load_u32(page, gpa).into(),
            (8, true) => memory.load_u64(page, gpa),
            (2, false) => u16::from_le_bytes(memory.peek(page, gpa)).into(),
            (4, false) => u32::from_le_bytes(memory.peek(page, gpa)).into(),
            _ => u64::from_le_bytes(memory.peek(page, gpa)),
        })
    }

    fn load_octets(&mut self, memory: &mut Memory, ea: u32, octets: u32) -> Result<u64, Stop> {
        let mut value = 0;
        for n in 0..octets {
            value |= self.load(memory, ea.wrapping_add(n), 1)? << (8 * n);
        }
        Ok(value)
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn store_slow(
        &mut self,
        memory: &mut Memory,
        ea: u32,
        octets: u32,
        value: u64,
        alone: bool,
    ) -> Result<(), Stop> {
        self.check_dabr(ea, octets, Access::Write)?;
        let aligned = ea & (octets - 1) == 0;
        if !aligned && !in_one_page(ea, octets) {
            self.place(memory, ea.wrapping_add(octets - 1) & !(PAGE_OCTETS - 1), Access::Write)?;
            return self.store_octets(memory, ea, octets, value);
        }
        let place = self.place(memory, ea, Access::Write)?;
        self.note_watched(ea, octets, Access::Write);
        let stored = if aligned {
            memory.store(place.gpa, octets, value)
        } else {
            memory.store_octets(place.gpa, &value.to_le_bytes()[..octets as usize])
        };
        match stored {
            Stored::Data => {
                if let (Some(page), true) = (memory.plain_page(place.gpa), place.written && self.is_quiet(ea)) {
                    self.soft.write.put(ea, self.data_part, page, place.paged);
                }
                Ok(())
            }
            Stored::Code => {
                self.code.catch_up(memory);
                Ok(())
            }
            Stored::Not if aligned => self.device_write(place.gpa, octets, value, alone),
            Stored::Not => self.store_octets(memory, ea, octets, value),
        }
    }

    fn store_octets(&mut self, memory: &mut Memory, ea: u32, octets: u32, value: u64) -> Result<(), Stop> {
        for n in 0..octets {
            self.store(memory, ea.wrapping_add(n), 1, value >> (8 * n) & 0xff, false)?;
        }
        Ok(())
    }

    fn note_watched(&mut self, ea: u32, octets: u32, access: Access) {
        let write = access == Access::Write;
        if self.debugger.watches(ea, octets, write) {
            let reason = if write { Reason::WatchWrite } else { Reason::WatchRead };
            self.debugger.note(reason, ea);
        }
    }

    pub(crate) fn device_read(&mut self, gpa: u32, octets: u32) -> Result<u64, Stop> {
        self.device(Asked { gpa, octets, write: None }).and_then(|done| done.ok_or(Stop::Asked))
    }

    fn device_write(&mut self, gpa: u32, octets: u32, value: u64, alone: bool) -> Result<(), Stop> {
        let alone = alone && self.log.is_empty();
        match self.device(Asked { gpa, octets, write: Some(value) })? {
            Some(_) => Ok(()),
            None => Err(if alone { Stop::Written } else { Stop::Asked }),
        }
    }

    /// The outcome of an access, if it was made.
    fn device(&mut self, asked: Asked) -> Result<Option<u64>, Stop> {
        let Some(done) = self.log.get(self.log_at) else {
            self.asked = Some(asked);
            return Ok(None);
        };
        self.log_at += 1;
        if done.bus_error { Err(MACHINE_CHECK.into()) } else { Ok(Some(done.value)) }
    }
}
