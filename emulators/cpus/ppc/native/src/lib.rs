//! 32-bit PowerPC processors: an interpreter of decoded pages.
//!
//! Specification: Programming Environments Manual for 32-Bit Implementations of the PowerPC Architecture (MPCFPE32B);
//! MPC750 RISC Microprocessor Family User's Manual (MPC750UM) and those of the 604e and 7400. Big-endian.
//!
//! # Layers
//!
//! Each line's files import from the lines below it, and [`Cpu`], which stands here.
//!
//! ```text
//! state, snapshot                            what is told, set and saved from outside
//! special, storage                           rare instructions; those about storage
//! interpreter, fpu, vector, registers        instructions; the special-purpose registers
//! access, mmu                                loads, stores, fetches, devices; translation
//! exception, timer                           what stops an instruction; time base and decrementer
//! table, op, soft, msr                       encodings, decoded operations, the soft TLB, MSR's bits
//! float, exact, single                       numbers
//! ```
//!
//! # Theory of operation
//!
//! [`interpreter`] executes a page's decoded operations ([`code`], [`op`]) in **segments**: runs of operations that end
//! at a taken branch, at the page's end, or at the tick where `run` has to look up: the budget's end or the decrementer.
//! Within a segment nothing is counted or checked: instructions done and program counter follow from the place in the
//! page. So interrupts that come from time are exact; those from outside are set between runs. Instructions that may
//! change mode, mappings or interrupts end the segment.
//!
//! Every access goes through the soft TLB ([`soft`]), and where that does not know, through [`access`] and [`mmu`]. A
//! guest that changes its page table and does not say so (tlbie) may see either, as on any processor.
//!
//! One tick is one instruction; what ends in an exception counts as one, too. Time base and decrementer step once in
//! `Options::timebase_ticks` ticks. After MSR[POW] the caller may skip ticks up to the decrementer's exception.
//!
//! Undefined by the manual, and here: a division by zero gives the dividend's sign (signed) or 0; reserved fields are
//! not looked at; instructions of an invalid form do what their fields say.
//!
//! Not supported: little-endian mode (MSR[LE] and MSR[ILE] cannot be set); direct-store segments; what [`registers`] and
//! [`storage`] say of caches, performance counters and thermal management.

#![allow(clippy::precedence)] // of shifts over masks: fields of words are the daily bread here

pub use engine_contract::exit;

mod access;
pub mod disassemble;
mod exact;
mod exception;
mod float;
mod fpu;
mod interpreter;
mod mmu;
mod msr;
mod op;
mod registers;
mod single;
mod snapshot;
mod soft;
mod special;
mod state;
mod storage;
pub mod table;
mod timer;
mod vector;

use engine_contract::debugger::Debugger;
use engine_contract::pages::Code;
use engine_contract::replay::{Asked, Done};
use exception::{BREAKPOINT, DECREMENTER, EXTERNAL, Exception, Fault, MACHINE_CHECK, TRACE, VECTOR_UNAVAILABLE};
use exit::{Exit, Reason, Refused};
use guest_memory::Memory;
use mmu::Bat;
use op::Op;
use registers::{IABR, PLAIN};
use soft::SoftTlb;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use table::{Decoder, GRAPHICS, VECTOR};

/// Chosen: `kick` is heard within this many instructions.
const CHUNK_INSNS: u64 = 1 << 16;
/// Where a reset goes (PEM §6.4.1, with MSR[IP]).
const RESET_PC: u32 = 0xfff0_0100;

/// Which processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    M750,
    M604,
    M7400,
}

impl Model {
    /// Its name, as Freescale writes it.
    pub fn named(name: &str) -> Option<Model> {
        [Model::M750, Model::M604, Model::M7400].into_iter().find(|model| model.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Model::M750 => "750",
            Model::M604 => "604",
            Model::M7400 => "7400",
        }
    }

    /// The processor version register (their manuals, §2.1): 750 revision 3.1, 604e revision 2.4, 7400 revision 2.9.
    pub(crate) fn pvr(self) -> u32 {
        match self {
            Model::M750 => 0x0008_0301,
            Model::M604 => 0x0009_0204,
            Model::M7400 => 0x000c_0209,
        }
    }

