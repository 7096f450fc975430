//! MSR and the special-purpose registers: PEM chapter 2; MPC750UM, MPC604EUM and MPC7400UM chapter 2 for the models' own.
//!
//! What the models' own registers control (caches, power, performance counters, thermal management, parity) is not
//! there: they hold what was written. The performance counters stand still, L2CR's invalidation is done at once, and
//! the thermal registers say that no threshold was passed.

use crate::access::Stop;
use crate::exception::{ILLEGAL, PRIVILEGED};
use crate::msr;
use crate::soft::{REAL, SUPERVISOR, USER};
use crate::table::VECTOR;
use crate::{Cpu, Model};

/// HID0: doze, nap or sleep is chosen (MPC750UM table 2-4).
const HID0_POWER_SAVING: u32 = 7 << 21;
/// HID0: the instruction cache's and the data cache's flash invalidation, which are done at once.
const HID0_FLASH: u32 = 3 << 10;
/// L2CR: global invalidation, which is done at once, and its progress.
const L2CR_INVALIDATE: u32 = 1 << 21 | 1;

/// Registers that hold what was written: name, number, the models that have it.
pub(crate) const PLAIN: [(&str, u16, &[Model]); 24] = [
    ("ear", 282, ALL),
    ("hid0", 1008, ALL),
    ("hid1", 1009, &[Model::M750, Model::M7400]),
    ("iabr", 1010, ALL),
    ("pir", 1023, &[Model::M604, Model::M7400]),
    ("mmcr0", 952, ALL),
    ("pmc1", 953, ALL),
    ("pmc2", 954, ALL),
    ("sia", 955, ALL),
    ("mmcr1", 956, ALL),
    ("pmc3", 957, ALL),
    ("pmc4", 958, ALL),
    ("sda", 959, &[Model::M604, Model::M7400]),
    ("l2cr", 1017, &[Model::M750, Model::M7400]),
    ("ictc", 1019, &[Model::M750, Model::M7400]),
    ("thrm1", 1020, &[Model::M750, Model::M7400]),
    ("thrm2", 1021, &[Model::M750, Model::M7400]),
    ("thrm3", 1022, &[Model::M750, Model::M7400]),
    ("vrsave", 256, &[Model::M7400]),
    ("mmcr2", 944, &[Model::M7400]),
    ("bamr", 951, &[Model::M7400]),
    ("msscr0", 1014, &[Model::M7400]),
    ("msscr1", 1015, &[Model::M7400]),
    ("l2pmcr", 1016, &[Model::M7400]),
];
const ALL: &[Model] = &[Model::M750, Model::M604, Model::M7400];
pub(crate) const EAR: usize = 0;
const HID0: usize = 1;
pub(crate) const IABR: usize = 3;
const L2CR: usize = 13;

/// User's copies of the performance monitor's registers: number, what they show.
const USER_COPIES: [(u16, u16); 9] =
    [(936, 952), (937, 953), (938, 954), (939, 955), (940, 956), (941, 957), (942, 958), (928, 944), (935, 951)];

impl Cpu {
    fn plain(&self, number: u16) -> Option<usize> {
        let model = self.options.model;
        PLAIN.iter().position(|&(_, other, models)| other == number && models.contains(&model))
    }

    /// Is AltiVec there?
    pub(crate) fn has_vectors(&self) -> bool {
        self.options.model.has() & VECTOR != 0
    }

    /// Set MSR, as far as it can be, and what follows from it.
    pub(crate) fn set_msr(&mut self, value: u32) {
        let vector = if self.has_vectors() { msr::VEC } else { 0 };
        self.msr = value & (msr::WRITABLE | vector);
        let part = |translated: u32| match (self.msr & translated != 0, self.msr & msr::PR != 0) {
            (false, _) => REAL,
            (true, false) => SUPERVISOR,
            (true, true) => USER,
        };
        self.fetch_part = part(msr::IR);
        self.data_part = part(msr::DR);
    }

    /// Does MSR[POW] stop the processor?
    pub(crate) fn dozes(&self) -> bool {
        self.msr & msr::POW != 0 && self.plain[HID0] & HID0_POWER_SAVING != 0
    }

    pub(crate) fn is_user(&self) -> bool {
        self.msr & msr::PR != 0
    }

    /// For instructions that only the supervisor may execute.
    pub(crate) fn need_supervisor(&self) -> Result<(), Stop> {
        if self.is_user() { Err(PRIVILEGED.into()) } else { Ok(()) }
    }

