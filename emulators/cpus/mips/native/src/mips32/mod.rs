//! MIPS32 release 2, as the 24Kf has it: an interpreter of decoded pages.
//!
//! Specification: MIPS Architecture for Programmers, volumes II-A (MD00086: instructions) and III (MD00090: privileged
//! resources); 24K Processor Core Family Software User's Manual (MD00343). Little-endian.
//!
//! # Layers
//!
//! Each line uses those below it, and [`Cpu`], which stands here; none uses what is above.
//!
//! ```text
//! state, snapshot        what is told, set and saved from outside
//! arithmetic             the FPU's arithmetic
//! interpreter            instructions; those with files of their own: special, fpu
//! access                 loads, stores, fetches; devices
//! tlb                    translation
//! exception              what stops an instruction
//! cp0                    system registers and their bits, time, interrupt lines
//! code, soft             decoded operations, the soft TLB
//! ```
//!
//! # Theory of operation
//!
//! [`interpreter`] executes a page's decoded operations ([`code`]) in **segments**: runs of operations that end at a
//! taken branch's delay slot, at the page's end, or at the tick where `run` has to look up: the budget's end or the
//! timer. Within a segment nothing is counted or checked: instructions done and program counter follow from the place
//! in the page. So interrupts that come from time are exact; those from outside are set between runs. Instructions
//! that may change mode, mappings or interrupts end the segment.
//!
//! Every access goes through the soft TLB ([`soft`]), and where that does not know, through [`access`].
//!
//! One tick is one instruction; what ends in an exception counts as one, too. Count goes up every second tick. After
//! WAIT the caller may skip ticks up to the timer's next interrupt.
//!
//! Undefined by the manual, and here: a division by zero leaves the dividend in LO and 0 in HI; a branch in a delay
//! slot goes on with the instruction at the first one's slot + 4, then to the second one's target; reserved fields are
//! not looked at.
//!
//! Not supported: what [`cp0`] says; big-endian; EJTAG but for SDBBP and DERET; caches (CACHE and SYNCI do nothing, as
//! stores over decoded code are noticed at once).

mod access;
mod arithmetic;
mod code;
mod cp0;
mod exception;
mod fpu;
mod interpreter;
mod snapshot;
mod soft;
mod special;
pub(crate) mod state;
mod tlb;

use crate::exit::{Exit, Refused};
use crate::table::{Decoder, FP, M1, M2, M32, R2, TLB};
use code::Op;
use cp0::Cp0;
use engine_contract::debugger::Debugger;
use engine_contract::pages::Code;
use engine_contract::replay::{Asked, Done};
use exception::{DBE, INT};
use fpu::Fpu;
use guest_memory::Memory;
use soft::SoftTlb;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
pub use tlb::Access;

/// Chosen: `kick` is heard within this many instructions.
const CHUNK_INSNS: u64 = 1 << 16;
/// Where a reset goes.
const RESET_PC: u32 = 0xbfc0_0000;

/// What may differ between processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// 16, 32 or 64.
    pub tlb_entries: u32,
    /// SDBBP calls the host instead of entering debug mode.
    pub hypercalls: bool,
}

/// A 24Kf.
pub struct Cpu {
    /// 0…31, and [`code::SINK`]. More than there are, so that no index needs a check.
    regs: [u32; 256],
    hi: u32,
    lo: u32,
    pc: u32,
    /// The instruction at `pc` is in a delay slot, behind which `target` follows.
    in_slot: bool,
    target: u32,
    cp0: Cp0,
    tlb: Vec<tlb::Entry>,
    fpu: Fpu,
    ll_bit: bool,
    /// WAIT was executed.
    halted: bool,
    /// Driven from outside: bit n is line n, 2…7.
    lines: u8,
    icount: u64,
    skipped: u64,
    /// The tick at which Count will be Compare.
    timer_at: u64,
    user: bool,
    fault_address: u32,

    asked: Option<Asked>,
    /// Where the store was that the exit before completed: (pc, in_slot, target).
    written_at: Option<(u32, bool, u32)>,
    /// Accesses of the instruction at `pc` that were made.
    log: Vec<Done>,
    log_at: usize,
    bus_error: bool,

    options: Options,
    /// Bit n: exits before exception n is taken.
    intercepted: u32,
    soft: SoftTlb,
    code: Code<Op>,
    debugger: Debugger,
    plain_epoch: u64,
    mapping_epoch: u64,
    kicked: Arc<AtomicBool>,
}

