//! A request that hyper read as an [`Exchange`].

use std::net::IpAddr;

use authepy_engine::perimeter::KeyRecord;
use http::{Request, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::Door;
use crate::http3::error::{Code, Fault, Refused};
use crate::http3::head::{Head, HeadBuilder, Wire};
use crate::http3::limits::{FIELD_OVERHEAD_BYTES, MAX_BODY_BYTES, MAX_FIELD_SECTION_BYTES};
use crate::http3::wiped::Wiped;
use crate::serve::Exchange;

/// One request: its head by our rules, its body still on the wire.
pub(super) struct TcpExchange<'a> {
    head: Head,
    incoming: Option<Incoming>,
    body: Wiped,
    door: &'a Door,
    deadline: Instant,
}

impl<'a> TcpExchange<'a> {
    /// Holds hyper's head to the rules of [`HeadBuilder`].
    /// The whole request has to be there at `deadline`.
    pub(super) fn new(request: Request<Incoming>, door: &'a Door, deadline: Instant) -> Result<Self, Fault> {
        let (parts, incoming) = request.into_parts();
        let wire = if parts.version == Version::HTTP_2 { Wire::Multiplexed } else { Wire::Serial };
        let mut builder = HeadBuilder::new(wire);
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        builder.pseudo(b":method", parts.method.as_str().as_bytes())?;
        builder.pseudo(b":scheme", b"https")?;
        builder.pseudo(b":path", target.as_bytes())?;
        if let Some(authority) = parts.uri.authority() {
            builder.pseudo(b":authority", authority.as_str().as_bytes())?;
        }
        let mut bytes = 0;
        for (name, value) in &parts.headers {
            bytes += name.as_str().len() + value.len() + FIELD_OVERHEAD_BYTES;
            if bytes > MAX_FIELD_SECTION_BYTES {
                return Err(Fault::Answer(Refused::HeadersTooLarge));
            }
            builder.field(name.as_str().as_bytes(), value.as_bytes())?;
        }
        Ok(Self { head: builder.finish()?, incoming: Some(incoming), body: Wiped::new(), door, deadline })
    }
}

impl Exchange for TcpExchange<'_> {
    fn head(&self) -> Option<&Head> {
        Some(&self.head)
    }

    fn peer(&self) -> IpAddr {
        self.door.peer
    }

    fn admitted(&self, _: &KeyRecord) {
        self.door.listing.served();
    }

    async fn body(&mut self) -> Result<&[u8], Fault> {
        if self.head.content_length().is_some_and(|announced| announced > MAX_BODY_BYTES as u64) {
            return Err(Fault::Answer(Refused::BodyTooLarge));
        }
        while let Some(incoming) = &mut self.incoming {
            match timeout_at(self.deadline, incoming.frame()).await {
                Ok(Some(Ok(frame))) => {
                    let Some(data) = frame.data_ref() else { continue };
                    if self.body.len() + data.len() > MAX_BODY_BYTES {
                        return Err(Fault::Answer(Refused::BodyTooLarge));
                    }
                    self.body.append(data);
                }
                Ok(None) => self.incoming = None,
                Ok(Some(Err(_))) | Err(_) => return Err(Fault::Stream(Code::RequestIncomplete)),
            }
        }
        Ok(self.body.as_slice())
    }
}
