//! `vde._native.Forwarder`: the frame forwarder for Python. Its facade is `switch/forwarding/native.py`.
//!
//! Numbers that Python checks nowhere else are checked here, so that whatever is out of range is a `ValueError`. The GIL
//! is released wherever the forwarder's lock may have to be waited for.

use crate::ring;
use forwarder::endpoint::Descriptor;
use forwarder::events::{Direction, Event};
use forwarder::fdb::Entry;
use forwarder::overlay::{Address, Terms};
use forwarder::vlan::Member;
use forwarder::{Error, Limits};
use pyo3::exceptions::{PyKeyError, PyOSError, PyOverflowError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

/// (address, VLAN, port, last seen, serial)
type EntryTuple<'py> = (Bound<'py, PyBytes>, u16, u16, u64, u64);

/// Frames in and out of descriptors; see `switch.forwarding.contract`.
#[pyclass(subclass, frozen, module = "vde._native")]
pub struct Forwarder(forwarder::Forwarder);

#[pymethods]
impl Forwarder {
    #[new]
    #[pyo3(signature = (*, max_frame_octets, queue_frames, send_buffer_octets, events, seed, io_uring=true))]
    fn new(
        max_frame_octets: u16,
        queue_frames: u32,
        send_buffer_octets: i32,
        events: u32,
        seed: u64,
        io_uring: bool,
    ) -> PyResult<Self> {
        let limits = Limits {
            max_frame_octets: max_frame_octets.into(),
            queue_frames: queue_frames as usize,
            send_buffer_octets,
            events: events as usize,
        };
        forwarder::Forwarder::new(limits, seed, io_uring).map(Forwarder).map_err(raised)
    }

    #[pyo3(signature = (*, hub, fstp, vlan_transparent))]
    fn set_mode(&self, py: Python<'_>, hub: bool, fstp: bool, vlan_transparent: bool) {
        py.detach(|| self.0.with(|state| state.plane.set_mode(hub, fstp, vlan_transparent)));
    }

    fn add_port(&self, py: Python<'_>, port: Number, native_vlan: Number) -> PyResult<()> {
        self.with(py, |state| state.plane.add_port(port.0, native_vlan.0))
    }

    fn remove_port(&self, py: Python<'_>, port: Number) -> PyResult<()> {
        self.with(py, |state| state.plane.remove_port(port.0))
    }

    fn set_native(&self, py: Python<'_>, port: Number, native_vlan: Number) -> PyResult<()> {
        self.with(py, |state| state.plane.set_native(port.0, native_vlan.0))
    }

    fn add_vlan(&self, py: Python<'_>, vlan: Number) -> PyResult<()> {
        self.with(py, |state| state.plane.add_vlan(vlan.0))
    }

    fn remove_vlan(&self, py: Python<'_>, vlan: Number) -> PyResult<()> {
        self.with(py, |state| state.plane.remove_vlan(vlan.0))
    }

    #[pyo3(signature = (vlan, port, *, tagged, learning, forwarding))]
    fn set_member(
        &self,
        py: Python<'_>,
        vlan: Number,
        port: Number,
        tagged: bool,
        learning: bool,
        forwarding: bool,
    ) -> PyResult<()> {
        let member = Member { tagged, learning, forwarding };
        self.with(py, |state| state.plane.set_member(vlan.0, port.0, member))
    }

    fn clear_member(&self, py: Python<'_>, vlan: Number, port: Number) -> PyResult<()> {
        self.with(py, |state| state.plane.clear_member(vlan.0, port.0))
    }

    /// `kind`: `vde.endpoint.EndpointKind`; `others` go with rings.
    #[pyo3(signature = (port, endpoint, fd, kind, others=vec![], overlay=None))]
    #[allow(clippy::too_many_arguments)] // Python names them
    fn attach(
        &self,
        py: Python<'_>,
        port: Number,
        endpoint: Number,
        fd: i32,
        kind: u8,
        others: Vec<i32>,
        overlay: Option<OverlayTuple>,
    ) -> PyResult<()> {
        let descriptor = match kind {
            0 => Descriptor::Socket,
            1 => Descriptor::Tap,
            2 | 3 => {
                let descriptors: Vec<i32> = std::iter::once(fd).chain(others.iter().copied()).collect();
                let ring = ring::from_parts(ring::duplicates(&descriptors)?, kind == 2)?;
                self.with(py, |state| state.attach_ring(port.0, endpoint.0, fd, ring))?;
                return ring::take::<5>(others).map(drop); // the duplicates do
            }
            4 => Descriptor::TapVnet,
            5 => {
                let terms = terms(overlay)?;
                return self.with(py, |state| state.attach_overlay(port.0, endpoint.0, fd, terms));
            }
            _ => return Err(PyValueError::new_err(format!("{kind} is no kind of endpoint"))),
        };
        self.with(py, |state| state.attach(port.0, endpoint.0, fd, descriptor))
    }

