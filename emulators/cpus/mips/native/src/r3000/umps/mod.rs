//! uMPS3's processors: 1 to 16, in lock-step.
//!
//! Purpose: what uMPS3 3.0.5 runs, to the tick. Specification: uMPS3 Principles of Operation (M. Goldweber, R. Davoli),
//! and the program itself where it differs.
//!
//! # Theory of operation
//!
//! A tick: the time of day goes up, the interval timer goes down (line 2 rises when it runs out, if the caller wants that), what is due happens,
//! then each processor that runs executes one instruction, in their order. The first two are done at the end of the
//! tick before, so [`Processors::run`] comes back between the clock and the processors: what the caller does there is
//! "what is due". Hence the time of day is always one more than the ticks that are done.
//!
//! A processor's turn: its timer ticks; it executes its instruction; Random steps; then an interrupt may be taken. An
//! instruction that cannot be fetched becomes a NOP, and costs its tick. See [`cpu`] and [`execute`].
//!
//! An access to the bus registers is an exit in the middle of a tick: `position` says whose turn it is, and the next
//! run goes on there. While a single processor runs and no timer is due, ticks are batched ([`fast`]); the last tick
//! before each exit is always done one by one, so the state is exact whenever anybody looks.
//!
//! # Limits
//!
//! Instructions cannot be fetched from the bus registers (a bus error; the original executes what it reads there).
//! MULTU is right, while the original loses a carry for large operands. An instruction is read when it is executed;
//! the original reads it a tick earlier, which only another processor's store in that very tick could show.

mod cpu;
mod execute;
mod fast;
mod map;
mod state;

use super::code::{Code, Op};
use super::{Log, Stop};
use crate::exit::{Exit, Reason, Refused};
use crate::table::{Decoder, M1, R3K, TLB, UMPS};
pub use cpu::Access;
use cpu::{Activity, Cpu, Exception};
use execute::{Executor, Touched};
use guest_memory::Memory;
use map::{Map, Place};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ticks between two looks at whether somebody kicked. Chosen: under a millisecond.
const KICK_TICKS: u64 = 1 << 16;
const INTERVAL_TIMER_LINE: u32 = 2;
const LINES: u32 = 8;
/// Chosen: a debugger's needs, and a bound for its client's wishes.
const POINTS_MAX: usize = 1024;

/// What a cluster is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// 1 … 16
    pub count: u32,
    /// 4, 8, 16, 32 or 64
    pub tlb_size: u32,
    /// Addresses below it are not translated.
    pub tlb_floor: u32,
    pub ram_base: u32,
    pub ram_octets: u32,
    /// (address, octets) of ROMs that do not end with a page.
    pub roms: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Watchpoint {
    va: u32,
    octets: u32,
    read: bool,
    write: bool,
}

/// The cluster.
pub struct Processors {
    options: Options,
    cpus: Vec<Cpu>,
    code: Code,
    map: Map,
    ticks: u64,
    icount: u64,
    interval_timer: u32,
    /// Whose line 2 the interval timer raises; None: the caller does, who knows when.
    interval_timer_cpu: Option<u32>,
    /// Whose turn it is in the present tick, and has it begun?
    position: usize,
    begun: bool,
    log: Log,
    breakpoints: Vec<u32>,
    watchpoints: Vec<Watchpoint>,
    /// The breakpoint at the present instruction has been told.
    told: bool,
    kicked: Arc<AtomicBool>,
}

