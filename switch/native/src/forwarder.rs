//! The forwarder: the state behind its lock, and the thread that works on it.
//!
//! The thread holds the lock for one turn at a time and hands it over if someone waits, so that configuration waits
//! for one turn (some hundred µs) at most, however busy the ports are. It reads the clock once a round.

use crate::clock::monotonic_ns;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::limits::{Limits, ROUNDS_PER_POLL};
use crate::poller::{Poller, Ready};
use crate::state::State;
use parking_lot::{Mutex, MutexGuard};
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Chosen: a garbage collection interval of 0 does not become a busy loop.
const IDLE_WAIT_MIN_MS: u64 = 10;
const MILLISECOND_NS: u64 = 1_000_000;

struct Shared {
    state: Mutex<State>,
    poller: Arc<Poller>,
    stopping: AtomicBool,
    /// Why the thread ended without being asked to.
    failure: Mutex<Option<String>>,
}

pub struct Forwarder {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Forwarder {
    /// `seed`: of the learning table's hash function. `io_uring`: use it if it is to be had.
    pub fn new(limits: Limits, seed: u64, io_uring: bool) -> Result<Self> {
        let poller = Arc::new(Poller::new()?);
        let state = Mutex::new(State::new(limits, seed, io_uring, Arc::clone(&poller)));
        let shared = Shared { state, poller, stopping: AtomicBool::new(false), failure: Mutex::new(None) };
        Ok(Forwarder { shared: Arc::new(shared), thread: Mutex::new(None) })
    }

    /// Do something with the state; policy hears of events that it makes.
    pub fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.shared.state.lock();
        let result = action(&mut state);
        state.announce();
        result
    }

    /// Times of aging; a sleeping thread sleeps anew.
    pub fn set_aging(&self, expire_ns: u64, gc_interval_ns: u64, min_persistence_ns: u64) -> Result<()> {
        self.with(|state| state.plane.set_aging(expire_ns, gc_interval_ns, min_persistence_ns))?;
        self.shared.poller.wake();
        Ok(())
    }

    /// Tests: forward what is ready now.
    pub fn poll(&self, now_ns: u64) -> Result<Vec<Event>> {
        let mut state = self.shared.state.lock();
        if state.running || state.closed {
            return Err(Error::State("poll: the forwarder is running, or closed"));
        }
        state.prepare();
        state.polled_ns = now_ns;
        state.plane.collect(now_ns);
        let mut ready = Vec::new();
        for _ in 0..ROUNDS_PER_POLL {
            self.shared.poller.wait(0, &mut ready)?;
            if ready.is_empty() {
                break;
            }
            state.begin_round();
            for &ready in &ready {
                state.turn(ready, now_ns);
            }
        }
        Ok(state.take_events())
    }

    /// Start the thread.
    pub fn start(&self) -> Result<()> {
        let mut thread = self.thread.lock();
        {
            let mut state = self.shared.state.lock();
            if state.running || state.closed {
                return Err(Error::State("run: once only"));
            }
            state.prepare();
            state.running = true;
            state.announce();
        }
        let shared = Arc::clone(&self.shared);
        *thread = Some(thread::Builder::new().name("forwarder".into()).spawn(move || work(&shared))?);
        Ok(())
    }

    /// Stop the thread, if there is one, and close every endpoint's descriptor.
    pub fn stop(&self) {
        if let Some(thread) = self.thread.lock().take() {
            self.shared.stopping.store(true, Ordering::Release);
            self.shared.poller.wake();
            let _ = thread.join(); // a panic is in `failure` already
        }
        let mut state = self.shared.state.lock();
        state.running = false;
        state.close();
    }

    /// Readable when events wait, or when the thread has ended.
    pub fn events_fd(&self) -> RawFd {
        self.shared.poller.events_fd()
    }

    /// Why the thread ended without being asked to.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure.lock().clone()
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.stop();
    }
}

fn work(shared: &Shared) {
    block_signals();
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| forward(shared)));
    let failure = match ended {
        Ok(Ok(())) => return,
        Ok(Err(error)) => format!("epoll_wait: {error}"),
        Err(_) => "the forwarder's thread panicked".to_owned(),
    };
    *shared.failure.lock() = Some(failure);
    shared.poller.announce();
}

fn forward(shared: &Shared) -> io::Result<()> {
    let mut ready: Vec<Ready> = Vec::new();
    let mut timeout_ms = 0;
    while !shared.stopping.load(Ordering::Acquire) {
        shared.poller.wait(timeout_ms, &mut ready)?;
        let now_ns = monotonic_ns();
        let mut state = shared.state.lock();
        state.plane.collect(now_ns);
        if !ready.is_empty() {
            state.begin_round();
        }
        for &ready in &ready {
            state.turn(ready, now_ns);
            state.announce();
            MutexGuard::bump(&mut state);
        }
        state.announce();
        let wait_ms = state.plane.next_collection_ns().saturating_sub(now_ns).div_ceil(MILLISECOND_NS);
        timeout_ms = wait_ms.clamp(IDLE_WAIT_MIN_MS, 1 << 30) as i32;
        MutexGuard::unlock_fair(state);
    }
    Ok(())
}

/// Signals are for the main thread, which has handlers and a loop to wake.
fn block_signals() {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set, which lives during both calls; no old mask is asked for.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
    }
}
