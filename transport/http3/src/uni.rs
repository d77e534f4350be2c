//! The peer's unidirectional streams (RFC 9114 section 6.2, RFC 9204 section 4.2).
//!
//! ```text
//!                     ┌─ 0x00 ─▶ control          one each, and they must stay open
//!   type (varint) ────┼─ 0x02 ─▶ QPACK encoder ─┐
//!                     ├─ 0x03 ─▶ QPACK decoder ─┘
//!                     ├─ 0x01 ─▶ push: only a server may
//!                     └─ else ─▶ Verdict::Refuse, and the connection lives
//! ```
//!
//! With a table capacity of 0 on our side and no insertion on theirs, one instruction is left
//! on each QPACK stream: "set the capacity to 0" and "that stream was cancelled".

use super::control::ControlReader;
use super::error::{Code, Fault};
use super::limits::{HOUSEKEEPING_BUDGET_FRAMES, HOUSEKEEPING_PER_REQUEST_FRAMES, MAX_REFUSED_STREAMS};
use super::varint;

/// Stream types (RFC 9114 section 11.2.4, RFC 9204 section 8.2).
pub(super) mod stream_type {
    pub(crate) const CONTROL: u64 = 0x0;
    pub(crate) const PUSH: u64 = 0x1;
    pub(crate) const QPACK_ENCODER: u64 = 0x2;
    pub(crate) const QPACK_DECODER: u64 = 0x3;
}

/// What to do with a stream after a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on reading.
    Continue,
    /// Send `STOP_SENDING` with `Code::StreamCreationError` and forget the stream.
    Refuse,
}

/// The budget for frames and instructions that serve no request.
#[derive(Debug)]
pub(super) struct Housekeeping {
    left: u32,
}

impl Housekeeping {
    pub(super) fn spend(&mut self) -> Result<(), Fault> {
        self.left = self.left.checked_sub(1).ok_or(Fault::Connection(Code::ExcessiveLoad))?;
        Ok(())
    }
}

/// What one connection's unidirectional streams have in common.
#[derive(Debug)]
pub struct PeerStreams {
    has_control: bool,
    has_encoder: bool,
    has_decoder: bool,
    refused_streams: u32,
    housekeeping: Housekeeping,
}

impl Default for PeerStreams {
    fn default() -> Self {
        Self {
            has_control: false,
            has_encoder: false,
            has_decoder: false,
            refused_streams: 0,
            housekeeping: Housekeeping { left: HOUSEKEEPING_BUDGET_FRAMES },
        }
    }
}

impl PeerStreams {
    /// A request was read whole; it earns the connection some more control frames.
    pub fn request_completed(&mut self) {
        let earned = self.housekeeping.left + HOUSEKEEPING_PER_REQUEST_FRAMES;
        self.housekeeping.left = earned.min(HOUSEKEEPING_BUDGET_FRAMES);
    }

    fn open(&mut self, stream_type: u64) -> Result<Role, Fault> {
        let (seen, role) = match stream_type {
            stream_type::CONTROL => (&mut self.has_control, Role::Control(ControlReader::default())),
            stream_type::QPACK_ENCODER => (&mut self.has_encoder, Role::QpackEncoder),
            stream_type::QPACK_DECODER => (&mut self.has_decoder, Role::QpackDecoder { more_bytes: None }),
            stream_type::PUSH => return Err(Fault::Connection(Code::StreamCreationError)),
            _ => return self.refuse().map(|()| Role::Refused),
        };
        if std::mem::replace(seen, true) {
            return Err(Fault::Connection(Code::StreamCreationError));
        }
        Ok(role)
    }

    fn refuse(&mut self) -> Result<(), Fault> {
        self.refused_streams += 1;
        match self.refused_streams > MAX_REFUSED_STREAMS {
            true => Err(Fault::Connection(Code::ExcessiveLoad)),
            false => Ok(()),
        }
    }
}

