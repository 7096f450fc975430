//! SSE's state.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sse {
    pub(crate) xmm: [u128; 8],
    pub(crate) mxcsr: u32,
}

impl Default for Sse {
    fn default() -> Self {
        Sse { xmm: [0; 8], mxcsr: 0x1f80 }
    }
}

impl crate::state::Cpu {
    /// The bits of MXCSR that this model has.
    pub(crate) fn mxcsr_mask(&self) -> u32 {
        0xffbf
    }
}

impl Sse {
    /// For snapshots.
    pub(crate) fn fields(&mut self, _to: &mut dyn crate::snapshot::Fields) -> Result<(), crate::exit::Refused> {
        Ok(())
    }

    /// Registers by name.
    pub(crate) fn state(&self, _to: &mut Vec<crate::contract::Named>) {}

    /// Set one; false: there is none of this name.
    pub(crate) fn set(&mut self, _name: &str, _value: u128) -> bool {
        false
    }
}
