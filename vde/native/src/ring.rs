//! `vde._native.Ring`: one side of rings in shared memory for Python. Its users are `plugs/shm.py`, `switch/rings.py` and
//! the Python forwarder.
//!
//! Descriptors come and go as plain numbers, as they do through sockets; whoever gives them away no longer closes them.

use frame_ring::{Broken, Given, Layout, Pushed, Role};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// See `frame_ring`.
#[pyclass(module = "vde._native")]
pub struct Ring {
    ring: Option<frame_ring::Ring>,
    buffer: Vec<u8>,
}

#[pymethods]
impl Ring {
    /// New rings: our side, and the descriptors for the other. Wishes are brought within bounds; 0: none.
    #[staticmethod]
    fn create(ring_octets: u32, frame_octets: u32) -> PyResult<(Self, Vec<RawFd>)> {
        let layout = Layout::for_wish(ring_octets, frame_octets);
        let (ring, given) = frame_ring::Ring::create(layout).map_err(os_error)?;
        Ok((Ring::new(ring), given.into_array().map(IntoRawFd::into_raw_fd).to_vec()))
    }

    /// The other side. The descriptors are ours from now on, also if an error is raised.
    #[staticmethod]
    fn join(descriptors: Vec<RawFd>) -> PyResult<Self> {
        let given: [OwnedFd; Given::COUNT] = take(descriptors)?;
        frame_ring::Ring::join(Given::from(given)).map(Ring::new).map_err(os_error)
    }

    /// A side that `give_away` has given away. The descriptors are ours from now on, also if an error is raised.
    #[staticmethod]
    fn from_parts(descriptors: Vec<RawFd>, listener: bool) -> PyResult<Self> {
        from_parts(descriptors, listener).map(Ring::new)
    }

    /// Give this side away, as descriptors; the first one is readable when frames are there.
    fn give_away(&mut self) -> PyResult<Vec<RawFd>> {
        let ring = self.ring.take().ok_or_else(closed)?;
        Ok(ring.into_parts().map(IntoRawFd::into_raw_fd).to_vec())
    }

    /// Is this the side that made the memory?
    #[getter]
    fn listener(&mut self) -> PyResult<bool> {
        Ok(self.open()?.role() == Role::Listener)
    }

    #[getter]
    fn ring_octets(&mut self) -> PyResult<u32> {
        Ok(self.open()?.layout().ring_octets())
    }

    /// Of the longest frame.
    #[getter]
    fn frame_octets(&mut self) -> PyResult<u32> {
        Ok(self.open()?.layout().frame_octets())
    }

    /// Readable when frames are there.
    #[getter]
    fn frames_fd(&mut self) -> PyResult<RawFd> {
        Ok(self.open()?.frames_fd())
    }

    /// Readable when there is room, once `wait_for_room` has answered False.
    #[getter]
    fn room_fd(&mut self) -> PyResult<RawFd> {
        Ok(self.open()?.room_fd())
    }

    /// Send frames until there is no room; returns how many were sent. None may be longer than `frame_octets`.
    #[pyo3(signature = (frames, start=0))]
    fn send(&mut self, frames: &Bound<'_, PyAny>, start: usize) -> PyResult<usize> {
        let ring = self.open()?;
        let mut sent = 0;
        let mut outcome = Ok(());
        for index in start..frames.len()? {
            let frame = frames.get_item(index)?;
            let octets: &[u8] = frame.extract()?;
            match ring.push(&[octets]) {
                Ok(Pushed::Taken) => sent += 1,
                Ok(Pushed::Full) => break,
                Ok(Pushed::Oversize) => {
                    outcome = Err(PyValueError::new_err(format!("frame of {} octets: too long", octets.len())));
                    break;
                }
                Err(broken) => {
                    outcome = Err(protocol_error(broken));
                    break;
                }
            }
        }
        ring.publish();
        outcome.map(|()| sent)
    }

    /// Is there room for a longest frame?
    fn wait_for_room(&mut self) -> PyResult<bool> {
        self.open()?.wait_for_room().map_err(protocol_error)
    }

    /// Frames that are there, `most` at most. Afterwards `frames_fd` is readable if and only if there are more.
    fn receive<'py>(&mut self, py: Python<'py>, most: usize) -> PyResult<Bound<'py, PyList>> {
        let frames = PyList::empty(py);
        let Ring { ring: Some(ring), buffer } = self else {
            return Err(closed());
        };
        while frames.len() < most {
            match ring.pop(buffer).map_err(protocol_error)? {
                Some(popped) => frames.append(PyBytes::new(py, &buffer[..popped.octets]))?,
                None => break,
            }
        }
        ring.sleep().map_err(protocol_error)?;
        Ok(frames)
    }

    /// Close all descriptors, and unmap.
    fn close(&mut self) {
        self.ring = None;
    }
}

impl Ring {
    fn new(ring: frame_ring::Ring) -> Self {
        let buffer = vec![0; ring.layout().frame_octets() as usize];
        Ring { ring: Some(ring), buffer }
    }

    fn open(&mut self) -> PyResult<&mut frame_ring::Ring> {
        self.ring.as_mut().ok_or_else(closed)
    }
}

/// As `Ring.from_parts`.
pub fn from_parts(descriptors: Vec<RawFd>, listener: bool) -> PyResult<frame_ring::Ring> {
    let role = if listener { Role::Listener } else { Role::Connector };
    frame_ring::Ring::from_parts(role, take(descriptors)?).map_err(os_error)
}

/// Duplicates of descriptors, for `from_parts` where the caller keeps its own.
pub fn duplicates(descriptors: &[RawFd]) -> PyResult<Vec<RawFd>> {
    let mut copies: Vec<OwnedFd> = Vec::new();
    for &fd in descriptors {
        // SAFETY: F_DUPFD_CLOEXEC takes an int; a bad descriptor is answered with EBADF.
        let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
        if copy < 0 {
            return Err(os_error(io::Error::last_os_error()));
        }
        // SAFETY: new, and nobody else's.
        copies.push(unsafe { OwnedFd::from_raw_fd(copy) });
    }
    Ok(copies.into_iter().map(IntoRawFd::into_raw_fd).collect())
}

/// Own as many descriptors as are needed.
pub fn take<const COUNT: usize>(descriptors: Vec<RawFd>) -> PyResult<[OwnedFd; COUNT]> {
    let given = descriptors.len();
    // SAFETY: F_GETFD takes no argument, and tells bad ones; the caller gives the others up.
    let owned: Vec<OwnedFd> = descriptors
        .into_iter()
        .filter(|&fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0)
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
        .collect();
    owned.try_into().map_err(|_| PyValueError::new_err(format!("{given} descriptors, or bad ones: {COUNT} are needed")))
}

fn closed() -> PyErr {
    PyValueError::new_err("the ring is closed")
}

fn os_error(error: io::Error) -> PyErr {
    let errno = error.raw_os_error().unwrap_or(libc::EPROTO);
    PyOSError::new_err((errno, error.to_string()))
}

fn protocol_error(broken: Broken) -> PyErr {
    PyOSError::new_err((libc::EPROTO, broken.to_string()))
}
