//! One processor runs alone, and nothing is due: straight through decoded code.
//!
//! Only what computes, branches, and loads and stores of plain memory is done here, and each instruction wholly or not
//! at all. Everything else is left to [`super::execute`], which continues at the same instruction. Interrupts cannot
//! arise meanwhile: the caller has found that no line is up and enabled, that no timer runs out within the given
//! ticks, and instructions that could change that are not done here.
//!
//! A load arrives at once where no instruction can tell; so the caller has at least one instruction executed by
//! [`super::execute`] before anybody looks at the registers.

use super::cpu::{Access, BY_ZERO, Cpu, Pending, RECENT, USER_BASE};
use super::map::{Map, WHOLE_PAGES};
use crate::r3000::alu;
use crate::r3000::code::{Code, LATE, Op, PLACES, Page, SINK};
use crate::table::{Format, Insn};
use guest_memory::{Memory, PAGE_OCTETS, Stored};

const OFFSET: u32 = PAGE_OCTETS - 1;

/// What addresses are untranslated: `octets` from `base` on.
#[derive(Clone, Copy)]
struct Direct {
    base: u32,
    octets: u32,
}

impl Direct {
    #[inline(always)]
    fn has(self, va: u32) -> bool {
        va.wrapping_sub(self.base) < self.octets
    }
}

/// What became of an operation that is no branch.
enum Simple {
    Done,
    /// A load got this value.
    Loaded(u32),
    /// Done, and decoded code was written over.
    WroteCode,
    /// Not done.
    Left,
}

/// Execute up to `limit` instructions, and answer how many were.
pub(crate) fn run(cpu: &mut Cpu, memory: &mut Memory, code: &mut Code, map: &Map, limit: u64) -> u64 {
    let straight = cpu.next == cpu.pc.wrapping_add(4) && cpu.after == cpu.pc.wrapping_add(8);
    if cpu.in_slot || cpu.pending != Pending::None || !straight {
        return 0;
    }
    let base = if cpu.is_user() { USER_BASE } else { 0 };
    let direct = Direct { base, octets: cpu.tlb_floor.saturating_sub(base) };
    let mut left = limit;
    let mut pc = cpu.pc;
    while left != 0 {
        let Some(gpa) = page_of(cpu, memory, direct, pc) else { break };
        let number = code.number_of(memory, gpa);
        let mut page = code.lend(number);
        let ended = run_page(cpu, memory, direct, &page, &mut pc, &mut left);
        if let Ended::Undecoded(place) = ended {
            code.decode(memory, &mut page, gpa, place, map.octets_of_page(gpa));
        }
        code.give_back(number, page);
        match ended {
            Ended::PageLeft | Ended::Undecoded(_) => {}
            Ended::WroteCode => code.catch_up(memory),
            Ended::Left => break,
        }
    }
    cpu.jump(pc);
    limit - left
}

/// Why a page was left, at `pc`.
enum Ended {
    /// For another one, or because there is nothing left to do.
    PageLeft,
    /// This place is to be decoded.
    Undecoded(usize),
    WroteCode,
    /// What is at `pc` is not done here.
    Left,
}

/// Where the page that `pc` is in is, if it is memory.
#[inline(always)]
fn page_of(cpu: &Cpu, memory: &Memory, direct: Direct, pc: u32) -> Option<u32> {
    let gpa = if direct.has(pc) && pc & 3 == 0 { pc } else { cpu.find(pc, Access::Fetch).ok()? };
    memory.page(gpa).map(|page| page.gpa())
}

