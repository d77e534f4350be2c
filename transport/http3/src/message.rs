//! One request stream, from its bytes to a [`Request`] (RFC 9114 section 4.1).
//!
//! ```text
//!   push ─▶ … head() is None … ─▶ head() is Some ─▶ body grows ─▶ fin ─▶ Request
//!     │                                 │ take_head ─▶ Head            └▶ fin_body ─▶ body
//!     └───────────────────────────────┴─────────────────┴──────────┴──▶ Fault (and no more)
//! ```
//!
//! The head is there to be judged before the body is read: a caller without a key costs no more
//! than its headers. A `Request` exists only once the stream has ended in the right place, with
//! as many bytes as it announced.

use std::fmt;

use super::error::{Code, Fault, Refused};
use super::frame::{Event, FrameReader};
use super::head::{Head, HeadBuilder, HeadFault, Method, Wire, check_field};
use super::limits::MAX_BODY_BYTES;
use super::qpack;
use super::wiped::Wiped;

const MALFORMED: Fault = Fault::Stream(Code::MessageError);

impl From<HeadFault> for Fault {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::Malformed => MALFORMED,
            HeadFault::Refused => Self::Answer(Refused::MalformedHttp),
            HeadFault::TooLarge => Self::Answer(Refused::HeadersTooLarge),
        }
    }
}

/// A complete and valid request; its bytes are wiped on drop.
pub struct Request {
    /// Method, target, and the fields the service reads.
    pub head: Head,
    /// At most [`MAX_BODY_BYTES`].
    pub body: Wiped,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("head", &self.head).field("body", &self.body).finish()
    }
}

/// Reads one request stream.
#[derive(Debug, Default)]
pub struct RequestReader {
    frames: FrameReader,
    head: Option<Head>,
    /// What the head says of the body's length; `None` until the head is complete.
    announced: Option<Option<u64>>,
    body: Wiped,
    /// The lengths of all DATA frames so far, whether or not their bytes have come.
    declared_bytes: u64,
    /// The method, also of a head that was refused for something else.
    method: Option<Method>,
    fault: Option<Fault>,
}

impl RequestReader {
    /// Takes the next bytes of the stream, cut anywhere.
    ///
    /// `scratch` is a buffer the caller keeps, one for as many readers as it likes; it is empty
    /// and clean after each call. A fault is final: it is returned again for every further call.
    pub fn push(&mut self, chunk: &[u8], scratch: &mut Wiped) -> Result<(), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.read(chunk, scratch).inspect_err(|fault| {
            self.fault = Some(*fault);
            self.body.clear();
        })
    }

    /// The head, as soon as it is complete; also after a fault that came later than it.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Takes the head out, as soon as it is complete; the reader goes on to read the body.
    pub fn take_head(&mut self) -> Option<Head> {
        self.head.take()
    }

    /// The method, also of a head that was refused, if it was read so far.
    pub fn method(&self) -> Option<Method> {
        self.method
    }

    /// The peer has finished the stream, and the head was not taken.
    pub fn fin(mut self) -> Result<Request, Fault> {
        let head = self.head.take();
        let body = self.fin_body()?;
        Ok(Request { head: head.ok_or(Fault::Stream(Code::RequestIncomplete))?, body })
    }

    /// The peer has finished the stream. The body, if the head was complete before.
    pub fn fin_body(self) -> Result<Wiped, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.frames.fin()?;
        match self.announced {
            None => Err(Fault::Stream(Code::RequestIncomplete)),
            Some(Some(announced)) if announced != self.declared_bytes => Err(MALFORMED),
            Some(_) => Ok(self.body),
        }
    }

    /// How many bytes of memory the reader holds beside itself and the head.
    pub fn held_bytes(&self) -> usize {
        self.frames.held_bytes() + self.body.capacity()
    }

    fn read(&mut self, mut input: &[u8], scratch: &mut Wiped) -> Result<(), Fault> {
        while let Some(event) = self.frames.next(&mut input)? {
            match event {
                Event::Headers(section) => {
                    let head = self.head.insert(read_head(section.as_slice(), scratch, &mut self.method)?);
                    self.announced = Some(head.content_length());
                    if head.content_length().is_some_and(|bytes| bytes > MAX_BODY_BYTES as u64) {
                        return Err(Fault::Answer(Refused::BodyTooLarge));
                    }
                }
                Event::DataDeclared(bytes) => self.declare(bytes)?,
                Event::Data(slice) => self.body.append(slice),
                Event::Trailers(section) => check_trailers(section.as_slice(), scratch)?,
            }
        }
        Ok(())
    }

    /// Holds the bounds of the body against what a frame says it will bring.
    fn declare(&mut self, bytes: u64) -> Result<(), Fault> {
        self.declared_bytes = self.declared_bytes.saturating_add(bytes);
        if self.announced.flatten().is_some_and(|announced| self.declared_bytes > announced) {
            return Err(MALFORMED);
        }
        if self.declared_bytes > MAX_BODY_BYTES as u64 {
            return Err(Fault::Answer(Refused::BodyTooLarge));
        }
        Ok(())
    }
}

fn read_head(section: &[u8], scratch: &mut Wiped, method: &mut Option<Method>) -> Result<Head, Fault> {
    let mut builder = HeadBuilder::new(Wire::Multiplexed);
    let read = qpack::decode(section, scratch, |name, value| {
        let taken = match name.first() {
            Some(b':') => builder.pseudo(name, value),
            _ => builder.field(name, value),
        };
        Ok(taken?)
    });
    *method = builder.method();
    read?;
    Ok(builder.finish()?)
}

/// A trailer has the form of a field and no meaning here. A pseudo-field is no field name.
fn check_trailers(section: &[u8], scratch: &mut Wiped) -> Result<(), Fault> {
    qpack::decode(section, scratch, |name, value| Ok(check_field(Wire::Multiplexed, name, value)?))
}
