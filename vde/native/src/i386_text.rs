//! The i386 engine's instruction table for Python: `emulators/cpus/i386/forms.py`.

use i386_engine::table;
use pyo3::prelude::*;

/// (file, mnemonic, behind 0F?, opcode, span, prefix, kind, group, modrm, operands, needs, lock)
type Form = (String, String, bool, u8, u8, String, String, Option<u8>, Option<u8>, Vec<String>, u64, bool);

#[pyfunction]
pub fn i386_table() -> Vec<Form> {
    let forms = table::files().into_iter().flat_map(|(file, rows)| {
        rows.into_iter().map(move |row| {
            (
                file.to_owned(),
                row.mnemonic.to_owned(),
                row.map == table::Map::Two,
                row.opcode,
                row.span,
                format!("{:?}", row.prefix),
                format!("{:?}", row.kind),
                row.group,
                row.modrm,
                row.operands.iter().map(|operand| format!("{operand:?}")).collect(),
                row.needs,
                row.lock,
            )
        })
    });
    forms.collect()
}
