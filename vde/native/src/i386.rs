//! `vde._native.I386`: a 32-bit Intel processor for Python. Its facade is `emulators/cpus/i386/__init__.py`.

use crate::exits::{exit_tuple, raised};
use crate::guest_memory::{GuestMemory, locked};
use crate::processor::{named, processor, purpose};
use i386_engine::model::{Model, Options};
use i386_engine::{Access, Cpu};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

processor! {
    /// A processor of one of the models.
    I386: Cpu, va;

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
        Ok(Self::of(cpu, memory))
    }

    /// `data`: the answer to the read that the last exit asked for.
    #[pyo3(signature = (budget_insns, data=None))]
    fn run<'py>(&self, py: Python<'py>, budget_insns: u64, data: Option<Vec<u8>>) -> PyResult<Bound<'py, PyTuple>> {
        self.enter(py, |cpu, memory| {
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
            Ok(cpu.run(memory, budget_insns))
        })
    }

    /// The read that is to be answered, as its exit's tuple.
    fn pending<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.with(py, |cpu| cpu.pending()).map(|exit| exit_tuple(py, exit)).transpose()
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
        named(py, self.with(py, |cpu| cpu.state()))
    }

    fn set_state(&self, py: Python<'_>, state: Vec<(String, u128)>) -> PyResult<()> {
        py.detach(|| locked(&self.cpu).set_state(&locked(&self.memory), &state)).map_err(raised)
    }

    fn translate(&self, py: Python<'_>, va: u32, access: &str) -> PyResult<Option<u32>> {
        let access = purpose(access, [Access::Read, Access::Write, Access::Fetch])?;
        Ok(py.detach(|| locked(&self.cpu).translate(&locked(&self.memory), va, access)))
    }
}
