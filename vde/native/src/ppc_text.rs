//! Python's way to the disassembler of PowerPC instructions.

use ppc_engine::Model;
use ppc_engine::disassemble::{disassemble, operand_bits};
use ppc_engine::table::{Decoder, ROWS};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

fn instructions_of(model: &str) -> PyResult<u16> {
    let model =
        Model::named(model).ok_or_else(|| PyValueError::new_err(format!("model {model:?}: no PowerPC here")))?;
    Ok(model.has())
}

/// The rows of the instruction table that a model has: the manual's name, the bits that decide, what they are, and the
/// bits that are operands.
#[pyfunction]
pub fn ppc_table(model: &str) -> PyResult<Vec<(&'static str, u32, u32, u32)>> {
    let has = instructions_of(model)?;
    let rows = ROWS.iter().filter(|row| row.needs & !has == 0);
    Ok(rows.map(|row| (row.name, row.mask, row.value, operand_bits(row))).collect())
}

/// The instructions in `octets` (big-endian, a multiple of 4), the first of them at `pc`.
#[pyfunction]
pub fn ppc_disassemble(octets: &[u8], pc: u32, model: &str) -> PyResult<Vec<String>> {
    let has = instructions_of(model)?;
    if octets.len() % 4 != 0 {
        return Err(PyValueError::new_err(format!("{} octets: instructions have 4", octets.len())));
    }
    let decoder = Decoder::new(has);
    let text = |(at, octets): (usize, &[u8])| {
        let word = octets.iter().fold(0, |word, &octet| word << 8 | u32::from(octet));
        disassemble(&decoder, word, pc.wrapping_add(4 * at as u32))
    };
    Ok(octets.chunks_exact(4).enumerate().map(text).collect())
}
