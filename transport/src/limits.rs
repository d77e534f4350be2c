//! Every limit of the transport that operators can't configure: the number with its unit, its
//! reason, and the bytes it can cost.
//!
//! Worst case of one connection: `CONNECTION_WINDOW_BYTES` received and not yet read,
//! `SEND_WINDOW_BYTES` sent and not yet acknowledged, and for each of
//! `REQUEST_STREAMS_PER_CONNECTION` requests a head of 16 KiB and a body of 8 KiB
//! (`http3/limits.rs`) while its task reads.

use std::time::Duration;

/// Concurrent requests on one connection. A phone has one or two, a backend a few dozen on each
/// connection of its pool; further requests wait at the client. RFC 9114 (6.1) recommends at least
/// 100, for browsers that load pages. But quinn reserves about 160 B per stream, used or not, and
/// tens of thousands of phones are connected and idle.
pub(crate) const REQUEST_STREAMS_PER_CONNECTION: u32 = 48;
/// Unidirectional streams a client may have open: one for control, two for QPACK, and a few for
/// grease.
pub(crate) const PEER_UNI_STREAMS_PER_CONNECTION: u32 = 8;
/// Unread bytes of one stream: the largest accepted head and body, with their frames.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 32 << 10;
/// Unread bytes of one connection: sixteen requests of the largest size.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 512 << 10;
/// Unacknowledged bytes of one connection: 64 answers of 2 KiB, twice.
pub(crate) const SEND_WINDOW_BYTES: u64 = 256 << 10;

/// Size of the largest datagram that we send or ask for: the size that every QUIC path carries (RFC
/// 9000, 14.1). An answer fits, and a request nearly always does. Probing for more would cost each
/// side four datagrams of 1,400 bytes per connection, most of it padding that the receiver has to
/// process. Larger datagrams are accepted, because a client sends its first packets before it knows
/// our limit.
pub(crate) const DATAGRAM_BYTES: u16 = 1_200;
/// Batches of 32 receive operations that a socket may drop completely, because they came from
/// banned peers, before it yields to the lane's other tasks: about 100 µs.
pub(crate) const DROPPED_BATCHES_PER_TURN: usize = 4;
/// How often a lane checks whether it keeps up with its load. About ten times the longest time
/// between two reads of its sockets, and a third of the delay that a person notices.
pub(crate) const SHED_TICK: Duration = Duration::from_millis(100);
/// How many ticks a client keeps its random weight while an overloaded lane sheds: 16 s. A client
/// that gets no answer retries less and less often, and at the latest after as long again as it has
/// already waited.
pub(crate) const SHED_WEIGHT_TICKS: u64 = 160;
/// Bans that the kernel enforces: those that most recently began or dropped a datagram. Costs 10
/// KiB in the lane, about 15 KiB in each of its sockets, and a dozen comparisons per incoming
/// datagram. The kernel allows programs of 4,096 instructions; these take at most 2,320.
pub(crate) const KERNEL_BANS: usize = 256;
/// Minimum time between two updates of the kernel's filter program: each takes about 100 µs of the
/// lane's time.
pub(crate) const KERNEL_BANS_PAUSE: Duration = Duration::from_millis(50);
/// Initial packets waiting until a lane accepts or refuses them.
pub(crate) const PENDING_HANDSHAKES_PER_LANE: usize = 4_096;
/// Bytes buffered for one pending handshake: two full datagrams.
pub(crate) const PENDING_HANDSHAKE_BYTES: u64 = 4 << 10;
/// Bytes buffered for all pending handshakes of a lane.
pub(crate) const PENDING_HANDSHAKE_BYTES_TOTAL: u64 = 8 << 20;
/// Cells in each of the two rows that count connections per peer, for the whole process: 4 B each,
/// 512 KiB in total. With 500 peers that have used up their share (100,000 connections, 200 each),
/// one other peer in 17,000 hashes to two full cells. If the 500 are /64s of IPv6, whose /56s and
/// /48s are counted too, it is one in 10,000.
pub(crate) const PEER_CELLS: usize = 1 << 16;
/// Connections are scarce when all but one `CROWDED_PART`th of a cap is taken: from then on
/// connections without an accepted request make room for new ones. The remaining eighth is for
/// lanes that have no such connection to close, and for the time until a connection told to close
/// has done so.
pub(crate) const CROWDED_PART: usize = 8;
/// Minimum time between two searches for connections without an accepted request for
/// `connections.idle`. They may live that much longer.
pub(crate) const UNSERVED_LOOK: Duration = Duration::from_millis(100);
/// Retry packets sent to one address and port per second. A phone needs one; a backend that opens a
/// hundred connections at once from one socket tries again within a second or two. Bounds the
/// ping-pong with clients that answer a Retry with a close.
pub(crate) const RETRIES_PER_SOURCE: u32 = 32;
/// Slots in which a lane counts Retry packets by source: 8 B each, 32 KiB. Sources that hash to one
/// slot share its allowance, so exhausting another client's takes 131,000 Initials a second.
pub(crate) const RETRY_PLACES: usize = 4_096;
/// Parameters of a query. No route reads one; campaigns and proxies add about a dozen. Without this
/// limit, 16 KiB of query could hold 8,000 parameters to sort.
pub(crate) const QUERY_PARAMETERS: usize = 64;
/// How long caches may keep a JWK set. Without `receipts.key_file` each start draws another key,
/// and a back end refuses a receipt signed by it until it fetches the set again. A minute is about
/// as long as a person takes to sign in.
pub(crate) const JWKS_MAX_AGE: Duration = Duration::from_secs(60);
/// Maximum duration of a handshake: three round trips of a bad satellite link with two losses.
pub(crate) const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// Bytes read from a stream at a time.
pub(crate) const READ_CHUNK_BYTES: usize = 16 << 10;
/// Maximum duration of a graceful stop, from the signal to the exit (set by the contract).
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// The part of [`DRAIN_DEADLINE`] in which connections may finish their requests. After that, mails
/// of the last requests still need an exchange with the relay.
pub(crate) const DRAIN_REQUESTS: Duration = Duration::from_secs(7);
/// The part of [`DRAIN_DEADLINE`] in which lanes end and wipe their memory: 10⁶ records take about
/// 200 ms.
pub(crate) const DRAIN_WIPE: Duration = Duration::from_millis(500);
/// How long a handshake may continue that is in progress when a stop begins. The client may have
/// sent requests with its last flight, and learns from a GOAWAY that they were not served. Two
/// round trips of a bad link.
pub(crate) const DRAIN_HANDSHAKE: Duration = Duration::from_secs(1);
/// How long a stopping server waits for the client to acknowledge an answer.
pub(crate) const DRAIN_ACKNOWLEDGED: Duration = Duration::from_secs(1);

