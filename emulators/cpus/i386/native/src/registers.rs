//! System registers and the instructions that are privileged for their sake.
//!
//! Specification: SDM 3A, 2.4 (system registers), 2.5 (control registers), 17.2 (debug registers); SDM 2A and 2B for each
//! instruction's checks.
//!
//! Caches do not exist here: INVD and WBINVD check the level and do nothing; CD and NW are stored.

use crate::control_registers::{
    CR0_CD, CR0_EM, CR0_ET, CR0_KNOWN, CR0_MP, CR0_NW, CR0_PE, CR0_PG, CR0_TS, CR0_WP, CR4_DE, CR4_OSFXSR,
    CR4_OSXMMEXCPT, CR4_PAE, CR4_PGE, CR4_PSE, CR4_TSD, DR6_BD, DR6_ONES, DR6_WRITABLE, DR7_GD, DR7_ONES, DR7_ZEROS,
};
use crate::descriptor::{
    ACCESSED, BIG, BUSY, CALL_GATE16, CALL_GATE32, CODE, Descriptor, GRANULAR, LDT, PRESENT, S, TASK_GATE, TSS16,
    TSS32, WRITABLE, is_local, is_null, rpl,
};
use crate::exit::Stop;
use crate::flags::{IF, RF, VM};
use crate::model;
use crate::state::{Cpu, SS, Segment};
use crate::vectors::{DB, GP, NP};
use guest_memory::Memory;

impl Cpu {
    /// What only level 0 may do.
    pub(crate) fn check_supervisor(&mut self) -> Result<(), Stop> {
        if self.cpl != 0 { Err(self.fault(GP, 0)) } else { Ok(()) }
    }

    /// What real and virtual-8086 mode do not know.
    pub(crate) fn check_protected(&mut self) -> Result<(), Stop> {
        if !self.is_protected() || self.is_v86() { Err(self.ud()) } else { Ok(()) }
    }

    /// MOV from a control register.
    pub(crate) fn read_cr(&mut self, number: u8) -> Result<u32, Stop> {
        let value = match number {
            0 => self.cr0,
            2 => self.cr2,
            3 => self.cr3,
            4 => self.cr4,
            _ => return Err(self.ud()),
        };
        self.check_supervisor()?;
        Ok(value)
    }

    /// MOV to a control register.
    pub(crate) fn write_cr(&mut self, memory: &mut Memory, number: u8, value: u32) -> Result<(), Stop> {
        if !matches!(number, 0 | 2 | 3 | 4) {
            return Err(self.ud());
        }
        self.check_supervisor()?;
        match number {
            0 => self.write_cr0(memory, value),
            2 => {
                self.cr2 = value;
                Ok(())
            }
            3 => self.load_cr3(memory, value),
            _ => self.write_cr4(memory, value),
        }
    }

    fn write_cr0(&mut self, memory: &mut Memory, value: u32) -> Result<(), Stop> {
        let value = value & CR0_KNOWN | CR0_ET;
        let impossible = value & (CR0_PG | CR0_PE) == CR0_PG || value & (CR0_NW | CR0_CD) == CR0_NW;
        if impossible {
            return Err(self.fault(GP, 0));
        }
        let changed = self.cr0 ^ value;
        if changed & value & CR0_PG != 0 && self.cr4 & CR4_PAE != 0 {
            self.load_directory_pointers(memory, self.cr3)?;
        }
        self.cr0 = value;
        if changed & (CR0_PG | CR0_WP | CR0_PE) != 0 {
            self.forget_translations();
        }
        self.mode_changed();
        Ok(())
    }

    /// Load CR3: translations that are not global are forgotten.
    pub(crate) fn load_cr3(&mut self, memory: &mut Memory, value: u32) -> Result<(), Stop> {
        if self.is_paging() && self.cr4 & CR4_PAE != 0 {
            self.load_directory_pointers(memory, value)?;
        }
        self.cr3 = value;
        self.forget_local_translations();
        Ok(())
    }

