//! Rows of the x87 unit: SDM 1, 5.2; opcodes: SDM 2, appendix A.5. Octets that the manual leaves out, and processors
//! execute (D0…D3 of DC, DE, DF and so on), are named as what they do.

use super::Operand::*;
use super::{Operand, Row, Run};
use crate::model::{CMOV, FPU, FXSR};
use crate::op::Handler;
use crate::x87::*;

/// With an operand in memory.
fn memory(name: &'static str, opcode: u8, group: u8, operand: &'static [Operand], handler: Handler) -> Row {
    Row::one(name, opcode, operand, Run::all(handler)).group(group).memory().needs(FPU)
}

/// With ST(i).
fn register(name: &'static str, opcode: u8, first: u8, operands: &'static [Operand], handler: Handler) -> Row {
    Row::one(name, opcode, operands, Run::all(handler)).group(first >> 3 & 7).register().needs(FPU)
}

/// Of one ModRM octet.
fn single(name: &'static str, opcode: u8, octet: u8, operands: &'static [Operand], handler: Handler) -> Row {
    Row::one(name, opcode, operands, Run::all(handler)).modrm(octet).needs(FPU)
}

/// FADD and its like in all forms.
fn arithmetic(rows: &mut Vec<Row>) {
    macro_rules! forms {
        ($($name:literal $pop:literal $integer:literal, $kind:literal, $reversed:literal;)*) => {$(
            rows.extend([
                memory($name, 0xd8, $kind, &[M32], arithmetic_m32::<$kind>),
                memory($name, 0xdc, $kind, &[M64], arithmetic_m64::<$kind>),
                memory($integer, 0xda, $kind, &[M32], arithmetic_m32i::<$kind>),
                memory($integer, 0xde, $kind, &[M16], arithmetic_m16i::<$kind>),
                register($name, 0xd8, 0xc0 | $kind << 3, &[St, Sti], arithmetic_st0::<$kind>),
                // Where ST(i) is the destination, "reversed" is the other way round.
                register($name, 0xdc, 0xc0 | $reversed << 3, &[Sti, St], arithmetic_sti::<$reversed>),
                register($pop, 0xde, 0xc0 | $reversed << 3, &[Sti, St], arithmetic_pop::<$reversed>),
            ]);
        )*};
    }
    forms! {
        "fadd" "faddp" "fiadd", 0, 0; "fmul" "fmulp" "fimul", 1, 1; "fsub" "fsubp" "fisub", 4, 5;
        "fsubr" "fsubrp" "fisubr", 5, 4; "fdiv" "fdivp" "fidiv", 6, 7; "fdivr" "fdivrp" "fidivr", 7, 6;
    }
    rows.extend([
        single("fchs", 0xd9, 0xe0, &[], fchs),
        single("fabs", 0xd9, 0xe1, &[], fabs),
        single("fxtract", 0xd9, 0xf4, &[], fxtract),
        single("fprem1", 0xd9, 0xf5, &[], fprem::<true>),
        single("fprem", 0xd9, 0xf8, &[], fprem::<false>),
        single("fsqrt", 0xd9, 0xfa, &[], fsqrt),
        single("frndint", 0xd9, 0xfc, &[], frndint),
        single("fscale", 0xd9, 0xfd, &[], fscale),
    ]);
}

fn transcendental(rows: &mut Vec<Row>) {
    rows.extend([
        single("f2xm1", 0xd9, 0xf0, &[], f2xm1),
        single("fyl2x", 0xd9, 0xf1, &[], fyl2x),
        single("fptan", 0xd9, 0xf2, &[], fptan),
        single("fpatan", 0xd9, 0xf3, &[], fpatan),
        single("fyl2xp1", 0xd9, 0xf9, &[], fyl2xp1),
        single("fsincos", 0xd9, 0xfb, &[], fsincos),
        single("fsin", 0xd9, 0xfe, &[], fsin),
        single("fcos", 0xd9, 0xff, &[], fcos),
    ]);
}

