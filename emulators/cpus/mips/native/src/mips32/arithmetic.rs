//! Coprocessor 1's arithmetic: MD00086 and its chapter 5. Numbers are `crate::float`'s.
//!
//! MADD and its kin round twice, as before release 6. ABS and NEG change the sign and nothing else.
//! What FCSR enables is raised before anything is written but FCSR.Cause. Denormal numbers are computed with; nothing
//! raises *unimplemented operation*.

use super::Cpu;
use super::access::Stop;
use super::exception::{FPE, RI};
use super::fpu::FCSR_CAUSE;
use crate::float::{Context, DOUBLE, Format, INVALID, Rounding, SINGLE};
use crate::table::{Insn, field};

/// FCSR.FS: tiny results become 0.
const FCSR_FS: u32 = 1 << 24;

impl Cpu {
    fn context(&self) -> Context {
        let fcsr = self.fpu.fcsr;
        Context { rounding: Rounding::new(fcsr), flush: fcsr & FCSR_FS != 0, flags: 0 }
    }

    /// Note what an operation flagged, or raise it.
    fn flagged(&mut self, context: &Context) -> Result<(), Stop> {
        let flags = context.flags;
        let fcsr = self.fpu.fcsr & !FCSR_CAUSE | flags << 12;
        if fcsr >> 7 & flags != 0 {
            self.fpu.fcsr = fcsr;
            return Err(FPE.into());
        }
        self.fpu.fcsr = fcsr | flags << 2;
        Ok(())
    }

    fn operand(&self, format: Format, number: u8) -> Result<u64, Stop> {
        if format == SINGLE { Ok(self.single(number).into()) } else { self.double(number) }
    }

    fn result(&mut self, format: Format, number: u8, value: u64, context: &Context) -> Result<(), Stop> {
        if format == DOUBLE {
            self.double(number)?; // is there such a register?
        }
        self.flagged(context)?;
        if format == SINGLE {
            self.set_single(number, value as u32);
            Ok(())
        } else {
            self.set_double(number, value)
        }
    }

    /// The instructions that compute.
    pub(crate) fn arithmetic(&mut self, insn: Insn, word: u32) -> Result<(), Stop> {
        use Insn::*;
        let nearest = Rounding::Nearest;
        let dynamic = Rounding::new(self.fpu.fcsr);
        match insn {
            AddS => self.binary(SINGLE, word, Format::add),
            AddD => self.binary(DOUBLE, word, Format::add),
            SubS => self.binary(SINGLE, word, Format::sub),
            SubD => self.binary(DOUBLE, word, Format::sub),
            MulS => self.binary(SINGLE, word, Format::mul),
            MulD => self.binary(DOUBLE, word, Format::mul),
            DivS => self.binary(SINGLE, word, Format::div),
            DivD => self.binary(DOUBLE, word, Format::div),
            SqrtS => self.unary(SINGLE, word, Format::sqrt),
            SqrtD => self.unary(DOUBLE, word, Format::sqrt),
            RecipS => self.unary(SINGLE, word, reciprocal),
            RecipD => self.unary(DOUBLE, word, reciprocal),
            RsqrtS => self.unary(SINGLE, word, reciprocal_root),
            RsqrtD => self.unary(DOUBLE, word, reciprocal_root),
            AbsS => self.sign(SINGLE, word, |bits, sign| bits & !sign),
            AbsD => self.sign(DOUBLE, word, |bits, sign| bits & !sign),
            NegS => self.sign(SINGLE, word, |bits, sign| bits ^ sign),
            NegD => self.sign(DOUBLE, word, |bits, sign| bits ^ sign),
            MaddS => self.multiply_add(SINGLE, word, Format::add, false),
            MaddD => self.multiply_add(DOUBLE, word, Format::add, false),
            MsubS => self.multiply_add(SINGLE, word, Format::sub, false),
            MsubD => self.multiply_add(DOUBLE, word, Format::sub, false),
            NmaddS => self.multiply_add(SINGLE, word, Format::add, true),
            NmaddD => self.multiply_add(DOUBLE, word, Format::add, true),
            NmsubS => self.multiply_add(SINGLE, word, Format::sub, true),
            NmsubD => self.multiply_add(DOUBLE, word, Format::sub, true),
            CvtDS => self.convert(SINGLE, DOUBLE, word),
            CvtSD => self.convert(DOUBLE, SINGLE, word),
            CvtSW => self.of_integer(32, SINGLE, word),
            CvtDW => self.of_integer(32, DOUBLE, word),
            CvtSL => self.of_integer(64, SINGLE, word),
            CvtDL => self.of_integer(64, DOUBLE, word),
            CvtWS => self.integer(SINGLE, 32, dynamic, word),
            CvtWD => self.integer(DOUBLE, 32, dynamic, word),
            CvtLS => self.integer(SINGLE, 64, dynamic, word),
            CvtLD => self.integer(DOUBLE, 64, dynamic, word),
            RoundWS => self.integer(SINGLE, 32, nearest, word),
            RoundWD => self.integer(DOUBLE, 32, nearest, word),
            RoundLS => self.integer(SINGLE, 64, nearest, word),
            RoundLD => self.integer(DOUBLE, 64, nearest, word),
            TruncWS => self.integer(SINGLE, 32, Rounding::Zero, word),
            TruncWD => self.integer(DOUBLE, 32, Rounding::Zero, word),
            TruncLS => self.integer(SINGLE, 64, Rounding::Zero, word),
            TruncLD => self.integer(DOUBLE, 64, Rounding::Zero, word),
            CeilWS => self.integer(SINGLE, 32, Rounding::Up, word),
            CeilWD => self.integer(DOUBLE, 32, Rounding::Up, word),
            CeilLS => self.integer(SINGLE, 64, Rounding::Up, word),
            CeilLD => self.integer(DOUBLE, 64, Rounding::Up, word),
            FloorWS => self.integer(SINGLE, 32, Rounding::Down, word),
            FloorWD => self.integer(DOUBLE, 32, Rounding::Down, word),
            FloorLS => self.integer(SINGLE, 64, Rounding::Down, word),
            FloorLD => self.integer(DOUBLE, 64, Rounding::Down, word),
            CS => self.compare(SINGLE, word),
            CD => self.compare(DOUBLE, word),
            _ => Err(RI.into()),
        }
    }

