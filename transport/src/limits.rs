//! Every bound of the transport that is not the operator's to set: number, unit, reason, bytes.
//!
//! Worst case of one connection: `CONNECTION_WINDOW_BYTES` received and not yet read, `SEND_WINDOW_BYTES`
//! sent and not yet acknowledged, and for each of `REQUEST_STREAMS_PER_CONNECTION` requests a head of
//! 16 KiB and a body of 8 KiB (`http3/limits.rs`) while its task reads.

use std::time::Duration;

/// Requests under way on one connection. A phone has one or two, a backend a few dozen on each connection of its
/// pool; the others wait at the client. RFC 9114 (6.1) would have 100, for browsers that load pages; quinn
/// reserves some 160 B for each, used or not, and phones are idle by the ten thousand.
pub const REQUEST_STREAMS_PER_CONNECTION: u32 = 48;
/// Unidirectional streams a client may have open: control, two for QPACK, and some grease.
pub const PEER_UNI_STREAMS_PER_CONNECTION: u32 = 8;
/// Unread bytes of one stream: the largest head and body we take, and their frames.
pub const STREAM_WINDOW_BYTES: u32 = 32 << 10;
/// Unread bytes of one connection: sixteen of the largest requests at once.
pub const CONNECTION_WINDOW_BYTES: u32 = 512 << 10;
/// Unacknowledged bytes of one connection: 64 answers of 2 KiB, twice.
pub const SEND_WINDOW_BYTES: u64 = 256 << 10;

/// Bytes of the largest datagram that we send or ask for: what every path of QUIC carries (RFC 9000, 14.1). An answer
/// fits, and a request nearly always; looking for more costs each side four datagrams of 1,400 bytes a visit, and the
/// receiver a step for each of their bytes of padding. Larger ones are read all the same: a client's first packets
/// come before it knows.
pub const DATAGRAM_BYTES: u16 = 1_200;
/// Batches of 32 receipts that a socket may drop whole, as coming from banned peers, before the lane's other
/// tasks have their turn: some 100 µs.
pub const DROPPED_BATCHES_PER_TURN: usize = 4;
/// How often a lane looks whether it keeps up. Some ten times as long as the longest it works between two looks at
/// its sockets, a third of what a person notices.
pub const SHED_TICK: Duration = Duration::from_millis(100);
/// How many of them a phone's lot lasts, where a lane that is behind draws lots: 16 s. Whoever is not heard tries again
/// less and less often, at least once in as long as he has been silent.
pub const SHED_LOT_TICKS: u64 = 160;
/// Bans that the kernel is told of, those that began or were met last: 10 KiB here, some 15 KiB in each of a lane's sockets, and a
/// dozen comparisons for every datagram that comes in. A program may have 4,096 instructions; these take 2,320
/// at most.
pub const KERNEL_BANS: usize = 256;
/// Least time between two new programs for them: each is some 100 µs of the lane's.
pub const KERNEL_BANS_PAUSE: Duration = Duration::from_millis(50);
/// Initials waiting for a lane's decision.
pub const PENDING_HANDSHAKES_PER_LANE: usize = 4_096;
/// Bytes buffered for one of them: two full datagrams.
pub const PENDING_HANDSHAKE_BYTES: u64 = 4 << 10;
/// Bytes buffered for all of a lane's.
pub const PENDING_HANDSHAKE_BYTES_TOTAL: u64 = 8 << 20;
/// Cells in each of the two rows that count connections per peer, for the whole process: 4 B each, 512 KiB
/// in all. With 500 peers that have used up their share (100,000 connections of 200 each), a stranger meets
/// two full cells once in 17,000 times; if they are /64s of IPv6, whose /56s and /48s are counted too, once in 10,000.
pub const PEER_CELLS: usize = 1 << 16;
/// Places are few when all but one part in so many of a cap is taken: from then on connections without an accepted
/// request make room for newcomers. The eighth that is left is for lanes that have none to end, and for the moment
/// until one that was told to end has gone.
pub const CROWDED_PART: usize = 8;
/// Least time between two looks for connections that had no accepted request for `connections.idle`. They may live
/// that much longer.
pub const UNSERVED_LOOK: Duration = Duration::from_millis(100);
/// Retries sent to one address and port in a second. A phone needs one; a backend that opens a hundred
/// connections at once from one socket asks again within a second or two. Bounds the ping-pong with clients
/// that answer a Retry with a close.
pub const RETRIES_PER_SOURCE: u32 = 32;
/// Sources a lane tells apart for it: 8 B each, 32 KiB. Two that share a place share its Retries, so using
/// up a stranger's takes 131,000 Initials a second.
pub const RETRY_PLACES: usize = 4_096;
/// Parameters of a query. No route reads one; what campaigns and proxies add is a dozen. 16 KiB of them would be
/// 8,000 to sort.
pub const QUERY_PARAMETERS: usize = 64;
/// How long caches may keep a JWK set. Where no `receipts.key_file` is set, every start has another key, and a receipt
/// signed by it is refused until the set is fetched again: a minute is about as long as a person takes to sign in.
pub const JWKS_MAX_AGE: Duration = Duration::from_secs(60);
/// Longest a handshake may take: three round trips of a bad satellite link with two losses.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// Bytes read from a stream at a time.
pub const READ_CHUNK_BYTES: usize = 16 << 10;
/// Longest a graceful stop may take, from the signal to the exit (the contract's).
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// Of it, what connections have to finish their requests: mails of the last of them need a turn of the relay's
/// after that.
pub const DRAIN_REQUESTS: Duration = Duration::from_secs(7);
/// Of it, what is left for lanes to end and wipe: 10⁶ records take some 200 ms.
pub const DRAIN_WIPE: Duration = Duration::from_millis(500);
/// How long a handshake that a stop finds under way may go on: its phone may have sent requests with its last
/// flight, and hears by a GOAWAY that they were not served. Two round trips of a bad link.
pub const DRAIN_HANDSHAKE: Duration = Duration::from_secs(1);
/// Longest an answer of a stopping server waits for its phone to say that it came.
pub const DRAIN_ACKNOWLEDGED: Duration = Duration::from_secs(1);

