//! The floating-point unit's registers, moves, loads, stores and FPSCR: PEM §2.1.2, §2.1.4, §3.3, §4.2.2.

use crate::Cpu;
use crate::access::Stop;
use crate::exception::{FP_UNAVAILABLE, ILLEGAL};
use crate::float::{self, Context, Rounding, VXCVI, VXIDI, VXIMZ, VXISI, VXSNAN, VXSQRT, VXVC, VXZDZ, XX, ZX};
use crate::msr;
use crate::op::{Op, RC};
use crate::single;
use crate::table::{Format, Insn, field};
use guest_memory::Memory;

/// FPSCR: an exception occurred; an enabled one did; an invalid operation did.
pub(crate) const FX: u32 = 1 << 31;
pub(crate) const FEX: u32 = 1 << 30;
const VX: u32 = 1 << 29;
const FR: u32 = 1 << 18;
const FI: u32 = 1 << 17;
const FPRF: u32 = 0x1f << 12;
const VXSOFT: u32 = 1 << 10;
const VE: u32 = 1 << 7;
const OE: u32 = 1 << 6;
const UE: u32 = 1 << 5;
const ZE: u32 = 1 << 4;
const NI: u32 = 1 << 2;
/// The causes of VX.
const INVALID: u32 = VXSNAN | VXISI | VXIDI | VXZDZ | VXIMZ | VXVC | VXSOFT | VXSQRT | VXCVI;
/// What FX tells of.
const EXCEPTIONS: u32 = INVALID | float::OX | float::UX | ZX | XX;
/// Bits that software writes: all but FEX, VX and the reserved one.
const WRITABLE: u32 = !(FEX | VX | 1 << 11);

impl Cpu {
    /// Floating-point instructions, and those that are none.
    pub(crate) fn floating(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let Some(row) = op.insn.row() else { return Err(ILLEGAL.into()) };
        if self.msr & msr::FP == 0 {
            return Err(FP_UNAVAILABLE.into());
        }
        match row.format {
            Format::FMemory | Format::FIndexed => return self.floating_storage(memory, op),
            Format::FCompare => {
                self.compare(op);
                return self.fp_exception();
            }
            _ => {}
        }
        let done = self.compute(op);
        if op.flags & RC != 0 {
            self.cr[1] = (self.fpscr >> 28) as u8;
        }
        done
    }

    fn floating_storage(&mut self, memory: &mut Memory, op: Op) -> Result<(), Stop> {
        let ea = match op.insn.row().map(|row| row.format) {
            Some(Format::FMemory) => self.regs[usize::from(op.a)].wrapping_add(op.imm),
            _ => self.indexed(op),
        };
        if ea % 4 != 0 {
            return Err(self.misaligned(op.word, ea).into());
        }
        let number = usize::from(op.d);
        let mut updates = false;
        match op.insn {
            Insn::Lfs | Insn::Lfsx | Insn::Lfsu | Insn::Lfsux => {
                updates = matches!(op.insn, Insn::Lfsu | Insn::Lfsux);
                let value = self.load(memory, ea, 4)? as u32;
                self.fpr[number] = single::widened(value.swap_bytes());
            }
            Insn::Lfd | Insn::Lfdx | Insn::Lfdu | Insn::Lfdux => {
                updates = matches!(op.insn, Insn::Lfdu | Insn::Lfdux);
                self.fpr[number] = self.load(memory, ea, 8)?.swap_bytes();
            }
            Insn::Stfs | Insn::Stfsx | Insn::Stfsu | Insn::Stfsux => {
                updates = matches!(op.insn, Insn::Stfsu | Insn::Stfsux);
                let value = single::narrowed(self.fpr[number]).swap_bytes();
                self.store(memory, ea, 4, value.into(), !updates)?;
            }
            Insn::Stfiwx => {
                let value = (self.fpr[number] as u32).swap_bytes();
                self.store(memory, ea, 4, value.into(), true)?;
            }
            _ => {
                updates = matches!(op.insn, Insn::Stfdu | Insn::Stfdux);
                self.store(memory, ea, 8, self.fpr[number].swap_bytes(), !updates)?;
            }
        }
        if updates {
            self.regs[usize::from(op.a)] = ea;
        }
        Ok(())
    }

    fn context(&self, single: bool) -> Context {
        Context {
            rounding: Rounding::new(self.fpscr),
            overflow: self.fpscr & OE != 0,
            underflow: self.fpscr & UE != 0,
            flush: self.fpscr & NI != 0,
            single,
            noticed: 0,
            increased: false,
            inexact: false,
        }
    }

    /// FEX and VX follow from the others.
    fn summarise(&mut self) {
        let fpscr = self.fpscr & !(FEX | VX);
        let invalid = if fpscr & INVALID != 0 { VX } else { 0 };
        // VX, OX, UX, ZX, XX lie 22 bits above their enabling bits.
        let enabled = (fpscr | invalid) >> 22 & fpscr & 0xf8 != 0;
        self.fpscr = fpscr | invalid | if enabled { FEX } else { 0 };
    }

    /// FPSCR with new exceptions.
    fn note(&mut self, noticed: u32) {
        if noticed & EXCEPTIONS & !self.fpscr != 0 {
            self.fpscr |= FX;
        }
        self.fpscr |= noticed;
        self.summarise();
    }

