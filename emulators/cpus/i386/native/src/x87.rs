//! The x87 unit's state.

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fpu {}

impl Fpu {
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
