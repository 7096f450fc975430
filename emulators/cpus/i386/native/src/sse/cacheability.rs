//! Hints, fences and stores past the caches. Intel SDM volume 1, §5.5.3, §5.6.4. There are no caches here and one
//! processor: a hint does nothing, and every access is in order.

use guest_memory::Memory;

use crate::op::{ADDRESS16, Done, Op};
use crate::paging::Access;
use crate::state::{Cpu, EDI};

/// PREFETCHh, SFENCE, LFENCE, MFENCE. They raise no exception, whatever their operand is.
pub(crate) fn nothing(_: &mut Cpu, _: &mut Memory, _: &Op) -> Done {
    Ok(())
}

/// CLFLUSH: the octet must be readable.
pub(crate) fn clflush(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.memory_operand::<u8>(memory, op).map(|_| ())
}

/// MOVNTI: m32, r32.
pub(crate) fn movnti(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    let value = cpu.regs[usize::from(op.reg & 7)];
    cpu.store_operand(memory, op, value)
}

/// MOVNTQ: m64, mm.
pub(crate) fn movntq(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.mmx_ready()?;
    let value = cpu.fpu.mm(op.reg);
    cpu.store_operand(memory, op, value)?;
    cpu.fpu.enter_mmx();
    Ok(())
}

/// The octets of `value` whose octet in `mask` has its highest bit set, to DS:EDI or another segment. Octets that are
/// not chosen are not touched; all that are, are looked at before one is written.
fn masked(cpu: &mut Cpu, memory: &mut Memory, op: &Op, value: u128, mask: u128, octets: u32) -> Done {
    let limit = if op.is(ADDRESS16) { 0xffff } else { u32::MAX };
    let first = cpu.regs[EDI];
    let places = (0..octets).filter(|at| mask >> (8 * at + 7) & 1 != 0).map(|at| (at, first.wrapping_add(at) & limit));
    for (_, offset) in places.clone() {
        let linear = cpu.check_segment(op.seg, offset, 1, true)?;
        cpu.walk(memory, linear, Access::Write, cpu.cpl == 3)?;
    }
    for (at, offset) in places {
        cpu.store::<u8>(memory, op.seg, offset, (value >> (8 * at)) as u8)?;
    }
    Ok(())
}

/// MASKMOVDQU: xmm, xmm.
pub(crate) fn maskmovdqu(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.sse_ready()?;
    masked(cpu, memory, op, cpu.xmm(op.reg), cpu.xmm(op.rm), 16)
}

/// MASKMOVQ: mm, mm.
pub(crate) fn maskmovq(cpu: &mut Cpu, memory: &mut Memory, op: &Op) -> Done {
    cpu.mmx_ready()?;
    masked(cpu, memory, op, cpu.fpu.mm(op.reg).into(), cpu.fpu.mm(op.rm).into(), 8)?;
    cpu.fpu.enter_mmx();
    Ok(())
}
