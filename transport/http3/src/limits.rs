//! Every bound of the codec, with its unit and its reason.
//!
//! Held for one request stream at worst: the encoded field section while it arrives in pieces
//! (16 KiB, freed once decoded), then the kept part of the head (at most 16 KiB, 256 bytes in
//! practice) and the body (8 KiB). Held for one connection beside that: one control frame of
//! [`MAX_CONTROL_FRAME_BYTES`] while it arrives.

/// Longest field section, both as encoded in its frame and as RFC 9114 section 4.2.2 counts it
/// (names, values and 32 bytes a field). Announced in SETTINGS. Browsers send 1 to 4 KiB, the
/// common servers stop at 8 or 16.
pub const MAX_FIELD_SECTION_BYTES: usize = 16 * 1024;

/// What RFC 9114 section 4.2.2 adds to a field's name and value.
pub const FIELD_OVERHEAD_BYTES: usize = 32;

/// Most fields in one section. Chromium sends about 25 behind two proxies; the size bound alone
/// would let through 500, each with its own validation.
pub const MAX_FIELDS: usize = 64;

/// Longest body (contract section 4: JSON of at most 8 KiB).
pub const MAX_BODY_BYTES: usize = 8 * 1024;

/// Most frames on one request stream that carry nothing: unknown types and empty DATA. A
/// greasing client sends one or two; each costs the peer 2 bytes and us a turn of the loop.
pub const MAX_IDLE_FRAMES_PER_STREAM: u32 = 16;

/// Most bytes of unknown frames skipped on one request stream, as declared and summed. Skipping
/// holds no memory, but the bytes use up flow-control credit meant for requests.
pub const MAX_SKIPPED_BYTES_PER_STREAM: u64 = 64 * 1024;

/// Longest frame on the control stream. SETTINGS of a greasing browser is under 100 bytes, the
/// other frames we read hold one integer, and extensions (PRIORITY_UPDATE) a short string.
pub const MAX_CONTROL_FRAME_BYTES: usize = 1024;

/// Most entries in SETTINGS: RFCs define about ten, and each costs a search for duplicates.
pub const MAX_SETTINGS: usize = 32;

/// Control frames and QPACK instructions a connection may send before its first request. The
/// useful ones are SETTINGS and a few PRIORITY_UPDATE; without a budget, 10^6 MAX_PUSH_ID frames
/// would keep a lane busy and look like traffic.
pub const HOUSEKEEPING_BUDGET_FRAMES: u32 = 256;

/// What a request earns back, up to the budget: a browser sends at most one PRIORITY_UPDATE and
/// one stream cancellation for each, and connections live for days.
pub const HOUSEKEEPING_PER_REQUEST_FRAMES: u32 = 4;

/// Unidirectional streams of an unknown type (or closed before they had one) that a connection
/// may open in its life. Chromium opens one to keep peers honest.
pub const MAX_REFUSED_STREAMS: u32 = 32;
