//! FLD, FST, FILD, FIST, FBLD, FBSTP, FXCH, FCMOVcc and the constants: SDM vol. 1 §8.3.3 and §8.3.4.

use super::state::Fpu;
use crate::access::Ten;
use crate::exit::Stop;
use crate::op::Op;
use crate::state::Cpu;
use guest_memory::Memory;
use soft_float::{BCD_INDEFINITE, Context, F80, INVALID, OVERFLOW, Rounding, UNDERFLOW};

pub(crate) fn fld_m32(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let bits = cpu.x87_load::<u32>(memory, op)?;
    cpu.fpu.load(|context| F80::of_single(bits, context));
    Ok(())
}

pub(crate) fn fld_m64(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let bits = cpu.x87_load::<u64>(memory, op)?;
    cpu.fpu.load(|context| F80::of_double(bits, context));
    Ok(())
}

pub(crate) fn fld_m80(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let Ten::<8>(bits) = cpu.x87_load(memory, op)?;
    cpu.fpu.push_checked(F80::from_bits(bits));
    Ok(())
}

pub(crate) fn fild_m16(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let value = cpu.x87_load::<u16>(memory, op)? as i16;
    cpu.fpu.push_checked(F80::of_integer(value.into()));
    Ok(())
}

pub(crate) fn fild_m32(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let value = cpu.x87_load::<u32>(memory, op)? as i32;
    cpu.fpu.push_checked(F80::of_integer(value.into()));
    Ok(())
}

pub(crate) fn fild_m64(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let value = cpu.x87_load::<u64>(memory, op)? as i64;
    cpu.fpu.push_checked(F80::of_integer(value));
    Ok(())
}

pub(crate) fn fbld(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    let Ten::<8>(bits) = cpu.x87_load(memory, op)?;
    cpu.fpu.push_checked(F80::of_decimal(bits));
    Ok(())
}

/// FLD ST(i).
pub(crate) fn fld_sti(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    let fpu = &mut cpu.fpu;
    if fpu.is_empty(op.rm) {
        if fpu.underflow() {
            fpu.push(F80::INDEFINITE);
        }
    } else {
        fpu.push_checked(fpu.st(op.rm));
    }
    Ok(())
}

impl Fpu {
    /// Push a number whose conversion may notice something.
    #[inline]
    fn load(&mut self, convert: impl Fn(&mut Context) -> F80) {
        if !self.is_empty(7) {
            self.overflow();
            return;
        }
        let mut context = self.context();
        let value = convert(&mut context);
        self.note(&context);
        // An unmasked denormal does not stop a load (found on processors).
        if context.flags & context.unmasked & INVALID == 0 {
            self.push(value);
        }
    }

    /// ST(0) for memory, without any change but to what is returned: the bits to store, if any, and what was noticed.
    #[inline]
    fn converted<T>(&self, empty: T, convert: impl Fn(F80, &mut Context) -> T) -> (Option<T>, Option<Context>) {
        let mut context = self.context();
        if self.is_empty(0) {
            return ((context.unmasked & INVALID == 0).then_some(empty), None);
        }
        let bits = convert(self.st(0), &mut context);
        let stopped = context.stopped() || context.flags & context.unmasked & (OVERFLOW | UNDERFLOW) != 0;
        ((!stopped).then_some(bits), Some(context))
    }

    /// Behind the store.
    #[inline]
    fn stored(&mut self, done: bool, context: Option<Context>, pop: bool) {
        match context {
            Some(context) => {
                self.note(&context);
            }
            None => {
                self.underflow();
            }
        }
        if done && pop {
            self.pop();
        }
    }
}

/// A store of `$type`, made by `$convert` from ST(0), or `$empty` if that is empty.
macro_rules! stores {
    ($($name:ident: $type:ty, $empty:expr, $convert:expr;)*) => {$(
        pub(crate) fn $name<const POP: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
            cpu.x87_ready()?;
            let (bits, context) = cpu.fpu.converted($empty, $convert);
            let offset = cpu.ea(op);
            match bits {
                Some(bits) => cpu.store::<$type>(memory, op.seg, offset, bits)?,
                None => cpu.probe::<$type>(memory, op.seg, offset)?,
            }
            cpu.x87_pointers(op, offset);
            cpu.fpu.stored(bits.is_some(), context, POP);
            Ok(())
        }
    )*};
}

stores! {
    fst_m32: u32, 0xffc0_0000, F80::to_single;
    fst_m64: u64, 0xfff8_0000_0000_0000, F80::to_double;
    fist_m16: u16, 0x8000, |value, context| value.to_integer(16, context) as u16;
    fist_m32: u32, 0x8000_0000, |value, context| value.to_integer(32, context) as u32;
    fist_m64: u64, 0x8000_0000_0000_0000, |value, context| value.to_integer(64, context) as u64;
}