/// Execute what is in one page.
#[inline(never)]
fn run_page(cpu: &mut Cpu, memory: &mut Memory, direct: Direct, page: &Page, at: &mut u32, limit: &mut u64) -> Ended {
    let mut left = *limit;
    let base = *at & !OFFSET;
    let mut place = (*at & OFFSET) as usize / 4;
    let mut pc;
    let ended = 'page: loop {
        pc = base.wrapping_add(place as u32 * 4);
        if left == 0 {
            break Ended::PageLeft;
        }
        let op = page[place];
        let (taken, target, link) = match op.insn {
            Insn::Beq => (reg(cpu, op.a) == reg(cpu, op.b), op.imm, SINK),
            Insn::Bne => (reg(cpu, op.a) != reg(cpu, op.b), op.imm, SINK),
            Insn::Blez | Insn::Bgtz | Insn::Bltz | Insn::Bgez => {
                (alu::branches(op.insn, reg(cpu, op.a), 0), op.imm, SINK)
            }
            Insn::J | Insn::Jal => {
                let from = pc.wrapping_add(4);
                let to = from & 0xf000_0000 | op.imm;
                (true, to.wrapping_sub(from), if op.insn == Insn::Jal { 31 } else { SINK })
            }
            Insn::Jr | Insn::Jalr => (true, reg(cpu, op.b).wrapping_sub(pc.wrapping_add(4)), op.a),
            Insn::PageEnd => break Ended::PageLeft,
            Insn::Undecoded => break Ended::Undecoded(place),
            _ => {
                match simple(cpu, memory, direct, op) {
                    Simple::Done => {}
                    Simple::Loaded(value) if op.a & LATE == 0 => cpu.gpr[op.a as usize & 63] = value,
                    Simple::Loaded(value) => {
                        let register = op.a & !LATE;
                        let next = page[(place + 1).min(PLACES)];
                        if next.insn == Insn::Undecoded {
                            break Ended::Undecoded(place + 1); // and load again
                        }
                        if next.notices(register) && !(left > 1 && beside(cpu, next, register, value)) {
                            cpu.pending = Pending::general(register, value);
                            pc = pc.wrapping_add(4);
                            left -= 1;
                            break Ended::Left;
                        }
                        if next.notices(register) {
                            place += 1;
                            left -= 1;
                        } else {
                            cpu.gpr[register as usize & 63] = value;
                        }
                    }
                    Simple::WroteCode => {
                        pc = pc.wrapping_add(4);
                        left -= 1;
                        break Ended::WroteCode;
                    }
                    Simple::Left => break Ended::Left,
                }
                place += 1;
                left -= 1;
                continue;
            }
        };
        // A branch, together with its delay slot.
        if left < 2 {
            break Ended::Left;
        }
        let slot = page[(place + 1).min(PLACES)];
        if slot.insn == Insn::Undecoded {
            break Ended::Undecoded(place + 1);
        }
        let old = cpu.gpr[link as usize & 63];
        cpu.gpr[link as usize & 63] = pc.wrapping_add(8);
        let outcome = simple(cpu, memory, direct, slot);
        if let Simple::Left = outcome {
            cpu.gpr[link as usize & 63] = old;
            break Ended::Left;
        }
        left -= 2;
        pc = pc.wrapping_add(4).wrapping_add(if taken { target } else { 4 });
        let same = pc & !OFFSET == base && pc & 3 == 0;
        match outcome {
            Simple::Loaded(value) => {
                let register = slot.a & !LATE;
                if same && !page[(pc & OFFSET) as usize / 4].notices(register) {
                    cpu.gpr[register as usize & 63] = value;
                } else {
                    cpu.pending = Pending::general(register, value);
                    break 'page Ended::Left;
                }
            }
            Simple::WroteCode => break 'page Ended::WroteCode,
            Simple::Done | Simple::Left => {}
        }
        if !same {
            break Ended::PageLeft;
        }
        place = (pc & OFFSET) as usize / 4;
    };
    (*at, *limit) = (pc, left);
    ended
}

#[inline(always)]
fn reg(cpu: &Cpu, register: u8) -> u32 {
    cpu.gpr[register as usize & 63]
}