/// How long a start that is told to stop may take to finish the step it is in. A start takes about
/// 100 ms, and creating a store on a slow disk a second or two. If it takes longer, the store does
/// not answer.
pub(crate) const START_GIVEN_UP: Duration = Duration::from_secs(3);
/// How long a stop waits for the control plane to close its store, while lanes end
/// ([`DRAIN_WIPE`]).
pub(crate) const CONTROL_END: Duration = Duration::from_millis(400);
/// The part of [`CONTROL_END`] in which connections to the store may close cleanly: a round trip or
/// two. One that hangs is dropped.
pub(crate) const STORE_GOODBYE: Duration = Duration::from_millis(250);

/// Pause before a control task restarts after a panic; it doubles with each further panic.
pub(crate) const CONTROL_RESTART: Duration = Duration::from_millis(100);
/// The longest such pause: the five seconds within which a change must take effect.
pub(crate) const CONTROL_RESTART_MAX: Duration = Duration::from_secs(5);
/// How long a control task has to run before its next panic counts as its first again.
pub(crate) const CONTROL_STEADY: Duration = Duration::from_secs(60);

/// How long a process continues after a part of it failed, from the panic to the exit.
pub(crate) const FAILED_DEADLINE: Duration = Duration::from_secs(1);
/// The part of [`FAILED_DEADLINE`] in which the working parts continue to serve, while load
/// balancers that probe readiness send new clients elsewhere.
pub(crate) const FAILED_GRACE: Duration = Duration::from_millis(450);
/// The part of [`FAILED_DEADLINE`] in which their connections may then finish, and queued mail may
/// leave.
pub(crate) const FAILED_DRAIN: Duration = Duration::from_millis(350);
/// How often the process checks whether a part has failed.
pub(crate) const HEALTH_EVERY: Duration = Duration::from_millis(50);

/// Minimum time between a connection's last answer and its close in a drain. A lost packet is sent
/// again within one probe timeout, about 100 ms on a local path; where four round trips take
/// longer, they are the minimum.
pub(crate) const DRAIN_LINGER: Duration = Duration::from_millis(200);

