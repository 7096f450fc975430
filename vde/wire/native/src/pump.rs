//! The thread that carries frames between two descriptors through two lanes.
//!
//! It waits for frames, and for the earliest moment at which one is due: a little less than that long (what waking up
//! took of late), and then by looking at the clock. A frame's time of arrival is the kernel's where the end is a socket,
//! and that of its reading elsewhere. An end that takes no frames stops the reading of its own direction only.

use crate::end::{End, check};
use crate::lane::Lane;
use crate::prompt::be_prompt;
use crate::reader::Reader;
use crate::sender::Sender;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

const NS_PER_S: i64 = 1_000_000_000;
/// How long before its reading a frame may have come; `vde/wire/process.py`.
const LATE_MOST_NS: i64 = 50_000_000;
/// Ethernet's header.
const SHORTEST_OCTETS: usize = 14;
/// Waking up takes longer than asked for: the bounds of what is allowed for it. Chosen.
const EARLY_LEAST_NS: i64 = 10_000;
const EARLY_MOST_NS: i64 = 300_000;
/// Frames given to a descriptor that have not left yet, at which no more are taken from the lane.
const SENDING_MOST: usize = 64;

/// An end failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// 0: the left one.
    pub end: usize,
    pub errno: i32,
}

/// What the thread and its owner share.
struct Shared {
    lanes: Mutex<[Lane; 2]>,
    broken: Mutex<Option<Broken>>,
    stop: AtomicBool,
    wake: OwnedFd,
    /// Readable when an end has failed.
    news: OwnedFd,
}

pub struct Pump {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Pump {
    /// Frames of `ends[0]` go through `lanes[0]` to `ends[1]`, and the other way. `before_all`: `prompt::be_prompt`.
    /// `one_order`: where order is kept, no frame leaves before one of either direction that came before it.
    pub fn start(ends: [End; 2], lanes: [Lane; 2], before_all: bool, one_order: bool) -> io::Result<Pump> {
        let shared = Arc::new(Shared {
            lanes: Mutex::new(lanes),
            broken: Mutex::new(None),
            stop: AtomicBool::new(false),
            wake: eventfd()?,
            news: eventfd()?,
        });
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("wire".into())
                .spawn(move || Thread::new(&shared, ends, one_order).run(before_all))?
        };
        Ok(Pump { shared, thread: Some(thread) })
    }

    /// Readable when an end has failed.
    pub fn news_fd(&self) -> RawFd {
        self.shared.news.as_raw_fd()
    }

    pub fn broken(&self) -> Option<Broken> {
        *locked(&self.shared.broken)
    }

    /// Look at the lanes, between two turns.
    pub fn with<T>(&self, action: impl FnOnce(&mut [Lane; 2]) -> T) -> T {
        action(&mut locked(&self.shared.lanes))
    }

    /// End the thread and close the descriptors; the lanes, with what had not left.
    pub fn stop(mut self) -> Option<[Lane; 2]> {
        self.end();
        let shared = Arc::clone(&self.shared);
        drop(self);
        Arc::into_inner(shared).map(|shared| shared.lanes.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        signal(&self.shared.wake);
        if let Some(thread) = self.thread.take() {
            drop(thread.join()); // a panic of it was told on standard error
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.end();
    }
}

struct Thread<'a> {
    shared: &'a Shared,
    ends: [End; 2],
    /// Of each lane, to the other end.
    senders: [Sender; 2],
    reader: Reader,
    early_ns: i64,
    one_order: bool,
    broken: bool,
}

impl<'a> Thread<'a> {
    fn new(shared: &'a Shared, ends: [End; 2], one_order: bool) -> Self {
        Thread {
            shared,
            ends,
            senders: Default::default(),
            reader: Reader::new(),
            early_ns: EARLY_LEAST_NS * 6,
            one_order,
            broken: false,
        }
    }

    fn run(mut self, before_all: bool) {
        be_prompt(before_all);
        while !self.shared.stop.load(Ordering::Acquire) {
            let deadline = self.send_due();
            let ready = self.wait(deadline);
            for (index, _) in ready.into_iter().enumerate().filter(|(_, ready)| *ready) {
                if !self.broken {
                    self.read(index);
                }
            }
        }
        let mut lanes = locked(&self.shared.lanes);
        for (lane, sender) in lanes.iter_mut().zip(&mut self.senders) {
            std::mem::take(sender).into_frames().for_each(|held| lane.put_back(held));
        }
    }

    /// Send what is due; when there is more to do.
    fn send_due(&mut self) -> Option<i64> {
        let now_ns = clock(libc::CLOCK_MONOTONIC);
        let mut earliest: Option<i64> = None;
        let mut lanes = locked(&self.shared.lanes);
        for (index, lane) in lanes.iter_mut().enumerate() {
            let (sender, sink) = (&mut self.senders[index], &mut self.ends[1 - index]);
            lane.advance(now_ns);
            loop {
                while sender.len() < SENDING_MOST {
                    let Some(held) = lane.take(now_ns) else { break };
                    sender.push(held);
                }
                if sender.is_empty() || sender.blocked {
                    break;
                }
                sender.send(sink, |held| lane.refused(held));
            }
            if !sender.blocked {
                earliest = [earliest, lane.next_deadline()].into_iter().flatten().min();
            }
        }
        earliest
    }