fn transfer(rows: &mut Vec<Row>) {
    rows.extend([
        memory("fld", 0xd9, 0, &[M32], fld_m32),
        memory("fst", 0xd9, 2, &[M32], fst_m32::<false>),
        memory("fstp", 0xd9, 3, &[M32], fst_m32::<true>),
        memory("fild", 0xdb, 0, &[M32], fild_m32),
        memory("fist", 0xdb, 2, &[M32], fist_m32::<false>),
        memory("fistp", 0xdb, 3, &[M32], fist_m32::<true>),
        memory("fld", 0xdb, 5, &[M80], fld_m80),
        memory("fstp", 0xdb, 7, &[M80], fstp_m80),
        memory("fld", 0xdd, 0, &[M64], fld_m64),
        memory("fst", 0xdd, 2, &[M64], fst_m64::<false>),
        memory("fstp", 0xdd, 3, &[M64], fst_m64::<true>),
        memory("fild", 0xdf, 0, &[M16], fild_m16),
        memory("fist", 0xdf, 2, &[M16], fist_m16::<false>),
        memory("fistp", 0xdf, 3, &[M16], fist_m16::<true>),
        memory("fbld", 0xdf, 4, &[M80], fbld),
        memory("fild", 0xdf, 5, &[M64], fild_m64),
        memory("fbstp", 0xdf, 6, &[M80], fbstp),
        memory("fistp", 0xdf, 7, &[M64], fist_m64::<true>),
        register("fld", 0xd9, 0xc0, &[Sti], fld_sti),
        register("fxch", 0xd9, 0xc8, &[Sti], fxch),
        register("fxch", 0xdd, 0xc8, &[Sti], fxch),
        register("fxch", 0xdf, 0xc8, &[Sti], fxch),
        register("fstp1", 0xd9, 0xd8, &[Sti], fstp1),
        register("fst", 0xdd, 0xd0, &[Sti], fst_sti::<false>),
        register("fstp", 0xdd, 0xd8, &[Sti], fst_sti::<true>),
        register("fstp", 0xdf, 0xd0, &[Sti], fst_sti::<true>),
        register("fstp", 0xdf, 0xd8, &[Sti], fst_sti::<true>),
        register("fcmovb", 0xda, 0xc0, &[St, Sti], fcmov::<0>).needs(FPU | CMOV),
        register("fcmove", 0xda, 0xc8, &[St, Sti], fcmov::<1>).needs(FPU | CMOV),
        register("fcmovbe", 0xda, 0xd0, &[St, Sti], fcmov::<2>).needs(FPU | CMOV),
        register("fcmovu", 0xda, 0xd8, &[St, Sti], fcmov::<3>).needs(FPU | CMOV),
        register("fcmovnb", 0xdb, 0xc0, &[St, Sti], fcmov::<4>).needs(FPU | CMOV),
        register("fcmovne", 0xdb, 0xc8, &[St, Sti], fcmov::<5>).needs(FPU | CMOV),
        register("fcmovnbe", 0xdb, 0xd0, &[St, Sti], fcmov::<6>).needs(FPU | CMOV),
        register("fcmovnu", 0xdb, 0xd8, &[St, Sti], fcmov::<7>).needs(FPU | CMOV),
        single("fld1", 0xd9, 0xe8, &[], fld_constant::<0>),
        single("fldl2t", 0xd9, 0xe9, &[], fld_constant::<1>),
        single("fldl2e", 0xd9, 0xea, &[], fld_constant::<2>),
        single("fldpi", 0xd9, 0xeb, &[], fld_constant::<3>),
        single("fldlg2", 0xd9, 0xec, &[], fld_constant::<4>),
        single("fldln2", 0xd9, 0xed, &[], fld_constant::<5>),
        single("fldz", 0xd9, 0xee, &[], fld_constant::<6>),
    ]);
}