    fn unary(
        &mut self,
        format: Format,
        word: u32,
        operation: fn(Format, u64, &mut Context) -> u64,
    ) -> Result<(), Stop> {
        let a = self.operand(format, field::rd(word))?;
        let mut context = self.context();
        let value = operation(format, a, &mut context);
        self.result(format, field::sa(word), value, &context)
    }

    fn binary(
        &mut self,
        format: Format,
        word: u32,
        operation: fn(Format, u64, u64, &mut Context) -> u64,
    ) -> Result<(), Stop> {
        let (a, b) = (self.operand(format, field::rd(word))?, self.operand(format, field::rt(word))?);
        let mut context = self.context();
        let value = operation(format, a, b, &mut context);
        self.result(format, field::sa(word), value, &context)
    }

    fn sign(&mut self, format: Format, word: u32, change: fn(u64, u64) -> u64) -> Result<(), Stop> {
        let a = self.operand(format, field::rd(word))?;
        if format == SINGLE {
            self.set_single(field::sa(word), change(a, 1 << 31) as u32);
            Ok(())
        } else {
            self.set_double(field::sa(word), change(a, 1 << 63))
        }
    }

    fn multiply_add(
        &mut self,
        format: Format,
        word: u32,
        last: fn(Format, u64, u64, &mut Context) -> u64,
        negated: bool,
    ) -> Result<(), Stop> {
        let (a, b) = (self.operand(format, field::rd(word))?, self.operand(format, field::rt(word))?);
        let c = self.operand(format, field::rs(word))?;
        let mut context = self.context();
        let product = format.mul(a, b, &mut context);
        let mut value = last(format, product, c, &mut context);
        if negated {
            value ^= if format == SINGLE { 1 << 31 } else { 1 << 63 };
        }
        self.result(format, field::sa(word), value, &context)
    }

    fn convert(&mut self, from: Format, to: Format, word: u32) -> Result<(), Stop> {
        let a = self.operand(from, field::rd(word))?;
        let mut context = self.context();
        let value = from.convert(a, to, &mut context);
        self.result(to, field::sa(word), value, &context)
    }

    fn of_integer(&mut self, bits: u32, to: Format, word: u32) -> Result<(), Stop> {
        let value = if bits == 32 {
            i64::from(self.single(field::rd(word)) as i32)
        } else {
            self.need_fr()?;
            self.double(field::rd(word))? as i64
        };
        let mut context = self.context();
        let value = to.of_integer(value, &mut context);
        self.result(to, field::sa(word), value, &context)
    }

    fn integer(&mut self, from: Format, bits: u32, rounding: Rounding, word: u32) -> Result<(), Stop> {
        if bits == 64 {
            self.need_fr()?;
        }
        let a = self.operand(from, field::rd(word))?;
        let mut context = self.context();
        let value = from.to_integer(a, bits, rounding, &mut context);
        self.result(if bits == 32 { SINGLE } else { DOUBLE }, field::sa(word), value, &context)
    }

    /// C.cond: unordered, equal, less are its low bits; the fourth makes every NaN invalid.
    fn compare(&mut self, format: Format, word: u32) -> Result<(), Stop> {
        let (a, b) = (self.operand(format, field::rd(word))?, self.operand(format, field::rt(word))?);
        let (less, equal, unordered) = format.compare(a, b);
        let mut context = self.context();
        if unordered && (word & 8 != 0 || format.is_signalling(a) || format.is_signalling(b)) {
            context.flags = INVALID;
        }
        self.flagged(&context)?;
        let holds = word & 4 != 0 && less || word & 2 != 0 && equal || word & 1 != 0 && unordered;
        self.fpu.set_condition(field::cc_set(word), holds);
        Ok(())
    }
}

fn reciprocal(format: Format, a: u64, context: &mut Context) -> u64 {
    let one = format.of_integer(1, context);
    format.div(one, a, context)
}

fn reciprocal_root(format: Format, a: u64, context: &mut Context) -> u64 {
    let root = format.sqrt(a, context);
    reciprocal(format, root, context)
}
