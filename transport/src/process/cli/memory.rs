//! Memory that stays memory.

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

/// Keeps all memory, present and future, out of swap; warns if that may not be. Codes are there as MACs only,
/// but mails under way, ids and the keys of this process are there as they are.
pub(super) fn lock() {
    // Under a limit the lock would hold today, and tomorrow memory would be refused: that ends a process.
    let unlimited = getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, _)| soft == RLIM_INFINITY);
    // Page by page as they are used: stacks and tables are reserved far beyond what they ever hold.
    let pages = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    let all = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | pages;
    if !(unlimited || has_lock_capability()) || mlockall(all).is_err() {
        tracing::warn!(
            "memory is not locked, so swap may put it on a disk: turn swap off, or grant CAP_IPC_LOCK or an \
             unlimited RLIMIT_MEMLOCK (systemd: LimitMEMLOCK=infinity)"
        );
    }
}

fn has_lock_capability() -> bool {
    // linux/capability.h
    const CAP_IPC_LOCK: u64 = 1 << 14;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & CAP_IPC_LOCK != 0)
}
