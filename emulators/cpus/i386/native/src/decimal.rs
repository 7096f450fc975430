//! Decimal arithmetic: SDM 1, 5.1.3; SDM 2 under each name. Flags that the manual leaves undefined are as on the 80286.

use crate::flags::{AF, ARITHMETIC, CF, PF, SF, ZF};
use crate::op::{Done, Op};
use crate::state::{Cpu, EAX};
use guest_memory::Memory;

const AL: u8 = 0;
const AH: u8 = 4;

/// SF, ZF and PF of an octet, with `flags` beside them.
fn set_flags(cpu: &mut Cpu, octet: u8, flags: u32) {
    let parity = if octet.count_ones() % 2 == 0 { PF } else { 0 };
    let zero = if octet == 0 { ZF } else { 0 };
    let sign = if octet & 0x80 != 0 { SF } else { 0 };
    cpu.arithmetic.set(flags & ARITHMETIC | parity | zero | sign);
}

/// DAA, DAS.
pub(crate) fn adjust_packed<const SUB: bool>(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    let before = cpu.r8(AL);
    let (carry, half) = (cpu.arithmetic.cf(), cpu.arithmetic.af());
    let (mut al, mut flags) = (before, 0);
    let by = |al: u8, octet: u8| if SUB { al.wrapping_sub(octet) } else { al.wrapping_add(octet) };
    if before & 0xf > 9 || half {
        if carry || SUB && before < 6 {
            flags |= CF;
        }
        al = by(al, 6);
        flags |= AF;
    }
    if before > 0x99 || carry {
        al = by(al, 0x60);
        flags |= CF;
    } else if !SUB {
        flags &= !CF;
    }
    cpu.set_r8(AL, al);
    set_flags(cpu, al, flags);
    Ok(())
}

/// AAA, AAS.
pub(crate) fn adjust_unpacked<const SUB: bool>(cpu: &mut Cpu, _memory: &mut Memory, _op: &Op) -> Done {
    let mut flags = 0;
    if cpu.r8(AL) & 0xf > 9 || cpu.arithmetic.af() {
        let ax = cpu.r16(EAX as u8);
        if SUB {
            let ax = ax.wrapping_sub(6);
            cpu.set_r16(EAX as u8, ax);
            let ah = cpu.r8(AH).wrapping_sub(1);
            cpu.set_r8(AH, ah);
        } else {
            cpu.set_r16(EAX as u8, ax.wrapping_add(0x106));
        }
        flags = AF | CF;
    }
    let al = cpu.r8(AL) & 0xf;
    cpu.set_r8(AL, al);
    set_flags(cpu, al, flags);
    Ok(())
}

/// AAM.
pub(crate) fn aam(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    let base = op.imm as u8;
    if base == 0 {
        return Err(cpu.divide_error());
    }
    let al = cpu.r8(AL);
    cpu.set_r16(EAX as u8, u16::from(al / base) << 8 | u16::from(al % base));
    set_flags(cpu, al % base, 0);
    Ok(())
}

/// AAD.
pub(crate) fn aad(cpu: &mut Cpu, _memory: &mut Memory, op: &Op) -> Done {
    let al = cpu.r8(AL).wrapping_add(cpu.r8(AH).wrapping_mul(op.imm as u8));
    cpu.set_r16(EAX as u8, al.into());
    set_flags(cpu, al, 0);
    Ok(())
}
