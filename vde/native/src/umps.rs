//! `vde._native.Umps`: uMPS3's processors for Python. The facade is `emulators/cpus/mips/umps.py`.

use crate::exits::raised;
use crate::guest_memory::GuestMemory;
use crate::processor::{named, processor, purpose, words};
use mips_engine::r3000::umps::{Access, Options, Processors};
use pyo3::prelude::*;
use pyo3::types::PyDict;

processor! {
    /// One to sixteen processors, in lock-step.
    Umps: Processors, va; run budget_ticks, waiting;

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
        Ok(Self::of(processors, memory))
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
        named(py, self.with(py, |processors| processors.state(cpu)).map_err(raised)?)
    }

    fn set_state(&self, py: Python<'_>, cpu: u32, state: Vec<(String, u64)>) -> PyResult<()> {
        let state = words(state)?;
        self.with(py, |processors| processors.set_state(cpu, &state)).map_err(raised)
    }

    fn translate(&self, py: Python<'_>, va: u32, access: &str, cpu: u32) -> PyResult<Option<u32>> {
        let access = purpose(access, [Access::Read, Access::Write, Access::Fetch])?;
        self.with(py, |processors| processors.translate(va, access, cpu)).map_err(raised)
    }
}