/// HTTP/2 streams a client may reset before we have accepted them (CVE-2023-44487), per connection.
pub(crate) const H2_PENDING_RESETS: usize = 64;
/// HTTP/2 streams that we may have to reset, per connection (MadeYouReset, the mirror image of
/// CVE-2023-44487). An honest backend causes one whenever we refuse a request by its head while its
/// body is on the way: the next thousand requests with a revoked key, for example.
pub(crate) const H2_OWN_RESETS: usize = 1_024;
/// Bytes of a body that are read and discarded over TCP after an answer that did not need it: what
/// a client may send on one stream before our answer reaches it. Only the bytes of one read are
/// held at a time.
pub(crate) const DISCARDED_BODY_BYTES: usize = STREAM_WINDOW_BYTES as usize;
/// How long a TCP connection without open requests may take to close: two round trips of a bad
/// link.
pub(crate) const TCP_FAREWELL: Duration = Duration::from_secs(2);
/// Bytes discarded from a peer that is still sending when we send our last answer. Many clients
/// read it only after they have sent the whole body, and a reset would destroy it. None of these
/// bytes are held.
pub(crate) const TCP_LINGER_BYTES: usize = 16 << 20;
/// How long a lane that ran out of file descriptors waits before it accepts again.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often a lane logs that it ran out of descriptors, and that connections made room for others.
pub(crate) const TOLD_EVERY: Duration = Duration::from_secs(60);
/// Freed memory blocks that a lane keeps for its next requests, in bytes for each of 64 block sizes
/// up to 1,032 bytes: enough for a hundred answers at once. At most 4 MiB per lane; see
/// `wiping/shelf.rs`.
pub(crate) const KEPT_FINE_BYTES: usize = 64 << 10;
/// The same for each of 12 larger sizes: the tasks of about eighty requests. At most 3 MiB per
/// lane.
pub(crate) const KEPT_COARSE_BYTES: usize = 256 << 10;
/// Connections that the kernel queues until we accept them.
pub(crate) const TCP_BACKLOG: i32 = 4_096;
/// How often a drain checks whether the connections are done.
pub(crate) const DRAIN_POLL: Duration = Duration::from_millis(20);
/// Attempts to find one port that is free for UDP and TCP on all addresses.
pub(crate) const PORT_TRIES: usize = 16;
/// Concurrent admin connections: a person, a scraper, a script.
pub(crate) const ADMIN_CONNECTIONS: usize = 64;

/// Delay of the answer to a peer's first wrong admin token; it doubles with each further one. An
/// operator who mistypes does not notice it.
pub(crate) const WRONG_TOKEN_WAIT: Duration = Duration::from_millis(100);
/// The longest such delay.
pub(crate) const WRONG_TOKEN_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long after its last wrong token a peer's count starts again at zero.
pub(crate) const WRONG_TOKEN_FORGOTTEN: Duration = Duration::from_secs(600);
/// Peers whose wrong tokens are counted: 1,024 entries of about 40 B. When full, the least active
/// peer is evicted.
pub(crate) const WRONG_TOKEN_PEERS: usize = 1_024;
/// Concurrent requests with a wrong token whose answer is delayed: a quarter of
/// [`ADMIN_CONNECTIONS`], so that the right token always finds a free connection. Beyond that, each
/// is answered 429 immediately and its connection closed.
pub(crate) const WRONG_TOKENS_WAITING: usize = 16;
/// How often wrong tokens are logged: often enough for a person, too rarely to fill a disk.
pub(crate) const WRONG_TOKEN_TOLD_EVERY: Duration = Duration::from_secs(60);

/// File descriptors of a lane's runtime: epoll, waker and signal socket, and one spare. A second
/// descriptor of each UDP socket is counted separately.
pub(crate) const DESCRIPTORS_OF_A_LANE: usize = 4;
/// File descriptors of one connection to SQLite: the file, its write-ahead log, the log's index,
/// and a journal while it is vacuumed or migrated. PostgreSQL takes one.
pub(crate) const DESCRIPTORS_OF_A_STORE_CONNECTION: usize = 4;
/// File descriptors for events: the connection of the current post, and the previous one, kept
/// alive.
pub(crate) const DESCRIPTORS_FOR_EVENTS: usize = 2;
/// File descriptors for name resolution: the system's resolver opens two per name, and a slow DNS
/// server can leave eight look-ups in progress.
pub(crate) const DESCRIPTORS_FOR_LOOKUPS: usize = 16;
/// File descriptors for files that are open briefly: outbox mail, certificates, settings,
/// templates, a catalog.
pub(crate) const DESCRIPTORS_FOR_FILES: usize = 16;
/// Where file descriptors don't suffice for the whole reserve, TCP connections get one in this many
/// of the free ones.
pub(crate) const TCP_LEAST_PART: usize = 5;