#[derive(Debug)]
enum Role {
    Untyped(varint::Reader),
    Control(ControlReader),
    QpackEncoder,
    /// In the middle of a stream cancellation, how many more bytes its integer may have.
    QpackDecoder {
        more_bytes: Option<u8>,
    },
    Refused,
}

/// Reads one unidirectional stream of the peer.
#[derive(Debug)]
pub struct UniReader(Role);

impl Default for UniReader {
    fn default() -> Self {
        Self(Role::Untyped(varint::Reader::default()))
    }
}

impl UniReader {
    /// Takes the next bytes of the stream, cut anywhere. A fault is the connection's.
    pub fn push(&mut self, chunk: &[u8], peer: &mut PeerStreams) -> Result<Verdict, Fault> {
        let mut input = chunk;
        if let Role::Untyped(reader) = &mut self.0 {
            let Some(stream_type) = reader.read(&mut input) else {
                return Ok(Verdict::Continue);
            };
            self.0 = peer.open(stream_type)?;
        }
        match &mut self.0 {
            Role::Untyped(_) => {}
            Role::Control(control) => control.push(input, &mut peer.housekeeping)?,
            Role::QpackEncoder => encoder_instructions(input, &mut peer.housekeeping)?,
            Role::QpackDecoder { more_bytes } => {
                decoder_instructions(input, more_bytes, &mut peer.housekeeping)?;
            }
            Role::Refused => return Ok(Verdict::Refuse),
        }
        Ok(Verdict::Continue)
    }

    /// The peer has finished or reset the stream.
    ///
    /// Before its type is known it may (RFC 9114 section 6.2), at the price of a refused stream.
    pub fn closed(self, peer: &mut PeerStreams) -> Result<(), Fault> {
        match self.0 {
            Role::Untyped(_) => peer.refuse(),
            Role::Refused => Ok(()),
            Role::Control(_) | Role::QpackEncoder | Role::QpackDecoder { .. } => {
                Err(Fault::Connection(Code::ClosedCriticalStream))
            }
        }
    }

    /// How many bytes of memory the reader holds beside itself.
    pub fn held_bytes(&self) -> usize {
        match &self.0 {
            Role::Control(control) => control.held_bytes(),
            _ => 0,
        }
    }
}

/// RFC 9204 section 4.3. The capacity has a prefix of five bits, so 0 is always this one byte;
/// a larger capacity, an insertion or a duplicate is never right.
fn encoder_instructions(input: &[u8], budget: &mut Housekeeping) -> Result<(), Fault> {
    const SET_CAPACITY_TO_0: u8 = 0b0010_0000;
    for byte in input {
        if *byte != SET_CAPACITY_TO_0 {
            return Err(Fault::Connection(Code::QpackEncoderStreamError));
        }
        budget.spend()?;
    }
    Ok(())
}

/// RFC 9204 section 4.4. Acknowledging a section or counting insertions needs a table. The id of a
/// cancelled stream is of no use to us; only its length is bounded (62 bits).
fn decoder_instructions(
    input: &[u8],
    more_bytes: &mut Option<u8>,
    budget: &mut Housekeeping,
) -> Result<(), Fault> {
    const CANCELLATION: u8 = 0b01;
    const ID_PREFIX: u8 = 0b0011_1111;
    const MAX_MORE_BYTES: u8 = 9;
    const WRONG: Fault = Fault::Connection(Code::QpackDecoderStreamError);
    for byte in input {
        *more_bytes = match *more_bytes {
            None if byte >> 6 != CANCELLATION => return Err(WRONG),
            None => {
                budget.spend()?;
                (byte & ID_PREFIX == ID_PREFIX).then_some(MAX_MORE_BYTES)
            }
            Some(_) if byte & 0x80 == 0 => None,
            Some(left) => Some(left.checked_sub(1).filter(|left| *left > 0).ok_or(WRONG)?),
        };
    }
    Ok(())
}
