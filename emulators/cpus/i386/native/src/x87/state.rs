//! The unit's registers: SDM vol. 1 §8.1. Numbers are kept as their 80 bits; MMX registers are their significands.

use crate::exit::Refused;
use engine_contract::saved::{Fields, damaged};
use soft_float::{Context, DENORMAL, DIVISION, F80, INVALID, Rounding};

/// The status word (SDM vol. 1, figure 8-4). TOP is kept apart.
pub(crate) const STACK_FAULT: u16 = 1 << 6;
/// An unmasked exception is pending (ES); B is a copy of it.
pub(crate) const SUMMARY: u16 = 1 << 7 | 1 << 15;
pub(crate) const C0: u16 = 1 << 8;
pub(crate) const C1: u16 = 1 << 9;
pub(crate) const C2: u16 = 1 << 10;
pub(crate) const C3: u16 = 1 << 14;
pub(crate) const TOP: u16 = 7 << 11;
/// The six exceptions, of status and control word.
pub(crate) const EXCEPTIONS: u16 = 0x3f;

/// FNINIT's control word: all masked, 64 bits, to the nearest.
const CONTROL_AT_INIT: u16 = 0x37f;
const CONTROL_AT_RESET: u16 = 0x40;
/// Bits that can be written; bit 6 reads as 1 (SDM vol. 1, figure 8-6; bit 12 has had no effect since the 387).
const CONTROL_BITS: u16 = 0x1f3f;

/// Of the last instruction that was not a control instruction (SDM vol. 1 §8.1.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pointers {
    pub eip: u32,
    pub cs: u16,
    pub operand: u32,
    pub ds: u16,
    /// Eleven bits: the first octet's last three, the second octet.
    pub opcode: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fpu {
    /// R0…R7; ST(i) is R(TOP + i).
    pub(crate) regs: [F80; 8],
    /// A bit for each of R0…R7: it holds something.
    pub(crate) full: u8,
    pub(crate) top: u8,
    /// Without TOP: see `status()`.
    pub(crate) status: u16,
    control: u16,
    /// What the control word asks for.
    context: Context,
    pub(crate) pointers: Pointers,
    /// IGNNE#: pending exceptions are ignored while CR0.NE = 0.
    pub(crate) ignne: bool,
}

impl Default for Fpu {
    fn default() -> Self {
        Fpu::new()
    }
}

impl Fpu {
    /// As after RESET (SDM vol. 3, table 9-1): unlike FNINIT, everything is unmasked, and registers hold 0.
    pub fn new() -> Fpu {
        let mut fpu = Fpu {
            regs: [F80::ZERO; 8],
            full: 0xff,
            top: 0,
            status: 0,
            control: 0,
            context: Context::new(),
            pointers: Pointers::default(),
            ignne: false,
        };
        fpu.set_control(CONTROL_AT_RESET);
        fpu
    }

    /// FNINIT: registers keep what they hold, and are empty.
    pub(crate) fn init(&mut self) {
        self.full = 0;
        self.top = 0;
        self.status = 0;
        self.ignne = false;
        self.pointers = Pointers::default();
        self.set_control(CONTROL_AT_INIT);
    }

    pub fn control(&self) -> u16 {
        self.control
    }

    pub fn set_control(&mut self, value: u16) {
        self.control = value & CONTROL_BITS | 0x40;
        self.context = Context {
            rounding: Rounding::new((value >> 10).into()),
            // 01 is reserved; processors take it for 64 bits.
            precision: [24, 64, 53, 64][usize::from(value >> 8 & 3)],
            unmasked: u32::from(!value & EXCEPTIONS),
            ..Context::new()
        };
        self.summarise();
    }

    /// The status word as FNSTSW stores it.
    pub fn status(&self) -> u16 {
        self.status | u16::from(self.top) << 11
    }

    pub fn set_status(&mut self, value: u16) {
        self.top = (value >> 11 & 7) as u8;
        self.status = value & !TOP;
        self.summarise();
    }

