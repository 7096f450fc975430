//! FNSTENV, FLDENV, FNSAVE, FRSTOR in their four layouts (SDM vol. 1, figures 8-9 to 8-12); FXSAVE, FXRSTOR (§10.5).

use super::state::{Fpu, Pointers};
use crate::access::Ten;
use crate::exit::Stop;
use crate::op::{OPERAND16, Op};
use crate::state::Cpu;
use crate::vectors::GP;
use guest_memory::Memory;
use soft_float::F80;

/// The system saves XMM registers and MXCSR with FXSAVE (SDM vol. 3 §2.5).
const CR4_OSFXSR: u32 = 1 << 9;

/// An environment's layout.
#[derive(Clone, Copy)]
struct Layout {
    /// Words of 32 bits, not 16.
    wide: bool,
    /// Pointers as in protected mode, not in real and virtual-8086 mode.
    protected: bool,
}

impl Layout {
    fn of(cpu: &Cpu, op: &Op) -> Layout {
        Layout { wide: !op.is(OPERAND16), protected: cpu.is_protected() && !cpu.is_v86() }
    }

    fn word(self) -> u32 {
        if self.wide { 4 } else { 2 }
    }

    /// Octets of seven words.
    fn size(self) -> u32 {
        7 * self.word()
    }
}

impl Fpu {
    /// Seven words; what is reserved is ones.
    fn environment(&self, layout: Layout) -> [u32; 7] {
        let Pointed { code, operand } = self.pointed(layout);
        let ones = if layout.wide { 0xffff_0000 } else { 0 };
        let head = [self.control(), self.status(), self.tags()].map(|word| u32::from(word) | ones);
        let opcode = u32::from(self.pointers.opcode);
        if layout.protected {
            let (cs, ds) = (u32::from(self.pointers.cs), u32::from(self.pointers.ds));
            let cs = if layout.wide { cs | opcode << 16 } else { cs };
            return [head[0], head[1], head[2], code, cs, operand, ds | ones];
        }
        // Linear addresses: the lower 16 bits, and the rest from bit 12 on.
        let [low, rest] = [code & 0xffff | ones, code >> 16 << 12 | opcode];
        [head[0], head[1], head[2], low, rest, operand & 0xffff | ones, operand >> 16 << 12]
    }

    fn pointed(&self, layout: Layout) -> Pointed {
        let Pointers { eip: code, operand, .. } = self.pointers;
        if layout.protected {
            return Pointed { code, operand };
        }
        Pointed {
            code: (u32::from(self.pointers.cs) << 4).wrapping_add(code),
            operand: (u32::from(self.pointers.ds) << 4).wrapping_add(operand),
        }
    }

    fn set_environment(&mut self, layout: Layout, words: [u32; 7]) {
        let pointers = &mut self.pointers;
        if layout.protected {
            pointers.eip = words[3];
            pointers.cs = words[4] as u16;
            pointers.opcode = if layout.wide { (words[4] >> 16) as u16 & 0x7ff } else { 0 };
            pointers.operand = words[5];
            pointers.ds = words[6] as u16;
        } else {
            let linear = |low: u32, rest: u32| low & 0xffff | rest >> 12 << 16;
            pointers.eip = linear(words[3], words[4]);
            pointers.opcode = words[4] as u16 & 0x7ff;
            pointers.operand = linear(words[5], words[6]);
            (pointers.cs, pointers.ds) = (0, 0);
        }
        self.set_tags(words[2] as u16);
        self.set_control(words[0] as u16);
        self.set_status(words[1] as u16);
    }
}

/// Where the last instruction and its operand were.
struct Pointed {
    code: u32,
    operand: u32,
}

impl Cpu {
    fn load_environment(&mut self, memory: &mut Memory, op: &Op, offset: u32) -> Result<[u32; 7], Stop> {
        let layout = Layout::of(self, op);
        let mut words = [0; 7];
        for (index, word) in words.iter_mut().enumerate() {
            let at = self.x87_offset(op, offset, index as u32 * layout.word());
            *word = if layout.wide {
                self.load::<u32>(memory, op.seg, at)?
            } else {
                self.load::<u16>(memory, op.seg, at)?.into()
            };
        }
        Ok(words)
    }

    fn store_environment(&mut self, memory: &mut Memory, op: &Op, offset: u32) -> Result<(), Stop> {
        let layout = Layout::of(self, op);
        for (index, word) in self.fpu.environment(layout).into_iter().enumerate() {
            let at = self.x87_offset(op, offset, index as u32 * layout.word());
            if layout.wide {
                self.store::<u32>(memory, op.seg, at, word)?;
            } else {
                self.store::<u16>(memory, op.seg, at, word as u16)?;
            }
        }
        Ok(())
    }

    /// An offset in an operand of many parts: it wraps as addresses of its size do.
    fn x87_offset(&self, op: &Op, offset: u32, by: u32) -> u32 {
        offset.wrapping_add(by) & op.mask
    }
}

pub(crate) fn fldenv(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87_ready()?;
    let offset = cpu.ea(op);
    let words = cpu.load_environment(memory, op, offset)?;
    let layout = Layout::of(cpu, op);
    cpu.fpu.set_environment(layout, words);
    Ok(())
}

