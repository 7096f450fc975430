//! `vde._native.WireLane`, `vde._native.WirePump`: impaired wires for Python. Their facade is `vde/wire/native.py`.

use crate::guest_memory::locked;
use crate::ring;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::sync::Mutex;
use wire_engine::end::End;
use wire_engine::lane::{Held, Lane, State};
use wire_engine::pump::Pump;
use wire_engine::settings::{Loss, Settings, Shape};
use wire_engine::verdict::{Fate, Verdict};

/// (number, copy, arrived_ns, octets, fate, flipped, left_ns, delay_ns, reordered, due_ns)
type VerdictTuple = (u64, u8, i64, u32, u8, Vec<u32>, i64, i64, bool, i64);
type HeldTuple = (Vec<u8>, VerdictTuple);
/// received, sent: frames and octets; dropped by fate; duplicated, corrupted, reordered, delayed.
type Tally = (u64, u64, u64, u64, Vec<u64>, u64, u64, u64, u64);

/// A lane's beginning, as `vde.wire.native.terms` makes it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Terms {
    prefix: Vec<u8>,
    up: bool,
    delay_ns: i64,
    jitter_ns: i64,
    shape: String,
    table: Vec<i32>,
    keep_order: bool,
    /// The kind, and its probabilities.
    loss: Option<(String, Vec<f64>)>,
    duplicate: Option<f64>,
    corrupt: Option<f64>,
    ber: f64,
    reorder: Option<f64>,
    gap: u64,
    rate_bit_s: Option<u64>,
    burst_octets: u64,
    overhead_octets: i64,
    queue_octets: Option<u64>,
    queue_frames: u64,
    mtu_octets: Option<u64>,
    number: u64,
    arrived_ns: i64,
    last_due_ns: i64,
    loss_state: u8,
    delayed: u64,
    full: i128,
    queue: Vec<HeldTuple>,
    line: Vec<HeldTuple>,
}

impl Terms {
    fn lane(self) -> PyResult<Lane> {
        let shape = match (self.shape.as_str(), self.table.len()) {
            ("uniform", _) => Shape::Uniform,
            ("normal", _) => Shape::Normal,
            ("pareto", _) => Shape::Pareto,
            ("paretonormal", _) => Shape::ParetoNormal,
            ("table", 2..) => Shape::Table(self.table),
            (shape, _) => return Err(PyValueError::new_err(format!("{shape}: no shape"))),
        };
        let loss = match self.loss.as_ref().map(|(kind, shares)| (kind.as_str(), shares.as_slice())) {
            None => None,
            Some(("bernoulli", &[probability])) => Some(Loss::Bernoulli { probability }),
            Some(("gilbert", &[to_bad, to_good, in_bad, in_good])) if self.loss_state < 2 => {
                Some(Loss::Gilbert { to_bad, to_good, in_bad, in_good })
            }
            Some(("state", &[p13, p31, p32, p23, p14])) if (1..5).contains(&self.loss_state) => {
                Some(Loss::FourState { p13, p31, p32, p23, p14 })
            }
            Some((kind, shares)) => return Err(PyValueError::new_err(format!("{kind} {shares:?}: no loss"))),
        };
        if self.rate_bit_s == Some(0) {
            return Err(PyValueError::new_err("a rate of 0"));
        }
        let settings = Settings {
            delay_ns: self.delay_ns,
            jitter_ns: self.jitter_ns,
            shape,
            keep_order: self.keep_order,
            loss,
            duplicate: self.duplicate,
            corrupt: self.corrupt,
            ber: self.ber,
            reorder: self.reorder,
            gap: self.gap,
            rate_bit_s: self.rate_bit_s,
            burst_octets: self.burst_octets,
            overhead_octets: self.overhead_octets,
            queue_octets: self.queue_octets,
            queue_frames: self.queue_frames,
            mtu_octets: self.mtu_octets,
        };
        let state = State {
            number: self.number,
            arrived_ns: self.arrived_ns,
            last_due_ns: self.last_due_ns,
            loss: self.loss_state,
            delayed: self.delayed,
            full: self.full,
            queue: self.queue.into_iter().map(held).collect::<PyResult<_>>()?,
            line: self.line.into_iter().map(held).collect::<PyResult<_>>()?,
        };
        Ok(Lane::new(settings, self.up, &self.prefix, state))
    }
}

