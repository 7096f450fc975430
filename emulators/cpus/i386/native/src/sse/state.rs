//! SSE's registers. Intel SDM volume 1, §10.2.

use super::mxcsr::{self, MXCSR_MASK_DAZ};
use crate::exit::Refused;
use engine_contract::saved::{Fields, damaged};

/// XMM0 to XMM7 and MXCSR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sse {
    pub xmm: [u128; 8],
    pub mxcsr: u32,
}

impl Default for Sse {
    fn default() -> Self {
        Sse { xmm: [0; 8], mxcsr: mxcsr::DEFAULT }
    }
}

impl Sse {
    /// For snapshots.
    pub(crate) fn fields(&mut self, to: &mut dyn Fields) -> Result<(), Refused> {
        for register in &mut self.xmm {
            to.u128(register)?;
        }
        to.u32(&mut self.mxcsr)?;
        if self.mxcsr & !MXCSR_MASK_DAZ != 0 {
            return Err(damaged("bits of MXCSR that there are not"));
        }
        Ok(())
    }

    /// Registers by name.
    pub(crate) fn state(&self, to: &mut Vec<(String, u128)>) {
        for (number, register) in self.xmm.iter().enumerate() {
            to.push((format!("xmm{number}"), *register));
        }
        to.push(("mxcsr".into(), self.mxcsr.into()));
    }

    /// Set one; false: there is none of this name.
    pub(crate) fn set(&mut self, name: &str, value: u128) -> bool {
        if name == "mxcsr" {
            self.mxcsr = value as u32 & MXCSR_MASK_DAZ;
            return true;
        }
        let number = name.strip_prefix("xmm").and_then(|number| number.parse::<usize>().ok());
        let Some(register) = number.and_then(|number| self.xmm.get_mut(number)) else {
            return false;
        };
        *register = value;
        true
    }
}