/// How long a start that is told to stop may go on with what it has begun: it takes some 100 ms, and a disk that is
/// slow to take a new store a second or two. One that takes longer waits for a store that does not answer.
pub const START_GIVEN_UP: Duration = Duration::from_secs(3);
/// Longest a stop waits for the control plane to let go of its store, while lanes end ([`DRAIN_WIPE`]).
pub const CONTROL_END: Duration = Duration::from_millis(400);
/// Of it, what the connections to the store have to say goodbye: a round trip or two. One that hangs is dropped.
pub const STORE_GOODBYE: Duration = Duration::from_millis(250);

/// Pause before a control task that panicked begins anew; it doubles with each panic after that.
pub const CONTROL_RESTART: Duration = Duration::from_millis(100);
/// The longest such pause: the five seconds within which a change must act.
pub const CONTROL_RESTART_MAX: Duration = Duration::from_secs(5);
/// How long a control task has to run before its next panic counts as the first again.
pub const CONTROL_STEADY: Duration = Duration::from_secs(60);

/// Longest a process with a failed part goes on, from the panic to the exit.
pub const FAILED_DEADLINE: Duration = Duration::from_secs(1);
/// Of it, what the parts that work have to themselves, while whoever asks for readiness turns away.
pub const FAILED_GRACE: Duration = Duration::from_millis(450);
/// Of it, what their connections then have to finish, and the queued mail to leave.
pub const FAILED_DRAIN: Duration = Duration::from_millis(350);
/// How often the process looks whether a part has failed.
pub const HEALTH_EVERY: Duration = Duration::from_millis(50);

/// Least time between a connection's last answer and its close in a drain: a lost packet is sent again
/// within one probe timeout, about 100 ms on a local path; four round trips where those are longer.
pub const DRAIN_LINGER: Duration = Duration::from_millis(200);

