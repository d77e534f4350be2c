//! Frames of a request stream (RFC 9114 sections 4.1 and 7), whatever the cut of the bytes.
//!
//! ```text
//!             HEADERS            HEADERS (trailers)
//!   Opening ───────────▶ Body ───────────────────────▶ Closing ──▶ FIN
//!                        │  ▲                             │
//!                        └──┘ DATA                        └─ unknown frames only
//! ```
//!
//! Unknown frames may stand anywhere and are skipped, within a budget. A frame is judged when
//! its header is complete: a section too long to be read is never buffered.

use super::error::{Code, Fault, Refused};
use super::limits::{MAX_FIELD_SECTION_BYTES, MAX_IDLE_FRAMES_PER_STREAM, MAX_SKIPPED_BYTES_PER_STREAM};
use super::varint;
use super::wiped::Wiped;

/// Frame types (RFC 9114 section 11.2.1, RFC 9218 section 7).
pub(super) mod kind {
    pub(crate) const DATA: u64 = 0x0;
    pub(crate) const HEADERS: u64 = 0x1;
    pub(crate) const CANCEL_PUSH: u64 = 0x3;
    pub(crate) const SETTINGS: u64 = 0x4;
    pub(crate) const PUSH_PROMISE: u64 = 0x5;
    pub(crate) const GOAWAY: u64 = 0x7;
    pub(crate) const MAX_PUSH_ID: u64 = 0xd;
    pub(crate) const PRIORITY_UPDATE_REQUEST: u64 = 0xf_0700;
    pub(crate) const PRIORITY_UPDATE_PUSH: u64 = 0xf_0701;

    /// Types HTTP/2 used and HTTP/3 forbids everywhere (RFC 9114 section 7.2.8).
    pub(crate) fn is_from_http2(kind: u64) -> bool {
        matches!(kind, 0x2 | 0x6 | 0x8 | 0x9)
    }
}

/// Type and declared length of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHeader {
    pub(super) kind: u64,
    pub(super) length: u64,
}

/// Reads frame headers that may arrive in pieces.
#[derive(Debug, Default)]
pub(super) struct FrameHeaderReader {
    kind: Option<u64>,
    integer: varint::Reader,
}

impl FrameHeaderReader {
    pub(super) fn read(&mut self, input: &mut &[u8]) -> Option<FrameHeader> {
        let kind = match self.kind {
            Some(kind) => kind,
            None => *self.kind.insert(self.integer.read(input)?),
        };
        let length = self.integer.read(input)?;
        self.kind = None;
        Some(FrameHeader { kind, length })
    }

    pub(super) fn is_midway(&self) -> bool {
        self.kind.is_some() || self.integer.is_midway()
    }
}

/// Takes at most `left` bytes off the front of `input`.
pub(super) fn take<'a>(input: &mut &'a [u8], left: u64) -> &'a [u8] {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
    let (taken, rest) = input.split_at(length);
    *input = rest;
    taken
}

/// A complete field section: where it lay in one chunk it is not copied.
pub enum Section<'a> {
    /// The caller's bytes.
    Whole(&'a [u8]),
    /// Put together from several chunks; wiped on drop.
    Gathered(Wiped),
}

impl Section<'_> {
    /// The encoded section.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Gathered(bytes) => bytes.as_slice(),
        }
    }
}

