//! The architectural state under the manual's names, lower case: r0…r31 (or the assembler's names), hi, lo, pc, CP0's
//! registers, f0…f31 (64 bits each), fcr31, `tlb0.entryhi`…; `in_delay_slot` and `branch_target` complete the pc.
//! What is set is cut to the bits that the register has. `random`, `prid` and `config1`… are read only.

use super::Cpu;
use super::cp0::{CAUSE_EXC, CAUSE_TI};
use super::cp0::{DEBUG_DBP, DEBUG_DM, LO_MASK, PAGE_MASK};
use super::fpu::{FCSR_MASK, FIR};
use crate::exit::Refused;

const NAMES: [&str; 32] = [
    "zero", "at", "v0", "v1", "a0", "a1", "a2", "a3", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "s0", "s1", "s2",
    "s3", "s4", "s5", "s6", "s7", "t8", "t9", "k0", "k1", "gp", "sp", "fp", "ra",
];

/// CP0's registers: name, number, select.
const CP0: &[(&str, u8, u8)] = &[
    ("index", 0, 0),
    ("random", 1, 0),
    ("entrylo0", 2, 0),
    ("entrylo1", 3, 0),
    ("context", 4, 0),
    ("userlocal", 4, 2),
    ("pagemask", 5, 0),
    ("wired", 6, 0),
    ("hwrena", 7, 0),
    ("badvaddr", 8, 0),
    ("count", 9, 0),
    ("entryhi", 10, 0),
    ("compare", 11, 0),
    ("status", 12, 0),
    ("intctl", 12, 1),
    ("cause", 13, 0),
    ("epc", 14, 0),
    ("prid", 15, 0),
    ("ebase", 15, 1),
    ("config", 16, 0),
    ("config1", 16, 1),
    ("config2", 16, 2),
    ("config3", 16, 3),
    ("config7", 16, 7),
    ("lladdr", 17, 0),
    ("debug", 23, 0),
    ("depc", 24, 0),
    ("errctl", 26, 0),
    ("itaglo", 28, 0),
    ("idatalo", 28, 1),
    ("dtaglo", 28, 2),
    ("ddatalo", 28, 3),
    ("errorepc", 30, 0),
    ("desave", 31, 0),
];

fn numbered(name: &str, prefix: char) -> Option<usize> {
    let digits = name.strip_prefix(prefix)?;
    if digits.is_empty() || digits.len() > 2 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|&number| number < 32)
}

pub(crate) fn general(name: &str) -> Option<usize> {
    numbered(name, 'r').or_else(|| NAMES.iter().position(|&other| other == name)).or((name == "s8").then_some(30))
}

impl Cpu {
    /// Names and values. `branch_target` is there in a delay slot only.
    pub fn state(&self) -> Vec<(String, u64)> {
        let mut state: Vec<(String, u64)> = (0..32).map(|n| (format!("r{n}"), self.regs[n].into())).collect();
        let mut put = |name: &str, value: u64| state.push((name.to_owned(), value));
        put("hi", self.hi.into());
        put("lo", self.lo.into());
        put("pc", self.pc.into());
        put("in_delay_slot", self.in_slot.into());
        if self.in_slot {
            put("branch_target", self.target.into());
        }
        for &(name, register, select) in CP0 {
            put(name, self.cp0_read(register, select).into());
        }
        for (n, value) in self.fpu.regs.iter().enumerate() {
            put(&format!("f{n}"), *value);
        }
        put("fcr0", FIR.into());
        put("fcr31", self.fpu.fcsr.into());
        put("ll_bit", self.ll_bit.into());
        put("halted", self.halted.into());
        for (n, entry) in self.tlb.iter().enumerate() {
            put(&format!("tlb{n}.entryhi"), entry.hi.into());
            put(&format!("tlb{n}.pagemask"), entry.mask.into());
            put(&format!("tlb{n}.entrylo0"), entry.lo[0].into());
            put(&format!("tlb{n}.entrylo1"), entry.lo[1].into());
        }
        state
    }

