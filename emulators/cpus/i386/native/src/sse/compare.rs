//! Comparisons of SSE and SSE2. Intel SDM volume 1, §5.5.1.3, §5.6.1.4.

use guest_memory::Memory;

use super::float::{Compares, Order};
use crate::access::Word;
use crate::flags::{AF, CF, OF, PF, SF, ZF};
use crate::op::{Done, Op};
use crate::state::Cpu;

/// CMPPS, CMPPD: xmm, xmm/m128, imm8. Of the immediate's bits, three are the condition.
pub(crate) fn whole<O: Compares, const MEMORY: bool>(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    let source = cpu.xmm_operand::<MEMORY>(memory, op)?;
    let result = O::compare(op.imm as u8 & 7, cpu.xmm(op.reg), source, &mut cpu.sse.mxcsr);
    let result = cpu.computed(result)?;
    cpu.set_xmm(op.reg, result);
    Ok(())
}

/// CMPSS, CMPSD: xmm, xmm/m32 or m64, imm8.
pub(crate) fn part<O: Compares, T: Word + Into<u128>, const MEMORY: bool>(
    cpu: &mut Cpu,
    memory: &mut Memory,
    op: &Op,
) -> Done {
    cpu.sse_ready()?;
    let source = cpu.xmm_part::<T, MEMORY>(memory, op)?;
    let result = O::compare(op.imm as u8 & 7, cpu.xmm(op.reg), source, &mut cpu.sse.mxcsr);
    let result = cpu.computed(result)?;
    cpu.set_xmm(op.reg, result);
    Ok(())
}

/// How two scalars are ordered: a function of `float`.
pub trait Orders {
    fn order(a: u128, b: u128, mxcsr: &mut u32) -> Option<Order>;
}

macro_rules! orders {
    ($($name:ident $function:ident;)*) => {$(
        pub struct $name;
        impl Orders for $name {
            #[inline(always)]
            fn order(a: u128, b: u128, mxcsr: &mut u32) -> Option<Order> {
                super::float::$function(a, b, mxcsr)
            }
        }
    )*};
}

orders! {
    ComiSs comiss;
    UcomiSs ucomiss;
    ComiSd comisd;
    UcomiSd ucomisd;
}

/// COMISS and so on: ZF, PF, CF tell; OF, SF, AF become 0.
pub(crate) fn order<O: Orders, T: Word + Into<u128>, const MEMORY: bool>(
    cpu: &mut Cpu,
    memory: &mut Memory,
    op: &Op,
) -> Done {
    cpu.sse_ready()?;
    let source = cpu.xmm_part::<T, MEMORY>(memory, op)?;
    let result = O::order(cpu.xmm(op.reg), source, &mut cpu.sse.mxcsr);
    let (zero, parity, carry) = cpu.computed(result)?;
    let told = if zero { ZF } else { 0 } | if parity { PF } else { 0 } | if carry { CF } else { 0 };
    cpu.set_eflags(cpu.eflags() & !(OF | SF | ZF | AF | PF | CF) | told);
    Ok(())
}
