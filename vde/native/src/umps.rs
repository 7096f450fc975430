//! `vde._native.Umps`: uMPS3's processors for Python. The facade is `emulators/cpus/mips/umps.py`.

use crate::exits::{answer, exit_tuple, raised};
use crate::guest_memory::{GuestMemory, locked, with};
use crate::r3000::words;
use guest_memory::Memory;
use mips_engine::exit::Exit;
use mips_engine::r3000::umps::{Access, Options, Processors};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// One to sixteen processors, in lock-step.
#[pyclass(subclass, frozen, module = "vde._native")]
pub struct Umps {
    processors: Mutex<Processors>,
    memory: Arc<Mutex<Memory>>,
    kicked: Arc<AtomicBool>,
}

#[pymethods]
impl Umps {
    #[new]
    #[pyo3(signature = (memory, *, count, tlb_size, tlb_floor, ram_base, ram_octets, roms))]
    fn new(
        memory: &Bound<'_, GuestMemory>,
        count: u32,
        tlb_size: u32,
        tlb_floor: u32,
        ram_base: u32,
        ram_octets: u32,
        roms: Vec<(u32, u32)>,
    ) -> PyResult<Self> {
        let options = Options { count, tlb_size, tlb_floor, ram_base, ram_octets, roms };
        let processors = Processors::new(options).map_err(raised)?;
        let kicked = processors.kick();
        Ok(Umps { processors: Mutex::new(processors), memory: Arc::clone(&memory.get().0), kicked })
    }

    /// `data`: the answer to the read that the last exit asked for.
    #[pyo3(signature = (budget_ticks, data=None, bus_error=false))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        budget_ticks: u64,
        data: Option<&[u8]>,
        bus_error: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let exit: PyResult<Exit> = py.detach(|| {
            let mut processors = locked(&self.processors);
            let mut memory = locked(&self.memory);
            if bus_error {
                processors.fail();
            } else if let Some((_, octets)) = processors.pending() {
                processors.answer(answer(octets, data, false)? as u32);
            }
            Ok(processors.run(&mut memory, budget_ticks))
        });
        exit_tuple(py, exit?)
    }

    /// The (address, octets) of the read that is to be answered.
    fn pending(&self, py: Python<'_>) -> Option<(u32, u32)> {
        self.with(py, |processors| processors.pending())
    }

    /// From any thread.
    fn kick(&self) {
        self.kicked.store(true, Ordering::Release);
    }

    #[getter]
    fn icount(&self, py: Python<'_>) -> u64 {
        self.with(py, |processors| processors.icount())
    }

    #[getter]
    fn ticks(&self, py: Python<'_>) -> u64 {
        self.with(py, |processors| processors.ticks())
    }

    #[getter]
    fn tod(&self, py: Python<'_>) -> u64 {
        self.with(py, |processors| processors.tod())
    }

    #[getter]
    fn current(&self, py: Python<'_>) -> u32 {
        self.with(py, |processors| processors.current())
    }

    #[getter]
    fn interval_timer(&self, py: Python<'_>) -> u32 {
        self.with(py, |processors| processors.interval_timer())
    }

    #[setter]
    fn set_interval_timer(&self, py: Python<'_>, value: u32) {
        self.with(py, |processors| processors.set_interval_timer(value));
    }

    #[getter]
    fn interval_timer_cpu(&self, py: Python<'_>) -> Option<u32> {
        self.with(py, |processors| processors.interval_timer_cpu())
    }

    #[setter]
    fn set_interval_timer_cpu(&self, py: Python<'_>, cpu: Option<u32>) -> PyResult<()> {
        self.with(py, |processors| processors.set_interval_timer_cpu(cpu)).map_err(raised)
    }

    fn last_pc(&self, py: Python<'_>, cpu: u32) -> PyResult<u32> {
        self.with(py, |processors| processors.last_pc(cpu)).map_err(raised)
    }

    fn skip(&self, py: Python<'_>, ticks: u64) -> PyResult<()> {
        self.with(py, |processors| processors.skip(ticks)).map_err(raised)
    }

    fn next_timer(&self, py: Python<'_>) -> Option<u64> {
        self.with(py, |processors| processors.next_timer())
    }

    fn set_ip(&self, py: Python<'_>, line: u32, level: bool, cpu: u32) -> PyResult<()> {
        self.with(py, |processors| processors.set_ip(line, level, cpu)).map_err(raised)
    }

    fn reset_cpu(&self, py: Python<'_>, cpu: u32, pc: u32, sp: u32) -> PyResult<()> {
        self.with(py, |processors| processors.reset_cpu(cpu, pc, sp)).map_err(raised)
    }

    fn halt_cpu(&self, py: Python<'_>, cpu: u32) -> PyResult<()> {
        self.with(py, |processors| processors.halt_cpu(cpu)).map_err(raised)
    }

    fn state<'py>(&self, py: Python<'py>, cpu: u32) -> PyResult<Bound<'py, PyDict>> {
        let state = PyDict::new(py);
        for (name, value) in self.with(py, |processors| processors.state(cpu)).map_err(raised)? {
            state.set_item(name, value)?;
        }
        Ok(state)
    }

    fn set_state(&self, py: Python<'_>, cpu: u32, state: Vec<(String, u64)>) -> PyResult<()> {
        let state = words(state)?;
        self.with(py, |processors| processors.set_state(cpu, &state)).map_err(raised)
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.with(py, Processors::snapshot))
    }

    fn restore(&self, py: Python<'_>, octets: &[u8]) -> PyResult<()> {
        self.with(py, |processors| processors.restore(octets)).map_err(raised)
    }

    fn add_breakpoint(&self, py: Python<'_>, va: u32) -> PyResult<()> {
        self.with(py, |processors| processors.add_breakpoint(va)).map_err(raised)
    }

    fn remove_breakpoint(&self, py: Python<'_>, va: u32) {
        self.with(py, |processors| processors.remove_breakpoint(va));
    }

    fn add_watchpoint(&self, py: Python<'_>, va: u32, size: u32, read: bool, write: bool) -> PyResult<()> {
        self.with(py, |processors| processors.add_watchpoint(va, size, read, write)).map_err(raised)
    }

    fn remove_watchpoint(&self, py: Python<'_>, va: u32, size: u32, read: bool, write: bool) {
        self.with(py, |processors| processors.remove_watchpoint(va, size, read, write));
    }

    fn translate(&self, py: Python<'_>, va: u32, access: &str, cpu: u32) -> PyResult<Option<u32>> {
        let access = match access {
            "read" => Access::Read,
            "write" => Access::Write,
            "fetch" => Access::Fetch,
            _ => return Err(PyValueError::new_err(format!("{access}: read, write or fetch are expected"))),
        };
        self.with(py, |processors| processors.translate(va, access, cpu)).map_err(raised)
    }
}

impl Umps {
    /// The processors, once they do not run.
    fn with<T: Send>(&self, py: Python<'_>, action: impl FnOnce(&mut Processors) -> T + Send) -> T {
        with(py, &self.processors, action)
    }
}
