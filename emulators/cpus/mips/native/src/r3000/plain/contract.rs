//! What the caller may see and change: clock, lines, registers by name, debugging, saved states.

use super::{Branch, Cpu, PRID, Registers, STATUS_MASK, Watchpoint};
use crate::exit::Refused;
use crate::mips32::state::general;
use crate::r3000::saved::{self, Fields, damaged};

const MAGIC: &[u8; 8] = b"VDER3000";
const VERSION: u32 = 1;
/// Chosen: a debugger's needs, and a bound for its client's wishes.
const POINTS_MAX: usize = 1024;

impl Cpu {
    /// Instructions executed.
    pub fn icount(&self) -> u64 {
        self.now.icount
    }

    /// The clock: instructions and what was skipped.
    pub fn ticks(&self) -> u64 {
        self.now.icount + self.now.skipped
    }

    pub fn skip(&mut self, ticks: u64) -> Result<(), Refused> {
        if self.ticks().checked_add(ticks).is_none() {
            return Err(Refused(format!("{ticks} ticks to skip: the clock ends before")));
        }
        self.now.skipped += ticks;
        Ok(())
    }

    /// Drive Cause.IP2 … IP7.
    pub fn set_ip(&mut self, line: u32, level: bool) -> Result<(), Refused> {
        if !(2..8).contains(&line) {
            return Err(Refused(format!("interrupt line {line}: 2 to 7 are there")));
        }
        let bit = 1 << (8 + line);
        self.now.cause = if level { self.now.cause | bit } else { self.now.cause & !bit };
        Ok(())
    }

    /// Come back with these exceptions instead of taking them.
    pub fn intercept(&mut self, codes: &[u32]) -> Result<(), Refused> {
        if let Some(code) = codes.iter().find(|&&code| code > 31) {
            return Err(Refused(format!("exception {code}: 0 to 31 are there")));
        }
        self.intercepted = codes.iter().fold(0, |mask, code| mask | 1 << code);
        Ok(())
    }

    /// The (address, octets) of the read that is to be answered.
    pub fn pending(&self) -> Option<(u32, u32)> {
        self.now.log.pending()
    }

    pub fn answer(&mut self, value: u32) {
        self.now.log.answer(value);
    }

    /// The access that the last exit told of ends in a bus error.
    pub fn fail(&mut self) {
        self.now.log.fail();
    }

    pub fn add_breakpoint(&mut self, va: u32) -> Result<(), Refused> {
        if self.breakpoints.len() == POINTS_MAX {
            return Err(Refused(format!("more than {POINTS_MAX} breakpoints")));
        }
        if !self.breakpoints.contains(&va) {
            self.breakpoints.push(va);
        }
        Ok(())
    }

    pub fn remove_breakpoint(&mut self, va: u32) {
        self.breakpoints.retain(|&there| there != va);
    }

    pub fn add_watchpoint(&mut self, va: u32, octets: u32, read: bool, write: bool) -> Result<(), Refused> {
        if self.watchpoints.len() == POINTS_MAX {
            return Err(Refused(format!("more than {POINTS_MAX} watchpoints")));
        }
        self.watchpoints.push(Watchpoint { va, octets, read, write });
        Ok(())
    }

    pub fn remove_watchpoint(&mut self, va: u32, octets: u32, read: bool, write: bool) {
        let point = Watchpoint { va, octets, read, write };
        self.watchpoints.retain(|&there| there != point);
    }

    /// The processor by the manual's names.
    pub fn state(&self) -> Vec<(String, u32)> {
        let now = &self.now;
        let branch = now.slot_of.unwrap_or_default();
        let mut state: Vec<(String, u32)> =
            (0..32).map(|register| (format!("r{register}"), now.gpr[register])).collect();
        let others = [
            ("hi", now.hi),
            ("lo", now.lo),
            ("pc", now.pc),
            ("in_delay_slot", now.slot_of.is_some().into()),
            ("branch_target", branch.target),
            ("branch_taken", branch.taken.into()),
            ("load_register", now.load.0.into()),
            ("load_value", now.load.1),
            ("status", now.status),
            ("cause", now.cause),
            ("epc", now.epc),
            ("badvaddr", now.bad_vaddr),
            ("prid", PRID),
        ];
        state.extend(others.map(|(name, value)| (name.to_string(), value)));
        state
    }

