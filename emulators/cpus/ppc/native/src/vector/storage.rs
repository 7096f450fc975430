//! Vector loads and stores: ALTIVECPEM §4.2.3. Addresses are rounded down to the size of what is accessed: there is no
//! alignment exception. A vector is two accesses of eight octets, which a device sees, too.

use super::lanes::{octets, of_octets};
use crate::Cpu;
use crate::access::Stop;
use crate::op::Op;
use crate::table::Insn;
use guest_memory::Memory;
use std::array::from_fn;

const VECTOR_OCTETS: u32 = 16;

impl Cpu {
    pub(super) fn vector_storage(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let ea = self.indexed(op);
        let number = usize::from(op.d);
        let place = (ea % VECTOR_OCTETS) as u8;
        match op.insn {
            Insn::Lvx | Insn::Lvxl => {
                let ea = ea & !(VECTOR_OCTETS - 1);
                let high = self.load(memory, ea, 8)?.swap_bytes();
                let low = self.load(memory, ea + 8, 8)?.swap_bytes();
                self.vr[number] = u128::from(high) << 64 | u128::from(low);
            }
            Insn::Stvx | Insn::Stvxl => {
                let ea = ea & !(VECTOR_OCTETS - 1);
                let value = self.vr[number];
                self.store(memory, ea, 8, ((value >> 64) as u64).swap_bytes(), false)?;
                self.store(memory, ea + 8, 8, (value as u64).swap_bytes(), false)?;
            }
            Insn::Lvsl => self.vr[number] = of_octets(from_fn(|n| place + n as u8)),
            Insn::Lvsr => self.vr[number] = of_octets(from_fn(|n| 16 - place + n as u8)),
            Insn::Lvebx | Insn::Lvehx | Insn::Lvewx => {
                let (ea, size) = element(op.insn, ea);
                let value = self.load(memory, ea, size)?.to_le_bytes();
                let first = (ea % VECTOR_OCTETS) as usize;
                let mut elements = octets(self.vr[number]);
                elements[first..first + size as usize].copy_from_slice(&value[..size as usize]);
                self.vr[number] = of_octets(elements);
            }
            _ => {
                let (ea, size) = element(op.insn, ea);
                let first = (ea % VECTOR_OCTETS) as usize;
                let mut value = [0; 8];
                value[..size as usize].copy_from_slice(&octets(self.vr[number])[first..first + size as usize]);
                self.store(memory, ea, size, u64::from_le_bytes(value), true)?;
            }
        }
        Ok(())
    }
}

/// Where an element is, and its size.
fn element(insn: Insn, ea: u32) -> (u32, u32) {
    let size = match insn {
        Insn::Lvebx | Insn::Stvebx => 1,
        Insn::Lvehx | Insn::Stvehx => 2,
        _ => 4,
    };
    (ea & !(size - 1), size)
}
