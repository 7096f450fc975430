//! The loop that executes decoded pages, with the semantics of the frequent instructions. The rest: [`super::special`],
//! [`super::fpu`]. Read the theory of operation in [`super`] first.

use super::Cpu;
use super::access::Stop;
use super::code::{Op, PLACES, Page};
use super::exception::{OV, TR};
use crate::exit::Exit;
use crate::table::Insn;
use guest_memory::{Memory, PAGE_OCTETS};

/// No place of a page.
const NOWHERE: usize = usize::MAX;

/// Has it a delay slot that is executed even if it is not taken?
fn is_branch(insn: Insn) -> bool {
    use Insn::*;
    matches!(
        insn,
        J | Jal | Jr | JrHb | Jalr | JalrHb | Beq | Bne | Blez | Bgtz | Bltz | Bgez | Bltzal | Bgezal | Bc1f | Bc1t
    )
}

/// A multiplication's accumulator.
fn wide(hi: u32, lo: u32) -> u64 {
    u64::from(hi) << 32 | u64::from(lo)
}

impl Cpu {
    /// Execute until the instruction count is `stop` (which is larger than it is), or something happens; None: look up.
    pub(crate) fn execute(&mut self, memory: &mut Memory, stop: u64) -> Option<Exit> {
        'segment: loop {
            let (page, number, room) = match self.locate(memory) {
                Ok(found) => found,
                Err(why) => return self.stopped(why),
            };
            let va = self.pc & !(PAGE_OCTETS - 1);
            let mut first = (self.pc % PAGE_OCTETS) as usize / 4;
            let left = usize::try_from(stop - self.icount).unwrap_or(usize::MAX).min(room);
            let mut end = PLACES.min(first.saturating_add(left));
            // The place to execute, and the one from which on instructions are not in `icount` yet.
            let mut at = first;
            let mut counted = first;
            // The place of a taken branch's delay slot, and where it goes on.
            let mut slot = NOWHERE;
            let mut target = self.target;
            if self.in_slot {
                slot = first;
                end = first + 1;
            }
            loop {
                if at == end {
                    self.icount += (at - counted) as u64;
                    if slot.wrapping_add(1) == at {
                        // The delay slot was executed.
                        if (target ^ va) < PAGE_OCTETS && target % 4 == 0 && self.icount < stop && room != 1 {
                            slot = NOWHERE;
                            at = (target % PAGE_OCTETS) as usize / 4;
                            first = at;
                            counted = at;
                            end = PLACES.min(at + (stop - self.icount) as usize);
                            continue;
                        }
                        self.pc = target;
                        self.in_slot = false;
                    } else {
                        self.pc = va.wrapping_add(at as u32 * 4);
                        self.set_slot(at, first, slot, target, page);
                    }
                    if self.icount >= stop {
                        return None;
                    }
                    continue 'segment;
                }
                // SAFETY: decoded pages are forgotten in `locate` only, behind which the loop begins anew.
                let op = unsafe { page.op(at) };
                at += 1;

                /// What a register holds.
                macro_rules! r {
                    ($number:expr) => {
                        self.regs[usize::from($number as u8)]
                    };
                }
                /// Leave with the state of before this instruction.
                macro_rules! stopped {
                    ($why:expr) => {{
                        let why: Stop = $why.into();
                        let place = at - 1;
                        self.icount += (place - counted) as u64;
                        self.pc = va | place as u32 * 4;
                        self.set_slot(place, first, slot, target, page);
                        return self.stopped(why);
                    }};
                }
                /// The value of a `Result<_, Stop>`, or leave.
                macro_rules! done {
                    ($result:expr) => {
                        match $result {
                            Ok(value) => value,
                            Err(why) => stopped!(why),
                        }
                    };
                }
                macro_rules! address {
                    () => {
                        r!(op.b).wrapping_add(op.imm)
                    };
                }
                macro_rules! load {
                    ($octets:literal, $load:ident, $address:expr) => {{
                        let va = $address;
                        match self.soft.read.find(va, self.user.into(), $octets) {
                            Some(page) => memory.$load(page, va),
                            None => done!(self.load_slow(memory, va, $octets)) as _,
                        }
                    }};
                }
                macro_rules! store {
                    ($octets:literal, $store:ident, $value:expr) => {{
                        let va = address!();
                        match self.soft.write.find(va, self.user.into(), $octets) {
                            Some(page) => memory.$store(page, va, $value),
                            None => done!(self.store_slow(memory, va, $octets, ($value).into(), true)),
                        }
                    }};
                }
                macro_rules! goto {
                    ($target:expr) => {{
                        target = $target;
                        slot = at;
                        if at < end {
                            end = at + 1;
                        }
                    }};
                }
                /// `op.imm` octets from the delay slot.
                macro_rules! near {
                    () => {
                        va.wrapping_add(at as u32 * 4).wrapping_add(op.imm)
                    };
                }
                macro_rules! branch {
                    ($taken:expr) => {
                        if $taken {
                            goto!(near!())
                        }
                    };
                }
                macro_rules! likely {
                    ($taken:expr) => {
                        if $taken {
                            goto!(near!())
                        } else {
                            // The slot is skipped: go on behind it as if this were the slot.
                            target = va.wrapping_add(at as u32 * 4 + 4);
                            slot = at - 1;
                            end = at;
                        }
                    };
                }
                macro_rules! link {
                    ($register:expr) => {
                        r!($register) = va.wrapping_add(at as u32 * 4 + 4)
                    };
                }
                macro_rules! set {
                    ($value:expr) => {{
                        let value = $value;
                        r!(op.a) = value;
                    }};
                }
                macro_rules! trap {
                    ($condition:expr) => {
                        if $condition {
                            stopped!(TR)
                        }
                    };
                }
                macro_rules! checked {
                    ($result:expr) => {
                        match $result {
                            Some(value) => set!(value as u32),
                            None => stopped!(OV),
                        }
                    };
                }
                macro_rules! set_wide {
                    ($value:expr) => {{
                        let value = $value as u64;
                        self.lo = value as u32;
                        self.hi = (value >> 32) as u32;
                    }};
                }

                match op.insn {
                    Insn::Nop | Insn::Ssnop | Insn::Ehb | Insn::Sync | Insn::Pref | Insn::Synci => {}
                    Insn::Undecoded => {
                        at -= 1;
                        self.decode(memory, number, at);
                    }
                    // Arithmetic
                    Insn::Addiu => set!(r!(op.b).wrapping_add(op.imm)),
                    Insn::Addu => set!(r!(op.b).wrapping_add(r!(op.imm))),
                    Insn::Subu => set!(r!(op.b).wrapping_sub(r!(op.imm))),
                    Insn::Add => checked!((r!(op.b) as i32).checked_add(r!(op.imm) as i32)),
                    Insn::Addi => checked!((r!(op.b) as i32).checked_add(op.imm as i32)),
                    Insn::Sub => checked!((r!(op.b) as i32).checked_sub(r!(op.imm) as i32)),
                    Insn::Slt => set!(u32::from((r!(op.b) as i32) < r!(op.imm) as i32)),
                    Insn::Sltu => set!(u32::from(r!(op.b) < r!(op.imm))),
                    Insn::Slti => set!(u32::from((r!(op.b) as i32) < op.imm as i32)),
                    Insn::Sltiu => set!(u32::from(r!(op.b) < op.imm)),
                    Insn::Lui => set!(op.imm),
                    // Logic
                    Insn::And => set!(r!(op.b) & r!(op.imm)),
                    Insn::Or => set!(r!(op.b) | r!(op.imm)),
                    Insn::Xor => set!(r!(op.b) ^ r!(op.imm)),
                    Insn::Nor => set!(!(r!(op.b) | r!(op.imm))),
                    Insn::Andi => set!(r!(op.b) & op.imm),
                    Insn::Ori => set!(r!(op.b) | op.imm),
                    Insn::Xori => set!(r!(op.b) ^ op.imm),
                    // Shifts and fields
                    Insn::Sll => set!(r!(op.b) << (op.imm & 31)),
                    Insn::Srl => set!(r!(op.b) >> (op.imm & 31)),
                    Insn::Sra => set!(((r!(op.b) as i32) >> (op.imm & 31)) as u32),
                    Insn::Rotr => set!(r!(op.b).rotate_right(op.imm & 31)),
                    Insn::Sllv => set!(r!(op.b) << (r!(op.imm) & 31)),
                    Insn::Srlv => set!(r!(op.b) >> (r!(op.imm) & 31)),
                    Insn::Srav => set!(((r!(op.b) as i32) >> (r!(op.imm) & 31)) as u32),
                    Insn::Rotrv => set!(r!(op.b).rotate_right(r!(op.imm) & 31)),
                    Insn::Ext => set!(r!(op.b) >> (op.imm & 31) & u32::MAX >> (op.imm >> 8 & 31)),
                    Insn::Seb => set!(r!(op.b) as i8 as u32),
                    Insn::Seh => set!(r!(op.b) as i16 as u32),
                    Insn::Wsbh => set!(r!(op.b).swap_bytes().rotate_right(16)),
                    Insn::Clz => set!(r!(op.b).leading_zeros()),
                    Insn::Clo => set!(r!(op.b).leading_ones()),
                    Insn::Movz => {
                        if r!(op.imm) == 0 {
                            set!(r!(op.b))
                        }
                    }
                    Insn::Movn => {
                        if r!(op.imm) != 0 {
                            set!(r!(op.b))
                        }
                    }
                    // Multiplication and division
                    Insn::Mul => set!(r!(op.b).wrapping_mul(r!(op.imm))),
                    Insn::Mult => set_wide!(i64::from(r!(op.a) as i32) * i64::from(r!(op.b) as i32)),
                    Insn::Multu => set_wide!(u64::from(r!(op.a)) * u64::from(r!(op.b))),
                    Insn::Madd => {
                        let product = i64::from(r!(op.a) as i32) * i64::from(r!(op.b) as i32);
                        set_wide!(wide(self.hi, self.lo).wrapping_add(product as u64))
                    }
                    Insn::Maddu => {
                        let product = u64::from(r!(op.a)) * u64::from(r!(op.b));
                        set_wide!(wide(self.hi, self.lo).wrapping_add(product))
                    }
                    Insn::Msub => {
                        let product = i64::from(r!(op.a) as i32) * i64::from(r!(op.b) as i32);
                        set_wide!(wide(self.hi, self.lo).wrapping_sub(product as u64))
                    }
                    Insn::Msubu => {
                        let product = u64::from(r!(op.a)) * u64::from(r!(op.b));
                        set_wide!(wide(self.hi, self.lo).wrapping_sub(product))
                    }
                    Insn::Div => {
                        let (dividend, divisor) = (r!(op.a) as i32, r!(op.b) as i32);
                        let divisor = if divisor == 0 { 1 } else { divisor };
                        self.lo = dividend.wrapping_div(divisor) as u32;
                        self.hi = dividend.wrapping_rem(divisor) as u32;
                    }
                    Insn::Divu => {
                        let (dividend, divisor) = (r!(op.a), r!(op.b).max(1));
                        self.lo = dividend / divisor;
                        self.hi = dividend % divisor;
                    }
                    Insn::Mfhi => set!(self.hi),
                    Insn::Mflo => set!(self.lo),
                    Insn::Mthi => self.hi = r!(op.a),
                    Insn::Mtlo => self.lo = r!(op.a),
                    // Loads and stores
                    Insn::Lw => {
                        let value: u32 = load!(4, load_u32, address!());
                        set!(value)
                    }
                    Insn::Lbu => {
                        let value: u8 = load!(1, load_u8, address!());
                        set!(value.into())
                    }
                    Insn::Lb => {
                        let value: u8 = load!(1, load_u8, address!());
                        set!(value as i8 as u32)
                    }
                    Insn::Lhu => {
                        let value: u16 = load!(2, load_u16, address!());
                        set!(value.into())
                    }
                    Insn::Lh => {
                        let value: u16 = load!(2, load_u16, address!());
                        set!(value as i16 as u32)
                    }
                    Insn::Sw => store!(4, store_u32, r!(op.a)),
                    Insn::Sh => store!(2, store_u16, r!(op.a) as u16),
                    Insn::Sb => store!(1, store_u8, r!(op.a) as u8),
                    Insn::Lwl => {
                        let va = address!();
                        let word = done!(self.load_part(memory, va));
                        let shift = 24 - 8 * (va & 3);
                        set!(word << shift | r!(op.a) & !(u32::MAX << shift))
                    }
                    Insn::Lwr => {
                        let va = address!();
                        let word = done!(self.load_part(memory, va));
                        let shift = 8 * (va & 3);
                        set!(word >> shift | r!(op.a) & !(u32::MAX >> shift))
                    }
                    Insn::Swl => {
                        let va = address!();
                        done!(self.store_part(memory, va, r!(op.a) >> (24 - 8 * (va & 3)), va & !3, va & 3))
                    }
                    Insn::Swr => {
                        let va = address!();
                        done!(self.store_part(memory, va, r!(op.a), va, 3 - (va & 3)))
                    }
                    // Jumps and branches
                    Insn::Beq => branch!(r!(op.a) == r!(op.b)),
                    Insn::Bne => branch!(r!(op.a) != r!(op.b)),
                    Insn::Blez => branch!(r!(op.a) as i32 <= 0),
                    Insn::Bgtz => branch!(r!(op.a) as i32 > 0),
                    Insn::Bltz => branch!((r!(op.a) as i32) < 0),
                    Insn::Bgez => branch!(r!(op.a) as i32 >= 0),
                    Insn::Beql => likely!(r!(op.a) == r!(op.b)),
                    Insn::Bnel => likely!(r!(op.a) != r!(op.b)),
                    Insn::Blezl => likely!(r!(op.a) as i32 <= 0),
                    Insn::Bgtzl => likely!(r!(op.a) as i32 > 0),
                    Insn::Bltzl => likely!((r!(op.a) as i32) < 0),
                    Insn::Bgezl => likely!(r!(op.a) as i32 >= 0),
                    Insn::Bltzal => {
                        let taken = (r!(op.a) as i32) < 0;
                        link!(31);
                        branch!(taken)
                    }
                    Insn::Bgezal => {
                        let taken = r!(op.a) as i32 >= 0;
                        link!(31);
                        branch!(taken)
                    }
                    Insn::Bltzall => {
                        let taken = (r!(op.a) as i32) < 0;
                        link!(31);
                        likely!(taken)
                    }
                    Insn::Bgezall => {
                        let taken = r!(op.a) as i32 >= 0;
                        link!(31);
                        likely!(taken)
                    }
                    Insn::J => goto!(va.wrapping_add(at as u32 * 4) & 0xf000_0000 | op.imm),
                    Insn::Jal => {
                        link!(31);
                        goto!(va.wrapping_add(at as u32 * 4) & 0xf000_0000 | op.imm)
                    }
                    Insn::Jr | Insn::JrHb => goto!(r!(op.a)),
                    Insn::Jalr | Insn::JalrHb => {
                        let to = r!(op.b);
                        link!(op.a);
                        goto!(to)
                    }
                    Insn::Bc1f => branch!(!done!(self.condition(op.a))),
                    Insn::Bc1t => branch!(done!(self.condition(op.a))),
                    Insn::Bc1fl => likely!(!done!(self.condition(op.a))),
                    Insn::Bc1tl => likely!(done!(self.condition(op.a))),
                    // Traps
                    Insn::Teq => trap!(r!(op.a) == r!(op.b)),
                    Insn::Tne => trap!(r!(op.a) != r!(op.b)),
                    Insn::Tge => trap!(r!(op.a) as i32 >= r!(op.b) as i32),
                    Insn::Tgeu => trap!(r!(op.a) >= r!(op.b)),
                    Insn::Tlt => trap!((r!(op.a) as i32) < r!(op.b) as i32),
                    Insn::Tltu => trap!(r!(op.a) < r!(op.b)),
                    Insn::Teqi => trap!(r!(op.a) == op.imm),
                    Insn::Tnei => trap!(r!(op.a) != op.imm),
                    Insn::Tgei => trap!(r!(op.a) as i32 >= op.imm as i32),
                    Insn::Tgeiu => trap!(r!(op.a) >= op.imm),
                    Insn::Tlti => trap!((r!(op.a) as i32) < op.imm as i32),
                    Insn::Tltiu => trap!(r!(op.a) < op.imm),
                    _ => {
                        // Some look at the count, which has to be that of the instructions before.
                        let ticks = (at - 1 - counted) as u64;
                        self.icount += ticks;
                        counted = at - 1;
                        done!(self.special(memory, op))
                    }
                }
            }
        }
    }

    /// Is the instruction at `place` in a delay slot? `place` was reached one by one from `first` on.
    fn set_slot(&mut self, place: usize, first: usize, slot: usize, target: u32, page: Page) {
        if slot == place {
            (self.in_slot, self.target) = (true, target);
            return;
        }
        // SAFETY: as in `execute`, which this is a part of.
        self.in_slot = place > first && is_branch(unsafe { page.op(place - 1) }.insn);
        if self.in_slot {
            self.target = self.pc.wrapping_add(4); // not taken
        }
    }

    /// Why the instruction at `self.pc` does not simply go on to the next, and what follows.
    fn stopped(&mut self, why: Stop) -> Option<Exit> {
        match why {
            Stop::Exception(exception) => self.raise(exception, 1),
            Stop::Asked => self.asked_exit(),
            Stop::Written => {
                self.written_at = Some((self.pc, self.in_slot, self.target));
                self.advance();
                self.asked_exit()
            }
            Stop::Retired => {
                self.advance();
                None
            }
            Stop::Goto(pc) => {
                self.pc = pc;
                self.in_slot = false;
                self.icount += 1;
                None
            }
            Stop::Halted => {
                self.advance();
                self.halted = true;
                None
            }
            Stop::Hypercall(number) => {
                self.advance();
                Some(Exit::Hypercall(number))
            }
        }
    }

    fn asked_exit(&self) -> Option<Exit> {
        self.asked.map(|asked| match asked.write {
            None => Exit::MmioRead { gpa: asked.gpa, octets: asked.octets },
            Some(value) => Exit::MmioWrite { gpa: asked.gpa, octets: asked.octets, value },
        })
    }

    /// The aligned word that LWL and LWR take from.
    fn load_part(&mut self, memory: &mut Memory, va: u32) -> Result<u32, Stop> {
        let word = va & !3;
        if let Some(page) = self.soft.read.find(word, self.user.into(), 4) {
            return Ok(memory.load_u32(page, word));
        }
        let loaded = self.load_slow(memory, word, 4);
        self.fault_address = va;
        loaded.map(|value| value as u32)
    }

    /// SWL and SWR: `more` + 1 octets of `value` from `at` on. They lie in one word, so that only the first can fault.
    fn store_part(&mut self, memory: &mut Memory, va: u32, value: u32, at: u32, more: u32) -> Result<(), Stop> {
        for n in 0..=more {
            let octet = (value >> (8 * n)) as u8;
            match self.soft.write.find(at + n, self.user.into(), 1) {
                Some(page) => memory.store_u8(page, at + n, octet),
                None => {
                    let stored = self.store_slow(memory, at + n, 1, octet.into(), false);
                    self.fault_address = va;
                    stored?;
                }
            }
        }
        Ok(())
    }
}

const _: () = assert!(std::mem::size_of::<Op>() == 8);
