//! A plain R3000: MIPS I, little-endian, in a flat 32-bit space without translation.
//!
//! Purpose: the processor itself, for programs and test vectors that need no machine around it. Reference: G. Kane,
//! MIPS RISC Architecture, chapters 3 and 6 and appendix A.
//!
//! # Theory of operation
//!
//! A load arrives behind the instruction that follows it. That one still sees the old register; if it writes the
//! register itself, its own result stays; if it loads it, the earlier load is lost, but LWL and LWR merge with it. On
//! an exception, a late load arrives.
//!
//! An access without memory is an exit; an instruction without memory is a bus error. Exceptions go to 0x80000080
//! (0xBFC00180 while Status.BEV is set). Bits that should be zero in an instruction are not looked at.
//!
//! # Not supported
//!
//! TLB, caches (Status.IsC, SwC are bits only), coprocessors 1 to 3, big-endian operation.

mod contract;

use super::code::{Code, LATE, Op, SINK, is_link};
use super::{Log, Stop, Unfinished, alu};
use crate::exit::{Exit, Reason};
use crate::table::{Decoder, Insn, M1, R3K, field};
use guest_memory::{Memory, PAGE_OCTETS, Stored};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const STATUS_BEV: u32 = 1 << 22;
const STATUS_CU0: u32 = 1 << 28;
/// CU0…3, RE, BEV, PZ, SwC, IsC, IM, the stack of modes (Kane, figure 6.4).
const STATUS_MASK: u32 = 0xf247_ff3f;
const CAUSE_SOFTWARE: u32 = 0x300;
const CAUSE_IP: u32 = 0xff00;
/// R3000A, revision 2.0 (Kane, 6.7).
const PRID: u32 = 0x0000_0220;

/// Exceptions, by Cause.ExcCode.
const INT: u32 = 0;
const ADEL: u32 = 4;
const ADES: u32 = 5;
const IBE: u32 = 6;
const DBE: u32 = 7;
const SYS: u32 = 8;
const BP: u32 = 9;
const RI: u32 = 10;
const CPU: u32 = 11;
const OV: u32 = 12;

type Done = Result<(), Stop<u32>>;

/// The branch that the present instruction is in the delay slot of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Branch {
    target: u32,
    taken: bool,
}

/// The registers, and what is under way.
#[derive(Clone, Debug)]
struct Registers {
    /// The last one is where register 0 is written to.
    gpr: [u32; 33],
    hi: u32,
    lo: u32,
    pc: u32,
    slot_of: Option<Branch>,
    /// A load that has not arrived: register (0: none) and value.
    load: (u8, u32),
    status: u32,
    cause: u32,
    epc: u32,
    bad_vaddr: u32,
    icount: u64,
    skipped: u64,
    log: Log,
}

impl From<Unfinished> for Stop<u32> {
    fn from(unfinished: Unfinished) -> Self {
        match unfinished {
            Unfinished::Exit(exit) => Stop::Exit(exit),
            Unfinished::BusError => Stop::Exception(DBE),
        }
    }
}

/// A breakpoint has address only; of a watchpoint the accesses count that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Watchpoint {
    va: u32,
    octets: u32,
    read: bool,
    write: bool,
}

/// The processor.
pub struct Cpu {
    now: Registers,
    code: Code,
    intercepted: u32,
    breakpoints: Vec<u32>,
    watchpoints: Vec<Watchpoint>,
    /// The breakpoint at the present instruction has been told.
    told: bool,
    /// What the present instruction has accessed that is watched.
    hit: Option<Exit>,
    kicked: Arc<AtomicBool>,
}

impl Registers {
    fn new() -> Self {
        Registers {
            gpr: [0; 33],
            hi: 0,
            lo: 0,
            pc: 0xbfc0_0000,
            slot_of: None,
            load: (0, 0),
            status: STATUS_BEV,
            cause: 0,
            epc: 0,
            bad_vaddr: 0,
            icount: 0,
            skipped: 0,
            log: Log::default(),
        }
    }

    fn reg(&self, register: u8) -> u32 {
        self.gpr[register as usize]
    }