    fn detach(&self, py: Python<'_>, endpoint: Number) -> PyResult<()> {
        self.with(py, |state| state.detach(endpoint.0))
    }

    fn set_queue(&self, py: Python<'_>, endpoint: Number, frames: Number) -> PyResult<()> {
        self.with(py, |state| state.set_queue(endpoint.0, frames.0))
    }

    fn queue_length(&self, py: Python<'_>, endpoint: Number) -> PyResult<usize> {
        self.with(py, |state| state.queue_length(endpoint.0))
    }

    fn transmit(&self, py: Python<'_>, port: Number, frame: &[u8]) -> PyResult<()> {
        self.with(py, |state| state.transmit(port.0, frame))
    }

    #[pyo3(signature = (*, expire_ns, gc_interval_ns, min_persistence_ns))]
    fn set_aging(
        &self,
        py: Python<'_>,
        expire_ns: Number,
        gc_interval_ns: Number,
        min_persistence_ns: Number,
    ) -> PyResult<()> {
        py.detach(|| self.0.set_aging(expire_ns.0, gc_interval_ns.0, min_persistence_ns.0)).map_err(raised)
    }

    fn set_table_limit(&self, py: Python<'_>, addresses: Number) -> PyResult<()> {
        self.with(py, |state| state.plane.set_table_limit(addresses.0))
    }

    #[pyo3(signature = (port, *, addresses, storm_frames_per_s))]
    fn set_port_limits(
        &self,
        py: Python<'_>,
        port: Number,
        addresses: Option<Number>,
        storm_frames_per_s: Option<Number>,
    ) -> PyResult<()> {
        let (addresses, storm) = (addresses.map(|limit| limit.0), storm_frames_per_s.map(|limit| limit.0));
        self.with(py, |state| state.plane.set_port_limits(port.0, addresses, storm))
    }

    /// `sources`: a dict of ports and directions.
    fn mirror(&self, py: Python<'_>, destination: Number, sources: &Bound<'_, PyDict>) -> PyResult<()> {
        let sources = sources
            .iter()
            .map(|(port, directions)| Ok((port.extract::<Number>()?.0, directions.extract()?)))
            .collect::<PyResult<Vec<(u64, u8)>>>()?;
        self.with(py, |state| state.plane.set_mirror(destination.0, &sources))
    }

    fn find<'py>(&self, py: Python<'py>, mac: &[u8], vlan: Number) -> PyResult<Option<EntryTuple<'py>>> {
        let mac = mac
            .try_into()
            .map_err(|_| PyValueError::new_err(format!("address of {} octets: 6 were expected", mac.len())))?;
        let entry = py.detach(|| self.0.with(|state| state.plane.lookup(mac, vlan.0)));
        Ok(entry.map(|entry| entry_tuple(py, &entry)))
    }

    fn table<'py>(&self, py: Python<'py>) -> Vec<EntryTuple<'py>> {
        let entries = py.detach(|| self.0.with(|state| state.plane.entries()));
        entries.iter().map(|entry| entry_tuple(py, entry)).collect()
    }

    #[pyo3(signature = (port, vlan=None))]
    fn flush_port(&self, py: Python<'_>, port: Number, vlan: Option<Number>) -> PyResult<()> {
        self.with(py, |state| state.plane.flush_port(port.0, vlan.map(|vlan| vlan.0)))
    }

    fn flush_vlan(&self, py: Python<'_>, vlan: Number) -> PyResult<()> {
        self.with(py, |state| state.plane.flush_vlan(vlan.0))
    }

    fn flush(&self, py: Python<'_>) {
        py.detach(|| self.0.with(|state| state.plane.flush()));
    }

    /// (frames in, octets in, frames out, octets out, not learned, drops by reason)
    fn counters(&self, py: Python<'_>, port: Number) -> PyResult<(u64, u64, u64, u64, u64, Vec<u64>)> {
        let of = self.with(py, |state| state.plane.statistics(port.0))?;
        Ok((of.in_frames, of.in_octets, of.out_frames, of.out_octets, of.not_learned, of.drops.to_vec()))
    }

    fn reset_statistics(&self, py: Python<'_>, port: Number) -> PyResult<()> {
        self.with(py, |state| state.plane.reset_statistics(port.0))
    }

    fn watch(&self, py: Python<'_>, what: u32) {
        py.detach(|| self.0.with(|state| state.plane.set_watch(what)));
    }

    fn events_lost(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.0.with(|state| state.plane.events_lost()))
    }

    fn poll_once<'py>(&self, py: Python<'py>, now_ns: u64) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let events = py.detach(|| self.0.poll(now_ns)).map_err(raised)?;
        events.into_iter().map(|event| event_tuple(py, event)).collect()
    }

    /// What has happened since the last time, each as a tuple: its kind, then its fields (see `event_tuple`).
    fn take_events<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let events = py.detach(|| self.0.with(|state| state.take_events()));
        events.into_iter().map(|event| event_tuple(py, event)).collect()
    }

    /// Readable when events wait, or when the thread has ended.
    fn events_fd(&self) -> i32 {
        self.0.events_fd()
    }

    /// Are whole turns sent by one system call?
    fn uses_io_uring(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.with(|state| state.uses_io_uring()))
    }

    /// Why the thread ended without being asked to.
    fn failure(&self) -> Option<String> {
        self.0.failure()
    }

    /// Start the thread.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.start()).map_err(raised)
    }

    /// Stop the thread, if there is one, and close every endpoint's descriptor.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }
}

