//! `vde._native.Ppc`: a PowerPC processor for Python. Its facade is `emulators/cpus/ppc/__init__.py`.

use crate::exits::raised;
use crate::guest_memory::{GuestMemory, locked};
use crate::processor::{named, processor, purpose};
use ppc_engine::{Access, Cpu, Model, Options};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

processor! {
    /// A 750, 604 or 7400.
    Ppc: Cpu, ea; run budget_insns, replayed;

    #[new]
    #[pyo3(signature = (memory, *, model, timebase_ticks, hypercalls))]
    fn new(memory: &Bound<'_, GuestMemory>, model: &str, timebase_ticks: u32, hypercalls: bool) -> PyResult<Self> {
        let model =
            Model::named(model).ok_or_else(|| PyValueError::new_err(format!("model {model:?}: no PowerPC here")))?;
        let cpu = Cpu::new(Options { model, timebase_ticks, hypercalls }).map_err(raised)?;
        Ok(Self::of(cpu, memory))
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
        named(py, self.with(py, |cpu| cpu.state()))
    }

    fn set_state(&self, py: Python<'_>, state: Vec<(String, u128)>) -> PyResult<()> {
        self.with(py, |cpu| cpu.set_state(&state)).map_err(raised)
    }

    fn translate(&self, py: Python<'_>, ea: u32, access: &str) -> PyResult<Option<u32>> {
        let access = purpose(access, [Access::Read, Access::Write, Access::Fetch])?;
        Ok(py.detach(|| locked(&self.cpu).translate(&locked(&self.memory), ea, access)))
    }
}