/// HTTP/2 streams reset before we saw them, before the connection ends (CVE-2023-44487).
pub const H2_PENDING_RESETS: usize = 64;
/// HTTP/2 streams that we had to reset, before the connection ends (its mirror image, MadeYouReset). An honest
/// backend makes us do so whenever a request was refused by its head while its body was on the way: a revoked
/// key's next thousand requests.
pub const H2_OWN_RESETS: usize = 1_024;
/// Bytes of a body that are read and thrown away behind an answer that did not need it, over TCP: what a client may send
/// on one stream before it hears from us. Nothing of it is held but what one read brings.
pub const DISCARDED_BODY_BYTES: usize = STREAM_WINDOW_BYTES as usize;
/// How long a TCP connection with nothing under way may take to say goodbye: two round trips of a bad
/// link.
pub const TCP_FAREWELL: Duration = Duration::from_secs(2);
/// Bytes thrown away while a peer that is still sending reads our last answer. Many clients look for it
/// only once their body is out, and a reset would take it from them; nothing of it is held.
pub const TCP_LINGER_BYTES: usize = 16 << 20;
/// How long a lane out of descriptors waits before it accepts again.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often a lane tells of it, and of connections that made room for others.
pub const TOLD_EVERY: Duration = Duration::from_secs(60);
/// Freed blocks that a lane keeps for its next requests, in bytes for each of 64 sizes up to 1,032 bytes: a wave of a
/// hundred answers. 4 MiB a lane, were every size used; see `wiping/shelf.rs`.
pub const KEPT_FINE_BYTES: usize = 64 << 10;
/// The same for each of 12 sizes above: the tasks of some eighty requests. 3 MiB a lane, were every size used.
pub const KEPT_COARSE_BYTES: usize = 256 << 10;
/// Connections the kernel queues for us.
pub const TCP_BACKLOG: i32 = 4_096;
/// How often a drain looks whether the connections are done.
pub const DRAIN_POLL: Duration = Duration::from_millis(20);
/// Tries to find one port that is free for UDP and TCP on all addresses.
pub const PORT_TRIES: usize = 16;
/// Admin connections at once: a person, a scraper, a script.
pub const ADMIN_CONNECTIONS: usize = 64;

/// What a peer's first wrong admin token costs it, before it hears so; each one more costs twice as much. An operator
/// who mistypes notices nothing.
pub const WRONG_TOKEN_WAIT: Duration = Duration::from_millis(100);
/// The longest such wait.
pub const WRONG_TOKEN_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long after its last wrong token a peer begins anew.
pub const WRONG_TOKEN_FORGOTTEN: Duration = Duration::from_secs(600);
/// Peers whose wrong tokens are counted: 1,024 of some 40 B. Of more, the quietest is forgotten.
pub const WRONG_TOKEN_PEERS: usize = 1_024;
/// Requests with a wrong token that wait at once: a quarter of [`ADMIN_CONNECTIONS`], so that the right token always
/// finds a place. Of more, each is answered 429 at once and its connection closed.
pub const WRONG_TOKENS_WAITING: usize = 16;
/// How often the log tells of wrong tokens: often enough for a person, too rare to fill a disk.
pub const WRONG_TOKEN_TOLD_EVERY: Duration = Duration::from_secs(60);

/// Descriptors that a lane opens for itself: its runtime's epoll, waker and signal socket, and one to spare. Beside them
/// a second one of each UDP socket.
pub const DESCRIPTORS_OF_A_LANE: usize = 4;
/// Descriptors of one connection to SQLite: the file, its log, the log's index, and a journal while it is vacuumed or
/// migrated. PostgreSQL takes one.
pub const DESCRIPTORS_OF_A_STORE_CONNECTION: usize = 4;
/// Descriptors for events: one post at a time and the connection before it, which waits.
pub const DESCRIPTORS_FOR_EVENTS: usize = 2;
/// Descriptors for names that are being resolved: the system's resolver opens two for each, and eight at once is a
/// bad minute of DNS.
pub const DESCRIPTORS_FOR_LOOKUPS: usize = 16;
/// Descriptors for files that are open for a moment: mail for the outbox, certificates, settings, templates, a catalog.
pub const DESCRIPTORS_FOR_FILES: usize = 16;
/// Where descriptors are too few for the whole reserve, TCP connections get one part in so many of what is free.
pub const TCP_LEAST_PART: usize = 5;