/// Where a data address is, if that is simple.
#[inline(always)]
fn find(cpu: &mut Cpu, direct: Direct, va: u32, write: bool) -> Option<u32> {
    if direct.has(va) {
        return (va >= WHOLE_PAGES).then_some(va);
    }
    let recent = if write { &cpu.recent_writes } else { &cpu.recent_reads };
    let (tag, page) = recent[(va / PAGE_OCTETS) as usize % RECENT];
    if tag == va & !OFFSET | 1 { Some(page | va & OFFSET) } else { find_by_tlb(cpu, va, write) }
}

#[cold]
#[inline(never)]
fn find_by_tlb(cpu: &mut Cpu, va: u32, write: bool) -> Option<u32> {
    let access = if write { Access::Write } else { Access::Read };
    let gpa = cpu.find(va & !3, access).ok().filter(|&gpa| gpa >= WHOLE_PAGES)?;
    let recent = if write { &mut cpu.recent_writes } else { &mut cpu.recent_reads };
    recent[(va / PAGE_OCTETS) as usize % RECENT] = (va & !OFFSET | 1, gpa & !OFFSET);
    Some(gpa & !OFFSET | va & OFFSET)
}

#[inline(always)]
fn load(cpu: &mut Cpu, memory: &Memory, direct: Direct, op: Op, alignment: u32) -> Simple {
    let va = reg(cpu, op.b).wrapping_add(op.imm);
    if va & alignment != 0 {
        return Simple::Left;
    }
    let Some(gpa) = find(cpu, direct, va, false) else { return Simple::Left };
    let Some(page) = memory.page(gpa) else { return Simple::Left };
    let old = reg(cpu, op.a);
    Simple::Loaded(alu::loaded(op.insn, old, memory.load_u32(page, gpa), va))
}

#[inline(always)]
fn store(cpu: &mut Cpu, memory: &mut Memory, direct: Direct, op: Op, alignment: u32) -> Simple {
    let va = reg(cpu, op.b).wrapping_add(op.imm);
    if va & alignment != 0 {
        return Simple::Left;
    }
    let value = reg(cpu, op.a);
    let Some(gpa) = find(cpu, direct, va, true) else { return Simple::Left };
    match (op.insn, memory.plain_page(gpa)) {
        (Insn::Sw, Some(page)) => memory.store_u32(page, gpa, value),
        (Insn::Sb, Some(page)) => memory.store_u8(page, gpa, value as u8),
        (Insn::Sh, Some(page)) => memory.store_u16(page, gpa, value as u16),
        _ => return store_with_care(memory, op.insn, va, gpa, value),
    }
    Simple::Done
}

#[cold]
#[inline(never)]
fn store_with_care(memory: &mut Memory, insn: Insn, va: u32, gpa: u32, value: u32) -> Simple {
    let Some(page) = memory.page(gpa) else { return Simple::Left };
    let word = alu::stored(insn, memory.load_u32(page, gpa), value, va);
    match memory.store(gpa & !3, 4, word.into()) {
        Stored::Data => Simple::Done,
        Stored::Code => Simple::WroteCode,
        Stored::Not => Simple::Left,
    }
}

macro_rules! computed {
    ($cpu:ident, $op:ident, reg, $insn:ident) => {
        computed!($cpu, $op, $insn, reg($cpu, $op.imm as u8))
    };
    ($cpu:ident, $op:ident, imm, $insn:ident) => {
        computed!($cpu, $op, $insn, $op.imm)
    };
    ($cpu:ident, $op:ident, $insn:ident, $operand:expr) => {{
        if let Some(value) = alu::compute(Insn::$insn, reg($cpu, $op.b), $operand) {
            $cpu.gpr[$op.a as usize & 63] = value;
        }
        Simple::Done
    }};
}

/// Execute `op` while `register` is still to get `value`: only what computes one register from others.
#[inline(always)]
fn beside(cpu: &mut Cpu, op: Op, register: u8, value: u32) -> bool {
    let by_register = matches!(op.insn.row(), Some(row) if matches!(row.format, Format::DST | Format::DTS));
    let c = if by_register { reg(cpu, op.imm as u8) } else { op.imm };
    let Some(result) = alu::compute(op.insn, reg(cpu, op.b), c) else { return false };
    cpu.gpr[register as usize & 63] = value;
    cpu.gpr[op.a as usize & 63] = result;
    true
}

