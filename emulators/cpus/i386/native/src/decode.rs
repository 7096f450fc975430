//! From octets to operations: SDM 2, chapter 2, and the table.

use crate::model::Model;
use crate::op::{ADDRESS16, LOCK, OPERAND16, Op, REGISTER, REP, REPNE};
use crate::state::{CS, DS, ES, FS, GS, NONE, SS};
use crate::table::{Kind, Operand, Prefix, Row, by_opcode, rows};

/// SDM 2, 2.3.11: longer ones are #GP.
pub(crate) const LENGTH_MAX: usize = 15;

/// Why there is no operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// More octets are wanted than there are.
    Octets,
    /// The instruction is longer than any may be.
    TooLong,
}

struct Cursor<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn u8(&mut self) -> Result<u8, Missing> {
        if self.at >= LENGTH_MAX {
            return Err(Missing::TooLong);
        }
        let octet = *self.octets.get(self.at).ok_or(Missing::Octets)?;
        self.at += 1;
        Ok(octet)
    }

    fn u16(&mut self) -> Result<u16, Missing> {
        Ok(u16::from_le_bytes([self.u8()?, self.u8()?]))
    }

    fn u32(&mut self) -> Result<u32, Missing> {
        Ok(u32::from_le_bytes([self.u8()?, self.u8()?, self.u8()?, self.u8()?]))
    }

    /// Of 32 or 16 bits.
    fn sized(&mut self, narrow: bool) -> Result<u32, Missing> {
        if narrow { self.u16().map(u32::from) } else { self.u32() }
    }

    fn i8(&mut self) -> Result<u32, Missing> {
        Ok(self.u8()? as i8 as u32)
    }
}

/// Prefixes, as they were found.
#[derive(Clone, Copy, Default)]
struct Prefixes {
    seg: Option<usize>,
    operand: bool,
    address: bool,
    lock: bool,
    rep: u8,
}

/// The row and the operation of the first instruction of `octets`; `big`: CS.D. An opcode that there is not is one that
/// raises #UD.
pub(crate) fn decode(octets: &[u8], big: bool, model: &Model) -> Result<(Option<&'static Row>, Op), Missing> {
    let mut cursor = Cursor { octets, at: 0 };
    let mut prefixes = Prefixes::default();
    let opcode = loop {
        match cursor.u8()? {
            0x26 => prefixes.seg = Some(ES),
            0x2e => prefixes.seg = Some(CS),
            0x36 => prefixes.seg = Some(SS),
            0x3e => prefixes.seg = Some(DS),
            0x64 => prefixes.seg = Some(FS),
            0x65 => prefixes.seg = Some(GS),
            0x66 => prefixes.operand = true,
            0x67 => prefixes.address = true,
            0xf0 => prefixes.lock = true,
            0xf2 => prefixes.rep = REPNE,
            0xf3 => prefixes.rep = REP,
            opcode => break opcode,
        }
    };
    let (map, opcode) = if opcode == 0x0f { (256, cursor.u8()?) } else { (0, opcode) };
    let candidates = &by_opcode()[map + usize::from(opcode)];
    let narrow = prefixes.operand == big;
    let short = prefixes.address == big;
    let mut op = Op {
        flags: prefixes.rep
            | if narrow { OPERAND16 } else { 0 }
            | if short { ADDRESS16 } else { 0 }
            | if prefixes.lock { LOCK } else { 0 },
        mask: if short { 0xffff } else { u32::MAX },
        ..Op::default()
    };
    let has_modrm = candidates.iter().any(|&number| rows()[usize::from(number)].kind != Kind::NoModRm);
    let modrm = if has_modrm { Some(cursor.u8()?) } else { None };
    let found = candidates.iter().copied().find(|&number| fits(&rows()[usize::from(number)], modrm, &prefixes, model));
    op.seg = prefixes.seg.unwrap_or(DS) as u8;
    if let Some(modrm) = modrm {
        let always_register = found.is_some_and(|number| rows()[usize::from(number)].operands.contains(&Operand::Rd));
        address(&mut cursor, &mut op, modrm, prefixes.seg, short, always_register)?;
    } else {
        op.flags |= REGISTER;
    }
    let Some(number) = found else {
        op.length = cursor.at as u8;
        return Ok((None, op));
    };
    let row = &rows()[usize::from(number)];
    op.row = number;
    immediates(&mut cursor, &mut op, row, opcode, narrow, short)?;
    if let (0, 0xd8..=0xdf, Some(modrm)) = (map, opcode, modrm) {
        op.imm = u32::from(opcode & 7) << 8 | u32::from(modrm); // FOP: SDM 1, 8.1.9
    }
    op.length = cursor.at as u8;
    if prefixes.lock && (!row.lock || op.is(REGISTER)) {
        return Ok((None, op));
    }
    op.run = match (op.is(REGISTER), narrow) {
        (true, false) => row.run.r32,
        (false, false) => row.run.m32,
        (true, true) => row.run.r16,
        (false, true) => row.run.m16,
    };
    Ok((Some(row), op))
}

