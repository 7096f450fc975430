//! String instructions: SDM 1, 5.1.8; SDM 2, REP.
//!
//! A repeated instruction is done in legs of at most [`LEG_STEPS`] steps, each of which counts as an instruction; between
//! two legs an interrupt may come. Registers are right after every step, so a fault is where it happens. Steps within
//! plain pages go by blocks.

use crate::access::Word;
use crate::arithmetic::{Alu, Cmp};
use crate::control_transfer::set_counter;
use crate::exit::Stop;
use crate::flags::{DF, TF};
use crate::op::{Done, Op, REP, REPNE};
use crate::operand::Num;
use crate::state::{Cpu, EAX, ECX, EDI, ES, ESI};
use guest_memory::Memory;

/// Chosen: a page of double words.
const LEG_STEPS: u32 = 1024;
const BLOCK: usize = 16;

impl Cpu {
    /// How far an index register moves a step.
    #[inline(always)]
    fn stride<T: Word>(&self) -> u32 {
        if self.other_flags & DF == 0 { T::OCTETS } else { T::OCTETS.wrapping_neg() }
    }

    #[inline(always)]
    fn index(&self, op: &Op, register: usize) -> u32 {
        self.regs[register] & op.mask
    }

    #[inline(always)]
    fn move_index(&mut self, op: &Op, register: usize, by: u32) {
        let value = self.regs[register];
        self.regs[register] = value & !op.mask | value.wrapping_add(by) & op.mask;
    }

    /// How many steps of `octets` octets from `offset` upwards are plain, at most `most`; and the linear address.
    fn plain_steps(&self, seg: u8, offset: u32, octets: u32, most: u32, mask: u32, write: bool) -> (u32, u32) {
        let reach = &self.reach[usize::from(seg)];
        let last = if write { reach.write } else { reach.read }.min(i64::from(mask));
        let linear = reach.base.wrapping_add(offset);
        let Some((_, room)) = self.plain_block(linear, write) else { return (0, linear) };
        let inside = (last + 1 - i64::from(offset)).clamp(0, i64::from(room)) as u32;
        ((inside / octets).min(most), linear)
    }
}

/// Do `step` as often as the prefix says; it answers whether to go on.
#[inline(always)]
fn repeat<const CONDITION: bool>(
    cpu: &mut Cpu,
    memory: &mut Memory,
    op: &Op,
    step: impl Fn(&mut Cpu, &mut Memory, u32) -> Result<u32, Stop>,
) -> Done {
    if !op.is(REP | REPNE) {
        step(cpu, memory, 1)?;
        return Ok(());
    }
    let mut leg = if cpu.other_flags & TF != 0 { 1 } else { LEG_STEPS };
    loop {
        let count = cpu.regs[ECX] & op.mask;
        if count == 0 {
            return Ok(());
        }
        if leg == 0 {
            return Err(Stop::Again);
        }
        let steps = step(cpu, memory, count.min(leg))?;
        set_counter(cpu, op, count - steps);
        cpu.step_done();
        leg -= steps;
        if CONDITION && cpu.arithmetic.zf() != op.is(REP) {
            return Ok(());
        }
        if cpu.noticed && count != steps {
            return Err(Stop::Again); // something was noticed: a watchpoint, or this may be another instruction now
        }
    }
}

/// MOVS.
pub(crate) fn movs<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    repeat::<false>(cpu, memory, op, |cpu, memory, most| {
        let (from, to) = (cpu.index(op, ESI), cpu.index(op, EDI));
        let mut steps = 1;
        if most > 3 && cpu.other_flags & DF == 0 {
            steps = copy_block::<T>(cpu, memory, op, from, to, most);
        }
        if steps <= 1 {
            steps = 1;
            let value = cpu.load::<T>(memory, op.seg, from)?;
            cpu.store::<T>(memory, ES as u8, to, value)?;
        }
        let by = cpu.stride::<T>().wrapping_mul(steps);
        cpu.move_index(op, ESI, by);
        cpu.move_index(op, EDI, by);
        Ok(steps)
    })
}

/// Copy upwards within plain pages; how many steps that were.
fn copy_block<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op, from: u32, to: u32, most: u32) -> u32 {
    let (most, source) = cpu.plain_steps(op.seg, from, T::OCTETS, most, op.mask, false);
    let (steps, sink) = cpu.plain_steps(ES as u8, to, T::OCTETS, most, op.mask, true);
    let (Some((source_page, _)), Some((sink_page, _))) = (cpu.plain_block(source, false), cpu.plain_block(sink, true))
    else {
        return 0;
    };
    let octets = steps * T::OCTETS;
    let distance =
        sink_page.gpa().wrapping_add(sink % 4096).wrapping_sub(source_page.gpa().wrapping_add(source % 4096));
    let mut at = 0;
    if distance >= BLOCK as u32 {
        while at + BLOCK as u32 <= octets {
            let block = memory.peek::<BLOCK>(source_page, source + at);
            memory.poke::<BLOCK>(sink_page, sink + at, block);
            at += BLOCK as u32;
        }
    }
    while at < octets {
        T::peek(memory, source_page, source + at).poke(memory, sink_page, sink + at);
        at += T::OCTETS;
    }
    steps
}

