//! The exceptions' vectors: SDM 3A, table 6-1.

pub(crate) const DE: u8 = 0;
pub(crate) const DB: u8 = 1;
pub(crate) const NMI: u8 = 2;
pub(crate) const BP: u8 = 3;
pub(crate) const OF: u8 = 4;
pub(crate) const BR: u8 = 5;
pub(crate) const UD: u8 = 6;
pub(crate) const NM: u8 = 7;
pub(crate) const DF: u8 = 8;
pub(crate) const TS: u8 = 10;
pub(crate) const NP: u8 = 11;
pub(crate) const SS_FAULT: u8 = 12;
pub(crate) const GP: u8 = 13;
pub(crate) const PF: u8 = 14;
pub(crate) const MF: u8 = 16;
pub(crate) const AC_FAULT: u8 = 17;
pub(crate) const XM: u8 = 19;
