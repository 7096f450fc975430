//! State by the manual's names, interrupts, time, and translation for debuggers: `docs/engine.md`.

use crate::descriptor::{REAL_RIGHTS, RIGHTS, V86_RIGHTS};
use crate::exit::Refused;
use crate::flags;
use crate::paging::Access;
use crate::state::{CS, Cpu, Segment};
use guest_memory::Memory;

const GENERAL: [&str; 8] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
const SEGMENTS: [&str; 6] = ["es", "cs", "ss", "ds", "fs", "gs"];

/// A name and its value; the widest register has 128 bits.
pub type Named = (String, u128);

fn segment_state(name: &str, segment: &Segment, to: &mut Vec<Named>) {
    to.push((name.into(), segment.selector.into()));
    to.push((format!("{name}.base"), segment.base.into()));
    to.push((format!("{name}.limit"), segment.limit.into()));
    to.push((format!("{name}.rights"), segment.rights.into()));
}

impl Cpu {
    /// All architectural state.
    pub fn state(&self) -> Vec<Named> {
        let mut all: Vec<Named> = Vec::new();
        for (name, value) in GENERAL.iter().zip(self.regs) {
            all.push(((*name).into(), value.into()));
        }
        all.push(("eip".into(), self.eip.into()));
        all.push(("eflags".into(), self.eflags().into()));
        all.push(("cpl".into(), self.cpl.into()));
        for (name, segment) in SEGMENTS.iter().zip(&self.seg) {
            segment_state(name, segment, &mut all);
        }
        segment_state("ldtr", &self.ldtr, &mut all);
        segment_state("tr", &self.tr, &mut all);
        for (name, table) in [("gdtr", self.gdtr), ("idtr", self.idtr)] {
            all.push((format!("{name}.base"), table.base.into()));
            all.push((format!("{name}.limit"), table.limit.into()));
        }
        for (name, value) in [("cr0", self.cr0), ("cr2", self.cr2), ("cr3", self.cr3), ("cr4", self.cr4)] {
            all.push((name.into(), value.into()));
        }
        for number in [0, 1, 2, 3, 6, 7] {
            all.push((format!("dr{number}"), self.dr[number].into()));
        }
        all.push(("tsc".into(), self.tsc().into()));
        for (name, value) in [
            ("sysenter_cs", u64::from(self.system.sysenter_cs)),
            ("sysenter_esp", self.system.sysenter_esp.into()),
            ("sysenter_eip", self.system.sysenter_eip.into()),
            ("efer", self.system.efer),
        ] {
            all.push((name.into(), value.into()));
        }
        all.push(("halted".into(), self.halted.into()));
        all.push(("interrupt_shadow".into(), self.shadow.into()));
        self.fpu.state(&mut all);
        self.sse.state(&mut all);
        all
    }

    /// Set what is named, or nothing. With EIP, HLT is over and no access is awaited. A selector alone, in real or virtual-8086 mode, sets its segment's base, too.
    pub fn set_state(&mut self, memory: &Memory, state: &[Named]) -> Result<(), Refused> {
        let snapshot = self.snapshot();
        for pass in 0..2 {
            for (name, value) in state {
                // Mode first, then what depends on it.
                let is_mode = matches!(name.as_str(), "cr0" | "cr4" | "eflags" | "efer" | "fsw");
                if is_mode == (pass == 0) {
                    if let Err(refused) = self.set_one(name, *value) {
                        self.restore(&snapshot)?;
                        return Err(refused);
                    }
                }
            }
        }
        for (name, value) in state.iter().filter(|(name, _)| name.contains('.')) {
            self.set_part(name, *value);
        }
        if !state.iter().any(|(name, _)| name == "cpl") {
            self.cpl = match (self.is_protected(), self.is_v86()) {
                (false, _) => 0,
                (true, true) => 3,
                (true, false) => (self.seg[CS].selector & 3) as u8,
            };
        }
        if state.iter().any(|(name, _)| matches!(name.as_str(), "cr0" | "cr3" | "cr4")) {
            let cr3 = self.cr3;
            // As far as the pointers can be loaded; what is wrong with them is the guest's affair.
            let _ = self.load_directory_pointers(memory, cr3);
        }
        if state.iter().any(|(name, _)| name == "eip") {
            self.halted = state.iter().any(|(name, value)| name == "halted" && *value != 0);
            self.asked = None;
            self.log.clear();
            self.log_at = 0;
        }
        self.forget_translations();
        self.debug_changed();
        Ok(())
    }

