//! One processor runs alone, and nothing is due: straight through decoded code.
//!
//! Only what computes, branches, and loads and stores of plain memory is done here, and each instruction wholly or not
//! at all. Everything else is left to [`super::execute`], which continues at the same instruction. Interrupts cannot
//! arise meanwhile: the caller has found that no line is up and enabled, that no timer runs out within the given
//! ticks, and instructions that could change that are not done here.
//!
//! A load arrives at once where no instruction can tell; so the caller has at least one instruction executed by
//! [`super::execute`] before anybody looks at the registers.

use super::cpu::{Access, Cpu, Pending, RECENT, USER_BASE};
use super::map::{Map, WHOLE_PAGES};
use crate::r3000::alu;
use crate::r3000::code::{Code, LATE, Op, PLACES, SINK};
use crate::table::Insn;
use guest_memory::{Memory, PAGE_OCTETS, Stored};

const OFFSET: u32 = PAGE_OCTETS - 1;

struct Runner<'all> {
    cpu: &'all mut Cpu,
    memory: &'all mut Memory,
    code: &'all mut Code,
    map: &'all Map,
    /// Addresses from `direct_base`, `direct_octets` many, are not translated; others go by the TLB.
    direct_base: u32,
    direct_octets: u32,
}

/// What became of an operation that is neither a branch nor a load.
#[derive(PartialEq, Eq)]
enum Simple {
    Done,
    /// A load got this value.
    Loaded(u32),
    /// Not done.
    Left,
}

/// Execute up to `limit` instructions, and answer how many were.
pub(crate) fn run(cpu: &mut Cpu, memory: &mut Memory, code: &mut Code, map: &Map, limit: u64) -> u64 {
    if cpu.in_slot || cpu.pending != Pending::None || cpu.next != cpu.pc.wrapping_add(4) {
        return 0;
    }
    if cpu.after != cpu.pc.wrapping_add(8) {
        return 0;
    }
    let direct_base = if cpu.is_user() { USER_BASE } else { 0 };
    let direct_octets = cpu.tlb_floor.saturating_sub(direct_base);
    Runner { cpu, memory, code, map, direct_base, direct_octets }.run(limit)
}

macro_rules! alu_arms {
    ($self:ident, $op:ident, $($insn:ident $operand:ident),*) => {
        match $op.insn {
            $(Insn::$insn => {
                let c = alu_arms!($operand $self $op);
                let b = $self.cpu.gpr[$op.b as usize & 31];
                if let Some(value) = alu::compute(Insn::$insn, b, c) {
                    $self.set($op.a, value);
                }
                return Simple::Done;
            })*
            _ => {}
        }
    };
    (reg $self:ident $op:ident) => { $self.cpu.gpr[($op.imm & 31) as usize] };
    (imm $self:ident $op:ident) => { $op.imm };
}

