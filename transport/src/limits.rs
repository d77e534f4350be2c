//! Every bound of the transport that is not the operator's to set: number, unit, reason, bytes.
//!
//! Worst case of one connection: `CONNECTION_WINDOW_BYTES` received and not yet read, `SEND_WINDOW_BYTES`
//! sent and not yet acknowledged, and for each of `REQUEST_STREAMS_PER_CONNECTION` requests a head of
//! 16 KiB and a body of 8 KiB (`http3/limits.rs`) while its task reads.

use std::time::Duration;

/// Requests under way on one connection. A phone has one or two, a backend's pool a few dozen; quinn
/// reserves about 100 B of state for each, used or not.
pub const REQUEST_STREAMS_PER_CONNECTION: u32 = 64;
/// Unidirectional streams a client may have open: control, two for QPACK, and some grease.
pub const PEER_UNI_STREAMS_PER_CONNECTION: u32 = 8;
/// Unread bytes of one stream: the largest head and body we take, and their frames.
pub const STREAM_WINDOW_BYTES: u32 = 32 << 10;
/// Unread bytes of one connection: sixteen of the largest requests at once.
pub const CONNECTION_WINDOW_BYTES: u32 = 512 << 10;
/// Unacknowledged bytes of one connection: 64 answers of 2 KiB, twice.
pub const SEND_WINDOW_BYTES: u64 = 256 << 10;

/// Initials waiting for a lane's decision.
pub const PENDING_HANDSHAKES_PER_LANE: usize = 4_096;
/// Bytes buffered for one of them: two full datagrams.
pub const PENDING_HANDSHAKE_BYTES: u64 = 4 << 10;
/// Bytes buffered for all of a lane's.
pub const PENDING_HANDSHAKE_BYTES_TOTAL: u64 = 8 << 20;
/// Longest a handshake may take: three round trips of a bad satellite link with two losses.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// Bytes read from a stream at a time.
pub const READ_CHUNK_BYTES: usize = 16 << 10;
/// How long a connection that is being closed for draining may finish its requests.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// HTTP/2 streams reset before we saw them, and streams we had to reset, before the connection ends
/// (CVE-2023-44487 and its mirror image).
pub const H2_PENDING_RESETS: usize = 64;
/// How often an idle HTTP/2 connection is asked whether it still lives, and how long it may think.
pub const H2_PING_EVERY: Duration = Duration::from_secs(30);
/// See [`H2_PING_EVERY`].
pub const H2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a lane out of descriptors waits before it accepts again.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections the kernel queues for us.
pub const TCP_BACKLOG: i32 = 4_096;
/// How often a drain looks whether the connections are done.
pub const DRAIN_POLL: Duration = Duration::from_millis(20);
/// Tries to find one port that is free for UDP and TCP on all addresses.
pub const PORT_TRIES: usize = 16;
/// Admin connections at once: a person, a scraper, a script.
pub const ADMIN_CONNECTIONS: usize = 64;

/// How often the certificate's files are looked at: two `stat` calls on the control plane's thread. Half
/// of it passes on average before a renewed certificate is shown, whose predecessor has weeks to live.
pub const CERTIFICATE_LOOK_EVERY: Duration = Duration::from_secs(2);
/// Most bytes read of one of them: a chain of a dozen certificates has 30 KiB.
pub const CERTIFICATE_FILE_BYTES: u64 = 256 << 10;
