//! `vde._native.I386`: a 32-bit Intel processor for Python. Its facade is `emulators/cpus/i386/__init__.py`.
//!
//! Exits are tuples: a number, then fields; `emulators/cpus/processor.py` makes objects of them.

use crate::exits::{exit_tuple, raised};
use crate::guest_memory::{GuestMemory, locked, with};
use guest_memory::Memory;
use i386_engine::exit::Exit;
use i386_engine::model::{Model, Options};
use i386_engine::{Access, Cpu};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A processor of one of the models.
#[pyclass(subclass, frozen, module = "vde._native")]
pub struct I386 {
    cpu: Mutex<Cpu>,
    memory: Arc<Mutex<Memory>>,
    kicked: Arc<AtomicBool>,
}

#[pymethods]
impl I386 {
    #[new]
    #[pyo3(signature = (memory, *, model, pae, nx, sse2, apic, hypercalls))]
    #[allow(clippy::too_many_arguments)] // Python names them
    fn new(
        memory: &Bound<'_, GuestMemory>,
        model: &str,
        pae: bool,
        nx: bool,
        sse2: bool,
        apic: bool,
        hypercalls: bool,
    ) -> PyResult<Self> {
        let options = Options { pae, nx, sse2, apic };
        let model = Model::find(model, options)
            .ok_or_else(|| PyValueError::new_err(format!("{model}: no model with these options")))?;
        let cpu = Cpu::new(model, hypercalls);
        let kicked = cpu.kick();
        Ok(I386 { cpu: Mutex::new(cpu), memory: Arc::clone(&memory.get().0), kicked })
    }

    /// `data`: the answer to the read that the last exit asked for.
    #[pyo3(signature = (budget_insns, data=None))]
    fn run<'py>(&self, py: Python<'py>, budget_insns: u64, data: Option<Vec<u8>>) -> PyResult<Bound<'py, PyTuple>> {
        let exit: PyResult<Exit> = py.detach(|| {
            let mut cpu = locked(&self.cpu);
            let mut memory = locked(&self.memory);
            if let Some(octets) = cpu.wants() {
                match data {
                    Some(data) if data.len() == octets => cpu.answer(data),
                    Some(data) => {
                        let given = data.len();
                        return Err(PyValueError::new_err(format!("data of {given} octets: {octets} were asked for")));
                    }
                    None => return Err(PyRuntimeError::new_err("the read that the last exit asked for has no data")),
                }
            }
            Ok(cpu.run(&mut memory, budget_insns))
        });
        exit_tuple(py, exit?)
    }

    /// The read that is to be answered, as its exit's tuple.
    fn pending<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.with(py, |cpu| cpu.pending()).map(|exit| exit_tuple(py, exit)).transpose()
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

    fn set_intr(&self, py: Python<'_>, level: bool) {
        self.with(py, |cpu| cpu.set_intr(level));
    }

    fn inject(&self, py: Python<'_>, vector: u32) -> PyResult<()> {
        self.with(py, |cpu| cpu.inject(vector)).map_err(raised)
    }

    fn nmi(&self, py: Python<'_>) {
        self.with(py, Cpu::nmi);
    }

    fn set_a20(&self, py: Python<'_>, on: bool) {
        self.with(py, |cpu| cpu.set_a20(on));
    }

    /// FERR#: an x87 exception is for the board to report.
    #[getter]
    fn ferr(&self, py: Python<'_>) -> bool {
        self.with(py, |cpu| cpu.ferr())
    }

    fn set_ignne(&self, py: Python<'_>, level: bool) {
        self.with(py, |cpu| cpu.set_ignne(level));
    }

    fn reset(&self, py: Python<'_>) {
        self.with(py, Cpu::reset);
    }

    fn intercept(&self, py: Python<'_>, vectors: Vec<u32>) -> PyResult<()> {
        self.with(py, |cpu| cpu.intercept(&vectors)).map_err(raised)
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let state = PyDict::new(py);
        for (name, value) in self.with(py, |cpu| cpu.state()) {
            state.set_item(name, value)?;
        }
        Ok(state)
    }

    fn set_state(&self, py: Python<'_>, state: Vec<(String, u128)>) -> PyResult<()> {
        py.detach(|| locked(&self.cpu).set_state(&locked(&self.memory), &state)).map_err(raised)
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

    fn translate(&self, py: Python<'_>, va: u32, access: &str) -> PyResult<Option<u32>> {
        let access = match access {
            "read" => Access::Read,
            "write" => Access::Write,
            "fetch" => Access::Fetch,
            _ => return Err(PyValueError::new_err(format!("{access}: read, write or fetch are expected"))),
        };
        Ok(py.detach(|| locked(&self.cpu).translate(&locked(&self.memory), va, access)))
    }
}

impl I386 {
    /// The processor, once it does not run.
    fn with<T: Send>(&self, py: Python<'_>, action: impl FnOnce(&mut Cpu) -> T + Send) -> T {
        with(py, &self.cpu, action)
    }
}