    /// The late load, if there is one, arrives.
    fn arrive(&mut self) {
        let (register, value) = std::mem::take(&mut self.load);
        if register != 0 {
            self.gpr[register as usize] = value;
        }
    }

    /// An instruction's own result, which wins over a late load.
    fn finish(&mut self, register: u8, value: u32) {
        self.arrive();
        self.gpr[register as usize] = value;
    }

    /// A load to `register`: the earlier one arrives, unless it was to the same register.
    fn start_load(&mut self, register: u8, value: u32) {
        let register = register & !LATE & 31;
        if self.load.0 == register {
            self.load = (0, 0);
        }
        self.arrive();
        self.load = if register == 0 { (0, 0) } else { (register, value) };
    }

    fn take(&mut self, code: u32) {
        self.arrive();
        let at_branch = self.slot_of.is_some();
        self.epc = if at_branch { self.pc.wrapping_sub(4) } else { self.pc };
        self.cause = self.cause & CAUSE_IP | (code & 31) << 2 | u32::from(at_branch) << 31 | (code >> 8) << 28;
        self.status = self.status & !0x3f | (self.status & 0xf) << 2;
        self.pc = if self.status & STATUS_BEV != 0 { 0xbfc0_0180 } else { 0x8000_0080 };
        self.slot_of = None;
        self.log.clear();
    }

    fn wants_interrupt(&self) -> bool {
        self.status & 1 != 0 && self.cause & self.status & CAUSE_IP != 0
    }
}