    /// ES and B as exceptions and masks have it.
    pub(super) fn summarise(&mut self) {
        let pending = self.status & !self.control & EXCEPTIONS != 0;
        self.status = self.status & !SUMMARY | if pending { SUMMARY } else { 0 };
        self.ignne &= pending;
    }

    /// The tag word (SDM vol. 1, figure 8-7).
    pub fn tags(&self) -> u16 {
        (0..8).fold(0, |tags, index| {
            let value = self.regs[index];
            let tag = match self.full >> index & 1 != 0 {
                false => 3,
                true if value.is_normal() => 0,
                true if value.is_zero() => 1,
                true => 2,
            };
            tags | tag << (2 * index)
        })
    }

    /// Whether registers are empty is all that counts.
    pub fn set_tags(&mut self, tags: u16) {
        self.full = (0..8).fold(0, |full, index| full | u8::from(tags >> (2 * index) & 3 != 3) << index);
    }

    /// Registers by name, for those who look from outside.
    pub(crate) fn state(&self, to: &mut Vec<(String, u128)>) {
        let Pointers { eip, cs, operand, ds, opcode } = self.pointers;
        for (name, value) in [("fcw", self.control), ("fsw", self.status()), ("ftw", self.tags())] {
            to.push((name.into(), value.into()));
        }
        for number in 0..8 {
            to.push((format!("st{number}"), self.st(number).to_bits()));
        }
        for (name, value) in
            [("fip", eip), ("fcs", cs.into()), ("fdp", operand), ("fds", ds.into()), ("fop", opcode.into())]
        {
            to.push((name.into(), value.into()));
        }
    }

    /// Set one; false: there is none of this name. `ftw` says what is empty, whatever is in the registers.
    pub(crate) fn set(&mut self, name: &str, value: u128) -> bool {
        let pointers = &mut self.pointers;
        match name {
            "fcw" => self.set_control(value as u16),
            "fsw" => self.set_status(value as u16),
            "ftw" => self.set_tags(value as u16),
            "fip" => pointers.eip = value as u32,
            "fcs" => pointers.cs = value as u16,
            "fdp" => pointers.operand = value as u32,
            "fds" => pointers.ds = value as u16,
            "fop" => pointers.opcode = value as u16 & 0x7ff,
            _ => {
                let Some(number) = name.strip_prefix("st").and_then(|digit| digit.parse::<u8>().ok()) else {
                    return false;
                };
                if number > 7 {
                    return false;
                }
                self.put(number, F80::from_bits(value));
            }
        }
        true
    }

    /// ST(i), empty or not as before.
    pub(crate) fn put(&mut self, number: u8, value: F80) {
        let index = self.index(number);
        self.regs[usize::from(index)] = value;
    }

    /// For snapshots.
    pub(crate) fn fields(&mut self, to: &mut dyn Fields) -> Result<(), Refused> {
        for register in &mut self.regs {
            to.u16(&mut register.sign_exponent)?;
            to.u64(&mut register.significand)?;
        }
        let (mut control, mut status, mut ignne) = (self.control, self.status(), self.ignne);
        to.u16(&mut control)?;
        to.u16(&mut status)?;
        to.u8(&mut self.full)?;
        to.flag(&mut ignne)?;
        self.set_control(control);
        self.set_status(status);
        self.ignne = ignne;
        if (self.control, self.status()) != (control, status) || ignne && !self.is_pending() {
            return Err(damaged("an x87 unit that cannot be"));
        }
        let Pointers { eip, cs, operand, ds, opcode } = &mut self.pointers;
        to.u32(eip)?;
        to.u16(cs)?;
        to.u32(operand)?;
        to.u16(ds)?;
        to.u16(opcode)?;
        if *opcode > 0x7ff { Err(damaged("an x87 opcode of more than 11 bits")) } else { Ok(()) }
    }

    #[inline]
    pub(crate) fn context(&self) -> Context {
        self.context
    }