/// Connections to the store: one asks, one writes, two for a second operator and a slow moment.
pub const STORE_CONNECTIONS: u32 = 4;
/// Longest the control plane waits for a connection to the store; a whole operation gets half a second
/// more. A healthy store answers within a few milliseconds.
pub const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// How often the store is asked whether anything is new, where nothing tells us: a fifth of the five
/// seconds within which a change must act.
pub const STORE_POLL: Duration = Duration::from_secs(1);
/// How long a store that did not answer is left alone by those who ask about unknown keys.
pub const STORE_RETRY: Duration = Duration::from_secs(1);
/// Pause between two queries for unknown keys: a flood of them costs the store 50 queries a second.
pub const MISS_PAUSE: Duration = Duration::from_millis(20);
/// Questions about unknown keys under way from all lanes: 4,096 of about 80 B. A lane asks once for each key.
pub const MISSES_WAITING: usize = 4_096;
/// Unknown keys one lane asks about at once: some 300 B each. More are refused, 503.
pub const KEYS_ASKED_PER_LANE: usize = 512;
/// Longest a request waits for word of its unknown key: a query that hangs, and the one before it.
pub const LOOKUP_PATIENCE: Duration = Duration::from_secs(6);
/// Unknown keys a lane remembers: 4,096 of 32 B, 128 KiB.
pub const UNKNOWN_KEY_PLACES: usize = 4_096;
/// How long: as long as a change may take to act.
pub const UNKNOWN_KEY_SPAN: Duration = Duration::from_secs(5);
/// What operators ask of the keeper at once.
pub const NUDGES_WAITING: usize = 64;
/// Revocations held while the store is down: 1,024 ids of 26 B.
pub const PENDING_REVOCATIONS: usize = 1_024;

/// How often a lane tells of an exposed key: often enough for a person, too rare to fill a disk.
pub const EXPOSURE_TOLD_EVERY: Duration = Duration::from_secs(60);
/// How often a lane reports one that is to be revoked. It is once, unless the store did not take it.
pub const EXPOSURE_REPORTED_EVERY: Duration = Duration::from_secs(1);
/// Exposed keys that a lane remembers: 64 of some 80 B. Of more within a minute only the counter tells, but they are
/// revoked all the same.
pub const EXPOSURES_REMEMBERED: usize = 64;
/// Reports of all lanes that wait for the control plane: 256 of some 80 B.
pub const EXPOSURES_WAITING: usize = 256;

/// Keys in the store, ended ones included: a book of 100,000 is about 40 MB, and is built twice while
/// it is replaced.
pub const KEYS: i64 = 100_000;
/// Projects in the store.
pub const PROJECTS: i64 = 10_000;
/// Keys on one page of a listing: about 100 KB of JSON.
pub const KEY_PAGE: i64 = 250;
/// Origin rules of one key: an agency's brands; each is at most 253 bytes.
pub const ORIGINS_PER_KEY: usize = 100;
/// Bytes of a project's name.
pub const PROJECT_NAME_BYTES: usize = 64;
/// Addresses a project's alerts go to.
pub const ALERT_ADDRESSES: usize = 10;
/// How long an alert is worth mailing: a relay that is down for an hour is told of by other means.
pub const ALERT_LIFETIME: Duration = Duration::from_secs(3_600);
/// Longest life or grace of a key: ten years.
pub const KEY_SPAN_MAX: Duration = Duration::from_secs(3_653 * 86_400);