    fn write_cr4(&mut self, memory: &mut Memory, value: u32) -> Result<(), Stop> {
        let mut known = 0;
        for (feature, bits) in [
            (model::TSC, CR4_TSD),
            (model::DE, CR4_DE),
            (model::PSE, CR4_PSE),
            (model::PAE, CR4_PAE),
            (model::PGE, CR4_PGE),
            (model::FXSR, CR4_OSFXSR),
            (model::SSE, CR4_OSXMMEXCPT),
        ] {
            if self.model.has(feature) {
                known |= bits;
            }
        }
        if value & !known != 0 {
            return Err(self.fault(GP, 0));
        }
        let changed = self.cr4 ^ value;
        if self.is_paging() && value & CR4_PAE != 0 && changed & (CR4_PAE | CR4_PGE | CR4_PSE) != 0 {
            self.load_directory_pointers(memory, self.cr3)?;
        }
        self.cr4 = value;
        if changed & (CR4_PAE | CR4_PGE | CR4_PSE) != 0 {
            self.forget_translations();
        }
        self.mode_changed();
        Ok(())
    }

    /// LMSW: may set PE, never clear it.
    pub(crate) fn lmsw(&mut self, memory: &mut Memory, value: u16) -> Result<(), Stop> {
        self.check_supervisor()?;
        let value = u32::from(value) & (CR0_PE | CR0_MP | CR0_EM | CR0_TS);
        let kept = self.cr0 & !(CR0_MP | CR0_EM | CR0_TS);
        self.write_cr0(memory, kept | value)
    }

    /// CLTS.
    pub(crate) fn clts(&mut self) -> Result<(), Stop> {
        self.check_supervisor()?;
        self.cr0 &= !CR0_TS;
        self.mode_changed();
        Ok(())
    }

    /// Which debug register a number means; the checks that every access to one has.
    fn debug_register(&mut self, number: u8) -> Result<usize, Stop> {
        let number = match number {
            4 | 5 if self.cr4 & CR4_DE != 0 => return Err(self.ud()),
            4 | 5 => number + 2,
            _ => number,
        };
        self.check_supervisor()?;
        if self.dr[7] & DR7_GD != 0 {
            self.dr[6] |= DR6_BD;
            self.dr[7] &= !DR7_GD;
            return Err(self.fault_without_code(DB));
        }
        Ok(number.into())
    }

    /// MOV from a debug register.
    pub(crate) fn read_dr(&mut self, number: u8) -> Result<u32, Stop> {
        let register = self.debug_register(number)?;
        Ok(self.dr[register])
    }

    /// MOV to a debug register.
    pub(crate) fn write_dr(&mut self, number: u8, value: u32) -> Result<(), Stop> {
        let register = self.debug_register(number)?;
        self.set_dr(register, value);
        Ok(())
    }

    /// A debug register's value, with the bits that it cannot change as they are.
    pub(crate) fn set_dr(&mut self, register: usize, value: u32) {
        self.dr[register] = match register {
            6 => value & DR6_WRITABLE | DR6_ONES,
            7 => value & !DR7_ZEROS | DR7_ONES,
            _ => value,
        };
        self.debug_changed();
    }

    /// LLDT.
    pub(crate) fn lldt(&mut self, memory: &mut Memory, selector: u16) -> Result<(), Stop> {
        self.check_protected()?;
        self.check_supervisor()?;
        if is_null(selector) {
            self.ldtr = Segment::null(selector);
            return Ok(());
        }
        if is_local(selector) {
            return Err(self.selector_fault(GP, selector));
        }
        let (_, descriptor) = self.descriptor(memory, selector, GP)?;
        if descriptor.system_type() != Some(LDT) {
            return Err(self.selector_fault(GP, selector));
        }
        if !descriptor.is_present() {
            return Err(self.selector_fault(NP, selector));
        }
        self.ldtr = Segment::of(selector, descriptor);
        Ok(())
    }

    /// LTR.
    pub(crate) fn ltr(&mut self, memory: &mut Memory, selector: u16) -> Result<(), Stop> {
        self.check_protected()?;
        self.check_supervisor()?;
        if is_null(selector) {
            return Err(self.fault(GP, 0));
        }
        let (at, mut descriptor) = self.task_descriptor(memory, selector)?;
        descriptor.high |= BUSY << 8;
        self.store_system::<u8>(memory, at.wrapping_add(5), (descriptor.high >> 8) as u8)?;
        self.tr = Segment::of(selector, descriptor);
        Ok(())
    }

