//! Ports: SDM 1, chapter 18; SDM 2, IN and OUT. String instructions: [`crate::string`].

use crate::asked::Asked;
use crate::exit::Stop;
use crate::op::{Done, Op};
use crate::operand::Num;
use crate::state::{Cpu, EAX, EDX};
use guest_memory::Memory;

impl Cpu {
    /// `count` reads of a port, joined.
    pub(crate) fn port_read(&mut self, port: u16, octets: u32, count: u32) -> Result<Vec<u8>, Stop> {
        self.device(|| Asked::IoRead { port, octets, count })
    }

    /// `count` writes to a port, joined. How many were made: what was told, whatever `count` is when the instruction is
    /// executed again.
    pub(crate) fn port_write(&mut self, port: u16, octets: u32, count: u32, data: Vec<u8>) -> Result<u32, Stop> {
        let made = self.device(|| Asked::IoWrite { port, octets, count, data })?;
        Ok(made.first_chunk().map_or(1, |made| u32::from_le_bytes(*made)))
    }
}

fn port<const IMMEDIATE: bool>(cpu: &Cpu, op: &Op) -> u16 {
    if IMMEDIATE { op.imm as u16 & 0xff } else { cpu.regs[EDX] as u16 }
}

pub(crate) fn in_<T: Num, const IMMEDIATE: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let port = port::<IMMEDIATE>(cpu, op);
    cpu.check_io(memory, port, T::OCTETS)?;
    let data = cpu.port_read(port, T::OCTETS, 1)?;
    let mut value = [0; 16];
    value[..data.len().min(16)].copy_from_slice(&data[..data.len().min(16)]);
    T::set(cpu, EAX as u8, T::of(value));
    Ok(())
}

pub(crate) fn out<T: Num, const IMMEDIATE: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let port = port::<IMMEDIATE>(cpu, op);
    cpu.check_io(memory, port, T::OCTETS)?;
    let value = T::get(cpu, EAX as u8).octets();
    cpu.port_write(port, T::OCTETS, 1, value[..T::OCTETS as usize].to_vec()).map(drop)
}
