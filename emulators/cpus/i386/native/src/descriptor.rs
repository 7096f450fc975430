//! Descriptors of segments, system segments and gates, and the selectors that name them.
//!
//! Specification: SDM 3A, 3.4.2 (selectors), 3.4.5 (segments), 3.5 (system descriptors), 5.8.3 (call gates), 6.11 (IDT), 7.2 (TSS, task
//! gates). A descriptor is 8 octets; `low` and `high` are its two words as the manual draws them.

/// A selector's index and table, as error codes tell it.
pub(crate) const INDEX: u16 = 0xfffc;
/// In a selector: from the LDT.
const TI: u16 = 4;

/// The requested privilege level of a selector.
pub(crate) fn rpl(selector: u16) -> u8 {
    (selector & 3) as u8
}

/// No selector of a descriptor: the first one of the GDT.
pub(crate) fn is_null(selector: u16) -> bool {
    selector & INDEX == 0
}

/// Does a selector name the LDT?
pub(crate) fn is_local(selector: u16) -> bool {
    selector & TI != 0
}

/// In a descriptor's second word, and so in `Segment::rights`.
pub(crate) const ACCESSED: u32 = 1 << 8;
/// Data: writable. Code: readable.
pub(crate) const WRITABLE: u32 = 1 << 9;
pub(crate) const READABLE: u32 = 1 << 9;
/// Data: expand-down. Code: conforming.
pub(crate) const EXPAND_DOWN: u32 = 1 << 10;
pub(crate) const CONFORMING: u32 = 1 << 10;
pub(crate) const CODE: u32 = 1 << 11;
/// Clear: a system segment or gate.
pub(crate) const S: u32 = 1 << 12;
pub(crate) const PRESENT: u32 = 1 << 15;
/// D of code, B of data and stacks: 32 bits.
pub(crate) const BIG: u32 = 1 << 22;
pub(crate) const GRANULAR: u32 = 1 << 23;
/// What a segment's rights are: type, S, DPL, P, and AVL, L, D/B, G.
pub(crate) const RIGHTS: u32 = 0x00f0_ff00;

/// Types of system descriptors (SDM 3A, table 3-2).
pub(crate) const TSS16: u32 = 1;
pub(crate) const LDT: u32 = 2;
pub(crate) const CALL_GATE16: u32 = 4;
pub(crate) const TASK_GATE: u32 = 5;
pub(crate) const INTERRUPT_GATE16: u32 = 6;
pub(crate) const TRAP_GATE16: u32 = 7;
pub(crate) const TSS32: u32 = 9;
pub(crate) const CALL_GATE32: u32 = 12;
pub(crate) const INTERRUPT_GATE32: u32 = 14;
pub(crate) const TRAP_GATE32: u32 = 15;
/// In a TSS' type: busy.
pub(crate) const BUSY: u32 = 2;
/// In a gate's or TSS' type: of 32 bits.
pub(crate) const WIDE: u32 = 8;

/// Rights of a segment as a load in real mode or a reset leaves them: present, writable data, accessed.
pub(crate) const REAL_RIGHTS: u32 = PRESENT | S | WRITABLE | ACCESSED;
/// Of any segment in virtual-8086 mode: DPL 3.
pub(crate) const V86_RIGHTS: u32 = REAL_RIGHTS | 3 << 13;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub low: u32,
    pub high: u32,
}

impl Descriptor {
    pub(crate) fn new(raw: u64) -> Self {
        Descriptor { low: raw as u32, high: (raw >> 32) as u32 }
    }

    pub(crate) fn base(self) -> u32 {
        self.low >> 16 | (self.high & 0xff) << 16 | self.high & 0xff00_0000
    }

    /// In octets: the last offset (expand-up).
    pub(crate) fn limit(self) -> u32 {
        let limit = self.low & 0xffff | self.high & 0x000f_0000;
        if self.high & GRANULAR != 0 { limit << 12 | 0xfff } else { limit }
    }

    pub(crate) fn rights(self) -> u32 {
        self.high & RIGHTS
    }

    pub(crate) fn dpl(self) -> u8 {
        dpl(self.high)
    }

    pub(crate) fn is_present(self) -> bool {
        self.high & PRESENT != 0
    }

    /// A code or data segment, not a system segment or gate.
    pub(crate) fn is_segment(self) -> bool {
        self.high & S != 0
    }

    pub(crate) fn is_code(self) -> bool {
        self.high & (S | CODE) == S | CODE
    }

    pub(crate) fn is_conforming_code(self) -> bool {
        self.high & (S | CODE | CONFORMING) == S | CODE | CONFORMING
    }

    pub(crate) fn is_writable_data(self) -> bool {
        self.high & (S | CODE | WRITABLE) == S | WRITABLE
    }

    /// Data, or code that may be read.
    pub(crate) fn is_readable(self) -> bool {
        self.is_segment() && self.high & (CODE | READABLE) != CODE
    }

    /// The type of a system descriptor; None: a segment.
    pub(crate) fn system_type(self) -> Option<u32> {
        (!self.is_segment()).then_some(self.high >> 8 & 0xf)
    }

    /// A TSS that no task is in.
    pub(crate) fn is_available_tss(self) -> bool {
        matches!(self.system_type(), Some(TSS16 | TSS32))
    }

    /// A TSS that a task is in.
    pub(crate) fn is_busy_tss(self) -> bool {
        self.system_type().is_some_and(|kind| matches!(kind & !BUSY, TSS16 | TSS32) && kind & BUSY != 0)
    }

    /// A gate's target.
    pub(crate) fn gate_selector(self) -> u16 {
        (self.low >> 16) as u16
    }

    /// A gate's offset; of gates of 16 bits the upper half does not count.
    pub(crate) fn gate_offset(self) -> u32 {
        let upper = if self.high >> 8 & WIDE != 0 { self.high & 0xffff_0000 } else { 0 };
        self.low & 0xffff | upper
    }

    /// How many parameters a call gate copies.
    pub(crate) fn gate_parameters(self) -> u32 {
        self.high & 31
    }
}

/// The privilege level in rights.
pub(crate) fn dpl(rights: u32) -> u8 {
    (rights >> 13 & 3) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let flat = Descriptor::new(0x00cf_9a00_0000_ffff);
        assert_eq!((flat.base(), flat.limit(), flat.rights()), (0, u32::MAX, 0x00c0_9a00));
        assert!(flat.is_code() && flat.is_readable() && !flat.is_conforming_code() && !flat.is_writable_data());
        let odd = Descriptor::new(0x1245_f289_abcd_5678);
        assert_eq!((odd.base(), odd.limit(), odd.dpl()), (0x1289_abcd, 0x5_5678, 3));
        assert!(odd.is_writable_data() && odd.is_present());
        let gate = Descriptor::new(0x1234_ec05_0008_5678);
        assert_eq!(gate.system_type(), Some(CALL_GATE32));
        assert_eq!((gate.gate_selector(), gate.gate_offset(), gate.gate_parameters()), (8, 0x1234_5678, 5));
        assert_eq!(Descriptor::new(0x1234_e405_0008_5678).gate_offset(), 0x5678);
        assert!(Descriptor::new(0x0000_8b00_0000_0067).is_busy_tss());
        assert!(Descriptor::new(0x0000_8900_0000_0067).is_available_tss());
        assert!(!Descriptor::new(0x0000_8200_0000_0067).is_busy_tss(), "an LDT is no TSS");
    }
}
