//! One instruction, exactly: everything that [`super::fast`] leaves out comes here.
//!
//! Loads and stores, MFC0 and MTC0 let an earlier late value arrive before they begin; all other instructions still see
//! the old one, and it arrives before their own result. An instruction that needs a device is begun again behind each
//! exit, so nothing but the arrival of the late value may happen before the last device access.

use super::cpu::{Access, Activity, BY_ZERO, Cpu, ENTRY_LO_MASK, Exception, INDEX_SHIFT, Pending, cp0};
use super::map::{Map, Place};
use crate::r3000::alu;
use crate::r3000::code::{LATE, Op, is_link};
use crate::r3000::{Log, Stop, Unfinished};
use crate::table::{Insn, field};
use guest_memory::Memory;

type Done = Result<(), Stop<Exception>>;

fn exception<T>(exception: Exception) -> Result<T, Stop<Exception>> {
    Err(Stop::Exception(exception))
}

impl From<Exception> for Stop<Exception> {
    fn from(exception: Exception) -> Self {
        Stop::Exception(exception)
    }
}

/// Of a data access, for watchpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Touched {
    pub va: u32,
    pub octets: u32,
    pub write: bool,
}

/// Everything that an instruction may touch.
pub(crate) struct Executor<'all> {
    pub cpu: &'all mut Cpu,
    pub memory: &'all mut Memory,
    pub map: &'all Map,
    pub log: &'all mut Log,
    /// The instruction has written over decoded code.
    pub wrote_code: bool,
    /// The instruction was a branch.
    pub branched: bool,
    pub touched: Option<Touched>,
}