/// Bytes of a body to the admin API: a key with its hundred rules.
pub const ADMIN_BODY_BYTES: usize = 32 << 10;
/// How long the admin API waits for a lane: one that does not answer in that time stands still, and has
/// answered all requests before in microseconds.
pub const LANE_PATIENCE: Duration = Duration::from_secs(2);
/// Longest ban an operator may give: a year. Whoever is to stay out for longer belongs into a firewall.
pub const BAN_SPAN_MAX: Duration = Duration::from_secs(366 * 86_400);
/// Bans in one list, about 100 B each: 1 MB. The ones that last longest come first.
pub const BANS_LISTED: usize = 10_000;
/// Longest the loading of a catalog may take: 64 MiB from a slow disk, and some seconds to read four million
/// domains. Nobody else waits meanwhile.
pub const CATALOG_DEADLINE: Duration = Duration::from_secs(60);
/// Entries named in the answer to it, of those that were left out.
pub const SKIPPED_LISTED: usize = 1_000;
/// Longest an admin connection may last: scrapers connect anew.
pub const ADMIN_IDLE: Duration = Duration::from_secs(300);
/// Longest an admin request may take to arrive, and an answer to be made.
pub const ADMIN_DEADLINE: Duration = Duration::from_secs(10);
/// How long a start goes on asking a store that says nothing: one that comes up with this process, or a
/// machine that stood still for a moment, costs no start. (One that refuses ends it at once.)
pub const STORE_START: Duration = Duration::from_secs(10);
/// How long a start waits for the control plane: [`STORE_START`], the patience of a question asked at its end and
/// of the first reading after it, the listener.
pub const CONTROL_START: Duration = Duration::from_secs(20);

/// Requests of secret keys that wait for their turn on one lane: about 100 ms of work at 25 µs each. A
/// waiter's own cost is its task, head and body, 24 KiB at most and 2 KiB in practice: 96 MiB at most,
/// which its connection's windows bound already.
pub const SECRET_PLACES: usize = 4_096;
/// Requests of restricted keys that wait for their turn on one lane: a quarter, so that what a flood may
/// keep waiting is 25 ms of work (and 24 MiB at most), yet a thousand phones may ask in one instant.
pub const RESTRICTED_PLACES: usize = 1_024;
/// Requests of secret keys worked on before a lane looks at its sockets again, while restricted keys are about: some
/// 800 µs.
pub const SECRET_PER_TURN: u32 = 64;
/// Requests of restricted keys worked on before a lane looks at its sockets again, while secret keys are about: some
/// 200 µs, which is what they can add to the wait of a backend's request. A request in turns of 8 costs twice what it
/// does in turns of 256 (`benches/BASELINE.md`), and in turns of 16 half as much again.
pub const RESTRICTED_PER_TURN: u32 = 16;
/// Requests of secret keys in a turn while no restricted ones are about: some 3 ms, in which the first that comes waits.
pub const SECRET_ALONE_PER_TURN: u32 = 256;
/// The same of restricted keys while no secret ones are about.
pub const RESTRICTED_ALONE_PER_TURN: u32 = 256;
/// Turns for which a class of keys is about after it has asked: a fifth of a second of small turns under load, several
/// of large ones. In idle times it is longer, and costs nothing.
pub const ABOUT_TURNS: u32 = 1_024;

/// Issues in one batch (contract, section 4). Its answer has some 45 KB, well inside a connection's send
/// window; the request itself is held to the 8 KiB of any body.
pub const BATCH_ITEMS: usize = 100;

/// How long TLS tickets are sealed with one key; they are opened for as long again. As rustls does it by itself: a
/// stolen key tells of half a day of resumed sessions at most.
pub const TICKET_KEY_LIFE: Duration = Duration::from_secs(6 * 3_600);
/// How often the certificate's files are looked at: two `stat` calls on the control plane's thread. Half
/// of it passes on average before a renewed certificate is shown, whose predecessor has weeks to live.
pub const CERTIFICATE_LOOK_EVERY: Duration = Duration::from_secs(2);
/// Most bytes read of one of them: a chain of a dozen certificates has 30 KiB.
pub const CERTIFICATE_FILE_BYTES: u64 = 256 << 10;
/// From how many days before its end a certificate is warned of: those of ninety days are renewed a month before,
/// so whoever sees this has had two weeks in which the renewal failed.
pub const CERTIFICATE_ENDS_SOON_DAYS: u64 = 14;
