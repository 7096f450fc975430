//! `vde._native`: the one compiled module.

mod exits;
mod forwarder;
mod guest_memory;
mod i386;
mod i386_text;
mod mips;
mod mips_text;
mod ppc;
mod ppc_text;
mod processor;
mod r3000;
mod ring;
mod umps;
mod wire;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(i386_text::i386_table, module)?)?;
    module.add_function(wrap_pyfunction!(mips_text::mips_disassemble, module)?)?;
    module.add_function(wrap_pyfunction!(mips_text::mips_table, module)?)?;
    module.add_function(wrap_pyfunction!(ppc_text::ppc_disassemble, module)?)?;
    module.add_function(wrap_pyfunction!(ppc_text::ppc_table, module)?)?;
    module.add_class::<ring::Ring>()?;
    module.add_class::<guest_memory::GuestMemory>()?;
    module.add_class::<i386::I386>()?;
    module.add_class::<mips::Mips32>()?;
    module.add_class::<ppc::Ppc>()?;
    module.add_class::<r3000::R3000>()?;
    module.add_class::<umps::Umps>()?;
    module.add_class::<wire::WireLane>()?;
    module.add_class::<wire::WirePump>()?;
    module.add_class::<forwarder::Forwarder>()
}
