//! `vde._native.R3000`: a plain R3000 for Python. The facade is `emulators/cpus/mips/__init__.py`.

use crate::exits::{answer, exit_tuple, raised};
use crate::guest_memory::{GuestMemory, locked, with};
use guest_memory::Memory;
use mips_engine::exit::Exit;
use mips_engine::r3000::plain::Cpu;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// An R3000.
#[pyclass(subclass, frozen, module = "vde._native")]
pub struct R3000 {
    cpu: Mutex<Cpu>,
    memory: Arc<Mutex<Memory>>,
    kicked: Arc<AtomicBool>,
}

#[pymethods]
impl R3000 {
    #[new]
    fn new(memory: &Bound<'_, GuestMemory>) -> Self {
        let cpu = Cpu::new();
        let kicked = cpu.kick();
        R3000 { cpu: Mutex::new(cpu), memory: Arc::clone(&memory.get().0), kicked }
    }

    /// `data`: the answer to the read that the last exit asked for.
    #[pyo3(signature = (budget_insns, data=None, bus_error=false))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        budget_insns: u64,
        data: Option<&[u8]>,
        bus_error: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let exit: PyResult<Exit> = py.detach(|| {
            let mut cpu = locked(&self.cpu);
            let mut memory = locked(&self.memory);
            if bus_error {
                cpu.fail();
            } else if let Some((_, octets)) = cpu.pending() {
                cpu.answer(answer(octets, data, false)? as u32);
            }
            Ok(cpu.run(&mut memory, budget_insns))
        });
        exit_tuple(py, exit?)
    }

    /// The (address, octets) of the read that is to be answered.
    fn pending(&self, py: Python<'_>) -> Option<(u32, u32)> {
        self.with(py, |cpu| cpu.pending())
    }

    /// From any thread.
    fn kick(&self) {
        self.kicked.store(true, Ordering::Release);
    }

    #[getter]
    fn icount(&self, py: Python<'_>) -> u64 {
        self.with(py, |cpu| cpu.icount())
    }

    #[getter]
    fn ticks(&self, py: Python<'_>) -> u64 {
        self.with(py, |cpu| cpu.ticks())
    }

    fn skip(&self, py: Python<'_>, ticks: u64) -> PyResult<()> {
        self.with(py, |cpu| cpu.skip(ticks)).map_err(raised)
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
        let state = PyDict::new(py);
        for (name, value) in self.with(py, |cpu| cpu.state()) {
            state.set_item(name, value)?;
        }
        Ok(state)
    }

    fn set_state(&self, py: Python<'_>, state: Vec<(String, u64)>) -> PyResult<()> {
        let state = words(state)?;
        self.with(py, |cpu| cpu.set_state(&state)).map_err(raised)
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.with(py, Cpu::snapshot))
    }

    fn restore(&self, py: Python<'_>, octets: &[u8]) -> PyResult<()> {
        self.with(py, |cpu| cpu.restore(octets)).map_err(raised)
    }

    fn add_breakpoint(&self, py: Python<'_>, va: u32) -> PyResult<()> {
        self.with(py, |cpu| cpu.add_breakpoint(va)).map_err(raised)
    }

    fn remove_breakpoint(&self, py: Python<'_>, va: u32) {
        self.with(py, |cpu| cpu.remove_breakpoint(va));
    }

    fn add_watchpoint(&self, py: Python<'_>, va: u32, size: u32, read: bool, write: bool) -> PyResult<()> {
        self.with(py, |cpu| cpu.add_watchpoint(va, size, read, write)).map_err(raised)
    }

    fn remove_watchpoint(&self, py: Python<'_>, va: u32, size: u32, read: bool, write: bool) {
        self.with(py, |cpu| cpu.remove_watchpoint(va, size, read, write));
    }

    /// Addresses are what they are.
    fn translate(&self, va: u32, _access: &str) -> Option<u32> {
        Some(va)
    }
}

impl R3000 {
    /// The processor, once it does not run.
    fn with<T: Send>(&self, py: Python<'_>, action: impl FnOnce(&mut Cpu) -> T + Send) -> T {
        with(py, &self.cpu, action)
    }
}

/// Registers of 32 bits.
pub fn words(state: Vec<(String, u64)>) -> PyResult<Vec<(String, u32)>> {
    let word = |(name, value): (String, u64)| match u32::try_from(value) {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(PyValueError::new_err(format!("{name}: {value:#x} does not fit"))),
    };
    state.into_iter().map(word).collect()
}
