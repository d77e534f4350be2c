//! From a request that hyper read to the answer it writes.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use authepy_http3::error::Fault;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::Door;
use super::exchange::{TcpExchange, read_head};
use super::upload::Upload;
use super::watch::UnderWay;
use crate::http::reply::{Problem, Reply};
use crate::serve::{refuse, refuse_at_once, serve};

/// Two years, as browsers' preload lists ask.
const HSTS: &[u8] = b"max-age=63072000";

/// An answer's body. Its request is under way until hyper has let go of it.
pub(super) struct Answer {
    body: Full<Bytes>,
    _under_way: UnderWay,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The request ended without an answer.
#[derive(Debug)]
pub(super) struct Aborted;

impl std::fmt::Display for Aborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("request aborted")
    }
}

impl std::error::Error for Aborted {}

impl Door {
    /// Serves one request. An error ends its stream, or the HTTP/1.1 connection.
    ///
    /// A task of its own: hyper drops what it waits for when the peer resets the stream or goes away,
    /// and a request that was read runs to its end (`connection.rs`).
    pub(super) async fn answer(
        self: Rc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Answer>, Aborted> {
        let (mut under_way, deadline) = self.watch.begin();
        let _open = self.context.drain().guard();
        let serial = request.version() != Version::HTTP_2;
        let wants_body = request.method() != Method::HEAD;
        let (parts, incoming) = request.into_parts();
        let upload = Upload::new(&parts, incoming, deadline);
        let (reply, doubtful) = match read_head(&parts) {
            Ok(head) => {
                let mut exchange = TcpExchange::new(head, upload, &self);
                let reply = serve(&self.context, &mut exchange).await.map_err(|_| Aborted)?;
                exchange.discard_rest();
                (reply, false)
            }
            Err(fault) => {
                let problem = match fault {
                    Fault::Answer(refused) => refused.into(),
                    Fault::Stream(_) | Fault::Connection(_) => Problem::MalformedHttp,
                };
                let reply = refuse(&self.context, self.peer, problem).await;
                upload.discard();
                (reply, true)
            }
        };
        let mut fields = self.fields(&reply);
        if serial && doubtful {
            // Whoever sent this head may not agree with us about where it ended.
            fields.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        }
        under_way.answered();
        // HEAD gets the fields alone, with the length that the body has (RFC 9110, 9.3.2).
        let body = if wants_body { Full::new(reply.body.into()) } else { Full::default() };
        let body = Answer { body, _under_way: under_way };
        let mut response = Response::new(body);
        *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap_or_default();
        *response.headers_mut() = fields;
        Ok(response)
    }

    /// What is written to a connection whose message could be read in two ways.
    pub(super) fn last_words(&self) -> Vec<u8> {
        let reply = refuse_at_once(&self.context, self.peer, Problem::MalformedHttp);
        let mut out = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n".to_vec();
        for (name, value) in &self.fields(&reply) {
            [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]
                .into_iter()
                .for_each(|part| out.extend_from_slice(part));
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&reply.body);
        out
    }

    fn fields(&self, reply: &Reply) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut add = |name: &str, value: &[u8]| {
            // Our own names and values are valid; an echoed origin came in as a header value.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value)) {
                headers.insert(name, value);
            }
        };
        self.context.with_date(|date| reply.fields(date.as_bytes(), &mut add));
        add("alt-svc", self.alt_svc.as_bytes());
        add("strict-transport-security", HSTS);
        headers
    }
}
