//! What all processors are for Python: the methods that they share, written once, and their values' conversions.
//!
//! PyO3 takes one block of methods for a class. So [`processor!`] makes the class and its block, out of what all have
//! and of the methods that the engine's own file gives.
//!
//! Exits are tuples: a number, then fields; `emulators/cpus/processor.py` makes objects of them.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Makes a class `$class` around the engine `$cpu`. `$address` is what the manual calls an address.
///
/// `run $budget, replayed` or `run $budget, waiting` adds `run` and `pending` for engines that are answered one read at a
/// time: those that execute the instruction again, and ask what it wants; and those that wait within it.
macro_rules! processor {
    ($(#[$about:meta])* $class:ident: $cpu:ty, $address:ident; run $budget:ident, $answers:ident; $($own:tt)*) => {
        $crate::processor::processor! {
            $(#[$about])* $class: $cpu, $address;

            /// `data`: the answer to the read that the last exit asked for.
            #[pyo3(signature = ($budget, data=None, bus_error=false))]
            fn run<'py>(
                &self,
                py: Python<'py>,
                $budget: u64,
                data: Option<&[u8]>,
                bus_error: bool,
            ) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
                self.enter(py, |cpu, memory| {
                    $crate::processor::processor!(@$answers cpu, data, bus_error);
                    Ok(cpu.run(memory, $budget))
                })
            }

            /// The (address, octets) of the read that is to be answered.
            fn pending(&self, py: Python<'_>) -> Option<(u32, u32)> {
                self.with(py, |cpu| cpu.pending())
            }

            $($own)*
        }
    };

    (@replayed $cpu:ident, $data:ident, $bus_error:ident) => {
        if let Some(octets) = $cpu.wants() {
            $cpu.answer($crate::exits::answer(octets, $data, $bus_error)?, $bus_error);
        } else if $bus_error {
            $cpu.answer(0, true);
        }
    };

    (@waiting $cpu:ident, $data:ident, $bus_error:ident) => {
        if $bus_error {
            $cpu.fail();
        } else if let Some((_, octets)) = $cpu.pending() {
            $cpu.answer($crate::exits::answer(octets, $data, false)? as u32);
        }
    };

    ($(#[$about:meta])* $class:ident: $cpu:ty, $address:ident; $($own:tt)*) => {
        $(#[$about])*
        #[pyclass(subclass, frozen, module = "vde._native")]
        pub struct $class {
            cpu: std::sync::Mutex<$cpu>,
            memory: std::sync::Arc<std::sync::Mutex<guest_memory::Memory>>,
            kicked: std::sync::Arc<std::sync::atomic::AtomicBool>,
        }

        #[pymethods]
        impl $class {
            $($own)*

            /// From any thread.
            fn kick(&self) {
                self.kicked.store(true, std::sync::atomic::Ordering::Release);
            }

            #[getter]
            fn icount(&self, py: Python<'_>) -> u64 {
                self.with(py, |cpu| cpu.icount())
            }

            #[getter]
            fn ticks(&self, py: Python<'_>) -> u64 {
                self.with(py, |cpu| cpu.ticks())
            }

            fn skip(&self, py: Python<'_>, ticks: u64) -> PyResult<()> {
                self.with(py, |cpu| cpu.skip(ticks)).map_err($crate::exits::raised)
            }

            fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, pyo3::types::PyBytes> {
                pyo3::types::PyBytes::new(py, &self.with(py, |cpu| cpu.snapshot()))
            }

            fn restore(&self, py: Python<'_>, octets: &[u8]) -> PyResult<()> {
                self.with(py, |cpu| cpu.restore(octets)).map_err($crate::exits::raised)
            }

            fn add_breakpoint(&self, py: Python<'_>, $address: u32) -> PyResult<()> {
                self.with(py, |cpu| cpu.add_breakpoint($address)).map_err($crate::exits::raised)
            }

            fn remove_breakpoint(&self, py: Python<'_>, $address: u32) {
                self.with(py, |cpu| cpu.remove_breakpoint($address));
            }

            fn add_watchpoint(
                &self,
                py: Python<'_>,
                $address: u32,
                size: u32,
                read: bool,
                write: bool,
            ) -> PyResult<()> {
                self.with(py, |cpu| cpu.add_watchpoint($address, size, read, write)).map_err($crate::exits::raised)
            }

            fn remove_watchpoint(&self, py: Python<'_>, $address: u32, size: u32, read: bool, write: bool) {
                self.with(py, |cpu| cpu.remove_watchpoint($address, size, read, write));
            }
        }

        impl $class {
            fn of(cpu: $cpu, memory: &Bound<'_, $crate::guest_memory::GuestMemory>) -> Self {
                let kicked = cpu.kick();
                $class { cpu: std::sync::Mutex::new(cpu), memory: std::sync::Arc::clone(&memory.get().0), kicked }
            }

            /// The engine, once it does not run.
            fn with<T: Send>(&self, py: Python<'_>, action: impl FnOnce(&mut $cpu) -> T + Send) -> T {
                $crate::guest_memory::with(py, &self.cpu, action)
            }

            /// Run it, without the GIL.
            fn enter<'py>(
                &self,
                py: Python<'py>,
                run: impl FnOnce(&mut $cpu, &mut guest_memory::Memory) -> PyResult<engine_contract::exit::Exit> + Send,
            ) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
                use $crate::guest_memory::locked;
                let exit = py.detach(|| run(&mut locked(&self.cpu), &mut locked(&self.memory)));
                $crate::exits::exit_tuple(py, exit?)
            }
        }
    };
}
pub(crate) use processor;

/// Registers by name.
pub fn named<'py, N, V>(py: Python<'py>, state: Vec<(N, V)>) -> PyResult<Bound<'py, PyDict>>
where
    N: IntoPyObject<'py>,
    V: IntoPyObject<'py>,
{
    let all = PyDict::new(py);
    for (name, value) in state {
        all.set_item(name, value)?;
    }
    Ok(all)
}

/// Registers of 32 bits.
pub fn words(state: Vec<(String, u64)>) -> PyResult<Vec<(String, u32)>> {
    let word = |(name, value): (String, u64)| match u32::try_from(value) {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(PyValueError::new_err(format!("{name}: {value:#x} does not fit"))),
    };
    state.into_iter().map(word).collect()
}

/// What an access is for: an engine's own word for it.
pub fn purpose<A>(name: &str, [read, write, fetch]: [A; 3]) -> PyResult<A> {
    match name {
        "read" => Ok(read),
        "write" => Ok(write),
        "fetch" => Ok(fetch),
        _ => Err(PyValueError::new_err(format!("{name}: read, write or fetch are expected"))),
    }
}