    /// The descriptor that LAR, LSL, VERR or VERW look at, if the present level may see it.
    fn visible(&mut self, memory: &mut Memory, selector: u16) -> Result<Option<Descriptor>, Stop> {
        self.check_protected()?;
        if is_null(selector) {
            return Ok(None);
        }
        let Some((_, descriptor)) = self.find_descriptor(memory, selector)? else { return Ok(None) };
        let dpl = descriptor.dpl();
        let seen = descriptor.is_conforming_code() || (self.cpl <= dpl && rpl(selector) <= dpl);
        Ok(seen.then_some(descriptor))
    }

    /// LAR: the second word's rights, if there are any to be seen.
    pub(crate) fn access_rights(&mut self, memory: &mut Memory, selector: u16) -> Result<Option<u32>, Stop> {
        let found = self.visible(memory, selector)?.filter(|descriptor| match descriptor.system_type() {
            None => true,
            Some(kind) => {
                matches!(kind & !BUSY, TSS16 | TSS32) || matches!(kind, LDT | CALL_GATE16 | CALL_GATE32 | TASK_GATE)
            }
        });
        Ok(found.map(|descriptor| descriptor.high & 0x00f0_ff00))
    }

    /// LSL: a segment's limit in octets.
    pub(crate) fn segment_limit(&mut self, memory: &mut Memory, selector: u16) -> Result<Option<u32>, Stop> {
        let found = self.visible(memory, selector)?.filter(|descriptor| match descriptor.system_type() {
            None => true,
            Some(kind) => matches!(kind & !BUSY, TSS16 | TSS32) || kind == LDT,
        });
        Ok(found.map(Descriptor::limit))
    }

    /// VERR, or VERW if `write`.
    pub(crate) fn verify(&mut self, memory: &mut Memory, selector: u16, write: bool) -> Result<bool, Stop> {
        let found = self.visible(memory, selector)?;
        Ok(found.is_some_and(|descriptor| if write { descriptor.is_writable_data() } else { descriptor.is_readable() }))
    }

    /// A segment of 4 GiB, as SYSENTER and SYSEXIT make them without a descriptor.
    fn flat(selector: u16, kind: u32, dpl: u8) -> Segment {
        let rights = kind | ACCESSED | S | PRESENT | BIG | GRANULAR | u32::from(dpl) << 13;
        Segment::new(selector, 0, u32::MAX, rights)
    }

    /// SYSENTER.
    pub(crate) fn sysenter(&mut self) -> Result<(), Stop> {
        if !self.model.has(model::SEP) {
            return Err(self.ud());
        }
        let selector = self.system.sysenter_cs as u16 & !3;
        if !self.is_protected() || selector == 0 {
            return Err(self.fault(GP, 0));
        }
        self.set_eflags(self.eflags() & !(VM | IF | RF));
        self.set_segment(SS, Self::flat(selector.wrapping_add(8), WRITABLE, 0));
        self.regs[4] = self.system.sysenter_esp;
        self.enter_code(Self::flat(selector, CODE | WRITABLE, 0), 0, self.system.sysenter_eip);
        Ok(())
    }

    /// SYSEXIT.
    pub(crate) fn sysexit(&mut self) -> Result<(), Stop> {
        if !self.model.has(model::SEP) {
            return Err(self.ud());
        }
        let selector = self.system.sysenter_cs as u16 & !3;
        if !self.is_protected() || self.cpl != 0 || selector == 0 {
            return Err(self.fault(GP, 0));
        }
        let code = selector.wrapping_add(16) | 3;
        self.set_segment(SS, Self::flat(selector.wrapping_add(24) | 3, WRITABLE, 3));
        self.regs[4] = self.regs[1];
        self.enter_code(Self::flat(code, CODE | WRITABLE, 3), 3, self.regs[2]);
        Ok(())
    }
}
