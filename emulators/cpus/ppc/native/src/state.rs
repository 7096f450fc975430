//! The architectural state under the manual's names, lower case: r0…r31, pc, lr, ctr, cr, xer, msr, srr0, srr1, dar, dsisr,
//! sdr1, sprg0…3, sr0…sr15, ibat0u, ibat0l … dbat3l, tb, dec, f0…f31 (64 bits each), fpscr, v0…v31 (128 bits each)
//! and vscr of models with AltiVec, and the models' own registers;
//! `reserved` is a reservation's address + 1 (0: none), `halted` and `dec_pending` are flags. `pvr` is read only.
//! What is set is cut to the bits that the register has.

use crate::Cpu;
use crate::exit::Refused;
use crate::mmu::Bat;
use crate::registers::PLAIN;
use crate::storage::BLOCK_OCTETS;
use crate::vector::{NJ, SAT};

fn numbered(name: &str, prefix: &str, limit: usize) -> Option<usize> {
    let digits = name.strip_prefix(prefix)?;
    if digits.is_empty() || digits.len() > 2 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|&number| number < limit)
}

/// Special-purpose registers by name and number.
const SPRS: [(&str, u16); 11] = [
    ("xer", 1),
    ("lr", 8),
    ("ctr", 9),
    ("dsisr", 18),
    ("dar", 19),
    ("sdr1", 25),
    ("srr0", 26),
    ("srr1", 27),
    ("pvr", 287),
    ("dabr", 1013),
    ("dec", 22),
];

/// The BAT register of a name: its SPR number.
fn bat(name: &str) -> Option<u16> {
    let (base, rest) = match (name.strip_prefix("ibat"), name.strip_prefix("dbat")) {
        (Some(rest), _) => (528, rest),
        (_, Some(rest)) => (536, rest),
        _ => return None,
    };
    let (pair, half) = (rest.get(..1)?, rest.get(1..)?);
    let pair = pair.parse::<u16>().ok().filter(|&pair| pair < 4)?;
    match half {
        "u" => Some(base + 2 * pair),
        "l" => Some(base + 2 * pair + 1),
        _ => None,
    }
}

impl Cpu {
    /// Names and values.
    pub fn state(&self) -> Vec<(String, u128)> {
        let mut state: Vec<(String, u128)> = (0..32).map(|n| (format!("r{n}"), self.regs[n].into())).collect();
        let mut put = |name: &str, value: u128| state.push((name.to_owned(), value));
        put("pc", self.pc.into());
        put("cr", self.cr().into());
        put("msr", self.msr.into());
        for (name, number) in SPRS {
            put(name, self.read_spr(number).unwrap_or(0).into());
        }
        put("tb", self.tb().into());
        put("fpscr", self.fpscr.into());
        put("reserved", self.reserved.map_or(0, |gpa| u128::from(gpa) + 1));
        put("halted", u8::from(self.halted).into());
        put("dec_pending", u8::from(self.dec_pending).into());
        for (name, number, models) in PLAIN {
            if models.contains(&self.options.model) {
                put(name, self.read_spr(number).unwrap_or(0).into());
            }
        }
        for (n, value) in self.sprg.iter().enumerate() {
            put(&format!("sprg{n}"), (*value).into());
        }
        for (n, value) in self.sr.iter().enumerate() {
            put(&format!("sr{n}"), (*value).into());
        }
        for (prefix, bats) in [("ibat", &self.ibat), ("dbat", &self.dbat)] {
            for (n, Bat { upper, lower }) in bats.iter().enumerate() {
                put(&format!("{prefix}{n}u"), (*upper).into());
                put(&format!("{prefix}{n}l"), (*lower).into());
            }
        }
        for (n, value) in self.fpr.iter().enumerate() {
            put(&format!("f{n}"), (*value).into());
        }
        if self.has_vectors() {
            for (n, value) in self.vr.iter().enumerate() {
                put(&format!("v{n}"), *value);
            }
            put("vscr", self.vscr.into());
        }
        state
    }

    /// Set what is named; all or nothing.
    pub fn set_state(&mut self, state: &[(String, u128)]) -> Result<(), Refused> {
        for (name, value) in state {
            let bits = match name.as_str() {
                "tb" => 64,
                "reserved" => 33,
                _ if numbered(name, "f", 32).is_some() => 64,
                _ if numbered(name, "v", 32).is_some() => 128,
                _ => 32,
            };
            if !self.knows(name) {
                return Err(Refused(format!("{name}: no register of this processor")));
            }
            if value.checked_shr(bits).unwrap_or(0) != 0 || name == "reserved" && *value > 1 << 32 {
                return Err(Refused(format!("{name}: {value:#x} does not fit")));
            }
            if name == "pc" && value % 4 != 0 {
                return Err(Refused(format!("pc: {value:#x} is not a multiple of 4")));
            }
        }
        if state.iter().any(|(name, _)| name == "pc") {
            // It is another instruction's turn.
            self.asked = None;
            self.written_at = None;
            self.log.clear();
            self.bus_error = false;
        }
        for (name, value) in state {
            self.set(name, *value);
        }
        self.soft.forget();
        Ok(())
    }

    fn knows(&self, name: &str) -> bool {
        numbered(name, "r", 32).is_some()
            || numbered(name, "f", 32).is_some()
            || self.has_vectors() && (numbered(name, "v", 32).is_some() || name == "vscr")
            || numbered(name, "sprg", 4).is_some()
            || numbered(name, "sr", 16).is_some()
            || bat(name).is_some()
            || SPRS.iter().any(|row| row.0 == name)
            || PLAIN.iter().any(|row| row.0 == name && row.2.contains(&self.options.model))
            || matches!(name, "pc" | "cr" | "msr" | "tb" | "fpscr" | "reserved" | "halted" | "dec_pending")
    }

    fn set(&mut self, name: &str, whole: u128) {
        let (value, wide) = (whole as u32, whole as u64);
        if let Some(number) = numbered(name, "r", 32) {
            self.regs[number] = value;
        } else if let Some(number) = numbered(name, "f", 32) {
            self.fpr[number] = wide;
        } else if let Some(number) = numbered(name, "v", 32) {
            self.vr[number] = whole;
        } else if let Some(number) = numbered(name, "sprg", 4) {
            self.sprg[number] = value;
        } else if let Some(number) = numbered(name, "sr", 16) {
            self.sr[number] = value;
        } else if let Some(number) = bat(name) {
            self.write_spr(number, value);
        } else if let Some(&(_, number)) = SPRS.iter().find(|row| row.0 == name && row.0 != "dec") {
            self.write_spr(number, value);
        } else if let Some(&(_, number, _)) = PLAIN.iter().find(|row| row.0 == name) {
            self.write_spr(number, value);
        }
        match name {
            "pc" => self.pc = value,
            "cr" => self.set_cr(value),
            "msr" => self.set_msr(value),
            "tb" => self.set_tb(wide),
            "dec" => self.put_dec(value),
            "vscr" => self.vscr = value & (NJ | SAT),
            "fpscr" => self.restore_fpscr(value),
            "reserved" => self.reserved = wide.checked_sub(1).map(|gpa| gpa as u32 & !(BLOCK_OCTETS - 1)),
            "halted" => self.halted = value != 0,
            "dec_pending" => self.dec_pending = value != 0,
            _ => {}
        }
    }
}
