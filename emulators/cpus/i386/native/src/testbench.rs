//! A processor in protected mode with tables to go about in, for the tests of protection.

use crate::control_registers::CR0_PE;
use crate::exit::Stop;
use crate::model::{Model, Options};
use crate::state::{CS, Cpu, DS, ES, FS, GS, SS};
use guest_memory::Memory;

pub(crate) const GDT: u32 = 0x1000;
pub(crate) const IDT: u32 = 0x2000;
pub(crate) const TSS: u32 = 0x3000;
pub(crate) const OTHER_TSS: u32 = 0x3200;
pub(crate) const SMALL_TSS: u32 = 0x3400;
pub(crate) const LDT: u32 = 0x3600;
/// Of each level: where its stack begins.
pub(crate) const STACKS: [u32; 4] = [0x8000, 0x9000, 0xa000, 0xb000];
/// Where code of each level is.
pub(crate) const CODE_AT: u32 = 0x5000;

/// Selectors. Those of the LDT have bit 2.
pub(crate) const CODE0: u16 = 0x08;
pub(crate) const DATA0: u16 = 0x10;
pub(crate) const CODE3: u16 = 0x1b;
pub(crate) const DATA3: u16 = 0x23;
pub(crate) const TSS_BUSY: u16 = 0x28;
pub(crate) const TSS_OTHER: u16 = 0x30;
pub(crate) const TSS_SMALL: u16 = 0x38;
pub(crate) const LDT0: u16 = 0x40;
pub(crate) const CONFORMING: u16 = 0x48;
pub(crate) const GATE: u16 = 0x50;
pub(crate) const GATE16: u16 = 0x58;
pub(crate) const TASK: u16 = 0x60;
pub(crate) const CODE1: u16 = 0x69;
pub(crate) const DATA1: u16 = 0x71;
pub(crate) const ABSENT_DATA: u16 = 0x78;
pub(crate) const BLIND_CODE: u16 = 0x80;
pub(crate) const SMALL_STACK: u16 = 0x88;
pub(crate) const DOWN: u16 = 0x90;
pub(crate) const ABSENT_CODE: u16 = 0x98;
pub(crate) const GATE0: u16 = 0xa0;
pub(crate) const GATE_TO_1: u16 = 0xa8;
pub(crate) const READONLY: u16 = 0xb0;
pub(crate) const ABSENT_GATE: u16 = 0xb8;
pub(crate) const TSS_SHORT: u16 = 0xc0;
pub(crate) const CODE16: u16 = 0xc8;
pub(crate) const LAST: u16 = 0xc8;
pub(crate) const LOCAL_DATA: u16 = 0x0c;
/// Where gates lead.
pub(crate) const GATE_EIP: u32 = 0x6000;

/// A segment's descriptor; `flags` as in the second word's bits 23–20.
pub(crate) fn segment(base: u32, limit: u32, access: u32, flags: u32) -> u64 {
    let low = base << 16 | limit & 0xffff;
    let high = base & 0xff00_0000 | flags << 20 | limit & 0xf_0000 | access << 8 | base >> 16 & 0xff;
    u64::from(low) | u64::from(high) << 32
}

pub(crate) fn gate(selector: u16, offset: u32, access: u32, count: u32) -> u64 {
    let low = u32::from(selector) << 16 | offset & 0xffff;
    let high = offset & 0xffff_0000 | access << 8 | count;
    u64::from(low) | u64::from(high) << 32
}

pub(crate) struct Bench {
    pub cpu: Cpu,
    pub memory: Memory,
}

/// What an exception is told by.
pub(crate) type Fault = (u8, Option<u32>);

impl Bench {
    /// Level 0, 32 bits, flat segments.
    pub(crate) fn new() -> Self {
        Self::of("pentium3", Options::default())
    }