fn fits(row: &Row, modrm: Option<u8>, prefixes: &Prefixes, model: &Model) -> bool {
    let modrm = modrm.unwrap_or(0xc0);
    row.modrm.is_none_or(|wanted| wanted == modrm)
        && row.group.is_none_or(|wanted| wanted == modrm >> 3 & 7)
        && match row.kind {
            Kind::NoModRm | Kind::Any => true,
            Kind::Register => modrm >= 0xc0,
            Kind::Memory => modrm < 0xc0,
        }
        && match row.prefix {
            Prefix::Any => true,
            Prefix::Np => prefixes.rep == 0 && !prefixes.operand,
            Prefix::P66 => prefixes.rep == 0 && prefixes.operand,
            Prefix::Pf3 => prefixes.rep == REP,
            Prefix::Pf2 => prefixes.rep == REPNE,
        }
        && model.features & row.needs == row.needs
}

/// The ModRM octet, and what belongs to it (SDM 2, tables 2-1 to 2-3).
fn address(
    cursor: &mut Cursor<'_>,
    op: &mut Op,
    modrm: u8,
    seg: Option<usize>,
    short: bool,
    always_register: bool,
) -> Result<(), Missing> {
    let (kind, rm) = (modrm >> 6, modrm & 7);
    op.reg = modrm >> 3 & 7;
    if kind == 3 || always_register {
        op.rm = rm;
        op.flags |= REGISTER;
        return Ok(());
    }
    op.flags &= !REGISTER;
    let mut by_stack = false;
    if short {
        // BX+SI BX+DI BP+SI BP+DI SI DI BP BX
        let (base, index) =
            [(3, 6), (3, 7), (5, 6), (5, 7), (6, NONE), (7, NONE), (5, NONE), (3, NONE)][usize::from(rm)];
        (op.base, op.index) = (base, index);
        by_stack = base == 5;
        match (kind, rm) {
            (0, 6) => {
                op.base = NONE;
                by_stack = false;
                op.disp = cursor.u16()?.into();
            }
            (1, _) => op.disp = cursor.i8()?,
            (2, _) => op.disp = cursor.u16()?.into(),
            _ => {}
        }
    } else {
        let mut base = rm;
        if rm == 4 {
            let sib = cursor.u8()?;
            base = sib & 7;
            let index = sib >> 3 & 7;
            if index != 4 {
                (op.index, op.scale) = (index, sib >> 6);
            }
        }
        if kind == 0 && base == 5 {
            op.base = NONE;
            op.disp = cursor.u32()?;
        } else {
            op.base = base;
            by_stack = base == 4 || base == 5;
            match kind {
                1 => op.disp = cursor.i8()?,
                2 => op.disp = cursor.u32()?,
                _ => {}
            }
        }
    }
    op.seg = seg.unwrap_or(if by_stack { SS } else { DS }) as u8;
    Ok(())
}

/// Operands that are in the opcode or behind the address.
fn immediates(
    cursor: &mut Cursor<'_>,
    op: &mut Op,
    row: &Row,
    opcode: u8,
    narrow: bool,
    short: bool,
) -> Result<(), Missing> {
    let mut second = false;
    for operand in row.operands {
        match operand {
            Operand::Ib if second => op.imm2 = cursor.u8()?.into(),
            Operand::Ib => op.imm = cursor.u8()?.into(),
            Operand::SIb | Operand::Jb => op.imm = cursor.i8()?,
            Operand::Iw => op.imm = cursor.u16()?.into(),
            Operand::Iv => op.imm = cursor.sized(narrow)?,
            Operand::Jv if narrow => op.imm = cursor.u16()? as i16 as u32,
            Operand::Jv => op.imm = cursor.u32()?,
            Operand::Ap => {
                op.imm = cursor.sized(narrow)?;
                op.imm2 = cursor.u16()?;
            }
            Operand::Ob | Operand::Ov => op.disp = cursor.sized(short)?,
            Operand::Zb | Operand::Zv => op.reg = opcode & 7,
            Operand::Es => op.reg = ES as u8,
            Operand::Cs => op.reg = CS as u8,
            Operand::Ss => op.reg = SS as u8,
            Operand::Ds => op.reg = DS as u8,
            Operand::Fs => op.reg = FS as u8,
            Operand::Gs => op.reg = GS as u8,
            _ => continue,
        }
        second |= matches!(operand, Operand::Iw);
    }
    Ok(())
}
