//! What a thread may ask of the scheduler, so that it runs as soon as its time has come.

/// linux/sched/types.h, `struct sched_attr` as of SCHED_ATTR_SIZE_VER0: 48 octets, the machine's order.
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

/// The shortest slice that Linux gives (0.1 ms; kernel/sched/syscalls.c). A thread that wakes up waits for the end of
/// the slice of whoever runs, unless its own is shorter: those are 1.4 to 3 ms by default.
const SLICE_NS: u64 = 100_000;

/// Wake up at the nanosecond that was asked for, and run at once then, rather than at the end of somebody's slice.
/// Needs no privilege, and gives no more of the processor than before. Where the kernel does not know slices
/// (before Linux 6.12), nothing changes.
///
/// `before_all`: run before all threads that are not real-time ones (SCHED_FIFO, the lowest priority), if that is
/// permitted (CAP_SYS_NICE, RLIMIT_RTPRIO).
pub fn be_prompt(before_all: bool) {
    // SAFETY: takes a number; it concerns this thread's own waiting.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: the priority lives during the call; 0 is this thread.
    if before_all && unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) } == 0 {
        return;
    }
    let octets = size_of::<SchedAttr>() as u32;
    let mut attributes = SchedAttr { size: octets, ..Default::default() };
    // SAFETY: there is room for as many octets as are said; 0 is this thread.
    if unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, octets, 0) } != 0 {
        return;
    }
    if attributes.policy == libc::SCHED_OTHER as u32 {
        (attributes.size, attributes.flags, attributes.runtime_ns) = (octets, 0, SLICE_NS);
        // SAFETY: the attributes are as long as they say, and live during the call, which changes this thread only.
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_slice_changes() {
        std::thread::spawn(|| {
            let now = || {
                let mut found = SchedAttr::default();
                let octets = size_of::<SchedAttr>() as u32;
                // SAFETY: as above.
                assert_eq!(unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut found, octets, 0) }, 0);
                found
            };
            let before = now();
            be_prompt(false);
            let after = now();
            assert_eq!((after.policy, after.nice, after.priority), (before.policy, before.nice, before.priority));
            // SAFETY: PR_GET_TIMERSLACK takes no pointer.
            assert_eq!(unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) }, 1);
        })
        .join()
        .unwrap();
    }
}
