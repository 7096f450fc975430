//! Exits of all engines as tuples, and answers to them: `emulators/cpus/processor.py` is the other side.

use engine_contract::exit::{Exit, Reason, Refused};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

/// The value of a read that wants `octets` octets.
pub fn answer(octets: u32, data: Option<&[u8]>, bus_error: bool) -> PyResult<u64> {
    match data {
        _ if bus_error => Ok(0),
        Some(data) if data.len() == octets as usize => {
            let mut value = [0; 8];
            value[..data.len()].copy_from_slice(data);
            Ok(u64::from_le_bytes(value))
        }
        Some(data) => Err(PyValueError::new_err(format!("data of {} octets: {octets} were asked for", data.len()))),
        None => Err(PyRuntimeError::new_err("the read that the last exit asked for has no data")),
    }
}

pub fn raised(refused: Refused) -> PyErr {
    PyValueError::new_err(refused.0)
}

/// An exit as a tuple; the first number says which it is.
pub fn exit_tuple(py: Python<'_>, exit: Exit) -> PyResult<Bound<'_, PyTuple>> {
    match exit {
        Exit::Budget => (0,).into_pyobject(py),
        Exit::MmioRead { gpa, octets } => (1, gpa, octets).into_pyobject(py),
        Exit::MmioWrite { gpa, octets, value } => {
            (2, gpa, octets, PyBytes::new(py, &value.to_le_bytes()[..octets as usize])).into_pyobject(py)
        }
        Exit::Kicked => (3,).into_pyobject(py),
        Exit::Halt => (4,).into_pyobject(py),
        Exit::Debug { reason, address } => {
            let reason = match reason {
                Reason::Breakpoint => "breakpoint",
                Reason::WatchRead => "watch-read",
                Reason::WatchWrite => "watch-write",
            };
            (5, reason, address).into_pyobject(py)
        }
        Exit::Hypercall(number) => (6, number).into_pyobject(py),
        Exit::Exception { vector, next_pc } => (7, vector, next_pc).into_pyobject(py),
        Exit::InternalError { pc, octets } => (8, pc, PyBytes::new(py, &octets)).into_pyobject(py),
        Exit::IoRead { port, octets, count } => (9, port, octets, count).into_pyobject(py),
        Exit::IoWrite { port, octets, count, data } => {
            (10, port, octets, count, PyBytes::new(py, &data)).into_pyobject(py)
        }
        Exit::IrqWindow => (11,).into_pyobject(py),
        Exit::Shutdown => (12,).into_pyobject(py),
    }
}
