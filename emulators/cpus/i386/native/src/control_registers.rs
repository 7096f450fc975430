//! Bits of the control registers, of EFER and of the debug registers, and what a reset leaves in them.
//!
//! Specification: SDM 3A, 2.5 (control registers), 2.2.1 (EFER), 17.2 (debug registers).

pub(crate) const CR0_PE: u32 = 1;
pub(crate) const CR0_MP: u32 = 1 << 1;
pub(crate) const CR0_EM: u32 = 1 << 2;
pub(crate) const CR0_TS: u32 = 1 << 3;
pub(crate) const CR0_ET: u32 = 1 << 4;
pub(crate) const CR0_NE: u32 = 1 << 5;
pub(crate) const CR0_WP: u32 = 1 << 16;
pub(crate) const CR0_AM: u32 = 1 << 18;
pub(crate) const CR0_NW: u32 = 1 << 29;
pub(crate) const CR0_CD: u32 = 1 << 30;
pub(crate) const CR0_PG: u32 = 1 << 31;
pub(crate) const CR0_KNOWN: u32 =
    CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;

pub(crate) const CR4_TSD: u32 = 1 << 2;
pub(crate) const CR4_DE: u32 = 1 << 3;
pub(crate) const CR4_PSE: u32 = 1 << 4;
pub(crate) const CR4_PAE: u32 = 1 << 5;
pub(crate) const CR4_PGE: u32 = 1 << 7;
pub(crate) const CR4_OSFXSR: u32 = 1 << 9;
pub(crate) const CR4_OSXMMEXCPT: u32 = 1 << 10;

pub(crate) const EFER_NXE: u64 = 1 << 11;

/// DR6: B0…B3, BD, BS, BT can be written; the others are ones, but for bit 12.
pub(crate) const DR6_WRITABLE: u32 = 0xe00f;
pub(crate) const DR6_ONES: u32 = 0xffff_0ff0;
pub(crate) const DR6_BD: u32 = 1 << 13;
pub(crate) const DR6_BS: u32 = 1 << 14;
/// DR7: reserved bits that are zero, and the one that is one.
pub(crate) const DR7_ZEROS: u32 = 0xd800;
pub(crate) const DR7_ONES: u32 = 1 << 10;
pub(crate) const DR7_GD: u32 = 1 << 13;

/// After a reset (SDM 3A, table 9-1).
pub(crate) const CR0_AT_RESET: u32 = CR0_CD | CR0_NW | CR0_ET;
pub(crate) const DR6_AT_RESET: u32 = DR6_ONES;
pub(crate) const DR7_AT_RESET: u32 = DR7_ONES;