impl Executor<'_> {
    fn reg(&self, register: u8) -> u32 {
        self.cpu.gpr[register as usize]
    }

    /// Execute `op`, the present instruction.
    pub(crate) fn execute(&mut self, op: Op) -> Done {
        self.log.rewind();
        match op.insn {
            Insn::Beq | Insn::Bne | Insn::Blez | Insn::Bgtz | Insn::Bltz | Insn::Bgez | Insn::Bltzal | Insn::Bgezal => {
                // The link comes first, so a branch on register 31 sees it.
                if is_link(op.insn) {
                    self.cpu.gpr[31] = self.cpu.pc.wrapping_add(8);
                }
                let taken = alu::branches(op.insn, self.reg(op.a), self.reg(op.b));
                self.branch(taken.then(|| self.cpu.next.wrapping_add(op.imm)))
            }
            Insn::J | Insn::Jal => {
                if is_link(op.insn) {
                    self.cpu.gpr[31] = self.cpu.pc.wrapping_add(8);
                }
                self.branch(Some(self.cpu.next & 0xf000_0000 | op.imm))
            }
            Insn::Jr | Insn::Jalr => {
                let (target, link) = (self.reg(op.b), self.cpu.pc.wrapping_add(8));
                self.branch(Some(target))?;
                self.cpu.gpr[op.a as usize] = link;
                Ok(())
            }
            Insn::Lb | Insn::Lbu | Insn::Lh | Insn::Lhu | Insn::Lw | Insn::Lwl | Insn::Lwr => self.load(op),
            Insn::Sb | Insn::Sh | Insn::Sw | Insn::Swl | Insn::Swr => self.store(op),
            Insn::Mfc0
            | Insn::Mtc0
            | Insn::Cop0
            | Insn::Tlbr
            | Insn::Tlbwi
            | Insn::Tlbwr
            | Insn::Tlbp
            | Insn::Rfe
            | Insn::WaitU => self.coprocessor0(op),
            _ => self.register(op),
        }
    }

    /// What computes registers from registers; or nothing at all.
    fn register(&mut self, op: Op) -> Done {
        let b = self.reg(op.b);
        let c = || self.cpu.gpr[(op.imm & 31) as usize];
        let result = match op.insn {
            Insn::Add | Insn::Sub => match alu::checked(op.insn, b, c()) {
                Some(result) => result,
                None => return exception(Exception::Overflow),
            },
            Insn::Addi => match alu::checked(op.insn, b, op.imm) {
                Some(result) => result,
                None => return exception(Exception::Overflow),
            },
            Insn::Mult | Insn::Multu => {
                (self.cpu.hi, self.cpu.lo) = alu::multiply(op.insn, b, c());
                self.cpu.arrive();
                return Ok(());
            }
            Insn::Div | Insn::Divu => {
                (self.cpu.hi, self.cpu.lo) = alu::divide(op.insn, b, c()).unwrap_or(BY_ZERO);
                self.cpu.arrive();
                return Ok(());
            }
            Insn::Mfhi => self.cpu.hi,
            Insn::Mflo => self.cpu.lo,
            Insn::Mthi | Insn::Mtlo => {
                *(if op.insn == Insn::Mthi { &mut self.cpu.hi } else { &mut self.cpu.lo }) = b;
                self.cpu.arrive();
                return Ok(());
            }
            Insn::Cas => self.compare_and_set(op)?,
            Insn::Syscall => return exception(Exception::Syscall),
            Insn::Break => return exception(Exception::Breakpoint),
            insn => {
                let operand = match insn {
                    Insn::Sll | Insn::Srl | Insn::Sra | Insn::Lui => op.imm,
                    Insn::Addiu | Insn::Slti | Insn::Sltiu | Insn::Andi | Insn::Ori | Insn::Xori => op.imm,
                    _ => c(),
                };
                match alu::compute(insn, b, operand) {
                    Some(result) => result,
                    None => return exception(reserved(op.imm)),
                }
            }
        };
        self.cpu.arrive();
        self.cpu.gpr[op.a as usize] = result;
        Ok(())
    }

    /// The next instruction is in a delay slot, and `target` follows it if there is one.
    fn branch(&mut self, target: Option<u32>) -> Done {
        self.cpu.after = target.unwrap_or(self.cpu.after);
        self.cpu.arrive();
        self.branched = true;
        Ok(())
    }

    /// A word of memory or of a device.
    fn read(&mut self, gpa: u32) -> Result<u32, Stop<Exception>> {
        match self.map.place(self.memory, gpa) {
            Place::Memory(page) => Ok(self.memory.load_u32(page, gpa)),
            Place::Device => self.log.read(gpa, 4).map_err(Stop::from),
            Place::Nothing => exception(Exception::DataBus),
        }
    }

    fn write(&mut self, gpa: u32, value: u32) -> Done {
        match self.map.place(self.memory, gpa) {
            Place::Memory(_) => self.write_memory(gpa, value),
            Place::Device => self.log.write(gpa, 4, value).map_err(Stop::from),
            Place::Nothing => exception(Exception::DataBus),
        }
    }

    fn write_memory(&mut self, gpa: u32, value: u32) -> Done {
        match self.memory.store(gpa, 4, value.into()) {
            guest_memory::Stored::Data => Ok(()),
            guest_memory::Stored::Code => {
                self.wrote_code = true;
                Ok(())
            }
            guest_memory::Stored::Not => exception(Exception::DataBus),
        }
    }

    /// The address of a load or store. Half-words are checked before the address is, and leave BadVAddr alone; what is
    /// smaller than a word accesses the word around it.
    fn address(&mut self, op: Op, access: Access) -> Result<(u32, u32), Stop<Exception>> {
        let va = self.reg(op.b).wrapping_add(op.imm);
        let half = matches!(op.insn, Insn::Lh | Insn::Lhu | Insn::Sh);
        if half && va & 1 != 0 {
            return exception(if access == Access::Write { Exception::AddressStore } else { Exception::AddressLoad });
        }
        let whole = matches!(op.insn, Insn::Lw | Insn::Sw);
        let gpa = self.cpu.map(if whole { va } else { va & !3 }, access)?;
        let (touched, octets) = match op.insn {
            Insn::Lb | Insn::Lbu | Insn::Sb => (va, 1),
            _ if half => (va, 2),
            _ => (va & !3, 4),
        };
        self.touched = Some(Touched { va: touched, octets, write: access == Access::Write });
        Ok((va, gpa))
    }

    fn load(&mut self, op: Op) -> Done {
        self.cpu.arrive();
        let register = op.a & !LATE;
        let (va, gpa) = self.address(op, Access::Read)?;
        let word = self.read(gpa)?;
        let old = if register < 32 { self.reg(register) } else { 0 };
        let value = alu::loaded(op.insn, old, word, va);
        self.cpu.pending = Pending::general(register, value);
        Ok(())
    }

    fn store(&mut self, op: Op) -> Done {
        self.cpu.arrive();
        let (va, gpa) = self.address(op, Access::Write)?;
        let value = self.reg(op.a);
        if op.insn == Insn::Sw {
            return self.write(gpa, value);
        }
        let word = self.read(gpa)?;
        self.write(gpa, alu::stored(op.insn, word, value, va))
    }

    /// CAS rd, rs, rt: if the word at rs is rt it becomes rd. Fails on devices; elsewhere than in RAM a bus error.
    fn compare_and_set(&mut self, op: Op) -> Result<u32, Stop<Exception>> {
        let va = self.reg(op.b);
        let (old, new) = (self.cpu.gpr[(op.imm & 31) as usize], self.cpu.gpr[(op.a & 31) as usize]);
        let gpa = self.cpu.map(va, Access::Write)?;
        self.touched = Some(Touched { va, octets: 4, write: true });
        if self.map.is_device(gpa) {
            return Ok(0);
        }
        match self.map.place(self.memory, gpa) {
            Place::Memory(page) if self.map.is_ram(gpa) => {
                let equal = self.memory.load_u32(page, gpa) == old;
                if equal {
                    self.write_memory(gpa, new)?;
                }
                Ok(equal.into())
            }
            _ => exception(Exception::DataBus),
        }
    }

    fn coprocessor0(&mut self, op: Op) -> Done {
        let word = op.imm;
        let cpu = &mut *self.cpu;
        if !cpu.cp0_usable() {
            return exception(Exception::Coprocessor(0));
        }
        let register = field::rd(word);
        match op.insn {
            Insn::Mfc0 => {
                cpu.arrive();
                match cpu.read_cp0(register) {
                    Some(value) if word & 0x7ff == 0 => cpu.pending = Pending::general(field::rt(word), value),
                    _ => return exception(Exception::Coprocessor(0)),
                }
                return Ok(());
            }
            Insn::Mtc0 => {
                cpu.arrive();
                if word & 0x7ff == 0 && cpu.read_cp0(register).is_some() {
                    cpu.pending = Pending::Cp0(register, cpu.gpr[field::rt(word) as usize]);
                } else if word & 0x7ff == 0 && register == cp0::TLB_CLEAR {
                    cpu.tlb[1..].fill((0, 0));
                    cpu.forget_translations();
                } else {
                    return exception(Exception::Coprocessor(0));
                }
                return Ok(());
            }
            // Decoded strictly: other bits are zero. CO is 10000.
            _ if op.insn != Insn::Cop0 && field::rs(word) != 0x10 => return exception(Exception::Coprocessor(0)),
            Insn::Rfe => cpu.pop_modes(),
            Insn::Tlbp => {
                cpu.index = match cpu.probe(cpu.entry_hi) {
                    Some(index) => (index as u32) << INDEX_SHIFT,
                    None => 1 << 31,
                }
            }
            Insn::Tlbr => {
                let (hi, lo) = cpu.tlb[tlb_index(cpu.index, cpu.tlb.len())];
                (cpu.entry_hi, cpu.entry_lo) = (hi, lo & ENTRY_LO_MASK);
                cpu.forget_translations();
            }
            Insn::Tlbwi => cpu.set_entry(tlb_index(cpu.index, cpu.tlb.len()), cpu.entry_hi, cpu.entry_lo),
            Insn::Tlbwr => cpu.set_entry(tlb_index(cpu.random, cpu.tlb.len()), cpu.entry_hi, cpu.entry_lo),
            Insn::WaitU => {
                if cpu.cause & super::cpu::CAUSE_IP == 0 {
                    cpu.activity = Activity::Idle;
                }
            }
            // BC0F and BC0T: the condition is always false.
            _ if word >> 16 & 0x3ff == 0x100 => {
                return self.branch(Some(self.cpu.next.wrapping_add(field::branch(word))));
            }
            _ if word >> 16 & 0x3ff == 0x101 => return self.branch(None),
            _ => return exception(Exception::Coprocessor(0)),
        }
        cpu.arrive();
        Ok(())
    }
}

fn tlb_index(register: u32, entries: usize) -> usize {
    (register & !(1 << 31)) as usize >> INDEX_SHIFT & (entries - 1)
}

/// What a word that is no instruction causes: all coprocessor opcodes, whatever is wrong with them, an unusable
/// coprocessor; the double-word loads and stores of later MIPS, and all others, a reserved instruction.
fn reserved(word: u32) -> Exception {
    match word >> 26 {
        0x10..=0x17 | 0x30..=0x33 | 0x38..=0x3b => Exception::Coprocessor(word >> 26 & 3),
        _ => Exception::Reserved,
    }
}

impl From<Unfinished> for Stop<Exception> {
    fn from(unfinished: Unfinished) -> Self {
        match unfinished {
            Unfinished::Exit(exit) => Stop::Exit(exit),
            Unfinished::BusError => Stop::Exception(Exception::DataBus),
        }
    }
}