/// All exceptions are masked behind it.
pub(crate) fn fnstenv(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87_present()?;
    let offset = cpu.ea(op);
    cpu.store_environment(memory, op, offset)?;
    let control = cpu.fpu.control();
    cpu.fpu.set_control(control | 0x3f);
    Ok(())
}

pub(crate) fn frstor(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87_ready()?;
    let offset = cpu.ea(op);
    let words = cpu.load_environment(memory, op, offset)?;
    let layout = Layout::of(cpu, op);
    let mut registers = [F80::ZERO; 8];
    for (number, register) in registers.iter_mut().enumerate() {
        let at = cpu.x87_offset(op, offset, layout.size() + 10 * number as u32);
        let Ten::<1>(bits) = cpu.load(memory, op.seg, at)?;
        *register = F80::from_bits(bits);
    }
    let fpu = &mut cpu.fpu;
    fpu.set_environment(layout, words);
    for (number, register) in registers.into_iter().enumerate() {
        fpu.regs[(usize::from(fpu.top) + number) & 7] = register;
    }
    Ok(())
}

/// FNINIT is done behind it.
pub(crate) fn fnsave(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87_present()?;
    let offset = cpu.ea(op);
    cpu.store_environment(memory, op, offset)?;
    let size = Layout::of(cpu, op).size();
    for number in 0..8u8 {
        let at = cpu.x87_offset(op, offset, size + 10 * u32::from(number));
        let bits = cpu.fpu.st(number).to_bits();
        cpu.store(memory, op.seg, at, Ten::<1>(bits))?;
    }
    cpu.fpu.init();
    Ok(())
}

/// SDM vol. 1, table 10-2: the first 160 octets as words of 64 bits, then XMM0…XMM7.
pub(crate) fn fxsave(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87_present()?;
    let offset = cpu.fxsr_area(op)?;
    let fpu = &cpu.fpu;
    let Pointers { eip: code, operand, .. } = fpu.pointers;
    let (cs, ds) = (u64::from(fpu.pointers.cs), u64::from(fpu.pointers.ds));
    let head = u64::from(fpu.control()) | u64::from(fpu.status()) << 16 | u64::from(fpu.full) << 32;
    let mut words = [0u64; 20];
    words[0] = head | u64::from(fpu.pointers.opcode) << 48;
    words[1] = u64::from(code) | cs << 32;
    words[2] = u64::from(operand) | ds << 32;
    words[3] = u64::from(cpu.sse.mxcsr) | u64::from(cpu.mxcsr_mask()) << 32;
    for number in 0..8u8 {
        let bits = fpu.st(number).to_bits();
        words[4 + 2 * usize::from(number)] = bits as u64;
        words[5 + 2 * usize::from(number)] = (bits >> 64) as u64;
    }
    for (index, word) in words.into_iter().enumerate() {
        // The first four words and the registers lie one behind the other: 32 + 8 × 16 octets.
        cpu.store::<u64>(memory, op.seg, cpu.x87_offset(op, offset, 8 * index as u32), word)?;
    }
    if cpu.cr4 & CR4_OSFXSR != 0 {
        for number in 0..8u32 {
            let value = cpu.sse.xmm[number as usize];
            cpu.store::<u128>(memory, op.seg, cpu.x87_offset(op, offset, 160 + 16 * number), value)?;
        }
    }
    Ok(())
}

pub(crate) fn fxrstor(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87_present()?;
    let offset = cpu.fxsr_area(op)?;
    let mut words = [0u64; 20];
    for (index, word) in words.iter_mut().enumerate() {
        *word = cpu.load::<u64>(memory, op.seg, cpu.x87_offset(op, offset, 8 * index as u32))?;
    }
    let with_sse = cpu.cr4 & CR4_OSFXSR != 0;
    let mut xmm = cpu.sse.xmm;
    let mxcsr = words[3] as u32;
    if with_sse {
        if mxcsr & !cpu.mxcsr_mask() != 0 {
            return Err(cpu.fault(GP, 0));
        }
        for (number, register) in xmm.iter_mut().enumerate() {
            *register = cpu.load::<u128>(memory, op.seg, cpu.x87_offset(op, offset, 160 + 16 * number as u32))?;
        }
        cpu.sse.xmm = xmm;
        cpu.sse.mxcsr = mxcsr;
    }
    let fpu = &mut cpu.fpu;
    fpu.full = (words[0] >> 32) as u8;
    fpu.pointers.opcode = (words[0] >> 48) as u16 & 0x7ff;
    (fpu.pointers.eip, fpu.pointers.cs) = (words[1] as u32, (words[1] >> 32) as u16);
    (fpu.pointers.operand, fpu.pointers.ds) = (words[2] as u32, (words[2] >> 32) as u16);
    fpu.set_control(words[0] as u16);
    fpu.set_status((words[0] >> 16) as u16);
    for number in 0..8 {
        let bits = u128::from(words[4 + 2 * number]) | u128::from(words[5 + 2 * number]) << 64;
        fpu.regs[(usize::from(fpu.top) + number) & 7] = F80::from_bits(bits);
    }
    Ok(())
}

impl Cpu {
    /// Where the 512 octets are: at a multiple of 16.
    fn fxsr_area(&mut self, op: &Op) -> Result<u32, Stop> {
        let offset = self.ea(op);
        let linear = self.seg[usize::from(op.seg)].base.wrapping_add(offset);
        if linear & 15 != 0 {
            return Err(self.fault(GP, 0));
        }
        Ok(offset)
    }
}
