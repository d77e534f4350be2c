//! A request that hyper read as an [`Exchange`].

use std::net::IpAddr;

use authepy_engine::perimeter::KeyRecord;
use authepy_http3::error::{Fault, Refused};
use authepy_http3::head::{Head, HeadBuilder, Wire};
use authepy_http3::limits::{FIELD_OVERHEAD_BYTES, MAX_BODY_BYTES, MAX_FIELD_SECTION_BYTES};
use http::Version;
use http::request::Parts;

use super::Door;
use super::upload::Upload;
use crate::serve::Exchange;

/// One request: its head by our rules, its body still on the wire.
pub(super) struct TcpExchange<'a> {
    head: Head,
    upload: Upload,
    door: &'a Door,
}

/// Holds hyper's head to the rules of [`HeadBuilder`].
pub(super) fn read_head(parts: &Parts) -> Result<Head, Fault> {
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
    Ok(builder.finish()?)
}

impl<'a> TcpExchange<'a> {
    pub(super) fn new(head: Head, upload: Upload, door: &'a Door) -> Self {
        Self { head, upload, door }
    }

    /// Lets the client finish a body that the answer did not wait for.
    pub(super) fn discard_rest(self) {
        self.upload.discard();
    }
}

impl Exchange for TcpExchange<'_> {
    fn head(&self) -> &Head {
        &self.head
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
        self.upload.read().await
    }
}