    /// Set what is named; all or nothing. A new `pc` is not in a delay slot unless that is said, too.
    pub fn set_state(&mut self, state: &[(String, u64)]) -> Result<(), Refused> {
        for (name, value) in state {
            let limit = if numbered(name, 'f').is_some() { u64::MAX } else { u32::MAX.into() };
            if !self.knows(name) {
                return Err(Refused(format!("{name}: no register of this processor")));
            }
            if *value > limit {
                return Err(Refused(format!("{name}: {value:#x} does not fit")));
            }
        }
        for (name, value) in state.iter().filter(|(name, _)| name == "pc") {
            let _ = name;
            self.pc = *value as u32;
            self.in_slot = false;
            self.log.clear();
            self.asked = None;
            self.written_at = None;
        }
        for (name, value) in state {
            self.set(name, *value);
        }
        // Count and Status decide about others.
        self.refresh_mode();
        self.update_lines();
        self.arm_timer();
        self.soft.forget();
        Ok(())
    }

    fn knows(&self, name: &str) -> bool {
        general(name).is_some()
            || numbered(name, 'f').is_some()
            || CP0.iter().any(|row| row.0 == name)
            || matches!(
                name,
                "hi" | "lo" | "pc" | "in_delay_slot" | "branch_target" | "fcr0" | "fcr31" | "ll_bit" | "halted"
            )
            || self.tlb_field(name).is_some()
    }

    fn tlb_field<'name>(&self, name: &'name str) -> Option<(usize, &'name str)> {
        let (number, field) = name.strip_prefix("tlb")?.split_once('.')?;
        let number = number.parse::<usize>().ok().filter(|&number| number < self.tlb.len())?;
        matches!(field, "entryhi" | "pagemask" | "entrylo0" | "entrylo1").then_some((number, field))
    }

    fn set(&mut self, name: &str, wide: u64) {
        let value = wide as u32;
        if let Some(number) = general(name) {
            return self.set_reg(number as u8, value);
        }
        if let Some(number) = numbered(name, 'f') {
            self.fpu.regs[number] = wide;
            return;
        }
        if let Some((number, field)) = self.tlb_field(name) {
            let entry = &mut self.tlb[number];
            match field {
                "entryhi" => entry.hi = value & 0xffff_e0ff,
                "pagemask" => entry.mask = value & PAGE_MASK,
                "entrylo0" => entry.lo[0] = value & LO_MASK,
                _ => entry.lo[1] = value & LO_MASK,
            }
            return;
        }
        match name {
            "hi" => self.hi = value,
            "lo" => self.lo = value,
            "pc" | "fcr0" => {}
            "in_delay_slot" => self.in_slot = value != 0,
            "branch_target" => self.target = value,
            "fcr31" => self.fpu.fcsr = value & FCSR_MASK,
            "ll_bit" => self.ll_bit = value != 0,
            "halted" => self.halted = value != 0,
            // What MTC0 does not write.
            "index" => self.cp0.index = value & (1 << 31 | (self.tlb.len() as u32 - 1)),
            "context" => self.cp0.context = value & 0xffff_fff0,
            "badvaddr" => self.cp0.bad_vaddr = value,
            "lladdr" => self.cp0.ll_addr = value,
            "debug" => self.cp0.debug = value & (1 << 31 | DEBUG_DM | DEBUG_DBP),
            "cause" => {
                self.set_cause(value);
                let kept = CAUSE_EXC | CAUSE_TI | 1 << 31 | 3 << 28;
                self.cp0.cause = self.cp0.cause & !kept | value & kept;
            }
            "compare" => self.cp0.compare = value, // Cause.TI is set by name
            _ => {
                if let Some(&(_, register, select)) = CP0.iter().find(|row| row.0 == name) {
                    self.cp0_write(register, select, value);
                }
            }
        }
    }
}
