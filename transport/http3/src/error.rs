//! What went wrong, and whose it is: an answer, the stream, or the connection.
//!
//! Neither type can carry a byte of the request, so a fault may be logged as it is.

use std::fmt;

/// Error codes on the wire: RFC 9114 section 8.1 and RFC 9204 section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Code {
    /// H3_NO_ERROR: nothing failed; also what `STOP_SENDING` carries after an early answer.
    NoError = 0x100,
    /// H3_GENERAL_PROTOCOL_ERROR
    GeneralProtocolError = 0x101,
    /// H3_INTERNAL_ERROR
    InternalError = 0x102,
    /// H3_STREAM_CREATION_ERROR
    StreamCreationError = 0x103,
    /// H3_CLOSED_CRITICAL_STREAM
    ClosedCriticalStream = 0x104,
    /// H3_FRAME_UNEXPECTED
    FrameUnexpected = 0x105,
    /// H3_FRAME_ERROR
    FrameError = 0x106,
    /// H3_EXCESSIVE_LOAD
    ExcessiveLoad = 0x107,
    /// H3_ID_ERROR
    IdError = 0x108,
    /// H3_SETTINGS_ERROR
    SettingsError = 0x109,
    /// H3_MISSING_SETTINGS
    MissingSettings = 0x10a,
    /// H3_REQUEST_REJECTED: no part of the request was acted on; the caller may try again.
    RequestRejected = 0x10b,
    /// H3_REQUEST_CANCELLED
    RequestCancelled = 0x10c,
    /// H3_REQUEST_INCOMPLETE
    RequestIncomplete = 0x10d,
    /// H3_MESSAGE_ERROR: the request is malformed (RFC 9114 section 4.1.2).
    MessageError = 0x10e,
    /// H3_CONNECT_ERROR
    ConnectError = 0x10f,
    /// H3_VERSION_FALLBACK
    VersionFallback = 0x110,
    /// QPACK_DECOMPRESSION_FAILED
    QpackDecompressionFailed = 0x200,
    /// QPACK_ENCODER_STREAM_ERROR
    QpackEncoderStreamError = 0x201,
    /// QPACK_DECODER_STREAM_ERROR
    QpackDecoderStreamError = 0x202,
}

impl Code {
    /// The number QUIC carries in `CONNECTION_CLOSE`, `RESET_STREAM` and `STOP_SENDING`.
    pub const fn number(self) -> u64 {
        self as u64
    }
}

/// Why a request that could be read gets a refusal instead of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// 400 `malformed-http`: parts of the request contradict each other.
    MalformedHttp,
    /// 413 `body-too-large`
    BodyTooLarge,
    /// 431 `headers-too-large`
    HeadersTooLarge,
}

impl Refused {
    /// The status code of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::MalformedHttp => 400,
            Self::BodyTooLarge => 413,
            Self::HeadersTooLarge => 431,
        }
    }
}

/// How far a failure reaches; in every case the stream's reader is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Fault {
    /// Answer with this status, then ask the peer to stop sending (`Code::NoError`).
    Answer(Refused),
    /// Reset the request stream in both directions; the connection lives.
    Stream(Code),
    /// Close the connection.
    Connection(Code),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(refused) => write!(f, "request refused with {}", refused.status()),
            Self::Stream(code) => write!(f, "stream reset with {:#x}", code.number()),
            Self::Connection(code) => write!(f, "connection closed with {:#x}", code.number()),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_how_far_it_reaches_and_with_which_number() {
        for (fault, text) in [
            (Fault::Answer(Refused::MalformedHttp), "request refused with 400"),
            (Fault::Answer(Refused::BodyTooLarge), "request refused with 413"),
            (Fault::Answer(Refused::HeadersTooLarge), "request refused with 431"),
            (Fault::Stream(Code::MessageError), "stream reset with 0x10e"),
            (Fault::Connection(Code::QpackDecompressionFailed), "connection closed with 0x200"),
        ] {
            assert_eq!(fault.to_string(), text);
        }
    }
}
