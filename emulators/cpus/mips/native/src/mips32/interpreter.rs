//! The loop that executes decoded pages, with the semantics of the frequent instructions. The rest: [`super::special`],
//! [`super::fpu`]. Read the theory of operation in [`super`] first.

use super::Cpu;
use super::access::Stop;
use super::code::Op;
use super::exception::{OV, TR};
use crate::exit::Exit;
use crate::table::Insn;
use engine_contract::pages::PLACES;
use guest_memory::{Memory, PAGE_OCTETS};

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

/// Where the loop is in a page. It lies in memory, so that the loop's registers are free for what every instruction needs.
struct Segment {
    /// The page's first operation.
    base: *const Op,
    /// The page's virtual address.
    va: u32,
    number: u32,
    /// Where the present run of operations began.
    first: *const Op,
    /// A taken branch's delay slot, and where it goes on.
    slot: *const Op,
    target: u32,
    /// Instructions until `stop`, counted at `first`.
    left: u64,
    stop: u64,
    /// Only one operation of the page may be executed.
    single: bool,
}

impl Segment {
    /// The virtual address of an operation, or of what is behind the last one.
    #[inline(always)]
    fn address(&self, ip: *const Op) -> u32 {
        self.va.wrapping_add(((ip as usize - self.base as usize) >> 1) as u32)
    }

    /// Operations from `first` to `ip`.
    #[inline(always)]
    fn done(&self, ip: *const Op) -> u64 {
        ((ip as usize - self.first as usize) / size_of::<Op>()) as u64
    }

    /// The instruction count before the operation `ip`.
    #[inline(always)]
    fn count(&self, ip: *const Op) -> u64 {
        self.stop - self.left + self.done(ip)
    }

    /// The operation at the virtual address, which is in the page.
    #[inline(always)]
    fn at(&self, va: u32) -> *const Op {
        // A page has a place for each of its words.
        self.base.wrapping_byte_add((va as usize % PAGE_OCTETS as usize / 4) * size_of::<Op>())
    }

    /// How far it may go from `ip`: to the page's end, or until nothing is left.
    #[inline(always)]
    fn end(&self, ip: *const Op) -> *const Op {
        let room = self.base as usize + PLACES * size_of::<Op>() - ip as usize;
        let left = if self.single { 1 } else { self.left.min(PLACES as u64) as usize };
        ip.wrapping_byte_add(room.min(left * size_of::<Op>()))
    }
}

impl Cpu {
    /// Execute until the instruction count is `stop` (which is larger than it is), or something happens; None: look up.
    pub(crate) fn execute(&mut self, memory: &mut Memory, stop: u64) -> Option<Exit> {
        loop {
            let (page, number, single) = match self.locate(memory) {
                Ok(found) => found,
                Err(why) => return self.stopped(why),
            };
            let mut segment = Segment {
                base: page.start(),
                va: self.pc & !(PAGE_OCTETS - 1),
                number,
                first: std::ptr::null(),
                slot: std::ptr::null(),
                target: self.target,
                left: stop - self.icount,
                stop,
                single,
            };
            segment.first = segment.at(self.pc);
            match self.execute_page(memory, &mut segment) {
                Ok(()) if self.icount < stop => {}
                Ok(()) => return None,
                Err(why) => return self.stopped(why),
            }
        }
    }

    /// Execute from `segment.first` on until the page is left or nothing is left; or why not.
    fn execute_page(&mut self, memory: &mut Memory, segment: &mut Segment) -> Result<(), Stop> {
        let mut ip = segment.first;
        let mut end = segment.end(ip);
        if self.in_slot {
            segment.slot = ip;
            end = ip.wrapping_add(1);
        }
        loop {
            if ip == end {
                if segment.slot.wrapping_add(1) == ip {
                    // The delay slot was executed.
                    segment.left -= segment.done(ip);
                    let target = segment.target;
                    segment.slot = std::ptr::null();
                    if (target ^ segment.va) & !(PAGE_OCTETS - 4) == 0 && segment.left != 0 && !segment.single {
                        ip = segment.at(target);
                        segment.first = ip;
                        end = segment.end(ip);
                    } else {
                        self.icount = segment.stop - segment.left;
                        self.pc = target;
                        self.in_slot = false;
                        return Ok(());
                    }
                } else {
                    self.leave(segment, ip);
                    return Ok(());
                }
            }
            // SAFETY: `ip` is an operation of the page: it starts at one and never passes `end`, which is at most the
            // page's. Decoded pages are forgotten in `locate` only, and only `execute` calls that.
            let op = unsafe { ip.read() };
            ip = ip.wrapping_add(1);

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
                    self.leave(segment, ip.wrapping_sub(1));
                    return Err(why);
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
                    segment.target = $target;
                    segment.slot = ip;
                    if ip != end {
                        end = ip.wrapping_add(1);
                    }
                }};
            }
            /// `op.imm` octets from the delay slot.
            macro_rules! near {
                () => {
                    segment.address(ip).wrapping_add(op.imm)
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
                        segment.target = segment.address(ip).wrapping_add(4);
                        segment.slot = ip.wrapping_sub(1);
                        end = ip;
                    }
                };
            }
            macro_rules! link {
                ($register:expr) => {
                    r!($register) = segment.address(ip).wrapping_add(4)
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
                    ip = ip.wrapping_sub(1);
                    self.decode(memory, segment.number, segment.address(ip));
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
                Insn::J => goto!(segment.address(ip) & 0xf000_0000 | op.imm),
                Insn::Jal => {
                    link!(31);
                    goto!(segment.address(ip) & 0xf000_0000 | op.imm)
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
                    self.icount = segment.count(ip.wrapping_sub(1));
                    done!(self.special(memory, op))
                }
            }
        }
    }

    /// Count and pc are those of the operation `ip`, which is to be executed next.
    #[cold]
    #[inline(never)]
    fn leave(&mut self, segment: &Segment, ip: *const Op) {
        self.icount = segment.count(ip);
        self.pc = segment.address(ip);
        if segment.slot == ip {
            (self.in_slot, self.target) = (true, segment.target);
            return;
        }
        // What was reached one by one is in a delay slot, too, if the branch was not taken.
        // SAFETY: behind `first`, so that the one before is in the page.
        self.in_slot = ip > segment.first && is_branch(unsafe { ip.wrapping_sub(1).read() }.insn);
        if self.in_slot {
            self.target = self.pc.wrapping_add(4);
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
