//! Loads and stores that are more than one access, and what concerns caches and reservations: PEM §4.2.3.5, §4.2.3.6,
//! §4.2.6, §4.3.
//!
//! Multiple and string instructions change registers when all of their accesses are done. Caches are not there: what
//! flushes or fetches does nothing but translate, where the manual says that it does; dcbz clears 32 octets.
//! A reservation is for 32 octets, and is lost by stwcx. alone (there is one processor; devices do not count).

use crate::access::Stop;
use crate::exception::Exception;
use crate::op::Op;
use crate::table::{Insn, field};
use crate::{Access, Cpu};
use guest_memory::{Memory, Stored};

/// Octets of a cache block, and of a reservation.
pub(crate) const BLOCK_OCTETS: u32 = 32;

impl Cpu {
    /// (rA|0) + rB
    #[inline]
    pub(crate) fn indexed(&self, op: Op) -> u32 {
        self.regs[usize::from(op.a)].wrapping_add(self.regs[usize::from(op.b)])
    }

    fn must_be_aligned(&mut self, op: Op, ea: u32) -> Result<(), Exception> {
        if ea % 4 != 0 { Err(self.misaligned(op.word, ea)) } else { Ok(()) }
    }

    fn load_number(&mut self, memory: &mut Memory, ea: u32) -> Result<u32, Stop> {
        Ok((self.load(memory, ea, 4)? as u32).swap_bytes())
    }

    pub(crate) fn load_multiple(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let ea = self.regs[usize::from(op.a)].wrapping_add(op.imm);
        self.must_be_aligned(op, ea)?;
        let mut loaded = [0; 32];
        for (n, place) in (op.d..32).zip(&mut loaded) {
            *place = self.load_number(memory, ea.wrapping_add(4 * u32::from(n - op.d)))?;
        }
        for (n, value) in (op.d..32).zip(loaded) {
            self.regs[usize::from(n)] = value;
        }
        Ok(())
    }

    pub(crate) fn store_multiple(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let ea = self.regs[usize::from(op.a)].wrapping_add(op.imm);
        self.must_be_aligned(op, ea)?;
        for n in op.d..32 {
            let value = self.regs[usize::from(n)].swap_bytes();
            self.store(memory, ea.wrapping_add(4 * u32::from(n - op.d)), 4, value.into(), false)?;
        }
        Ok(())
    }

    /// Where a string instruction goes, and how many octets.
    fn string(&self, op: Op) -> (u32, u32) {
        match op.insn {
            Insn::Lswi | Insn::Stswi => (self.regs[usize::from(op.a)], if op.b == 0 { 32 } else { op.b.into() }),
            _ => (self.indexed(op), self.count.into()),
        }
    }

    pub(crate) fn load_string(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let (ea, octets) = self.string(op);
        let mut loaded = [0u32; 32];
        for n in 0..octets {
            let octet = self.load(memory, ea.wrapping_add(n), 1)? as u32;
            loaded[(n / 4) as usize] |= octet << (24 - 8 * (n % 4));
        }
        for n in 0..octets.div_ceil(4) {
            self.regs[(u32::from(op.d) + n) as usize % 32] = loaded[n as usize];
        }
        Ok(())
    }

    pub(crate) fn store_string(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let (ea, octets) = self.string(op);
        for n in 0..octets {
            let register = self.regs[(u32::from(op.d) + n / 4) as usize % 32];
            self.store(memory, ea.wrapping_add(n), 1, (register >> (24 - 8 * (n % 4)) & 0xff).into(), false)?;
        }
        Ok(())
    }

    pub(crate) fn load_reserved(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let ea = self.indexed(op);
        self.must_be_aligned(op, ea)?;
        let place = self.place(memory, ea, Access::Read)?;
        let value = self.load_number(memory, ea)?;
        self.regs[usize::from(op.d)] = value;
        self.reserved = Some(place.gpa & !(BLOCK_OCTETS - 1));
        Ok(())
    }

    pub(crate) fn store_conditional(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let ea = self.indexed(op);
        self.must_be_aligned(op, ea)?;
        let place = self.place(memory, ea, Access::Write)?;
        let done = self.reserved == Some(place.gpa & !(BLOCK_OCTETS - 1));
        if done {
            self.store(memory, ea, 4, self.regs[usize::from(op.d)].swap_bytes().into(), false)?;
        }
        self.reserved = None;
        self.cr[0] = u8::from(done) << 1 | self.so;
        Ok(())
    }

    /// dcbz: PEM §8.2. Memory that is a device's cannot be cached: alignment exception.
    pub(crate) fn clear_block(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let ea = self.indexed(op) & !(BLOCK_OCTETS - 1);
        if let Some(page) = self.soft.write.find(ea, self.data_part, 1) {
            for n in (0..BLOCK_OCTETS).step_by(8) {
                memory.store_u64(page, ea + n, 0);
            }
            return Ok(());
        }
        let place = self.place(memory, ea, Access::Write)?;
        if memory.page(place.gpa).is_none() {
            return Err(self.misaligned(op.word, ea).into());
        }
        if memory.store_octets(place.gpa, &[0; BLOCK_OCTETS as usize]) == Stored::Code {
            self.code.catch_up(memory);
        }
        // The entry for the next time, and what watches.
        self.store_slow(memory, ea, 1, 0, false)
    }

    /// dcbst, dcbf, dcbi, icbi: they fault as loads do, dcbi as a store (PEM §4.3.2, §4.4.3.1).
    pub(crate) fn touch_block(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let access = if op.insn == Insn::Dcbi { Access::Write } else { Access::Read };
        let ea = self.indexed(op);
        let part = self.data_part;
        if self.soft.read.find(ea, part, 1).is_some() && access == Access::Read {
            return Ok(());
        }
        self.place(memory, ea, access)?;
        Ok(())
    }

    /// eciwx, ecowx (PEM §4.3.4): EAR[E] has to allow it. There is no device behind: a load or store of the address.
    pub(crate) fn external_control(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let ea = self.indexed(op);
        if self.plain[crate::registers::EAR] >> 31 == 0 {
            let store = if op.insn == Insn::Ecowx { crate::exception::STORE } else { 0 };
            self.fault = crate::exception::Fault { dar: ea, dsisr: 1 << 20 | store };
            return Err(crate::exception::DSI.into());
        }
        self.must_be_aligned(op, ea)?;
        match op.insn {
            Insn::Ecowx => self.store(memory, ea, 4, self.regs[usize::from(op.d)].swap_bytes().into(), true),
            _ => {
                let value = self.load_number(memory, ea)?;
                self.regs[usize::from(op.d)] = value;
                Ok(())
            }
        }
    }

    /// mtcrf's mask of bits.
    pub(crate) fn cr_mask(word: u32) -> u32 {
        (0..8).filter(|n| field::crm(word) >> n & 1 != 0).fold(0, |mask, n| mask | 15 << (4 * n))
    }
}