/// STOS.
pub(crate) fn stos<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    repeat::<false>(cpu, memory, op, |cpu, memory, most| {
        let to = cpu.index(op, EDI);
        let value = T::get(cpu, EAX as u8);
        let mut steps = 0;
        if most > 3 && cpu.other_flags & DF == 0 {
            let (plain, sink) = cpu.plain_steps(ES as u8, to, T::OCTETS, most, op.mask, true);
            if let Some((page, _)) = cpu.plain_block(sink, true) {
                for step in 0..plain {
                    value.poke(memory, page, sink + step * T::OCTETS);
                }
                steps = plain;
            }
        }
        if steps == 0 {
            steps = 1;
            cpu.store::<T>(memory, ES as u8, to, value)?;
        }
        let by = cpu.stride::<T>().wrapping_mul(steps);
        cpu.move_index(op, EDI, by);
        Ok(steps)
    })
}

/// LODS.
pub(crate) fn lods<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    repeat::<false>(cpu, memory, op, |cpu, memory, _| {
        let from = cpu.index(op, ESI);
        let value = cpu.load::<T>(memory, op.seg, from)?;
        T::set(cpu, EAX as u8, value);
        let by = cpu.stride::<T>();
        cpu.move_index(op, ESI, by);
        Ok(1)
    })
}

/// SCAS.
pub(crate) fn scas<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    repeat::<true>(cpu, memory, op, |cpu, memory, _| {
        let at = cpu.index(op, EDI);
        let value = cpu.load::<T>(memory, ES as u8, at)?;
        let a = T::get(cpu, EAX as u8);
        Cmp::run(&mut cpu.arithmetic, a, value);
        let by = cpu.stride::<T>();
        cpu.move_index(op, EDI, by);
        Ok(1)
    })
}

/// CMPS.
pub(crate) fn cmps<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    repeat::<true>(cpu, memory, op, |cpu, memory, _| {
        let (first, second) = (cpu.index(op, ESI), cpu.index(op, EDI));
        let a = cpu.load::<T>(memory, op.seg, first)?;
        let b = cpu.load::<T>(memory, ES as u8, second)?;
        Cmp::run(&mut cpu.arithmetic, a, b);
        let by = cpu.stride::<T>();
        cpu.move_index(op, ESI, by);
        cpu.move_index(op, EDI, by);
        Ok(1)
    })
}

/// INS: repeated ones are joined into one access to the port, as far as their destination's page goes.
pub(crate) fn ins<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let port = cpu.regs[crate::state::EDX] as u16;
    cpu.check_io(memory, port, T::OCTETS)?;
    repeat::<false>(cpu, memory, op, |cpu, memory, most| {
        let to = cpu.index(op, EDI);
        // What cannot be written must not be read from the device.
        let there = cpu.check_segment(ES as u8, to, T::OCTETS, true)?;
        cpu.walk(memory, there, crate::paging::Access::Write, cpu.cpl == 3)?;
        let mut steps = 1;
        if cpu.other_flags & DF == 0 {
            steps = cpu.plain_steps(ES as u8, to, T::OCTETS, most, op.mask, true).0.max(1);
        }
        let data = cpu.port_read(port, T::OCTETS, steps)?;
        // As was asked for, even if the page is known only now.
        let steps = (data.len() as u32 / T::OCTETS).clamp(1, most);
        let mut at = to;
        let by = cpu.stride::<T>();
        for octets in data.chunks_exact(T::OCTETS as usize) {
            let mut value = [0; 16];
            value[..octets.len()].copy_from_slice(octets);
            cpu.store::<T>(memory, ES as u8, at, T::of(value))?;
            at = at.wrapping_add(by) & op.mask;
        }
        cpu.move_index(op, EDI, by.wrapping_mul(steps));
        Ok(steps)
    })
}

/// OUTS: as INS.
pub(crate) fn outs<T: Num>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let port = cpu.regs[crate::state::EDX] as u16;
    cpu.check_io(memory, port, T::OCTETS)?;
    repeat::<false>(cpu, memory, op, |cpu, memory, most| {
        let from = cpu.index(op, ESI);
        let mut value = cpu.load::<T>(memory, op.seg, from)?; // its page is known from here on, if it is plain
        let mut steps = 1;
        if cpu.other_flags & DF == 0 {
            steps = cpu.plain_steps(op.seg, from, T::OCTETS, most, op.mask, false).0.max(1);
        }
        let by = cpu.stride::<T>();
        let mut data = Vec::with_capacity((steps * T::OCTETS) as usize);
        for step in 0..steps {
            if step > 0 {
                value = cpu.load::<T>(memory, op.seg, from.wrapping_add(T::OCTETS * step))?;
            }
            data.extend_from_slice(&value.octets()[..T::OCTETS as usize]);
        }
        let steps = cpu.port_write(port, T::OCTETS, steps, data)?.clamp(1, most);
        cpu.move_index(op, ESI, by.wrapping_mul(steps));
        Ok(steps)
    })
}
