//! The control streams (RFC 9114 sections 6.2.1 and 7.2): the peer's read, ours written.
//!
//! ```text
//!   SETTINGS ──▶ GOAWAY | MAX_PUSH_ID | unknown ──▶ …       (never ends)
//!   └ once, first                 └ skipped
//! ```
//!
//! We push nothing and reprioritise nothing, so all there is to do is to notice a peer that
//! breaks the rules. Payloads are gathered up to [`MAX_CONTROL_FRAME_BYTES`] and freed.

use super::error::{Code, Fault};
use super::frame::{FrameHeader, FrameHeaderReader, kind, take};
use super::limits::{MAX_CONTROL_FRAME_BYTES, MAX_FIELD_SECTION_BYTES, MAX_SETTINGS};
use super::uni::{Housekeeping, stream_type};
use super::varint;

/// Settings (RFC 9114 section 7.2.4.1, RFC 9220 section 5, RFC 9297 section 2.1.1).
mod setting {
    pub(super) const MAX_FIELD_SECTION_SIZE: u64 = 0x6;
    pub(super) const ENABLE_CONNECT_PROTOCOL: u64 = 0x8;
    pub(super) const H3_DATAGRAM: u64 = 0x33;
    /// Of the form `0x1f * N + 0x21`: means nothing, and keeps peers used to unknown settings.
    pub(super) const GREASE: u64 = 0x1f * 7 + 0x21;

    /// Identifiers HTTP/2 used and HTTP/3 forbids, and 0, which both registries reserve.
    pub(super) fn is_from_http2(id: u64) -> bool {
        matches!(id, 0x0 | 0x2..=0x5)
    }
}

/// The bytes our control stream begins with: its type and SETTINGS.
///
/// QPACK_MAX_TABLE_CAPACITY and QPACK_BLOCKED_STREAMS are 0 by default and so not said.
pub fn opening() -> Vec<u8> {
    let mut payload = Vec::new();
    varint::encode(setting::MAX_FIELD_SECTION_SIZE, &mut payload);
    varint::encode(MAX_FIELD_SECTION_BYTES as u64, &mut payload);
    varint::encode(setting::GREASE, &mut payload);
    varint::encode(0, &mut payload);
    let mut bytes = Vec::new();
    varint::encode(stream_type::CONTROL, &mut bytes);
    encode_frame(kind::SETTINGS, &payload, &mut bytes);
    bytes
}

/// The GOAWAY frame that says: requests from this stream on were not and will not be processed.
///
/// The caller names the first stream it has *not* served (one more than the last would be a
/// request in service, which a peer might then send again) and never a larger one later.
pub fn goaway(first_unprocessed_stream_id: u64) -> Vec<u8> {
    debug_assert!(first_unprocessed_stream_id.is_multiple_of(4), "not a request stream");
    let mut payload = Vec::new();
    varint::encode(first_unprocessed_stream_id, &mut payload);
    let mut bytes = Vec::new();
    encode_frame(kind::GOAWAY, &payload, &mut bytes);
    bytes
}

fn encode_frame(kind: u64, payload: &[u8], out: &mut Vec<u8>) {
    varint::encode(kind, out);
    varint::encode(payload.len() as u64, out);
    out.extend_from_slice(payload);
}

#[derive(Debug)]
enum Within {
    Header,
    /// A frame we read, and how much of it is still to come.
    Payload(u64, u64),
    Skipped(u64),
}

/// Reads the peer's control stream after its type.
#[derive(Debug)]
pub(super) struct ControlReader {
    header: FrameHeaderReader,
    within: Within,
    payload: Vec<u8>,
    has_settings: bool,
    max_push_id: Option<u64>,
    goaway_id: Option<u64>,
}

impl Default for ControlReader {
    fn default() -> Self {
        Self {
            header: FrameHeaderReader::default(),
            within: Within::Header,
            payload: Vec::new(),
            has_settings: false,
            max_push_id: None,
            goaway_id: None,
        }
    }
}