    pub(crate) fn of(name: &str, options: Options) -> Self {
        let mut memory = Memory::new().unwrap();
        memory.add(0, 0x10_0000, false).unwrap();
        let model = Model::find(name, options).unwrap();
        let mut bench = Bench { cpu: Cpu::new(model, false), memory };
        for (selector, descriptor) in [
            (CODE0, segment(0, 0xfffff, 0x9a, 0xc)),
            (DATA0, segment(0, 0xfffff, 0x92, 0xc)),
            (CODE3, segment(0, 0xfffff, 0xfa, 0xc)),
            (DATA3, segment(0, 0xfffff, 0xf2, 0xc)),
            (TSS_BUSY, segment(TSS, 0x167, 0x89, 0)),
            (TSS_OTHER, segment(OTHER_TSS, 0x67, 0x89, 0)),
            (TSS_SMALL, segment(SMALL_TSS, 0x2b, 0x81, 0)),
            (LDT0, segment(LDT, 0x1f, 0x82, 0)),
            (CONFORMING, segment(0, 0xfffff, 0x9e, 0xc)),
            (GATE, gate(CODE0, GATE_EIP, 0xec, 2)),
            (GATE16, gate(CODE0, GATE_EIP, 0xe4, 2)),
            (TASK, gate(TSS_OTHER, 0, 0xe5, 0)),
            (CODE1, segment(0, 0xfffff, 0xba, 0xc)),
            (DATA1, segment(0, 0xfffff, 0xb2, 0xc)),
            (ABSENT_DATA, segment(0, 0xfffff, 0x12, 0xc)),
            (BLIND_CODE, segment(0, 0xfffff, 0x98, 0xc)),
            (SMALL_STACK, segment(0x7_0000, 0xffff, 0x92, 0)),
            (DOWN, segment(0, 0x7ff, 0x96, 0)),
            (ABSENT_CODE, segment(0, 0xfffff, 0x1a, 0xc)),
            (GATE0, gate(CODE0, GATE_EIP, 0x8c, 0)),
            (GATE_TO_1, gate(CODE1, GATE_EIP, 0xec, 0)),
            (READONLY, segment(0, 0xfffff, 0x90, 0xc)),
            (ABSENT_GATE, gate(CODE0, GATE_EIP, 0x6c, 0)),
            (TSS_SHORT, segment(OTHER_TSS, 0x66, 0x89, 0)),
            (CODE16, segment(0, 0xffff, 0x9a, 0)),
        ] {
            bench.put64(GDT + u32::from(selector & !7), descriptor);
        }
        bench.put64(LDT + 8, segment(0, 0xfffff, 0x92, 0xc));
        for (level, stack) in (0..3).zip(STACKS) {
            bench.put32(TSS + 4 + level * 8, stack);
            bench.put32(TSS + 8 + level * 8, [DATA0, DATA1, 0][level as usize].into());
        }
        let cpu = &mut bench.cpu;
        (cpu.gdtr.base, cpu.gdtr.limit) = (GDT, u32::from(LAST) + 7);
        (cpu.idtr.base, cpu.idtr.limit) = (IDT, 0x7ff);
        cpu.cr0 |= CR0_PE;
        cpu.set_eflags(2);
        cpu.eip = CODE_AT;
        cpu.regs[4] = STACKS[0];
        cpu.mode_changed();
        bench.ok(|cpu, memory| cpu.ltr(memory, TSS_BUSY));
        bench.go(0);
        bench
    }

    /// Be at level 0, 1 or 3, with a stack and data segments of it.
    pub(crate) fn go(&mut self, level: u8) {
        let (code, data) = [(CODE0, DATA0), (CODE1, DATA1), (0, 0), (CODE3, DATA3)][usize::from(level)];
        self.cpu.cpl = level;
        let code = self.cpu.code_segment(&mut self.memory, code, level, 13).unwrap();
        self.cpu.set_segment(CS, code);
        for which in [SS, DS, ES, FS, GS] {
            self.cpu.load_segment(&mut self.memory, which, data).unwrap();
        }
        self.cpu.regs[4] = STACKS[usize::from(level)];
        self.cpu.mode_changed();
    }

    pub(crate) fn put64(&mut self, at: u32, value: u64) {
        self.memory.write(at.into(), &value.to_le_bytes()).unwrap();
    }

    pub(crate) fn put32(&mut self, at: u32, value: u32) {
        self.memory.write(at.into(), &value.to_le_bytes()).unwrap();
    }

    pub(crate) fn get32(&self, at: u32) -> u32 {
        let mut octets = [0; 4];
        self.memory.read(at.into(), &mut octets).unwrap();
        u32::from_le_bytes(octets)
    }

    pub(crate) fn get16(&self, at: u32) -> u16 {
        self.get32(at) as u16
    }

    /// Words on the stack from its top on.
    pub(crate) fn stack<const N: usize>(&self) -> [u32; N] {
        let top = self.cpu.seg[SS].base + self.cpu.regs[4];
        std::array::from_fn(|at| self.get32(top + at as u32 * 4))
    }

    /// Put these words on the stack, the first one on top.
    pub(crate) fn push(&mut self, words: &[u32]) {
        for &word in words.iter().rev() {
            self.cpu.regs[4] -= 4;
            self.put32(self.cpu.seg[SS].base + self.cpu.regs[4], word);
        }
    }

    /// Do something that succeeds.
    pub(crate) fn ok<T>(&mut self, action: impl FnOnce(&mut Cpu, &mut Memory) -> Result<T, Stop>) -> T {
        match action(&mut self.cpu, &mut self.memory) {
            Ok(value) => value,
            Err(stop) => panic!("{stop:?} {:?}", self.cpu.raised),
        }
    }

    /// Do something that faults, and changes neither registers nor segments.
    pub(crate) fn fault<T>(&mut self, action: impl FnOnce(&mut Cpu, &mut Memory) -> Result<T, Stop>) -> Fault {
        let before = self.visible();
        assert!(matches!(action(&mut self.cpu, &mut self.memory), Err(Stop::Exception)));
        assert_eq!(self.visible(), before);
        (self.cpu.raised.vector, self.cpu.raised.error)
    }

    fn visible(&mut self) -> impl PartialEq + std::fmt::Debug + use<> {
        let cpu = &self.cpu;
        let segments = cpu.seg.map(|segment| (segment.selector, segment.base, segment.limit, segment.rights));
        (cpu.regs, cpu.eip, cpu.eflags(), segments, cpu.cpl, (cpu.tr.selector, cpu.ldtr.selector))
    }

    pub(crate) fn selectors(&self) -> [u16; 6] {
        self.cpu.seg.map(|segment| segment.selector)
    }
}