    pub(crate) fn xer(&self) -> u32 {
        u32::from(self.so) << 31 | u32::from(self.ov) << 30 | self.ca << 29 | u32::from(self.count)
    }

    pub(crate) fn set_xer(&mut self, value: u32) {
        self.so = (value >> 31) as u8;
        self.ov = value >> 30 & 1 != 0;
        self.ca = value >> 29 & 1;
        self.count = (value & 0x7f) as u8;
    }

    pub(crate) fn cr(&self) -> u32 {
        self.cr.iter().fold(0, |cr, &field| cr << 4 | u32::from(field))
    }

    pub(crate) fn set_cr(&mut self, value: u32) {
        for (n, field) in self.cr.iter_mut().enumerate() {
            *field = (value >> (28 - 4 * n) & 15) as u8;
        }
    }

    /// A register as MFSPR sees it; None: the model has none with this number.
    pub(crate) fn read_spr(&self, number: u16) -> Option<u32> {
        Some(match number {
            1 => self.xer(),
            8 => self.lr,
            9 => self.ctr,
            18 => self.dsisr,
            19 => self.dar,
            22 => self.dec(),
            25 => self.sdr1,
            // What mftb reads; processors here answer mfspr, too.
            268 => self.tb() as u32,
            269 => (self.tb() >> 32) as u32,
            26 => self.srr0,
            27 => self.srr1,
            272..=275 => self.sprg[usize::from(number - 272)],
            287 => self.options.model.pvr(),
            528..=535 => half(self.ibat[usize::from(number - 528) / 2], number),
            536..=543 => half(self.dbat[usize::from(number - 536) / 2], number),
            1013 => self.dabr,
            _ => {
                let copied = USER_COPIES.iter().find(|copy| copy.0 == number).map_or(number, |copy| copy.1);
                self.plain[self.plain(copied)?]
            }
        })
    }

    /// MTSPR; false: the model has none with this number.
    pub(crate) fn write_spr(&mut self, number: u16, value: u32) -> bool {
        match number {
            1 => self.set_xer(value),
            8 => self.lr = value,
            9 => self.ctr = value,
            18 => self.dsisr = value,
            19 => self.dar = value,
            22 => self.set_dec(value),
            25 => {
                self.sdr1 = value & 0xffff_01ff;
                self.soft.forget();
            }
            26 => self.srr0 = value,
            27 => self.srr1 = value,
            272..=275 => self.sprg[usize::from(number - 272)] = value,
            284 => self.set_tb(self.tb() & 0xffff_ffff_0000_0000 | u64::from(value)),
            285 => self.set_tb(self.tb() & 0xffff_ffff | u64::from(value) << 32),
            287 => {}
            528..=535 => {
                set_half(&mut self.ibat[usize::from(number - 528) / 2], number, value);
                self.soft.forget();
            }
            536..=543 => {
                set_half(&mut self.dbat[usize::from(number - 536) / 2], number, value);
                self.soft.forget();
            }
            1013 => {
                self.dabr = value;
                self.soft.forget();
            }
            _ => {
                let Some(at) = self.plain(number) else { return false };
                self.plain[at] = match at {
                    HID0 => value & !HID0_FLASH,
                    L2CR => value & !L2CR_INVALIDATE,
                    _ => value,
                };
            }
        }
        true
    }

    /// What MFSPR answers, or why not. Bit 4 of the number's upper half says who may (PEM §8.2, mfspr).
    pub(crate) fn mfspr(&self, number: u16) -> Result<u32, Stop> {
        if number & 0x10 != 0 {
            self.need_supervisor()?;
        }
        self.read_spr(number).ok_or(ILLEGAL.into())
    }

    pub(crate) fn mtspr(&mut self, number: u16, value: u32) -> Result<(), Stop> {
        if number & 0x10 != 0 {
            self.need_supervisor()?;
        }
        let is_copy = USER_COPIES.iter().any(|copy| copy.0 == number);
        if is_copy || !self.write_spr(number, value) {
            return Err(ILLEGAL.into());
        }
        // Time, mappings and breakpoints are looked at between instructions.
        Err(Stop::Retired)
    }
}

fn half(bat: crate::mmu::Bat, number: u16) -> u32 {
    if number & 1 == 0 { bat.upper } else { bat.lower }
}

fn set_half(bat: &mut crate::mmu::Bat, number: u16, value: u32) {
    if number & 1 == 0 {
        bat.upper = value & 0xfffe_1fff;
    } else {
        bat.lower = value & 0xfffe_007b;
    }
}
