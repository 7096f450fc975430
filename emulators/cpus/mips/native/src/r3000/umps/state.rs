//! What the caller may see and change: clocks, lines, registers by name, debugging, saved states.

use super::cpu::{Access, Activity, Cpu, ENTRY_HI_MASK, ENTRY_LO_MASK, INDEX_SHIFT, Pending, STATUS_MASK};
use super::{INTERVAL_TIMER_LINE, LINES, POINTS_MAX, Processors, Watchpoint};
use crate::exit::Refused;
use crate::mips32::state::general;
use crate::r3000::saved::{self, Fields, damaged};

const MAGIC: &[u8; 8] = b"VDEUMPS\0";
const VERSION: u32 = 1;
const NOBODY: u32 = u32::MAX;

/// A register's name, and where it is.
type Named = (&'static str, fn(&mut Cpu) -> &mut u32);

/// Registers that are nothing but a number.
const NAMED: [Named; 13] = [
    ("hi", |cpu| &mut cpu.hi),
    ("lo", |cpu| &mut cpu.lo),
    ("index", |cpu| &mut cpu.index),
    ("random", |cpu| &mut cpu.random),
    ("entrylo", |cpu| &mut cpu.entry_lo),
    ("badvaddr", |cpu| &mut cpu.bad_vaddr),
    ("timer", |cpu| &mut cpu.timer),
    ("entryhi", |cpu| &mut cpu.entry_hi),
    ("status", |cpu| &mut cpu.status),
    ("cause", |cpu| &mut cpu.cause),
    ("epc", |cpu| &mut cpu.epc),
    ("prid", |cpu| &mut cpu.prid),
    ("pc", |cpu| &mut cpu.pc),
];

impl Processors {
    /// Instructions executed, of all processors.
    pub fn icount(&self) -> u64 {
        self.icount
    }

    /// Ticks that are done.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// The time of day in the present tick.
    pub fn tod(&self) -> u64 {
        self.ticks + 1
    }

    pub fn interval_timer(&self) -> u32 {
        self.interval_timer
    }

    pub fn set_interval_timer(&mut self, value: u32) {
        self.interval_timer = value;
    }

    /// Whose line 2 rises when the interval timer runs out.
    pub fn interval_timer_cpu(&self) -> Option<u32> {
        self.interval_timer_cpu
    }

    pub fn set_interval_timer_cpu(&mut self, number: Option<u32>) -> Result<(), Refused> {
        if let Some(number) = number {
            self.check_number(number)?;
        }
        self.interval_timer_cpu = number;
        Ok(())
    }

    /// Where the instruction is that a processor executed last: behind a watchpoint, the one that touched it. Not state.
    pub fn last_pc(&self, cpu: u32) -> Result<u32, Refused> {
        Ok(self.cpus[self.check_number(cpu)?].branch_pc)
    }

    /// Whose turn it is: who made the access that the last exit told.
    pub fn current(&self) -> u32 {
        (self.position % self.cpus.len()) as u32
    }

    fn check_number(&self, number: u32) -> Result<usize, Refused> {
        if number < self.options.count {
            Ok(number as usize)
        } else {
            Err(Refused(format!("processor {number}: there are {}", self.options.count)))
        }
    }

    fn cpu(&mut self, number: u32) -> Result<&mut Cpu, Refused> {
        let number = self.check_number(number)?;
        Ok(&mut self.cpus[number])
    }

    /// Drive an interrupt line of a processor.
    pub fn set_ip(&mut self, line: u32, level: bool, number: u32) -> Result<(), Refused> {
        if line >= LINES {
            return Err(Refused(format!("interrupt line {line}: 0 to 7 are there")));
        }
        self.cpu(number)?.set_ip(line, level);
        Ok(())
    }

    /// Reset a processor: it begins at `pc`, with `sp` in register 29, in the present tick.
    pub fn reset_cpu(&mut self, number: u32, pc: u32, sp: u32) -> Result<(), Refused> {
        self.cpu(number)?.reset(pc, sp);
        self.drop_instruction(number);
        Ok(())
    }

    /// Stop a processor until it is reset.
    pub fn halt_cpu(&mut self, number: u32) -> Result<(), Refused> {
        self.cpu(number)?.activity = Activity::Halted;
        self.drop_instruction(number);
        Ok(())
    }

    /// Processor `number` has been changed from outside: the instruction that it was in is void.
    fn drop_instruction(&mut self, number: u32) {
        if self.position == number as usize {
            self.begun = false;
            self.told = false;
            self.log.clear();
        }
    }

    /// The (address, octets) of the read that is to be answered.
    pub fn pending(&self) -> Option<(u32, u32)> {
        self.log.pending()
    }

    pub fn answer(&mut self, value: u32) {
        self.log.answer(value);
    }

    /// The access that the last exit told of ends in a bus error.
    pub fn fail(&mut self) {
        self.log.fail();
    }

    /// Ticks until the next timer: after so many something rises by itself, at once or in the next tick.
    pub fn next_timer(&self) -> Option<u64> {
        let interval = self.interval_timer_cpu.map(|_| u64::from(self.interval_timer) + 1);
        self.cpus.iter().filter_map(Cpu::ticks_to_timer).chain(interval).min()
    }

    /// Let time pass without instructions, up to the next timer.
    pub fn skip(&mut self, ticks: u64) -> Result<(), Refused> {
        let most = self.next_timer().unwrap_or(u64::MAX).min(u64::MAX - self.ticks);
        if ticks > most {
            return Err(Refused(format!("{ticks} ticks to skip: a timer is due in {most}")));
        }
        for cpu in self.cpus.iter_mut().filter(|cpu| cpu.activity != Activity::Halted) {
            cpu.tick_timer_by(ticks as u32);
        }
        if ticks > u64::from(self.interval_timer)
            && let Some(number) = self.interval_timer_cpu
        {
            self.cpus[number as usize].set_ip(INTERVAL_TIMER_LINE, true);
        }
        self.interval_timer = self.interval_timer.wrapping_sub(ticks as u32);
        self.ticks += ticks;
        Ok(())
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

    /// Where `va` is for processor `number` now. Changes nothing.
    pub fn translate(&self, va: u32, access: Access, number: u32) -> Result<Option<u32>, Refused> {
        let cpu = &self.cpus[self.check_number(number)?];
        Ok(cpu.find(va & !3, access).ok().map(|gpa| gpa | va & 3))
    }

    /// Processor `number` by the manual's names.
    pub fn state(&self, number: u32) -> Result<Vec<(String, u32)>, Refused> {
        let mut cpu = self.cpus[self.check_number(number)?].clone();
        let mut state: Vec<(String, u32)> =
            (0..32).map(|register| (format!("r{register}"), cpu.gpr[register])).collect();
        state.extend(NAMED.map(|(name, field)| (name.to_string(), *field(&mut cpu))));
        let (load, cp0) = match cpu.pending {
            Pending::None => ((0, 0), (NOBODY, 0)),
            Pending::General(register, value) => ((register.into(), value), (NOBODY, 0)),
            Pending::Cp0(register, value) => ((0, 0), (register.into(), value)),
        };
        let in_slot = cpu.in_slot.into();
        let others = [
            ("next_pc", cpu.next),
            ("in_delay_slot", in_slot),
            ("branch_pc", if cpu.in_slot { cpu.branch_pc } else { 0 }),
            ("branch_target", if cpu.in_slot { cpu.next } else { 0 }),
            ("load_register", load.0),
            ("load_value", load.1),
            ("mtc0_register", cp0.0),
            ("mtc0_value", cp0.1),
            ("halted", (cpu.activity == Activity::Halted).into()),
            ("idle", (cpu.activity == Activity::Idle).into()),
        ];
        state.extend(others.map(|(name, value)| (name.to_string(), value)));
        for (entry, &(hi, lo)) in cpu.tlb.iter().enumerate() {
            state.push((format!("tlb{entry}.entryhi"), hi));
            state.push((format!("tlb{entry}.entrylo"), lo));
        }
        Ok(state)
    }

    /// Set what is named, all or nothing. A new `pc` is in no delay slot unless that is named, too; setting it also
    /// voids the instruction that the processor was in, and starts a processor that was halted or idle.
    pub fn set_state(&mut self, number: u32, state: &[(String, u32)]) -> Result<(), Refused> {
        let mut new = self.cpu(number)?.clone();
        if let Some((_, pc)) = state.iter().find(|(name, _)| name == "pc") {
            new.jump(*pc);
            new.activity = Activity::Running;
        }
        for (name, value) in state {
            set(&mut new, name, *value)?;
        }
        set_pending(&mut new, state)?;
        new.gpr[0] = 0;
        new.forget_translations();
        *self.cpu(number)? = new;
        if state.iter().any(|(name, _)| name == "pc") {
            self.drop_instruction(number);
        }
        Ok(())
    }

    /// The cluster as octets. Debugging is the caller's.
    pub fn snapshot(&mut self) -> Vec<u8> {
        saved::pack(MAGIC, VERSION, |to| self.fields(to))
    }

    /// Become what [`Processors::snapshot`] gave; unchanged if that is refused.
    pub fn restore(&mut self, octets: &[u8]) -> Result<(), Refused> {
        let mut new = Processors::new(self.options.clone())?;
        saved::unpack(octets, MAGIC, VERSION, |from| new.fields(from))?;
        std::mem::swap(&mut self.code, &mut new.code);
        std::mem::swap(&mut self.breakpoints, &mut new.breakpoints);
        std::mem::swap(&mut self.watchpoints, &mut new.watchpoints);
        new.kicked = self.kick();
        *self = new;
        Ok(())
    }

    fn fields(&mut self, to: &mut dyn Fields) -> Result<(), Refused> {
        to.fixed(self.options.count, "the number of processors")?;
        to.fixed(self.options.tlb_size, "the size of the TLB")?;
        to.fixed(self.options.tlb_floor, "the TLB's floor")?;
        to.u64(&mut self.ticks)?;
        to.u64(&mut self.icount)?;
        if self.ticks == u64::MAX {
            return Err(damaged("the clock"));
        }
        to.u32(&mut self.interval_timer)?;
        let mut number = self.interval_timer_cpu.unwrap_or(NOBODY);
        to.u32(&mut number)?;
        if number != NOBODY && number >= self.options.count {
            return Err(damaged("a processor that is not there"));
        }
        self.interval_timer_cpu = (number != NOBODY).then_some(number);
        let mut position = self.position as u32;
        to.limited(&mut position, self.options.count - 1)?;
        self.position = position as usize;
        to.flag(&mut self.begun)?;
        self.log.fields(to)?;
        for cpu in &mut self.cpus {
            cpu_fields(cpu, to)?;
        }
        if self.begun && self.cpus[self.position].activity != Activity::Running {
            return Err(damaged("an instruction of a processor that does not run"));
        }
        Ok(())
    }
}

fn cpu_fields(cpu: &mut Cpu, to: &mut dyn Fields) -> Result<(), Refused> {
    for register in &mut cpu.gpr[1..32] {
        to.u32(register)?;
    }
    for (_, field) in NAMED {
        to.u32(field(cpu))?;
    }
    let entries = cpu.tlb.len() as u32;
    if cpu.index & !(1 << 31 | (entries - 1) << INDEX_SHIFT) != 0 || cpu.random & !((entries - 1) << INDEX_SHIFT) != 0 {
        return Err(damaged("Index or Random is beyond the TLB"));
    }
    to.u32(&mut cpu.next)?;
    to.u32(&mut cpu.after)?;
    to.flag(&mut cpu.in_slot)?;
    let mut branch_pc = if cpu.in_slot { cpu.branch_pc } else { 0 };
    to.u32(&mut branch_pc)?;
    cpu.branch_pc = branch_pc;
    let (mut kind, mut register, mut value) = match cpu.pending {
        Pending::None => (0, 0, 0),
        Pending::General(register, value) => (1, register.into(), value),
        Pending::Cp0(register, value) => (2, register.into(), value),
    };
    to.limited(&mut kind, 2)?;
    to.limited(&mut register, 31)?;
    to.u32(&mut value)?;
    cpu.pending = match kind {
        0 => Pending::None,
        1 => Pending::General(register as u8, value),
        _ => Pending::Cp0(register as u8, value),
    };
    let mut activity = match cpu.activity {
        Activity::Halted => 0,
        Activity::Running => 1,
        Activity::Idle => 2,
    };
    to.limited(&mut activity, 2)?;
    cpu.activity = [Activity::Halted, Activity::Running, Activity::Idle][activity as usize];
    for (hi, lo) in &mut cpu.tlb {
        to.u32(hi)?;
        to.u32(lo)?;
        if *hi & !ENTRY_HI_MASK != 0 || *lo & !ENTRY_LO_MASK != 0 {
            return Err(damaged("an entry of the TLB"));
        }
    }
    Ok(())
}

/// The late register, if the names say anything about one.
fn set_pending(cpu: &mut Cpu, state: &[(String, u32)]) -> Result<(), Refused> {
    let find = |wanted: &str| state.iter().find(|(name, _)| name == wanted).map(|&(_, value)| value);
    let (load, cp0) = (find("load_register"), find("mtc0_register"));
    for (name, register, none) in [("load_register", load, 0), ("mtc0_register", cp0, NOBODY)] {
        if register.is_some_and(|register| register > 31 && register != none) {
            return Err(Refused(format!("{name}: no such register")));
        }
    }
    if load.is_some() || cp0.is_some() {
        cpu.pending = match (load.unwrap_or(0), cp0.unwrap_or(NOBODY)) {
            (0, NOBODY) => Pending::None,
            (0, register) => Pending::Cp0(register as u8, find("mtc0_value").unwrap_or(0)),
            (register, _) => Pending::General(register as u8, find("load_value").unwrap_or(0)),
        };
    }
    Ok(())
}

fn set(cpu: &mut Cpu, name: &str, value: u32) -> Result<(), Refused> {
    let numbered = |prefix: &str, rest: &str, limit: usize| {
        name.strip_prefix(prefix)
            .and_then(|tail| tail.strip_suffix(rest))
            .and_then(|number| number.parse::<usize>().ok())
            .filter(|&number| number < limit)
    };
    let unknown = || Refused(format!("{name}: no register of this processor"));
    let entries = cpu.tlb.len();
    if let Some(register) = general(name) {
        cpu.gpr[register] = value;
    } else if let Some(entry) = numbered("tlb", ".entryhi", entries) {
        cpu.tlb[entry].0 = value & ENTRY_HI_MASK;
    } else if let Some(entry) = numbered("tlb", ".entrylo", entries) {
        cpu.tlb[entry].1 = value & ENTRY_LO_MASK;
    } else if let Some((_, field)) = NAMED.iter().find(|(named, _)| *named == name) {
        let index_mask = (entries as u32 - 1) << INDEX_SHIFT;
        *field(cpu) = match name {
            "index" => value & (1 << 31 | index_mask),
            "random" => value & index_mask,
            "status" => value & STATUS_MASK,
            "entryhi" => value & ENTRY_HI_MASK,
            "entrylo" => value & ENTRY_LO_MASK,
            "prid" => cpu.prid,
            _ => value,
        };
    } else {
        match name {
            "next_pc" => {
                cpu.next = value;
                cpu.after = value.wrapping_add(4);
            }
            "in_delay_slot" => cpu.in_slot = value != 0,
            "branch_pc" => cpu.branch_pc = value,
            "branch_target" if value == 0 && !cpu.in_slot => {}
            "branch_target" => {
                cpu.next = value;
                cpu.after = value.wrapping_add(4);
            }
            "load_register" | "load_value" | "mtc0_register" | "mtc0_value" => {} // by `set_pending`
            "halted" if value != 0 => cpu.activity = Activity::Halted,
            "idle" if value != 0 => cpu.activity = Activity::Idle,
            "halted" | "idle" => {}
            _ => return Err(unknown()),
        }
    }
    Ok(())
}