    /// Set what is named; all or nothing. A new `pc` is in no delay slot unless that is said, too, and the instruction
    /// that was under way is void.
    pub fn set_state(&mut self, state: &[(String, u32)]) -> Result<(), Refused> {
        let mut new = self.now.clone();
        if state.iter().any(|(name, _)| name == "pc") {
            new.slot_of = None;
            new.log.clear();
        }
        for (name, value) in state {
            set(&mut new, name, *value)?;
        }
        if new.load.0 == 0 {
            new.load.1 = 0;
        }
        if state.iter().any(|(name, value)| name == "in_delay_slot" && *value == 0) {
            new.slot_of = None;
        }
        new.gpr[0] = 0;
        self.now = new;
        self.told &= !state.iter().any(|(name, _)| name == "pc");
        Ok(())
    }

    /// The processor as octets. Debugging and interceptions are the caller's.
    pub fn snapshot(&mut self) -> Vec<u8> {
        saved::pack(MAGIC, VERSION, |to| fields(&mut self.now, to))
    }

    /// Become what [`Cpu::snapshot`] gave; unchanged if that is refused.
    pub fn restore(&mut self, octets: &[u8]) -> Result<(), Refused> {
        let mut new = Registers::new();
        saved::unpack(octets, MAGIC, VERSION, |from| fields(&mut new, from))?;
        self.now = new;
        self.told = false;
        self.hit = None;
        Ok(())
    }
}

fn fields(now: &mut Registers, to: &mut dyn Fields) -> Result<(), Refused> {
    for register in &mut now.gpr[1..32] {
        to.u32(register)?;
    }
    for field in
        [&mut now.hi, &mut now.lo, &mut now.pc, &mut now.status, &mut now.cause, &mut now.epc, &mut now.bad_vaddr]
    {
        to.u32(field)?;
    }
    let mut in_slot = now.slot_of.is_some();
    let mut branch = now.slot_of.unwrap_or_default();
    to.flag(&mut in_slot)?;
    to.u32(&mut branch.target)?;
    to.flag(&mut branch.taken)?;
    now.slot_of = in_slot.then_some(branch);
    let mut register = now.load.0.into();
    to.limited(&mut register, 31)?;
    now.load.0 = register as u8;
    to.u32(&mut now.load.1)?;
    to.u64(&mut now.icount)?;
    to.u64(&mut now.skipped)?;
    if now.icount.checked_add(now.skipped).is_none_or(|ticks| ticks == u64::MAX) {
        return Err(damaged("the clock"));
    }
    now.log.fields(to)
}

fn set(now: &mut Registers, name: &str, value: u32) -> Result<(), Refused> {
    if let Some(register) = general(name) {
        now.gpr[register] = value;
        return Ok(());
    }
    match name {
        "hi" => now.hi = value,
        "lo" => now.lo = value,
        "pc" => now.pc = value,
        "status" => now.status = value & STATUS_MASK,
        "cause" => now.cause = value,
        "epc" => now.epc = value,
        "badvaddr" => now.bad_vaddr = value,
        "prid" => {}
        "in_delay_slot" => now.slot_of = Some(now.slot_of.unwrap_or(Branch { target: 0, taken: true })),
        "branch_target" => now.slot_of = Some(Branch { target: value, taken: now.slot_of.is_none_or(|it| it.taken) }),
        "branch_taken" => {
            now.slot_of = Some(Branch { target: now.slot_of.unwrap_or_default().target, taken: value != 0 });
        }
        "load_register" if value > 31 => return Err(Refused(format!("{name}: {value} is no register"))),
        "load_register" => now.load.0 = value as u8,
        "load_value" => now.load.1 = value,
        _ => return Err(Refused(format!("{name}: no register of this processor"))),
    }
    Ok(())
}
