//! Python's way to the disassembler of MIPS instructions.

use mips_engine::disassemble::disassemble;
use mips_engine::table::{Decoder, FP, M1, M2, M32, R2, R3K, ROWS, TLB, UMPS};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

const MODELS: [(&str, u16); 3] =
    [("24Kf", M1 | M2 | M32 | R2 | FP | TLB), ("R3000", M1 | R3K | TLB), ("uMPS3", M1 | R3K | UMPS | TLB)];

fn instructions_of(model: &str) -> PyResult<u16> {
    let known = MODELS.map(|(name, _)| name).join(", ");
    let found = MODELS.iter().find(|(name, _)| *name == model).map(|&(_, has)| has);
    found.ok_or_else(|| PyValueError::new_err(format!("model {model:?}: there are {known}")))
}

/// The rows of the instruction table that a model has: the manual's name, and 32 bits as `table.rs` writes them.
#[pyfunction]
pub fn mips_table(model: &str) -> PyResult<Vec<(&'static str, &'static str)>> {
    let has = instructions_of(model)?;
    Ok(ROWS.iter().filter(|row| row.needs & !has == 0).map(|row| (row.name, row.bits)).collect())
}

/// The instructions in `octets` (little-endian, a multiple of 4), the first of them at `pc`.
#[pyfunction]
pub fn mips_disassemble(octets: &[u8], pc: u32, model: &str) -> PyResult<Vec<String>> {
    let has = instructions_of(model)?;
    if octets.len() % 4 != 0 {
        return Err(PyValueError::new_err(format!("{} octets: instructions have 4", octets.len())));
    }
    let decoder = Decoder::new(has);
    let text = |(at, octets): (usize, &[u8])| {
        let word = octets.iter().rev().fold(0, |word, &octet| word << 8 | u32::from(octet));
        disassemble(&decoder, word, pc.wrapping_add(4 * at as u32))
    };
    Ok(octets.chunks_exact(4).enumerate().map(text).collect())
}
