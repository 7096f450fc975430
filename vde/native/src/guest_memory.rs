//! `vde._native.GuestMemory`: a guest's memory for Python. Its facade is `emulators/cpus/vm.py`.

use guest_memory::{Error, Memory};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// Shared by the processors that were made with it. Who runs holds the lock.
#[pyclass(subclass, frozen, module = "vde._native")]
pub struct GuestMemory(pub Arc<Mutex<Memory>>);

#[pymethods]
impl GuestMemory {
    #[new]
    fn new() -> PyResult<Self> {
        Memory::new().map(|memory| GuestMemory(Arc::new(Mutex::new(memory)))).map_err(raised)
    }

    #[pyo3(signature = (gpa, size, readonly=false))]
    fn add_memory(&self, py: Python<'_>, gpa: u64, size: u64, readonly: bool) -> PyResult<()> {
        with(py, &self.0, |memory| memory.add(gpa, size, readonly)).map_err(raised)
    }

    fn remove_memory(&self, py: Python<'_>, gpa: u64) -> PyResult<()> {
        with(py, &self.0, |memory| memory.remove(gpa)).map(|_| ()).map_err(raised)
    }

    #[pyo3(signature = (gpa, size, on=true))]
    fn set_readonly(&self, py: Python<'_>, gpa: u64, size: u64, on: bool) -> PyResult<()> {
        with(py, &self.0, |memory| memory.set_readonly(gpa, size, on)).map_err(raised)
    }

    fn read<'py>(&self, py: Python<'py>, gpa: u64, octets: u64) -> PyResult<Bound<'py, PyBytes>> {
        let data = with(py, &self.0, |memory| {
            if octets > memory.octets() {
                return Err(Error::Outside { gpa, octets });
            }
            let mut data = vec![0; octets as usize]; // less than there is
            memory.read(gpa, &mut data).map(|()| data)
        });
        Ok(PyBytes::new(py, &data.map_err(raised)?))
    }

    fn write(&self, py: Python<'_>, gpa: u64, data: &[u8]) -> PyResult<()> {
        with(py, &self.0, |memory| memory.write(gpa, data)).map_err(raised)
    }

    #[pyo3(signature = (clear=true))]
    fn dirty_pages(&self, py: Python<'_>, clear: bool) -> Vec<u32> {
        with(py, &self.0, |memory| memory.dirty(clear))
    }

    /// (address, octets, readonly) of each slot, by address.
    fn slots(&self, py: Python<'_>) -> Vec<(u32, u64, bool)> {
        with(py, &self.0, |memory| memory.slots().iter().map(|slot| (slot.gpa, slot.octets, slot.readonly)).collect())
    }
}

/// Use what the mutex holds. The GIL is released only if that has to be waited for: most calls are short and alone.
pub fn with<T: Send, R: Send>(py: Python<'_>, mutex: &Mutex<T>, action: impl FnOnce(&mut T) -> R + Send) -> R {
    match mutex.try_lock() {
        Ok(mut guard) => action(&mut guard),
        Err(TryLockError::Poisoned(error)) => action(&mut error.into_inner()),
        Err(TryLockError::WouldBlock) => py.detach(|| action(&mut locked(mutex))),
    }
}

/// A panic elsewhere has been told already, and each call leaves a whole object behind.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn raised(error: Error) -> PyErr {
    match error {
        Error::Os(error) => PyOSError::new_err((error.raw_os_error(), error.to_string())),
        other => PyValueError::new_err(other.to_string()),
    }
}