impl Processors {
    /// All are halted, but for processor 0, which is reset to the boot ROM.
    pub fn new(options: Options) -> Result<Self, Refused> {
        if !(1..=16).contains(&options.count) {
            return Err(Refused(format!("{} processors: 1 to 16 are possible", options.count)));
        }
        if !matches!(options.tlb_size, 4 | 8 | 16 | 32 | 64) {
            return Err(Refused(format!("a TLB of {} entries: 4, 8, 16, 32 or 64 are possible", options.tlb_size)));
        }
        if options.ram_base.checked_add(options.ram_octets).is_none() || options.ram_base < map::WHOLE_PAGES {
            return Err(Refused("RAM has to lie above the bus registers, within 4 GiB".into()));
        }
        if options.roms.iter().any(|&(base, octets)| base.checked_add(octets).is_none()) {
            return Err(Refused("a ROM has to lie within 4 GiB".into()));
        }
        let cpus = (0..options.count).map(|number| Cpu::new(number, options.tlb_size, options.tlb_floor)).collect();
        let map = Map { ram_base: options.ram_base, ram_octets: options.ram_octets, roms: options.roms.clone() };
        let mut new = Processors {
            options,
            cpus,
            code: Code::new(Decoder::new(M1 | R3K | UMPS | TLB), true),
            map,
            ticks: 0,
            icount: 0,
            interval_timer: u32::MAX - 1,
            interval_timer_cpu: None,
            position: 0,
            begun: false,
            log: Log::default(),
            breakpoints: Vec::new(),
            watchpoints: Vec::new(),
            told: false,
            kicked: Arc::new(AtomicBool::new(false)),
        };
        new.cpus[0].reset(0x1fc0_0000, 0);
        Ok(new)
    }

