//! The loop: interrupts and exceptions between instructions, and the execution of traces.

use crate::asked::Asked;
use crate::code::{TRACE_OPS, Trace};
use crate::decode::{LENGTH_MAX, Missing, decode};
use crate::exit::{Exit, Stop};
use crate::flags::{IF, RF, TF};
use crate::interrupts::Kind;
use crate::op::Op;
use crate::paging::{Access, Mapped};
use crate::state::{CS, Cpu};
use crate::vectors::{DB, GP, NMI};
use guest_memory::{Memory, PAGE_OCTETS};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Chosen: `kick` is heard within this many instructions.
const CHUNK_INSNS: u64 = 1 << 16;
/// Chosen: a trace is made of so many octets at most.
const TRACE_OCTETS: usize = 160;

impl Cpu {
    /// Set it to end the present or the next run.
    pub fn kick(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.kicked)
    }

    /// With how many octets is the read that was asked for complete? None: none was.
    pub fn wants(&self) -> Option<usize> {
        self.asked.as_ref().map(Asked::wants).filter(|octets| *octets > 0)
    }

    /// The read that is to be answered, as an exit.
    pub fn pending(&self) -> Option<Exit> {
        self.asked.as_ref().filter(|asked| asked.wants() > 0).map(exit_of)
    }

    /// The answer to the read that the last exit told.
    pub fn answer(&mut self, data: Vec<u8>) {
        if self.asked.take().is_some() {
            self.log.push(data);
        }
    }

    /// The write that the last exit told is made. How often, is what a joined one is told when it is executed again.
    fn made(&mut self) {
        let count = match self.asked {
            Some(Asked::IoWrite { count, .. }) => count,
            _ => 1,
        };
        self.answer(count.to_le_bytes().to_vec());
    }

    /// Execute up to `budget` instructions. A read that was asked for has been answered.
    pub fn run(&mut self, memory: &mut Memory, budget: u64) -> Exit {
        let end = self.icount().saturating_add(budget);
        self.code.catch_up(memory);
        self.follow_memory(memory);
        if let Some(octets) = self.wants() {
            self.answer(vec![0xff; octets]); // the caller has forgotten it
        } else {
            self.made();
        }
        loop {
            // An instruction whose accesses were made is executed again: nothing may come between.
            let again = !self.log.is_empty();
            let mut most = 1;
            if again {
                if self.icount() >= end {
                    return Exit::Budget;
                }
                self.log_at = 0;
            } else {
                if let Some(exit) = self.between(memory, end) {
                    return exit;
                }
                if self.debugger.has_breakpoints() {
                    let linear = self.seg[CS].base.wrapping_add(self.eip);
                    if self.debugger.stops_at(self.icount(), linear) {
                        return Exit::Debug { reason: crate::exit::Reason::Breakpoint, address: linear };
                    }
                }
                if self.has_breakpoints() {
                    let linear = self.seg[CS].base.wrapping_add(self.eip);
                    if let Err(stop) = self.debug_before(linear) {
                        self.stop_at += 1; // an instruction that ends in an exception is one
                        match self.ended(memory, stop) {
                            Some(exit) => return exit,
                            None => continue,
                        }
                    }
                }
                if !self.goes_step_by_step() {
                    most = (end - self.icount()).min(CHUNK_INSNS);
                }
            }
            let began = self.other_flags;
            let shadowed = std::mem::take(&mut self.shadow);
            self.stepped = false;
            self.system.resume = false;
            let exit = self.execute(memory, most);
            if self.asked.is_some() {
                self.shadow |= shadowed;
                return exit.unwrap_or(Exit::Budget);
            }
            if again {
                self.log.clear();
                self.log_at = 0;
            }
            if let Some(exit) = self.behind(memory, began).or(exit) {
                return exit;
            }
        }
    }

    /// Is there anything that wants every instruction looked at? Then it is executed alone.
    fn goes_step_by_step(&self) -> bool {
        self.debugger.has_breakpoints() || self.shadow || self.other_flags & (TF | RF) != 0 || self.has_breakpoints()
    }

    /// Behind what was executed, which began with these flags: the end of RF, and the traps (SDM 3A, 17.3).
    fn behind(&mut self, memory: &mut Memory, began: u32) -> Option<Exit> {
        if self.stepped {
            return None; // an exception was taken instead
        }
        if began & RF != 0 {
            self.end_resume();
        }
        if std::mem::take(&mut self.system.held) {
            return None;
        }
        match self.debug_after(began & TF != 0) {
            Ok(()) => None,
            Err(_) => {
                let eip = self.eip;
                self.raise(memory, DB, None, eip)
            }
        }
    }

    /// What may happen between two instructions.
    fn between(&mut self, memory: &mut Memory, end: u64) -> Option<Exit> {
        if let Some(vector) = self.injected.take() {
            self.halted = false;
            return self.interrupt(memory, vector);
        }
        if self.icount() >= end {
            return Some(Exit::Budget);
        }
        if self.kicked.load(Ordering::Relaxed) && self.kicked.swap(false, Ordering::Acquire) {
            return Some(Exit::Kicked);
        }
        if self.nmi && !self.nmi_blocked && !self.shadow {
            self.nmi = false;
            self.nmi_blocked = true;
            self.halted = false;
            return self.interrupt(memory, NMI);
        }
        if self.intr && self.other_flags & IF != 0 && !self.shadow {
            return Some(Exit::IrqWindow);
        }
        self.halted.then_some(Exit::Halt)
    }

    fn interrupt(&mut self, memory: &mut Memory, vector: u8) -> Option<Exit> {
        let eip = self.eip;
        match self.deliver(memory, vector, None, Kind::External, eip) {
            Ok(()) => None,
            Err(stop) => self.ended(memory, stop),
        }
    }

    /// An exception, or the exit that was asked for instead.
    fn raise(&mut self, memory: &mut Memory, vector: u8, error: Option<u32>, eip: u32) -> Option<Exit> {
        let next = self.next_pc.take().unwrap_or(eip);
        self.stepped = true;
        self.system.met = 0;
        if self.is_intercepted(vector) {
            return Some(Exit::Exception { vector: vector.into(), next_pc: next });
        }
        match self.deliver(memory, vector, error, Kind::Exception, eip) {
            Ok(()) => None,
            Err(stop) => self.ended(memory, stop),
        }
    }

    /// What an instruction's end means.
    fn ended(&mut self, memory: &mut Memory, stop: Stop) -> Option<Exit> {
        match stop {
            Stop::Jump | Stop::Retired | Stop::Again | Stop::Halted => None,
            Stop::Exception => {
                let raised = self.raised;
                let eip = self.eip;
                self.raise(memory, raised.vector, raised.error, eip)
            }
            Stop::Asked => self.asked.as_ref().map(exit_of),
            Stop::Hypercall => Some(Exit::Hypercall(self.hypercall)),
            Stop::Shutdown => Some(Exit::Shutdown),
        }
    }

    /// Execute at most `most` instructions, until something happens.
    fn execute(&mut self, memory: &mut Memory, most: u64) -> Option<Exit> {
        let end = self.icount() + most;
        loop {
            let trace = match self.trace(memory) {
                Ok(trace) => trace,
                Err(stop) => {
                    if stop == Stop::Exception {
                        self.stop_at += 1; // an instruction that ends in an exception is one
                    }
                    return self.ended(memory, stop);
                }
            };
            let ops = u64::from(trace.ops).min(end - self.icount());
            self.stop_at = self.icount() + ops;
            self.left = ops as u32;
            let mut op = self.code.first(trace);
            let stop = loop {
                // SAFETY: the trace has `ops` operations in the pool, `left` of which are from `op` on; the pool changes
                // in `trace` alone, before the next trace.
                let current = unsafe { &*op };
                match (current.run)(self, memory, current) {
                    Ok(()) => {
                        self.eip = self.eip.wrapping_add(current.length.into());
                        self.left -= 1;
                        if self.left == 0 {
                            break None;
                        }
                        op = op.wrapping_add(1);
                    }
                    Err(stop) => break Some(stop),
                }
            };
            match stop {
                None => {}
                Some(Stop::Jump) => self.left -= 1,
                Some(stop) => {
                    self.stop_at -= u64::from(self.left);
                    self.left = 0;
                    if !matches!(stop, Stop::Asked) {
                        self.stop_at += 1;
                    }
                    self.follow_plain(memory);
                    if let Some((reason, address)) = self.debugger.take() {
                        return Some(Exit::Debug { reason, address });
                    }
                    return self.ended(memory, stop);
                }
            }
            self.stop_at -= u64::from(self.left);
            self.left = 0;
            if self.noticed {
                self.noticed = false;
                if let Some((reason, address)) = self.debugger.take() {
                    return Some(Exit::Debug { reason, address });
                }
            }
            self.follow_plain(memory);
            if self.icount() >= end {
                return None;
            }
        }
    }

    #[inline(always)]
    fn follow_plain(&mut self, memory: &Memory) {
        if self.plain_epoch != memory.plain_epoch() {
            self.plain_epoch = memory.plain_epoch();
            self.tlb.forget_writing();
        }
    }

    /// The trace at CS:EIP.
    #[inline(always)]
    fn trace(&mut self, memory: &mut Memory) -> Result<Trace, Stop> {
        let segment = &self.seg[CS];
        let linear = segment.base.wrapping_add(self.eip);
        let big = segment.is_big();
        if self.eip <= segment.limit {
            if let Some(gpa) = self.tlb.find_code(self.cpl == 3, linear) {
                if let Some(trace) = self.code.find(gpa, big) {
                    return Ok(trace);
                }
            }
        }
        self.trace_slow(memory, linear, big)
    }

    #[cold]
    #[inline(never)]
    fn trace_slow(&mut self, memory: &mut Memory, linear: u32, big: bool) -> Result<Trace, Stop> {
        if self.eip > self.seg[CS].limit {
            return Err(self.fault(GP, 0));
        }
        let user = self.cpl == 3;
        let Mapped { gpa, global } = self.walk(memory, linear, Access::Fetch, user)?;
        self.tlb.put_code(user, linear, gpa, global);
        if let Some(trace) = self.code.find(gpa, big) {
            return Ok(trace);
        }
        let room = ((PAGE_OCTETS - gpa % PAGE_OCTETS) as usize).min(TRACE_OCTETS);
        let mut octets = [0xff; TRACE_OCTETS];
        let is_memory = memory.page(gpa).is_some();
        if is_memory {
            memory.read(gpa.into(), &mut octets[..room]).unwrap_or_default();
        }
        let mut ops = [Op::default(); TRACE_OPS];
        let mut count = 0;
        let mut at = 0;
        let limit = u64::from(self.seg[CS].limit) + 1 - u64::from(self.eip);
        let why = loop {
            if count == TRACE_OPS || at >= room || count > 0 && at + LENGTH_MAX > TRACE_OCTETS {
                break None;
            }
            let (row, op) = match decode(&octets[at..room], big, self.model) {
                Ok(found) => found,
                Err(missing) => break Some(missing),
            };
            if at as u64 + u64::from(op.length) > limit {
                break Some(Missing::TooLong);
            }
            ops[count] = op;
            count += 1;
            at += usize::from(op.length);
            if row.is_none_or(|row| row.ends_trace()) {
                break None;
            }
        };
        if count > 0 {
            if !is_memory {
                return Ok(self.code.add_once(memory, ops[0]));
            }
            let trace = self.code.add(memory, gpa, big, &ops[..count]);
            self.follow_plain(memory);
            return Ok(trace);
        }
        match why {
            Some(Missing::Octets) => self.across_pages(memory, linear, big, room),
            _ => Err(self.fault(GP, 0)),
        }
    }

    /// An instruction whose octets are in two pages: decoded each time.
    fn across_pages(&mut self, memory: &mut Memory, linear: u32, big: bool, room: usize) -> Result<Trace, Stop> {
        let mut octets = [0xff; 2 * LENGTH_MAX];
        let user = self.cpl == 3;
        let first = self.walk(memory, linear, Access::Fetch, user)?.gpa;
        let second = self.walk(memory, linear.wrapping_add(room as u32), Access::Fetch, user)?.gpa;
        memory.read(first.into(), &mut octets[..room]).unwrap_or_default();
        memory.read(second.into(), &mut octets[room..room + LENGTH_MAX]).unwrap_or_default();
        let (_, op) = match decode(&octets[..room + LENGTH_MAX], big, self.model) {
            Ok(found) => found,
            Err(_) => return Err(self.fault(GP, 0)),
        };
        let last = u64::from(self.eip) + u64::from(op.length) - 1;
        if last > self.seg[CS].limit.into() {
            return Err(self.fault(GP, 0));
        }
        Ok(self.code.add_once(memory, op))
    }
}

fn exit_of(asked: &Asked) -> Exit {
    match asked.clone() {
        Asked::MmioRead { gpa, octets } => Exit::MmioRead { gpa, octets },
        Asked::MmioWrite { gpa, octets, value } => Exit::MmioWrite { gpa, octets, value },
        Asked::IoRead { port, octets, count } => Exit::IoRead { port, octets, count },
        Asked::IoWrite { port, octets, count, data } => Exit::IoWrite { port, octets, count, data },
    }
}