fn held((frame, verdict): HeldTuple) -> PyResult<Held> {
    let (number, copy, arrived_ns, octets, fate, flipped, left_ns, delay_ns, reordered, due_ns) = verdict;
    let fate = Fate::of(fate).ok_or_else(|| PyValueError::new_err(format!("{fate}: no fate")))?;
    if copy > 1 {
        return Err(PyValueError::new_err(format!("copy {copy}: 0 or 1 was expected")));
    }
    let verdict = Verdict { number, copy, arrived_ns, octets, fate, flipped, left_ns, delay_ns, reordered, due_ns };
    Ok(Held { frame: frame.into(), verdict })
}

fn verdict_tuple(of: Verdict) -> VerdictTuple {
    let fate = of.fate as u8;
    (of.number, of.copy, of.arrived_ns, of.octets, fate, of.flipped, of.left_ns, of.delay_ns, of.reordered, of.due_ns)
}

fn tally(of: &Lane) -> Tally {
    let tally = of.tally;
    (
        tally.received_frames,
        tally.received_octets,
        tally.sent_frames,
        tally.sent_octets,
        tally.dropped.to_vec(),
        tally.duplicated,
        tally.corrupted,
        tally.reordered,
        tally.delayed,
    )
}

fn tuples(of: Vec<Verdict>) -> Vec<VerdictTuple> {
    of.into_iter().map(verdict_tuple).collect()
}

/// What another needs to go on, with the last tally and the known verdicts.
fn state_dict(py: Python<'_>, lane: Lane) -> PyResult<Bound<'_, PyDict>> {
    let tally = tally(&lane);
    let (state, verdicts) = lane.into_state();
    let result = PyDict::new(py);
    let frames = |all: Vec<Held>| -> Vec<(Bound<'_, PyBytes>, VerdictTuple)> {
        all.into_iter().map(|held| (PyBytes::new(py, &held.frame), verdict_tuple(held.verdict))).collect()
    };
    result.set_item("number", state.number)?;
    result.set_item("arrived_ns", state.arrived_ns)?;
    result.set_item("last_due_ns", state.last_due_ns)?;
    result.set_item("loss_state", state.loss)?;
    result.set_item("delayed", state.delayed)?;
    result.set_item("full", state.full)?;
    result.set_item("queue", frames(state.queue))?;
    result.set_item("line", frames(state.line))?;
    result.set_item("tally", tally)?;
    result.set_item("verdicts", tuples(verdicts))?;
    Ok(result)
}

/// A direction without descriptors or a clock.
#[pyclass(frozen, module = "vde._native")]
pub struct WireLane(Mutex<Option<Lane>>);

#[pymethods]
impl WireLane {
    #[new]
    fn new(terms: Terms) -> PyResult<Self> {
        Ok(WireLane(Mutex::new(Some(terms.lane()?))))
    }

    /// (octets, time of arrival) of each.
    fn receive(&self, frames: Vec<(Vec<u8>, i64)>) -> PyResult<()> {
        self.with(|lane| frames.iter().for_each(|(frame, at)| lane.receive(frame, *at)))
    }

    fn frames_to_send<'py>(&self, py: Python<'py>, now_ns: i64, most: usize) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        self.with(|lane| {
            lane.advance(now_ns);
            let due = std::iter::from_fn(|| lane.take(now_ns)).take(most);
            due.map(|held| PyBytes::new(py, &held.frame)).collect()
        })
    }

    fn next_deadline(&self) -> PyResult<Option<i64>> {
        self.with(|lane| lane.next_deadline())
    }

    fn why(&self, number: u64) -> PyResult<Vec<VerdictTuple>> {
        self.with(|lane| tuples(lane.why(number)))
    }

    fn tally(&self) -> PyResult<Tally> {
        self.with(|lane| tally(lane))
    }

    /// Of no use afterwards.
    fn stop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        state_dict(py, locked(&self.0).take().ok_or_else(stopped)?)
    }
}