fn compare(rows: &mut Vec<Row>) {
    rows.extend([
        memory("fcom", 0xd8, 2, &[M32], fcom_m32::<0>),
        memory("fcomp", 0xd8, 3, &[M32], fcom_m32::<1>),
        memory("fcom", 0xdc, 2, &[M64], fcom_m64::<0>),
        memory("fcomp", 0xdc, 3, &[M64], fcom_m64::<1>),
        memory("ficom", 0xda, 2, &[M32], ficom_m32::<0>),
        memory("ficomp", 0xda, 3, &[M32], ficom_m32::<1>),
        memory("ficom", 0xde, 2, &[M16], ficom_m16::<0>),
        memory("ficomp", 0xde, 3, &[M16], ficom_m16::<1>),
        register("fcom", 0xd8, 0xd0, &[Sti], fcom::<false, 0>),
        register("fcomp", 0xd8, 0xd8, &[Sti], fcom::<false, 1>),
        register("fcom", 0xdc, 0xd0, &[Sti], fcom::<false, 0>),
        register("fcomp", 0xdc, 0xd8, &[Sti], fcom::<false, 1>),
        register("fcomp", 0xde, 0xd0, &[Sti], fcom::<false, 1>),
        single("fcompp", 0xde, 0xd9, &[], fcom::<false, 2>),
        register("fucom", 0xdd, 0xe0, &[Sti], fcom::<true, 0>),
        register("fucomp", 0xdd, 0xe8, &[Sti], fcom::<true, 1>),
        single("fucompp", 0xda, 0xe9, &[], fcom::<true, 2>),
        register("fucomi", 0xdb, 0xe8, &[St, Sti], fcomi::<true, 0>).needs(FPU | CMOV),
        register("fcomi", 0xdb, 0xf0, &[St, Sti], fcomi::<false, 0>).needs(FPU | CMOV),
        register("fucomip", 0xdf, 0xe8, &[St, Sti], fcomi::<true, 1>).needs(FPU | CMOV),
        register("fcomip", 0xdf, 0xf0, &[St, Sti], fcomi::<false, 1>).needs(FPU | CMOV),
        single("ftst", 0xd9, 0xe4, &[], ftst),
        single("fxam", 0xd9, 0xe5, &[], fxam),
    ]);
}

fn control(rows: &mut Vec<Row>) {
    rows.extend([
        Row::one("fwait", 0x9b, &[], Run::all(fwait)).needs(FPU),
        memory("fldenv", 0xd9, 4, &[M], fldenv),
        memory("fldcw", 0xd9, 5, &[M16], fldcw),
        memory("fnstenv", 0xd9, 6, &[M], fnstenv),
        memory("fnstcw", 0xd9, 7, &[M16], fnstcw),
        memory("frstor", 0xdd, 4, &[M], frstor),
        memory("fnsave", 0xdd, 6, &[M], fnsave),
        memory("fnstsw", 0xdd, 7, &[M16], fnstsw),
        single("fnstsw", 0xdf, 0xe0, &[Ax], fnstsw_ax),
        single("fnop", 0xd9, 0xd0, &[], fnop),
        single("fdecstp", 0xd9, 0xf6, &[], turn::<7>),
        single("fincstp", 0xd9, 0xf7, &[], turn::<1>),
        single("fneni", 0xdb, 0xe0, &[], fn_nothing),
        single("fndisi", 0xdb, 0xe1, &[], fn_nothing),
        single("fnclex", 0xdb, 0xe2, &[], fnclex),
        single("fninit", 0xdb, 0xe3, &[], fninit),
        single("fnsetpm", 0xdb, 0xe4, &[], fn_nothing),
        register("ffree", 0xdd, 0xc0, &[Sti], ffree::<false>),
        register("ffreep", 0xdf, 0xc0, &[Sti], ffree::<true>),
        Row::two("fxsave", 0xae, &[M], Run::all(fxsave)).group(0).memory().needs(FXSR),
        Row::two("fxrstor", 0xae, &[M], Run::all(fxrstor)).group(1).memory().needs(FXSR),
    ]);
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    arithmetic(&mut rows);
    transcendental(&mut rows);
    transfer(&mut rows);
    compare(&mut rows);
    control(&mut rows);
    rows
}