    fn set_one(&mut self, name: &str, value: u128) -> Result<(), Refused> {
        let word = value as u32;
        if let Some(register) = GENERAL.iter().position(|general| *general == name) {
            self.regs[register] = word;
            return Ok(());
        }
        if let Some(which) = SEGMENTS.iter().position(|segment| *segment == name) {
            self.set_selector(which, word as u16);
            return Ok(());
        }
        if self.fpu.set(name, value) || self.sse.set(name, value) {
            return Ok(());
        }
        match name {
            "eip" => self.eip = word,
            "eflags" => self.set_eflags(word & flags::KNOWN),
            "cpl" => self.cpl = word as u8 & 3,
            "ldtr" => self.ldtr.selector = word as u16,
            "tr" => self.tr.selector = word as u16,
            "cr0" => self.cr0 = word,
            "cr2" => self.cr2 = word,
            "cr3" => self.cr3 = word,
            "cr4" => self.cr4 = word,
            "dr0" | "dr1" | "dr2" | "dr3" | "dr6" | "dr7" => {
                let number = usize::from(name.as_bytes()[2] - b'0');
                self.set_dr(number, word);
            }
            "tsc" => self.set_tsc(value as u64),
            "sysenter_cs" => self.system.sysenter_cs = word,
            "sysenter_esp" => self.system.sysenter_esp = word,
            "sysenter_eip" => self.system.sysenter_eip = word,
            "efer" => self.system.efer = value as u64,
            "halted" => self.halted = word != 0,
            "interrupt_shadow" => self.shadow = word != 0,
            _ if self.part(name).is_some() => {}
            _ => return Err(Refused(format!("{name}: no register of an i386"))),
        }
        Ok(())
    }

    fn set_selector(&mut self, which: usize, selector: u16) {
        let mut segment = self.seg[which];
        segment.selector = selector;
        if !self.is_protected() || self.is_v86() {
            let rights = if self.is_v86() { V86_RIGHTS } else { REAL_RIGHTS };
            segment = Segment::new(selector, u32::from(selector) << 4, 0xffff, rights);
        }
        self.set_segment(which, segment);
    }

    /// `cs.base` and its like: which register, and which part of it.
    fn part(&self, name: &str) -> Option<(usize, u8)> {
        let (register, part) = name.split_once('.')?;
        let part = ["base", "limit", "rights"].iter().position(|known| *known == part)? as u8;
        let which = match register {
            "ldtr" => 6,
            "tr" => 7,
            "gdtr" if part < 2 => 8,
            "idtr" if part < 2 => 9,
            _ => SEGMENTS.iter().position(|segment| *segment == register)?,
        };
        Some((which, part))
    }

    fn set_part(&mut self, name: &str, value: u128) {
        let Some((which, part)) = self.part(name) else { return };
        let word = value as u32;
        let change = |segment: &mut Segment| match part {
            0 => segment.base = word,
            1 => segment.limit = word,
            _ => segment.rights = word & RIGHTS,
        };
        match which {
            0..6 => {
                let mut segment = self.seg[which];
                change(&mut segment);
                self.set_segment(which, segment);
            }
            6 => change(&mut self.ldtr),
            7 => change(&mut self.tr),
            _ => {
                let table = if which == 8 { &mut self.gdtr } else { &mut self.idtr };
                if part == 0 { table.base = word } else { table.limit = word & 0xffff }
            }
        }
    }

    /// The INTR pin.
    pub fn set_intr(&mut self, level: bool) {
        self.intr = level;
    }

    /// An edge of the NMI pin.
    pub fn nmi(&mut self) {
        self.nmi = true;
    }

    /// The A20M# pin, the other way round.
    pub fn set_a20(&mut self, on: bool) {
        if self.a20 != on {
            self.a20 = on;
            self.forget_translations();
        }
    }

    /// Deliver an interrupt before the next instruction.
    pub fn inject(&mut self, vector: u32) -> Result<(), Refused> {
        let vector = u8::try_from(vector).map_err(|_| Refused(format!("vector {vector}: 0 to 255 are expected")))?;
        if self.other_flags & flags::IF == 0 || self.shadow || self.injected.is_some() || self.asked.is_some() {
            return Err(Refused(format!("vector {vector}: interrupts are not possible now")));
        }
        self.injected = Some(vector);
        Ok(())
    }

    /// Exit instead of taking these exceptions.
    pub fn intercept(&mut self, vectors: &[u32]) -> Result<(), Refused> {
        let mut mask = [0u64; 4];
        for &vector in vectors {
            if vector > 255 {
                return Err(Refused(format!("exception {vector}: 0 to 255 are expected")));
            }
            mask[(vector >> 6) as usize] |= 1 << (vector & 63);
        }
        self.intercepted = mask;
        Ok(())
    }

    /// The processor has no timer of its own.
    pub fn next_timer(&self) -> Option<u64> {
        None
    }

    /// Let time pass without instructions.
    pub fn skip(&mut self, ticks: u64) -> Result<(), Refused> {
        if self.ticks().checked_add(ticks).is_none() {
            return Err(Refused(format!("skip of {ticks} ticks: more than there are")));
        }
        self.skipped += ticks;
        Ok(())
    }

    /// Where the linear address `va` is, for the present level.
    pub fn translate(&self, memory: &Memory, va: u32, access: Access) -> Option<u32> {
        self.look(memory, va, access, self.cpl == 3)
    }
}