impl Cpu {
    /// A processor after a reset.
    pub fn new(options: Options) -> Result<Self, Refused> {
        if !matches!(options.tlb_entries, 16 | 32 | 64) {
            return Err(Refused(format!("TLB of {} entries: a 24Kf has 16, 32 or 64", options.tlb_entries)));
        }
        let mut cpu = Cpu {
            regs: [0; 256],
            hi: 0,
            lo: 0,
            pc: RESET_PC,
            in_slot: false,
            target: 0,
            cp0: Cp0::new(),
            tlb: vec![tlb::Entry::default(); options.tlb_entries as usize],
            fpu: Fpu::default(),
            ll_bit: false,
            halted: false,
            lines: 0,
            icount: 0,
            skipped: 0,
            timer_at: 0,
            user: false,
            fault_address: 0,
            asked: None,
            written_at: None,
            log: Vec::new(),
            log_at: 0,
            bus_error: false,
            options,
            intercepted: 0,
            soft: SoftTlb::new(),
            code: Code::new(Decoder::new(M1 | M2 | M32 | R2 | FP | TLB)),
            debugger: Debugger::default(),
            plain_epoch: u64::MAX,
            mapping_epoch: u64::MAX,
            kicked: Arc::new(AtomicBool::new(false)),
        };
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
        self.asked.filter(|asked| asked.write.is_none()).map(|asked| asked.octets)
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
        if self.wants().is_some() {
            self.answer(0, true); // the caller has forgotten it
        } else {
            self.answer(0, false);
        }
        if let Some((pc, in_slot, target)) = self.written_at.take() {
            if std::mem::take(&mut self.bus_error) {
                (self.pc, self.in_slot, self.target) = (pc, in_slot, target);
                if let Some(exit) = self.raise(DBE, 0) {
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
                let exit = self.execute(memory, self.icount + 1);
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
            if self.halted {
                if !self.interrupt_pending() {
                    return Exit::Halt;
                }
                self.halted = false;
            }
            if self.interrupt_ready() {
                if self.intercepted & 1 != 0 {
                    return Exit::Exception { vector: 0, next_pc: self.pc };
                }
                self.take(INT);
            }
            let mut stop = end.min(self.icount + CHUNK_INSNS).min(self.timer_at.saturating_sub(self.skipped));
            if self.debugger.is_active() {
                if self.debugger.stops_at(self.icount, self.pc) {
                    return Exit::Debug { reason: crate::exit::Reason::Breakpoint, address: self.pc };
                }
                stop = self.icount + 1;
            }
            let exit = self.execute(memory, stop);
            if exit.is_some() || self.debugger.is_hit() {
                return self.ended(exit);
            }
        }
    }

    fn ended(&mut self, exit: Option<Exit>) -> Exit {
        match (exit, self.debugger.take()) {
            (Some(exit), _) => exit,
            (None, Some((reason, address))) => Exit::Debug { reason, address },
            (None, None) => Exit::Kicked,
        }
    }

    /// An exception of the instruction at `self.pc`, or the exit that was asked for instead; `ticks` are counted for it.
    pub(crate) fn raise(&mut self, exception: exception::Exception, ticks: u64) -> Option<Exit> {
        if exception.code < 32 && self.intercepted >> exception.code & 1 != 0 {
            let next_pc = if self.in_slot { self.target } else { self.pc.wrapping_add(4) };
            return Some(Exit::Exception { vector: exception.code.into(), next_pc });
        }
        self.icount += ticks;
        self.take(exception);
        None
    }

    /// Go to what follows the instruction at `self.pc`.
    pub(crate) fn advance(&mut self) {
        self.pc = if self.in_slot { self.target } else { self.pc.wrapping_add(4) };
        self.in_slot = false;
        self.icount += 1;
    }

    pub(crate) fn refresh_mode(&mut self) {
        self.user = self.is_user();
    }

    /// Ticks until Count is Compare; None: Count stands still.
    pub fn next_timer(&self) -> Option<u64> {
        (self.timer_at != u64::MAX).then(|| self.timer_at.saturating_sub(self.ticks()))
    }

    /// Let time pass without instructions, at most up to the timer.
    pub fn skip(&mut self, ticks: u64) -> Result<(), Refused> {
        if self.next_timer().is_some_and(|left| ticks > left) || self.ticks().checked_add(ticks).is_none() {
            return Err(Refused(format!("skip of {ticks} ticks: the timer interrupts before")));
        }
        self.skipped += ticks;
        self.update_timer();
        Ok(())
    }

    /// Drive a hardware interrupt line: 2…7 for Cause.IP2…IP7.
    pub fn set_ip(&mut self, line: u32, level: bool) -> Result<(), Refused> {
        if !(2..8).contains(&line) {
            return Err(Refused(format!("interrupt line {line}: Cause.IP2 to IP7 are lines 2 to 7")));
        }
        self.lines = self.lines & !(1 << line) | u8::from(level) << line;
        self.update_lines();
        Ok(())
    }

    /// Exit instead of taking the exceptions with these ExcCodes.
    pub fn intercept(&mut self, codes: &[u32]) -> Result<(), Refused> {
        let mut mask = 0;
        for &code in codes {
            mask |=
                1u32.checked_shl(code).ok_or_else(|| Refused(format!("exception {code}: Cause.ExcCode has 5 bits")))?;
        }
        self.intercepted = mask;
        Ok(())
    }

    /// Exit before the instruction at `va`.
    pub fn add_breakpoint(&mut self, va: u32) -> Result<(), Refused> {
        self.debugger.add_breakpoint(va)
    }

    pub fn remove_breakpoint(&mut self, va: u32) {
        self.debugger.remove_breakpoint(va);
    }

    /// Exit behind an instruction that accesses any of `octets` octets at `va`.
    pub fn add_watchpoint(&mut self, va: u32, octets: u32, read: bool, write: bool) -> Result<(), Refused> {
        self.soft.forget();
        self.debugger.add_watchpoint(va, octets, read, write)
    }

    pub fn remove_watchpoint(&mut self, va: u32, octets: u32, read: bool, write: bool) {
        self.debugger.remove_watchpoint(va, octets, read, write);
    }

    /// Where `va` is in the present mode and mapping.
    pub fn translate(&self, va: u32, access: Access) -> Option<u32> {
        self.translated(va, access).ok()
    }
}