/// Connections to the store: one reads, one writes, two are spare, for a second operator or a slow
/// query.
pub(crate) const STORE_CONNECTIONS: u32 = 4;
/// How long the control plane waits for a connection to the store; a whole operation gets half a
/// second more. A healthy store answers within a few milliseconds.
pub(crate) const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// How often the store is polled for changes, where it does not notify us: a fifth of the five
/// seconds within which a change must take effect.
pub(crate) const STORE_POLL: Duration = Duration::from_secs(1);
/// How long unknown keys are refused without a query after the store failed to answer one.
pub(crate) const STORE_RETRY: Duration = Duration::from_secs(1);
/// Pause between two queries for unknown keys: a flood of them costs the store 50 queries a second.
pub(crate) const MISS_PAUSE: Duration = Duration::from_millis(20);
/// Look-ups of unknown keys in progress, from all lanes: 4,096 of about 80 B. A lane asks once for
/// each key.
pub(crate) const MISSES_WAITING: usize = 4_096;
/// Unknown keys that one lane looks up at once: about 300 B each. Further ones are refused with
/// 503.
pub(crate) const KEYS_ASKED_PER_LANE: usize = 512;
/// How long a request waits for the look-up of its unknown key: a query that hangs, and the one
/// before it.
pub(crate) const LOOKUP_PATIENCE: Duration = Duration::from_secs(6);
/// Unknown keys that a lane remembers: 4,096 of 32 B, 128 KiB.
pub(crate) const UNKNOWN_KEY_PLACES: usize = 4_096;
/// How long it remembers them: as long as a change may take to take effect.
pub(crate) const UNKNOWN_KEY_SPAN: Duration = Duration::from_secs(5);
/// Operators' requests to the keeper that may wait at once.
pub(crate) const NUDGES_WAITING: usize = 64;
/// Revocations held while the store is down: 1,024 ids of 26 B.
pub(crate) const PENDING_REVOCATIONS: usize = 1_024;

/// How often a lane reports an exposed key to people: often enough for a person, too rarely to fill
/// a disk.
pub(crate) const EXPOSURE_TOLD_EVERY: Duration = Duration::from_secs(60);
/// How often a lane reports an exposed key to the control plane for revocation. Once is enough,
/// unless the store did not accept the revocation.
pub(crate) const EXPOSURE_REPORTED_EVERY: Duration = Duration::from_secs(1);
/// Exposed keys that a lane remembers: 64 of about 80 B. Further ones within a minute show up only
/// in the counter, but they are revoked all the same.
pub(crate) const EXPOSURES_REMEMBERED: usize = 64;
/// Reports from all lanes that wait for the control plane: 256 of about 80 B.
pub(crate) const EXPOSURES_WAITING: usize = 256;

/// Keys in the store, revoked and expired ones included. A key book of 100,000 takes about 40 MB,
/// and twice that while it is replaced.
pub(crate) const KEYS: i64 = 100_000;
/// Projects in the store.
pub(crate) const PROJECTS: i64 = 10_000;
/// Keys on one page of a listing: about 100 KB of JSON.
pub(crate) const KEY_PAGE: i64 = 250;
/// Origin rules of one key: enough for an agency's brands. Each is at most 253 bytes.
pub(crate) const ORIGINS_PER_KEY: usize = 100;
/// Bytes of a project's name.
pub(crate) const PROJECT_NAME_BYTES: usize = 64;
/// Addresses that a project's alerts go to.
pub(crate) const ALERT_ADDRESSES: usize = 10;
/// How long an alert is worth mailing. Operators learn by other means of a relay that is down for
/// an hour.
pub(crate) const ALERT_LIFETIME: Duration = Duration::from_secs(3_600);
/// Longest lifetime or grace period of a key: ten years.
pub(crate) const KEY_SPAN_MAX: Duration = Duration::from_secs(3_653 * 86_400);