    /// Until a frame is there (which ends have some), or `deadline`.
    fn wait(&mut self, deadline: Option<i64>) -> [bool; 2] {
        let mut fds = [-1; 5].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
        fds[0].fd = self.shared.wake.as_raw_fd();
        for (index, end) in self.ends.iter().enumerate().filter(|_| !self.broken) {
            if !self.senders[index].blocked {
                fds[1 + index].fd = end.frames_fd(); // a blocked sink stops its source
            }
            if self.senders[1 - index].blocked {
                (fds[3 + index].fd, fds[3 + index].events) = end.room();
            }
        }
        let asked_ns = deadline.map(|at| at - clock(libc::CLOCK_MONOTONIC));
        let sleep_ns = asked_ns.map(|left| (left - self.early_ns).max(0));
        let time = sleep_ns.map(|ns| libc::timespec { tv_sec: ns / NS_PER_S, tv_nsec: ns % NS_PER_S });
        let time = time.as_ref().map_or(std::ptr::null(), |time| &raw const *time);
        // SAFETY: the descriptors and the time, if there is one, live during the call.
        let count = unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, time, std::ptr::null()) };
        if count <= 0 {
            self.meet(deadline, sleep_ns);
            return [false; 2];
        }
        if fds[0].revents != 0 {
            clear(&self.shared.wake);
        }
        for index in 0..2 {
            if fds[3 + index].revents != 0 {
                self.senders[1 - index].blocked = false;
            }
        }
        [1, 2].map(|index| fds[index].revents != 0)
    }

    /// The time asked for has passed: wait for the very moment, and learn how late waking was.
    fn meet(&mut self, deadline: Option<i64>, slept_ns: Option<i64>) {
        let (Some(deadline), Some(slept_ns)) = (deadline, slept_ns) else { return };
        let mut now_ns = clock(libc::CLOCK_MONOTONIC);
        if slept_ns > 0 {
            let late_ns = now_ns - (deadline - self.early_ns);
            self.early_ns = if late_ns > self.early_ns {
                (self.early_ns + (late_ns - self.early_ns) / 2).min(EARLY_MOST_NS)
            } else {
                (self.early_ns - (self.early_ns - late_ns) / 256).max(EARLY_LEAST_NS)
            };
        }
        while now_ns < deadline && deadline - now_ns <= EARLY_MOST_NS {
            std::hint::spin_loop();
            now_ns = clock(libc::CLOCK_MONOTONIC);
        }
    }

    fn read(&mut self, index: usize) {
        let end = &mut self.ends[index];
        let (count, is_connection) = match self.reader.take(end) {
            Ok(count) => (count, end.is_connection()),
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                if !end.survives(errno) {
                    self.fail(index, errno);
                }
                return;
            }
        };
        let now_ns = clock(libc::CLOCK_MONOTONIC);
        let offset_ns = now_ns - clock(libc::CLOCK_REALTIME);
        let mut ended = false;
        {
            let mut lanes = locked(&self.shared.lanes);
            if self.one_order {
                let last_due_ns = lanes[1 - index].last_due_ns();
                lanes[index].not_before(last_due_ns);
            }
            let lane = &mut lanes[index];
            for (frame, stamp_ns) in (0..count).map(|at| self.reader.frame(at)) {
                if frame.len() < SHORTEST_OCTETS {
                    ended |= frame.is_empty() && is_connection;
                    continue;
                }
                let at_ns = stamp_ns + offset_ns;
                let known = stamp_ns != 0 && at_ns > now_ns - LATE_MOST_NS;
                lane.receive(frame, if known { at_ns.min(now_ns) } else { now_ns });
            }
        }
        if ended {
            self.fail(index, libc::ECONNRESET);
        }
    }

    fn fail(&mut self, end: usize, errno: i32) {
        self.broken = true;
        *locked(&self.shared.broken) = Some(Broken { end, errno });
        signal(&self.shared.news);
    }
}

fn clock(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` lives during the call; the clocks asked for exist.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec * NS_PER_S + time.tv_nsec
}

/// A panic elsewhere has been told already.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
    // SAFETY: it is new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes it readable. It cannot fail but by overflow, when it is readable already.
fn signal(eventfd: &OwnedFd) {
    let one = 1u64;
    // SAFETY: eight octets are read from `one`, which lives during the call.
    unsafe { libc::write(eventfd.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
}

fn clear(eventfd: &OwnedFd) {
    let mut count = 0u64;
    // SAFETY: there is room for eight octets in `count`, which lives during the call.
    unsafe { libc::read(eventfd.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
}
