//! A request stream of HTTP/3 as an [`Exchange`]: read as far as needed, within its deadline.

use std::net::IpAddr;

use authepy_engine::perimeter::KeyRecord;
use authepy_http3::error::{Code, Fault};
use authepy_http3::head::{Head, Method};
use authepy_http3::message::RequestReader;
use authepy_http3::wiped::Wiped;
use quinn::{ReadError, RecvStream};
use tokio::time::Instant;

use crate::limits;
use crate::net::quic::{Session, number};
use crate::overload::patience::by;
use crate::serve::Exchange;

/// One request stream being read.
pub(super) struct RequestStream<'a> {
    recv: RecvStream,
    /// `None` once the stream has ended.
    reader: Option<RequestReader>,
    /// `None` until the stream has ended in the right place.
    body: Option<Wiped>,
    session: &'a Session,
    /// Until when the request must have arrived; set at its first wait.
    deadline: Option<Instant>,
    /// A fault of the body that came before anybody asked for it: key and origin are judged first.
    fault: Option<Fault>,
    method: Option<Method>,
}

impl<'a> RequestStream<'a> {
    pub(super) fn new(recv: RecvStream, session: &'a Session) -> Self {
        let reader = Some(RequestReader::default());
        Self { recv, reader, body: None, session, deadline: None, fault: None, method: None }
    }

    /// Reads until the head is complete.
    pub(super) async fn read_head(&mut self) -> Result<Head, Fault> {
        loop {
            let read = self.read_some().await;
            let head = self.take_head();
            match (read, head) {
                (Ok(()), None) => {}
                (Ok(()), Some(head)) => return Ok(head),
                (Err(fault), Some(head)) if matches!(fault, Fault::Answer(_)) => {
                    self.fault = Some(fault);
                    return Ok(head);
                }
                (Err(fault), _) => return Err(fault),
            }
        }
    }

    /// Whether the answer has a body: the answer to HEAD has none (RFC 9110, 9.3.2). The method of a head that was too
    /// large to read is not known.
    pub(super) fn wants_body(&self) -> bool {
        self.method != Some(Method::Head)
    }

    /// Tells the peer that the rest of its request is not wanted, if there is a rest.
    pub(super) fn stop(&mut self, code: Code) {
        if self.body.is_none() {
            // An error means that the stream has ended by itself.
            let _ended = self.recv.stop(number(code));
        }
    }

    fn take_head(&mut self) -> Option<Head> {
        let reader = self.reader.as_mut()?;
        self.method = reader.method();
        reader.take_head()
    }

    async fn body(&mut self) -> Result<&[u8], Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        while self.reader.is_some() {
            self.read_some().await?;
        }
        self.body.as_ref().map(Wiped::as_slice).ok_or(Fault::Stream(Code::RequestIncomplete))
    }

    async fn read_some(&mut self) -> Result<(), Fault> {
        let read = self.recv.read_chunk(limits::READ_CHUNK_BYTES, true);
        let span = self.session.admission.deadline();
        let read = by(|| *self.deadline.get_or_insert_with(|| Instant::now() + span), read).await;
        let Some(reader) = &mut self.reader else { return Ok(()) };
        match read {
            Ok(Ok(Some(chunk))) => {
                self.session.context.with_scratch(|scratch| reader.push(&chunk.bytes, scratch))
            }
            Ok(Ok(None)) => {
                self.body = self.reader.take().map(RequestReader::fin_body).transpose()?;
                Ok(())
            }
            Ok(Err(ReadError::Reset(_))) => Err(Fault::Stream(Code::RequestCancelled)),
            Ok(Err(_)) => Err(Fault::Stream(Code::RequestIncomplete)),
            Err(_too_slow) => Err(Fault::Stream(Code::RequestIncomplete)),
        }
    }
}

/// A request whose head was read, and the stream that still brings its body.
pub(super) struct Http3Exchange<'a, 'b> {
    pub(super) head: Head,
    pub(super) stream: &'b mut RequestStream<'a>,
}

impl Exchange for Http3Exchange<'_, '_> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn peer(&self) -> IpAddr {
        self.stream.session.peer
    }

    fn admitted(&self, key: &KeyRecord) {
        self.stream.session.admitted(key);
    }

    async fn body(&mut self) -> Result<&[u8], Fault> {
        self.stream.body().await
    }
}