impl WireLane {
    fn with<T>(&self, action: impl FnOnce(&mut Lane) -> T) -> PyResult<T> {
        locked(&self.0).as_mut().map(action).ok_or_else(stopped)
    }
}

/// A socket's or tap's descriptor becomes its own; of a ring's it has duplicates.
fn end((fd, kind, others): &(i32, u8, Vec<i32>)) -> PyResult<End> {
    match kind {
        // SAFETY: the caller gives it up; where not all succeeds, it is disowned.
        0 => unsafe { End::socket(*fd) }.map_err(PyOSError::new_err),
        // SAFETY: as above.
        1 => unsafe { End::tap(*fd) }.map_err(PyOSError::new_err),
        &kind if is_ring(kind) => {
            let descriptors: Vec<i32> = std::iter::once(*fd).chain(others.iter().copied()).collect();
            Ok(End::ring(ring::from_parts(ring::duplicates(&descriptors)?, kind == 2)?))
        }
        kind => Err(PyValueError::new_err(format!("{kind}: no kind of end that a wire's thread knows"))),
    }
}

fn is_ring(kind: u8) -> bool {
    matches!(kind, 2 | 3)
}

/// Two directions between two descriptors, carried by a thread.
#[pyclass(frozen, module = "vde._native")]
pub struct WirePump(Mutex<Option<Pump>>);

#[pymethods]
impl WirePump {
    /// `ends`: (descriptor, its `EndpointKind`, others that go with it) of each, which are the pump's from now on if
    /// this succeeds. `realtime`: its thread runs before all ordinary ones, if that is permitted. `one_order`: where
    /// order is kept, it is one of both directions.
    #[new]
    #[pyo3(signature = (ends, terms, realtime=false, one_order=false))]
    fn new(ends: [(i32, u8, Vec<i32>); 2], terms: [Terms; 2], realtime: bool, one_order: bool) -> PyResult<Self> {
        let [there, back] = terms.map(Terms::lane);
        let lanes = [there?, back?];
        let left = end(&ends[0])?;
        let right = match end(&ends[1]) {
            Ok(right) => right,
            Err(error) => {
                left.disown(); // stays the caller's
                return Err(error);
            }
        };
        let pump = Pump::start([left, right], lanes, realtime, one_order).map_err(PyOSError::new_err)?;
        for (fd, kind, others) in ends {
            if is_ring(kind) {
                drop(ring::take::<6>(std::iter::once(fd).chain(others).collect())?); // the duplicates do
            }
        }
        Ok(WirePump(Mutex::new(Some(pump))))
    }

    /// Readable when an end has failed.
    fn news_fd(&self) -> PyResult<i32> {
        self.with(|pump| pump.news_fd())
    }

    /// (end, errno)
    fn broken(&self) -> PyResult<Option<(usize, i32)>> {
        self.with(|pump| pump.broken().map(|broken| (broken.end, broken.errno)))
    }

    /// Of each direction: its tally, and frames and octets that wait for the rate, and that are on their way.
    #[allow(clippy::type_complexity)] // Python names them
    fn look(&self, py: Python<'_>) -> PyResult<Vec<(Tally, [(usize, usize); 2])>> {
        py.detach(|| self.with(|pump| pump.with(|lanes| lanes.iter().map(|lane| (tally(lane), lane.held())).collect())))
    }

    fn why(&self, py: Python<'_>, direction: usize, number: u64) -> PyResult<Vec<VerdictTuple>> {
        py.detach(|| {
            self.with(|pump| {
                pump.with(|lanes| lanes.get(direction).map_or_else(Vec::new, |lane| tuples(lane.why(number))))
            })
        })
    }

    /// End it; the descriptors are closed. The states of both directions.
    fn stop<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let pump = locked(&self.0).take().ok_or_else(stopped)?;
        let lanes = py.detach(|| pump.stop()).ok_or_else(stopped)?;
        lanes.into_iter().map(|lane| state_dict(py, lane)).collect()
    }
}

impl WirePump {
    fn with<T>(&self, action: impl FnOnce(&Pump) -> T) -> PyResult<T> {
        locked(&self.0).as_ref().map(action).ok_or_else(stopped)
    }
}

fn stopped() -> PyErr {
    PyRuntimeError::new_err("it was stopped")
}