impl Runner<'_> {
    #[inline(always)]
    fn set(&mut self, register: u8, value: u32) {
        self.cpu.gpr[(register as usize & 0x3f).min(SINK as usize)] = value;
    }

    #[inline(always)]
    fn reg(&self, register: u8) -> u32 {
        self.cpu.gpr[register as usize & 31]
    }

    /// Where a data address is, if that is simple.
    #[inline(always)]
    fn find(&self, va: u32, write: bool) -> Option<u32> {
        if va.wrapping_sub(self.direct_base) < self.direct_octets {
            return (va >= WHOLE_PAGES).then_some(va);
        }
        let recent = if write { &self.cpu.recent_writes } else { &self.cpu.recent_reads };
        let (tag, page) = recent[(va / PAGE_OCTETS) as usize % RECENT];
        (tag == va & !OFFSET | 1).then_some(page | va & OFFSET)
    }

    #[cold]
    #[inline(never)]
    fn find_by_tlb(&mut self, va: u32, write: bool) -> Option<u32> {
        if va.wrapping_sub(self.direct_base) < self.direct_octets {
            return None;
        }
        let access = if write { Access::Write } else { Access::Read };
        let gpa = self.cpu.find(va & !3, access).ok().filter(|&gpa| gpa >= WHOLE_PAGES)?;
        let recent = if write { &mut self.cpu.recent_writes } else { &mut self.cpu.recent_reads };
        recent[(va / PAGE_OCTETS) as usize % RECENT] = (va & !OFFSET | 1, gpa & !OFFSET);
        Some(gpa & !OFFSET | va & OFFSET)
    }

    /// The word around `va`.
    #[inline(always)]
    fn read(&mut self, va: u32) -> Option<u32> {
        let gpa = match self.find(va, false) {
            Some(gpa) => gpa,
            None => self.find_by_tlb(va, false)?,
        };
        let page = self.memory.page(gpa)?;
        Some(self.memory.load_u32(page, gpa))
    }

    #[inline(always)]
    fn store(&mut self, op: Op) -> bool {
        let va = self.reg(op.b).wrapping_add(op.imm);
        let value = self.reg(op.a);
        let gpa = match self.find(va, true) {
            Some(gpa) => gpa,
            None => match self.find_by_tlb(va, true) {
                Some(gpa) => gpa,
                None => return false,
            },
        };
        let plain = self.memory.plain_page(gpa);
        match (op.insn, plain) {
            (Insn::Sw, Some(page)) if va & 3 == 0 => self.memory.store_u32(page, gpa, value),
            (Insn::Sb, Some(page)) => self.memory.store_u8(page, gpa, value as u8),
            (Insn::Sh, Some(page)) if va & 1 == 0 => self.memory.store_u16(page, gpa, value as u16),
            _ => return self.store_with_care(op.insn, va, gpa, value),
        }
        true
    }

    #[cold]
    #[inline(never)]
    fn store_with_care(&mut self, insn: Insn, va: u32, gpa: u32, value: u32) -> bool {
        let aligned = match insn {
            Insn::Sw => va & 3 == 0,
            Insn::Sh => va & 1 == 0,
            _ => true,
        };
        let Some(page) = self.memory.page(gpa).filter(|_| aligned) else { return false };
        let word = alu::stored(insn, self.memory.load_u32(page, gpa), value, va);
        match self.memory.store(gpa & !3, 4, word.into()) {
            Stored::Not => return false,
            Stored::Code => self.code.catch_up(self.memory),
            Stored::Data => {}
        }
        true
    }

    /// Execute what is neither a branch nor rare.
    #[inline(always)]
    fn simple(&mut self, op: Op) -> Simple {
        alu_arms!(self, op, Addu reg, Addiu imm, Lui imm, Ori imm, Or reg, Sll imm, Andi imm, Subu reg, Sltu reg,
            Sltiu imm, Slt reg, Slti imm, And reg, Xor reg, Xori imm, Nor reg, Srl imm, Sra imm, Sllv reg, Srlv reg,
            Srav reg);
        match op.insn {
            Insn::Lw => {
                let va = self.reg(op.b).wrapping_add(op.imm);
                if va & 3 != 0 {
                    return Simple::Left;
                }
                self.read(va).map_or(Simple::Left, Simple::Loaded)
            }
            Insn::Lb | Insn::Lbu | Insn::Lwl | Insn::Lwr => {
                let va = self.reg(op.b).wrapping_add(op.imm);
                let old = self.reg(op.a);
                self.read(va).map_or(Simple::Left, |word| Simple::Loaded(alu::loaded(op.insn, old, word, va)))
            }
            Insn::Lh | Insn::Lhu => {
                let va = self.reg(op.b).wrapping_add(op.imm);
                if va & 1 != 0 {
                    return Simple::Left;
                }
                self.read(va).map_or(Simple::Left, |word| Simple::Loaded(alu::loaded(op.insn, 0, word, va)))
            }
            Insn::Sw | Insn::Sb | Insn::Sh | Insn::Swl | Insn::Swr => {
                if self.store(op) {
                    Simple::Done
                } else {
                    Simple::Left
                }
            }
            Insn::Mult | Insn::Multu => {
                let c = self.cpu.gpr[(op.imm & 31) as usize];
                (self.cpu.hi, self.cpu.lo) = alu::multiply(op.insn, self.reg(op.b), c);
                Simple::Done
            }
            Insn::Div | Insn::Divu => {
                let c = self.cpu.gpr[(op.imm & 31) as usize];
                (self.cpu.hi, self.cpu.lo) = alu::divide(op.insn, self.reg(op.b), c).unwrap_or((0, i32::MAX as u32));
                Simple::Done
            }
            Insn::Mfhi => {
                self.set(op.a, self.cpu.hi);
                Simple::Done
            }
            Insn::Mflo => {
                self.set(op.a, self.cpu.lo);
                Simple::Done
            }
            Insn::Mthi => {
                self.cpu.hi = self.reg(op.b);
                Simple::Done
            }
            Insn::Mtlo => {
                self.cpu.lo = self.reg(op.b);
                Simple::Done
            }
            Insn::Add | Insn::Sub | Insn::Addi => {
                let c = if op.insn == Insn::Addi { op.imm } else { self.cpu.gpr[(op.imm & 31) as usize] };
                match alu::checked(op.insn, self.reg(op.b), c) {
                    Some(value) => {
                        self.set(op.a, value);
                        Simple::Done
                    }
                    None => Simple::Left,
                }
            }
            _ => Simple::Left,
        }
    }

    /// The decoded page that `pc` is in: its number and physical address.
    #[inline(always)]
    fn page_of(&mut self, pc: u32) -> Option<(u32, u32)> {
        let gpa = if pc.wrapping_sub(self.direct_base) < self.direct_octets && pc & 3 == 0 {
            pc
        } else {
            self.cpu.find(pc, Access::Fetch).ok()?
        };
        let gpa = gpa & !OFFSET;
        self.memory.page(gpa)?;
        Some((self.code.number_of(self.memory, gpa), gpa))
    }

    #[cold]
    fn decode(&mut self, gpa: u32, number: u32, place: usize) {
        self.code.decode(self.memory, gpa, number, place, self.map.octets_of_page(gpa));
    }

    fn run(mut self, limit: u64) -> u64 {
        let mut left = limit;
        let mut pc = self.cpu.pc;
        'pages: while left != 0 {
            let Some((number, gpa)) = self.page_of(pc) else { break };
            let base = pc & !OFFSET;
            let mut place = (pc & OFFSET) as usize / 4;
            while left != 0 {
                let op = self.code.op(number, place);
                let (taken, target, link) = match op.insn {
                    Insn::Beq => (self.reg(op.a) == self.reg(op.b), op.imm, SINK),
                    Insn::Bne => (self.reg(op.a) != self.reg(op.b), op.imm, SINK),
                    Insn::Blez | Insn::Bgtz | Insn::Bltz | Insn::Bgez => {
                        (alu::branches(op.insn, self.reg(op.a), 0), op.imm, SINK)
                    }
                    Insn::J | Insn::Jal => {
                        let from = base.wrapping_add(place as u32 * 4 + 4);
                        let to = from & 0xf000_0000 | op.imm;
                        (true, to.wrapping_sub(from), if op.insn == Insn::Jal { 31 } else { SINK })
                    }
                    Insn::Jr | Insn::Jalr => {
                        let from = base.wrapping_add(place as u32 * 4 + 4);
                        (true, self.reg(op.b).wrapping_sub(from), op.a)
                    }
                    Insn::PageEnd => {
                        pc = base.wrapping_add(PAGE_OCTETS);
                        continue 'pages;
                    }
                    Insn::Undecoded => {
                        self.decode(gpa, number, place);
                        continue;
                    }
                    _ => match self.simple(op) {
                        Simple::Done => {
                            place += 1;
                            left -= 1;
                            continue;
                        }
                        Simple::Loaded(value) => {
                            place += 1;
                            left -= 1;
                            if op.a & LATE == 0 {
                                self.set(op.a, value);
                                continue;
                            }
                            self.cpu.pending = Pending::general(op.a & !LATE, value);
                            pc = base.wrapping_add(place as u32 * 4);
                            break 'pages;
                        }
                        Simple::Left => {
                            pc = base.wrapping_add(place as u32 * 4);
                            break 'pages;
                        }
                    },
                };
                // A branch, together with its delay slot.
                pc = base.wrapping_add(place as u32 * 4);
                if left < 2 {
                    break 'pages;
                }
                let slot = self.code.op(number, place + 1);
                if slot.insn == Insn::Undecoded {
                    self.decode(gpa, number, place + 1);
                    continue;
                }
                let old = self.cpu.gpr[(link as usize).min(SINK as usize)];
                self.set(link, pc.wrapping_add(8));
                let outcome = self.simple(slot);
                if outcome == Simple::Left {
                    self.set(link, old);
                    break 'pages;
                }
                left -= 2;
                let from = pc.wrapping_add(4);
                pc = from.wrapping_add(if taken { target } else { 4 });
                let same = pc & !OFFSET == base && pc & 3 == 0;
                if let Simple::Loaded(value) = outcome {
                    let register = slot.a & !LATE;
                    if same && !self.code.op(number, (pc & OFFSET) as usize / 4).notices(register) {
                        self.set(register, value);
                    } else {
                        self.cpu.pending = Pending::general(register, value);
                        break 'pages;
                    }
                }
                if !same {
                    continue 'pages;
                }
                place = (pc & OFFSET) as usize / 4;
            }
            pc = base.wrapping_add(place as u32 * 4);
        }
        self.cpu.jump(pc);
        limit - left
    }
}

const _: () = assert!(PLACES * 4 == PAGE_OCTETS as usize);