impl ControlReader {
    pub(super) fn push(&mut self, mut input: &[u8], budget: &mut Housekeeping) -> Result<(), Fault> {
        loop {
            match self.within {
                Within::Header => {
                    let Some(header) = self.header.read(&mut input) else {
                        return Ok(());
                    };
                    budget.spend()?;
                    self.within = self.enter(header)?;
                }
                Within::Payload(kind, left) => {
                    let piece = take(&mut input, left);
                    self.payload.extend_from_slice(piece);
                    let left = left - piece.len() as u64;
                    if left > 0 {
                        self.within = Within::Payload(kind, left);
                        return Ok(());
                    }
                    self.within = Within::Header;
                    let payload = std::mem::take(&mut self.payload);
                    self.take_frame(kind, &payload)?;
                }
                Within::Skipped(left) => {
                    let left = left - take(&mut input, left).len() as u64;
                    if left > 0 {
                        self.within = Within::Skipped(left);
                        return Ok(());
                    }
                    self.within = Within::Header;
                }
            }
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.payload.capacity()
    }

    fn enter(&mut self, FrameHeader { kind, length }: FrameHeader) -> Result<Within, Fault> {
        if self.has_settings == (kind == kind::SETTINGS) {
            let code = if self.has_settings { Code::FrameUnexpected } else { Code::MissingSettings };
            return Err(Fault::Connection(code));
        }
        match kind {
            kind::DATA | kind::HEADERS | kind::PUSH_PROMISE => {
                return Err(Fault::Connection(Code::FrameUnexpected));
            }
            kind if kind::is_from_http2(kind) => {
                return Err(Fault::Connection(Code::FrameUnexpected));
            }
            _ if length > MAX_CONTROL_FRAME_BYTES as u64 => {
                return Err(Fault::Connection(Code::ExcessiveLoad));
            }
            _ => {}
        }
        Ok(match kind {
            kind::SETTINGS | kind::GOAWAY | kind::MAX_PUSH_ID | kind::CANCEL_PUSH => {
                Within::Payload(kind, length)
            }
            _ => Within::Skipped(length), // PRIORITY_UPDATE too: there is nothing to order
        })
    }

    fn take_frame(&mut self, kind: u64, payload: &[u8]) -> Result<(), Fault> {
        if kind == kind::SETTINGS {
            self.has_settings = true;
            return check_settings(payload);
        }
        let id = only_integer(payload)?;
        let in_order = match kind {
            kind::GOAWAY => self.goaway_id.replace(id).is_none_or(|before| id <= before),
            kind::MAX_PUSH_ID => self.max_push_id.replace(id).is_none_or(|before| id >= before),
            // CANCEL_PUSH: we never promised a push, so no id can be one of ours (section 7.2.3).
            _ => false,
        };
        if in_order { Ok(()) } else { Err(Fault::Connection(Code::IdError)) }
    }
}

/// A payload that is one integer and nothing else.
fn only_integer(mut payload: &[u8]) -> Result<u64, Fault> {
    match varint::decode(&mut payload) {
        Some(value) if payload.is_empty() => Ok(value),
        _ => Err(Fault::Connection(Code::FrameError)),
    }
}

fn check_settings(mut payload: &[u8]) -> Result<(), Fault> {
    let mut seen: Vec<u64> = Vec::new();
    while !payload.is_empty() {
        let pair = varint::decode(&mut payload).zip(varint::decode(&mut payload));
        let (id, value) = pair.ok_or(Fault::Connection(Code::FrameError))?;
        if seen.len() == MAX_SETTINGS {
            return Err(Fault::Connection(Code::ExcessiveLoad));
        }
        let is_switch = matches!(id, setting::ENABLE_CONNECT_PROTOCOL | setting::H3_DATAGRAM);
        if setting::is_from_http2(id) || seen.contains(&id) || is_switch && value > 1 {
            return Err(Fault::Connection(Code::SettingsError));
        }
        seen.push(id);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "tests/control.rs"]
mod tests;
