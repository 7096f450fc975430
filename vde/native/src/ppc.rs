//! `vde._native.Ppc`: a PowerPC processor for Python. Its facade is `emulators/cpus/ppc/__init__.py`.
//!
//! Exits are tuples: a number, then fields; `emulators/cpus/processor.py` makes objects of them.

use crate::exits::{answer, exit_tuple, raised};
use crate::guest_memory::{GuestMemory, locked, with};
use engine_contract::exit::Exit;
use guest_memory::Memory;
use ppc_engine::{Access, Cpu, Model, Options};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A 750, 604 or 7400.
#[pyclass(subclass, frozen, module = "vde._native")]
pub struct Ppc {
    cpu: Mutex<Cpu>,
    memory: Arc<Mutex<Memory>>,
    kicked: Arc<AtomicBool>,
}

#[pymethods]
impl Ppc {
    #[new]
    #[pyo3(signature = (memory, *, model, timebase_ticks, hypercalls))]
    fn new(memory: &Bound<'_, GuestMemory>, model: &str, timebase_ticks: u32, hypercalls: bool) -> PyResult<Self> {
        let model =
            Model::named(model).ok_or_else(|| PyValueError::new_err(format!("model {model:?}: no PowerPC here")))?;
        let cpu = Cpu::new(Options { model, timebase_ticks, hypercalls }).map_err(raised)?;
        let kicked = cpu.kick();
        Ok(Ppc { cpu: Mutex::new(cpu), memory: Arc::clone(&memory.get().0), kicked })
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
            if let Some(octets) = cpu.wants() {
                cpu.answer(answer(octets, data, bus_error)?, bus_error);
            } else if bus_error {
                cpu.answer(0, true);
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

    fn next_timer(&self, py: Python<'_>) -> Option<u64> {
        self.with(py, |cpu| cpu.next_timer())
    }

    fn set_irq(&self, py: Python<'_>, level: bool) {
        self.with(py, |cpu| cpu.set_irq(level));
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
        self.with(py, |cpu| cpu.set_state(&state)).map_err(raised)
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.with(py, Cpu::snapshot))
    }

    fn restore(&self, py: Python<'_>, octets: &[u8]) -> PyResult<()> {
        self.with(py, |cpu| cpu.restore(octets)).map_err(raised)
    }

    fn add_breakpoint(&self, py: Python<'_>, ea: u32) -> PyResult<()> {
        self.with(py, |cpu| cpu.add_breakpoint(ea)).map_err(raised)
    }

    fn remove_breakpoint(&self, py: Python<'_>, ea: u32) {
        self.with(py, |cpu| cpu.remove_breakpoint(ea));
    }

    fn add_watchpoint(&self, py: Python<'_>, ea: u32, size: u32, read: bool, write: bool) -> PyResult<()> {
        self.with(py, |cpu| cpu.add_watchpoint(ea, size, read, write)).map_err(raised)
    }

    fn remove_watchpoint(&self, py: Python<'_>, ea: u32, size: u32, read: bool, write: bool) {
        self.with(py, |cpu| cpu.remove_watchpoint(ea, size, read, write));
    }

    fn translate(&self, py: Python<'_>, ea: u32, access: &str) -> PyResult<Option<u32>> {
        let access = match access {
            "read" => Access::Read,
            "write" => Access::Write,
            "fetch" => Access::Fetch,
            _ => return Err(PyValueError::new_err(format!("{access}: read, write or fetch are expected"))),
        };
        Ok(py.detach(|| {
            let cpu = locked(&self.cpu);
            let memory = locked(&self.memory);
            cpu.translate(&memory, ea, access)
        }))
    }
}

impl Ppc {
    /// The processor, once it does not run.
    fn with<T: Send>(&self, py: Python<'_>, action: impl FnOnce(&mut Cpu) -> T + Send) -> T {
        with(py, &self.cpu, action)
    }
}