impl Cpu {
    /// As it is behind reset.
    pub fn new() -> Self {
        Cpu {
            now: Registers::new(),
            code: Code::new(Decoder::new(M1 | R3K), false),
            intercepted: 0,
            breakpoints: Vec::new(),
            watchpoints: Vec::new(),
            told: false,
            hit: None,
            kicked: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Setting it ends the present or the next run.
    pub fn kick(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.kicked)
    }

    /// Execute up to `budget` instructions.
    pub fn run(&mut self, memory: &mut Memory, budget: u64) -> Exit {
        self.code.catch_up(memory);
        let mut left = budget;
        loop {
            if self.kicked.load(Ordering::Relaxed) {
                self.kicked.store(false, Ordering::Relaxed);
                return Exit::Kicked;
            }
            if left == 0 {
                return Exit::Budget;
            }
            match self.step(memory) {
                Ok(true) => left -= 1,
                Ok(false) => {}
                Err(exit) => return exit,
            }
            if let Some(exit) = self.hit.take() {
                return exit;
            }
        }
    }

    /// One instruction, or (false) an interrupt instead.
    fn step(&mut self, memory: &mut Memory) -> Result<bool, Exit> {
        let fresh = self.now.log == Log::default();
        if fresh && !self.told && self.now.wants_interrupt() {
            self.raise(INT)?;
            return Ok(false);
        }
        let pc = self.now.pc;
        if !self.told && self.breakpoints.contains(&pc) {
            self.told = true;
            return Err(Exit::Debug { reason: Reason::Breakpoint, address: pc });
        }
        let outcome = if pc & 3 != 0 {
            self.now.bad_vaddr = pc;
            Err(Stop::Exception(ADEL))
        } else if memory.page(pc).is_none() {
            Err(Stop::Exception(IBE))
        } else {
            let op = self.code.fetch(memory, pc, PAGE_OCTETS);
            self.execute(memory, op)
        };
        match outcome {
            Ok(branch) => {
                let after = match self.now.slot_of {
                    Some(Branch { target, taken: true }) => target,
                    _ => pc.wrapping_add(4),
                };
                self.now.pc = after;
                self.now.slot_of = branch;
                self.now.log.clear();
            }
            Err(Stop::Exception(code)) => {
                self.hit = None;
                self.raise(code)?;
            }
            Err(Stop::Exit(exit)) => return Err(exit),
        }
        self.told = false;
        self.now.icount += 1;
        self.code.catch_up(memory);
        Ok(true)
    }

    /// Take an exception, or come back with it. `code`: ExcCode, and a coprocessor's number from bit 8 on.
    fn raise(&mut self, code: u32) -> Result<(), Exit> {
        if self.intercepted >> (code & 31) & 1 != 0 {
            let next_pc = match self.now.slot_of {
                Some(Branch { target, taken: true }) => target,
                _ => self.now.pc.wrapping_add(4),
            };
            self.told = false;
            return Err(Exit::Exception { vector: code & 31, next_pc });
        }
        self.now.take(code);
        Ok(())
    }

    /// Execute `op`; if it is a branch, what the next instruction is in the delay slot of.
    fn execute(&mut self, memory: &mut Memory, op: Op) -> Result<Option<Branch>, Stop<u32>> {
        self.now.log.rewind();
        let now = &mut self.now;
        let slot = now.pc.wrapping_add(4);
        let (branch, link) = match op.insn {
            Insn::Beq | Insn::Bne | Insn::Blez | Insn::Bgtz | Insn::Bltz | Insn::Bgez | Insn::Bltzal | Insn::Bgezal => {
                let taken = alu::branches(op.insn, now.reg(op.a), now.reg(op.b & 31));
                (Branch { target: slot.wrapping_add(op.imm), taken }, if is_link(op.insn) { 31 } else { SINK })
            }
            Insn::J | Insn::Jal => {
                (Branch { target: slot & 0xf000_0000 | op.imm, taken: true }, if is_link(op.insn) { 31 } else { SINK })
            }
            Insn::Jr | Insn::Jalr => (Branch { target: now.reg(op.b), taken: true }, op.a),
            _ => {
                self.work(memory, op)?;
                return Ok(None);
            }
        };
        now.finish(link, slot.wrapping_add(4));
        Ok(Some(branch))
    }

    /// Everything but branches.
    fn work(&mut self, memory: &mut Memory, op: Op) -> Done {
        let now = &mut self.now;
        let b = now.reg(op.b);
        let c = now.reg((op.imm & 31) as u8);
        match op.insn {
            Insn::Lb | Insn::Lbu | Insn::Lh | Insn::Lhu | Insn::Lw | Insn::Lwl | Insn::Lwr => {
                return self.load(memory, op);
            }
            Insn::Sb | Insn::Sh | Insn::Sw | Insn::Swl | Insn::Swr => return self.store(memory, op),
            Insn::Add | Insn::Sub | Insn::Addi => {
                let c = if op.insn == Insn::Addi { op.imm } else { c };
                let sum = alu::checked(op.insn, b, c).ok_or(Stop::Exception(OV))?;
                now.finish(op.a, sum);
            }
            Insn::Mult | Insn::Multu => (now.hi, now.lo) = alu::multiply(op.insn, b, c),
            Insn::Div | Insn::Divu => {
                let by_zero = (b, if op.insn == Insn::Div && (b as i32) < 0 { 1 } else { u32::MAX });
                (now.hi, now.lo) = alu::divide(op.insn, b, c).unwrap_or(by_zero);
            }
            Insn::Mfhi => now.finish(op.a, now.hi),
            Insn::Mflo => now.finish(op.a, now.lo),
            Insn::Mthi => now.hi = b,
            Insn::Mtlo => now.lo = b,
            Insn::Syscall => return Err(Stop::Exception(SYS)),
            Insn::Break => return Err(Stop::Exception(BP)),
            Insn::Mfc0 | Insn::Mtc0 | Insn::Rfe => return self.coprocessor0(op),
            insn => {
                let operand = match insn {
                    Insn::Sll | Insn::Srl | Insn::Sra | Insn::Lui => op.imm,
                    Insn::Addiu | Insn::Slti | Insn::Sltiu | Insn::Andi | Insn::Ori | Insn::Xori => op.imm,
                    _ => c,
                };
                match alu::compute(insn, b, operand) {
                    Some(result) => now.finish(op.a, result),
                    None => return Err(Stop::Exception(reserved(op.imm))),
                }
            }
        }
        self.now.arrive();
        Ok(())
    }

    fn coprocessor0(&mut self, op: Op) -> Done {
        let now = &mut self.now;
        if now.status & STATUS_CU0 == 0 && now.status & 2 != 0 {
            return Err(Stop::Exception(CPU));
        }
        let (rt, rd) = (field::rt(op.imm), field::rd(op.imm));
        match op.insn {
            Insn::Rfe => now.status = now.status & !0xf | now.status >> 2 & 0xf,
            Insn::Mfc0 => {
                let value = match rd {
                    8 => now.bad_vaddr,
                    12 => now.status,
                    13 => now.cause,
                    14 => now.epc,
                    15 => PRID,
                    _ => 0,
                };
                now.start_load(rt, value);
                return Ok(());
            }
            _ => {
                let value = now.reg(rt);
                match rd {
                    12 => now.status = value & STATUS_MASK,
                    13 => now.cause = now.cause & !CAUSE_SOFTWARE | value & CAUSE_SOFTWARE,
                    _ => {}
                }
            }
        }
        now.arrive();
        Ok(())
    }

    fn address(&mut self, op: Op, octets: u32, write: bool) -> Result<u32, Stop<u32>> {
        let va = self.now.reg(op.b).wrapping_add(op.imm);
        if va & (octets - 1) != 0 {
            self.now.bad_vaddr = va;
            return Err(Stop::Exception(if write { ADES } else { ADEL }));
        }
        self.watch(va, octets, write);
        Ok(va)
    }

    fn load(&mut self, memory: &mut Memory, op: Op) -> Done {
        let octets = octets_of(op.insn);
        let va = self.address(op, octets, false)?;
        let unaligned = matches!(op.insn, Insn::Lwl | Insn::Lwr);
        let register = op.a & !LATE;
        let word = match memory.page(va) {
            Some(page) => memory.load_u32(page, va),
            None if unaligned => self.now.log.read(va & !3, 4)?,
            None => self.now.log.read(va, octets)? << (8 * (va & 3)),
        };
        let merged = self.now.load.0 == register;
        let old = if merged { self.now.load.1 } else { self.now.reg(register) };
        self.now.start_load(register, alu::loaded(op.insn, old, word, va));
        Ok(())
    }

    fn store(&mut self, memory: &mut Memory, op: Op) -> Done {
        let octets = octets_of(op.insn);
        let va = self.address(op, octets, true)?;
        let value = self.now.reg(op.a);
        // SWL writes the upper octets up to its address, SWR the lower ones from its address on.
        let (first, octets, value, one_by_one) = match op.insn {
            Insn::Swl => (va & !3, (va & 3) + 1, value >> (24 - 8 * (va & 3)), true),
            Insn::Swr => (va, 4 - (va & 3), value, true),
            _ => (va, octets, value, false),
        };
        let step = if one_by_one { 1 } else { octets };
        for at in (0..octets).step_by(step as usize) {
            let part = if step == 4 { value } else { value >> (8 * at) & ((1 << (8 * step)) - 1) };
            if memory.store(first + at, step, part.into()) == Stored::Not && memory.page(first).is_none() {
                self.now.log.write(first + at, step, part)?;
            }
        }
        self.now.arrive();
        Ok(())
    }

    fn watch(&mut self, va: u32, octets: u32, write: bool) {
        let hit = self.watchpoints.iter().any(|point| {
            (if write { point.write } else { point.read })
                && u64::from(va) < u64::from(point.va) + u64::from(point.octets)
                && u64::from(point.va) < u64::from(va) + u64::from(octets)
        });
        let reason = if write { Reason::WatchWrite } else { Reason::WatchRead };
        self.hit = hit.then_some(Exit::Debug { reason, address: va });
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Cpu::new()
    }
}

/// The octets that an access is aligned to.
fn octets_of(insn: Insn) -> u32 {
    match insn {
        Insn::Lw | Insn::Sw => 4,
        Insn::Lh | Insn::Lhu | Insn::Sh => 2,
        _ => 1,
    }
}

/// What a word that is no instruction causes; a coprocessor's number stands from bit 8 on.
fn reserved(word: u32) -> u32 {
    match word >> 26 {
        0x11..=0x13 | 0x30..=0x33 | 0x38..=0x3b => CPU | (word >> 26 & 3) << 8,
        _ => RI,
    }
}