    /// What of [`table`] it has.
    pub fn has(self) -> u16 {
        match self {
            Model::M750 | Model::M604 => GRAPHICS,
            Model::M7400 => GRAPHICS | VECTOR,
        }
    }
}

/// What may differ between processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub model: Model,
    /// Ticks from one step of the time base to the next; not 0.
    pub timebase_ticks: u32,
    /// `sc 1` calls the host instead of being `sc`.
    pub hypercalls: bool,
}

/// The bit of `Cpu::intercepted` for an exception: that of its vector's hundreds; 0xf20 has the one that none has.
fn interception(vector: u16) -> u64 {
    if vector == VECTOR_UNAVAILABLE.vector { 1 } else { 1 << (vector >> 8) }
}

/// What an address is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    Fetch,
}

/// A processor.
pub struct Cpu {
    /// 0…31, and [`op::ZERO`]. More than there are, so that no index needs a check.
    regs: [u32; 256],
    pc: u32,
    lr: u32,
    ctr: u32,
    /// Fields 0…7, each LT, GT, EQ, SO from bit 3 on.
    cr: [u8; 8],
    /// XER, in parts.
    so: u8,
    ov: bool,
    ca: u32,
    count: u8,
    msr: u32,
    srr0: u32,
    srr1: u32,
    dar: u32,
    dsisr: u32,
    sdr1: u32,
    dabr: u32,
    sprg: [u32; 4],
    sr: [u32; 16],
    ibat: [Bat; 4],
    dbat: [Bat; 4],
    /// [`registers::PLAIN`].
    plain: [u32; PLAIN.len()],
    fpr: [u64; 32],
    fpscr: u32,
    /// AltiVec's, of models that have it: [`vector`].
    vr: Box<[u128; 32]>,
    vscr: u32,
    /// lwarx's block.
    reserved: Option<u32>,
    /// MSR[POW] was set.
    halted: bool,
    /// The external interrupt's line.
    line: bool,
    dec_pending: bool,
    tb_base: u64,
    dec_base: u32,
    icount: u64,
    skipped: u64,
    /// The tick of the decrementer's next exception.
    timer_at: u64,
    fault: Fault,

    asked: Option<Asked>,
    /// Where the store was that the exit before completed.
    written_at: Option<u32>,
    /// Accesses of the instruction at `pc` that were made.
    log: Vec<Done>,
    log_at: usize,
    bus_error: bool,

    options: Options,
    /// [`interception`]: exits before these exceptions are taken.
    intercepted: u64,
    /// Exceptions taken, to notice one.
    taken: u32,
    fetch_part: u32,
    data_part: u32,
    soft: SoftTlb,
    code: Code<Op>,
    debugger: Debugger,
    plain_epoch: u64,
    mapping_epoch: u64,
    kicked: Arc<AtomicBool>,
}

impl Cpu {
    /// A processor after a hard reset (MPC750UM table 2-19).
    pub fn new(options: Options) -> Result<Self, Refused> {
        if options.timebase_ticks == 0 {
            return Err(Refused("a time base that steps every 0 ticks: at least 1 is expected".into()));
        }
        let mut cpu = Cpu {
            regs: [0; 256],
            pc: RESET_PC,
            lr: 0,
            ctr: 0,
            cr: [0; 8],
            so: 0,
            ov: false,
            ca: 0,
            count: 0,
            msr: 0,
            srr0: 0,
            srr1: 0,
            dar: 0,
            dsisr: 0,
            sdr1: 0,
            dabr: 0,
            sprg: [0; 4],
            sr: [0; 16],
            ibat: [Bat::default(); 4],
            dbat: [Bat::default(); 4],
            plain: [0; PLAIN.len()],
            fpr: [0; 32],
            fpscr: 0,
            vr: Box::new([0; 32]),
            vscr: 0,
            reserved: None,
            halted: false,
            line: false,
            dec_pending: false,
            tb_base: 0,
            dec_base: u32::MAX,
            icount: 0,
            skipped: 0,
            timer_at: 0,
            fault: Fault::default(),
            asked: None,
            written_at: None,
            log: Vec::new(),
            log_at: 0,
            bus_error: false,
            options,
            intercepted: 0,
            taken: 0,
            fetch_part: 0,
            data_part: 0,
            soft: SoftTlb::new(),
            code: Code::new(Decoder::new(options.model.has())),
            debugger: Debugger::default(),
            plain_epoch: u64::MAX,
            mapping_epoch: u64::MAX,
            kicked: Arc::new(AtomicBool::new(false)),
        };
        cpu.set_msr(msr::IP);
        cpu.arm_timer();
        Ok(cpu)
    }

