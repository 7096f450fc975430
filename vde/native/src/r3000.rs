//! `vde._native.R3000`: a plain R3000 for Python. The facade is `emulators/cpus/mips/__init__.py`.

use crate::exits::raised;
use crate::guest_memory::GuestMemory;
use crate::processor::{named, processor, words};
use mips_engine::r3000::plain::Cpu;
use pyo3::prelude::*;
use pyo3::types::PyDict;

processor! {
    /// An R3000.
    R3000: Cpu, va; run budget_insns, waiting;

    #[new]
    fn new(memory: &Bound<'_, GuestMemory>) -> Self {
        Self::of(Cpu::new(), memory)
    }

    /// It has no timer.
    fn next_timer(&self) -> Option<u64> {
        None
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
        let state = words(state)?;
        self.with(py, |cpu| cpu.set_state(&state)).map_err(raised)
    }

    /// Addresses are what they are.
    fn translate(&self, va: u32, _access: &str) -> Option<u32> {
        Some(va)
    }
}
