//! `vde._native`: the one compiled module.

mod forwarder;
mod ring;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ring::Ring>()?;
    module.add_class::<forwarder::Forwarder>()
}