impl Forwarder {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        action: impl FnOnce(&mut forwarder::State) -> forwarder::error::Result<T> + Send,
    ) -> PyResult<T> {
        py.detach(|| self.0.with(action)).map_err(raised)
    }
}

/// A number that is not negative; how large it may be, the forwarder knows.
#[derive(Clone, Copy)]
struct Number(u64);

impl FromPyObject<'_, '_> for Number {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        object.extract::<u64>().map(Number).map_err(|error| {
            if error.is_instance_of::<PyOverflowError>(object.py()) {
                PyValueError::new_err(format!("{}: 0 to {} are possible", *object, u64::MAX))
            } else {
                error
            }
        })
    }
}

/// (VNI, remotes as sockaddrs, port, remotes only, addresses, expire_ns)
type OverlayTuple = (u32, Vec<Vec<u8>>, u16, bool, usize, u64);

fn terms(overlay: Option<OverlayTuple>) -> PyResult<Terms> {
    let wrong = || PyValueError::new_err("an overlay endpoint has terms: a VNI of 24 bits and at least one remote");
    let (vni, remotes, port, only_remotes, addresses_max, expire_ns) = overlay.ok_or_else(wrong)?;
    let remotes = remotes.iter().map(|remote| Address::new(remote)).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    if vni >> 24 != 0 || remotes.is_empty() {
        return Err(wrong());
    }
    Ok(Terms { vni, remotes, port, only_remotes, addresses_max, expire_ns })
}

fn raised(error: Error) -> PyErr {
    match error {
        Error::Unknown(text) => PyKeyError::new_err(text),
        Error::Invalid(text) => PyValueError::new_err(text),
        Error::State(text) => PyRuntimeError::new_err(text),
        Error::Os(error) => PyOSError::new_err((error.raw_os_error(), error.to_string())),
    }
}

fn entry_tuple<'py>(py: Python<'py>, entry: &Entry) -> EntryTuple<'py> {
    let key = entry.key;
    (PyBytes::new(py, &key.mac()), key.vlan(), entry.port, entry.last_seen_ns, entry.serial)
}

fn event_tuple<'py>(py: Python<'py>, event: Event) -> PyResult<Bound<'py, PyTuple>> {
    let octets = |octets: &[u8]| PyBytes::new(py, octets);
    match event {
        Event::Bpdu { port, vlan, frame } => (0, port, vlan, octets(&frame)).into_pyobject(py),
        Event::Learned { mac, vlan, port } => (1, octets(&mac), vlan, port).into_pyobject(py),
        Event::Forgot { mac, vlan, port } => (2, octets(&mac), vlan, port).into_pyobject(py),
        Event::Packet { direction, port, vlan, frame, when_ns } => {
            let direction = match direction {
                Direction::In => 1,
                Direction::Out => 2,
            };
            let vlan = vlan.map_or(-1, i32::from);
            (3, direction, port, vlan, octets(&frame), when_ns).into_pyobject(py)
        }
        Event::EndpointFailed { endpoint, errno } => (4, endpoint, errno).into_pyobject(py),
    }
}
