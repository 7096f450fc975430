//! MXCSR: what it holds, and what a computation's exceptions make of it.
//!
//! Intel SDM volume 1, §10.2.3 (the register), §11.5 (exceptions).

/// MXCSR's flags that are told apart here: SDM volume 1, figure 10-3.
pub const IE: u32 = 1;
pub const DE: u32 = 2;
pub const ZE: u32 = 4;
pub const OE: u32 = 8;
pub const UE: u32 = 16;
pub const PE: u32 = 32;
pub const FLAGS: u32 = 0x3f;
pub const DAZ: u32 = 0x40;
/// The masks: the flags' bits, seven places up.
pub const MASKS: u32 = 0x1f80;
pub const UM: u32 = UE << 7;
pub const ROUNDING: u32 = 0x6000;
pub const FTZ: u32 = 0x8000;
/// After a reset.
pub const DEFAULT: u32 = MASKS;

/// MXCSR's bits without denormals-are-zeros, which Pentium III has not. SDM volume 1, §11.6.6.
pub(crate) const MXCSR_MASK: u32 = 0xffbf;
/// And with.
pub(crate) const MXCSR_MASK_DAZ: u32 = 0xffff;

/// The control word of a computation for the guest's `mxcsr`.
#[inline(always)]
pub(super) fn control(mxcsr: u32) -> u32 {
    let kept = if mxcsr & UM == 0 { ROUNDING | DAZ } else { ROUNDING | DAZ | FTZ };
    mxcsr & kept | MASKS
}

/// Enters what a computation raised into MXCSR. True if an unmasked exception is to be taken, the result not stored.
///
/// SDM volume 1, §11.5.2: if invalid operation, denormal operand or division by zero is unmasked and raised, nothing is
/// computed, so the flags that tell about results are not raised.
#[inline(always)]
#[must_use]
pub fn settle(mxcsr: &mut u32, raised: u32) -> bool {
    let raised = raised & FLAGS;
    let unmasked = !(*mxcsr >> 7);
    if raised & unmasked & (IE | DE | ZE) != 0 {
        *mxcsr |= raised & (IE | DE | ZE);
        return true;
    }
    *mxcsr |= raised;
    raised & unmasked & FLAGS != 0
}
