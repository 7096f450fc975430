//! Decoded code: traces.
//!
//! A trace is a run of operations that begins at a physical address, in a mode (CS.D), and ends at a jump, at an
//! instruction that may change more than registers, at the page's end, or after [`TRACE_OPS`]. A conditional jump does not
//! end it: a trace goes on where the jump is not taken. Traces are found in a table by their address; the octets that
//! they are made of are marked in guest memory, and a write to any of them forgets the traces of its blocks.
//!
//! Operations lie in a pool. When the pool is full, all traces are forgotten.

use crate::operation::Operation;
use guest_memory::{CODE_BLOCK_OCTETS, Change, Changes, Memory, PAGE_OCTETS};

/// Chosen: long enough that finding the next one is little beside executing it.
pub(crate) const TRACE_OPS: usize = 32;
/// Chosen: 8 MiB.
const POOL_OPS: usize = 1 << 18;
/// Chosen: as many as a pool holds, if they are of four operations.
const TABLE_ENTRIES: usize = 1 << 16;
/// Chosen: of the traces that were found last, so many are found without leaving the fastest of the host's caches.
const NEAR_ENTRIES: usize = 1 << 10;
/// No mode.
const NO_TRACE: u8 = 2;

/// A trace's place in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    gpa: u32,
    pub first: u32,
    /// In octets.
    length: u16,
    pub ops: u8,
    /// CS.D, or `NO_TRACE`.
    mode: u8,
}

const EMPTY: Trace = Trace { gpa: 0, first: 0, length: 0, ops: 0, mode: NO_TRACE };

pub(crate) struct Code<C> {
    table: Box<[Trace]>,
    near: Box<[Trace; NEAR_ENTRIES]>,
    pool: Vec<Operation<C>>,
    /// Of each physical page with traces, their places in the table.
    by_page: hashbrown::HashMap<u32, Vec<u16>>,
    journal_at: u64,
}

#[inline(always)]
fn place(gpa: u32) -> usize {
    ((gpa ^ gpa >> 16) & (TABLE_ENTRIES as u32 - 1)) as usize
}

impl<C> Code<C> {
    pub(crate) fn new() -> Self {
        Code {
            table: vec![EMPTY; TABLE_ENTRIES].into(),
            near: Box::new([EMPTY; NEAR_ENTRIES]),
            pool: Vec::with_capacity(POOL_OPS),
            by_page: hashbrown::HashMap::new(),
            journal_at: 0,
        }
    }

    #[inline(always)]
    pub(crate) fn find(&mut self, gpa: u32, big: bool) -> Option<Trace> {
        let near = self.near[gpa as usize % NEAR_ENTRIES];
        if near.gpa == gpa && near.mode == u8::from(big) {
            return Some(near);
        }
        let trace = self.table[place(gpa)];
        if trace.gpa != gpa || trace.mode != u8::from(big) {
            return None;
        }
        self.near[gpa as usize % NEAR_ENTRIES] = trace;
        Some(trace)
    }

    /// The operations of a trace. Good until the next `add` or `forget`.
    #[inline(always)]
    pub(crate) fn first(&self, trace: Trace) -> *const Operation<C> {
        debug_assert!(trace.first as usize + usize::from(trace.ops) <= self.pool.len());
        // Within the pool, by how traces are made.
        self.pool.as_ptr().wrapping_add(trace.first as usize)
    }

    /// Keep the operations of the octets at `gpa`, which are in one page of memory.
    pub(crate) fn add(&mut self, memory: &mut Memory, gpa: u32, big: bool, ops: &[Operation<C>]) -> Trace {
        if self.pool.len() + ops.len() > POOL_OPS {
            self.forget(memory);
        }
        let length: usize = ops.iter().map(|op| usize::from(op.length)).sum();
        let trace = Trace {
            gpa,
            first: self.pool.len() as u32,
            length: length as u16,
            ops: ops.len() as u8,
            mode: u8::from(big),
        };
        self.pool.extend_from_slice(ops);
        let at = place(gpa);
        let displaced = std::mem::replace(&mut self.table[at], trace);
        self.forget_near(displaced.gpa); // what is in no table is not found when its octets are written
        let places = self.by_page.entry(gpa / PAGE_OCTETS).or_default();
        if !places.contains(&(at as u16)) {
            places.push(at as u16);
        }
        memory.mark_code(gpa, length as u32);
        trace
    }

    /// Operations that are not kept: of an instruction that is in two pages, or in no memory.
    pub(crate) fn add_once(&mut self, memory: &Memory, op: Operation<C>) -> Trace {
        if self.pool.len() == POOL_OPS {
            self.forget(memory);
        }
        self.pool.push(op);
        Trace { first: self.pool.len() as u32 - 1, length: op.length.into(), ops: 1, ..EMPTY }
    }

    /// Forget what was written over.
    pub(crate) fn catch_up(&mut self, memory: &Memory) {
        let from = std::mem::replace(&mut self.journal_at, memory.journal_end());
        if from == self.journal_at {
            return;
        }
        match memory.changes(from) {
            Changes::These(changes) => changes.iter().for_each(|change| self.forget_blocks(*change)),
            Changes::Everything => self.forget_traces(),
        }
    }

    fn forget_blocks(&mut self, Change { page, blocks }: Change) {
        let Some(places) = self.by_page.get_mut(&page) else { return };
        places.retain(|&at| {
            let trace = &mut self.table[usize::from(at)];
            let gpa = trace.gpa;
            if trace.mode == NO_TRACE || gpa / PAGE_OCTETS != page {
                return false;
            }
            let first = gpa % PAGE_OCTETS / CODE_BLOCK_OCTETS;
            let last = (gpa % PAGE_OCTETS + u32::from(trace.length.max(1)) - 1) / CODE_BLOCK_OCTETS;
            let touched = u32::MAX << first & u32::MAX >> (31 - last.min(31));
            if blocks & touched != 0 {
                *trace = EMPTY;
                let near = &mut self.near[gpa as usize % NEAR_ENTRIES];
                if near.gpa == gpa {
                    *near = EMPTY;
                }
                return false;
            }
            true
        });
    }

    fn forget_near(&mut self, gpa: u32) {
        let near = &mut self.near[gpa as usize % NEAR_ENTRIES];
        if near.gpa == gpa {
            *near = EMPTY;
        }
    }

    fn forget_traces(&mut self) {
        self.table.fill(EMPTY);
        self.near.fill(EMPTY);
        self.by_page.clear();
    }

    /// Forget everything. Nobody may use operations from before.
    pub(crate) fn forget(&mut self, memory: &Memory) {
        self.forget_traces();
        self.pool.clear();
        self.journal_at = memory.journal_end();
    }
}
