//! Builds a head as it is read, or says why there is none.
//!
//! ```text
//!   pseudo* ──▶ field* ──▶ finish ──▶ Head
//!      └──────────┴───────────┴─────▶ HeadFault
//! ```

use std::fmt;

use super::super::limits::MAX_FIELDS;
use super::super::syntax;
use super::super::wiped::Wiped;
use super::{Field, Head, Known, Method, Slot, Span};

/// Capacity for the kept part of a usual head: path, authority, a key, an origin, some short
/// fields.
const USUAL_HEAD_BYTES: usize = 256;

/// Why there is no [`Head`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFault {
    /// Not a request by the rules: HTTP/3 and HTTP/2 reset the stream, HTTP/1.1 answers 400.
    Malformed,
    /// Well formed, but it contradicts itself or asks for a tunnel: 400 `malformed-http`.
    Refused,
    /// More than we read: 431.
    TooLarge,
}

/// Whether fields that describe a connection may stand in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// HTTP/1.1: one request at a time, so `connection` and its kin mean something.
    Serial,
    /// HTTP/2 and HTTP/3: they are malformed (RFC 9114 section 4.2).
    Multiplexed,
}

/// Builds a head as it is read.
pub struct HeadBuilder {
    wire: Wire,
    head: Head,
    method: Option<Method>,
    is_connect: bool,
    has_scheme: bool,
    has_path: bool,
    has_authority: bool,
    fields: usize,
}

impl HeadBuilder {
    /// Nothing read yet.
    pub fn new(wire: Wire) -> Self {
        let head = Head {
            arena: Wiped::with_capacity(USUAL_HEAD_BYTES),
            method: Method::Other,
            path: Span::default(),
            query: None,
            authority: Span::default(),
            content_length: None,
            fields: [Slot::Absent; Known::ALL.len()],
        };
        Self {
            wire,
            head,
            method: None,
            is_connect: false,
            has_scheme: false,
            has_path: false,
            has_authority: false,
            fields: 0,
        }
    }

    /// A pseudo-field, by its name with the colon.
    pub fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadFault> {
        if self.fields > 0 || !syntax::is_field_value(value) {
            return Err(HeadFault::Malformed);
        }
        match name {
            b":method" => self.take_method(value),
            b":scheme" => {
                let is_http = value.eq_ignore_ascii_case(b"https") || value.eq_ignore_ascii_case(b"http");
                once(&mut self.has_scheme, is_http)
            }
            b":path" => self.take_path(value),
            b":authority" => {
                once(&mut self.has_authority, syntax::is_authority(value))?;
                self.head.authority = self.head.keep(value)?;
                Ok(())
            }
            // `:status`, `:protocol` (we never offered extended CONNECT), inventions.
            _ => Err(HeadFault::Malformed),
        }
    }

    /// A field; its name must be in lower case.
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadFault> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(HeadFault::TooLarge);
        }
        check_field(self.wire, name, value)?;
        match Known::named(name) {
            Some(Known::ContentLength) => self.take_content_length(value),
            Some(known) => self.take_known(known, value),
            None => Ok(()),
        }
    }

    /// The method, once it was read.
    pub fn method(&self) -> Option<Method> {
        self.method
    }

    /// All fields were read: do they make a request?
    pub fn finish(mut self) -> Result<Head, HeadFault> {
        let method = self.method.ok_or(HeadFault::Malformed)?;
        if self.is_connect {
            return Err(HeadFault::Refused); // RFC 9114 section 4.4: it has no path; no tunnels here
        }
        if !self.has_scheme || !self.has_path {
            return Err(HeadFault::Malformed);
        }
        if self.head.path() == "*" && method != Method::Options {
            return Err(HeadFault::Malformed);
        }
        self.head.method = method;
        self.settle_authority()?;
        match self.head.get(Known::Authorization) {
            Field::Many => Err(HeadFault::Refused), // which key would it be?
            _ => Ok(self.head),
        }
    }

    fn take_method(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        if self.method.is_some() || !syntax::is_method(value) {
            return Err(HeadFault::Malformed);
        }
        self.is_connect = value == b"CONNECT";
        self.method = Some(match value {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"DELETE" => Method::Delete,
            b"OPTIONS" => Method::Options,
            _ => Method::Other,
        });
        Ok(())
    }

    fn take_path(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        once(&mut self.has_path, value == b"*" || syntax::is_path_and_query(value))?;
        match value.iter().position(|byte| *byte == b'?') {
            Some(at) => {
                self.head.path = self.head.keep(&value[..at])?;
                self.head.query = Some(self.head.keep(&value[at + 1..])?);
            }
            None => self.head.path = self.head.keep(value)?,
        }
        Ok(())
    }

    fn take_known(&mut self, known: Known, value: &[u8]) -> Result<(), HeadFault> {
        self.head.fields[known as usize] = match self.head.fields[known as usize] {
            Slot::Absent => Slot::One(self.head.keep(value)?),
            Slot::One(list) if known.is_list() => Slot::One(self.head.join(list, value)?),
            Slot::One(_) | Slot::Many => Slot::Many,
        };
        Ok(())
    }

    /// Said twice alike, it is said once (RFC 9110 section 8.6).
    fn take_content_length(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        let length = decimal(value).ok_or(HeadFault::Malformed)?;
        match self.head.content_length {
            Some(before) if before != length => Err(HeadFault::Malformed),
            Some(_) => Ok(()),
            None => {
                self.head.content_length = Some(length);
                self.take_known(Known::ContentLength, value)
            }
        }
    }

    /// RFC 9114 section 4.3.1: one of `:authority` and `host`, and not two different ones.
    fn settle_authority(&mut self) -> Result<(), HeadFault> {
        match self.head.fields[Known::Host as usize] {
            Slot::Many => Err(HeadFault::Refused),
            Slot::Absent if self.has_authority => Ok(()),
            Slot::Absent => Err(HeadFault::Malformed),
            Slot::One(host) => {
                let host_bytes = self.head.bytes(host);
                let authority = self.head.bytes(self.head.authority);
                if !syntax::is_authority(host_bytes) {
                    return Err(HeadFault::Malformed);
                }
                if self.has_authority && !host_bytes.eq_ignore_ascii_case(authority) {
                    return Err(HeadFault::Refused);
                }
                self.head.authority = host;
                Ok(())
            }
        }
    }
}

/// Counts only: what was read so far may be a key.
impl fmt::Debug for HeadBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadBuilder").field("fields", &self.fields).finish_non_exhaustive()
    }
}

/// The form of any field, also of one in a trailer section.
pub fn check_field(wire: Wire, name: &[u8], value: &[u8]) -> Result<(), HeadFault> {
    let well_formed = syntax::is_field_name(name) && syntax::is_field_value(value);
    let misplaced = wire == Wire::Multiplexed
        && match name {
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => true,
            b"te" => !value.eq_ignore_ascii_case(b"trailers"),
            _ => false,
        };
    if well_formed && !misplaced { Ok(()) } else { Err(HeadFault::Malformed) }
}

/// A pseudo-field may be said once, and rightly.
fn once(said: &mut bool, rightly: bool) -> Result<(), HeadFault> {
    if std::mem::replace(said, true) || !rightly { Err(HeadFault::Malformed) } else { Ok(()) }
}

/// Digits only: `u64::from_str` would take a sign.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "../tests/head.rs"]
mod tests;
