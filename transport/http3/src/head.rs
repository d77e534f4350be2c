//! A valid request head, and only the parts that the service reads.
//!
//! The same for every HTTP version: the caller passes pseudo-fields and fields in the order they
//! came (HTTP/1.1 makes the pseudo-fields from its request line), and gets a [`Head`] or the reason
//! why there is none. RFC 9114 sections 4.1.2, 4.2, 4.3; RFC 9110 sections 4.2, 5.5, 7.2, 8.6.
//!
//! Everything else (cookies, `expect`, `user-agent`) is checked for form and dropped, so it can be
//! neither logged nor held.

use std::fmt;

use super::limits::MAX_FIELD_SECTION_BYTES;
use super::wiped::Wiped;

mod builder;
pub use builder::{HeadBuilder, HeadFault, Wire, check_field};

/// The methods the service tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// Any other token; the answer is 405.
    Other,
}

macro_rules! known_fields {
    ($($variant:ident = $name:literal,)*) => {
        /// The fields the service reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Known {
            $(#[doc = concat!("`", stringify!($name), "`")] $variant,)*
        }

        impl Known {
            /// All of them.
            pub const ALL: [Self; [$(stringify!($variant)),*].len()] = [$(Self::$variant),*];

            /// The field with this name, which is in lower case.
            pub fn named(name: &[u8]) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

impl Known {
    /// Whether several lines of the field form one list (RFC 9110 section 5.3). True for these two,
    /// because each proxy may add a line of its own. Several lines of any other field contradict
    /// each other.
    pub const fn is_list(self) -> bool {
        matches!(self, Self::Forwarded | Self::XForwardedFor)
    }
}

known_fields! {
    AccessControlRequestHeaders = b"access-control-request-headers",
    AccessControlRequestMethod = b"access-control-request-method",
    AccessControlRequestPrivateNetwork = b"access-control-request-private-network",
    Authorization = b"authorization",
    ContentEncoding = b"content-encoding",
    ContentLength = b"content-length",
    ContentType = b"content-type",
    EarlyData = b"early-data",
    Forwarded = b"forwarded",
    Host = b"host",
    IdempotencyKey = b"idempotency-key",
    Origin = b"origin",
    SecFetchDest = b"sec-fetch-dest",
    SecFetchMode = b"sec-fetch-mode",
    SecFetchSite = b"sec-fetch-site",
    XForwardedFor = b"x-forwarded-for",
}

/// What a request says of one field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// Nothing.
    Absent,
    /// This; the lines of a list (see [`Known::is_list`]) joined by `, `.
    One(&'a [u8]),
    /// Several lines; their values are not kept, so that nothing can choose among them.
    Many,
}

/// A part of the arena; `u16` is enough for [`MAX_FIELD_SECTION_BYTES`].
#[derive(Clone, Copy, Default)]
struct Span {
    start: u16,
    end: u16,
}

#[derive(Clone, Copy)]
enum Slot {
    Absent,
    One(Span),
    Many,
}

/// A valid request head; its bytes are wiped on drop.
pub struct Head {
    arena: Wiped,
    method: Method,
    path: Span,
    query: Option<Span>,
    authority: Span,
    content_length: Option<u64>,
    fields: [Slot; Known::ALL.len()],
}

impl Head {
    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The path as sent, without the query: `/…`, or `*` for OPTIONS. ASCII, nothing decoded.
    pub fn path(&self) -> &str {
        self.text(self.path)
    }

    /// What follows the first `?` of the target.
    pub fn query(&self) -> Option<&str> {
        self.query.map(|span| self.text(span))
    }

    /// Host and perhaps port, from `:authority` or `host`; ASCII, in the caller's spelling.
    pub fn authority(&self) -> &str {
        self.text(self.authority)
    }

    /// How long the body says it is, in bytes.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The value of a field the service reads.
    pub fn get(&self, known: Known) -> Field<'_> {
        match self.fields[known as usize] {
            Slot::Absent => Field::Absent,
            Slot::One(span) => Field::One(self.bytes(span)),
            Slot::Many => Field::Many,
        }
    }

    fn bytes(&self, span: Span) -> &[u8] {
        &self.arena.as_slice()[usize::from(span.start)..usize::from(span.end)]
    }

    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.bytes(span)).unwrap_or_default() // ASCII, as checked on the way in
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<Span, HeadFault> {
        let kept = self.room_for(bytes.len())?;
        self.arena.append(bytes);
        Ok(kept)
    }

    /// The list at `list` with one more line. A list that is not at the end of the arena is copied
    /// there, so alternating lines of two lists cost more and more space, until the head is too
    /// large.
    fn join(&mut self, mut list: Span, line: &[u8]) -> Result<Span, HeadFault> {
        if usize::from(list.end) != self.arena.len() {
            let part = usize::from(list.start)..usize::from(list.end);
            list = self.room_for(part.len())?;
            self.arena.append_own(part);
        }
        self.keep(b", ")?;
        let line = self.keep(line)?;
        Ok(Span { start: list.start, end: line.end })
    }

    /// The span that the next `bytes` bytes will occupy.
    fn room_for(&self, bytes: usize) -> Result<Span, HeadFault> {
        let (start, end) = (self.arena.len(), self.arena.len() + bytes);
        if end > MAX_FIELD_SECTION_BYTES {
            return Err(HeadFault::TooLarge);
        }
        Ok(Span { start: start as u16, end: end as u16 })
    }
}

/// Shapes only: method, lengths, and which fields are there.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present = |known: &Known| self.get(*known) != Field::Absent;
        let fields: Vec<Known> = Known::ALL.into_iter().filter(present).collect();
        f.debug_struct("Head")
            .field("method", &self.method)
            .field("path_bytes", &(self.path.end - self.path.start))
            .field("content_length", &self.content_length)
            .field("fields", &fields)
            .finish()
    }
}
