//! File descriptors: how many this process has, and how many TCP connections may use.
//!
//! ```text
//!   hard limit ─┬─ open once everything has started (sockets, runtimes, store)
//!               ├─ reserve: mail, events, store, admin connections, files that are reloaded
//!               └─ the rest ──▶ TCP connections, never more than `connections.max`
//! ```
//!
//! A TCP connection takes one descriptor. A QUIC connection takes none, because all share the
//! sockets of their lane. So descriptors bound only TCP connections, and `connections.max`, which
//! is about memory, bounds both together. Without the reserve, idle connections of strangers could
//! stop all mail.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Config;
use crate::delivery::SENDS_IN_PROGRESS;
use crate::limits::{
    ADMIN_CONNECTIONS, DESCRIPTORS_FOR_EVENTS, DESCRIPTORS_FOR_FILES, DESCRIPTORS_FOR_LOOKUPS,
    DESCRIPTORS_OF_A_LANE, DESCRIPTORS_OF_A_STORE_CONNECTION, STORE_CONNECTIONS, TCP_LEAST_PART,
};

/// Raises the soft limit to the hard one. Returns the resulting limit.
pub(crate) fn raise() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return Ok(hard);
    }
    Ok(soft)
}

/// Open descriptors; `None` if the system does not tell.
fn open() -> Option<usize> {
    std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count)
}

/// Descriptors that everything except TCP connections may need at the same time.
fn reserve(providers: usize) -> usize {
    ADMIN_CONNECTIONS
        + STORE_CONNECTIONS as usize * DESCRIPTORS_OF_A_STORE_CONNECTION
        + providers.max(1) * SENDS_IN_PROGRESS
        + DESCRIPTORS_FOR_EVENTS
        + DESCRIPTORS_FOR_LOOKUPS
        + DESCRIPTORS_FOR_FILES
}

/// How many descriptors TCP connections may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    tcp: usize,
    /// Whether the full reserve remains.
    is_whole: bool,
}

/// Divides `limit` descriptors, of which `taken` are used permanently.
fn share(limit: u64, taken: usize, reserve: usize) -> Share {
    let free = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(taken);
    let least = (free / TCP_LEAST_PART).max(1);
    let rest = free.saturating_sub(reserve);
    Share { tcp: rest.max(least), is_whole: rest >= least }
}

/// Maximum number of TCP connections of this process. Called once the store, the admin listener and
/// all sockets are open, and before the lanes start. Logs a warning if it is less than
/// `connections.max`.
pub(crate) fn tcp_connections(config: &Config, providers: usize) -> usize {
    let max = config.connections.max as usize;
    let Ok(limit) = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, _)| soft) else { return max };
    let lanes = config.lanes();
    let reserve = reserve(providers);
    // If the system does not tell, assume as many as the reserve.
    let open = open().unwrap_or(reserve);
    let taken = open + lanes * (DESCRIPTORS_OF_A_LANE + config.listen.len());
    let Share { tcp, is_whole } = share(limit, taken, reserve);
    if tcp >= max {
        return max;
    }
    tracing::warn!(
        descriptors = limit,
        tcp_connections = tcp,
        needed = taken + reserve + max,
        "connections.max is {max}, but this process has too few file descriptors for that many TCP connections: \
         TCP connections beyond tcp_connections are closed at once, QUIC connections need none; raise the hard \
         limit to `needed` (ulimit -Hn, LimitNOFILE= of systemd), or lower connections.max"
    );
    if !is_whole {
        tracing::warn!(
            descriptors = limit,
            least = taken + reserve + 1,
            "too few file descriptors for the full reserve of mail, store and admin connections; raise the hard limit"
        );
    }
    tcp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_shared_between_connections_and_everything_else() {
        let reserve = reserve(1);
        assert!((120..200).contains(&reserve), "{reserve}");
        for (limit, taken) in [(256, 50), (1_024, 60), (20_000, 100), (65_536, 300)] {
            let Share { tcp, is_whole } = share(limit, taken, reserve);
            assert!(is_whole, "{limit}");
            assert_eq!(tcp + taken + reserve, limit as usize, "every one has its use");
        }
        assert_eq!(share(65_536, 300, reserve).tcp, 65_236 - reserve);
    }

    #[test]
    fn where_there_are_few_connections_take_a_fifth_at_most() {
        for limit in [40, 64, 100] {
            let Share { tcp, is_whole } = share(limit, 36, reserve(1));
            assert!(!is_whole && tcp == ((limit as usize - 36) / TCP_LEAST_PART).max(1), "{limit}: {tcp}");
        }
        assert_eq!(share(10, 36, 100), Share { tcp: 1, is_whole: false }, "a start is never refused for it");
        assert_eq!(share(u64::MAX, 36, 100).tcp, usize::MAX - 136, "no limit at all");
    }

    #[test]
    fn more_providers_keep_more_in_reserve() {
        assert_eq!(reserve(3) - reserve(1), 2 * SENDS_IN_PROGRESS);
        assert_eq!(reserve(0), reserve(1), "`dev` makes one by itself");
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let hard = getrlimit(Resource::RLIMIT_NOFILE).unwrap().1;
        assert_eq!(raise().unwrap(), hard);
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0, hard);
        assert!(open().unwrap() > 3);
    }
}