/// Bytes of a request body to the admin API: a key with a hundred origin rules.
pub(crate) const ADMIN_BODY_BYTES: usize = 32 << 10;
/// How long the admin API waits for a lane's answer. A lane answers in microseconds; one that
/// exceeds this is stuck.
pub(crate) const LANE_PATIENCE: Duration = Duration::from_secs(2);
/// Longest ban that an operator may set: a year. A longer ban belongs in a firewall.
pub(crate) const BAN_SPAN_MAX: Duration = Duration::from_secs(366 * 86_400);
/// Bans in one listing, about 100 B each: 1 MB. Those that last longest come first.
pub(crate) const BANS_LISTED: usize = 10_000;
/// How long a catalog may take to load: 64 MiB from a slow disk, and some seconds to parse four
/// million domains. Nothing else waits for it.
pub(crate) const CATALOG_DEADLINE: Duration = Duration::from_secs(60);
/// Skipped catalog entries named in the answer to a load.
pub(crate) const SKIPPED_LISTED: usize = 1_000;
/// How long an admin connection may last. Scrapers reconnect.
pub(crate) const ADMIN_IDLE: Duration = Duration::from_secs(300);
/// How long an admin request may take to arrive, and its answer to be produced.
pub(crate) const ADMIN_DEADLINE: Duration = Duration::from_secs(10);
/// How long a start retries a store that does not answer: one that comes up together with this
/// process, or a machine that paused for a moment, does not fail the start. A store that refuses
/// ends the start immediately.
pub(crate) const STORE_START: Duration = Duration::from_secs(10);
/// How long a start waits for the control plane: [`STORE_START`], one query sent at the end of it
/// and the first reading after it ([`STORE_PATIENCE`] each), and the listener.
pub(crate) const CONTROL_START: Duration = Duration::from_secs(20);

/// Requests with secret keys that may wait in one lane's queue: about 100 ms of work at 25 µs each.
/// A waiting request holds its task, head and body: 24 KiB at most and 2 KiB in practice. That is
/// 96 MiB at most, which the windows of its connection already bound.
pub(crate) const SECRET_PLACES: usize = 4_096;
/// Requests with restricted keys that may wait in one lane's queue: a quarter, so that a flood
/// keeps at most 25 ms of work waiting (and 24 MiB), yet a thousand phones may ask at the same
/// instant.
pub(crate) const RESTRICTED_PLACES: usize = 1_024;
/// Requests with secret keys processed before a lane reads its sockets again, while restricted keys
/// are active too: about 800 µs.
pub(crate) const SECRET_PER_TURN: u32 = 64;
/// Requests with restricted keys processed before a lane reads its sockets again, while secret keys
/// are active too: about 200 µs, which is what they can add to the wait of a backend's request. Per
/// request, turns of 8 cost twice as much as turns of 256 (`benches/BASELINE.md`), and turns of 16
/// half as much again.
pub(crate) const RESTRICTED_PER_TURN: u32 = 16;
/// Requests with secret keys in a turn while no restricted keys are active: about 3 ms, for which
/// the first restricted request waits.
pub(crate) const SECRET_ALONE_PER_TURN: u32 = 256;
/// Requests with restricted keys in a turn while no secret keys are active.
pub(crate) const RESTRICTED_ALONE_PER_TURN: u32 = 256;
/// Number of turns for which a class of keys counts as active after a request: a fifth of a second
/// with small turns under load, several seconds with large ones. On an idle lane it lasts longer,
/// at no cost.
pub(crate) const ABOUT_TURNS: u32 = 1_024;

/// Issues in one batch (contract, section 4). The answer has about 45 KB, well inside a
/// connection's send window; the request is limited to the 8 KiB of any body.
pub(crate) const BATCH_ITEMS: usize = 100;

/// How long TLS tickets are sealed with one key; they are accepted for as long again. The same as
/// rustls's own ticketer: a stolen key reveals at most half a day of resumed sessions.
pub(crate) const TICKET_KEY_LIFE: Duration = Duration::from_secs(6 * 3_600);
/// How often the certificate's files are checked: two `stat` calls on the control plane's thread.
/// On average half of it passes before a renewed certificate is used, whose predecessor is valid
/// for weeks.
pub(crate) const CERTIFICATE_LOOK_EVERY: Duration = Duration::from_secs(2);
/// Maximum size of a certificate file: a chain of a dozen certificates has 30 KiB.
pub(crate) const CERTIFICATE_FILE_BYTES: u64 = 256 << 10;
/// How many days before its end a warning about a certificate starts. Certificates of ninety days
/// are renewed a month before, so by then the renewal has failed for two weeks.
pub(crate) const CERTIFICATE_ENDS_SOON_DAYS: u64 = 14;
