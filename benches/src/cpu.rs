//! Which core, how long, and how much of it.
use std::fs;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// Now, monotonic.
#[allow(clippy::disallowed_methods, reason = "this is the one place where the bench reads time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Binds the calling thread, and every process it starts from here on, to one core.
///
/// # Errors
/// The core is not there, or not allowed.
pub fn pin(core: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    let pinned = set.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    pinned.map_err(|error| format!("can't pin to core {core}: {error}"))
}

/// CPU time of the calling thread, in ns. One system call.
#[must_use]
pub fn own_nanos() -> u64 {
    // Every Linux has this clock.
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// CPU time of all threads of a process, in ns, from `/proc/PID/task/*/schedstat`. `/proc/PID/stat` counts in
/// ticks of 10 ms, too coarse for short windows. A thread that ends takes its time along; servers' do not end.
///
/// # Errors
/// The process has gone, or the kernel keeps no books.
pub fn nanos(pid: u32) -> Result<u64, String> {
    let tasks =
        fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| format!("process {pid}: {error}"))?;
    let mut sum = 0;
    for task in tasks.flatten() {
        let books = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        sum += books.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    if sum == 0 { Err(format!("process {pid} has no schedstat")) } else { Ok(sum) }
}
