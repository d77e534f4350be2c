//! File descriptors: how many this process has, and how many of them TCP connections may take.
//!
//! ```text
//!   hard limit ─┬─ open once everything has started (sockets, runtimes, store)
//!               ├─ reserve: mail, events, store, admin connections, files that are read again
//!               └─ the rest ──▶ TCP connections, never more than `connections.max`
//! ```
//!
//! A TCP connection takes one descriptor. A QUIC connection takes none: all of them share the sockets of their lane.
//! So descriptors bound TCP connections alone, and `connections.max`, which is about memory, bounds both together.
//! Without a reserve, strangers who open connections and say nothing would stop the mail of everybody else.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Config;
use crate::delivery::SENDS_IN_PROGRESS;
use crate::limits::{
    ADMIN_CONNECTIONS, DESCRIPTORS_FOR_EVENTS, DESCRIPTORS_FOR_FILES, DESCRIPTORS_FOR_LOOKUPS,
    DESCRIPTORS_OF_A_LANE, DESCRIPTORS_OF_A_STORE_CONNECTION, STORE_CONNECTIONS, TCP_LEAST_PART,
};

/// Raises the soft limit to the hard one, and returns what holds from then on.
pub(crate) fn raise() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return Ok(hard);
    }
    Ok(soft)
}

/// Those that are open at present; `None` where the system does not tell.
fn open() -> Option<usize> {
    std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count)
}

/// What everything but TCP connections may need at the same moment.
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
    /// Whether the whole reserve is left over.
    is_whole: bool,
}

/// Shares out `limit` descriptors, of which `taken` are gone for good.
fn share(limit: u64, taken: usize, reserve: usize) -> Share {
    let free = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(taken);
    let least = (free / TCP_LEAST_PART).max(1);
    let rest = free.saturating_sub(reserve);
    Share { tcp: rest.max(least), is_whole: rest >= least }
}

/// Most TCP connections this process may have. Called once the store, the admin listener and all sockets are open, and
/// before the lanes start. Where that is less than `connections.max`, the log says so once.
pub(crate) fn tcp_connections(config: &Config, providers: usize) -> usize {
    let max = config.connections.max as usize;
    let Ok(limit) = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, _)| soft) else { return max };
    let lanes = config.lanes();
    let reserve = reserve(providers);
    // A system that hides them has them all the same.
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
        "connections.max is {max}, but this process may open too few file descriptors for so many TCP connections: \
         more of them than tcp_connections are closed at once, QUIC connections need none; raise the hard limit to \
         `needed` (ulimit -Hn, LimitNOFILE= of systemd), or lower connections.max"
    );
    if !is_whole {
        tracing::warn!(
            descriptors = limit,
            least = taken + reserve + 1,
            "so few file descriptors leave no full reserve for mail, store and admin connections"
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