    fn compare(&mut self, op: Op) {
        let (a, b) = (self.fpr[usize::from(op.a)], self.fpr[usize::from(op.b)]);
        let mut context = self.context(false);
        let relation = context.compare(a, b, op.insn == Insn::Fcmpo, self.fpscr & VE != 0);
        self.fpscr = self.fpscr & !(0xf << 12) | u32::from(relation) << 12;
        self.cr[usize::from(op.d & 7)] = relation;
        self.note(context.noticed);
    }

    /// Put a result, unless an enabled exception forbids that; FPRF, FR and FI are its own.
    fn put(&mut self, op: Op, context: Context, value: u64, class: bool) {
        let stopped =
            context.noticed & INVALID != 0 && self.fpscr & VE != 0 || context.noticed & ZX != 0 && self.fpscr & ZE != 0;
        self.fpscr &= !(FR | FI);
        if !stopped {
            self.fpr[usize::from(op.d)] = value;
            if class {
                self.fpscr = self.fpscr & !FPRF | float::class(value, context.single) << 12;
            }
            self.fpscr |= if context.increased { FR } else { 0 } | if context.inexact { FI } else { 0 };
        }
        self.note(context.noticed);
    }

    fn compute(&mut self, op: Op) -> Result<(), Stop> {
        let word = op.word;
        let (a, b) = (self.fpr[usize::from(op.a & 31)], self.fpr[usize::from(op.b)]);
        let c = self.fpr[usize::from(field::c(word))];
        let mut context = self.context(word >> 26 == 59 || op.insn == Insn::Frsp);
        let value = match op.insn {
            // Moves change nothing in FPSCR.
            Insn::Fmr => return self.moved(op, b),
            Insn::Fneg => return self.moved(op, b ^ 1 << 63),
            Insn::Fabs => return self.moved(op, b & !(1 << 63)),
            Insn::Fnabs => return self.moved(op, b | 1 << 63),
            Insn::Fsel => {
                let positive = !float::is_nan(a) && (a >> 63 == 0 || a << 1 == 0);
                return self.moved(op, if positive { c } else { b });
            }
            Insn::Mffs => return self.moved(op, 0xfff8_0000_0000_0000 | u64::from(self.fpscr)),
            Insn::Mcrfs | Insn::Mtfsf | Insn::Mtfsfi | Insn::Mtfsb0 | Insn::Mtfsb1 => return self.status(op, b as u32),
            Insn::Fadd | Insn::Fadds => context.add(a, b),
            Insn::Fsub | Insn::Fsubs => context.sub(a, b),
            Insn::Fmul | Insn::Fmuls => context.mul(a, c),
            Insn::Fdiv | Insn::Fdivs => context.div(a, b),
            Insn::Fmadd | Insn::Fmadds => context.mul_add(a, c, b, false, false),
            Insn::Fmsub | Insn::Fmsubs => context.mul_add(a, c, b, true, false),
            Insn::Fnmadd | Insn::Fnmadds => context.mul_add(a, c, b, false, true),
            Insn::Fnmsub | Insn::Fnmsubs => context.mul_add(a, c, b, true, true),
            Insn::Frsp => context.round_to_single(b),
            Insn::Fres => context.reciprocal(b),
            Insn::Frsqrte => context.reciprocal_root(b),
            Insn::Fctiw | Insn::Fctiwz => {
                let rounding = if op.insn == Insn::Fctiwz { Rounding::Zero } else { context.rounding };
                let integer = context.integer(b, rounding);
                self.put(op, context, 0xfff8_0000_0000_0000 | u64::from(integer), false);
                return self.fp_exception();
            }
            _ => return Err(ILLEGAL.into()),
        };
        self.put(op, context, value, true);
        self.fp_exception()
    }

    fn moved(&mut self, op: Op, value: u64) -> Result<(), Stop> {
        self.fpr[usize::from(op.d)] = value;
        Ok(())
    }

    /// Instructions that are about FPSCR itself.
    fn status(&mut self, op: Op, b: u32) -> Result<(), Stop> {
        let word = op.word;
        match op.insn {
            Insn::Mcrfs => {
                let shift = 28 - 4 * u32::from(field::crfs(word));
                self.cr[usize::from(field::crfd(word))] = (self.fpscr >> shift & 15) as u8;
                self.fpscr &= !(15 << shift & (FX | EXCEPTIONS));
                self.summarise();
            }
            Insn::Mtfsb0 => self.set_fpscr(1 << (31 - op.d), 0),
            Insn::Mtfsb1 => {
                let bit = 1 << (31 - op.d);
                if bit & EXCEPTIONS & !self.fpscr != 0 {
                    self.fpscr |= FX;
                }
                self.set_fpscr(bit, bit);
            }
            Insn::Mtfsfi => {
                let shift = 28 - 4 * u32::from(field::crfd(word));
                self.set_fpscr(15 << shift, u32::from(field::imm(word)) << shift);
            }
            _ => {
                let mask = (0..8).filter(|n| field::fm(word) >> n & 1 != 0).fold(0, |mask, n| mask | 15 << (4 * n));
                self.set_fpscr(mask, b);
            }
        }
        self.fp_exception()
    }

    fn set_fpscr(&mut self, mask: u32, value: u32) {
        let mask = mask & WRITABLE;
        self.fpscr = self.fpscr & !mask | value & mask;
        self.summarise();
    }

    /// FPSCR as a whole, from outside.
    pub(crate) fn restore_fpscr(&mut self, value: u32) {
        self.set_fpscr(u32::MAX, value);
    }
}