    /// The same for what is always rounded to 64 bits.
    #[inline]
    pub(super) fn full_context(&self) -> Context {
        Context { precision: 64, ..self.context }
    }

    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        self.status & SUMMARY != 0
    }

    #[inline]
    fn index(&self, number: u8) -> u8 {
        self.top.wrapping_add(number) & 7
    }

    #[inline]
    pub(crate) fn st(&self, number: u8) -> F80 {
        self.regs[usize::from(self.index(number))]
    }

    #[inline]
    pub(super) fn set_st(&mut self, number: u8, value: F80) {
        let index = self.index(number);
        self.regs[usize::from(index)] = value;
        self.full |= 1 << index;
    }

    #[inline]
    pub(super) fn is_empty(&self, number: u8) -> bool {
        self.full >> self.index(number) & 1 == 0
    }

    #[inline]
    pub(super) fn free(&mut self, number: u8) {
        self.full &= !(1 << self.index(number));
    }

    #[inline]
    pub(super) fn pop(&mut self) {
        self.free(0);
        self.top = self.index(1);
    }

    /// There is room: it was looked for.
    #[inline]
    pub(super) fn push(&mut self, value: F80) {
        self.top = self.index(7);
        self.set_st(0, value);
    }

    /// Condition codes.
    #[inline]
    pub(super) fn set_codes(&mut self, codes: u16) {
        self.status = self.status & !(C0 | C1 | C2 | C3) | codes;
    }

    #[inline]
    pub(super) fn clear_c1(&mut self) {
        self.status &= !C1;
    }

    /// Take over what an operation noticed; is its result to be stored?
    #[inline]
    pub(super) fn note(&mut self, context: &Context) -> bool {
        self.status = self.status & !C1 | context.flags as u16 | u16::from(context.up) << 9;
        context.flags & context.unmasked == 0 || self.signal(context)
    }

    #[cold]
    fn signal(&mut self, context: &Context) -> bool {
        self.status |= SUMMARY;
        if context.flags & context.unmasked & (INVALID | DENORMAL | DIVISION) != 0 {
            self.clear_c1();
            return false;
        }
        true
    }

    /// A stack fault: does the masked response follow?
    #[cold]
    fn stack_fault(&mut self, c1: u16) -> bool {
        self.status = self.status & !C1 | c1 | STACK_FAULT | INVALID as u16;
        let masked = self.control & INVALID as u16 != 0;
        self.status |= if masked { 0 } else { SUMMARY };
        masked
    }

    /// An operand is empty.
    #[cold]
    pub(super) fn underflow(&mut self) -> bool {
        self.stack_fault(0)
    }

    /// The same, the masked response being the indefinite in a register.
    #[cold]
    pub(super) fn underflow_in(&mut self, destination: u8) -> bool {
        let masked = self.stack_fault(0);
        if masked {
            self.set_st(destination, F80::INDEFINITE);
        }
        masked
    }

    /// There is no room to push.
    #[cold]
    pub(super) fn no_room(&mut self) -> bool {
        self.stack_fault(C1)
    }

    /// The same; the masked response pushes the indefinite.
    #[cold]
    pub(super) fn overflow(&mut self) {
        if self.no_room() {
            self.push(F80::INDEFINITE);
        }
    }

    /// Push, if there is room.
    #[inline]
    pub(super) fn push_checked(&mut self, value: F80) {
        if self.is_empty(7) {
            self.clear_c1();
            self.push(value);
        } else {
            self.overflow();
        }
    }

    /// An MMX register.
    #[inline]
    pub(crate) fn mm(&self, number: u8) -> u64 {
        self.regs[usize::from(number & 7)].significand
    }

    /// Written, its exponent is all ones (SDM vol. 1 §9.6.2).
    #[inline]
    pub(crate) fn set_mm(&mut self, number: u8, value: u64) {
        self.regs[usize::from(number & 7)] = F80 { sign_exponent: 0xffff, significand: value };
    }

    /// Every MMX instruction but EMMS: TOP is 0, all registers hold something.
    #[inline]
    pub(crate) fn enter_mmx(&mut self) {
        self.top = 0;
        self.full = 0xff;
    }

    /// EMMS.
    pub(crate) fn leave_mmx(&mut self) {
        self.top = 0;
        self.full = 0;
    }
}
