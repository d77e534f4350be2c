//! Locks memory, so that it is not swapped to disk.

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

/// Locks all current and future memory; warns if that is not permitted. Codes are stored only as
/// MACs, but mails in progress, ids and this process's keys are in plain form.
pub(super) fn lock() {
    // With a limit, locking would succeed now, but allocations beyond the limit would fail later
    // and abort the process.
    let unlimited = getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, _)| soft == RLIM_INFINITY);
    // Lock pages when they are first used: stacks and tables reserve far more than they use.
    let pages = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    let all = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | pages;
    if !(unlimited || has_lock_capability()) || mlockall(all).is_err() {
        tracing::warn!(
            "memory is not locked and may be swapped to disk: turn swap off, or grant CAP_IPC_LOCK or an \
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
