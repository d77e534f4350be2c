//! The body of a request over TCP: read, or received and discarded.
//!
//! ```text
//!   head ─┬─ admitted ─▶ read ──▶ complete ─▶ answer
//!         └─ refused ──▶ answer ─▶ discard, if it is small: to its end, within its deadline
//! ```
//!
//! If nobody reads the body of an HTTP/2 request, hyper ends the stream with RST_STREAM after the
//! answer. That is allowed (RFC 9113, 8.1), but several clients, curl among them, then drop the
//! answer that they have received and report a broken stream. So what a client may have sent before
//! the answer could reach it is received and discarded.

use authepy_engine::stack::LeavingNothing;
use authepy_http3::error::{Code, Fault, Refused};
use authepy_http3::limits::MAX_BODY_BYTES;
use authepy_http3::wiped::Wiped;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::request::Parts;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};

use crate::limits::DISCARDED_BODY_BYTES;

/// A body that is arriving.
pub(super) struct Upload {
    incoming: Option<Incoming>,
    body: Wiped,
    /// When it must have arrived completely.
    deadline: Instant,
    /// Whether the rest is to be received and discarded after an early answer.
    is_discardable: bool,
}

impl Upload {
    pub(super) fn new(parts: &Parts, incoming: Incoming, deadline: Instant) -> Self {
        let announced =
            parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let is_small = announced.unwrap_or(0) <= DISCARDED_BODY_BYTES as u64;
        // A client that sent `expect: 100-continue` has sent no body yet, and reading it would send
        // the 100.
        let is_discardable = is_small && !parts.headers.contains_key(EXPECT) && !incoming.is_end_stream();
        Self { incoming: Some(incoming), body: Wiped::new(), deadline, is_discardable }
    }

    /// Reads the body to its end. Callable again; it returns the same body.
    pub(super) async fn read(&mut self) -> Result<&[u8], Fault> {
        while let Some(incoming) = &mut self.incoming {
            match next(incoming, self.deadline).await {
                Some(Ok(Some(data))) => {
                    if self.body.len() + data.len() > MAX_BODY_BYTES {
                        return Err(Fault::Answer(Refused::BodyTooLarge));
                    }
                    self.body.append(&data);
                }
                Some(Ok(None)) => {}
                None => self.incoming = None,
                Some(Err(Broken)) => return Err(Fault::Stream(Code::RequestIncomplete)),
            }
        }
        Ok(self.body.as_slice())
    }

    /// Lets the client send the rest of a small body, and keeps nothing of it. Costs no more than
    /// reading the body would: the same time and memory, and one of the connection's streams.
    pub(super) fn discard(self) {
        if !self.is_discardable {
            return;
        }
        let Some(mut incoming) = self.incoming else { return };
        let mut left = DISCARDED_BODY_BYTES;
        tokio::task::spawn_local(LeavingNothing(Box::pin(async move {
            while let Some(Ok(data)) = next(&mut incoming, self.deadline).await {
                let Some(rest) = left.checked_sub(data.map_or(0, |data| data.len())) else { return };
                left = rest;
            }
        })));
    }
}

/// The body ended early, or did not arrive in time.
struct Broken;

/// The next frame: data, a frame without any, or the end.
async fn next(incoming: &mut Incoming, deadline: Instant) -> Option<Result<Option<Bytes>, Broken>> {
    match timeout_at(deadline, incoming.frame()).await {
        Ok(Some(Ok(frame))) => Some(Ok(frame.into_data().ok())),
        Ok(None) => None,
        Ok(Some(Err(_))) | Err(_) => Some(Err(Broken)),
    }
}
