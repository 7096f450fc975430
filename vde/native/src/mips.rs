//! `vde._native.Mips32`: a MIPS32 processor for Python. Its facade is `emulators/cpus/mips/__init__.py`.

use crate::exits::raised;
use crate::guest_memory::GuestMemory;
use crate::processor::{named, processor, purpose};
use mips_engine::mips32::{Access, Cpu, Options};
use pyo3::prelude::*;
use pyo3::types::PyDict;

processor! {
    /// A 24Kf.
    Mips32: Cpu, va; run budget_insns, replayed;

    #[new]
    #[pyo3(signature = (memory, *, tlb_entries, hypercalls))]
    fn new(memory: &Bound<'_, GuestMemory>, tlb_entries: u32, hypercalls: bool) -> PyResult<Self> {
        let cpu = Cpu::new(Options { tlb_entries, hypercalls }).map_err(raised)?;
        Ok(Self::of(cpu, memory))
    }

    fn next_timer(&self, py: Python<'_>) -> Option<u64> {
        self.with(py, |cpu| cpu.next_timer())
    }

    fn set_ip(&self, py: Python<'_>, line: u32, level: bool) -> PyResult<()> {
        self.with(py, |cpu| cpu.set_ip(line, level)).map_err(raised)
    }

    fn intercept(&self, py: Python<'_>, codes: Vec<u32>) -> PyResult<()> {
        self.with(py, |cpu| cpu.intercept(&codes)).map_err(raised)
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        named(py, self.with(py, |cpu| cpu.state()))
    }

    fn set_state(&self, py: Python<'_>, state: Vec<(String, u64)>) -> PyResult<()> {
        self.with(py, |cpu| cpu.set_state(&state)).map_err(raised)
    }

    fn translate(&self, py: Python<'_>, va: u32, access: &str) -> PyResult<Option<u32>> {
        let access = purpose(access, [Access::Read, Access::Write, Access::Fetch])?;
        Ok(self.with(py, |cpu| cpu.translate(va, access)))
    }
}
