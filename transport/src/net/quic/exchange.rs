//! A request stream of HTTP/3 as an [`Exchange`]: read as far as needed, within its deadline.

use std::net::IpAddr;

use authepy_engine::perimeter::KeyRecord;
use authepy_http3::error::{Code, Fault};
use authepy_http3::head::{Head, Method};
use authepy_http3::message::{Request, RequestReader};
use quinn::{ReadError, RecvStream};
use tokio::time::Instant;

use crate::limits;
use crate::net::quic::{Session, number};
use crate::overload::patience::by;
use crate::serve::Exchange;

/// One request stream being read.
pub(crate) struct Http3Exchange<'a> {
    recv: RecvStream,
    reading: Reading,
    session: &'a Session,
    /// Until when it must have come; counts from its first wait.
    deadline: Option<Instant>,
    /// What is wrong with a body that was not asked for yet: key and origin are judged first.
    fault: Option<Fault>,
}

enum Reading {
    Partial(RequestReader),
    Whole(Request),
    /// Only while one of the above becomes the other.
    Broken,
}

impl<'a> Http3Exchange<'a> {
    pub(crate) fn new(recv: RecvStream, session: &'a Session) -> Self {
        let reading = Reading::Partial(RequestReader::default());
        Self { recv, reading, session, deadline: None, fault: None }
    }

    /// Reads until the head is complete. After `Ok`, [`Exchange::head`] has it.
    pub(crate) async fn read_head(&mut self) -> Result<(), Fault> {
        while self.head().is_none() {
            if let Err(fault) = self.read_some().await {
                self.fault = Some(fault);
                let judged_later = self.head().is_some() && matches!(fault, Fault::Answer(_));
                return if judged_later { Ok(()) } else { Err(fault) };
            }
        }
        Ok(())
    }

    /// Whether the answer has a body: one to HEAD has none (RFC 9110, 9.3.2). Of a head too large to be read at all
    /// nobody knows its method.
    pub(crate) fn wants_body(&self) -> bool {
        let method = match &self.reading {
            Reading::Partial(reader) => reader.method(),
            Reading::Whole(request) => Some(request.head.method()),
            Reading::Broken => None,
        };
        method != Some(Method::Head)
    }

    /// Tells the peer that the rest of its request is not wanted, if there is a rest.
    pub(crate) fn stop(&mut self, code: Code) {
        if !matches!(self.reading, Reading::Whole(_)) {
            // An error means that the stream has ended by itself.
            let _ended = self.recv.stop(number(code));
        }
    }

    async fn read_some(&mut self) -> Result<(), Fault> {
        let read = self.recv.read_chunk(limits::READ_CHUNK_BYTES, true);
        let span = self.session.admission.deadline();
        let read = by(|| *self.deadline.get_or_insert_with(|| Instant::now() + span), read).await;
        let Reading::Partial(reader) = &mut self.reading else { return Ok(()) };
        match read {
            Ok(Ok(Some(chunk))) => {
                self.session.context.with_scratch(|scratch| reader.push(&chunk.bytes, scratch))
            }
            Ok(Ok(None)) => {
                if let Reading::Partial(reader) = std::mem::replace(&mut self.reading, Reading::Broken) {
                    self.reading = Reading::Whole(reader.fin()?);
                }
                Ok(())
            }
            Ok(Err(ReadError::Reset(_))) => Err(Fault::Stream(Code::RequestCancelled)),
            Ok(Err(_)) => Err(Fault::Stream(Code::RequestIncomplete)),
            Err(_too_slow) => Err(Fault::Stream(Code::RequestIncomplete)),
        }
    }
}

impl Exchange for Http3Exchange<'_> {
    fn head(&self) -> Option<&Head> {
        match &self.reading {
            Reading::Partial(reader) => reader.head(),
            Reading::Whole(request) => Some(&request.head),
            Reading::Broken => None,
        }
    }

    fn peer(&self) -> IpAddr {
        self.session.peer
    }

    fn admitted(&self, key: &KeyRecord) {
        self.session.admitted(key);
    }

    async fn body(&mut self) -> Result<&[u8], Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        while let Reading::Partial(_) = self.reading {
            self.read_some().await?;
        }
        match &self.reading {
            Reading::Whole(request) => Ok(request.body.as_slice()),
            _ => Err(Fault::Stream(Code::RequestIncomplete)),
        }
    }
}