    /// Setting it ends the present or the next run.
    pub fn kick(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.kicked)
    }

    /// Go on for up to `budget` ticks.
    pub fn run(&mut self, memory: &mut Memory, budget: u64) -> Exit {
        let stop = self.ticks.saturating_add(budget);
        self.code.catch_up(memory);
        loop {
            if self.kicked.load(Ordering::Relaxed) {
                self.kicked.store(false, Ordering::Relaxed);
                return Exit::Kicked;
            }
            if self.ticks >= stop {
                return Exit::Budget;
            }
            if self.position == 0 && !self.begun {
                match self.running() {
                    Running::None => return Exit::Halt,
                    Running::One(number) => self.run_fast(memory, number, stop),
                    Running::Some => {}
                }
            }
            if let Err(exit) = self.tick(memory) {
                return exit;
            }
        }
    }

    /// Who does something in the next tick?
    fn running(&self) -> Running {
        let mut running = Running::None;
        for (number, cpu) in self.cpus.iter().enumerate() {
            let active = match cpu.activity {
                Activity::Halted => false,
                Activity::Running => true,
                Activity::Idle => cpu.ticks_to_timer() == Some(0),
            };
            running = match (active, running) {
                (false, running) => running,
                (true, Running::None) => Running::One(number),
                (true, _) => return Running::Some,
            };
        }
        running
    }

    /// Batch ticks, as long as only processor `number` does anything. One tick at least is left.
    fn run_fast(&mut self, memory: &mut Memory, number: usize, stop: u64) {
        if self.is_debugged() || self.cpus[number].activity != Activity::Running || self.cpus[number].wants_interrupt()
        {
            return;
        }
        let timers = self.cpus.iter().filter_map(Cpu::ticks_to_timer).min().unwrap_or(u64::MAX);
        let limit = (stop - self.ticks - 1).min(KICK_TICKS).min(self.interval_timer.into()).min(timers);
        if limit == 0 {
            return;
        }
        let done = fast::run(&mut self.cpus[number], memory, &mut self.code, &self.map, limit);
        self.cpus[number].step_random_by(done);
        for cpu in self.cpus.iter_mut().filter(|cpu| cpu.activity != Activity::Halted) {
            cpu.tick_timer_by(done as u32);
        }
        self.interval_timer -= done as u32; // `limit` is within it
        self.ticks += done;
        self.icount += done;
    }

    /// One tick, or the rest of one.
    fn tick(&mut self, memory: &mut Memory) -> Result<(), Exit> {
        let mut watched = Ok(());
        while self.position < self.cpus.len() && watched.is_ok() {
            watched = self.turn(memory)?;
            self.position += 1;
        }
        if self.position == self.cpus.len() {
            self.position = 0;
            self.ticks += 1;
            if self.interval_timer == 0 {
                self.raise_interval_timer();
            }
            self.interval_timer = self.interval_timer.wrapping_sub(1);
        }
        watched
    }

    fn raise_interval_timer(&mut self) {
        if let Some(number) = self.interval_timer_cpu {
            self.cpus[number as usize].set_ip(INTERVAL_TIMER_LINE, true);
        }
    }

    /// The present processor's turn. The outer error: it is not over. The inner one: it is, and touched what is watched.
    fn turn(&mut self, memory: &mut Memory) -> Result<Result<(), Exit>, Exit> {
        let number = self.position;
        let op = if self.begun {
            self.fetch(memory)
        } else {
            let before = match self.cpus[number].activity {
                Activity::Halted => return Ok(Ok(())),
                Activity::Running => Some(self.fetch(memory)),
                Activity::Idle => None,
            };
            self.cpus[number].tick_timer();
            if self.cpus[number].activity == Activity::Idle {
                return Ok(Ok(()));
            }
            self.begun = true;
            before.unwrap_or_else(|| self.fetch(memory))
        };
        let mut touched = None;
        match op {
            Ok(op) => touched = self.execute(memory, op)?,
            Err(()) => self.cpus[number].in_slot = false,
        }
        self.begun = false;
        let cpu = &mut self.cpus[number];
        if cpu.activity == Activity::Idle {
            return Ok(Ok(()));
        }
        cpu.step_random();
        cpu.pc = cpu.next;
        cpu.next = cpu.after;
        cpu.after = cpu.after.wrapping_add(4);
        if cpu.wants_interrupt() {
            cpu.take(Exception::Interrupt);
        }
        Ok(touched.and_then(|touched| self.watched(touched)).map_or(Ok(()), Err))
    }

    /// The present processor's instruction. Otherwise the exception is taken, and the instruction is void.
    fn fetch(&mut self, memory: &mut Memory) -> Result<Op, ()> {
        let cpu = &mut self.cpus[self.position];
        let found = cpu.map(cpu.pc, Access::Fetch).and_then(|gpa| match self.map.place(memory, gpa) {
            Place::Memory(_) => Ok(gpa),
            _ => Err(Exception::InstructionBus),
        });
        match found {
            Ok(gpa) => Ok(self.code.fetch(memory, gpa, self.map.octets_of_page(gpa))),
            Err(exception) => {
                cpu.take(exception);
                Err(())
            }
        }
    }

    fn execute(&mut self, memory: &mut Memory, op: Op) -> Result<Option<Touched>, Exit> {
        let cpu = &mut self.cpus[self.position];
        if !self.breakpoints.is_empty() && !self.told && self.breakpoints.contains(&cpu.pc) {
            self.told = true;
            return Err(Exit::Debug { reason: Reason::Breakpoint, address: cpu.pc });
        }
        let mut executor = Executor {
            cpu,
            memory,
            map: &self.map,
            log: &mut self.log,
            wrote_code: false,
            branched: false,
            touched: None,
        };
        let outcome = executor.execute(op);
        let Executor { wrote_code, branched, mut touched, .. } = executor;
        match outcome {
            Ok(()) => {
                cpu.in_slot = branched;
                cpu.branch_pc = cpu.pc;
            }
            Err(Stop::Exception(exception)) => {
                cpu.take(exception);
                touched = None;
            }
            Err(Stop::Exit(exit)) => return Err(exit),
        }
        self.log.clear();
        self.told = false;
        self.icount += 1;
        if wrote_code {
            self.code.catch_up(memory);
        }
        Ok(touched)
    }

    fn is_debugged(&self) -> bool {
        !(self.breakpoints.is_empty() && self.watchpoints.is_empty())
    }

    fn watched(&self, touched: Touched) -> Option<Exit> {
        let Touched { va, octets, write } = touched;
        let hit = self.watchpoints.iter().any(|point| {
            (if write { point.write } else { point.read })
                && u64::from(va) < u64::from(point.va) + u64::from(point.octets)
                && u64::from(point.va) < u64::from(va) + u64::from(octets)
        });
        let reason = if write { Reason::WatchWrite } else { Reason::WatchRead };
        hit.then_some(Exit::Debug { reason, address: va })
    }
}

enum Running {
    None,
    One(usize),
    Some,
}
