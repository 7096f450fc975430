//! `vde._native`: the one compiled module.

mod forwarder;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<forwarder::Forwarder>()
}