/// Execute what is neither a branch nor rare.
#[inline(always)]
fn simple(cpu: &mut Cpu, memory: &mut Memory, direct: Direct, op: Op) -> Simple {
    match op.insn {
        Insn::Addu => computed!(cpu, op, reg, Addu),
        Insn::Subu => computed!(cpu, op, reg, Subu),
        Insn::And => computed!(cpu, op, reg, And),
        Insn::Or => computed!(cpu, op, reg, Or),
        Insn::Xor => computed!(cpu, op, reg, Xor),
        Insn::Nor => computed!(cpu, op, reg, Nor),
        Insn::Slt => computed!(cpu, op, reg, Slt),
        Insn::Sltu => computed!(cpu, op, reg, Sltu),
        Insn::Sllv => computed!(cpu, op, reg, Sllv),
        Insn::Srlv => computed!(cpu, op, reg, Srlv),
        Insn::Srav => computed!(cpu, op, reg, Srav),
        Insn::Addiu => computed!(cpu, op, imm, Addiu),
        Insn::Slti => computed!(cpu, op, imm, Slti),
        Insn::Sltiu => computed!(cpu, op, imm, Sltiu),
        Insn::Andi => computed!(cpu, op, imm, Andi),
        Insn::Ori => computed!(cpu, op, imm, Ori),
        Insn::Xori => computed!(cpu, op, imm, Xori),
        Insn::Lui => computed!(cpu, op, imm, Lui),
        Insn::Sll => computed!(cpu, op, imm, Sll),
        Insn::Srl => computed!(cpu, op, imm, Srl),
        Insn::Sra => computed!(cpu, op, imm, Sra),
        Insn::Lw => load(cpu, memory, direct, op, 3),
        Insn::Lh | Insn::Lhu => load(cpu, memory, direct, op, 1),
        Insn::Lb | Insn::Lbu | Insn::Lwl | Insn::Lwr => load(cpu, memory, direct, op, 0),
        Insn::Sw => store(cpu, memory, direct, op, 3),
        Insn::Sh => store(cpu, memory, direct, op, 1),
        Insn::Sb | Insn::Swl | Insn::Swr => store(cpu, memory, direct, op, 0),
        Insn::Mult | Insn::Multu => {
            (cpu.hi, cpu.lo) = alu::multiply(op.insn, reg(cpu, op.b), reg(cpu, op.imm as u8));
            Simple::Done
        }
        Insn::Div | Insn::Divu => {
            let result = alu::divide(op.insn, reg(cpu, op.b), reg(cpu, op.imm as u8));
            (cpu.hi, cpu.lo) = result.unwrap_or(BY_ZERO);
            Simple::Done
        }
        Insn::Mfhi | Insn::Mflo => {
            cpu.gpr[op.a as usize & 63] = if op.insn == Insn::Mfhi { cpu.hi } else { cpu.lo };
            Simple::Done
        }
        Insn::Mthi | Insn::Mtlo => {
            *(if op.insn == Insn::Mthi { &mut cpu.hi } else { &mut cpu.lo }) = reg(cpu, op.b);
            Simple::Done
        }
        Insn::Add | Insn::Sub | Insn::Addi => {
            let c = if op.insn == Insn::Addi { op.imm } else { reg(cpu, op.imm as u8) };
            match alu::checked(op.insn, reg(cpu, op.b), c) {
                Some(value) => {
                    cpu.gpr[op.a as usize & 63] = value;
                    Simple::Done
                }
                None => Simple::Left,
            }
        }
        _ => Simple::Left,
    }
}

const _: () = assert!(PLACES * 4 == PAGE_OCTETS as usize);
