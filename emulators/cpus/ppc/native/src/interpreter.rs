//! The loop that executes decoded pages, with the semantics of the frequent instructions. The rest: [`crate::special`],
//! [`crate::storage`], [`crate::fpu`]. Read the theory of operation in the crate's documentation first.

use crate::Cpu;
use crate::access::Stop;
use crate::exception::TRAP;
use crate::exit::Exit;
use crate::op::{OE, Op, RC};
use crate::table::Insn;
use engine_contract::pages::PLACES;
use guest_memory::{Memory, PAGE_OCTETS};

/// Where the loop is in a page. It lies in memory, so that the loop's registers are free for what every instruction needs.
struct Segment {
    /// The page's first operation.
    base: *const Op,
    /// The page's effective address.
    ea: u32,
    number: u32,
    /// Where the present run of operations began.
    first: *const Op,
    /// Instructions until `stop`, counted at `first`.
    left: u64,
    stop: u64,
    /// Only one operation of the page may be executed.
    single: bool,
}

impl Segment {
    /// The effective address of an operation, or of what is behind the last one.
    #[inline(always)]
    fn address(&self, ip: *const Op) -> u32 {
        self.ea.wrapping_add(((ip as usize - self.base as usize) / size_of::<Op>() * 4) as u32)
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

    /// The operation at the effective address, which is in the page.
    #[inline(always)]
    fn at(&self, ea: u32) -> *const Op {
        // A page has a place for each of its words.
        self.base.wrapping_byte_add((ea as usize % PAGE_OCTETS as usize / 4) * size_of::<Op>())
    }

    /// How far it may go from `ip`: to the page's end, or until nothing is left.
    #[inline(always)]
    fn end(&self, ip: *const Op) -> *const Op {
        let room = self.base as usize + PLACES * size_of::<Op>() - ip as usize;
        let left = if self.single { 1 } else { self.left.min(PLACES as u64) as usize };
        ip.wrapping_byte_add(room.min(left * size_of::<Op>()))
    }
}

/// A field of CR: how `a` is related to `b`.
#[inline(always)]
fn relation<T: PartialOrd>(a: T, b: T, so: u8) -> u8 {
    so | if a < b {
        8
    } else if a > b {
        4
    } else {
        2
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
                ea: self.pc & !(PAGE_OCTETS - 1),
                number,
                first: std::ptr::null(),
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

    /// CR0 of a result.
    #[inline(always)]
    pub(crate) fn record(&mut self, value: u32) {
        self.cr[0] = relation(value as i32, 0, self.so);
    }

    /// CR0, and overflow, of an instruction that asks for them.
    #[cold]
    fn record_all(&mut self, op: Op, value: u32, overflow: bool) {
        if op.flags & OE != 0 {
            self.ov = overflow;
            self.so |= u8::from(overflow);
        }
        if op.flags & RC != 0 {
            self.record(value);
        }
    }

    /// Execute from `segment.first` on until the page is left or nothing is left; or why not.
    fn execute_page(&mut self, memory: &mut Memory, segment: &mut Segment) -> Result<(), Stop> {
        let mut ip = segment.first;
        let mut end = segment.end(ip);
        loop {
            if ip == end {
                self.leave(segment, ip);
                return Ok(());
            }
            // SAFETY: `ip` is an operation of the page: it starts at one and never passes `end`, which is at most the
            // page's. Decoded pages are forgotten in `locate` only, and only `execute` calls that.
            let op = unsafe { ip.read() };
            ip = ip.wrapping_add(1);

            /// What a register holds.
            macro_rules! r {
                ($number:expr) => {
                    self.regs[usize::from($number)]
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
            /// rA of the logical instructions.
            macro_rules! logical {
                ($value:expr) => {{
                    let value = $value;
                    r!(op.a) = value;
                    if op.flags != 0 {
                        self.record(value);
                    }
                }};
            }
            /// rD of the arithmetical ones, and whether it overflowed.
            macro_rules! arithmetic {
                ($value:expr, $overflow:expr) => {{
                    let value: u32 = $value;
                    if op.flags != 0 {
                        let overflow = $overflow;
                        self.record_all(op, value, overflow);
                    }
                    r!(op.d) = value;
                }};
            }
            /// a + b + carry, with CA.
            macro_rules! carrying {
                ($a:expr, $b:expr, $carry:expr) => {{
                    let (a, b): (u32, u32) = ($a, $b);
                    let (sum, carry) = a.overflowing_add(b);
                    let (sum, more) = sum.overflowing_add($carry);
                    self.ca = u32::from(carry | more);
                    arithmetic!(sum, (!(a ^ b) & (a ^ sum)) >> 31 != 0)
                }};
            }
            macro_rules! displaced {
                () => {
                    r!(op.a).wrapping_add(op.imm)
                };
            }
            macro_rules! indexed {
                () => {
                    r!(op.a).wrapping_add(r!(op.b))
                };
            }
            macro_rules! load {
                ($octets:literal, $load:ident, $type:ty, $ea:expr) => {{
                    let ea = $ea;
                    match self.soft.read.find(ea, self.data_part, $octets) {
                        Some(page) => memory.$load(page, ea).swap_bytes(),
                        None => (done!(self.load_slow(memory, ea, $octets)) as $type).swap_bytes(),
                    }
                }};
            }
            /// A load with update: rA gets the address.
            macro_rules! updating {
                ($octets:literal, $load:ident, $type:ty, $ea:expr, $($as:tt)*) => {{
                    let ea = $ea;
                    let value = load!($octets, $load, $type, ea);
                    r!(op.a) = ea;
                    r!(op.d) = value $($as)*;
                }};
            }
            macro_rules! store {
                ($octets:literal, $store:ident, $value:expr, $ea:expr) => {{
                    let ea = $ea;
                    let value = $value.swap_bytes();
                    match self.soft.write.find(ea, self.data_part, $octets) {
                        Some(page) => memory.$store(page, ea, value),
                        None => done!(self.store_slow(memory, ea, $octets, value.into(), true)),
                    }
                }};
            }
            /// A store with update. Where a device answers, the instruction is executed again behind it.
            macro_rules! store_updating {
                ($octets:literal, $store:ident, $value:expr, $ea:expr) => {{
                    let ea = $ea;
                    let value = $value.swap_bytes();
                    match self.soft.write.find(ea, self.data_part, $octets) {
                        Some(page) => memory.$store(page, ea, value),
                        None => done!(self.store_slow(memory, ea, $octets, value.into(), false)),
                    }
                    r!(op.a) = ea;
                }};
            }
            macro_rules! goto {
                ($target:expr) => {{
                    let target: u32 = $target;
                    segment.left -= segment.done(ip);
                    if (target ^ segment.ea) & !(PAGE_OCTETS - 1) == 0 && segment.left != 0 && !segment.single {
                        ip = segment.at(target);
                        segment.first = ip;
                        end = segment.end(ip);
                    } else {
                        self.icount = segment.stop - segment.left;
                        self.pc = target;
                        return Ok(());
                    }
                }};
            }
            /// `op.imm` octets from this instruction.
            macro_rules! near {
                () => {
                    segment.address(ip.wrapping_sub(1)).wrapping_add(op.imm)
                };
            }
            macro_rules! condition {
                () => {
                    self.cr[usize::from(op.c >> 2) & 7] << (op.c & 3) & 8
                };
            }

            match op.insn {
                Insn::Undecoded => {
                    ip = ip.wrapping_sub(1);
                    self.decode(memory, segment.number, segment.address(ip));
                }
                // Arithmetic
                Insn::Li => r!(op.d) = op.imm,
                Insn::Addi | Insn::Addis => r!(op.d) = r!(op.a).wrapping_add(op.imm),
                Insn::Add => {
                    let (a, b) = (r!(op.a), r!(op.b));
                    let sum = a.wrapping_add(b);
                    arithmetic!(sum, (!(a ^ b) & (a ^ sum)) >> 31 != 0)
                }
                Insn::Subf => {
                    let (a, b) = (r!(op.a), r!(op.b));
                    let difference = b.wrapping_sub(a);
                    arithmetic!(difference, ((a ^ b) & (b ^ difference)) >> 31 != 0)
                }
                Insn::Neg => {
                    let a = r!(op.a);
                    arithmetic!(a.wrapping_neg(), a == 1 << 31)
                }
                Insn::Addic | Insn::AddicRc => carrying!(r!(op.a), op.imm, 0),
                Insn::Subfic => carrying!(!r!(op.a), op.imm, 1),
                Insn::Addc => carrying!(r!(op.a), r!(op.b), 0),
                Insn::Subfc => carrying!(!r!(op.a), r!(op.b), 1),
                Insn::Adde => carrying!(r!(op.a), r!(op.b), self.ca),
                Insn::Subfe => carrying!(!r!(op.a), r!(op.b), self.ca),
                Insn::Addze => carrying!(r!(op.a), 0, self.ca),
                Insn::Subfze => carrying!(!r!(op.a), 0, self.ca),
                Insn::Addme => carrying!(r!(op.a), u32::MAX, self.ca),
                Insn::Subfme => carrying!(!r!(op.a), u32::MAX, self.ca),
                Insn::Mulli => r!(op.d) = r!(op.a).wrapping_mul(op.imm),
                Insn::Mullw => {
                    let (product, overflow) = (r!(op.a) as i32).overflowing_mul(r!(op.b) as i32);
                    arithmetic!(product as u32, overflow)
                }
                Insn::Mulhw => {
                    let product = i64::from(r!(op.a) as i32) * i64::from(r!(op.b) as i32);
                    arithmetic!((product >> 32) as u32, false)
                }
                Insn::Mulhwu => {
                    let product = u64::from(r!(op.a)) * u64::from(r!(op.b));
                    arithmetic!((product >> 32) as u32, false)
                }
                Insn::Divw => {
                    let (a, b) = (r!(op.a) as i32, r!(op.b) as i32);
                    let quotient = a.checked_div(b);
                    // Undefined: by zero, and the most negative number by −1; the 750 gives the sign.
                    arithmetic!(quotient.unwrap_or(a >> 31) as u32, quotient.is_none())
                }
                Insn::Divwu => {
                    let quotient = r!(op.a).checked_div(r!(op.b));
                    arithmetic!(quotient.unwrap_or(0), quotient.is_none())
                }
                // Comparisons
                Insn::Cmpi => self.cr[usize::from(op.d & 7)] = relation(r!(op.a) as i32, op.imm as i32, self.so),
                Insn::Cmpli => self.cr[usize::from(op.d & 7)] = relation(r!(op.a), op.imm, self.so),
                Insn::Cmp => self.cr[usize::from(op.d & 7)] = relation(r!(op.a) as i32, r!(op.b) as i32, self.so),
                Insn::Cmpl => self.cr[usize::from(op.d & 7)] = relation(r!(op.a), r!(op.b), self.so),
                // Logic
                Insn::Mr => r!(op.a) = r!(op.d),
                Insn::Andi | Insn::Andis => {
                    let value = r!(op.d) & op.imm;
                    r!(op.a) = value;
                    self.record(value);
                }
                Insn::Ori | Insn::Oris => r!(op.a) = r!(op.d) | op.imm,
                Insn::Xori | Insn::Xoris => r!(op.a) = r!(op.d) ^ op.imm,
                Insn::And => logical!(r!(op.d) & r!(op.b)),
                Insn::Or => logical!(r!(op.d) | r!(op.b)),
                Insn::Xor => logical!(r!(op.d) ^ r!(op.b)),
                Insn::Nand => logical!(!(r!(op.d) & r!(op.b))),
                Insn::Nor => logical!(!(r!(op.d) | r!(op.b))),
                Insn::Eqv => logical!(!(r!(op.d) ^ r!(op.b))),
                Insn::Andc => logical!(r!(op.d) & !r!(op.b)),
                Insn::Orc => logical!(r!(op.d) | !r!(op.b)),
                Insn::Extsb => logical!(r!(op.d) as i8 as u32),
                Insn::Extsh => logical!(r!(op.d) as i16 as u32),
                Insn::Cntlzw => logical!(r!(op.d).leading_zeros()),
                // Rotation and shifts
                Insn::Rlwinm => logical!(r!(op.d).rotate_left(op.c.into()) & op.imm),
                Insn::Rlwimi => {
                    logical!(r!(op.d).rotate_left(op.c.into()) & op.imm | r!(op.a) & !op.imm)
                }
                Insn::Rlwnm => logical!(r!(op.d).rotate_left(r!(op.b) & 31) & op.imm),
                Insn::Slw => {
                    let by = r!(op.b) & 63;
                    logical!(if by < 32 { r!(op.d) << by } else { 0 })
                }
                Insn::Srw => {
                    let by = r!(op.b) & 63;
                    logical!(if by < 32 { r!(op.d) >> by } else { 0 })
                }
                Insn::Sraw | Insn::Srawi => {
                    let by = if op.insn == Insn::Srawi { op.c.into() } else { r!(op.b) & 63 };
                    let value = r!(op.d) as i32;
                    let lost = if by < 32 { value as u32 & !(u32::MAX << by) } else { value as u32 };
                    self.ca = u32::from(value < 0 && lost != 0);
                    logical!((value >> by.min(31)) as u32)
                }
                // Loads
                Insn::Lwz => r!(op.d) = load!(4, load_u32, u32, displaced!()),
                Insn::Lbz => r!(op.d) = load!(1, load_u8, u8, displaced!()).into(),
                Insn::Lhz => r!(op.d) = load!(2, load_u16, u16, displaced!()).into(),
                Insn::Lha => r!(op.d) = load!(2, load_u16, u16, displaced!()) as i16 as u32,
                Insn::Lwzx => r!(op.d) = load!(4, load_u32, u32, indexed!()),
                Insn::Lbzx => r!(op.d) = load!(1, load_u8, u8, indexed!()).into(),
                Insn::Lhzx => r!(op.d) = load!(2, load_u16, u16, indexed!()).into(),
                Insn::Lhax => r!(op.d) = load!(2, load_u16, u16, indexed!()) as i16 as u32,
                Insn::Lwzu => updating!(4, load_u32, u32, displaced!(), as u32),
                Insn::Lbzu => updating!(1, load_u8, u8, displaced!(), as u32),
                Insn::Lhzu => updating!(2, load_u16, u16, displaced!(), as u32),
                Insn::Lhau => updating!(2, load_u16, u16, displaced!(), as i16 as u32),
                Insn::Lwzux => updating!(4, load_u32, u32, indexed!(), as u32),
                Insn::Lbzux => updating!(1, load_u8, u8, indexed!(), as u32),
                Insn::Lhzux => updating!(2, load_u16, u16, indexed!(), as u32),
                Insn::Lhaux => updating!(2, load_u16, u16, indexed!(), as i16 as u32),
                Insn::Lwbrx => r!(op.d) = load!(4, load_u32, u32, indexed!()).swap_bytes(),
                Insn::Lhbrx => r!(op.d) = load!(2, load_u16, u16, indexed!()).swap_bytes().into(),
                // Stores
                Insn::Stw => store!(4, store_u32, r!(op.d), displaced!()),
                Insn::Stb => store!(1, store_u8, (r!(op.d) as u8), displaced!()),
                Insn::Sth => store!(2, store_u16, (r!(op.d) as u16), displaced!()),
                Insn::Stwx => store!(4, store_u32, r!(op.d), indexed!()),
                Insn::Stbx => store!(1, store_u8, (r!(op.d) as u8), indexed!()),
                Insn::Sthx => store!(2, store_u16, (r!(op.d) as u16), indexed!()),
                Insn::Stwu => store_updating!(4, store_u32, r!(op.d), displaced!()),
                Insn::Stbu => store_updating!(1, store_u8, (r!(op.d) as u8), displaced!()),
                Insn::Sthu => store_updating!(2, store_u16, (r!(op.d) as u16), displaced!()),
                Insn::Stwux => store_updating!(4, store_u32, r!(op.d), indexed!()),
                Insn::Stbux => store_updating!(1, store_u8, (r!(op.d) as u8), indexed!()),
                Insn::Sthux => store_updating!(2, store_u16, (r!(op.d) as u16), indexed!()),
                Insn::Stwbrx => store!(4, store_u32, r!(op.d).swap_bytes(), indexed!()),
                Insn::Sthbrx => store!(2, store_u16, (r!(op.d) as u16).swap_bytes(), indexed!()),
                // Branches
                Insn::Near => goto!(near!()),
                Insn::Call => {
                    self.lr = segment.address(ip);
                    goto!(near!())
                }
                Insn::IfSet => {
                    if condition!() != 0 {
                        goto!(near!())
                    }
                }
                Insn::IfClear => {
                    if condition!() == 0 {
                        goto!(near!())
                    }
                }
                Insn::Bdnz => {
                    self.ctr = self.ctr.wrapping_sub(1);
                    if self.ctr != 0 {
                        goto!(near!())
                    }
                }
                Insn::Blr => goto!(self.lr & !3),
                Insn::Bctr => goto!(self.ctr & !3),
                Insn::Bctrl => {
                    self.lr = segment.address(ip);
                    goto!(self.ctr & !3)
                }
                Insn::B | Insn::Bc | Insn::Bclr | Insn::Bcctr => {
                    if let Some(target) = self.branch(op, segment.address(ip.wrapping_sub(1))) {
                        goto!(target)
                    }
                }
                Insn::Twi => {
                    if traps(op.d, r!(op.a), op.imm) {
                        stopped!(TRAP)
                    }
                }
                Insn::Tw => {
                    if traps(op.d, r!(op.a), r!(op.b)) {
                        stopped!(TRAP)
                    }
                }
                _ => {
                    // Some look at the count, which has to be that of the instructions before.
                    self.icount = segment.count(ip.wrapping_sub(1));
                    done!(self.special(memory, op))
                }
            }
        }
    }

    /// A branch of any form at `at`: where it goes, if it is taken (PEM §4.2.4, tables 4-20 and 4-21).
    fn branch(&mut self, op: Op, at: u32) -> Option<u32> {
        let word = op.word;
        let target = match op.insn {
            Insn::Bclr => self.lr & !3,
            Insn::Bcctr => self.ctr & !3,
            _ if crate::table::field::aa(word) => op.imm,
            _ => at.wrapping_add(op.imm),
        };
        if crate::table::field::lk(word) {
            self.lr = at.wrapping_add(4);
        }
        if op.insn == Insn::B {
            return Some(target);
        }
        let (bo, bi) = (op.d, op.a & 31);
        let counts = bo & 4 == 0 && op.insn != Insn::Bcctr;
        if counts {
            self.ctr = self.ctr.wrapping_sub(1);
        }
        let counted = !counts || (self.ctr != 0) != (bo & 2 != 0);
        let bit = self.cr[usize::from(bi >> 2)] << (bi & 3) & 8 != 0;
        let holds = bo & 16 != 0 || bit == (bo & 8 != 0);
        (counted && holds).then_some(target)
    }

    /// Count and pc are those of the operation `ip`, which is to be executed next.
    #[cold]
    #[inline(never)]
    fn leave(&mut self, segment: &Segment, ip: *const Op) {
        self.icount = segment.count(ip);
        self.pc = segment.address(ip);
    }

    /// Why the instruction at `self.pc` does not simply go on to the next, and what follows.
    fn stopped(&mut self, why: Stop) -> Option<Exit> {
        let next = self.pc.wrapping_add(4);
        match why {
            Stop::Exception(exception) => return self.raise(exception, 1),
            Stop::Behind(exception) => {
                if self.is_intercepted(exception.vector) {
                    return self.raise(exception, 1);
                }
                self.pc = next;
                return self.raise(exception, 1);
            }
            Stop::Asked => return self.asked_exit(),
            Stop::Written => {
                self.written_at = Some(self.pc);
                self.pc = next;
                self.icount += 1;
                return self.asked_exit();
            }
            Stop::Goto(pc) => self.pc = pc,
            Stop::Retired => self.pc = next,
            Stop::Halted => {
                self.pc = next;
                self.halted = true;
            }
            Stop::Hypercall(number) => {
                self.pc = next;
                self.icount += 1;
                return Some(Exit::Hypercall(number));
            }
        }
        self.icount += 1;
        None
    }

    fn asked_exit(&self) -> Option<Exit> {
        self.asked.map(|asked| match asked.write {
            None => Exit::MmioRead { gpa: asked.gpa, octets: asked.octets },
            Some(value) => Exit::MmioWrite { gpa: asked.gpa, octets: asked.octets, value },
        })
    }
}

/// Does TO hold for these (PEM §8.2, tw)?
#[inline(always)]
fn traps(to: u8, a: u32, b: u32) -> bool {
    let (signed_a, signed_b) = (a as i32, b as i32);
    to & 16 != 0 && signed_a < signed_b
        || to & 8 != 0 && signed_a > signed_b
        || to & 4 != 0 && a == b
        || to & 2 != 0 && a < b
        || to & 1 != 0 && a > b
}