/// FSTP m80: never a conversion.
pub(crate) fn fstp_m80(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    store_80(cpu, memory, op, F80::INDEFINITE.to_bits(), |value, _| value.to_bits())
}

pub(crate) fn fbstp(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Result<(), Stop> {
    store_80(cpu, memory, op, BCD_INDEFINITE, F80::to_decimal)
}

fn store_80(
    cpu: &mut Cpu,
    memory: &mut Memory,
    op: &Op,
    empty: u128,
    convert: fn(F80, &mut Context) -> u128,
) -> Result<(), Stop> {
    cpu.x87_ready()?;
    let (bits, context) = cpu.fpu.converted(empty, convert);
    let offset = cpu.ea(op);
    match bits {
        Some(bits) => cpu.store(memory, op.seg, offset, Ten::<8>(bits))?,
        None => cpu.probe::<Ten>(memory, op.seg, offset)?,
    }
    cpu.x87_pointers(op, offset);
    cpu.fpu.stored(bits.is_some(), context, true);
    Ok(())
}

/// FSTP1 (D9 D8 + i, not in the manual): FSTP ST(i) that minds no empty register, and stores none.
pub(crate) fn fstp1(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    let fpu = &mut cpu.fpu;
    fpu.clear_c1();
    if !fpu.is_empty(0) {
        fpu.set_st(op.rm, fpu.st(0));
    }
    fpu.pop();
    Ok(())
}

/// FST ST(i), FSTP ST(i).
pub(crate) fn fst_sti<const POP: bool>(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    let fpu = &mut cpu.fpu;
    if fpu.is_empty(0) {
        if fpu.underflow_in(op.rm) && POP {
            fpu.pop();
        }
        return Ok(());
    }
    fpu.clear_c1();
    fpu.set_st(op.rm, fpu.st(0));
    if POP {
        fpu.pop();
    }
    Ok(())
}

pub(crate) fn fxch(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    let fpu = &mut cpu.fpu;
    let value = |number| if fpu.is_empty(number) { F80::INDEFINITE } else { fpu.st(number) };
    let (first, second) = (value(0), value(op.rm));
    if (fpu.is_empty(0) || fpu.is_empty(op.rm)) && !fpu.underflow() {
        return Ok(());
    }
    fpu.clear_c1();
    fpu.set_st(0, second);
    fpu.set_st(op.rm, first);
    Ok(())
}

/// FCMOVcc: 0 B, 1 E, 2 BE, 3 U; 4 and up: not.
pub(crate) fn fcmov<const CONDITION: u8>(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    let holds = match CONDITION & 3 {
        0 => cpu.arithmetic.cf(),
        1 => cpu.arithmetic.zf(),
        2 => cpu.arithmetic.cf() || cpu.arithmetic.zf(),
        _ => cpu.arithmetic.pf(),
    } == (CONDITION < 4);
    let fpu = &mut cpu.fpu;
    if fpu.is_empty(0) || fpu.is_empty(op.rm) {
        fpu.underflow_in(0);
        return Ok(());
    }
    if holds {
        fpu.set_st(0, fpu.st(op.rm));
    }
    Ok(())
}

/// The constants in the order of D9 E8…EE: exponent, significand cut, and whether the nearest is the next.
const CONSTANTS: [(u16, u64, bool, bool); 7] = [
    (0x3fff, 1 << 63, false, true),                // 1
    (0x4000, 0xd49a_784b_cd1b_8afe, false, false), // log₂ 10
    (0x3fff, 0xb8aa_3b29_5c17_f0bb, true, false),  // log₂ e
    (0x4000, 0xc90f_daa2_2168_c234, true, false),  // π
    (0x3ffd, 0x9a20_9a84_fbcf_f798, true, false),  // log₁₀ 2
    (0x3ffe, 0xb172_17f7_d1cf_79ab, true, false),  // ln 2
    (0x0000, 0, false, true),                      // 0
];

/// FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ.
pub(crate) fn fld_constant<const NUMBER: usize>(cpu: &mut Cpu, _: &mut Memory, op: &Op) -> Result<(), Stop> {
    cpu.x87(op)?;
    let (sign_exponent, cut, nearest_is_next, exact) = CONSTANTS[NUMBER];
    let next = match cpu.fpu.context().rounding {
        Rounding::Nearest => nearest_is_next,
        Rounding::Up => !exact,
        Rounding::Down | Rounding::Zero => false,
    };
    cpu.fpu.push_checked(F80 { sign_exponent, significand: cut + u64::from(next) });
    Ok(())
}