/// What a request stream says next.
pub enum Event<'a> {
    /// The field section of the request.
    Headers(Section<'a>),
    /// A DATA frame begins and declares this many bytes, so that a bound can be held at once.
    DataDeclared(u64),
    /// Some bytes of the body.
    Data(&'a [u8]),
    /// The field section after the body.
    Trailers(Section<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Opening,
    Body,
    Closing,
}

/// Where in a frame the reader stands, with the bytes left of the payload.
#[derive(Clone, Copy, Debug)]
enum Within {
    Header,
    Section(u64),
    Data(u64),
    Skipped(u64),
}

/// The frames of one request stream.
#[derive(Debug)]
pub struct FrameReader {
    header: FrameHeaderReader,
    phase: Phase,
    within: Within,
    gathered: Wiped,
    idle_frames: u32,
    skipped_bytes: u64,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self {
            header: FrameHeaderReader::default(),
            phase: Phase::Opening,
            within: Within::Header,
            gathered: Wiped::new(),
            idle_frames: 0,
            skipped_bytes: 0,
        }
    }
}

impl FrameReader {
    /// The next event in `input`, which is advanced; `None` once `input` is used up.
    ///
    /// After an error the reader is in no defined place; do not call it again.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Fault> {
        loop {
            match self.within {
                Within::Header => {
                    let Some(header) = self.header.read(input) else {
                        return Ok(None);
                    };
                    self.within = self.enter(header)?;
                    if let Within::Data(length) = self.within {
                        return Ok(Some(Event::DataDeclared(length)));
                    }
                }
                Within::Section(left) => return Ok(self.section(left, input)),
                Within::Data(0) | Within::Skipped(0) => self.within = Within::Header,
                _ if input.is_empty() => return Ok(None),
                Within::Data(left) => {
                    let slice = take(input, left);
                    self.within = Within::Data(left - slice.len() as u64);
                    return Ok(Some(Event::Data(slice)));
                }
                Within::Skipped(left) => {
                    let skipped = take(input, left).len() as u64;
                    self.within = Within::Skipped(left - skipped);
                }
            }
        }
    }

    /// The peer has finished the stream: is this a place to end?
    pub fn fin(&self) -> Result<(), Fault> {
        let cut = match self.within {
            Within::Header => self.header.is_midway(),
            Within::Section(_) => true,
            Within::Data(left) | Within::Skipped(left) => left > 0,
        };
        if cut {
            Err(Fault::Connection(Code::FrameError))
        } else if self.phase == Phase::Opening {
            Err(Fault::Stream(Code::RequestIncomplete))
        } else {
            Ok(())
        }
    }

    /// How many bytes of memory the reader holds beside itself.
    pub fn held_bytes(&self) -> usize {
        self.gathered.capacity()
    }

    fn enter(&mut self, FrameHeader { kind, length }: FrameHeader) -> Result<Within, Fault> {
        match kind {
            kind::HEADERS => {
                self.phase = match self.phase {
                    Phase::Opening => Phase::Body,
                    Phase::Body => Phase::Closing,
                    Phase::Closing => return Err(Fault::Connection(Code::FrameUnexpected)),
                };
                if length > MAX_FIELD_SECTION_BYTES as u64 {
                    return Err(Fault::Answer(Refused::HeadersTooLarge));
                }
                Ok(Within::Section(length))
            }
            kind::DATA => {
                if self.phase != Phase::Body {
                    return Err(Fault::Connection(Code::FrameUnexpected));
                }
                if length == 0 {
                    self.spend_on_idle(0)?;
                }
                Ok(Within::Data(length))
            }
            kind::CANCEL_PUSH
            | kind::SETTINGS
            | kind::PUSH_PROMISE
            | kind::GOAWAY
            | kind::MAX_PUSH_ID
            | kind::PRIORITY_UPDATE_REQUEST
            | kind::PRIORITY_UPDATE_PUSH => Err(Fault::Connection(Code::FrameUnexpected)),
            kind if kind::is_from_http2(kind) => Err(Fault::Connection(Code::FrameUnexpected)),
            _ => {
                self.spend_on_idle(length)?;
                Ok(Within::Skipped(length))
            }
        }
    }

    /// A frame that carries nothing for us is paid from a budget of the stream.
    fn spend_on_idle(&mut self, length: u64) -> Result<(), Fault> {
        self.idle_frames += 1;
        self.skipped_bytes = self.skipped_bytes.saturating_add(length);
        if self.idle_frames > MAX_IDLE_FRAMES_PER_STREAM || self.skipped_bytes > MAX_SKIPPED_BYTES_PER_STREAM
        {
            return Err(Fault::Stream(Code::ExcessiveLoad));
        }
        Ok(())
    }

    fn section<'a>(&mut self, left: u64, input: &mut &'a [u8]) -> Option<Event<'a>> {
        let piece = take(input, left);
        let left = left - piece.len() as u64;
        let whole = left == 0 && self.gathered.is_empty();
        if !whole {
            self.gathered.append(piece);
        }
        self.within = if left == 0 { Within::Header } else { Within::Section(left) };
        if left > 0 {
            return None;
        }
        let section = match whole {
            true => Section::Whole(piece),
            false => Section::Gathered(std::mem::take(&mut self.gathered)),
        };
        Some(match self.phase {
            Phase::Closing => Event::Trailers(section),
            _ => Event::Headers(section),
        })
    }
}