    /// Set it to end the present or the next run.
    pub fn kick(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.kicked)
    }

    /// Instructions retired.
    pub fn icount(&self) -> u64 {
        self.icount
    }

    /// Is a device's answer being waited for? Then with how many octets it is complete.
    pub fn wants(&self) -> Option<u32> {
        self.pending().map(|(_, octets)| octets)
    }

    /// The address and octets of the read that is to be answered.
    pub fn pending(&self) -> Option<(u32, u32)> {
        self.asked.filter(|asked| asked.write.is_none()).map(|asked| (asked.gpa, asked.octets))
    }

    /// The outcome of the access that the last exit told.
    pub fn answer(&mut self, value: u64, bus_error: bool) {
        let Some(_) = self.asked.take() else { return };
        if self.written_at.is_some() {
            self.bus_error = bus_error;
        } else {
            self.log.push(Done { value, bus_error });
        }
    }

    /// Execute up to `budget` instructions. A read that was asked for has been answered.
    pub fn run(&mut self, memory: &mut Memory, budget: u64) -> Exit {
        let end = self.icount.saturating_add(budget);
        self.code.catch_up(memory);
        self.follow_plain_pages(memory);
        let forgotten = self.wants().is_some();
        self.answer(0, forgotten);
        if let Some(pc) = self.written_at.take() {
            if std::mem::take(&mut self.bus_error) {
                self.pc = pc;
                if let Some(exit) = self.raise(MACHINE_CHECK, 0) {
                    return exit;
                }
            }
        }
        loop {
            if self.icount >= end {
                return Exit::Budget;
            }
            if !self.log.is_empty() {
                // The instruction whose accesses these are: nothing may come between.
                self.log_at = 0;
                let exit = self.step(memory);
                if self.asked.is_none() || self.written_at.is_some() {
                    self.log.clear();
                }
                if exit.is_some() || self.debugger.is_hit() {
                    return self.ended(exit);
                }
                continue;
            }
            if self.kicked.load(Ordering::Relaxed) && self.kicked.swap(false, Ordering::Acquire) {
                return Exit::Kicked;
            }
            self.update_timer();
            if let Some(interrupt) = self.interrupt() {
                self.halted = false;
                if let Some(exit) = self.raise(interrupt, 0) {
                    return exit;
                }
            }
            if self.halted {
                return Exit::Halt;
            }
            let stop = end.min(self.icount + CHUNK_INSNS).min(self.timer_at.saturating_sub(self.skipped));
            let exit = if self.debugger.is_active() || self.goes_by_steps() {
                if self.debugger.stops_at(self.icount, self.pc) {
                    return Exit::Debug { reason: Reason::Breakpoint, address: self.pc };
                }
                self.step(memory)
            } else {
                self.execute(memory, stop)
            };
            if exit.is_some() || self.debugger.is_hit() {
                return self.ended(exit);
            }
        }
    }

    /// Does the guest trace itself, or wait for an instruction's address?
    fn goes_by_steps(&self) -> bool {
        self.msr & (msr::SE | msr::BE) != 0 || self.plain[IABR] & 2 != 0
    }

    /// One instruction, with the guest's own breakpoint before (MPC750UM §2.1.2.1, IABR) and trace behind it (§4.5.11).
    fn step(&mut self, memory: &mut Memory) -> Option<Exit> {
        if !self.goes_by_steps() {
            return self.execute(memory, self.icount + 1);
        }
        let (at, msr, taken) = (self.pc, self.msr, self.taken);
        let iabr = self.plain[IABR];
        if iabr & 2 != 0 && iabr & !3 == at && (iabr & 1 != 0) == (msr & msr::IR != 0) {
            return self.raise(BREAKPOINT, 1);
        }
        let place = self.find_place(memory, at, Access::Fetch);
        let word = place.ok().and_then(|place| mmu::word(memory, place.gpa)).unwrap_or(0);
        let exit = self.execute(memory, self.icount + 1);
        if exit.is_some() || self.taken != taken {
            return exit;
        }
        let branch = matches!(word >> 26, 16 | 18) || word >> 26 == 19 && matches!(word >> 1 & 0x3ff, 16 | 528);
        if msr & msr::SE != 0 || msr & msr::BE != 0 && branch {
            return self.raise(TRACE, 0);
        }
        None
    }

    fn ended(&mut self, exit: Option<Exit>) -> Exit {
        match (exit, self.debugger.take()) {
            (Some(exit), _) => exit,
            (None, Some((reason, address))) => Exit::Debug { reason, address },
            (None, None) => Exit::Kicked,
        }
    }

    /// The interrupt to be taken, if any; that of the decrementer ends thereby.
    fn interrupt(&mut self) -> Option<Exception> {
        if self.msr & msr::EE == 0 {
            return None;
        }
        if self.line {
            return Some(EXTERNAL);
        }
        if self.dec_pending {
            if !self.is_intercepted(DECREMENTER.vector) {
                self.dec_pending = false;
            }
            return Some(DECREMENTER);
        }
        None
    }

    fn is_intercepted(&self, vector: u16) -> bool {
        self.intercepted & interception(vector) != 0
    }

    /// An exception of the instruction at `self.pc`, or the exit that was asked for instead; `ticks` are counted for it.
    fn raise(&mut self, exception: Exception, ticks: u64) -> Option<Exit> {
        if self.is_intercepted(exception.vector) {
            return Some(Exit::Exception { vector: exception.vector.into(), next_pc: self.pc.wrapping_add(4) });
        }
        self.icount += ticks;
        self.take(exception);
        None
    }

    /// Drive the external interrupt's line.
    pub fn set_irq(&mut self, level: bool) {
        self.line = level;
    }

    /// Exit instead of taking the exceptions with these vectors (0x300, 0xc00, …).
    pub fn intercept(&mut self, vectors: &[u32]) -> Result<(), Refused> {
        let mut mask = 0;
        for &vector in vectors {
            if vector != VECTOR_UNAVAILABLE.vector.into() && (vector % 0x100 != 0 || !(0x100..0x4000).contains(&vector))
            {
                return Err(Refused(format!("exception {vector:#x}: vectors are 0x100, 0x200 … 0x3f00, and 0xf20")));
            }
            mask |= interception(vector as u16);
        }
        self.intercepted = mask;
        Ok(())
    }

    /// Exit before the instruction at `ea`.
    pub fn add_breakpoint(&mut self, ea: u32) -> Result<(), Refused> {
        self.debugger.add_breakpoint(ea)
    }

    pub fn remove_breakpoint(&mut self, ea: u32) {
        self.debugger.remove_breakpoint(ea);
    }

    /// Exit behind an instruction that accesses any of `octets` octets at `ea`.
    pub fn add_watchpoint(&mut self, ea: u32, octets: u32, read: bool, write: bool) -> Result<(), Refused> {
        self.soft.forget();
        self.debugger.add_watchpoint(ea, octets, read, write)
    }

    pub fn remove_watchpoint(&mut self, ea: u32, octets: u32, read: bool, write: bool) {
        self.debugger.remove_watchpoint(ea, octets, read, write);
    }

    /// Where `ea` is in the present mode and mapping.
    pub fn translate(&self, memory: &Memory, ea: u32, access: Access) -> Option<u32> {
        self.find_place(memory, ea, access).ok().map(|place| place.gpa)
    }
}
