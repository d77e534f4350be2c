//! The TCP door: HTTP/2 and HTTP/1.1 over TLS, in front of the same [`serve`](crate::serve::serve).
//!
//! For browsers that have yet to read `Alt-Svc`, and for networks that block UDP. hyper reads the wire;
//! the head it read is held to the same rules as an HTTP/3 head, and the bounds are the same numbers.

use std::net::IpAddr;
use std::sync::Arc;

use authepy_engine::perimeter::api_key::Mode;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::accept::{Admission, InUse, Place};
use crate::desk::Desk;
use crate::http3::error::Fault;
use crate::http3::limits::{MAX_FIELD_SECTION_BYTES, MAX_FIELDS};
use crate::limits;
use crate::observe::{Protocol, RouteLabel};
use crate::reply::{Problem, Reply, Scratch};
use crate::serve::serve;

mod exchange;
use exchange::TcpExchange;

/// Two years, as browsers' preload lists ask.
const HSTS: &[u8] = b"max-age=63072000";

/// Runs connections on this thread.
#[derive(Clone)]
struct OnThisLane;

impl<F: Future + 'static> hyper::rt::Executor<F> for OnThisLane {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}

/// Accepts connections until the drain begins.
pub(crate) async fn accept(
    listener: TcpListener,
    port: u16,
    tls: Arc<rustls::ServerConfig>,
    desk: Desk,
    admission: Admission,
) {
    let (acceptor, in_use) = (TlsAcceptor::from(tls), InUse::default());
    let alt_svc: Arc<str> = format!("h3=\":{port}\"; ma=86400").into();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = desk.drain().begun() => return,
        };
        match accepted {
            Ok((stream, from)) => {
                let peer = from.ip().to_canonical();
                // No place: closed before TLS costs anything.
                let Some(place) = admission.enter(&in_use, peer) else { continue };
                let door =
                    Door { desk: desk.clone(), admission: admission.clone(), peer, alt_svc: alt_svc.clone() };
                tokio::task::spawn_local(door.drive(stream, acceptor.clone(), place));
            }
            // Out of descriptors, most likely: give the others a moment to close.
            Err(_) => tokio::time::sleep(limits::ACCEPT_PAUSE).await,
        }
    }
}

/// One connection's way in.
#[derive(Clone)]
struct Door {
    desk: Desk,
    admission: Admission,
    peer: IpAddr,
    alt_svc: Arc<str>,
}

impl Door {
    async fn drive(self, stream: TcpStream, acceptor: TlsAcceptor, mut place: Place) {
        // An error only costs some latency.
        let _delayed = stream.set_nodelay(true);
        let Ok(Ok(stream)) = timeout(limits::HANDSHAKE_DEADLINE, acceptor.accept(stream)).await else {
            return;
        };
        place.established();
        let _open = self.desk.drain().guard();
        self.desk.counters().connected(Protocol::Tcp);
        self.converse(TokioIo::new(stream)).await;
        self.desk.counters().disconnected();
    }

    async fn converse(&self, stream: TokioIo<tokio_rustls::server::TlsStream<TcpStream>>) {
        let mut builder = auto::Builder::new(OnThisLane);
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.admission.deadline())
            .max_buf_size(2 * MAX_FIELD_SECTION_BYTES)
            .max_headers(MAX_FIELDS)
            .keep_alive(true);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits::REQUEST_STREAMS_PER_CONNECTION)
            .max_header_list_size(MAX_FIELD_SECTION_BYTES as u32)
            .max_pending_accept_reset_streams(limits::H2_PENDING_RESETS)
            .max_local_error_reset_streams(limits::H2_PENDING_RESETS)
            .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(limits::SEND_WINDOW_BYTES as usize)
            .keep_alive_interval(limits::H2_PING_EVERY)
            .keep_alive_timeout(limits::H2_PING_TIMEOUT);
        let service = service_fn(|request| self.clone().answer(request));
        let connection = builder.serve_connection(stream, service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            // How a connection ends is its peer's business.
            _ended = connection.as_mut() => return,
            () = self.desk.drain().begun() => connection.as_mut().graceful_shutdown(),
        }
        let _ended = timeout(limits::DRAIN_DEADLINE, connection).await;
    }

    /// Serves one request. An error ends its stream, or the HTTP/1.1 connection.
    async fn answer(self, request: http::Request<Incoming>) -> Result<Response<Full<Bytes>>, Aborted> {
        let reply = match TcpExchange::new(request, self.peer, self.admission.deadline()) {
            Ok(mut exchange) => serve(&self.desk, &mut exchange).await.map_err(|_| Aborted)?,
            Err(fault) => {
                let problem = match fault {
                    Fault::Answer(refused) => Problem::from(refused),
                    Fault::Stream(_) | Fault::Connection(_) => Problem::MalformedHttp,
                };
                let mut reply = Reply::from(problem);
                reply.identify(self.desk.request_id());
                self.desk.counters().count(RouteLabel::Unknown, Mode::Live, &reply);
                reply
            }
        };
        Ok(self.respond(reply))
    }

    fn respond(&self, reply: Reply) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::copy_from_slice(&reply.body)));
        *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap_or_default();
        let headers = response.headers_mut();
        let mut add = |name: &str, value: &[u8]| {
            // Our own names and values are valid; an echoed origin came in as a header value.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value)) {
                headers.insert(name, value);
            }
        };
        self.desk.with_date(|date| reply.fields(date.as_bytes(), &mut Scratch::default(), &mut add));
        add("alt-svc", self.alt_svc.as_bytes());
        add("strict-transport-security", HSTS);
        response
    }
}

/// The request ended without an answer.
#[derive(Debug)]
struct Aborted;

impl std::fmt::Display for Aborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("request aborted")
    }
}

impl std::error::Error for Aborted {}
